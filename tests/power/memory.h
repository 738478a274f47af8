#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Allocations of the store and of SQLite that fail: the `at`-th from now, or all from it on.
 * 0: none any more. Starting a thread counts as one. */
void memory_start(void); /* once, before SQLite is used */
void memory_fail(uint64_t at, bool for_ever);
uint64_t memory_failed(void); /* since memory_fail */
