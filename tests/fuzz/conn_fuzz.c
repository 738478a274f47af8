#include "base/clock.h"
#include "base/writer.h"
#include "ev/loop.h"
#include "http/parse.h"

#include "fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A connection of the real server, on a socket: requests after and behind one another, in pieces of
 * the fuzzer's choice, then the end of the stream. It answers what the parsers, given the same
 * bytes at rest, find in them, in that order, and closes; whatever the pieces.
 *
 * Input: how many cuts there are (16 at most) and a byte for each, then the bytes sent. The pieces
 * are gone through again and again, and have 1 to 256 bytes. */

enum { HEAD_MAX = 1024, TARGET_MAX = 256, HEADERS_MAX = 16, BODY_MAX = 512 };
enum { CUTS_MAX = 16, SENT_MAX = 8192, TEXT_MAX = 256 * 1024, PATIENCE_MS = 5000 };

static const struct http_limits limits = {HEAD_MAX, TARGET_MAX, HEADERS_MAX};

/* -- the server: it says what it was asked ---------------------------------------------------- */

static void write_echo(struct writer *out, enum http_method method, struct span path,
                       struct span body)
{
    writer_u64(out, method);
    writer_char(out, ' ');
    writer_put(out, path);
    writer_char(out, ' ');
    writer_hex(out, body.ptr, body.len);
    writer_char(out, '.');
}

static size_t on_head(const struct http_request *request, void *owner)
{
    return BODY_MAX;
}

static void on_too_large(struct http_request *request, void *owner)
{
    http_respond(request, &(struct http_response){.status = 413});
}

static void on_request(struct http_request *request, void *owner)
{
    char memory[TARGET_MAX + 2 * BODY_MAX + 8];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    write_echo(&out, request->method, request->path, request->body);
    require(!out.overflow, "a request past its limits");
    http_respond(request, &(struct http_response){.status = 200, .body = writer_text(&out)});
}

/* -- what is expected -------------------------------------------------------------------------- */

/* The answers as a text: a line each, status, whether it closes, and the echo. */
static void expect(struct writer *out, int status, bool closes, struct span echo)
{
    writer_u64(out, (uint64_t)status);
    writer_put(out, closes ? SPAN(" close ") : SPAN(" "));
    writer_put(out, echo);
    writer_char(out, '\n');
}

struct message {
    struct http_head_parser parser;
    struct http_header headers[HEADERS_MAX];
    char body[BODY_MAX];
    size_t body_len, len;
    int refusal;
};

/* False: its end is missing. */
static bool read_body(struct message *message, struct span raw)
{
    const struct http_head *head = &message->parser.head;
    size_t at = message->parser.head_len, in_len = raw.len - at;
    struct http_chunked chunked;
    if (!head->is_chunked) {
        if (head->content_length > BODY_MAX) message->refusal = 413;
        if (message->refusal) return true;
        message->body_len = (size_t)head->content_length;
        message->len = at + message->body_len;
        if (in_len < message->body_len) return false;
        memcpy(message->body, raw.ptr + at, message->body_len);
        return true;
    }
    char *decoded = malloc(in_len + 1);
    /* Extensions and trailers have what room the head left. */
    http_chunked_init(&chunked, BODY_MAX, HEAD_MAX - (uint32_t)at);
    enum http_parse parse =
        http_chunked_feed(&chunked, raw.ptr + at, &in_len, decoded, &message->body_len);
    memcpy(message->body, decoded, message->body_len);
    free(decoded);
    message->refusal = chunked.refusal;
    message->len = at + in_len;
    return parse != HTTP_PARSE_MORE;
}

/* False: its end is missing. */
static bool read_message(struct message *message, struct span raw)
{
    message->refusal = 0;
    message->body_len = 0;
    http_head_init(&message->parser, &limits, message->headers);
    enum http_parse parse = http_head_feed(&message->parser, raw.ptr, raw.len);
    if (parse == HTTP_PARSE_MORE) return false;
    if (parse == HTTP_PARSE_DONE) return read_body(message, raw);
    message->refusal = message->parser.refusal;
    return true;
}

static void write_expected(struct writer *out, struct span raw)
{
    static struct message message;
    char memory[TARGET_MAX + 2 * BODY_MAX + 8];
    while (raw.len > 0 && read_message(&message, raw)) {
        const struct http_head *head = &message.parser.head;
        struct writer echo;
        if (message.refusal) {
            expect(out, message.refusal, true, SPAN(""));
            return;
        }
        writer_init(&echo, memory, sizeof memory);
        write_echo(&echo, head->method, head->path, (struct span){message.body, message.body_len});
        expect(out, 200, head->says_close,
               head->method == HTTP_HEAD ? SPAN("") : writer_text(&echo));
        if (head->says_close) return;
        raw = (struct span){raw.ptr + message.len, raw.len - message.len};
    }
}

/* -- the client, at the end of every turn of the loop --------------------------------------------
 */

struct client {
    struct ev_hook hook; /* first */
    struct ev_loop *loop;
    struct http_server *server;
    uint64_t accepted_before;
    int64_t latest_ms;
    int fd;
    struct span unsent, steps;
    size_t next_step;
    bool has_ended; /* its half of the stream */
    char text[TEXT_MAX];
    size_t len;
};

static void send_piece(struct client *client)
{
    size_t step = client->unsent.len;
    if (client->steps.len)
        step =
            1 + (size_t)(unsigned char)client->steps.ptr[client->next_step++ % client->steps.len];
    if (step > client->unsent.len) step = client->unsent.len;
    ssize_t sent = send(client->fd, client->unsent.ptr, step, MSG_NOSIGNAL | MSG_DONTWAIT);
    require(sent > 0 || errno == EPIPE || errno == ECONNRESET, "a socket that takes nothing");
    size_t len = sent > 0 ? (size_t)sent : client->unsent.len; /* the server had enough of it */
    client->unsent = (struct span){client->unsent.ptr + len, client->unsent.len - len};
}

