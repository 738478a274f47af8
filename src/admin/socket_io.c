#include "admin/socket_io.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

static enum err wait_for(int fd, short events, int stop_fd, int64_t deadline_ms)
{
    for (;;) {
        struct pollfd fds[] = {{fd, events, 0}, {stop_fd, POLLIN, 0}};
        int64_t left_ms = deadline_ms - clock_mono_ms();
        if (left_ms <= 0) return ERR_BUSY;
        int count = poll(fds, 2, left_ms < INT_MAX ? (int)left_ms : INT_MAX);
        if (count < 0 && errno != EINTR) return ERR_IO;
        if (count > 0 && fds[1].revents) return ERR_BUSY;
        if (count > 0) return ERR_OK;
    }
}

static bool is_temporary(int code)
{
    return code == EAGAIN || code == EINTR;
}

enum err socket_read_all(int fd, int stop_fd, int64_t deadline_ms, struct writer *in)
{
    for (;;) {
        char past_the_end;
        size_t room = in->cap - in->len;
        enum err err = wait_for(fd, POLLIN, stop_fd, deadline_ms);
        if (err) return err;
        ssize_t got = recv(fd, room ? in->base + in->len : &past_the_end, room ? room : 1, 0);
        if (got == 0) return ERR_OK;
        if (got < 0 && !is_temporary(errno)) return ERR_IO;
        if (got < 0) continue;
        if (room == 0) return ERR_FULL;
        in->len += (size_t)got;
    }
}

enum err socket_write_all(int fd, int stop_fd, int64_t deadline_ms, struct span text)
{
    while (text.len > 0) {
        enum err err = wait_for(fd, POLLOUT, stop_fd, deadline_ms);
        if (err) return err;
        ssize_t put = send(fd, text.ptr, text.len, MSG_NOSIGNAL);
        if (put < 0 && !is_temporary(errno)) return ERR_IO;
        if (put < 0) continue;
        text.ptr += put;
        text.len -= (size_t)put;
    }
    return ERR_OK;
}
