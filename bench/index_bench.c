#include "base/clock.h"
#include "store/index.h"
#include "token/hash.h"

#include <stdio.h>
#include <stdlib.h>

/* What a bid costs in memory, and what a lookup costs with 1 M and with 10 M of them there. Bids as
 * the store keys them: a keyed fingerprint of the id. */

enum { SMALL = 1000000, LARGE = 10000000, BATCH = 256, BATCHES = 8000, ROUNDS = 5 };

static uint8_t key_bytes[HASH_FINGERPRINT_KEY_SIZE];

static struct index_key key_of(uint64_t bid)
{
    return (struct index_key){{hash_fingerprint(key_bytes, &bid, sizeof bid)}};
}

static void fill(struct index *index, uint64_t from, uint64_t to)
{
    for (uint64_t bid = from; bid < to; bid++) {
        struct index_key key = key_of(bid);
        if (!index_add(index, &key, INDEX_VALUE(bid + 1, 0))) exit(1);
    }
}

/* A batch as the store takes it: memory is asked for all of its places, then they are looked at. */
static uint64_t look_up_batch(const struct index *index, uint64_t count, uint64_t *state)
{
    struct index_key keys[BATCH];
    struct index_cursor cursor;
    uint64_t found = 0;
    for (int i = 0; i < BATCH; i++) {
        *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
        keys[i] = key_of((*state >> 20) % (2 * count));
        index_prefetch(index, &keys[i]);
    }
    for (int i = 0; i < BATCH; i++)
        found += index_first(index, &keys[i], &cursor) != 0;
    return found;
}

/* Nanoseconds per lookup, half of which find something: the best of some rounds. */
static double lookup_ns(const struct index *index, uint64_t count)
{
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t state = (uint64_t)round + 1, found = 0;
        int64_t started_us = clock_mono_us();
        for (int i = 0; i < BATCHES; i++)
            found += look_up_batch(index, count, &state);
        double ns = (double)(clock_mono_us() - started_us) * 1000 / BATCHES / BATCH;
        if (found && ns < best) best = ns;
    }
    return best;
}

int main(void)
{
    struct index index;
    if (!hash_start()) return 1;
    index_init(&index, 1);
    fill(&index, 0, SMALL);
    double small_ns = lookup_ns(&index, SMALL);
    fill(&index, SMALL, LARGE);
    double large_ns = lookup_ns(&index, LARGE);
    printf("{\"bytes_each\":%.1f,\"ns_1m\":%.0f,\"ns_10m\":%.0f}\n",
           (double)index_bytes(&index) / (double)index_count(&index), small_ns, large_ns);
    index_fini(&index);
    return 0;
}
