#include "admin/socket_tail.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PENDING_MAX = 64 * 1024, DROPPED_LINE_MAX = 64 };
_Static_assert(TAIL_LINE_MAX <= PENDING_MAX - DROPPED_LINE_MAX, "a line is sent whole");

struct socket_tail {
    int fd;
    struct tail_watcher *watcher;
    struct span rest; /* of `pending`, still to be sent */
    char pending[PENDING_MAX];
};

static void let_go(struct socket_tail *tail, struct api *api)
{
    tail_close(api, tail->watcher);
    close(tail->fd);
    free(tail);
}

void socket_tails_add(struct socket_tails *tails, struct api *api, int fd,
                      struct tail_watcher *watcher)
{
    struct socket_tail *tail = tails->count < SOCKET_TAILS_MAX ? malloc(sizeof *tail) : NULL;
    if (!tail) {
        tail_close(api, watcher);
        close(fd);
        return;
    }
    tail->fd = fd;
    tail->watcher = watcher;
    tail->rest = SPAN_NONE;
    tails->list[tails->count++] = tail;
}

static void refill(struct socket_tail *tail)
{
    struct writer out;
    uint64_t dropped;
    writer_init(&out, tail->pending, sizeof tail->pending - DROPPED_LINE_MAX);
    tail_take(tail->watcher, &out, &dropped);
    out.cap = sizeof tail->pending;
    if (dropped) {
        writer_lit(&out, "{\"dropped\":");
        writer_u64(&out, dropped);
        writer_lit(&out, "}\n");
    }
    tail->rest = writer_text(&out);
}

/* The client has shut down its side: only a hang-up tells that it is gone. */
static bool is_gone(int fd)
{
    struct pollfd one = {.fd = fd};
    return poll(&one, 1, 0) == 1 && one.revents & (POLLHUP | POLLERR);
}

/* False: the client is gone. */
static bool pump(struct socket_tail *tail)
{
    if (is_gone(tail->fd)) return false;
    for (;;) {
        if (tail->rest.len == 0) refill(tail);
        if (tail->rest.len == 0) return true;
        ssize_t put = send(tail->fd, tail->rest.ptr, tail->rest.len, MSG_NOSIGNAL);
        if (put < 0) return errno == EAGAIN || errno == EINTR;
        tail->rest.ptr += put;
        tail->rest.len -= (size_t)put;
    }
}

void socket_tails_pump(struct socket_tails *tails, struct api *api)
{
    for (size_t i = tails->count; i-- > 0;) {
        if (pump(tails->list[i])) continue;
        let_go(tails->list[i], api);
        tails->list[i] = tails->list[--tails->count];
    }
}

void socket_tails_close(struct socket_tails *tails, struct api *api)
{
    socket_tails_pump(tails, api);
    while (tails->count > 0)
        let_go(tails->list[--tails->count], api);
}
