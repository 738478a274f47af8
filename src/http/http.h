#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"
#include "ev/loop.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* The HTTP/1.1 server side of one loop: connections, requests, responses (RFC 9112, strict as in
 * contract section 2). The only module that knows llhttp.
 *
 * A connection handles one request at a time; what a client pipelines waits in its buffer and is
 * answered in order. A request and everything it points at (and its arena) stays in place until its
 * response was given, on whichever thread that takes: so an op handed to the ledger may borrow.
 *
 *      IDLE ──first byte──▶ HEAD ──blank line──▶ BODY ──last byte──▶ HANDLING
 *       ▲                                                               │ http_respond
 *       └────── keep-alive ────── WRITING ◀─────────────────────────────┘
 *                                    └── close ──▶ DRAINING (1 s at most) ──▶ CLOSED
 *
 * on_head and on_request are never called from inside http_respond: what is pipelined behind an
 * answer is taken up later in the same turn, or in the next one.
 *
 * All functions belong to the loop's thread. */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_OPTIONS, HTTP_OTHER };

struct http_header {
    struct span name, value; /* value without surrounding white space */
};

struct http_conn;

struct http_request {
    struct http_conn *conn;
    enum http_method method;
    struct span target; /* as sent */
    struct span path;   /* of origin and absolute form alike; not decoded */
    struct span query;  /* without "?", absent when there is none */
    struct span host;   /* Host, or the authority of an absolute-form target; absent in HTTP/1.0 */
    const struct http_header *headers;
    size_t headers_count;
    struct span body;             /* empty when there is none */
    bool has_body;                /* Content-Length > 0, or chunked */
    struct sockaddr_storage peer; /* AF_UNSPEC on a Unix socket */
    int64_t age_ms;               /* in on_failure: since its first byte was looked at */
    struct arena *arena; /* empty at the start of each request; past on_head it may be another one
                            (large_arena_size), what on_head allocated stays valid */
    void *user;          /* http_options.user_size bytes of the connection, zeroed when it was
                            accepted; 16-byte aligned */
};

/* How often a header stands in the request, and its (first) value. Names in any case. */
size_t http_request_header(const struct http_request *request, struct span name,
                           struct span *value);

enum { HTTP_HEADER_LINES_MAX = 16 * 1024, HTTP_COPIED_BODY_MAX = 64 * 1024 };

struct http_response {
    int status; /* 200..599 */
    /* Extra header lines, each "Name: value\r\n"; never Content-Length, Connection or Date. Copied;
     * at most HTTP_HEADER_LINES_MAX bytes. */
    struct span header_lines;
    struct span body;      /* copied (then at most HTTP_COPIED_BODY_MAX bytes), or sent from where
                              it is when body_is_borrowed */
    bool body_is_borrowed; /* it lives in the request's arena or is static */
    bool close;            /* close after this response */
    const char *reason;    /* why it is 400 or more, for the log: static, lower case */
};

/* Answers the request being handled; exactly once per request. The request is gone afterwards.
 * Never fails: a connection that broke meanwhile drops it. Content-Length, Date and Connection are
 * added; a HEAD's body is left out but counted; 204 and 304 carry neither body nor length. */
void http_respond(struct http_request *request, const struct http_response *response);

/* An answer that goes on until it is closed, framed by the end of the connection: server-sent
 * events. False: there is nobody to send to any more, and the request is gone (HEAD is answered
 * with the head alone). Else the request stays until http_stream_close, or on_stream_end: the
 * client is gone, or the server drains. */
bool http_stream_open(struct http_request *request, struct span header_lines);

/* Copied. False: the client is gone, or has not read HTTP_COPIED_BODY_MAX bytes of what was sent;
 * it gets nothing more, and on_stream_end comes soon, never from inside of this call. */
bool http_stream_send(struct http_request *request, struct span text);

/* The request is gone afterwards; what was sent still goes out. */
void http_stream_close(struct http_request *request);

/* What the owner of a server decides. on_head runs when the head is complete, for every request,
 * and returns how many body bytes this one may have (0..body_max): more is 413 through
 * on_too_large, which (or anything later) has to respond and without a body to look at; it runs
 * before the body is read where Content-Length tells, and the connection closes after it. An answer
 * past LIMIT_BODY also means: a request with a body takes one of large_count slots, however small
 * the body is, since its response may be large. on_request runs when the request is complete; it,
 * or anything later, responds.
 * on_failure, which may be NULL, hears of every answer of 400 or more, this module's own included,
 * once and before it is sent; what was not read to the end of its head has no path and no headers.
 * `owner` is http_options.owner. */
struct http_handler {
    size_t (*on_head)(const struct http_request *request, void *owner);
    void (*on_too_large)(struct http_request *request, void *owner);
    void (*on_request)(struct http_request *request, void *owner);
    void (*on_failure)(const struct http_request *request, const struct http_response *response,
                       void *owner);
    /* Once for every stream that was opened and not closed. NULL: there are none. */
    void (*on_stream_end)(struct http_request *request, void *owner);
};

struct http_options {
    const struct http_handler *handler;
    void *owner;
    bool hides_failures; /* on_failure is not called */
    size_t user_size;
    size_t arena_size;    /* per connection, reserved and touched only when used */
    uint32_t conns_max;   /* open connections of this server; past that who has waited longest for
                             its client, a second at least, is closed when another comes (between
                             two requests first), and while nobody has, accepting pauses */
    uint32_t large_count; /* requests of routes with a limit past LIMIT_BODY (mint) at once, each
                             with large_arena_size; past that 503 with Retry-After: 1, and close */
    size_t large_arena_size;
    uint32_t head_max, target_max, headers_max, body_max; /* body_max: the largest of any route */

    /* Absolute: from the first byte of a head, from its end, from the last answer, from the moment
     * an answer was given to its last byte. The first two are 408. */
    int64_t head_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms;
};

void http_options_init(struct http_options *options); /* the contract's defaults */

struct http_server;

/* Takes over the four timeouts and hides_failures, for what begins from here on. */
void http_server_configure(struct http_server *server, const struct http_options *options);

enum err http_server_new(struct http_server **out, struct ev_loop *loop,
                         const struct http_options *options);

/* Adds a listening socket (TCP or Unix, non-blocking), at most HTTP_LISTENERS_MAX. Ownership of
 * `fd` moves unless it fails. */
enum { HTTP_LISTENERS_MAX = 8 };
enum err http_server_listen(struct http_server *server, int fd);

/* Takes what the kernel already accepted (as far as conns_max allows), stops listening, closes
 * connections that are idle after an answer, gives those that never sent a byte one second to do
 * so, and lets the rest end with `Connection: close`. http_server_idle is true when none is left.
 * Not to be called from a handler. */
void http_server_drain(struct http_server *server);

/* What may come before: every answer says `Connection: close` from here on, so that clients come
 * back over new connections; nobody is closed, and who comes is served. */
void http_server_wind_down(struct http_server *server);
bool http_server_idle(const struct http_server *server);

/* Closes everything at once; no request may be in HANDLING any more. */
void http_server_free(struct http_server *server);

struct http_stats {
    uint64_t requests;  /* that reached on_request or on_too_large */
    uint64_t responses; /* to those */
    uint64_t conns_accepted, conns_open;
    uint64_t refused_framing; /* 400, 414, 417, 431 and 413 before on_request, by this module */
    uint64_t refused_large;   /* 503 for want of a large slot */
    uint64_t timeouts;        /* of heads, bodies and answers; cut short by who came, too */
};
void http_server_stats(const struct http_server *server, struct http_stats *out);
