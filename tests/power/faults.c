#include "bench.h"
#include "complain.h"
#include "memory.h"
#include "sim_disk.h"
#include "store/sqlite/sqlite.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* faults [--stride N] [--seed S] [--only SCENE] [--fault NAME] [--weaken early]: the store with
 * every single I/O call failing in turn, in each way that it can fail, once and for ever; and every
 * single allocation. For each: no acknowledgement that does not stand, no end by an assert, and
 * service again when the cause is gone. With a stride above 1 only every N-th allocation of a start
 * fails, and scenes that take long are left out unless they are named. */

enum { KINDS = 14, IMAGE_BATCHES = 6 };

static struct bench bench;

/* -- what is done while something fails ---------------------------------------------------- */

static struct sim_image *image; /* a store with some content, not closed in good order */
static struct oracle known;     /* what is in it */
static struct oracle nothing;

static void ask_of_each_kind(void)
{
    static const enum op_kind kinds[KINDS] = {
        OP_POLL_PUT,         OP_CLICK,       OP_CONVERSION,    OP_SERVER_EVENT,     OP_IMPRESSION,
        OP_FEEDBACK,         OP_AD_FEEDBACK, OP_VOTE,          OP_POLL_RESULTS,     OP_KEY_CREATE,
        OP_TOKEN_KEY_ROTATE, OP_KEY_REVOKE,  OP_POLL_WITHDRAW, OP_TOKEN_KEY_RETIRE,
    };
    struct oracle *oracle = &bench.oracle;
    int fresh = 1000 + oracle->events_count, click = PLAN_NONE;
    for (int i = 0; i < KINDS; i++) {
        int at = oracle_add(oracle, kinds[i]);
        struct event *event = &oracle->events[at];
        event->bid = fresh;
        event->is_import = false;
        event->poll = kinds[i] == OP_POLL_WITHDRAW;
        if (kinds[i] == OP_CLICK) click = at;
        if (kinds[i] == OP_CONVERSION) event->click = click;
        if (kinds[i] == OP_CONVERSION || kinds[i] == OP_SERVER_EVENT) event->key = fresh;
        if (kinds[i] == OP_POLL_PUT) event->option = PLAN_POLL_OPTIONS;
        bench_ask(&bench, at);
    }
}

/* Rows go, rows change, and rows come from elsewhere. */
static void ask_of_old_rows(void)
{
    static const enum op_kind kinds[] = {OP_ERASE, OP_RETAIN, OP_CLICK, OP_IMPRESSION};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        int at = oracle_add(&bench.oracle, kinds[i]);
        bench.oracle.events[at].is_import = i >= 2;
        bench_ask(&bench, at);
    }
}

/* A batch is sent again as it was, but for clicks of our own that stand: each is a new one. */
static void ask_the_same(int first)
{
    const struct oracle *oracle = &bench.oracle;
    for (int event = first; event < oracle->events_count; event++)
        if (oracle->events[event].kind != OP_CLICK || oracle->events[event].is_import ||
            !oracle_stands(oracle, event))
            bench_ask(&bench, event);
    if (bench.count == 0) ask_of_each_kind(); /* of a store that was empty */
}

static enum err apply_batch(void)
{
    ask_of_each_kind();
    return bench_apply(&bench);
}

static enum err apply_old_rows(void)
{
    ask_of_old_rows();
    return bench_apply(&bench);
}

/* A COMMIT that is durable already, and then needs another piece of the WAL's index: SQLite's
 * pieces hold 4,096 frames, the first one 4,062. */
static void fill_wal(void)
{
    enum { FRAMES = 4062, FRAMES_OF_A_BATCH = 8, PAGE = 4096 };
    struct store_stats stats;
    do {
        if (store_probe(bench.store)) complain("no probe before anything fails");
        store_stats(bench.store, &stats);
    } while (!has_complaint() && stats.wal_bytes / PAGE < FRAMES - FRAMES_OF_A_BATCH);
}

/* A batch that fails, and then a connection that has to be opened anew: stuck in a transaction, as
 * one is whose ROLLBACK failed. */
static enum err lose_connection(void)
{
    int first = bench.oracle.events_count;
    enum err err = apply_batch();
    if (err == ERR_OK || err == ERR_SYNC_FAILED) return err;
    db_exec(sqlite_of(bench.store)->db, "BEGIN");
    ask_the_same(first);
    return bench_apply(&bench);
}

static enum err maintain(void)
{
    return store_maintain(bench.store);
}

static enum err probe(void)
{
    return store_probe(bench.store);
}

