#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/* DIR/sinks/NAME.status: what adtally-sinks last said of a sink, for the server's metrics and for
 * `adtally-sinks status`. Written about once a second, never synced. */

enum { SINK_NAME_MAX = 32, SINKS_MAX = 32 };

struct sink_status {
    char name[SINK_NAME_MAX + 1];
    bool is_disabled;
    uint64_t sequence;      /* everything up to it was acknowledged */
    uint64_t last_sequence; /* of the data, when it was written */
    int64_t
        waiting_since_ms;  /* wall clock: when the oldest event was recorded that waits; 0: none */
    int64_t updated_at_ms; /* wall clock */
    uint64_t sent, failed; /* since adtally-sinks started: events, and attempts */
    uint64_t waiting;      /* events that are tried again, one by one */
    uint64_t dead_letters;
};

/* Of letters, digits, - and _; at most SINK_NAME_MAX. */
bool sink_name_is_good(struct span name);

/* The number behind `"name":` in a line of JSON of ours; false: there is none. */
bool sink_number(const char *line, const char *name, uint64_t *out);

bool sink_status_write(int dir_fd, const struct sink_status *status); /* dir_fd: of DIR/sinks */
bool sink_status_read(int dir_fd, const char *name, struct sink_status *out);

/* All that there are, by name; their number. No DIR/sinks: 0. */
unsigned sink_statuses_read(const char *dir, struct sink_status out[SINKS_MAX]);

/* How far behind it is, given the last sequence there is now; both 0 once everything was sent. */
uint64_t sink_lag_events(const struct sink_status *status, uint64_t last_sequence);
int64_t sink_lag_ms(const struct sink_status *status, uint64_t last_sequence, int64_t now_ms);
