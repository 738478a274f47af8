#include "unit.h"

#include "base/clock.h"
#include "base/limits.h"
#include "http_client.h"
#include "http_rows.h"
#include "http_toy.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* A server and clients on sockets. What the parser decides is sent through it once more, since the
 * boundaries of reads are the connection's business. */

static struct toy *shared; /* for the rows, which leave nothing behind */

#define HOST "Host: a\r\n"

/* ---- http_rows.h on a socket ---- */

enum { MESSAGE_MAX = 4096 };

struct message {
    char text[MESSAGE_MAX];
    size_t len;
};

static void append(struct message *message, const char *text, size_t len)
{
    assert_true(message->len + len <= MESSAGE_MAX);
    memcpy(message->text + message->len, text, len);
    message->len += len;
}

/* Sends, half-closes, reads everything. */
static struct stream exchange(const struct message *message, const size_t *cuts, size_t count)
{
    int fd = toy_connect(shared);
    client_send_cut(fd, message->text, cuts, count);
    shutdown(fd, SHUT_WR);
    struct stream stream = client_read_all(fd);
    close(fd);
    return stream;
}

typedef void stream_check(struct stream stream, const struct http_row *row);

static void exchange_in_pieces(const struct message *message, const struct http_row *row,
                               stream_check *check)
{
    size_t cuts[MESSAGE_MAX], len = message->len;
    check(exchange(message, &len, 1), row);
    for (size_t i = 0; i < len; i++)
        cuts[i] = i + 1;
    check(exchange(message, cuts, len), row);
    for (unsigned seed = 1; seed <= 5; seed++) {
        size_t count = 0, at = 0;
        srand(seed);
        while (at < len) {
            at += 1 + (size_t)rand() % (1 + len / 3);
            cuts[count++] = at < len ? at : len;
        }
        check(exchange(message, cuts, count), row);
    }
}

static bool is_refusal(const char *outcome)
{
    return strlen(outcome) == 3 && outcome[0] == '4';
}

static bool is_unfinished(const char *outcome)
{
    return strcmp(outcome, "more") == 0;
}

static void check_head_stream(struct stream stream, const struct http_row *row)
{
    const char *got = client_describe(stream.text, stream.len, strncmp(row->raw, "HEAD", 4) == 0);
    char refusal[16];
    snprintf(refusal, sizeof refusal, "%s close", row->outcome);
    assert_false(stream.is_reset);
    if (is_unfinished(row->outcome)) {
        assert_string_equal(got, "");
    } else if (is_refusal(row->outcome)) {
        assert_string_equal(got, refusal);
    } else {
        if (strncmp(got, "100 | ", 6) == 0) got += 6;
        const char *status = strstr(row->outcome, "4611686018427387904") ? "413" : "200";
        assert_memory_equal(got, status, 3);
    }
}

/* The length that an accepted head announces; 0 for "none" and "chunked". */
static size_t announced_len(const struct http_row *row)
{
    const char *end = strstr(row->outcome, " keep");
    if (!end) end = strstr(row->outcome, " close");
    while (end[-1] != ' ')
        end--;
    return strtoul(end, NULL, 10);
}

/* A head that is accepted gets the body it announces, and no byte more: a client that says it
 * closes is believed, and what it sends after its request resets the connection. */
static void head_row(void **state)
{
    const struct http_row *row = *state;
    struct message message = {.len = 0};
    append(&message, row->raw, row->raw_len);
    if (!is_refusal(row->outcome) && !is_unfinished(row->outcome) && !strchr(row->outcome, '+')) {
        size_t len = announced_len(row);
        if (strstr(row->outcome, "chunked")) append(&message, "0\r\n\r\n", 5);
        append(&message, X10, len < 10 ? len : 10);
    }
    exchange_in_pieces(&message, row, check_head_stream);
}

static void check_body_stream(struct stream stream, const struct http_row *row)
{
    char expected[256];
    const char *left = strstr(row->outcome, " +");
    int body_len = left ? (int)(left - row->outcome) : (int)strlen(row->outcome);
    if (is_unfinished(row->outcome))
        expected[0] = 0;
    else if (strcmp(row->outcome, "413") == 0)
        snprintf(expected, sizeof expected, "413 close too large");
    else if (is_refusal(row->outcome))
        snprintf(expected, sizeof expected, "%s close", row->outcome);
    else
        snprintf(expected, sizeof expected, "200 POST /small - %.*s", body_len, row->outcome);
    client_expect(stream, expected);
}

