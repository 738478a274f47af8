#pragma once

#include <stdint.h>

/* The clocks of the store suites stand still until they are told otherwise: linked instead of
 * base/clock.c. They begin at the real time. */

/* Time passes until the wall clock says so; not if it does already. */
void store_clock_reach(int64_t until_ms);

/* The wall clock is set, and no time passes. */
void store_clock_set(int64_t to_ms);
