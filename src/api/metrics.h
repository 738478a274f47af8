#pragma once

#include "api/dialect.h"

#include <stdatomic.h>
#include <stdint.h>

/* What the public listener counts: written by all loops, read by whoever asks. */
struct api_metrics {
    _Atomic uint64_t clicks_unrecorded, clicks_capped, refused[REJECT_COUNT];
};

static inline void metrics_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static inline uint64_t metrics_read(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}
