#pragma once

#include "api/tail.h"

/* Clients of DIR/admin.sock that watch requests go by: the connections that stay. Of the socket's
 * thread, which looks after them between two commands. */

enum { SOCKET_TAILS_MAX = 8, SOCKET_TAIL_PAUSE_MS = 100 };

struct socket_tail; /* one of them */

struct socket_tails {
    struct socket_tail *list[SOCKET_TAILS_MAX];
    size_t count;
};

/* Ownership of both moves. */
void socket_tails_add(struct socket_tails *tails, struct api *api, int fd,
                      struct tail_watcher *watcher);

/* Sends what there is; who is gone is let go. */
void socket_tails_pump(struct socket_tails *tails, struct api *api);
void socket_tails_close(struct socket_tails *tails, struct api *api);
