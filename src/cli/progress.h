#pragma once

#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

/* A bar on standard error for work that takes long: only where that is a terminal, and only once
 * there was something to wait for. */

struct progress {
    const char *name;
    bool is_shown; /* standard error is a terminal */
    bool is_drawn;
    int64_t begun_ms, drawn_ms;
};

/* What to tell it with; it works when nobody sees it, too. */
struct store_progress progress_begin(struct progress *progress, const char *name);
void progress_show(struct progress *progress, uint64_t done, uint64_t of);
void progress_end(struct progress *progress); /* removes it */
