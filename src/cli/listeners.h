#pragma once

#include "cli/value.h"

#include <stdbool.h>

/* The sockets of the public listener: one per loop, on the same address. */

enum { LISTENERS_MAX = 256 };

struct listeners {
    int fds[LISTENERS_MAX]; /* -1: given away */
    size_t count;
    char text[VALUE_ADDRESS_TEXT_MAX]; /* host:port as a URL on this machine has it */
};

/* False: said. */
bool listeners_open(struct listeners *listeners, const struct value_address *address, size_t count);

/* Closes those that are still here. */
void listeners_close(struct listeners *listeners);