static enum err close_store(void)
{
    bench_close(&bench);
    return ERR_OK;
}

static enum err open_store(void)
{
    return bench_open(&bench);
}

struct scene {
    const char *name;
    bool starts_empty, starts_open, starts_full, is_start; /* starts_full: takes long */
    bool allocates;                                        /* a lot: not each of them fails */
    enum err (*act)(void);
};

static const struct scene scenes[] = {
    {.name = "batch", .starts_open = true, .act = apply_batch},
    {.name = "checkpoint", .starts_open = true, .act = maintain},
    {.name = "probe", .starts_open = true, .act = probe},
    {.name = "close", .starts_open = true, .act = close_store},
    {.name = "old rows", .starts_open = true, .allocates = true, .act = apply_old_rows},
    {.name = "start", .is_start = true, .allocates = true, .act = open_store},
    {.name = "creation",
     .is_start = true,
     .allocates = true,
     .starts_empty = true,
     .act = open_store},
    {.name = "index", .starts_open = true, .starts_full = true, .act = apply_batch},
    {.name = "connection", .starts_open = true, .starts_full = true, .act = lose_connection},
};
enum { SCENES = sizeof scenes / sizeof scenes[0] };

static void load(const struct scene *scene, uint64_t seed)
{
    world_start(seed);
    if (!scene->starts_empty) world_wait((PLAN_ERA_DAYS + IMAGE_BATCHES) * PLAN_DAY_MS);
    sim_disk_format(seed);
    if (!scene->starts_empty) sim_disk_load(image);
    bench.oracle = scene->starts_empty ? nothing : known;
    bench.count = 0;
    if (!scene->starts_open) return;
    if (bench_open(&bench)) complain("cannot open before anything fails");
    if (!has_complaint()) apply_batch();
    if (scene->starts_full) fill_wal();
}

/* What is there before is old enough for retention, what comes after is not. */
static void begin_era(void)
{
    world_wait(PLAN_ERA_DAYS * PLAN_DAY_MS);
    oracle_next_era(&bench.oracle);
}

static void make_image(void)
{
    world_start(1);
    sim_disk_format(1);
    bench_init(&bench, 1, WEAK_NOT);
    oracle_start(&nothing);
    oracle_start(&bench.oracle);
    for (int i = 0; i < IMAGE_BATCHES && (i > 0 || !bench_open(&bench)); i++) {
        world_wait(PLAN_DAY_MS); /* an age is known to a step of hours */
        if (i == 3) begin_era();
        for (int n = 0; n < 12; n++)
            bench_ask(&bench, oracle_add_any(&bench.oracle));
        bench_apply(&bench);
        if (i == 2) store_maintain(bench.store);
    }
    bench_check(&bench);
    sim_disk_kill();
    bench_close(&bench);
    sim_disk_restart();
    image = sim_disk_save();
    known = bench.oracle;
}

/* -- what must hold afterwards ------------------------------------------------------------- */

/* The process ends, or the machine does; the next start shows what stands. */
static void die_and_start(bool by_cut)
{
    if (by_cut)
        sim_disk_cut();
    else
        sim_disk_kill();
    bench_close(&bench);
    sim_disk_restart();
    if (bench_open(&bench)) complain("no start after the cause is gone");
    if (!has_complaint()) bench_check(&bench);
}

static void stop_failing(void)
{
    sim_disk_fail(SIM_FAULT_EIO, 0, false);
    memory_fail(0, false);
    bench.may_fail = false;
}

/* While it fails for ever: any refusal will do, but nothing wrong. True: the process has to end. */
static bool try_on(int first)
{
    ask_the_same(first);
    if (bench_apply(&bench) == ERR_SYNC_FAILED) return true;
    return store_maintain(bench.store) == ERR_SYNC_FAILED ||
           store_probe(bench.store) == ERR_SYNC_FAILED;
}

static void serve_again(int first)
{
    ask_the_same(first);
    if (bench_apply(&bench)) complain("no service when the cause is gone");
    if (store_maintain(bench.store)) complain("no checkpoint when the cause is gone");
    if (!has_complaint()) bench_check(&bench);
}

static void finish(const struct scene *scene, enum err err, bool for_ever, uint64_t at)
{
    int first = bench.oracle.events_count - KINDS;
    if (first < 0) first = 0;
    bool ends = err == ERR_SYNC_FAILED;
    if (!ends && sim_disk_failed_sync() && !scene->is_start && scene->act != close_store)
        complain("a failed sync was told as: %s", err_text(err));
    if (!ends && for_ever && bench.store) ends = try_on(first);
    if (for_ever && scene->is_start && err && bench_open(&bench) == ERR_OK)
        ends = true; /* what failed before did not this time */
    stop_failing();
    if (!ends && bench.store) ends = probe() == ERR_SYNC_FAILED; /* as the ledger does */
    if (ends || !bench.store) die_and_start(at % 2);
    if (!has_complaint()) serve_again(first);
    if (!has_complaint()) die_and_start(true);
    if (!has_complaint()) bench_verify(&bench);
    bench_close(&bench);
}

