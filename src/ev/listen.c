#include "ev/listen.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG_COUNT = 4096 };

static enum err err_of_errno(int code)
{
    switch (code) {
    case EADDRINUSE:
        return ERR_BUSY;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
        return ERR_FULL;
    case ENOENT:
    case EADDRNOTAVAIL:
        return ERR_NOT_FOUND;
    default:
        return ERR_IO;
    }
}

static enum err fail(int fd)
{
    enum err err = err_of_errno(errno);
    if (fd >= 0) close(fd);
    return err;
}

static enum err bind_and_listen(int socket_fd, const struct sockaddr *address, socklen_t size,
                                int *fd)
{
    if (bind(socket_fd, address, size) || listen(socket_fd, BACKLOG_COUNT)) return fail(socket_fd);
    *fd = socket_fd;
    return ERR_OK;
}

enum err ev_listen_tcp(const struct sockaddr *address, socklen_t address_size, bool reuseport,
                       int *fd)
{
    const int on = 1;
    int at = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (at < 0) return fail(at);
    if (setsockopt(at, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on)) return fail(at);
    if (reuseport && setsockopt(at, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on)) return fail(at);
    return bind_and_listen(at, address, address_size, fd);
}

static enum err remove_dead_socket(const char *path)
{
    struct stat found;
    if (lstat(path, &found)) return errno == ENOENT ? ERR_OK : err_of_errno(errno);
    if (!S_ISSOCK(found.st_mode)) return ERR_FOREIGN;
    return unlink(path) && errno != ENOENT ? err_of_errno(errno) : ERR_OK;
}

enum err ev_listen_unix(const char *path, int *fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t path_len = strlen(path);
    if (path_len >= sizeof address.sun_path) return ERR_FOREIGN;
    memcpy(address.sun_path, path, path_len);
    enum err err = remove_dead_socket(path);
    if (err) return err;
    int at = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (at < 0) return fail(at);
    /* Before bind, so that there is no moment in which others could connect. */
    if (fchmod(at, 0600)) return fail(at);
    return bind_and_listen(at, (const struct sockaddr *)&address, sizeof address, fd);
}
