#pragma once

#include "admin/admin.h"
#include "admin/process.h"
#include "api/api.h"
#include "base/writer.h"

#include <stdbool.h>
#include <stdint.h>

/* GET /v1/live: one JSON object a second, as server-sent events. Who comes gets what is remembered
 * first. "n" counts the second, "total" all since the start, percentiles are of the second and
 * absent when nothing happened; what never happened is left out.
 *
 *   {"started_at_ms":1,"serial":7,"at_ms":1000,
 *    "routes":{"/ack":{"n":12,"total":90,"p50_us":210,"p99_us":900}},
 *    "outcomes":{"recorded":{"n":11,"total":80},"refused":{...},"failed":{...}},
 *    "refusals":{"token_invalid":{"n":1,"total":10}},
 *    "health":{"is_healthy":true,"version":"0.1.0","uptime_s":7,"disk_bytes":1,"disk_free_bytes":1,
 *      "database_bytes":1,"wal_bytes":1,"index_bytes":1,"index_entries":1,"queue_length":0,
 *      "commit_p99_us":900,"resident_bytes":1,"connections":1}}
 *
 * "commit_p99_us" is of the second as well. */

struct live_health {
    bool is_healthy;
    uint64_t disk_bytes, disk_free_bytes, database_bytes;
    struct ledger_stats ledger;
    struct process_stats process;
};

/* The counters at one moment. */
struct live_look {
    int64_t started_at_ms, at_ms;
    uint64_t serial;
    struct api_stats api;
    struct live_health health;
};

/* What happened between two looks. */
enum { LIVE_LINE_MAX = 6 * 1024 };
void live_write(struct writer *out, const struct live_look *before, const struct live_look *now);

/* Where `percent` of the values between two histograms of times lie below, in microseconds; between
 * the bounds of a bucket they are taken to be spread evenly. 0: there are none. */
uint64_t live_percentile_us(const struct histogram *before, const struct histogram *now,
                            unsigned percent);

/* What looks every second, and sends it to whoever is connected; of the admin listener's thread. */
enum { LIVE_KEPT = 120 };
struct live_feed;
struct live_feed *live_feed_new(struct admin *admin);
void live_feed_free(struct live_feed *feed); /* may be NULL */
void live_feed_tick(struct live_feed *feed); /* every EV_TICK_MS */
