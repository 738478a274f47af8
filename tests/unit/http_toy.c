#include "http_toy.h"

#include "http_client.h"

#include "unit.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/writer.h"
#include "ev/listen.h"
#include "http_rows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATTERN = 2 * 1024 * 1024, HELD_MAX = 256, SHORT_BODY = 40 };

struct toy {
    pthread_t thread;
    struct ev_loop *loop;
    struct http_server *server;
    struct http_request *held[HELD_MAX];
    size_t held_count;
    struct http_request *later[HELD_MAX];
    size_t later_count;
    struct http_request *stream;
    unsigned streams_ended;
    struct ev_wake answer_later;
    uint16_t port;
    char path[64];

    /* One call at a time onto the loop's thread. */
    struct ev_wake call;
    pthread_mutex_t lock;
    pthread_cond_t done;
    void (*what)(struct toy *toy);
    struct http_stats stats;
    bool is_idle, is_blocked, is_drain_asked;
    size_t held_seen;
};

char toy_pattern(size_t i)
{
    return (char)('a' + (i * 2654435761u >> 7) % 26);
}

static const char *pattern(void)
{
    static char bytes[PATTERN];
    if (!bytes[0])
        for (size_t i = 0; i < PATTERN; i++)
            bytes[i] = toy_pattern(i);
    return bytes;
}

uint32_t toy_hash(const char *text, size_t len)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return hash;
}

void toy_put_body(struct writer *out, struct span body)
{
    if (body.len <= SHORT_BODY) {
        writer_put(out, body);
        return;
    }
    writer_u64(out, body.len);
    writer_char(out, ' ');
    writer_u64(out, toy_hash(body.ptr, body.len));
}

static void respond_echo(struct http_request *request, int status)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "OPTIONS", "OTHER"};
    size_t size = request->path.len + request->query.len + 256;
    struct writer out;
    writer_init(&out, arena_alloc(request->arena, size), size);
    writer_put(&out, span_of(methods[request->method]));
    writer_char(&out, ' ');
    writer_put(&out, request->path);
    writer_char(&out, ' ');
    writer_put(&out, request->query.ptr ? request->query : SPAN("-"));
    writer_char(&out, ' ');
    toy_put_body(&out, request->has_body ? request->body : SPAN("-"));
    ASSERT(!out.overflow);
    http_respond(request, &(struct http_response){.status = status,
                                                  .header_lines = SPAN("X-Toy: yes\r\n"),
                                                  .body = writer_text(&out),
                                                  .body_is_borrowed = true,
                                                  .close = span_eq(request->path, SPAN("/close"))});
}

static void respond_big(struct http_request *request, bool is_borrowed)
{
    unsigned long long len = 0;
    bool is_number = span_to_u64(request->query, PATTERN, &len);
    ASSERT(is_number);
    char copy[HTTP_COPIED_BODY_MAX];
    if (!is_borrowed) memcpy(copy, pattern(), (size_t)len);
    struct span body = {is_borrowed ? pattern() : copy, (size_t)len};
    http_respond(request, &(struct http_response){
                              .status = 200, .body = body, .body_is_borrowed = is_borrowed});
    if (!is_borrowed) memset(copy, '!', sizeof copy);
}

static void respond_number(struct http_request *request, unsigned number)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%u", number);
    http_respond(request, &(struct http_response){.status = 200, .body = {text, (size_t)len}});
}

static void open_stream(struct toy *toy, struct http_request *request)
{
    ASSERT(!toy->stream);
    if (!http_stream_open(request, SPAN("X-Toy: stream\r\n"))) return;
    toy->stream = request;
    http_stream_send(request, SPAN("hello"));
}

static void feed_stream(struct toy *toy, struct http_request *request)
{
    unsigned long long len = 0;
    bool is_number = span_to_u64(request->query, PATTERN, &len);
    ASSERT(is_number);
    struct span text = {pattern(), (size_t)len};
    respond_number(request, toy->stream && http_stream_send(toy->stream, text));
}

static void close_stream(struct toy *toy, struct http_request *request)
{
    http_stream_close(toy->stream);
    toy->stream = NULL;
    respond_number(request, 1);
}

