#pragma once

#include "oracle.h"

/* A store on the simulated disk, and the oracle beside it. */

#define BENCH_DIR SIM_DISK_ROOT "/data"

/* What is made weaker on purpose, to see that it is noticed. */
enum weakness {
    WEAK_NOT,
    WEAK_NORMAL, /* PRAGMA synchronous = NORMAL */
    WEAK_EARLY,  /* answered before the COMMIT */
    WEAK_NAMES,  /* directories are not synced */
    WEAK_START,  /* a start does not sync what it found in the page cache */
    WEAK_RETAIN, /* retention takes one row more than is old */
    WEAK_ERASE,  /* nobody is erased */
};

struct bench {
    struct oracle oracle;
    struct store *store; /* NULL: closed */
    struct store_options options;
    enum weakness weakness;
    bool may_fail;      /* calls are made to fail: an error is no complaint */
    bool is_committing; /* WEAK_EARLY: the answers are out */
    struct request requests[PLAN_BATCH_MAX];
    struct foretold foretold[PLAN_BATCH_MAX];
    size_t count;
    uint64_t batches, ops, acknowledged, removed; /* totals; rows that retention took */
};

void bench_init(struct bench *bench, int checkpoint_pages, enum weakness weakness);

/* ERR_OK: open, and the disk runs. */
enum err bench_open(struct bench *bench);
void bench_close(struct bench *bench);

/* Everything that stands against the oracle; all promises by store_verify as well. */
bool bench_check(struct bench *bench);
bool bench_verify(struct bench *bench);

/* A batch: asked op by op, then applied. */
void bench_ask(struct bench *bench, int event);
enum err bench_apply(struct bench *bench);
