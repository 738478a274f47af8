#include "http/conn.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAGIC = 0x68747470 };
/* So that clients that pipeline without end leave the others their turn: with a hundred of them, a
 * turn is still some milliseconds. */
enum { MOVES_PER_TURN_MAX = 4 };
enum { TIMED_OUT = 408, FAILURE = 400 };

#define TO(state) (1u << HTTP_CONN_##state)
static const unsigned edges[HTTP_CONN_STATE_COUNT] = {
    [HTTP_CONN_FREE] = TO(IDLE),
    [HTTP_CONN_IDLE] = TO(HEAD) | TO(CLOSED),
    [HTTP_CONN_HEAD] = TO(BODY) | TO(HANDLING) | TO(WRITING) | TO(CLOSED),
    [HTTP_CONN_BODY] = TO(HANDLING) | TO(WRITING) | TO(CLOSED),
    [HTTP_CONN_HANDLING] = TO(WRITING) | TO(STREAMING) | TO(CLOSED),
    [HTTP_CONN_STREAMING] = TO(WRITING) | TO(CLOSED),
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
        return INT64_MAX; /* HANDLING, STREAMING: the answer comes when it comes */
    }
}

void http_conn_set_state(struct http_conn *conn, enum http_conn_state state)
{
    ASSERT(edges[conn->state] & (1u << state));
    http_waiting_remove(conn);
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
    if (conn->state == HTTP_CONN_STREAMING) http_stream_end(conn);
    give_large_back(conn);
    http_conn_set_state(conn, HTTP_CONN_CLOSED);
}

void http_conn_resume_later(struct http_conn *conn)
{
    if (conn->is_queued) return;
    conn->is_queued = true;
    http_waiting_remove(conn); /* what it has is for us to look at */
    conn->next = NULL;
    *conn->server->resumed_end = conn;
    conn->server->resumed_end = &conn->next;
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
    if (can_move && has_input)
        http_conn_resume_later(conn);
    else
        http_waiting_add(conn);
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
    http_conn_set_state(conn, HTTP_CONN_DRAINING);
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
    http_conn_set_state(conn, HTTP_CONN_IDLE);
}

static void after_flush(struct http_conn *conn, enum http_flush flush)
{
    if (flush == HTTP_FLUSH_DONE) end_response(conn);
    if (flush == HTTP_FLUSH_GONE) http_conn_close(conn);
}

static void tell_failure(struct http_conn *conn, const struct http_response *response)
{
    const struct http_options *options = &conn->server->options;
    if (response->status < FAILURE || !options->handler->on_failure || options->hides_failures)
        return;
    conn->request.age_ms = ev_loop_now_ms(conn->server->loop) - conn->began_ms;
    options->handler->on_failure(&conn->request, response, options->owner);
}

void http_conn_answer(struct http_conn *conn, const struct http_response *response)
{
    tell_failure(conn, response);
    if (response->close || conn->server->is_winding_down) {
        conn->is_closing = true;
        conn->client_closes = false;
    }
    http_conn_set_state(conn, HTTP_CONN_WRITING);
    after_flush(conn, http_response_start(conn, response));
}

void http_respond(struct http_request *request, const struct http_response *response)
{
    struct http_conn *conn = conn_of(&request->conn->watch);
    ASSERT(request == &conn->request && conn->state == HTTP_CONN_HANDLING);
    conn->server->stats.responses++;
    if (conn->is_broken) {
        tell_failure(conn, response);
        conn->is_broken = false;
        give_large_back(conn);
        http_conn_set_state(conn, HTTP_CONN_CLOSED);
    } else {
        http_conn_answer(conn, response);
    }
    http_conn_settle(conn);
}

void http_conn_handle(struct http_conn *conn,
                      void (*handler)(struct http_request *request, void *owner))
{
    struct http_server *server = conn->server;
    server->stats.requests++;
    http_conn_set_state(conn, HTTP_CONN_HANDLING);
    handler(&conn->request, server->options.owner);
}

static bool move_writing(struct http_conn *conn)
{
    enum http_flush flush = http_response_flush(conn);
    after_flush(conn, flush);
    return flush == HTTP_FLUSH_DONE;
}

/* One step of the drawing in http.h; false when only the peer, the handler or a deadline can bring
 * the next one. */
static bool move(struct http_conn *conn)
{
    sane(conn);
    switch (conn->state) {
    case HTTP_CONN_IDLE:
    case HTTP_CONN_HEAD:
        return http_receive_head(conn);
    case HTTP_CONN_BODY:
        return http_receive_body(conn);
    case HTTP_CONN_WRITING:
        return move_writing(conn);
    case HTTP_CONN_STREAMING:
        return http_stream_move(conn);
    case HTTP_CONN_DRAINING:
        return http_receive_rest(conn);
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
            http_conn_resume_later(conn);
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

static void end_waiting(struct http_conn *conn)
{
    struct http_stats *stats = &conn->server->stats;
    switch (conn->state) {
    case HTTP_CONN_HEAD:
    case HTTP_CONN_BODY:
        stats->timeouts++;
        http_conn_answer(
            conn, &(struct http_response){.status = TIMED_OUT, .close = true, .reason = "timeout"});
        break;
    case HTTP_CONN_WRITING:
    case HTTP_CONN_STREAMING:
        stats->timeouts++;
        http_conn_close(conn);
        break;
    default:
        http_conn_close(conn);
    }
}

void http_conn_on_deadline(struct http_conn *conn)
{
    end_waiting(conn);
    http_conn_settle(conn);
}

void http_conn_yield(struct http_conn *conn)
{
    end_waiting(conn);
    http_conn_close(conn);
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
    conn->out_head = conn->out_body = SPAN_NONE;
    conn->request.conn = conn;
    conn->request.peer = *peer;
    memset(conn->request.user, 0, conn->server->options.user_size);
    http_conn_set_state(conn, HTTP_CONN_IDLE);
    return ERR_OK;
}
