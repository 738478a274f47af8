#pragma once

#include "cli/value.h"

#include <stdbool.h>

/* The sockets of a listener: one per loop, on the same address. */

enum { LISTENERS_MAX = 256 };

struct listeners {
    int fds[LISTENERS_MAX]; /* -1: given away */
    size_t count;
    char text[VALUE_ADDRESS_TEXT_MAX]; /* host:port as a URL on this machine has it */
};

/* False: said, naming the flag to choose another address with. */
bool listeners_open(struct listeners *listeners, const struct value_address *address, size_t count,
                    const char *flag);

/* Closes those that are still here. */
void listeners_close(struct listeners *listeners);
