#pragma once

#include "store/sinks.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a sink has to remember over restarts, in DIR/sinks:
 *
 *     NAME.cursor   one line for the sink, one for each event that waits to be tried again:
 *                   {"sequence":90210,"receipt":"5f0c2d1e8a9b3c47","disabled":0}
 *                   {"sequence":88001,"attempts":3,"due_ms":1795280000000}
 *     NAME.dead     dead letters: a line each, appended
 *     NAME.replay   a wish of `adtally-sinks replay`, NAME.enable one of `enable`: empty files
 *     NAME.again    dead letters that are being sent again
 *
 * Events themselves are in none of them: they are read again when they are sent, as they are then.
 * One thread of one process, which holds DIR/sinks/lock, writes them. */

struct waiting_event {
    uint64_t sequence;
    int64_t due_ms; /* wall clock */
    uint32_t attempts;
};

struct sink_state {
    uint64_t sequence; /* everything up to it was acknowledged, waits below, or is a dead letter */
    char receipt[17];  /* of that sequence: it belongs to this data directory */
    bool is_disabled, is_new;
    struct waiting_event *waiting;
    size_t waiting_count, waiting_cap;
};

/* A file that is not there is a new state. On false `problem` says why. */
enum { STATE_PROBLEM_MAX = 256 };
bool state_read(struct sink_state *state, int dir_fd, const char *name,
                char problem[STATE_PROBLEM_MAX]);
void state_free(struct sink_state *state);

/* Room for `count` waiting events; false: no memory. */
bool state_reserve(struct sink_state *state, size_t count);

/* Durable when it returns true. */
bool state_write(const struct sink_state *state, int dir_fd, const char *name);

struct dead_letter {
    uint64_t sequence;
    const char *table; /* not read back */
    char receipt[17];
    char reason[64];
    uint32_t attempts;
    int64_t dead_at_ms;
};

/* Appended and durable, or false. */
bool dead_append(int dir_fd, const char *name, const struct dead_letter *letter);
uint64_t dead_count(int dir_fd, const char *name);

/* Whether a wish is there: `kind` is "replay" or "enable". */
bool wish_is_there(int dir_fd, const char *name, const char *kind);
bool wish_make(int dir_fd, const char *name, const char *kind);
void wish_end(int dir_fd, const char *name, const char *kind);

/* The dead letters become those that are sent again: NAME.again, unless that is there already.
 * False: there is none. */
bool again_begin(int dir_fd, const char *name);

/* The sequences of NAME.again from `skip` on, at most `cap`; their number. */
size_t again_read(int dir_fd, const char *name, size_t skip, uint64_t *sequences, size_t cap);
void again_end(int dir_fd, const char *name);
