#pragma once

#include "base/err.h"

#include <sys/un.h>

/* Where DIR/admin.sock can be reached. The address of a unix socket has room for 107 bytes of path;
 * a longer one goes through the directory's descriptor, /proc/self/fd/N/admin.sock, which the
 * kernel follows to the same file. */

struct socket_path {
    int dir_fd;                                          /* -1 when the path was short enough */
    char text[sizeof((struct sockaddr_un){0}.sun_path)]; /* NUL-terminated */
};

/* ERR_NOT_FOUND, ERR_DENIED, ERR_IO: the directory cannot be opened. */
enum err socket_path_open(struct socket_path *path, const char *dir);
void socket_path_close(struct socket_path *path);
