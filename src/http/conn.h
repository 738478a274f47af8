#pragma once

#include "http/http.h"
#include "http/parse.h"

#include <stddef.h>

/* Inside of the http module: one connection, and the server that owns its memory. */

enum {
    HTTP_READ_ROOM_MIN = 4 * 1024,  /* a read always has that much room */
    HTTP_PIPELINE_MAX = 16 * 1024,  /* how far into its buffer a request may begin */
    HTTP_KEEP_PER_CONN = 32 * 1024, /* an idle connection keeps no more memory than about that */
    HTTP_SCRATCH = HTTP_HEADER_LINES_MAX + 8 * 1024,
    HTTP_DRAIN_MS = 1000,
    HTTP_YIELD_AFTER_MS = 1000, /* so long a client may keep a full server waiting */
};

/* Connections that wait for their client: between two requests, or within one. */
enum http_ring { HTTP_RING_IDLE, HTTP_RING_BUSY, HTTP_RINGS };

/* Edges besides those of http.h: HANDLING goes to STREAMING by http_stream_open, and that to
 * WRITING when the stream is closed; every state but HANDLING goes to CLOSED when the peer is gone
 * or a deadline passes; HANDLING then waits for http_respond with `is_broken` set. HEAD and BODY go
 * to WRITING for a refusal. */
enum http_conn_state {
    HTTP_CONN_FREE,
    HTTP_CONN_IDLE,
    HTTP_CONN_HEAD,
    HTTP_CONN_BODY,
    HTTP_CONN_HANDLING,
    HTTP_CONN_WRITING,
    HTTP_CONN_STREAMING,
    HTTP_CONN_DRAINING,
    HTTP_CONN_CLOSED,
    HTTP_CONN_STATE_COUNT,
};

/* Body and arena of one request of a route with a large body limit. */
struct http_large {
    struct http_large *next_free;
    char *body;
    struct arena arena;
};

struct http_conn {
    struct ev_watch watch; /* first: the loop knows a connection by it */
    uint32_t magic;
    uint32_t slot;
    struct http_server *server;
    struct http_conn *next; /* in the free list, or among those to be resumed */

    enum http_conn_state state;
    bool is_readable;    /* the kernel may have more than was read */
    bool is_half_closed; /* the end is near: a short read is not the last one */
    bool is_broken;      /* gone while HANDLING */
    bool is_cut;         /* a stream that nothing more is sent to */
    bool is_driven;      /* http_conn_drive is on the stack */
    bool is_queued;      /* among those to be resumed: the slot must stay */
    bool is_waiting;     /* for its client, in waiting.c's order */
    bool has_received;
    bool is_closing;    /* close after the response */
    bool client_closes; /* and the client said it sends nothing more */
    int64_t waits_since_ms;

    /* in                                                       in_cap
     *  | answered | head | body, decoded | not looked at |  free  |
     *           start   body           parsed           end
     * The decoded body is body_len bytes at body_at, in this buffer or in a large slot. */
    char *in;
    size_t in_cap;
    size_t start, body, parsed, end;
    size_t in_high, arena_high, out_high; /* most used since memory was given back */

    struct http_head_parser parser;
    struct http_chunked chunked;
    struct http_large *large; /* NULL: none */
    char *body_at;
    size_t body_len;

    char *out;                      /* HTTP_SCRATCH + HTTP_COPIED_BODY_MAX */
    struct span out_head, out_body; /* still to be written */

    int64_t began_ms; /* the request's first byte was looked at */
    struct http_header *headers;
    struct arena arena;
    struct http_request request;
};

struct http_link {
    uint32_t prev, next; /* slots */
};

struct http_listener {
    struct ev_watch watch;
    struct http_server *server;
};

struct http_server {
    struct ev_hook hook; /* first */
    struct ev_loop *loop;
    struct http_options options;
    struct http_limits limits;
    struct http_stats stats;

    struct http_listener listeners[HTTP_LISTENERS_MAX];
    size_t listeners_count;
    bool is_accepting; /* the listeners are watched */
    bool is_draining, is_winding_down;
    bool has_no_descriptors; /* accept failed for want of them, and it was logged */

