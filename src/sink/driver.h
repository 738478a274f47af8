#pragma once

#include "sink/config.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a batch of events gets to where it belongs: one driver for each type of sink that takes
 * batches. All calls come from the sink's own thread. */

enum { SINK_REASON_MAX = 64 };

struct sink_failure {
    char reason[SINK_REASON_MAX]; /* "HTTP 503": no secret, no text of strangers */
    int64_t retry_after_ms;       /* what the other side asked for; 0: nothing */
    bool is_gone;                 /* 410: it wants nothing any more */
};

struct sink_driver {
    /* NULL: `failure` says why; to be tried again. */
    void *(*open)(const struct sink_config *config, struct sink_failure *failure);

    /* How many from the front were acknowledged; fewer than `count`: `failure` says why, and the
     * rest comes again, in the same order and perhaps with more behind it. */
    size_t (*deliver)(void *driver, const struct store_feed_event *events, size_t count,
                      struct sink_failure *failure);
    void (*close)(void *driver);
};

extern const struct sink_driver sink_http, sink_nats, sink_kafka;

void sink_fail(struct sink_failure *failure, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