/* The head is as long as leaves HTTP_ROW_EXTRA_MAX bytes for extensions and trailers. */
static void body_row(void **state)
{
    const struct http_row *row = *state;
    struct message message = {.len = 0};
    char head[HTTP_ROW_HEAD_MAX + 1];
    memset(head, 'x', sizeof head);
    const char front[] = "POST /small HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nX: ";
    memcpy(head, front, sizeof front - 1);
    size_t head_len = HTTP_ROW_HEAD_MAX - HTTP_ROW_EXTRA_MAX;
    memcpy(head + head_len - 4, "\r\n\r\n", 4);
    append(&message, head, head_len);
    append(&message, row->raw, row->raw_len);
    exchange_in_pieces(&message, row, check_body_stream);
}

/* ---- whole conversations ---- */

struct conversation {
    const char *name;
    const char *sent;
    const char *received;
};

// clang-format off
static const struct conversation conversations[] = {
    {"keep-alive", "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n", "200 GET /1 - - | 200 GET /2 - -"},
    {"close asked for", "GET /1 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n", "200 close GET /1 - -"},
    {"close by the handler", "GET /close HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n", "200 close GET /close - -"},
    {"http 1.0", "GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", "200 close GET /1 - -"},
    {"http 1.0 keep-alive", "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", "200 keep-alive GET /1 - - | 200 close GET /2 - -"},
    {"later answers in order", "GET /async?1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\nGET /async?3 HTTP/1.1\r\n" HOST "\r\n", "200 GET /async 1 - | 200 GET /2 - - | 200 GET /async 3 -"},
    {"refusal behind an answer", "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2\r\n\r\n", "200 GET /1 - - | 400 close"},
    {"refusal behind a later answer", "GET /async HTTP/1.1\r\n" HOST "\r\nGET /2\r\n\r\n", "200 GET /async - - | 400 close"},
    {"bodies and heads in turn", "POST /1 HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nabPOST /2 HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nc\r\n2\r\nde\r\n0\r\n\r\nGET /3 HTTP/1.1\r\n" HOST "\r\n", "200 POST /1 - ab | 200 POST /2 - cde | 200 GET /3 - -"},
    {"get with a body", "GET /1 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\n" HOST "\r\n", "200 GET /1 - abc | 200 GET /2 - -"},
    {"empty line between requests", "POST /1 HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n", "200 POST /1 - a | 200 GET /2 - -"},
    {"no content", "POST /204 HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\naGET /304 HTTP/1.1\r\n" HOST "\r\n", "204 | 304"},
    {"expect with the body behind", "POST /1 HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab", "200 POST /1 - ab"},
    {"expect without a body", "POST /1 HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", "200 POST /1 - -"},
    {"expect with a body too large", "POST /small HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 17\r\n\r\n", "413 close too large"},
    {"body at the limit", "POST /small HTTP/1.1\r\n" HOST "Content-Length: 16\r\n\r\n0123456789abcdef", "200 POST /small - 0123456789abcdef"},
    {"body past the limit", "POST /small HTTP/1.1\r\n" HOST "Content-Length: 17\r\n\r\n0123456789abcdefgGET / HTTP/1.1\r\n" HOST "\r\n", "413 close too large"},
    {"large route with a small body", "POST /mint HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nabGET /2 HTTP/1.1\r\n" HOST "\r\n", "200 POST /mint - ab | 200 GET /2 - -"},
    {"large route, chunked", "POST /mint HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n", "200 POST /mint - ab | 200 GET /2 - -"},
    {"large route without a body", "POST /mint HTTP/1.1\r\n" HOST "\r\n", "200 POST /mint - -"},
    {"peer on the loopback", "GET /peer HTTP/1.1\r\n" HOST "\r\n", "200 2"},
    {"user bytes last as long as the connection", "GET /user HTTP/1.1\r\n" HOST "\r\nGET /user HTTP/1.1\r\n" HOST "\r\n", "200 1 | 200 2"},
    {"nothing", "", ""},
    {"unfinished body", "POST /1 HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\na", ""},
};
// clang-format on

