#include "base/rng_pool.h"

#include "base/assert.h"
#include "base/rng.h"

#include <string.h>

void rng_take(struct rng_pool *pool, void *memory, size_t size)
{
    ASSERT(size <= RNG_POOL_SIZE);
    if (size > pool->left) {
        rng_fill(pool->bytes, RNG_POOL_SIZE);
        pool->left = RNG_POOL_SIZE;
    }
    unsigned char *taken = pool->bytes + RNG_POOL_SIZE - pool->left;
    memcpy(memory, taken, size);
    explicit_bzero(taken, size);
    pool->left -= size;
}
