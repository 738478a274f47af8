#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* How a key is used: written by all loops, read by whoever asks. */
struct use_metrics {
    _Atomic uint64_t count;
    _Atomic int64_t last_ms;
};

/* The time moves in seconds: most uses do not write it. */
static inline void use_metrics_note(struct use_metrics *use, int64_t now_ms)
{
    int64_t last_ms = atomic_load_explicit(&use->last_ms, memory_order_relaxed);
    atomic_fetch_add_explicit(&use->count, 1, memory_order_relaxed);
    if (now_ms - last_ms >= 1000)
        atomic_store_explicit(&use->last_ms, now_ms, memory_order_relaxed);
}

static inline uint64_t use_metrics_count(struct use_metrics *use)
{
    return atomic_load_explicit(&use->count, memory_order_relaxed);
}

static inline int64_t use_metrics_last_ms(struct use_metrics *use)
{
    return atomic_load_explicit(&use->last_ms, memory_order_relaxed);
}
