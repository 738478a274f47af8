#include "http/conn.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/writer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

/* Up to that length a body is copied behind its head: one send is cheaper than two pieces. */
enum { INLINE_BODY_MAX = 4 * 1024 };
enum { NO_CONTENT = 204, NOT_MODIFIED = 304 };

static const struct {
    int status;
    struct span line;
} status_lines[] = {
/* NOLINTBEGIN(bugprone-macro-parentheses): pieces of one literal */
#define LINE(status, reason)                                                                       \
    {                                                                                              \
        status,                                                                                    \
        {                                                                                          \
            "HTTP/1.1 " #status " " reason "\r\n", sizeof reason + 14                              \
        }                                                                                          \
    }
    /* NOLINTEND(bugprone-macro-parentheses) */
    LINE(204, "No Content"),
    LINE(200, "OK"),
    LINE(302, "Found"),
    LINE(201, "Created"),
    LINE(202, "Accepted"),
    LINE(301, "Moved Permanently"),
    LINE(303, "See Other"),
    LINE(304, "Not Modified"),
    LINE(307, "Temporary Redirect"),
    LINE(308, "Permanent Redirect"),
    LINE(400, "Bad Request"),
    LINE(401, "Unauthorized"),
    LINE(403, "Forbidden"),
    LINE(404, "Not Found"),
    LINE(405, "Method Not Allowed"),
    LINE(406, "Not Acceptable"),
    LINE(408, "Request Timeout"),
    LINE(409, "Conflict"),
    LINE(410, "Gone"),
    LINE(411, "Length Required"),
    LINE(412, "Precondition Failed"),
    LINE(413, "Content Too Large"),
    LINE(414, "URI Too Long"),
    LINE(415, "Unsupported Media Type"),
    LINE(417, "Expectation Failed"),
    LINE(422, "Unprocessable Content"),
    LINE(429, "Too Many Requests"),
    LINE(431, "Request Header Fields Too Large"),
    LINE(500, "Internal Server Error"),
    LINE(501, "Not Implemented"),
    LINE(503, "Service Unavailable"),
#undef LINE
};

static void put_status_line(struct writer *out, int status)
{
    ASSERT(status >= 200 && status <= 599);
    for (size_t i = 0; i < sizeof status_lines / sizeof status_lines[0]; i++) {
        if (status_lines[i].status != status) continue;
        writer_put(out, status_lines[i].line);
        return;
    }
    writer_lit(out, "HTTP/1.1 ");
    writer_u64(out, (uint64_t)status);
    writer_lit(out, " \r\n");
}

void http_date_update(struct http_server *server)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t now_s = clock_wall_ms() / 1000;
    if (now_s == server->date_s) return;
    server->date_s = now_s;

    struct tm tm;
    time_t seconds = (time_t)now_s;
    struct writer out;
    writer_init(&out, server->date_line, sizeof server->date_line);
    writer_lit(&out, "Date: ");
    if (!gmtime_r(&seconds, &tm)) return;
    char rest[32];
    size_t rest_len = strftime(rest, sizeof rest, " %Y %H:%M:%S GMT\r\n", &tm);
    writer_put(&out, (struct span){days + (size_t)tm.tm_wday * 3, 3});
    writer_lit(&out, ", ");
    writer_char(&out, (char)('0' + tm.tm_mday / 10));
    writer_char(&out, (char)('0' + tm.tm_mday % 10));
    writer_char(&out, ' ');
    writer_put(&out, (struct span){months + (size_t)tm.tm_mon * 3, 3});
    writer_put(&out, (struct span){rest, rest_len});
    server->date_line_len = out.len;
}

static bool has_content(int status)
{
    return status != NO_CONTENT && status != NOT_MODIFIED;
}

static void put_length(struct writer *out, size_t len)
{
    writer_lit(out, "Content-Length: ");
    writer_u64(out, len);
    writer_lit(out, "\r\n");
}

static void put_lines(struct http_conn *conn, struct span header_lines, struct writer *out)
{
    const struct http_server *server = conn->server;
    writer_put(out, (struct span){server->date_line, server->date_line_len});
    if (conn->is_closing)
        writer_lit(out, "Connection: close\r\n");
    else if (conn->parser.head.is_1_0)
        writer_lit(out, "Connection: keep-alive\r\n");
    writer_put(out, header_lines);
    writer_lit(out, "\r\n");
}

