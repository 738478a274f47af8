#include "ev/loop.h"

#include "base/assert.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Edge-triggered and never read: every write is an edge, and the counter cannot reach its end. */
static void on_eventfd_ready(struct ev_watch *watch, unsigned ready)
{
    struct ev_wake *wake = (struct ev_wake *)watch;
    if (ready & EV_READABLE) wake->on_ring(wake);
}

enum err ev_wake_open(struct ev_loop *loop, struct ev_wake *wake,
                      void (*on_ring)(struct ev_wake *wake))
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) return errno == EMFILE || errno == ENFILE ? ERR_FULL : ERR_IO;
    *wake = (struct ev_wake){.watch = {fd, on_eventfd_ready}, .on_ring = on_ring};
    enum err err = ev_watch_add(loop, &wake->watch, false);
    if (err) close(fd);
    return err;
}

void ev_wake_close(struct ev_loop *loop, struct ev_wake *wake)
{
    ev_watch_remove(loop, &wake->watch);
    close(wake->watch.fd);
    wake->watch.fd = -1;
}

void ev_wake_ring(struct ev_wake *wake)
{
    const uint64_t one = 1;
    int saved = errno; /* also called from signal handlers */
    ssize_t written = write(wake->watch.fd, &one, sizeof one);
    ASSERT(written == sizeof one);
    errno = saved;
}
