#include "http_client.h"

#include "unit.h"

#include "base/writer.h"
#include "http_toy.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

size_t client_send(int fd, const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        ssize_t sent = send(fd, text + at, len - at, MSG_NOSIGNAL);
        if (sent < 0) break;
        at += (size_t)sent;
    }
    return at;
}

void client_send_text(int fd, const char *text)
{
    (void)client_send(fd, text, strlen(text));
}

void client_pause_ms(unsigned ms)
{
    usleep(ms * 1000);
}

void client_send_cut(int fd, const char *text, const size_t *cuts, size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < count; at = cuts[i++]) {
        if (i > 0) usleep(30);
        if (client_send(fd, text + at, cuts[i] - at) < cuts[i] - at) return;
    }
}

enum { STREAM_SIZE = 4 * 1024 * 1024 };
static char stream_text[STREAM_SIZE];

/* false at the end of the stream. */
static bool read_some(int fd, struct stream *stream)
{
    assert_true(stream->len < STREAM_SIZE - 1);
    ssize_t got = recv(fd, stream->text + stream->len, STREAM_SIZE - 1 - stream->len, 0);
    if (got < 0 && errno == ECONNRESET) stream->is_reset = true;
    if (got < 0 && errno != ECONNRESET) fail_msg("recv: %s", strerror(errno));
    if (got <= 0) return false;
    stream->len += (size_t)got;
    stream->text[stream->len] = 0;
    return true;
}

struct stream client_read_all(int fd)
{
    struct stream stream = {.text = stream_text};
    stream.text[0] = 0;
    while (read_some(fd, &stream))
        ;
    return stream;
}

struct response {
    struct span head, body;
    int status;
};

static bool has_line(struct span head, const char *line, size_t *count)
{
    *count = 0;
    for (const char *at = head.ptr;
         (at = memmem(at, head.len - (size_t)(at - head.ptr), line, strlen(line))); at++)
        ++*count;
    return *count > 0;
}

/* The next response of `rest`, or false when it is not complete. */
static bool take_response(struct span *rest, struct response *response, bool to_head)
{
    size_t count;
    const char *end = memmem(rest->ptr, rest->len, "\r\n\r\n", 4);
    if (!end) return false;
    response->head = (struct span){rest->ptr, (size_t)(end - rest->ptr) + 2};
    assert_true(span_starts_with(response->head, SPAN("HTTP/1.1 ")));
    response->status = atoi(rest->ptr + 9);
    size_t body_len = 0, head_len = response->head.len + 2;
    const char *length = memmem(rest->ptr, response->head.len, "\r\nContent-Length: ", 18);
    bool has_none = response->status < 200 || response->status == 204 || response->status == 304;
    assert_int_equal(length != NULL, !has_none);
    assert_int_equal(has_line(response->head, "\r\nDate: ", &count), response->status >= 200);
    assert_true(count <= 1);
    if (length && !to_head) body_len = strtoul(length + 18, NULL, 10);
    if (rest->len - head_len < body_len) return false;
    response->body = (struct span){rest->ptr + head_len, body_len};
    *rest = (struct span){rest->ptr + head_len + body_len, rest->len - head_len - body_len};
    return true;
}

struct stream client_read_responses(int fd, size_t count, bool to_head)
{
    struct stream stream = {.text = stream_text};
    for (;;) {
        struct span rest = {stream.text, stream.len};
        struct response response;
        size_t complete = 0;
        while (rest.len && take_response(&rest, &response, to_head))
            complete++;
        if (complete >= count || !read_some(fd, &stream)) return stream;
    }
}

static void put_response(struct writer *out, const struct response *response)
{
    size_t count;
    struct span head = response->head;
    writer_u64(out, (uint64_t)response->status);
    if (has_line(head, "\r\nConnection: close\r\n", &count)) writer_lit(out, " close");
    if (has_line(head, "\r\nConnection: keep-alive\r\n", &count)) writer_lit(out, " keep-alive");
    if (has_line(head, "\r\nRetry-After: 1\r\n", &count)) writer_lit(out, " retry");
    if (response->body.len) writer_char(out, ' ');
    toy_put_body(out, response->body);
}

const char *client_describe(const char *text, size_t len, bool to_head)
{
    static char described[64 * 1024];
    struct span rest = {text, len};
    struct response response;
    struct writer out;
    writer_init(&out, described, sizeof described - 1);
    while (rest.len && take_response(&rest, &response, to_head)) {
        if (out.len) writer_lit(&out, " | ");
        put_response(&out, &response);
    }
    if (rest.len) writer_lit(&out, " | ...");
    assert_false(out.overflow);
    described[out.len] = 0;
    return described;
}

void client_expect(struct stream stream, const char *expected)
{
    assert_false(stream.is_reset);
    assert_string_equal(client_describe(stream.text, stream.len, false), expected);
}

void client_expect_sized_body(int fd, const char *path, size_t len)
{
    char head[200], expected[100];
    char *body = malloc(len);
    for (size_t i = 0; i < len; i++)
        body[i] = toy_pattern(i);
    sprintf(head, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", path, len);
    client_send_text(fd, head);
    assert_int_equal(client_send(fd, body, len), len);
    sprintf(expected, "200 POST %s - %zu %u", path, len, toy_hash(body, len));
    client_expect(client_read_responses(fd, 1, false), expected);
    free(body);
}
