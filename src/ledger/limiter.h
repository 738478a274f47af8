#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/* Requests per second by some key (an API key, a client address), shared by all threads: GCRA, one
 * second's worth at once, 16 bytes a key, in a bounded table whose oldest full allowance makes
 * room. Keys are hashed with a random seed, since strangers choose them. */

struct limiter;

struct limiter *limiter_new(uint32_t rate_per_second, uint32_t keys_max);
void limiter_free(struct limiter *limiter);

/* From the next request on; what a key has used up of its allowance stays used up. */
void limiter_set_rate(struct limiter *limiter, uint32_t rate_per_second);

/* 0: go on. Else refused, and the milliseconds after which one request would be let through. */
int64_t limiter_take(struct limiter *limiter, struct span key, int64_t now_mono_us);

/* For who shares a rate with other processes: after limiter_count_uses (before the first request;
 * false: no memory) the limiter counts what it lets through; limiter_take_uses is how much of a key
 * since the last call, limiter_charge takes off what others let through, also more than there is.
 */
bool limiter_count_uses(struct limiter *limiter);
uint64_t limiter_take_uses(struct limiter *limiter, struct span key);
void limiter_charge(struct limiter *limiter, struct span key, uint64_t count, int64_t now_mono_us);
