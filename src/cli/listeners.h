#pragma once

#include "cli/value.h"

#include <stdbool.h>

/* The sockets of a listener: one per loop, on the same address. Opened by ourselves or inherited.
 */

enum { LISTENERS_MAX = 256 };

struct listeners {
    int fds[LISTENERS_MAX]; /* -1: given away */
    size_t count;
    bool is_held; /* whoever gave them to us has them too: who connects when nobody accepts waits */
    char text[VALUE_ADDRESS_TEXT_MAX]; /* host:port as a URL on this machine has it */
};

/* The sockets that a service manager opened before this process began (LISTEN_PID and LISTEN_FDS,
 * sd_listen_fds(3)); count is 0 when there are none. False: said. */
bool listeners_inherit(struct listeners *listeners);

/* As many as there are loops: those that are missing are the others once more. False: said. */
bool listeners_share(struct listeners *listeners, size_t count);

/* False: said, naming the flag to choose another address with. */
bool listeners_open(struct listeners *listeners, const struct value_address *address, size_t count,
                    const char *flag);

/* Closes those that are still here. */
void listeners_close(struct listeners *listeners);
