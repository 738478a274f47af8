#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <sys/socket.h>

/* Listening sockets, non-blocking and close-on-exec. *fd is the caller's.
 * ERR_BUSY: the address is taken; ERR_NOT_FOUND: it is not this machine's, or the path's directory
 * does not exist; ERR_DENIED; ERR_FULL: no descriptor left; ERR_FOREIGN: the path holds something
 * that is no socket, or is too long for one; ERR_IO. */

/* `reuseport`: several sockets share the address and the kernel spreads connections over them. */
enum err ev_listen_tcp(const struct sockaddr *address, socklen_t address_size, bool reuseport,
                       int *fd);

/* Mode 0600. A socket that is there already is taken for a dead server's and replaced: whoever
 * calls holds the lock of the directory. */
enum err ev_listen_unix(const char *path, int *fd);
