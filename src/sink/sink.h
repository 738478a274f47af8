#pragma once

#include "base/worker.h"
#include "sink/config.h"
#include "sink/driver.h"
#include "sink/state.h"
#include "store/store.h"

/* One sink, served by one thread of its own: a dead one holds up nobody else. */

struct sink {
    const struct sink_config *config;
    const char *dir; /* the data directory */
    const char *url; /* of the PostgreSQL database that has the events; NULL: `dir` does */
    int dir_fd;      /* of DIR/sinks */
    struct worker worker;
    struct store_feed *feed;
    struct sink_state state;
    struct sink_status status;
    struct store_feed_event events[SINK_BATCH_MAX];
    bool is_uncommitted;
    int64_t committed_at_ms, told_at_ms; /* monotonic */
    char told[STORE_PROBLEM_MAX];        /* the problem that the log has heard of */
    int64_t problem_told_at_ms;
};

/* The thread's: begins, goes on until it is told to stop, and has told the disk where it was. */
void *sink_run(void *arg); /* struct sink */

/* ---- for the two ways of serving one ---- */

/* True after `ms`; false: to stop. Writes the status when it is time to. */
bool sink_rest(struct sink *sink, int64_t ms);

/* Up to `cap` of the next events that pass the filters, into sink->events; state.sequence stays,
 * `cursor` is where reading went on to. False: told, try again later. */
bool sink_read(struct sink *sink, uint64_t *cursor, size_t cap, size_t *count);

/* The state on the disk, when something changed and the last time is `interval_ms` ago. False:
 * told. */
bool sink_commit(struct sink *sink, int64_t interval_ms);

/* The sink stands behind `sequence` now. */
void sink_advance(struct sink *sink, uint64_t sequence);

/* A problem, once a minute while it is the same; NULL: there is none any more. */
void sink_tell(struct sink *sink, const char *problem);

/* What 410 Gone begins and a wish ends; to be committed. */
void sink_disable(struct sink *sink);
void sink_enable(struct sink *sink);

/* Follow the feed until they are told to stop, or the feed has failed (false). */
bool batches_follow(struct sink *sink, const struct sink_driver *driver);
bool webhook_follow(struct sink *sink);
