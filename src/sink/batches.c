#include "sink/sink.h"

#include "base/rng.h"

#include <stdio.h>

/* Sinks that take batches: read some, hand them over, and only when they were acknowledged go on.
 * What fails comes again, read anew, after a pause that grows. */

enum { IDLE_MS = 100, COMMIT_MS = 200, PAUSE_FIRST_MS = 200, PAUSE_MAX_MS = 30000 };
static const int64_t RETRY_AFTER_MAX_MS = 3600 * 1000;

struct batches {
    struct sink *sink;
    const struct sink_driver *driver;
    void *open; /* the driver's; NULL: to be opened */
    int64_t pause_ms;
};

static bool is_enabled(struct sink *sink)
{
    if (!sink->state.is_disabled) return true;
    if (!wish_is_there(sink->dir_fd, sink->config->name, "enable")) return false;
    sink_enable(sink);
    if (sink_commit(sink, 0)) wish_end(sink->dir_fd, sink->config->name, "enable");
    return true;
}

/* A wait after a failure, which grows with each. */
static bool pause_after(struct batches *batches, const struct sink_failure *failure)
{
    uint32_t random;
    rng_fill(&random, sizeof random);
    int64_t ms = batches->pause_ms / 2 + random % (batches->pause_ms / 2 + 1);
    batches->pause_ms *= 2;
    if (batches->pause_ms > PAUSE_MAX_MS) batches->pause_ms = PAUSE_MAX_MS;
    if (failure->retry_after_ms > ms)
        ms = failure->retry_after_ms < RETRY_AFTER_MAX_MS ? failure->retry_after_ms
                                                          : RETRY_AFTER_MAX_MS;
    while (ms > 0) {
        int64_t part = ms < 1000 ? ms : 1000; /* the status goes on being written */
        if (!sink_rest(batches->sink, part)) return false;
        ms -= part;
    }
    return true;
}

static bool on_failure(struct batches *batches, const struct sink_failure *failure)
{
    batches->sink->status.failed++;
    sink_tell(batches->sink, failure->reason);
    if (failure->is_gone) {
        sink_disable(batches->sink);
        sink_commit(batches->sink, 0);
        return true;
    }
    return pause_after(batches, failure);
}

/* False: to stop. */
static bool deliver(struct batches *batches, uint64_t cursor, size_t count)
{
    struct sink *sink = batches->sink;
    struct sink_failure failure = {0};
    size_t done = 0;
    sink->status.waiting_since_ms = sink->events[0].recorded_at_ms;
    if (!batches->open) batches->open = batches->driver->open(sink->config, &failure);
    if (batches->open)
        done = batches->driver->deliver(batches->open, sink->events, count, &failure);
    sink->status.sent += done;
    if (done == count)
        sink_advance(sink, cursor);
    else if (done)
        sink_advance(sink, sink->events[done - 1].sequence);
    sink_commit(sink, COMMIT_MS);
    if (done < count) return on_failure(batches, &failure);
    sink_tell(sink, NULL);
    batches->pause_ms = PAUSE_FIRST_MS;
    return sink_rest(sink, 0);
}

/* False: the feed has failed. */
static bool turn(struct batches *batches, bool *is_stopping)
{
    struct sink *sink = batches->sink;
    uint64_t cursor = sink->state.sequence;
    size_t count;
    if (!is_enabled(sink)) {
        *is_stopping = !sink_rest(sink, 5 * IDLE_MS);
        return true;
    }
    if (!sink_read(sink, &cursor, (size_t)sink->config->batch, &count)) return false;
    if (count > 0) {
        *is_stopping = !deliver(batches, cursor, count);
        return true;
    }
    bool is_at_end = cursor == sink->state.sequence;
    if (is_at_end) sink->status.waiting_since_ms = 0;
    sink_advance(sink, cursor);
    sink_commit(sink, COMMIT_MS);
    *is_stopping = !sink_rest(sink, is_at_end ? IDLE_MS : 0);
    return true;
}

bool batches_follow(struct sink *sink, const struct sink_driver *driver)
{
    struct batches batches = {sink, driver, NULL, PAUSE_FIRST_MS};
    bool is_stopping = false, is_fed = true;
    while (is_fed && !is_stopping)
        is_fed = turn(&batches, &is_stopping);
    if (batches.open) driver->close(batches.open);
    return is_fed;
}
