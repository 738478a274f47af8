#include "http/conn.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAGIC = 0x68747470 };
/* So that one client that pipelines without end leaves the others their turn. */
enum { MOVES_PER_TURN_MAX = 256 };
enum { TIMED_OUT = 408, TOO_LARGE = 413, NO_ROOM = 503 };

#define TO(state) (1u << HTTP_CONN_##state)
static const unsigned edges[HTTP_CONN_STATE_COUNT] = {
    [HTTP_CONN_FREE] = TO(IDLE),
    [HTTP_CONN_IDLE] = TO(HEAD) | TO(CLOSED),
    [HTTP_CONN_HEAD] = TO(BODY) | TO(HANDLING) | TO(WRITING) | TO(CLOSED),
    [HTTP_CONN_BODY] = TO(HANDLING) | TO(WRITING) | TO(CLOSED),
    [HTTP_CONN_HANDLING] = TO(WRITING) | TO(CLOSED),
    [HTTP_CONN_WRITING] = TO(IDLE) | TO(DRAINING) | TO(CLOSED),
    [HTTP_CONN_DRAINING] = TO(CLOSED),
};
#undef TO

static struct http_conn *conn_of(struct ev_watch *watch)
{
    struct http_conn *conn = (struct http_conn *)watch;
    ASSERT(conn->magic == MAGIC);
    return conn;
}

static void sane(const struct http_conn *conn)
{
    ASSERT(conn->start <= conn->body && conn->body <= conn->parsed);
    ASSERT(conn->parsed <= conn->end && conn->end <= conn->in_cap);
    ASSERT(conn->is_broken ? conn->state == HTTP_CONN_HANDLING : conn->watch.fd >= 0);
}

void http_conn_set_deadline(struct http_conn *conn, int64_t deadline_ms)
{
    conn->server->deadlines_ms[conn->slot] = deadline_ms;
}

static int64_t deadline_of(const struct http_conn *conn, enum http_conn_state state)
{
    const struct http_options *options = &conn->server->options;
    int64_t now_ms = ev_loop_now_ms(conn->server->loop);
    switch (state) {
    case HTTP_CONN_IDLE:
        return now_ms + options->idle_timeout_ms;
    case HTTP_CONN_HEAD:
        return now_ms + options->head_timeout_ms;
    case HTTP_CONN_BODY:
        return now_ms + options->body_timeout_ms;
    case HTTP_CONN_WRITING:
        return now_ms + options->write_timeout_ms;
    case HTTP_CONN_DRAINING:
        return now_ms + HTTP_DRAIN_MS;
    default:
        return INT64_MAX; /* HANDLING: the answer comes when it comes */
    }
}

static void set_state(struct http_conn *conn, enum http_conn_state state)
{
    ASSERT(edges[conn->state] & (1u << state));
    conn->state = state;
    http_conn_set_deadline(conn, deadline_of(conn, state));
}

static void give_large_back(struct http_conn *conn)
{
    if (conn->large) http_slab_give_large(conn->server, conn->large, conn->body_len);
    conn->large = NULL;
}

static void close_socket(struct http_conn *conn)
{
    ev_watch_remove(conn->server->loop, &conn->watch);
    close(conn->watch.fd);
    conn->watch.fd = -1;
}

void http_conn_close(struct http_conn *conn)
{
    if (conn->state == HTTP_CONN_CLOSED || conn->is_broken) return;
    close_socket(conn);
    if (conn->state == HTTP_CONN_HANDLING) {
        conn->is_broken = true;
        return;
    }
    give_large_back(conn);
    set_state(conn, HTTP_CONN_CLOSED);
}

static void resume_later(struct http_conn *conn)
{
    if (conn->is_queued) return;
    conn->is_queued = true;
    conn->next = conn->server->resumed;
    conn->server->resumed = conn;
    ev_loop_again(conn->server->loop);
}

void http_conn_settle(struct http_conn *conn)
{
    if (conn->is_driven || conn->is_queued) return;
    if (conn->state == HTTP_CONN_CLOSED) {
        http_slab_give(conn);
        return;
    }
    bool has_input = conn->is_readable || conn->end > conn->parsed;
    bool can_move = conn->state == HTTP_CONN_IDLE || conn->state == HTTP_CONN_DRAINING;
    if (can_move && has_input) resume_later(conn);
}

