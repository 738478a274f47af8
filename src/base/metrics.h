#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* Counters with one writer and any number of readers: no lock, no locked instruction. A reader sees
 * each counter as it was a moment ago, not all of them as of the same moment. */

static inline uint64_t metrics_read(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static inline void metrics_set(_Atomic uint64_t *counter, uint64_t value)
{
    atomic_store_explicit(counter, value, memory_order_relaxed);
}

/* The writer's alone. */
static inline void metrics_add(_Atomic uint64_t *counter, uint64_t count)
{
    metrics_set(counter, metrics_read(counter) + count);
}

/* How many values were at most 1, 2, 4, ... units; the last bucket has no bound. A unit is a power
 * of two: of times 32 microseconds (METRICS_TIME_SHIFT), which makes the last bound 8.4 s. */
enum { METRICS_BUCKETS = 20, METRICS_TIME_SHIFT = 5, METRICS_COUNT_SHIFT = 0 };

struct metrics_histogram {
    _Atomic uint64_t buckets[METRICS_BUCKETS], sum;
};

/* The same, read. */
struct histogram {
    uint64_t buckets[METRICS_BUCKETS], sum;
};

static inline unsigned metrics_bucket(uint64_t value, unsigned shift)
{
    uint64_t units = value ? (value - 1) >> shift : 0;
    unsigned bucket = units ? 64 - (unsigned)__builtin_clzll(units) : 0;
    return bucket < METRICS_BUCKETS ? bucket : METRICS_BUCKETS - 1;
}

/* The writer's alone. */
static inline void metrics_observe(struct metrics_histogram *histogram, uint64_t value,
                                   unsigned shift)
{
    metrics_add(&histogram->buckets[metrics_bucket(value, shift)], 1);
    metrics_add(&histogram->sum, value);
}

/* Adds what it holds to `out`. */
static inline void metrics_read_histogram(const struct metrics_histogram *histogram,
                                          struct histogram *out)
{
    for (unsigned i = 0; i < METRICS_BUCKETS; i++)
        out->buckets[i] += metrics_read(&histogram->buckets[i]);
    out->sum += metrics_read(&histogram->sum);
}
