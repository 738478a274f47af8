#include "ev/loop.h"

#include "base/assert.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_MAX = 256 };

struct ev_loop {
    int epoll_fd;
    bool is_stopped;
    bool is_again;
    int64_t now_ms;
    int64_t next_tick_ms;
    struct ev_hook *hooks;

    /* What the kernel reported for this turn; [events_at, events_count) is still to be delivered.
     */
    int events_at;
    int events_count;
    struct epoll_event events[EVENTS_MAX];
};

enum err ev_loop_new(struct ev_loop **out)
{
    struct ev_loop *loop = calloc(1, sizeof *loop);
    if (!loop) return ERR_NO_MEMORY;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        free(loop);
        return errno == EMFILE || errno == ENFILE ? ERR_FULL : ERR_IO;
    }
    loop->now_ms = clock_mono_ms();
    loop->next_tick_ms = loop->now_ms + EV_TICK_MS;
    *out = loop;
    return ERR_OK;
}

void ev_loop_free(struct ev_loop *loop)
{
    if (!loop) return;
    close(loop->epoll_fd);
    free(loop);
}

void ev_loop_stop(struct ev_loop *loop)
{
    loop->is_stopped = true;
}

int64_t ev_loop_now_ms(const struct ev_loop *loop)
{
    return loop->now_ms;
}

void ev_loop_again(struct ev_loop *loop)
{
    loop->is_again = true;
}

static unsigned ready_of(uint32_t events)
{
    unsigned ready = 0;
    if (events & EPOLLIN) ready |= EV_READABLE;
    if (events & EPOLLOUT) ready |= EV_WRITABLE;
    if (events & EPOLLRDHUP) ready |= EV_PEER_CLOSED;
    if (events & (EPOLLERR | EPOLLHUP)) ready |= EV_BROKEN;
    return ready;
}

static void wait_for_events(struct ev_loop *loop)
{
    int64_t wait_ms = loop->is_again ? 0 : loop->next_tick_ms - loop->now_ms;
    if (wait_ms < 0) wait_ms = 0;
    if (wait_ms > EV_TICK_MS) wait_ms = EV_TICK_MS;
    loop->is_again = false;
    int count = epoll_wait(loop->epoll_fd, loop->events, EVENTS_MAX, (int)wait_ms);
    ASSERT(count >= 0 || errno == EINTR);
    loop->events_count = count < 0 ? 0 : count;
    loop->now_ms = clock_mono_ms();
}

static void deliver_events(struct ev_loop *loop)
{
    for (loop->events_at = 0; loop->events_at < loop->events_count;) {
        struct epoll_event event = loop->events[loop->events_at++];
        struct ev_watch *watch = event.data.ptr;
        if (watch) watch->on_ready(watch, ready_of(event.events));
    }
    loop->events_at = loop->events_count = 0;
}

static void run_ticks(struct ev_loop *loop)
{
    if (loop->now_ms < loop->next_tick_ms) return;
    loop->next_tick_ms = loop->now_ms + EV_TICK_MS;
    for (struct ev_hook *hook = loop->hooks; hook; hook = hook->next)
        if (hook->on_tick) hook->on_tick(hook);
}

static void end_turn(struct ev_loop *loop)
{
    for (struct ev_hook *hook = loop->hooks; hook; hook = hook->next)
        if (hook->on_turn_end) hook->on_turn_end(hook);
}

void ev_loop_run(struct ev_loop *loop)
{
    loop->is_stopped = false;
    while (!loop->is_stopped) {
        wait_for_events(loop);
        deliver_events(loop);
        run_ticks(loop);
        end_turn(loop);
    }
}

enum err ev_watch_add(struct ev_loop *loop, struct ev_watch *watch, bool level_triggered_read_only)
{
    struct epoll_event event = {.data.ptr = watch};
    event.events = level_triggered_read_only
                       ? (uint32_t)EPOLLIN
                       : (uint32_t)EPOLLIN | EPOLLOUT | EPOLLRDHUP | (uint32_t)EPOLLET;
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) == 0) return ERR_OK;
    return errno == ENOSPC || errno == ENOMEM ? ERR_FULL : ERR_IO;
}

void ev_watch_remove(struct ev_loop *loop, struct ev_watch *watch)
{
    int failed = epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    ASSERT(!failed);
    for (int i = loop->events_at; i < loop->events_count; i++)
        if (loop->events[i].data.ptr == watch) loop->events[i].data.ptr = NULL;
}

void ev_hook_add(struct ev_loop *loop, struct ev_hook *hook)
{
    struct ev_hook **at = &loop->hooks;
    while (*at)
        at = &(*at)->next;
    hook->next = NULL;
    *at = hook;
}

void ev_hook_remove(struct ev_loop *loop, struct ev_hook *hook)
{
    struct ev_hook **at = &loop->hooks;
    while (*at != hook) {
        ASSERT(*at);
        at = &(*at)->next;
    }
    *at = hook->next;
}
