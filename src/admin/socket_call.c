#include "admin/admin.h"
#include "admin/socket_io.h"
#include "admin/socket_path.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A mint of 500 ads takes well under a second, but the server does one command at a time. */
enum { CALL_TIMEOUT_MS = 60 * 1000 };

/* A socket file without a server behind it refuses: its server was killed. */
static enum err connect_err(int code)
{
    switch (code) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case EAGAIN:
        return ERR_BUSY;
    default:
        return ERR_IO;
    }
}

static enum err connect_to(const char *path, int *fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) return ERR_IO;
    if (connect(*fd, (const struct sockaddr *)&address, sizeof address) == 0) return ERR_OK;
    enum err err = connect_err(errno);
    close(*fd);
    return err;
}

bool admin_socket_is_served(const char *dir)
{
    struct socket_path path;
    int fd;
    if (socket_path_open(&path, dir)) return false;
    enum err err = connect_to(path.text, &fd);
    socket_path_close(&path);
    if (!err) close(fd);
    return err == ERR_OK || err == ERR_BUSY;
}

static enum err exchange(int fd, struct span request, struct writer *answer)
{
    int64_t deadline_ms = clock_mono_ms() + CALL_TIMEOUT_MS;
    enum err err = socket_write_all(fd, -1, deadline_ms, request);
    if (!err && shutdown(fd, SHUT_WR) != 0) err = ERR_IO;
    if (!err) err = socket_read_all(fd, -1, deadline_ms, answer);
    return !err && answer->len == 0 ? ERR_IO : err;
}

enum err admin_socket_call(const char *dir, struct span request, struct writer *answer)
{
    struct socket_path path;
    int fd;
    enum err err = socket_path_open(&path, dir);
    if (err) return err;
    err = connect_to(path.text, &fd);
    socket_path_close(&path);
    if (err) return err;
    err = exchange(fd, request, answer);
    close(fd);
    /* From here on the server may have acted: nobody may take this for "nobody listens". */
    return err ? ERR_IO : ERR_OK;
}

/* The whole lines of `in`; what is left is moved to its start. False: no more are wanted. */
static bool give_lines(struct writer *in, admin_on_line *on_line, void *arg)
{
    struct span rest = writer_text(in);
    bool goes_on = true;
    for (const char *end; goes_on && (end = memchr(rest.ptr, '\n', rest.len));) {
        struct span line = {rest.ptr, (size_t)(end - rest.ptr)};
        rest = (struct span){end + 1, rest.len - line.len - 1};
        goes_on = on_line(line, arg);
    }
    memmove(in->base, rest.ptr, rest.len);
    in->len = rest.len;
    return goes_on;
}

static enum err follow(int fd, struct span request, admin_on_line *on_line, void *arg)
{
    static char memory[64 * 1024];
    struct writer in;
    struct pollfd one = {.fd = fd, .events = POLLIN};
    writer_init(&in, memory, sizeof memory);
    enum err err = socket_write_all(fd, -1, clock_mono_ms() + CALL_TIMEOUT_MS, request);
    if (err || shutdown(fd, SHUT_WR) != 0) return ERR_IO;
    while (poll(&one, 1, -1) >= 0 || errno == EINTR) {
        ssize_t got = recv(fd, in.base + in.len, in.cap - in.len, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (got <= 0) { /* an answer that is no stream has no line end */
            if (in.len) on_line(writer_text(&in), arg);
            return got < 0 ? ERR_IO : ERR_OK;
        }
        in.len += (size_t)got;
        if (!give_lines(&in, on_line, arg)) return ERR_OK;
        if (in.len == in.cap) return ERR_FULL;
    }
    return ERR_IO;
}

enum err admin_socket_follow(const char *dir, struct span request, admin_on_line *on_line,
                             void *arg)
{
    struct socket_path path;
    int fd;
    enum err err = socket_path_open(&path, dir);
    if (err) return err;
    err = connect_to(path.text, &fd);
    socket_path_close(&path);
    if (err) return err;
    err = follow(fd, request, on_line, arg);
    close(fd);
    return err;
}