static void put_head(struct http_conn *conn, const struct http_response *response,
                     struct writer *out)
{
    put_status_line(out, response->status);
    if (has_content(response->status)) put_length(out, response->body.len);
    put_lines(conn, response->header_lines, out);
}

struct span http_response_head(struct http_conn *conn, int status, struct span header_lines)
{
    struct writer out;
    writer_init(&out, conn->server->scratch, sizeof conn->server->scratch);
    put_status_line(&out, status);
    put_lines(conn, header_lines, &out);
    ASSERT(!out.overflow);
    return writer_text(&out);
}

/* Bytes that the socket took, or -1 with errno. */
static ssize_t send_pieces(int fd, struct span head, struct span body)
{
    struct iovec pieces[2] = {{(void *)(uintptr_t)head.ptr, head.len},
                              {(void *)(uintptr_t)body.ptr, body.len}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    ssize_t sent;
    do {
        sent = body.len ? sendmsg(fd, &message, MSG_NOSIGNAL)
                        : send(fd, head.ptr, head.len, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent;
}

static void skip(struct span *span, size_t *len)
{
    size_t here = *len < span->len ? *len : span->len;
    if (here) *span = (struct span){span->ptr + here, span->len - here};
    *len -= here;
}

static enum http_flush send_some(int fd, struct span *head, struct span *body)
{
    ssize_t sent = send_pieces(fd, *head, *body);
    if (sent < 0) return errno == EAGAIN ? HTTP_FLUSH_WAIT : HTTP_FLUSH_GONE;
    size_t len = (size_t)sent;
    skip(head, &len);
    skip(body, &len);
    return HTTP_FLUSH_DONE;
}

/* Moves what was not sent out of memory that is about to be used again. */
static void keep_rest(struct http_conn *conn, struct span head, struct span body, bool is_borrowed)
{
    struct writer out;
    writer_init(&out, conn->out, HTTP_SCRATCH + HTTP_COPIED_BODY_MAX);
    writer_put(&out, head);
    if (!is_borrowed) writer_put(&out, body);
    ASSERT(!out.overflow);
    conn->out_head = writer_text(&out);
    conn->out_body = is_borrowed ? body : SPAN_NONE;
    if (out.len > conn->out_high) conn->out_high = out.len;
}

enum http_flush http_response_flush(struct http_conn *conn)
{
    while (conn->out_head.len + conn->out_body.len > 0) {
        enum http_flush flush = send_some(conn->watch.fd, &conn->out_head, &conn->out_body);
        if (flush != HTTP_FLUSH_DONE) return flush;
    }
    return HTTP_FLUSH_DONE;
}

enum http_flush http_response_start(struct http_conn *conn, const struct http_response *response)
{
    ASSERT(response->header_lines.len <= HTTP_HEADER_LINES_MAX);
    ASSERT(response->body_is_borrowed || response->body.len <= HTTP_COPIED_BODY_MAX);
    struct writer out;
    writer_init(&out, conn->server->scratch, sizeof conn->server->scratch);
    put_head(conn, response, &out);
    struct span body = response->body;
    if (conn->request.method == HTTP_HEAD || !has_content(response->status)) body = SPAN_NONE;
    if (body.len <= INLINE_BODY_MAX) {
        writer_put(&out, body);
        body = SPAN_NONE;
    }
    ASSERT(!out.overflow);

    struct span head = writer_text(&out);
    enum http_flush flush = send_some(conn->watch.fd, &head, &body);
    if (flush == HTTP_FLUSH_GONE || head.len + body.len == 0) return flush;
    keep_rest(conn, head, body, response->body_is_borrowed);
    return http_response_flush(conn);
}

enum http_flush http_response_continue(struct http_conn *conn)
{
    struct span head = SPAN("HTTP/1.1 100 Continue\r\n\r\n"), body = SPAN_NONE;
    enum http_flush flush = send_some(conn->watch.fd, &head, &body);
    /* A client that leaves earlier answers unread can do without; half of it cannot be sent. */
    if (flush == HTTP_FLUSH_WAIT) return HTTP_FLUSH_DONE;
    return head.len == 0 ? HTTP_FLUSH_DONE : HTTP_FLUSH_GONE;
}
