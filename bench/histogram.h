#pragma once

#include <stdint.h>

/* Latencies in nanoseconds, each kept to within 1/128 of itself. Pure. */

enum {
    HISTOGRAM_BITS = 7, /* of a value that are told apart below its highest one */
    HISTOGRAM_ROWS = 64 - HISTOGRAM_BITS + 1,
    HISTOGRAM_BUCKETS = HISTOGRAM_ROWS << HISTOGRAM_BITS,
};

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t max;
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The smallest value that a share of `part` in 0..1 of all lie at or below; 0 when there are none.
 */
uint64_t histogram_at(const struct histogram *histogram, double part);
