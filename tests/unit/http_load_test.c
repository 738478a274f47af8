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

/* What time, memory, crowds and slow readers do to a server, each with one of its own. */

#define HOST "Host: a\r\n"

#ifndef TOY_SANITIZED
static size_t resident(void)
{
    size_t total, pages;
    FILE *statm = fopen("/proc/self/statm", "r");
    assert_int_equal(fscanf(statm, "%zu %zu", &total, &pages), 2);
    fclose(statm);
    return pages * 4096;
}

/* The server gives memory back after its answer is out: the client may look before that. */
static bool resident_sinks_below(size_t size)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    for (int i = 0; i < 500; i++) {
        if (resident() < size) return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

static void idle_connections_give_large_memory_back(void **state)
{
    enum { COUNT = 60 };
    struct toy *toy = toy_start(NULL);
    int fds[COUNT];
    size_t before = 0;
    for (int i = 0; i < COUNT; i++) {
        fds[i] = toy_connect(toy);
        client_expect_sized_body(fds[i], "/1", LIMIT_BODY);
        client_expect_sized_body(fds[i], "/mint", LIMIT_MINT_BODY);
        if (i == 0) before = resident(); /* the test's own buffers are warm */
    }
    assert_true(resident_sinks_below(before + COUNT * (size_t)LIMIT_BODY / 2));
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    toy_stop(toy);
}
#endif

static void one_large_slot(struct http_options *options)
{
    options->large_count = 1;
}

static void large_requests_past_the_slots_are_told_to_retry(void **state)
{
    struct toy *toy = toy_start(one_large_slot);
    int first = toy_connect(toy), second = toy_connect(toy);
    client_send_text(first, "POST /mint HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\na");
    client_pause_ms(20);
    client_send_text(second, "POST /mint HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab");
    client_expect(client_read_all(second), "503 close retry");
    client_send_text(first, "b");
    client_expect(client_read_responses(first, 1, false), "200 POST /mint - ab");
    close(second);
    second = toy_connect(toy);
    client_expect_sized_body(second, "/mint", LIMIT_MINT_BODY);
    /* A connection that breaks gives its slot back. */
    client_send_text(first, "POST /mint HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\na");
    client_pause_ms(20);
    close(first);
    toy_wait_conns(toy, 1);
    client_expect_sized_body(second, "/mint", LIMIT_MINT_BODY);
    assert_int_equal(toy_stats(toy).refused_large, 1);
    close(second);
    toy_stop(toy);
}

static void short_timeouts(struct http_options *options)
{
    options->head_timeout_ms = 300;
    options->body_timeout_ms = 300;
    options->idle_timeout_ms = 700;
    options->write_timeout_ms = 300;
}

/* Sends a byte of `text` every 20 ms until the server closes: no such trickle keeps a request. */
static int64_t trickle(int fd, const char *text)
{
    int64_t start_ms = clock_mono_ms();
    for (; *text && client_send(fd, text, 1) == 1; text++) {
        char byte;
        if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1) break;
        client_pause_ms(20);
    }
    return clock_mono_ms() - start_ms;
}

#define LONG "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void slow_requests_time_out(void **state)
{
    struct toy *toy = toy_start(short_timeouts);
    const char *const beginnings[] = {"", "POST / HTTP/1.1\r\n" HOST "Content-Length: 99\r\n\r\n",
                                      "POST / HTTP/1.1\r\n" HOST
                                      "Transfer-Encoding: chunked\r\n\r\n99\r\n",
                                      "POST /mint HTTP/1.1\r\n" HOST "Content-Length: 99\r\n\r\n"};
    for (size_t i = 0; i < 4; i++) {
        int fd = toy_connect(toy);
        client_send_text(fd, beginnings[i]);
        assert_in_range(trickle(fd, i ? LONG : "GET /" LONG), 250, 650);
        client_expect(client_read_all(fd), "408 close");
        close(fd);
    }
    assert_int_equal(toy_stats(toy).timeouts, 4);
    toy_stop(toy);
}

static void idle_connections_are_closed(void **state)
{
    struct toy *toy = toy_start(short_timeouts);
    int fresh = toy_connect(toy), used = toy_connect(toy);
    int64_t start_ms = clock_mono_ms();
    client_send_text(used, "GET / HTTP/1.1\r\n" HOST "\r\n");
    client_expect(client_read_all(used), "200 GET / - -");
    client_expect(client_read_all(fresh), "");
    assert_in_range(clock_mono_ms() - start_ms, 650, 1100);
    assert_int_equal(toy_stats(toy).timeouts, 0);
    close(fresh);
    close(used);
    toy_stop(toy);
}

