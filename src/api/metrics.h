#pragma once

#include "api/api.h"
#include "base/metrics.h"

#include <pthread.h>

/* What the loops count: each its own, summed up by who asks (api_stats_read). */

struct loop_metrics {
    struct loop_metrics *next;
    _Atomic uint64_t requests[API_ROUTES_COUNT][DISPOSITION_COUNT];
    struct metrics_histogram latency[API_ROUTES_COUNT]; /* in microseconds */
    _Atomic uint64_t conns_open, conns_accepted, refused_framing, refused_large, timeouts;
};

struct api_metrics {
    pthread_mutex_t mutex; /* of the list, which only grows */
    struct loop_metrics *loops;
    _Atomic uint64_t watchers; /* written under the mutex of the tail */
};

/* Another loop's, zeroed; lives as long as the api. NULL: no memory. */
struct loop_metrics *api_metrics_join(struct api *api);

void api_metrics_init(struct api_metrics *metrics);
void api_metrics_fini(struct api_metrics *metrics);
