#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* One epoll loop on one thread. The only module that knows <sys/epoll.h>.
 *
 * A watched descriptor embeds a `struct ev_watch`; readiness is edge-triggered: the owner reads or
 * writes until the kernel says "would block" (or returns less than was asked for). Once a watch is
 * removed it is not called again, not even for what the kernel reported in the same turn: it may be
 * freed, or added anew, at once.
 *
 * A turn: wait, call the watches that are ready, call on_tick when EV_TICK_MS have passed, call
 * on_turn_end of every hook.
 *
 * Everything but ev_wake_ring belongs to the loop's thread. */

enum ev_ready { EV_READABLE = 1, EV_WRITABLE = 2, EV_PEER_CLOSED = 4, EV_BROKEN = 8 };

struct ev_watch {
    int fd;
    void (*on_ready)(struct ev_watch *watch, unsigned ready); /* ready: enum ev_ready bits */
};

struct ev_loop;

enum err ev_loop_new(struct ev_loop **out);
void ev_loop_free(struct ev_loop *loop);

/* Runs turns until ev_loop_stop was called. */
void ev_loop_run(struct ev_loop *loop);
void ev_loop_stop(struct ev_loop *loop); /* on the loop's thread */

/* Monotonic milliseconds, read once a turn. */
int64_t ev_loop_now_ms(const struct ev_loop *loop);

/* The next turn does not wait: somebody has work left for it. */
void ev_loop_again(struct ev_loop *loop);

/* Fails with ERR_FULL (the system's limit of watches) or ERR_IO. */
enum err ev_watch_add(struct ev_loop *loop, struct ev_watch *watch, bool level_triggered_read_only);
void ev_watch_remove(struct ev_loop *loop, struct ev_watch *watch); /* does not close fd */

/* Called at the end of every turn, and every EV_TICK_MS even when nothing happens: deadlines are
 * swept there, so a request costs no timer. Hooks run in the order they were added, which is: the
 * module whose work a hook passes on comes first. Not to be removed from inside a hook. */
enum { EV_TICK_MS = 100 };

struct ev_hook {
    struct ev_hook *next;
    void (*on_turn_end)(struct ev_hook *hook); /* may be NULL */
    void (*on_tick)(struct ev_hook *hook);     /* may be NULL */
};
void ev_hook_add(struct ev_loop *loop, struct ev_hook *hook);
void ev_hook_remove(struct ev_loop *loop, struct ev_hook *hook);

/* Wakes the loop from any thread: on_ring runs on the loop's thread, once for any number of rings
 * since it last ran. Async-signal-safe. */
struct ev_wake {
    struct ev_watch watch;
    void (*on_ring)(struct ev_wake *wake);
};
enum err ev_wake_open(struct ev_loop *loop, struct ev_wake *wake,
                      void (*on_ring)(struct ev_wake *wake));
void ev_wake_close(struct ev_loop *loop, struct ev_wake *wake);
void ev_wake_ring(struct ev_wake *wake);
