#pragma once

#include <stddef.h>

/* Random bytes for ids, fetched ahead: one system call for many of them. What was taken is wiped.
 * Zeroed to begin with; one thread's. Keys come from rng_fill. */
enum { RNG_POOL_SIZE = 256 };

struct rng_pool {
    unsigned char bytes[RNG_POOL_SIZE];
    size_t left; /* at the end of `bytes` */
};

void rng_take(struct rng_pool *pool, void *memory, size_t size); /* at most RNG_POOL_SIZE */