/* False: the path is none of the stream's. */
static bool handle_stream(struct toy *toy, struct http_request *request)
{
    if (span_eq(request->path, SPAN("/stream")))
        open_stream(toy, request);
    else if (span_eq(request->path, SPAN("/feed")))
        feed_stream(toy, request);
    else if (span_eq(request->path, SPAN("/unstream")))
        close_stream(toy, request);
    else if (span_eq(request->path, SPAN("/ended")))
        respond_number(request, toy->streams_ended);
    else
        return false;
    return true;
}

static void on_stream_end(struct http_request *request, void *owner)
{
    struct toy *toy = owner;
    ASSERT(toy->stream == request);
    toy->stream = NULL;
    toy->streams_ended++;
}

static size_t on_head(const struct http_request *request, void *owner)
{
    if (span_eq(request->path, SPAN("/small"))) return 16;
    if (span_eq(request->path, SPAN("/mint"))) return LIMIT_MINT_BODY;
    return LIMIT_BODY;
}

static void on_too_large(struct http_request *request, void *owner)
{
    http_respond(request, &(struct http_response){.status = 413, .body = SPAN("too large")});
}

static void on_request(struct http_request *request, void *owner)
{
    struct toy *toy = owner;
    struct span path = request->path;
    if (handle_stream(toy, request)) return;
    if (span_eq(path, SPAN("/hold"))) {
        ASSERT(toy->held_count < HELD_MAX);
        toy->held[toy->held_count++] = request;
    } else if (span_eq(path, SPAN("/async"))) {
        ASSERT(toy->later_count < HELD_MAX);
        toy->later[toy->later_count++] = request;
        ev_wake_ring(&toy->answer_later);
    } else if (span_eq(path, SPAN("/big")) || span_eq(path, SPAN("/copied"))) {
        respond_big(request, span_eq(path, SPAN("/big")));
    } else if (span_eq(path, SPAN("/peer"))) {
        respond_number(request, request->peer.ss_family);
    } else if (span_eq(path, SPAN("/user"))) {
        respond_number(request, ++*(unsigned *)request->user);
    } else {
        bool is_204 = span_eq(path, SPAN("/204")), is_304 = span_eq(path, SPAN("/304"));
        respond_echo(request, is_204 ? 204 : is_304 ? 304 : 200);
    }
}

static void respond_all(struct http_request **requests, size_t *count)
{
    size_t todo = *count;
    struct http_request *now[HELD_MAX];
    memcpy(now, requests, todo * sizeof *now);
    *count = 0;
    for (size_t i = 0; i < todo; i++)
        respond_echo(now[i], 200);
}

static void on_answer_later(struct ev_wake *wake)
{
    struct toy *toy = (struct toy *)((char *)wake - offsetof(struct toy, answer_later));
    respond_all(toy->later, &toy->later_count);
}

static void on_call(struct ev_wake *wake)
{
    struct toy *toy = (struct toy *)((char *)wake - offsetof(struct toy, call));
    pthread_mutex_lock(&toy->lock);
    if (toy->what) toy->what(toy);
    toy->what = NULL;
    pthread_cond_broadcast(&toy->done);
    while (toy->is_blocked)
        pthread_cond_wait(&toy->done, &toy->lock);
    if (toy->is_drain_asked) http_server_drain(toy->server);
    pthread_mutex_unlock(&toy->lock);
}

static void call(struct toy *toy, void (*what)(struct toy *toy))
{
    pthread_mutex_lock(&toy->lock);
    toy->what = what;
    ev_wake_ring(&toy->call);
    while (toy->what)
        pthread_cond_wait(&toy->done, &toy->lock);
    pthread_mutex_unlock(&toy->lock);
}

static void do_release(struct toy *toy)
{
    respond_all(toy->held, &toy->held_count);
}

static void do_drain(struct toy *toy)
{
    http_server_drain(toy->server);
}

static void do_look(struct toy *toy)
{
    http_server_stats(toy->server, &toy->stats);
    toy->is_idle = http_server_idle(toy->server);
    toy->held_seen = toy->held_count;
}

static void do_stop(struct toy *toy)
{
    ev_loop_stop(toy->loop);
}

static void do_block(struct toy *toy)
{
    toy->is_blocked = true;
}

void toy_release(struct toy *toy)
{
    call(toy, do_release);
}

void toy_drain(struct toy *toy)
{
    call(toy, do_drain);
}

void toy_block(struct toy *toy)
{
    call(toy, do_block);
}

void toy_unblock(struct toy *toy)
{
    pthread_mutex_lock(&toy->lock);
    toy->is_blocked = false;
    pthread_cond_broadcast(&toy->done);
    pthread_mutex_unlock(&toy->lock);
}

