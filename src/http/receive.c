#include "http/conn.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* From a socket to a request: the states HEAD and BODY, and DRAINING, which reads for nobody. */

enum { TOO_LARGE = 413, NO_ROOM = 503 };

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

static void refuse(struct http_conn *conn, int status)
{
    conn->server->stats.refused_framing++;
    http_conn_answer(conn,
                     &(struct http_response){.status = status, .close = true, .reason = "framing"});
}

/* False: when its turn comes. A large request takes as long as hundreds of others, which go between
 * two of them. */
static bool handle_request(struct http_conn *conn)
{
    if (conn->large && conn->server->has_handled_large) {
        http_conn_resume_later(conn);
        return false;
    }
    conn->server->has_handled_large |= conn->large != NULL;
    conn->request.body = (struct span){conn->body_at, conn->body_len};
    http_conn_handle(conn, conn->server->options.handler->on_request);
    return true;
}

static void handle_too_large(struct http_conn *conn)
{
    conn->server->stats.refused_framing++;
    conn->is_closing = true;
    conn->client_closes = false;
    http_conn_handle(conn, conn->server->options.handler->on_too_large);
}

/* Nothing of the last request may pass for this one's, whose head may never be whole. */
static void forget_request(struct http_conn *conn)
{
    struct http_request *request = &conn->request;
    request->method = HTTP_OTHER;
    request->target = request->path = request->query = request->host = SPAN_NONE;
    request->headers_count = 0;
    conn->began_ms = ev_loop_now_ms(conn->server->loop);
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
    forget_request(conn);
    arena_reset(&conn->arena);
    http_head_init(&conn->parser, &conn->server->limits, conn->headers);
    http_conn_set_state(conn, HTTP_CONN_HEAD);
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
        http_conn_answer(conn, &(struct http_response){.status = NO_ROOM,
                                                       .header_lines = SPAN("Retry-After: 1\r\n"),
                                                       .reason = "no_room",
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
    http_conn_set_state(conn, HTTP_CONN_BODY);
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

bool http_receive_head(struct http_conn *conn)
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
static bool receive_sized(struct http_conn *conn)
{
    size_t len = (size_t)conn->parser.head.content_length;
    if (conn->end - conn->body < len) return fill_input(conn);
    conn->body_len = len;
    conn->parsed = conn->body + len;
    return handle_request(conn);
}

/* The same in a large slot: what came with the head is copied, the rest is read into its place. */
static bool receive_sized_large(struct http_conn *conn)
{
    size_t missing = (size_t)conn->parser.head.content_length - conn->body_len;
    size_t len = conn->end - conn->parsed;
    if (len > missing) len = missing;
    memcpy(conn->body_at + conn->body_len, conn->in + conn->parsed, len);
    conn->parsed += len;
    conn->body_len += len;
    if (len == missing) {
        return handle_request(conn);
    }
    enum fill filled = fill(conn, conn->body_at + conn->body_len, missing - len, &len);
    conn->body_len += len;
    return after_fill(conn, filled);
}

static bool receive_chunked(struct http_conn *conn)
{
    size_t in_len = conn->end - conn->parsed, out_len;
    enum http_parse parse = http_chunked_feed(&conn->chunked, conn->in + conn->parsed, &in_len,
                                              conn->body_at + conn->body_len, &out_len);
    conn->parsed += in_len;
    conn->body_len += out_len;
    if (parse == HTTP_PARSE_DONE) {
        return handle_request(conn);
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

bool http_receive_body(struct http_conn *conn)
{
    if (conn->parser.head.is_chunked) return receive_chunked(conn);
    return conn->large ? receive_sized_large(conn) : receive_sized(conn);
}

bool http_receive_rest(struct http_conn *conn)
{
    size_t len;
    struct http_server *server = conn->server;
    return after_fill(conn, fill(conn, server->scratch, sizeof server->scratch, &len));
}