enum fill { FILL_SOME, FILL_WAIT, FILL_GONE };

static enum fill fill(struct http_conn *conn, char *at, size_t room, size_t *len)
{
    ASSERT(room > 0);
    *len = 0;
    if (!conn->is_readable) return FILL_WAIT;
    ssize_t got = recv(conn->watch.fd, at, room, 0);
    if (got > 0) {
        *len = (size_t)got;
        conn->has_received = true;
        /* A short read emptied the socket, and the next byte is another edge. The end of the stream
         * had its edge already. */
        if (*len < room && !conn->is_half_closed) conn->is_readable = false;
        return FILL_SOME;
    }
    if (got < 0 && errno == EINTR) return FILL_SOME;
    if (got < 0 && errno == EAGAIN) {
        conn->is_readable = false;
        return FILL_WAIT;
    }
    return FILL_GONE;
}

/* Whether there is more to look at. */
static bool after_fill(struct http_conn *conn, enum fill filled)
{
    if (filled == FILL_GONE) http_conn_close(conn);
    if (filled == FILL_WAIT && conn->state == HTTP_CONN_IDLE && conn->server->is_draining &&
        conn->has_received)
        http_conn_close(conn);
    return filled == FILL_SOME;
}

static bool fill_input(struct http_conn *conn)
{
    size_t len;
    enum fill filled = fill(conn, conn->in + conn->end, conn->in_cap - conn->end, &len);
    conn->end += len;
    if (conn->end > conn->in_high) conn->in_high = conn->end;
    return after_fill(conn, filled);
}

/* A close while the client may still be sending would reset the connection and take the answer with
 * it (RFC 9112 section 9.6). */
static void end_connection(struct http_conn *conn)
{
    if (conn->client_closes && !conn->is_readable && conn->parsed == conn->end) {
        http_conn_close(conn);
        return;
    }
    shutdown(conn->watch.fd, SHUT_WR);
    set_state(conn, HTTP_CONN_DRAINING);
}

static void end_response(struct http_conn *conn)
{
    give_large_back(conn);
    if (conn->arena.used > conn->arena_high) conn->arena_high = conn->arena.used;
    if (conn->is_closing) {
        end_connection(conn);
        return;
    }
    conn->start = conn->body = conn->parsed;
    if (conn->start == conn->end) {
        conn->start = conn->body = conn->parsed = conn->end = 0;
        http_slab_trim(conn);
    }
    set_state(conn, HTTP_CONN_IDLE);
}

static void after_flush(struct http_conn *conn, enum http_flush flush)
{
    if (flush == HTTP_FLUSH_DONE) end_response(conn);
    if (flush == HTTP_FLUSH_GONE) http_conn_close(conn);
}

static void answer(struct http_conn *conn, const struct http_response *response)
{
    if (response->close || conn->server->is_draining) {
        conn->is_closing = true;
        conn->client_closes = false;
    }
    set_state(conn, HTTP_CONN_WRITING);
    after_flush(conn, http_response_start(conn, response));
}

static void refuse(struct http_conn *conn, int status)
{
    conn->server->stats.refused_framing++;
    answer(conn, &(struct http_response){.status = status, .close = true});
}

void http_respond(struct http_request *request, const struct http_response *response)
{
    struct http_conn *conn = conn_of(&request->conn->watch);
    ASSERT(request == &conn->request && conn->state == HTTP_CONN_HANDLING);
    conn->server->stats.responses++;
    if (conn->is_broken) {
        conn->is_broken = false;
        give_large_back(conn);
        set_state(conn, HTTP_CONN_CLOSED);
    } else {
        answer(conn, response);
    }
    http_conn_settle(conn);
}

static void handle(struct http_conn *conn,
                   void (*handler)(struct http_request *request, void *owner))
{
    struct http_server *server = conn->server;
    server->stats.requests++;
    set_state(conn, HTTP_CONN_HANDLING);
    handler(&conn->request, server->options.owner);
}

static void handle_request(struct http_conn *conn)
{
    conn->request.body = (struct span){conn->body_at, conn->body_len};
    handle(conn, conn->server->options.handler->on_request);
}

static void handle_too_large(struct http_conn *conn)
{
    conn->server->stats.refused_framing++;
    conn->is_closing = true;
    conn->client_closes = false;
    handle(conn, conn->server->options.handler->on_too_large);
}

