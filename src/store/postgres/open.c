#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "store/postgres/batch.h"
#include "store/postgres/pg.h"
#include "store/postgres/result.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TIMEOUT_MS = 5000,
    CHANGE_POLL_MS = 500,
    PARTITIONS_EVERY_MS = 60 * 60 * 1000,
    PARTITIONS_AGAIN_MS = 60 * 1000, /* when it failed */
    KEEP_EVERY_MS = 60 * 60 * 1000,
};

/* What nobody's acknowledgement survives. */
static enum pg_failure warn_of_loss(struct pg_store *store)
{
    static const char sql[] = "SELECT name FROM pg_settings WHERE setting = 'off' AND"
                              " name IN ('fsync', 'full_page_writes') ORDER BY name";
    PGresult *rows;
    enum pg_failure failure = pg_run(&store->connection, sql, NULL, &rows);
    if (failure) return failure;
    for (int row = 0; row < pg_rows(rows); row++)
        log_event(LOG_WARN, "database_not_durable", LOG_TEXT("setting", pg_get_text(rows, row, 0)),
                  LOG_TEXT("advice", SPAN("turn it on in postgresql.conf: what is acknowledged is "
                                          "lost when the database's machine fails")));
    PQclear(rows);
    return PG_FINE;
}

static enum err say(const struct pg_store *store, enum pg_failure failure, const char *what,
                    char problem[STORE_PROBLEM_MAX])
{
    if (failure)
        snprintf(problem, STORE_PROBLEM_MAX, "cannot %s the database: %s: %s", what,
                 store->connection.message, pg_advice(&store->connection));
    return pg_err(failure);
}

static enum err hold_dir(struct pg_store *store, char problem[STORE_PROBLEM_MAX])
{
    const struct store_options *options = &store->options;
    if (!options->dir || options->lane > 0) return ERR_OK;
    enum err err = dir_hold(&store->dir, options->dir, options->create, problem);
    store->is_dir_held = !err;
    return err;
}

/* Who records into half of what was will take a duplicate for new. */
static enum err refuse_half_copied(struct pg_store *store, char problem[STORE_PROBLEM_MAX])
{
    bool is_copying;
    int64_t cursor;
    enum err err =
        say(store, pg_copying(&store->connection, &is_copying, &cursor), "read", problem);
    if (err || !is_copying) return err;
    snprintf(problem, STORE_PROBLEM_MAX,
             "adtally copy has not filled the database to the end: run it again, then this");
    return ERR_FOREIGN;
}

static enum err prepare(struct pg_store *store, char problem[STORE_PROBLEM_MAX])
{
    enum err err = hold_dir(store, problem);
    if (!err) err = say(store, pg_connect(&store->connection), "reach", problem);
    if (!err) err = pg_migrate(&store->connection, problem);
    if (!err) err = say(store, warn_of_loss(store), "read", problem);
    if (!err) err = say(store, pg_partitions_ahead(store), "write", problem);
    if (!err) err = say(store, pg_copies_load(store), "read", problem);
    if (!err) err = say(store, pg_lane_open(store), "write", problem);
    if (!err) err = refuse_half_copied(store, problem); /* either it sees the lane, or we see it */
    return err;
}

static void close_store(struct store *base)
{
    struct pg_store *store = pg_of(base);
    pg_lane_close(store);
    pg_disconnect(&store->connection);
    pg_batch_free(store->batch);
    pg_sweep_fini(store);
    pg_polls_free(store);
    pg_params_fini(&store->params);
    pg_params_fini(&store->own_params);
    secret_free(store->secrets, sizeof *store->secrets);
    if (store->is_dir_held) dir_close(&store->dir);
    free(store);
}

/* What a tick does at most every so often; after a failure sooner. */
static void do_partitions(struct pg_store *store, int64_t now_ms)
{
    if (now_ms < store->partitions_at_ms) return;
    bool is_done = !pg_partitions_ahead(store) && !pg_lane_keep(store);
    store->partitions_at_ms = now_ms + (is_done ? PARTITIONS_EVERY_MS : PARTITIONS_AGAIN_MS);
}

static enum err maintain(struct store *base)
{
    struct pg_store *store = pg_of(base);
    int64_t now_ms = clock_mono_ms();
    if (pg_connect(&store->connection)) return ERR_OK;
    if (now_ms >= store->look_at_ms) {
        store->look_at_ms = now_ms + CHANGE_POLL_MS;
        (void)pg_copies_look(store);
    }
    do_partitions(store, now_ms);
    pg_sweep(store, now_ms);
    return ERR_OK;
}

/* A lease is a write, and what the next batch needs anyway. */
static enum err probe(struct store *base)
{
    struct pg_store *store = pg_of(base);
    enum pg_failure failure = pg_connect(&store->connection);
    store->lane.leased_at_ms = INT64_MIN / 2;
    if (!failure) failure = pg_lane_reserve(store, 1);
    return pg_err(failure);
}

static const struct secrets *secrets(const struct store *base)
{
    return ((const struct pg_store *)(const void *)base)->secrets;
}

static void stats(const struct store *base, struct store_stats *out)
{
    const struct pg_store *store = (const struct pg_store *)(const void *)base;
    *out = (struct store_stats){
        .sequence_next = store->lane.next_seq,
        .commit_us = store->commit_us,
    };
}

static const struct store_engine pg_engine = {
    .name = "postgresql",
    .close = close_store,
    .apply = pg_apply,
    .maintain = maintain,
    .probe = probe,
    .each_key = pg_each_key,
    .each_poll = pg_each_poll,
    .secrets = secrets,
    .stats = stats,
    .has_changed = pg_has_changed,
    .share_uses = pg_share_uses,
};

static struct pg_store *new_store(const struct store_options *options)
{
    struct pg_store *store = calloc(1, sizeof *store);
    if (!store) return NULL;
    store->store.engine = &pg_engine;
    store->options = *options;
    store->connection = (struct pg_connection){.url = options->url, .timeout_ms = TIMEOUT_MS};
    store->connection.is_quiet = true; /* until it runs: `problem` says it */
    store->secrets = secret_new(sizeof *store->secrets);
    if (store->secrets) return store;
    free(store);
    return NULL;
}

enum err pg_store_open(struct store **out, const struct store_options *options,
                       char problem[STORE_PROBLEM_MAX])
{
    struct pg_store *store = new_store(options);
    if (!store) {
        snprintf(problem, STORE_PROBLEM_MAX, "cannot open the store: %s", err_text(ERR_NO_MEMORY));
        return ERR_NO_MEMORY;
    }
    enum err err = prepare(store, problem);
    if (err) {
        close_store(&store->store);
        return err;
    }
    store->connection.is_quiet = false;
    store->told_change = store->change;
    store->partitions_at_ms = clock_mono_ms() + PARTITIONS_EVERY_MS;
    *out = &store->store;
    return ERR_OK;
}
