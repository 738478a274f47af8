#pragma once

#include "model.h"
#include "server.h"
#include "sim_disk.h"

/* One simulation, and what its files share: trace.c writes down what happens, turns.c asks and
 * compares answers, lives.c ends the server and starts it again, sim.c rolls what comes next. */

#define DIR_PATH SIM_DISK_ROOT "/data"

enum {
    BATCH_MAX = 100,
    PENDING_MAX = 32,
    WHY_MAX = 1200,
    CLASSES = 6, /* of statuses */
};

struct batch {
    struct ask asks[BATCH_MAX];
    size_t count;
};

extern struct run {
    bool prints_trace;
    struct server_options options;
    struct model model;
    struct model possible;             /* scratch: a world in which something else happened */
    struct batch pending[PENDING_MAX]; /* batches that failed since the last one that was recorded:
                                          one of them may stand */
    size_t pending_count;
    uint64_t hash;
    int64_t latest_ms; /* the wall clock was never past this */
    bool clock_goes_back, disk_is_full, failed;
    char why[WHY_MAX];
} run;

extern struct total {
    uint64_t requests, commands, class_count[CLASSES], events, turns;
    uint64_t failed_calls, failed_batches, full_disks, stops, expiries;
    uint64_t all_stood, none_stood;     /* of failed batches, after a start */
    uint64_t removed, erased, imported; /* rows */
} total;

/* trace.c: a line goes into the hash, and to standard output when that is wanted. */
void trace_begin(void);
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
void trace_ask(const struct ask *ask);
void trace_answer(const struct ask *ask, const struct answer *answer);

/* The first difference is the one to look at; it ends the run. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* turns.c */
void turn_ask(struct ask ask);
void turn_ask_some(size_t count);

/* A turn of the ledger, and what it answers. False: the process has to die. */
bool turn(void);

/* Whether it is of the file beside the database, outside of the batch's transaction. */
bool is_of_token_keys(const struct ask *ask);

/* lives.c: each ends with a server that runs and rows that were compared, or with a failure. */
void life_begin(void);
void life_end_badly(void); /* the disk is down, or a sync failed */
void life_cut_or_kill(void);
void life_stop(void);
void life_verify(void);
void calm_disk(void);