    struct http_conn *conns;
    int64_t *deadlines_ms;   /* by slot, apart from the connections: the sweep reads only these */
    struct http_link *links; /* by slot, and one for each ring of waiting.c */
    uint32_t slots_used;     /* slots at and past it were never used */
    struct http_conn *free_conns;
    struct http_conn *resumed, **resumed_end; /* work left for the end of the turn, in order */
    bool has_handled_large;                   /* in this turn */

    char *memory; /* all buffers of all slots, memory_stride apart */
    size_t memory_stride, memory_size;
    struct http_large *larges, *free_larges;
    char *large_memory;
    size_t large_stride, large_memory_size;

    int64_t date_s; /* what date_line says */
    char date_line[64];
    size_t date_line_len;
    char scratch[HTTP_SCRATCH]; /* a response is put together here, or discarded bytes read */
};

/* slab.c: memory for everything, reserved at start and touched when used. */
enum err http_slab_init(struct http_server *server);
void http_slab_fini(struct http_server *server);
struct http_conn *http_slab_take(struct http_server *server); /* NULL when all are used */
void http_slab_give(struct http_conn *conn);
void http_slab_trim(struct http_conn *conn); /* gives memory of an idle connection back */
struct http_large *http_slab_take_large(struct http_server *server);
void http_slab_give_large(struct http_server *server, struct http_large *large, size_t body_len);

/* waiting.c: connections that wait for their client, and not for us or the handler. */
void http_waiting_init(struct http_server *server);
void http_waiting_add(struct http_conn *conn); /* last, unless it waits already, or for no client */
void http_waiting_remove(struct http_conn *conn);
/* Who has waited longest, HTTP_YIELD_AFTER_MS at least; those between two requests first. NULL: no
 * one. */
struct http_conn *http_waiting_longest(const struct http_server *server);

/* conn.c: the state machine. Whoever moves a connection from outside http_conn_drive ends with
 * http_conn_settle, after which the slot may be another connection's. */
/* Takes fd; when that fails, fd is closed and the slot given back. */
enum err http_conn_start(struct http_conn *conn, int fd, const struct sockaddr_storage *peer);
void http_conn_set_deadline(struct http_conn *conn, int64_t deadline_ms);
void http_conn_drive(struct http_conn *conn); /* as far as the peer allows, and settle */
void http_conn_on_deadline(struct http_conn *conn);
void http_conn_yield(struct http_conn *conn); /* like a deadline, and closed at once */
void http_conn_close(struct http_conn *conn); /* at once, whatever its state; in HANDLING the slot
                                                 stays until the answer */
void http_conn_settle(struct http_conn *conn);

void http_conn_resume_later(struct http_conn *conn); /* at the end of the turn */

/* For receive.c: a move, an answer, the call of on_request or on_too_large. */
void http_conn_set_state(struct http_conn *conn, enum http_conn_state state);
void http_conn_answer(struct http_conn *conn, const struct http_response *response);
void http_conn_handle(struct http_conn *conn,
                      void (*handler)(struct http_request *request, void *owner));

/* receive.c: a step of HEAD (and IDLE), BODY and DRAINING. False when there is nothing to read. */
bool http_receive_head(struct http_conn *conn);
bool http_receive_body(struct http_conn *conn);
bool http_receive_rest(struct http_conn *conn);

/* response.c: all of them leave what the socket did not take in out_head and out_body. */
enum http_flush { HTTP_FLUSH_DONE, HTTP_FLUSH_WAIT, HTTP_FLUSH_GONE };
enum http_flush http_response_start(struct http_conn *conn, const struct http_response *response);
enum http_flush http_response_flush(struct http_conn *conn);
/* Of an answer whose end is that of the connection; in the server's scratch memory. */
struct span http_response_head(struct http_conn *conn, int status, struct span header_lines);
enum http_flush http_response_continue(struct http_conn *conn); /* the interim 100 */
void http_date_update(struct http_server *server);

/* stream.c: a step of STREAMING; tells the owner that a stream is gone. */
bool http_stream_move(struct http_conn *conn);
void http_stream_end(struct http_conn *conn);