/* -- all of them --------------------------------------------------------------------------- */

static struct {
    uint64_t io, allocations; /* that failed */
    uint64_t ended;           /* because a sync failed */
    uint64_t removed;         /* rows, by retention */
} totals;

enum { FAULT_MEMORY = SIM_FAULT_COUNT, FAULTS };
static const char *const fault_names[FAULTS] = {"EIO", "ENOSPC", "short", "EINTR", "memory"};

static void arm(int fault, uint64_t at, bool for_ever)
{
    bench.may_fail = true;
    if (fault == FAULT_MEMORY)
        memory_fail(at, for_ever);
    else
        sim_disk_fail((enum sim_fault)fault, at, for_ever);
}

/* False: there are fewer than `at` calls to fail. */
static bool run_one(const struct scene *scene, int fault, uint64_t at, bool for_ever, uint64_t seed)
{
    load(scene, seed + at);
    if (has_complaint()) return false;
    arm(fault, at, for_ever);
    enum err err = scene->act();
    bool struck = sim_disk_failed() || memory_failed();
    totals.io += sim_disk_failed() != 0;
    totals.allocations += memory_failed() != 0;
    totals.ended += err == ERR_SYNC_FAILED;
    totals.removed += bench.removed;
    bench.removed = 0;
    finish(scene, err, for_ever, at);
    return struck;
}

static bool run_all(const struct scene *scene, int fault, bool for_ever, uint64_t stride,
                    uint64_t seed)
{
    uint64_t at = 1 + (stride > 1 ? seed % stride : 0), count = 0;
    while (run_one(scene, fault, at, for_ever, seed) && !has_complaint()) {
        at += stride;
        count++;
    }
    if (!has_complaint()) {
        printf("%s %s %s: %llu\n", scene->name, fault_names[fault], for_ever ? "for ever" : "once",
               (unsigned long long)count);
        return true;
    }
    printf("%s: %s of call %llu %s: %s\n", scene->name, fault_names[fault], (unsigned long long)at,
           for_ever ? "for ever" : "once", findings.first);
    return false;
}

struct choice {
    uint64_t stride, seed;
    const char *scene, *fault; /* NULL: all */
    bool is_weak;              /* answers before the COMMIT: something must be found */
};

static bool is_chosen(const struct choice *choice, const struct scene *scene, int fault)
{
    if (choice->fault && strcmp(choice->fault, fault_names[fault]) != 0) return false;
    if (choice->scene) return strcmp(choice->scene, scene->name) == 0;
    return choice->stride == 1 || !scene->starts_full;
}

static bool run_scenes(const struct choice *choice)
{
    for (int i = 0; i < SCENES * FAULTS * 2; i++) {
        const struct scene *scene = &scenes[i / (FAULTS * 2)];
        int fault = i / 2 % FAULTS;
        bool strides = fault == FAULT_MEMORY && scene->allocates;
        if (is_chosen(choice, scene, fault) &&
            !run_all(scene, fault, i % 2, strides ? choice->stride : 1, choice->seed))
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct choice choice = {.stride = 1, .seed = 1};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--stride") == 0) choice.stride = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seed") == 0) choice.seed = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--only") == 0) choice.scene = argv[i + 1];
        if (strcmp(argv[i], "--fault") == 0) choice.fault = argv[i + 1];
        if (strcmp(argv[i], "--weaken") == 0) choice.is_weak = strcmp(argv[i + 1], "early") == 0;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    memory_start();
    if (!hash_start()) return 1;
    make_image();
    if (has_complaint()) printf("before anything fails: %s\n", findings.first);
    bench.weakness = choice.is_weak ? WEAK_EARLY : WEAK_NOT;
    bool ok = !has_complaint() && run_scenes(&choice);
    printf("faults: io=%llu allocations=%llu ended=%llu removed=%llu failed=%d\n",
           (unsigned long long)totals.io, (unsigned long long)totals.allocations,
           (unsigned long long)totals.ended, (unsigned long long)totals.removed, !ok);
    sim_image_free(image);
    sim_disk_free();
    return ok != choice.is_weak ? 0 : 1;
}