/* An interim 100 depends on how the input is cut. */
static void check_conversation(struct stream stream, const struct http_row *row)
{
    assert_false(stream.is_reset);
    const char *got = client_describe(stream.text, stream.len, false);
    if (strncmp(got, "100 | ", 6) == 0 && strstr(row->raw, "Expect")) got += 6;
    assert_string_equal(got, row->outcome);
}

static void conversation_row(void **state)
{
    const struct conversation *conversation = *state;
    struct message message = {.len = 0};
    struct http_row row = {conversation->name, conversation->sent, strlen(conversation->sent),
                           conversation->received};
    append(&message, row.raw, row.raw_len);
    if (row.raw_len) exchange_in_pieces(&message, &row, check_conversation);
}

/* ---- scenarios, each with a server of its own ---- */

static void head_is_answered_without_its_body(void **state)
{
    int fd = toy_connect(shared);
    client_send_text(fd, "HEAD /1 HTTP/1.1\r\n" HOST "\r\nHEAD /204 HTTP/1.1\r\n" HOST
                         "\r\nHEAD /2 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    struct stream stream = client_read_all(fd);
    assert_string_equal(client_describe(stream.text, stream.len, true), "200 | 204 | 200 close");
    assert_non_null(strstr(stream.text, "Content-Length: 11\r\n")); /* "HEAD /1 - -" */
    close(fd);
}

static void response_is_written_as_documented(void **state)
{
    int fd = toy_connect(shared);
    client_send_text(fd, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    struct stream stream = client_read_all(fd);
    char *date = strstr(stream.text, "Date: ");
    assert_non_null(date);
    assert_string_equal(date + 6 + 29, "\r\nConnection: close\r\nX-Toy: yes\r\n\r\nGET / - -");
    assert_memory_equal(date + 6 + 25, " GMT", 4);
    date[0] = 0;
    assert_string_equal(stream.text, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n");
    close(fd);
}

static void many_requests_in_one_segment(void **state)
{
    enum { COUNT = 400, BODY = 1000 };
    struct toy *toy = toy_start(NULL);
    char *text = malloc(COUNT * (BODY + 200));
    size_t len = 0;
    for (int i = 0; i < COUNT; i++)
        len += (size_t)sprintf(text + len,
                               "POST /n%d HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n%0*d", i,
                               BODY, BODY, i);
    int fd = toy_connect(toy);
    toy_block(toy); /* so that the server finds all of it at once */
    size_t half = len / 2;
    assert_int_equal(client_send(fd, text, half), half);
    toy_unblock(toy);
    assert_int_equal(client_send(fd, text + half, len - half), len - half);
    shutdown(fd, SHUT_WR);
    struct stream stream = client_read_all(fd);
    const char *at = stream.text;
    for (int i = 0; i < COUNT; i++) {
        char body[BODY + 1], expected[64];
        sprintf(body, "%0*d", BODY, i);
        sprintf(expected, "\r\n\r\nPOST /n%d - %d %u", i, BODY, toy_hash(body, BODY));
        at = strstr(at, expected);
        if (!at) fail_msg("%d: %s", i, expected);
        at += strlen(expected);
    }
    assert_int_equal(at - stream.text, stream.len);
    free(text);
    close(fd);
    toy_stop(toy);
}

static void every_pipelined_request_may_be_answered_later(void **state)
{
    enum { COUNT = 300 };
    int fd = toy_connect(shared);
    for (int i = 0; i < COUNT; i++) {
        char text[100];
        sprintf(text, "GET /async?%d HTTP/1.1\r\n" HOST "\r\n", i);
        client_send_text(fd, text);
    }
    shutdown(fd, SHUT_WR);
    struct stream stream = client_read_all(fd);
    const char *at = stream.text;
    for (int i = 0; i < COUNT; i++) {
        char expected[64];
        sprintf(expected, "GET /async %d -", i);
        at = strstr(at, expected);
        assert_non_null(at);
    }
    close(fd);
}

static void half_closed_client_gets_its_answer(void **state)
{
    struct toy *toy = toy_start(NULL);
    int fd = toy_connect(toy);
    client_send_text(fd, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    shutdown(fd, SHUT_WR);
    while (toy_held(toy) == 0)
        client_pause_ms(1);
    client_pause_ms(20);
    toy_release(toy);
    client_expect(client_read_all(fd), "200 GET /hold - -");
    close(fd);
    toy_stop(toy);
}

static void abort_connection(int fd)
{
    const struct linger none = {.l_onoff = 1};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none), 0);
    close(fd);
}

static void client_that_breaks_off_while_handled_is_forgotten(void **state)
{
    struct toy *toy = toy_start(NULL);
    for (int i = 0; i < 20; i++) {
        int fd = i % 3 ? toy_connect(toy) : toy_connect_unix(toy);
        client_send_text(fd, "POST /hold HTTP/1.1\r\n" HOST
                             "Content-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\n" HOST "\r\n");
        while (toy_held(toy) != (size_t)i % 5 + 1)
            client_pause_ms(1);
        if (i % 2)
            abort_connection(fd);
        else
            close(fd);
        if (i % 5 != 4) continue;
        client_pause_ms(5);
        assert_true(toy_stats(toy).conns_open >= 5); /* the slots stay */
        toy_release(toy);
        toy_wait_conns(toy, 0);
    }
    toy_stop(toy);
}

static void client_that_breaks_off_in_a_body_is_forgotten(void **state)
{
    struct toy *toy = toy_start(NULL);
    const char *const beginnings[] = {
        "G", "GET / HTTP/1.1\r\nHo", "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc",
        "POST /mint HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc",
        "POST /mint HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc"};
    for (size_t i = 0; i < 20; i++) {
        int fd = toy_connect(toy);
        client_send_text(fd, beginnings[i % 5]);
        client_pause_ms(2);
        if (i % 2)
            abort_connection(fd);
        else
            close(fd);
    }
    toy_wait_conns(toy, 0);
    assert_int_equal(toy_stats(toy).requests, 0);
    toy_stop(toy);
}

/* The answer must not be lost to a reset while the client is still sending. */
static void too_large_is_answered_while_the_client_sends(void **state)
{
    enum { MORE = 300 * 1000 };
    const char *const heads[] = {
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 9000000\r\n\r\n",
        "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n900000\r\n",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n",
        "GET /\n",
        "POST /mint HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n",
    };
    char *more = calloc(1, MORE);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        int fd = toy_connect(shared);
        client_send_text(fd, heads[i]);
        for (int j = 0; j < 4; j++) {
            assert_int_equal(client_send(fd, more, MORE / 4), MORE / 4);
            client_pause_ms(10);
        }
        client_expect(client_read_all(fd),
                      heads[i][0] == 'P' ? "413 close too large" : "400 close");
        close(fd);
    }
    free(more);
}

/* And a client that never stops is not waited for. */
static void draining_ends_after_a_second(void **state)
{
    struct toy *toy = toy_start(NULL);
    int fd = toy_connect(toy);
    int64_t start_ms = clock_mono_ms();
    client_send_text(fd, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9000000\r\n\r\n");
    while (client_send(fd, "x", 1) == 1 && clock_mono_ms() - start_ms < 5000)
        client_pause_ms(10);
    int64_t took_ms = clock_mono_ms() - start_ms;
    assert_in_range(took_ms, 900, 1600);
    toy_wait_conns(toy, 0);
    close(fd);
    toy_stop(toy);
}

static void continue_is_sent_when_the_body_is_awaited(void **state)
{
    int fd = toy_connect(shared);
    const char *const posts[] = {
        "POST /1 HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
        "POST /mint HTTP/1.1\r\n" HOST "Expect: 100-CONTINUE\r\nContent-Length: 2\r\n\r\n"};
    for (int i = 0; i < 2; i++) {
        client_send_text(fd, posts[i]);
        client_expect(client_read_responses(fd, 1, false), "100");
        client_send_text(fd, "ab");
        client_expect(client_read_responses(fd, 1, false),
                      i ? "200 POST /mint - ab" : "200 POST /1 - ab");
    }
    client_send_text(fd, "POST /2 HTTP/1.1\r\n" HOST
                         "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
    client_expect(client_read_responses(fd, 1, false), "100");
    client_send_text(fd, "1\r\nc\r\n0\r\n\r\n");
    client_expect(client_read_responses(fd, 1, false), "200 POST /2 - c");
    client_send_text(fd, "POST /3 HTTP/1.1\r\n" HOST
                         "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab");
    client_expect(client_read_responses(fd, 1, false), "200 POST /3 - ab");
    close(fd);
}

static void send_chunks(int fd, const char *body, size_t len, size_t chunk_len)
{
    char *text = malloc(len * 8 + 64), *at = text;
    for (size_t i = 0; i < len; i += chunk_len) {
        size_t now = len - i < chunk_len ? len - i : chunk_len;
        at += sprintf(at, "%zx\r\n", now);
        memcpy(at, body + i, now);
        memcpy(at + now, "\r\n", 2);
        at += now + 2;
    }
    memcpy(at, "0\r\n\r\n", 5);
    (void)client_send(fd, text, (size_t)(at + 5 - text));
    free(text);
}

static void check_chunked_body(int fd, const char *path, size_t len, size_t chunk_len)
{
    char head[200], expected[100];
    char *body = malloc(len);
    for (size_t i = 0; i < len; i++)
        body[i] = toy_pattern(i);
    sprintf(head, "POST %s HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", path);
    client_send_text(fd, head);
    send_chunks(fd, body, len, chunk_len);
    sprintf(expected, "200 POST %s - %zu %u", path, len, toy_hash(body, len));
    client_expect(client_read_responses(fd, 1, false), expected);
    free(body);
}

static void chunked_bodies_of_any_chunk_size(void **state)
{
    int fd = toy_connect(shared);
    check_chunked_body(fd, "/1", 20000, 1);
    check_chunked_body(fd, "/1", LIMIT_BODY, 1);
    check_chunked_body(fd, "/1", LIMIT_BODY, 3000);
    check_chunked_body(fd, "/1", LIMIT_BODY, LIMIT_BODY);
    check_chunked_body(fd, "/mint", 300000, 1);
    check_chunked_body(fd, "/mint", LIMIT_MINT_BODY, 7777);
    check_chunked_body(fd, "/mint", LIMIT_MINT_BODY, LIMIT_MINT_BODY);
    close(fd);
}

static void sized_bodies_up_to_the_limits(void **state)
{
    int fd = toy_connect(shared);
    for (int i = 0; i < 3; i++) {
        client_expect_sized_body(fd, "/1", 100);
        client_expect_sized_body(fd, "/1", LIMIT_BODY);
        client_expect_sized_body(fd, "/mint", 100);
        client_expect_sized_body(fd, "/mint", LIMIT_MINT_BODY);
    }
    close(fd);
}

static void unix_peers_have_no_address(void **state)
{
    int fd = toy_connect_unix(shared);
    client_send_text(fd, "GET /peer HTTP/1.1\r\n" HOST "\r\n");
    shutdown(fd, SHUT_WR);
    client_expect(client_read_all(fd), "200 0");
    close(fd);
}

static int start_shared(void **state)
{
    shared = toy_start(NULL);
    return 0;
}

static int stop_shared(void **state)
{
    toy_stop(shared);
    return 0;
}

int main(void)
{
    UNIT_ADD_ROWS(http_row_heads, head_row);
    UNIT_ADD_ROWS(http_row_bodies, body_row);
    UNIT_ADD_ROWS(conversations, conversation_row);
    UNIT_ADD(head_is_answered_without_its_body);
    UNIT_ADD(response_is_written_as_documented);
    UNIT_ADD(many_requests_in_one_segment);
    UNIT_ADD(every_pipelined_request_may_be_answered_later);
    UNIT_ADD(half_closed_client_gets_its_answer);
    UNIT_ADD(unix_peers_have_no_address);
    UNIT_ADD(client_that_breaks_off_while_handled_is_forgotten);
    UNIT_ADD(client_that_breaks_off_in_a_body_is_forgotten);
    UNIT_ADD(too_large_is_answered_while_the_client_sends);
    UNIT_ADD(draining_ends_after_a_second);
    UNIT_ADD(continue_is_sent_when_the_body_is_awaited);
    UNIT_ADD(chunked_bodies_of_any_chunk_size);
    UNIT_ADD(sized_bodies_up_to_the_limits);
    return _cmocka_run_group_tests("http", unit_cases, unit_cases_count, start_shared,
                                   stop_shared) != 0;
}
