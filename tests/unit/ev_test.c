#include "unit.h"

#include "base/clock.h"
#include "ev/listen.h"
#include "ev/loop.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* What the callbacks of a test write down, a letter each. */
static char trace[64];
static struct ev_loop *loop;
static struct ev_wake wake_a, wake_b;
static unsigned ticks;

static void note(char letter)
{
    size_t len = strlen(trace);
    assert_true(len < sizeof trace - 1);
    trace[len] = letter;
    trace[len + 1] = 0;
}

static int set_up(void **state)
{
    trace[0] = 0;
    ticks = 0;
    return ev_loop_new(&loop) != ERR_OK;
}

static int tear_down(void **state)
{
    ev_loop_free(loop);
    return 0;
}

static void stop_on_ring(struct ev_wake *wake)
{
    note('s');
    ev_loop_stop(loop);
}

static void *ring_often(void *wake)
{
    for (int i = 0; i < 1000; i++)
        ev_wake_ring(wake);
    return NULL;
}

static void many_rings_before_a_turn_are_one(void **state)
{
    pthread_t thread;
    ev_wake_open(loop, &wake_a, stop_on_ring);
    pthread_create(&thread, NULL, ring_often, &wake_a);
    pthread_join(thread, NULL);
    ev_loop_run(loop);
    assert_string_equal(trace, "s");
    ev_wake_ring(&wake_a); /* and it can be rung again */
    ev_loop_run(loop);
    assert_string_equal(trace, "ss");
    ev_wake_close(loop, &wake_a);
}

static void remove_other(struct ev_wake *wake)
{
    note('r');
    ev_watch_remove(loop, wake == &wake_a ? &wake_b.watch : &wake_a.watch);
    ev_loop_stop(loop);
}

static void removed_watch_is_not_called_in_the_same_turn(void **state)
{
    ev_wake_open(loop, &wake_a, remove_other);
    ev_wake_open(loop, &wake_b, remove_other);
    ev_wake_ring(&wake_a);
    ev_wake_ring(&wake_b);
    ev_loop_run(loop);
    assert_string_equal(trace, "r");
    close(wake_a.watch.fd);
    close(wake_b.watch.fd);
}

static void end_first(struct ev_hook *hook)
{
    note('1');
}

static void end_second(struct ev_hook *hook)
{
    note('2');
}

static void tick_first(struct ev_hook *hook)
{
    note('t');
    if (++ticks == 3) ev_loop_stop(loop);
}

static void hooks_run_in_order_after_events(void **state)
{
    struct ev_hook first = {.on_turn_end = end_first}, second = {.on_turn_end = end_second};
    ev_wake_open(loop, &wake_a, stop_on_ring);
    ev_hook_add(loop, &first);
    ev_hook_add(loop, &second);
    ev_wake_ring(&wake_a);
    ev_loop_run(loop);
    assert_string_equal(trace, "s12");
    ev_hook_remove(loop, &first);
    ev_wake_ring(&wake_a);
    ev_loop_run(loop);
    assert_string_equal(trace, "s12s2");
    ev_hook_remove(loop, &second);
    ev_wake_close(loop, &wake_a);
}

static void ticks_come_without_events(void **state)
{
    struct ev_hook hook = {.on_tick = tick_first};
    ev_hook_add(loop, &hook);
    int64_t start_ms = clock_mono_ms();
    ev_loop_run(loop);
    assert_in_range(clock_mono_ms() - start_ms, 3 * EV_TICK_MS - 10, 3 * EV_TICK_MS + 200);
    ev_hook_remove(loop, &hook);
}

static void again_until_stopped(struct ev_hook *hook)
{
    if (++ticks < 100)
        ev_loop_again(loop);
    else
        ev_loop_stop(loop);
}

static void again_means_without_waiting(void **state)
{
    struct ev_hook hook = {.on_turn_end = again_until_stopped};
    ev_hook_add(loop, &hook);
    int64_t start_ms = clock_mono_ms();
    ev_loop_run(loop);
    assert_true(clock_mono_ms() - start_ms < 2 * EV_TICK_MS);
    ev_hook_remove(loop, &hook);
}

static void tcp_address_in_use_is_busy_unless_shared(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int first, second;
    assert_int_equal(ev_listen_tcp((struct sockaddr *)&address, size, true, &first), ERR_OK);
    assert_int_equal(getsockname(first, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(ev_listen_tcp((struct sockaddr *)&address, size, false, &second), ERR_BUSY);
    assert_int_equal(ev_listen_tcp((struct sockaddr *)&address, size, true, &second), ERR_OK);
    assert_true(fcntl(first, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(first, F_GETFD) & FD_CLOEXEC);
    close(first);
    close(second);
}

static void unix_socket_replaces_a_dead_one_and_nothing_else(void **state)
{
    char directory[] = "/tmp/adtally-ev-XXXXXX", path[64], long_path[200];
    int fd;
    struct stat found;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/s", directory);
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ev_listen_unix(path, &fd), ERR_OK);
        assert_int_equal(lstat(path, &found), 0);
        assert_int_equal(found.st_mode & 0777, 0600);
        close(fd);
    }
    unlink(path);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(ev_listen_unix(path, &fd), ERR_FOREIGN);
    assert_int_equal(ev_listen_unix(long_path, &fd), ERR_FOREIGN);
    assert_int_equal(lstat(path, &found), 0); /* still there */
    unlink(path);
    rmdir(directory);
    assert_int_equal(ev_listen_unix(path, &fd), ERR_NOT_FOUND);
}

#define ON_LOOP(test) cmocka_unit_test_setup_teardown((test), set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_LOOP(many_rings_before_a_turn_are_one),
        ON_LOOP(removed_watch_is_not_called_in_the_same_turn),
        ON_LOOP(hooks_run_in_order_after_events),
        ON_LOOP(ticks_come_without_events),
        ON_LOOP(again_means_without_waiting),
        cmocka_unit_test(tcp_address_in_use_is_busy_unless_shared),
        cmocka_unit_test(unix_socket_replaces_a_dead_one_and_nothing_else),
    };
    return UNIT_RUN(tests);
}