void toy_unblock_draining(struct toy *toy)
{
    pthread_mutex_lock(&toy->lock);
    toy->is_drain_asked = true;
    pthread_mutex_unlock(&toy->lock);
    toy_unblock(toy);
}

size_t toy_held(struct toy *toy)
{
    call(toy, do_look);
    return toy->held_seen;
}

struct http_stats toy_stats(struct toy *toy)
{
    call(toy, do_look);
    return toy->stats;
}

void toy_wait_conns(struct toy *toy, size_t count)
{
    for (int i = 0; i < 5000; i++) {
        if (toy_stats(toy).conns_open == count) return;
        client_pause_ms(1);
    }
    fail_msg("%zu connections open, not %zu", (size_t)toy_stats(toy).conns_open, count);
}

static void *run(void *argument)
{
    struct toy *toy = argument;
    ev_loop_run(toy->loop);
    return NULL;
}

static void listen_on_loopback(struct toy *toy)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd;
    assert_int_equal(ev_listen_tcp((struct sockaddr *)&address, size, true, &fd), ERR_OK);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    toy->port = ntohs(address.sin_port);
    assert_int_equal(http_server_listen(toy->server, fd), ERR_OK);
    snprintf(toy->path, sizeof toy->path, "/tmp/adtally-http-%d-%u.sock", (int)getpid(),
             (unsigned)toy->port);
    assert_int_equal(ev_listen_unix(toy->path, &fd), ERR_OK);
    assert_int_equal(http_server_listen(toy->server, fd), ERR_OK);
}

struct toy *toy_start(void (*adjust)(struct http_options *options))
{
    static const struct http_handler handler = {on_head, on_too_large, on_request,
                                                .on_stream_end = on_stream_end};
    struct toy *toy = calloc(1, sizeof *toy);
    struct http_options options;
    (void)pattern();
    http_options_init(&options);
    options.handler = &handler;
    options.owner = toy;
    options.user_size = sizeof(unsigned);
    options.conns_max = 64;
    options.head_max = HTTP_ROW_HEAD_MAX;
    options.target_max = HTTP_ROW_TARGET_MAX;
    options.headers_max = HTTP_ROW_HEADERS_MAX;
    options.head_timeout_ms = options.body_timeout_ms = 60 * 1000;
    if (adjust) adjust(&options);

    pthread_mutex_init(&toy->lock, NULL);
    pthread_cond_init(&toy->done, NULL);
    assert_int_equal(ev_loop_new(&toy->loop), ERR_OK);
    assert_int_equal(ev_wake_open(toy->loop, &toy->call, on_call), ERR_OK);
    assert_int_equal(ev_wake_open(toy->loop, &toy->answer_later, on_answer_later), ERR_OK);
    assert_int_equal(http_server_new(&toy->server, toy->loop, &options), ERR_OK);
    listen_on_loopback(toy);
    assert_int_equal(pthread_create(&toy->thread, NULL, run, toy), 0);
    return toy;
}

void toy_stop(struct toy *toy)
{
    toy_release(toy);
    toy_drain(toy);
    int64_t end_ms = clock_mono_ms() + 5000;
    do {
        client_pause_ms(1);
        call(toy, do_look);
    } while (!toy->is_idle && clock_mono_ms() < end_ms);
    assert_true(toy->is_idle);
    assert_int_equal(toy->stats.requests, toy->stats.responses);
    call(toy, do_stop);
    pthread_join(toy->thread, NULL);
    http_server_free(toy->server);
    ev_wake_close(toy->loop, &toy->call);
    ev_wake_close(toy->loop, &toy->answer_later);
    ev_loop_free(toy->loop);
    pthread_mutex_destroy(&toy->lock);
    pthread_cond_destroy(&toy->done);
    unlink(toy->path);
    free(toy);
}

static int connect_to(const struct sockaddr *address, socklen_t size)
{
    const struct timeval patience = {.tv_sec = 10};
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(fd, address, size), 0);
    return fd;
}

int toy_connect(const struct toy *toy)
{
    const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(toy->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = connect_to((struct sockaddr *)&address, sizeof address);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    return fd;
}

int toy_connect_unix(const struct toy *toy)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, toy->path);
    return connect_to((struct sockaddr *)&address, sizeof address);
}
