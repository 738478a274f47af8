#pragma once

#include "store/store.h"

/* How long rows of each event are kept, for every engine (OP_RETAIN). */

struct keep {
    int64_t kept_ms[EVENT_TABLES]; /* RETAIN_FOR_EVER: never removed */
};

/* `keep_ms` is what is asked for, by kind. A conversion may be younger than its click by as much as
 * clicks ever lived, and is reported by it; the same for feedback and its impression: `longest` has
 * the longest that both ever were. */
struct keep keep_of(const int64_t keep_ms[EVENT_TABLES], const struct store_options *options,
                    int64_t longest_click_ttl_ms, int64_t longest_impression_ttl_ms);
