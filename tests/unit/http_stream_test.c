#include "unit.h"

#include "http_client.h"
#include "http_toy.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Answers without an end (http_stream_open), of which the toy has one at a time. */

#define HOST "Host: a\r\n"

static struct toy *toy;

/* A number, asked for on a connection of its own. */
static unsigned ask(const char *path)
{
    char text[128];
    unsigned number = 99;
    int fd = toy_connect(toy);
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", path);
    client_send_text(fd, text);
    struct stream answer = client_read_all(fd);
    const char *body = strstr(answer.text, "\r\n\r\n");
    assert_non_null(body);
    assert_int_equal(sscanf(body, "%u", &number), 1);
    close(fd);
    return number;
}

static void wait_ended(unsigned count)
{
    for (int i = 0; i < 3000 && ask("/ended") < count; i++)
        client_pause_ms(1);
    assert_int_equal(ask("/ended"), count);
}

static int open_stream_on(int fd)
{
    char text[512];
    size_t len = 0;
    client_send_text(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    do {
        ssize_t got = recv(fd, text + len, sizeof text - 1 - len, 0);
        assert_true(got > 0);
        len += (size_t)got;
        text[len] = '\0';
    } while (!strstr(text, "hello"));
    assert_non_null(strstr(text, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(text, "Connection: close\r\n"));
    assert_non_null(strstr(text, "X-Toy: stream\r\n\r\nhello"));
    assert_null(strstr(text, "Content-Length"));
    return fd;
}

static int open_stream(void)
{
    return open_stream_on(toy_connect(toy));
}

static void what_is_sent_arrives_and_the_close_ends_it(void **state)
{
    int fd = open_stream();
    assert_int_equal(ask("/feed?3"), 1);
    assert_int_equal(ask("/feed?60000"), 1);
    assert_int_equal(ask("/unstream"), 1);
    struct stream rest = client_read_all(fd);
    assert_int_equal(rest.len, 60003);
    assert_false(rest.is_reset);
    for (size_t i = 0; i < 60000; i++)
        assert_int_equal(rest.text[i + 3], toy_pattern(i));
    assert_int_equal(ask("/ended"), 0);
    close(fd);
}

static void client_that_goes_ends_it(void **state)
{
    int fd = open_stream();
    close(fd);
    wait_ended(1);
    assert_int_equal(ask("/feed?3"), 0);
}

static void what_the_client_sends_on_it_is_not_looked_at(void **state)
{
    int fd = open_stream();
    client_send_text(fd, "GET /big?100 HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(ask("/feed?3"), 1);
    assert_int_equal(ask("/unstream"), 1);
    assert_int_equal(client_read_all(fd).len, 3);
    close(fd);
}

/* What the kernel's buffers take, and after that no more than the connection's own. */
static void client_that_does_not_read_is_cut_off(void **state)
{
    int fd = open_stream();
    unsigned fed = 0;
    while (ask("/feed?60000") == 1)
        assert_true(++fed < 1000);
    assert_true(fed > 0);
    wait_ended(1);
    toy_wait_conns(toy, 0);
    close(fd);
}

static void head_is_answered_with_the_head(void **state)
{
    int fd = toy_connect(toy);
    client_send_text(fd, "HEAD /stream HTTP/1.1\r\n" HOST "\r\n");
    struct stream answer = client_read_all(fd);
    assert_non_null(strstr(answer.text, "X-Toy: stream\r\n"));
    assert_string_equal(answer.text + answer.len - 4, "\r\n\r\n");
    assert_int_equal(ask("/feed?3"), 0);
    close(fd);
}

static void drain_ends_it_with_what_was_sent(void **state)
{
    int fd = open_stream();
    assert_int_equal(ask("/feed?50000"), 1);
    toy_drain(toy);
    struct stream rest = client_read_all(fd);
    assert_int_equal(rest.len, 50000);
    assert_false(rest.is_reset);
    close(fd);
}

static void shorten(struct http_options *options)
{
    options->write_timeout_ms = 1000;
}

static int start(void **state)
{
    toy = toy_start(NULL);
    return 0;
}

static int start_impatient(void **state)
{
    toy = toy_start(shorten);
    return 0;
}

static int stop(void **state)
{
    toy_stop(toy);
    return 0;
}

enum { STEP = 1000, STEPS_MAX = 100000, STEPS_SHORT = 40 };

/* How many steps the stream takes until it is cut off; at most `max`. */
static unsigned feed(unsigned max)
{
    unsigned steps = 0;
    while (steps < max && ask("/feed?1000") == 1)
        steps++;
    return steps;
}

/* Some of what the connection keeps waits, and it has room for more: only the deadline ends it. The
 * buffers of a unix socket do not grow, so that what they take can be found out first. */
static void client_that_stops_reading_has_a_deadline(void **state)
{
    int fd = open_stream_on(toy_connect_unix(toy));
    unsigned steps = feed(STEPS_MAX);
    assert_in_range(steps, STEPS_SHORT, STEPS_MAX - 1);
    wait_ended(1);
    close(fd);
    fd = open_stream_on(toy_connect_unix(toy));
    assert_int_equal(feed(steps - STEPS_SHORT), steps - STEPS_SHORT);
    assert_int_equal(ask("/ended"), 1);
    wait_ended(2);
    close(fd);
}

#define CASE(check) cmocka_unit_test_setup_teardown(check, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_sent_arrives_and_the_close_ends_it),
        CASE(client_that_goes_ends_it),
        CASE(what_the_client_sends_on_it_is_not_looked_at),
        CASE(client_that_does_not_read_is_cut_off),
        CASE(head_is_answered_with_the_head),
        CASE(drain_ends_it_with_what_was_sent),
        cmocka_unit_test_setup_teardown(client_that_stops_reading_has_a_deadline, start_impatient,
                                        stop),
    };
    return UNIT_RUN(tests) != 0;
}
