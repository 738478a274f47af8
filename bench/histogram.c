#include "histogram.h"

#include <math.h>

/* Values below 2^BITS have a bucket each. From there on a row of 2^BITS buckets is a power of two.
 */
static uint32_t bucket_of(uint64_t value)
{
    if (value >> HISTOGRAM_BITS == 0) return (uint32_t)value;
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(value) - HISTOGRAM_BITS;
    uint32_t below = (uint32_t)(value >> shift) & ((1U << HISTOGRAM_BITS) - 1);
    return (shift + 1) << HISTOGRAM_BITS | below;
}

/* The largest value of a bucket. */
static uint64_t top_of(uint32_t bucket)
{
    uint32_t row = bucket >> HISTOGRAM_BITS;
    if (row == 0) return bucket;
    uint64_t below = bucket & ((1U << HISTOGRAM_BITS) - 1);
    return (((1ULL << HISTOGRAM_BITS) + below + 1) << (row - 1)) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->counts[bucket_of(value)]++;
    histogram->count++;
    if (value > histogram->max) histogram->max = value;
}

uint64_t histogram_at(const struct histogram *histogram, double part)
{
    uint64_t wanted = (uint64_t)ceil(part * (double)histogram->count), seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (seen > 0 && seen >= wanted)
            return top_of(i) < histogram->max ? top_of(i) : histogram->max;
    }
    return histogram->max;
}