static void begin_head(struct http_conn *conn)
{
    if (conn->start > HTTP_PIPELINE_MAX) {
        memmove(conn->in, conn->in + conn->start, conn->end - conn->start);
        conn->end -= conn->start;
        conn->start = 0;
    }
    conn->body = conn->parsed = conn->start;
    conn->body_len = 0;
    conn->request.method = HTTP_OTHER;
    arena_reset(&conn->arena);
    http_head_init(&conn->parser, &conn->server->limits, conn->headers);
    set_state(conn, HTTP_CONN_HEAD);
}

static void fill_request(struct http_conn *conn)
{
    const struct http_head *head = &conn->parser.head;
    struct http_request *request = &conn->request;
    request->method = head->method;
    request->target = head->target;
    request->path = head->path;
    request->query = head->query;
    request->host = head->host;
    request->headers = head->headers;
    request->headers_count = head->headers_count;
    request->has_body = head->is_chunked || head->content_length > 0;
    request->body = (struct span){conn->body_at, 0};
    request->arena = &conn->arena;
}

static bool take_large(struct http_conn *conn)
{
    conn->large = http_slab_take_large(conn->server);
    if (!conn->large) {
        conn->server->stats.refused_large++;
        answer(conn, &(struct http_response){.status = NO_ROOM,
                                             .header_lines = SPAN("Retry-After: 1\r\n"),
                                             .close = true});
        return false;
    }
    conn->body_at = conn->large->body;
    conn->request.arena = &conn->large->arena;
    return true;
}

static void begin_body(struct http_conn *conn, size_t body_max)
{
    const struct http_head *head = &conn->parser.head;
    if (head->content_length > body_max) {
        handle_too_large(conn);
        return;
    }
    if (body_max > LIMIT_BODY && !take_large(conn)) return;
    if (head->is_chunked)
        http_chunked_init(&conn->chunked, body_max,
                          conn->server->limits.head_max - (uint32_t)conn->parser.head_len);
    set_state(conn, HTTP_CONN_BODY);
    if (head->expects_continue && conn->parsed == conn->end &&
        http_response_continue(conn) == HTTP_FLUSH_GONE)
        http_conn_close(conn);
}

static void end_head(struct http_conn *conn)
{
    const struct http_options *options = &conn->server->options;
    conn->body = conn->parsed = conn->start + conn->parser.head_len;
    conn->body_at = conn->in + conn->body;
    conn->is_closing = conn->client_closes = conn->parser.head.says_close;
    fill_request(conn);
    size_t body_max = options->handler->on_head(&conn->request, options->owner);
    ASSERT(body_max <= options->body_max);
    if (conn->request.has_body)
        begin_body(conn, body_max);
    else
        handle_request(conn);
}

static bool move_head(struct http_conn *conn)
{
    if (conn->start == conn->end) return fill_input(conn);
    if (conn->state == HTTP_CONN_IDLE) begin_head(conn);
    const char *head = conn->in + conn->start;
    switch (http_head_feed(&conn->parser, head, conn->end - conn->start)) {
    case HTTP_PARSE_DONE:
        end_head(conn);
        return true;
    case HTTP_PARSE_REFUSED:
        refuse(conn, conn->parser.refusal);
        return true;
    default:
        return fill_input(conn);
    }
}

/* A body of known length in the connection's own buffer: it stays where it was read. */
static bool move_sized(struct http_conn *conn)
{
    size_t len = (size_t)conn->parser.head.content_length;
    if (conn->end - conn->body < len) return fill_input(conn);
    conn->body_len = len;
    conn->parsed = conn->body + len;
    handle_request(conn);
    return true;
}

/* The same in a large slot: what came with the head is copied, the rest is read into its place. */
static bool move_sized_large(struct http_conn *conn)
{
    size_t missing = (size_t)conn->parser.head.content_length - conn->body_len;
    size_t len = conn->end - conn->parsed;
    if (len > missing) len = missing;
    memcpy(conn->body_at + conn->body_len, conn->in + conn->parsed, len);
    conn->parsed += len;
    conn->body_len += len;
    if (len == missing) {
        handle_request(conn);
        return true;
    }
    enum fill filled = fill(conn, conn->body_at + conn->body_len, missing - len, &len);
    conn->body_len += len;
    return after_fill(conn, filled);
}

