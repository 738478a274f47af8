#include "api/metrics.h"

#include "api/request.h"

#include <stdlib.h>

/* clang-format off */
static const char *const labels[DISPOSITION_REFUSED] = {
    [DISPOSITION_ANSWERED]   = "answered",
    [DISPOSITION_RECORDED]   = "recorded",
    [DISPOSITION_DUPLICATE]  = "duplicate",
    [DISPOSITION_CAPPED]     = "capped",
    [DISPOSITION_UNRECORDED] = "unrecorded",
};
/* clang-format on */

const char *disposition_label(unsigned disposition)
{
    if (disposition < DISPOSITION_REFUSED) return labels[disposition];
    return reject_row((enum reject)(disposition - DISPOSITION_REFUSED))->label;
}

void api_metrics_init(struct api_metrics *metrics)
{
    *metrics = (struct api_metrics){0};
    pthread_mutex_init(&metrics->mutex, NULL);
}

void api_metrics_fini(struct api_metrics *metrics)
{
    for (struct loop_metrics *loop = metrics->loops, *next; loop; loop = next) {
        next = loop->next;
        free(loop);
    }
    pthread_mutex_destroy(&metrics->mutex);
}

struct loop_metrics *api_metrics_join(struct api *api)
{
    struct loop_metrics *loop = calloc(1, sizeof *loop);
    if (!loop) return NULL;
    pthread_mutex_lock(&api->metrics.mutex);
    loop->next = api->metrics.loops;
    api->metrics.loops = loop;
    pthread_mutex_unlock(&api->metrics.mutex);
    return loop;
}

void api_loop_note_http(struct api_loop *loop, const struct http_stats *stats)
{
    struct loop_metrics *metrics = loop->metrics;
    metrics_set(&metrics->conns_open, stats->conns_open);
    metrics_set(&metrics->conns_accepted, stats->conns_accepted);
    metrics_set(&metrics->refused_framing, stats->refused_framing);
    metrics_set(&metrics->refused_large, stats->refused_large);
    metrics_set(&metrics->timeouts, stats->timeouts);
}

static void add_http(struct http_stats *out, const struct loop_metrics *loop)
{
    out->conns_open += metrics_read(&loop->conns_open);
    out->conns_accepted += metrics_read(&loop->conns_accepted);
    out->refused_framing += metrics_read(&loop->refused_framing);
    out->refused_large += metrics_read(&loop->refused_large);
    out->timeouts += metrics_read(&loop->timeouts);
}

static void add_loop(struct api_stats *out, const struct loop_metrics *loop)
{
    for (size_t route = 0; route < API_ROUTES_COUNT; route++) {
        struct api_route_stats *stats = &out->routes[route];
        for (unsigned i = 0; i < DISPOSITION_COUNT; i++)
            stats->requests[i] += metrics_read(&loop->requests[route][i]);
        metrics_read_histogram(&loop->latency[route], &stats->latency_us);
    }
    add_http(&out->http, loop);
}

void api_stats_read(struct api *api, struct api_stats *out)
{
    *out = (struct api_stats){0};
    pthread_mutex_lock(&api->metrics.mutex);
    for (const struct loop_metrics *loop = api->metrics.loops; loop; loop = loop->next)
        add_loop(out, loop);
    pthread_mutex_unlock(&api->metrics.mutex);
}
