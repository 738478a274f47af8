#include "http/conn.h"

#include "base/assert.h"

#include <string.h>

/* An answer without an end: STREAMING. What the socket does not take waits in `out`, from whose
 * start it moves on; no more than that is kept for a client that reads slowly. */

enum { ROOM = HTTP_SCRATCH + HTTP_COPIED_BODY_MAX };

static void note_flushed(struct http_conn *conn)
{
    http_conn_set_deadline(conn, INT64_MAX);
    conn->out_head = SPAN_NONE;
}

/* While something waits, the client has write_timeout_ms to take all of it. */
static void begin_waiting(struct http_conn *conn)
{
    const struct http_server *server = conn->server;
    http_conn_set_deadline(conn, ev_loop_now_ms(server->loop) + server->options.write_timeout_ms);
}

/* False: there is no room. */
static bool keep(struct http_conn *conn, struct span text)
{
    struct span *waits = &conn->out_head;
    if (text.len > ROOM - waits->len) return false;
    if (waits->len == 0)
        begin_waiting(conn);
    else
        memmove(conn->out, waits->ptr, waits->len);
    memcpy(conn->out + waits->len, text.ptr, text.len);
    *waits = (struct span){conn->out, waits->len + text.len};
    if (waits->len > conn->out_high) conn->out_high = waits->len;
    return true;
}

bool http_stream_open(struct http_request *request, struct span header_lines)
{
    struct http_conn *conn = request->conn;
    if (conn->is_broken || conn->server->is_draining || request->method == HTTP_HEAD) {
        http_respond(request, &(struct http_response){
                                  .status = 200, .header_lines = header_lines, .close = true});
        return false;
    }
    ASSERT(conn->state == HTTP_CONN_HANDLING && conn->server->options.handler->on_stream_end);
    conn->server->stats.responses++;
    conn->is_closing = true;
    conn->client_closes = conn->is_cut = false;
    conn->out_head = SPAN_NONE;
    http_conn_set_state(conn, HTTP_CONN_STREAMING);
    (void)http_stream_send(request, http_response_head(conn, 200, header_lines));
    return true;
}

/* Nothing is closed here, where the owner is busy with its streams: the next sweep of the deadlines
 * does it. */
static bool cut_off(struct http_conn *conn)
{
    conn->is_cut = true;
    conn->out_head = SPAN_NONE;
    http_conn_set_deadline(conn, 0);
    return false;
}

bool http_stream_send(struct http_request *request, struct span text)
{
    struct http_conn *conn = request->conn;
    ASSERT(conn->state == HTTP_CONN_STREAMING);
    if (conn->is_cut || !keep(conn, text)) return cut_off(conn);
    enum http_flush flush = http_response_flush(conn);
    if (flush == HTTP_FLUSH_DONE) note_flushed(conn);
    return flush == HTTP_FLUSH_GONE ? cut_off(conn) : true;
}

void http_stream_close(struct http_request *request)
{
    struct http_conn *conn = request->conn;
    ASSERT(conn->state == HTTP_CONN_STREAMING);
    http_conn_set_state(conn, HTTP_CONN_WRITING);
    http_conn_resume_later(conn);
}

void http_stream_end(struct http_conn *conn)
{
    const struct http_options *options = &conn->server->options;
    options->handler->on_stream_end(&conn->request, options->owner);
}

bool http_stream_move(struct http_conn *conn)
{
    if (conn->is_cut) return false;
    enum http_flush flush = http_response_flush(conn);
    if (flush == HTTP_FLUSH_DONE) note_flushed(conn);
    if (flush == HTTP_FLUSH_GONE) http_conn_close(conn);
    return flush != HTTP_FLUSH_GONE && http_receive_rest(conn);
}
