#pragma once

#include "event/record.h"

/* A poll's texts as one piece of memory that never changes: a put makes a new one, and the old
 * stays until the store is closed, since answers on their way still point at it. */

struct poll_copy {
    struct poll_copy *older; /* all that were ever made, newest first */
    struct poll poll;
    uint64_t counts[POLL_OPTIONS_MAX]; /* what poll.counts points at */
    char text[];
};

/* NULL: no memory. */
struct poll_copy *poll_copy_new(const struct poll *poll, struct poll_copy *older);
void poll_copy_free_all(struct poll_copy *newest);

int poll_find_option(const struct poll *poll, struct span id); /* -1: none */