static void client_that_does_not_read_is_cut_off(void **state)
{
    struct toy *toy = toy_start(short_timeouts);
    int fd = toy_connect(toy);
    toy_wait_conns(toy, 1);
    for (int i = 0; i < 10; i++)
        client_send_text(fd, "GET /big?2000000 HTTP/1.1\r\n" HOST "\r\n");
    toy_wait_conns(toy, 0);
    assert_int_equal(toy_stats(toy).timeouts, 1);
    close(fd);
    toy_stop(toy);
}

static void handling_has_no_deadline(void **state)
{
    struct toy *toy = toy_start(short_timeouts);
    int fd = toy_connect(toy);
    client_send_text(fd, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    client_pause_ms(1200);
    toy_release(toy);
    client_expect(client_read_responses(fd, 1, false), "200 GET /hold - -");
    close(fd);
    toy_stop(toy);
}

static int64_t cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

static void four_connections(struct http_options *options)
{
    options->conns_max = 4;
}

static void connections_past_the_limit_wait(void **state)
{
    struct toy *toy = toy_start(four_connections);
    int fds[6];
    for (int i = 0; i < 6; i++) {
        fds[i] = i % 2 ? toy_connect(toy) : toy_connect_unix(toy);
        client_send_text(fds[i], "GET /user HTTP/1.1\r\n" HOST "\r\n");
    }
    size_t answered = 0;
    int64_t cpu_before_us = cpu_us();
    client_pause_ms(150);
    assert_true(cpu_us() - cpu_before_us < 75 * 1000); /* it does not spin */
    assert_int_equal(toy_stats(toy).conns_open, 4);
    for (int round = 0; answered < 6 && round < 100; round++)
        for (int i = 0; i < 6; i++) {
            char byte;
            if (fds[i] < 0 || recv(fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 1) continue;
            client_expect(client_read_responses(fds[i], 1, false), "200 1"); /* and zeroed */
            close(fds[i]);
            fds[i] = -1;
            answered++;
            client_pause_ms(10);
        }
    assert_int_equal(answered, 6);
    toy_wait_conns(toy, 0);
    assert_int_equal(toy_stats(toy).conns_accepted, 6);
    toy_stop(toy);
}

#define UNFINISHED_HEAD "GET / HTTP/1.1\r\n"
#define UNFINISHED_BODY "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nx"
#define BIG "GET /big?2000000 HTTP/1.1\r\n" HOST "\r\n"
#define UNREAD BIG BIG BIG BIG BIG BIG BIG BIG BIG BIG BIG BIG

static void expect_answer(int fd, const char *path)
{
    char request[64], expected[64];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" HOST "\r\n", path);
    snprintf(expected, sizeof expected, "200 GET %s - -", path);
    client_send_text(fd, request);
    client_expect(client_read_responses(fd, 1, false), expected);
}

/* Each of them keeps a full server waiting in its way, and gives its place to who comes. */
static void who_waits_longest_for_its_client_makes_room(void **state)
{
    enum { SILENT, UNREADING = 3 };
    const char *const ways[] = {"", UNFINISHED_HEAD, UNFINISHED_BODY, UNREAD};
    for (size_t way = 0; way < sizeof ways / sizeof ways[0]; way++) {
        struct toy *toy = toy_start(four_connections);
        int fds[4], late;
        for (int i = 0; i < 4; i++) {
            fds[i] = toy_connect(toy);
            client_send_text(fds[i], ways[way]);
            client_pause_ms(20);
        }
        late = toy_connect(toy);
        int64_t start_ms = clock_mono_ms();
        expect_answer(late, "/late");
        assert_in_range(clock_mono_ms() - start_ms, 700, 1500);
        assert_int_equal(toy_stats(toy).conns_open, 4);
        assert_int_equal(toy_stats(toy).timeouts, way == SILENT ? 0 : 1);
        if (way != UNREADING) { /* the first of them, and no other */
            char byte;
            struct stream stream = client_read_all(fds[0]);
            if (way == SILENT) client_expect(stream, "");
            assert_int_equal(recv(fds[1], &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1);
        }
        for (int i = 0; i < 4; i++)
            close(fds[i]);
        close(late);
        toy_stop(toy);
    }
}

static void who_is_between_requests_makes_room_first(void **state)
{
    struct toy *toy = toy_start(four_connections);
    int body = toy_connect(toy), held = toy_connect(toy), idle = toy_connect(toy);
    client_send_text(body, "POST /slow HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\na");
    client_send_text(held, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    client_pause_ms(50);
    expect_answer(idle, "/1");
    client_pause_ms(1100);
    int busy = toy_connect(toy);
    expect_answer(busy, "/2");
    int late = toy_connect(toy);
    expect_answer(late, "/late"); /* at once: somebody has waited for long enough */
    client_expect(client_read_all(idle), "");
    expect_answer(busy, "/3");
    client_send_text(body, "b");
    client_expect(client_read_responses(body, 1, false), "200 POST /slow - ab");
    toy_release(toy);
    client_expect(client_read_responses(held, 1, false), "200 GET /hold - -");
    int fds[] = {body, held, idle, busy, late};
    for (int i = 0; i < 5; i++)
        close(fds[i]);
    toy_stop(toy);
}

/* A place is taken from nobody while those that come are as slow. */
static void a_handled_request_never_makes_room(void **state)
{
    struct toy *toy = toy_start(four_connections);
    int fds[5];
    for (int i = 0; i < 4; i++) {
        fds[i] = toy_connect(toy);
        client_send_text(fds[i], "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    }
    while (toy_held(toy) < 4)
        client_pause_ms(1);
    fds[4] = toy_connect(toy);
    client_send_text(fds[4], "GET /late HTTP/1.1\r\n" HOST "\r\n");
    int64_t cpu_before_us = cpu_us();
    client_pause_ms(1300);
    assert_true(cpu_us() - cpu_before_us < 200 * 1000); /* it does not spin */
    assert_int_equal(toy_stats(toy).conns_accepted, 4);
    toy_release(toy);
    for (int i = 0; i < 4; i++)
        client_expect(client_read_responses(fds[i], 1, false), "200 GET /hold - -");
    client_expect(client_read_responses(fds[4], 1, false), "200 GET /late - -");
    for (int i = 0; i < 5; i++)
        close(fds[i]);
    toy_stop(toy);
}

static void out_of_descriptors_it_waits_without_spinning(void **state)
{
    enum { DESCRIPTORS_MAX = 4096 };
    struct toy *toy = toy_start(NULL);
    struct rlimit before, low = {.rlim_cur = DESCRIPTORS_MAX};
    getrlimit(RLIMIT_NOFILE, &before);
    low.rlim_max = before.rlim_max;
    int first = toy_connect(toy), second = socket(AF_INET, SOCK_STREAM, 0), spare;
    toy_wait_conns(toy, 1);
    low.rlim_cur = (rlim_t)second + 1;
    setrlimit(RLIMIT_NOFILE, &low);
    while ((spare = dup(0)) >= 0) /* holes below */
        ;
    setrlimit(RLIMIT_NOFILE, &low);
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    assert_int_equal(getpeername(first, (struct sockaddr *)&address, &size), 0);
    int64_t cpu_before_us = cpu_us();
    assert_int_equal(connect(second, (struct sockaddr *)&address, size), 0);
    client_pause_ms(350);
    assert_true(cpu_us() - cpu_before_us < 100 * 1000);
    assert_int_equal(toy_stats(toy).conns_open, 1);
    client_send_text(first, "GET /1 HTTP/1.1\r\n" HOST "\r\n");
    client_expect(client_read_responses(first, 1, false), "200 GET /1 - -");
    setrlimit(RLIMIT_NOFILE, &before);
    client_send_text(second, "GET /2 HTTP/1.1\r\n" HOST "\r\n");
    client_expect(client_read_responses(second, 1, false), "200 GET /2 - -");
    close(first);
    close(second);
    toy_stop(toy);
}

static void check_pattern(int fd, size_t len, size_t pause_every)
{
    char buffer[3000];
    size_t at = 0, head_len = 0, reads = 0;
    while (at < len) {
        ssize_t got = recv(fd, buffer, head_len ? sizeof buffer : 400, 0);
        assert_true(got > 0);
        char *from = buffer, *end = buffer + got;
        if (!head_len) {
            char *blank = memmem(buffer, (size_t)got, "\r\n\r\n", 4);
            assert_non_null(blank);
            from = blank + 4;
            head_len = 1;
        }
        for (; from < end; from++, at++)
            if (*from != toy_pattern(at)) fail_msg("byte %zu differs", at);
        if (++reads % pause_every == 0) client_pause_ms(1);
    }
    assert_int_equal(at, len);
}

static void large_responses_reach_slow_readers(void **state)
{
    struct toy *toy = toy_start(NULL);
    const int small = 32 * 1024;
    const struct {
        const char *path;
        size_t len;
    } sends[] = {{"/big", 2000000}, {"/copied", HTTP_COPIED_BODY_MAX},
                 {"/big", 4096},    {"/big", 4097},
                 {"/copied", 4096}, {"/copied", 5000}};
    for (int is_unix = 0; is_unix < 2; is_unix++) {
        int fd = is_unix ? toy_connect_unix(toy) : toy_connect(toy);
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        for (size_t i = 0; i < sizeof sends / sizeof sends[0]; i++) {
            char text[100];
            sprintf(text, "GET %s?%zu HTTP/1.1\r\n" HOST "\r\n", sends[i].path, sends[i].len);
            client_send_text(fd, text);
            check_pattern(fd, sends[i].len, 20);
        }
        close(fd);
    }
    toy_stop(toy);
}

/* Twenty copied bodies behind one another, read only when all were asked for. */
static void pipelined_responses_wait_for_the_reader(void **state)
{
    struct toy *toy = toy_start(NULL);
    int fd = toy_connect(toy);
    for (int i = 0; i < 20; i++)
        client_send_text(fd, "GET /copied?65536 HTTP/1.1\r\n" HOST "\r\n");
    shutdown(fd, SHUT_WR);
    client_pause_ms(50);
    struct stream stream = client_read_all(fd);
    char expected[2000] = "", one[40], *body = malloc(65536);
    for (size_t i = 0; i < 65536; i++)
        body[i] = toy_pattern(i);
    sprintf(one, "200 65536 %u", toy_hash(body, 65536));
    for (int i = 0; i < 20; i++)
        sprintf(expected + strlen(expected), "%s%s", i ? " | " : "", one);
    client_expect(stream, expected);
    free(body);
    close(fd);
    toy_stop(toy);
}

static void drain_answers_what_was_accepted(void **state)
{
    struct toy *toy = toy_start(NULL);
    int held = toy_connect(toy), idle = toy_connect(toy), half = toy_connect(toy);
    client_send_text(held, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    client_send_text(idle, "GET /1 HTTP/1.1\r\n" HOST "\r\n");
    client_expect(client_read_responses(idle, 1, false), "200 GET /1 - -");
    client_send_text(half, "POST /2 HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\na");
    while (toy_held(toy) == 0)
        client_pause_ms(1);

    /* In the kernel's queue only, and one with its request behind an answer. */
    toy_block(toy);
    int queued = toy_connect(toy), busy = toy_connect(toy);
    client_send_text(queued, "GET /3 HTTP/1.1\r\n" HOST "\r\n");
    toy_unblock(toy);
    client_send_text(busy, "GET /4 HTTP/1.1\r\n" HOST "\r\n");
    client_expect(client_read_responses(busy, 1, false), "200 GET /4 - -");
    toy_drain(toy);
    client_expect(client_read_all(idle), "");
    client_expect(client_read_all(busy), "");
    struct stream stream = client_read_all(queued);
    assert_memory_equal(client_describe(stream.text, stream.len, false), "200", 3);
    client_send_text(half, "b");
    client_expect(client_read_all(half), "200 close POST /2 - ab");
    toy_release(toy);
    client_expect(client_read_all(held), "200 close GET /hold - -");
    int fds[] = {held, idle, half, queued, busy};
    for (int i = 0; i < 5; i++)
        close(fds[i]);
    toy_stop(toy);
}

static void drain_takes_the_backlog(void **state)
{
    struct toy *toy = toy_start(NULL);
    int fds[10];
    toy_block(toy);
    for (int i = 0; i < 10; i++) {
        fds[i] = toy_connect(toy);
        if (i < 8) client_send_text(fds[i], "GET /1 HTTP/1.1\r\n" HOST "\r\n");
    }
    int64_t start_ms = clock_mono_ms();
    toy_unblock_draining(toy);
    client_send_text(fds[8], "GET /1 HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < 9; i++) {
        struct stream stream = client_read_all(fds[i]);
        assert_memory_equal(client_describe(stream.text, stream.len, false), "200", 3);
    }
    client_expect(client_read_all(fds[9]), "");
    assert_in_range(clock_mono_ms() - start_ms, 900, 1500);
    for (int i = 0; i < 10; i++)
        close(fds[i]);
    toy_stop(toy);
}

int main(void)
{
#ifndef TOY_SANITIZED
    UNIT_ADD(idle_connections_give_large_memory_back);
#endif
    UNIT_ADD(large_requests_past_the_slots_are_told_to_retry);
    UNIT_ADD(slow_requests_time_out);
    UNIT_ADD(idle_connections_are_closed);
    UNIT_ADD(client_that_does_not_read_is_cut_off);
    UNIT_ADD(handling_has_no_deadline);
    UNIT_ADD(connections_past_the_limit_wait);
    UNIT_ADD(who_waits_longest_for_its_client_makes_room);
    UNIT_ADD(who_is_between_requests_makes_room_first);
    UNIT_ADD(a_handled_request_never_makes_room);
    UNIT_ADD(out_of_descriptors_it_waits_without_spinning);
    UNIT_ADD(large_responses_reach_slow_readers);
    UNIT_ADD(pipelined_responses_wait_for_the_reader);
    UNIT_ADD(drain_answers_what_was_accepted);
    UNIT_ADD(drain_takes_the_backlog);
    return UNIT_RUN_ADDED("http_load");
}