static bool move_chunked(struct http_conn *conn)
{
    size_t in_len = conn->end - conn->parsed, out_len;
    enum http_parse parse = http_chunked_feed(&conn->chunked, conn->in + conn->parsed, &in_len,
                                              conn->body_at + conn->body_len, &out_len);
    conn->parsed += in_len;
    conn->body_len += out_len;
    if (parse == HTTP_PARSE_DONE) {
        handle_request(conn);
        return true;
    }
    if (parse == HTTP_PARSE_REFUSED) {
        if (conn->chunked.refusal == TOO_LARGE)
            handle_too_large(conn);
        else
            refuse(conn, conn->chunked.refusal);
        return true;
    }
    /* All framing so far is done with: read on right behind the body. */
    conn->parsed = conn->end = conn->body + (conn->large ? 0 : conn->body_len);
    return fill_input(conn);
}

static bool move_body(struct http_conn *conn)
{
    if (conn->parser.head.is_chunked) return move_chunked(conn);
    return conn->large ? move_sized_large(conn) : move_sized(conn);
}

static bool move_writing(struct http_conn *conn)
{
    enum http_flush flush = http_response_flush(conn);
    after_flush(conn, flush);
    return flush == HTTP_FLUSH_DONE;
}

static bool move_draining(struct http_conn *conn)
{
    size_t len;
    struct http_server *server = conn->server;
    return after_fill(conn, fill(conn, server->scratch, sizeof server->scratch, &len));
}

/* One step of the drawing in http.h; false when only the peer, the handler or a deadline can bring
 * the next one. */
static bool move(struct http_conn *conn)
{
    sane(conn);
    switch (conn->state) {
    case HTTP_CONN_IDLE:
    case HTTP_CONN_HEAD:
        return move_head(conn);
    case HTTP_CONN_BODY:
        return move_body(conn);
    case HTTP_CONN_WRITING:
        return move_writing(conn);
    case HTTP_CONN_DRAINING:
        return move_draining(conn);
    default:
        return false;
    }
}

static void move_on(struct http_conn *conn)
{
    ASSERT(!conn->is_driven);
    conn->is_driven = true;
    unsigned moves = 0;
    while (conn->state != HTTP_CONN_CLOSED && move(conn))
        if (++moves == MOVES_PER_TURN_MAX) {
            resume_later(conn);
            break;
        }
    conn->is_driven = false;
}

void http_conn_drive(struct http_conn *conn)
{
    move_on(conn);
    http_conn_settle(conn);
}

static void on_ready(struct ev_watch *watch, unsigned ready)
{
    struct http_conn *conn = conn_of(watch);
    if (ready & EV_READABLE) conn->is_readable = true;
    if (ready & (EV_PEER_CLOSED | EV_BROKEN)) conn->is_readable = conn->is_half_closed = true;
    move_on(conn);
    if (ready & EV_BROKEN) http_conn_close(conn);
    http_conn_settle(conn);
}

void http_conn_on_deadline(struct http_conn *conn)
{
    struct http_stats *stats = &conn->server->stats;
    switch (conn->state) {
    case HTTP_CONN_HEAD:
    case HTTP_CONN_BODY:
        stats->timeouts++;
        give_large_back(conn);
        answer(conn, &(struct http_response){.status = TIMED_OUT, .close = true});
        break;
    case HTTP_CONN_WRITING:
        stats->timeouts++;
        http_conn_close(conn);
        break;
    default:
        http_conn_close(conn);
    }
    http_conn_settle(conn);
}

enum err http_conn_start(struct http_conn *conn, int fd, const struct sockaddr_storage *peer)
{
    ASSERT(conn->state == HTTP_CONN_FREE);
    conn->watch = (struct ev_watch){fd, on_ready};
    enum err err = ev_watch_add(conn->server->loop, &conn->watch, false);
    if (err) {
        close(fd);
        http_slab_give(conn);
        return err;
    }
    conn->magic = MAGIC;
    conn->is_readable = conn->is_half_closed = conn->is_broken = conn->has_received = false;
    conn->is_closing = conn->client_closes = false;
    conn->start = conn->body = conn->parsed = conn->end = 0;
    conn->body_len = 0;
    conn->large = NULL;
    conn->request.conn = conn;
    conn->request.peer = *peer;
    memset(conn->request.user, 0, conn->server->options.user_size);
    set_state(conn, HTTP_CONN_IDLE);
    return ERR_OK;
}
