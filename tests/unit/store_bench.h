#pragma once

#include "dir.h"
#include "store_clock.h"
#include "store_database.h"
#include "unit.h"

#include "base/clock.h"
#include "store/store.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the store suites share: a real engine in a fresh directory per case, or in a fresh database
 * (store_database.h). */

static int64_t now_ms; /* real: a start forgets what is too old by the wall clock */

struct bench {
    char dir[UNIT_DIR_MAX];
    struct database *database; /* NULL: all is in `dir` */
    int64_t began_mono_ms;
    struct store *store;
    struct store_options options;
};

static inline void open_store(struct bench *bench)
{
    char problem[STORE_PROBLEM_MAX] = "";
    enum err err = store_open(&bench->store, &bench->options, problem);
    if (err) print_error("%s\n", problem);
    assert_int_equal(err, ERR_OK);
}

static inline void reopen_store(struct bench *bench)
{
    store_close(bench->store);
    open_store(bench);
}

static inline int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    store_clock_set(now_ms);
    unit_dir_make(bench->dir, "store");
    store_options_init(&bench->options);
    bench->options.dir = bench->dir;
    bench->options.create = true;
    if (database_is_wanted()) {
        bench->database = database_new(now_ms);
        bench->options.url = database_url(bench->database);
    }
    bench->began_mono_ms = clock_mono_ms();
    open_store(bench);
    *state = bench;
    return 0;
}

static inline int tear_down(void **state)
{
    struct bench *bench = *state;
    if (bench->store) store_close(bench->store);
    database_free(bench->database);
    unit_dir_remove(bench->dir);
    free(bench);
    return 0;
}

/* A database's clock goes on with the time that passes, however this machine's is set. */
static inline void pass_time(struct bench *bench, int64_t until_ms)
{
    store_clock_reach(until_ms);
    if (bench->database)
        database_set_clock(bench->database, now_ms + clock_mono_ms() - bench->began_mono_ms);
}

static inline enum outcome apply_one(struct bench *bench, struct op *op)
{
    struct op *ops[] = {op};
    op->outcome = OUTCOME_PENDING;
    pass_time(bench, op->received_at_ms);
    store_apply(bench->store, ops, 1);
    return op->outcome;
}

static inline uint64_t count_findings(struct bench *bench)
{
    char memory[4096], problem[STORE_PROBLEM_MAX] = "";
    struct writer report;
    uint64_t findings = 1;
    const struct store_verify verify = {.dir = bench->dir, .url = bench->options.url};
    writer_init(&report, memory, sizeof memory);
    enum err err = store_verify_watched(&verify, &report, &findings, problem);
    if (err) print_error("%s\n", problem);
    assert_int_equal(err, ERR_OK);
    if (findings) print_error("%.*s", SPAN_FMT(writer_text(&report)));
    return findings + (bench->database ? database_findings(bench->database) : 0);
}

/* Every write past `bytes` in a file fails, as on a disk that is full. */
static inline void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Every write fails, as on a disk that is full, or none. `bytes`: of a file, so much is still let
 * through. */
static inline void refuse_writes(struct bench *bench, rlim_t bytes)
{
    if (bench->database)
        database_refuse_writes(bench->database, true);
    else
        limit_file_size(bytes);
}

static inline void allow_writes(struct bench *bench)
{
    if (bench->database)
        database_refuse_writes(bench->database, false);
    else
        limit_file_size(RLIM_INFINITY);
}

#define STORE_CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
