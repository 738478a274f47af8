#include "admin/socket_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum err socket_path_open(struct socket_path *path, const char *dir)
{
    path->dir_fd = -1;
    int len = snprintf(path->text, sizeof path->text, "%s/admin.sock", dir);
    if (len >= 0 && (size_t)len < sizeof path->text) return ERR_OK;
    path->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (path->dir_fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : errno == EACCES ? ERR_DENIED : ERR_IO;
    snprintf(path->text, sizeof path->text, "/proc/self/fd/%d/admin.sock", path->dir_fd);
    return ERR_OK;
}

void socket_path_close(struct socket_path *path)
{
    if (path->dir_fd >= 0) close(path->dir_fd);
    path->dir_fd = -1;
}