/* False at the end of the server's half. */
static bool receive(struct client *client)
{
    for (;;) {
        ssize_t got =
            recv(client->fd, client->text + client->len, TEXT_MAX - client->len, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) return true;
        if (got <= 0) return false;
        client->len += (size_t)got;
        require(client->len < TEXT_MAX, "answers without end");
    }
}

static bool is_over(const struct client *client)
{
    struct http_stats stats;
    http_server_stats(client->server, &stats);
    if (lies("open")) stats.conns_open++;
    bool is_open = stats.conns_open > 0 || stats.conns_accepted == client->accepted_before;
    require(!is_open || ev_loop_now_ms(client->loop) < client->latest_ms,
            "a connection that stays open");
    return !is_open;
}

static void on_turn_end(struct ev_hook *hook)
{
    struct client *client = (struct client *)hook;
    if (client->unsent.len > 0) {
        send_piece(client);
    } else if (!client->has_ended) {
        shutdown(client->fd, SHUT_WR);
        client->has_ended = true;
    }
    bool is_answered = !receive(client);
    if (client->has_ended && is_answered && is_over(client))
        ev_loop_stop(client->loop);
    else if (!client->has_ended || is_answered)
        ev_loop_again(client->loop);
}

/* -- what was answered
 * ------------------------------------------------------------------------------ */

static bool has_line(struct span head, const char *line)
{
    return memmem(head.ptr, head.len, line, strlen(line)) != NULL;
}

/* `expected` tells which answers have no body though they count one: those to HEAD, where no echo
 * ends the line. */
static void write_answers(struct writer *out, struct span text, struct span expected)
{
    while (text.len > 0) {
        const char *end = memmem(text.ptr, text.len, "\r\n\r\n", 4);
        require(end && span_starts_with(text, SPAN("HTTP/1.1 ")), "no answer, or half of one");
        struct span head = {text.ptr, (size_t)(end - text.ptr) + 2};
        int status = atoi(text.ptr + 9);
        text = (struct span){end + 4, text.len - head.len - 2};
        if (status == 100) continue;
        const char *length = memmem(head.ptr, head.len, "\r\nContent-Length: ", 18);
        require(length != NULL && has_line(head, "\r\nDate: "), "an answer without its length");
        struct span line = span_split(&expected, '\n');
        size_t len = line.len && line.ptr[line.len - 1] == ' ' ? 0 : strtoul(length + 18, NULL, 10);
        require(len <= text.len, "half an answer");
        expect(out, status, has_line(head, "\r\nConnection: close\r\n"),
               (struct span){text.ptr, len});
        text = (struct span){text.ptr + len, text.len - len};
    }
}

/* -- one connection
 * ---------------------------------------------------------------------------------- */

static struct ev_loop *loop;
static struct http_server *server;
static struct sockaddr_un address;
static socklen_t address_len;

static void start(void)
{
    static const struct http_handler handler = {on_head, on_too_large, on_request};
    struct http_options options;
    http_options_init(&options);
    options.handler = &handler;
    options.arena_size = 64 * 1024;
    options.conns_max = 4;
    options.head_max = HEAD_MAX;
    options.target_max = TARGET_MAX;
    options.headers_max = HEADERS_MAX;
    require(ev_loop_new(&loop) == ERR_OK, "no loop");
    require(http_server_new(&server, loop, &options) == ERR_OK, "no server");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address.sun_family = AF_UNIX; /* and no name: the kernel finds one */
    require(bind(fd, (struct sockaddr *)&address, sizeof address.sun_family) == 0, "no name");
    address_len = sizeof address;
    require(getsockname(fd, (struct sockaddr *)&address, &address_len) == 0, "no name");
    require(listen(fd, 4) == 0 && http_server_listen(server, fd) == ERR_OK, "no listener");
}

static void converse(struct client *client, struct span raw, struct span steps)
{
    struct http_stats stats;
    client->hook = (struct ev_hook){.on_turn_end = on_turn_end};
    client->loop = loop;
    client->server = server;
    http_server_stats(server, &stats);
    client->accepted_before = stats.conns_accepted;
    client->latest_ms = clock_mono_ms() + PATIENCE_MS;
    client->unsent = raw;
    client->steps = steps;
    client->next_step = client->len = 0;
    client->has_ended = false;
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(connect(client->fd, (struct sockaddr *)&address, address_len) == 0, "no connection");
    ev_hook_add(loop, &client->hook);
    ev_loop_run(loop);
    ev_hook_remove(loop, &client->hook);
    close(client->fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct client client;
    static char expected_text[TEXT_MAX], answers_text[TEXT_MAX];
    struct choices from = {bytes, size};
    struct writer expected, answers;
    if (!loop) start();
    if (size > SENT_MAX) return 0;
    struct span steps = choose_text(&from, CUTS_MAX);
    struct span raw = own_copy(choose_rest(&from));
    writer_init(&expected, expected_text, sizeof expected_text);
    writer_init(&answers, answers_text, sizeof answers_text);
    write_expected(&expected, raw);
    converse(&client, raw, steps);
    if (lies("answer") && client.len > 12) client.text[9] = '5';
    if (lies("missing")) client.len = 0;
    write_answers(&answers, (struct span){client.text, client.len}, writer_text(&expected));
    require(!answers.overflow && span_eq(writer_text(&answers), writer_text(&expected)),
            "other answers than expected");
    own_free(raw);
    return 0;
}
