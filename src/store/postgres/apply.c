#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "store/postgres/batch.h"

#include <string.h>
#include <time.h>

/* A batch of ops: runs of events are read, decided and written together; what is configured, erased
 * or removed is a transaction of its own, in its turn. */

enum {
    ATTEMPTS_MAX = 12,       /* of one batch, when others take its keys */
    PAUSE_MS_MAX = 64,       /* between two of them */
    AGAIN_MS_MAX = 5 * 1000, /* of all of them: clients wait */
    RESOLVE_MS_MAX = 800,    /* until it is known whether a COMMIT stands */
    RESOLVE_PAUSE_MS = 50,
    RESOLVE_ATTEMPTS_MAX = RESOLVE_MS_MAX / RESOLVE_PAUSE_MS,
};

static void rest(int64_t ms)
{
    struct timespec time = {ms / 1000, (ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* Two that met are not to meet again. */
static void rest_at_random(int attempt)
{
    uint32_t random;
    int64_t most_ms = attempt < 6 ? 1 << attempt : PAUSE_MS_MAX;
    rng_fill(&random, sizeof random);
    rest(random % (most_ms + 1));
}

static void refuse(struct op *const ops[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ops[i]->outcome = OUTCOME_UNAVAILABLE;
        ops[i]->sequence = 0;
    }
}

static void log_failure(struct pg_store *store, size_t count)
{
    const struct pg_connection *connection = &store->connection;
    log_event_bounded(LOG_ERROR, "batch_failed",
                      LOG_TEXT("reason", span_of(err_text(pg_err(connection->failure)))),
                      LOG_TEXT("detail", span_of(connection->message)),
                      LOG_TEXT("sqlstate", span_of(connection->sqlstate)),
                      LOG_NUMBER("ops", (int64_t)count),
                      LOG_TEXT("advice", span_of(pg_advice(connection))));
}

/* -- what a lost answer left open ---------------------------------------------------------- */

/* Whether the transaction stands whose answer was lost; not asked for ever. What is not known then
 * never changes any more: before its next batch the lane makes sure of that (pg_lane_reserve). */
static enum pg_failure resolve(struct pg_store *store, bool *stands)
{
    int64_t deadline_us = clock_mono_us() + RESOLVE_MS_MAX * 1000, lane_id = store->lane.id;
    for (int attempt = 0; attempt < RESOLVE_ATTEMPTS_MAX; attempt++) {
        if (attempt) rest(RESOLVE_PAUSE_MS);
        enum pg_failure failure = pg_connect(&store->connection);
        if (!failure) failure = pg_lane_resolve(store, stands);
        if (!failure) return PG_FINE;
        if (store->lane.id != lane_id || clock_mono_us() >= deadline_us) break;
    }
    return PG_UNREACHABLE;
}

/* -- events -------------------------------------------------------------------------------- */

static enum pg_failure write_decided(struct pg_store *store, bool *is_unknown)
{
    uint32_t used = (uint32_t)store->batch->recorded_count;
    bool stands = true;
    if (!used) return PG_FINE; /* only asked, or known before */
    int64_t began_us = clock_mono_us();
    enum pg_failure failure = batch_write(store);
    store->commit_us = clock_mono_us() - began_us;
    if (failure == PG_UNREACHABLE) {
        failure = resolve(store, &stands);
        *is_unknown = failure != PG_FINE;
        if (!failure && !stands) failure = PG_AGAIN;
    } else if (!failure) {
        pg_lane_advanced(store, used);
    }
    if (!failure) store->recorded += used;
    return failure;
}

static enum pg_failure try_events(struct pg_store *store, struct op *const ops[], size_t count,
                                  bool *is_unknown)
{
    enum pg_failure failure = pg_connect(&store->connection);
    if (!failure) failure = pg_lane_reserve(store, (uint32_t)count);
    if (failure) return failure;
    batch_begin(store, ops, count);
    failure = batch_read(store);
    if (!failure) {
        batch_decide(store);
        failure = write_decided(store, is_unknown);
    }
    if (failure)
        batch_take_back(store);
    else
        batch_end(store->batch);
    return failure;
}

/* The database may have gone and come back since the last batch: that is tried once more. */
static bool is_worth_another(enum pg_failure failure, int attempt)
{
    if (failure == PG_UNREACHABLE) return attempt == 0;
    return failure == PG_TAKEN || failure == PG_AGAIN;
}

/* Nobody made the partitions of today: the database's clock was set, or no node ran for days. */
static bool lacks_partition(const struct pg_connection *connection, enum pg_failure failure)
{
    return failure == PG_REFUSED && strcmp(connection->sqlstate, "23514") == 0;
}

static enum pg_failure do_events(struct pg_store *store, struct op *const ops[], size_t count)
{
    enum pg_failure failure = PG_AGAIN;
    bool is_unknown = false; /* then it must not be done again: it may stand */
    int64_t deadline_us = clock_mono_us() + AGAIN_MS_MAX * 1000;
    for (int attempt = 0; attempt < ATTEMPTS_MAX && failure; attempt++) {
        failure = try_events(store, ops, count, &is_unknown);
        if (attempt == 0 && lacks_partition(&store->connection, failure) &&
            !pg_partitions_ahead(store))
            failure = PG_AGAIN;
        if (is_unknown || !is_worth_another(failure, attempt)) break;
        if (clock_mono_us() >= deadline_us) break;
        if (failure != PG_UNREACHABLE) rest_at_random(attempt);
    }
    return failure;
}

/* Classes of errors that are about values: they pass when the values do. */
static bool is_about_values(const struct pg_connection *connection)
{
    static const char *const classes[] = {"22", "23", "54"};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strncmp(connection->sqlstate, classes[i], 2) == 0) return true;
    return false;
}

static void log_refused(const struct op *op, struct span detail, struct span sqlstate)
{
    struct span table = op->kind <= OP_VOTE ? event_table_name(op->kind) : SPAN("poll");
    log_event_bounded(LOG_ERROR, "event_refused_by_database", LOG_TEXT("table", table),
                      LOG_TEXT("detail", detail), LOG_TEXT("sqlstate", sqlstate),
                      LOG_TEXT("consequence", SPAN("this one event is answered 503, others are "
                                                   "recorded")));
}

/* 55P03: somebody holds a table or a row for long, which is no op's doing. */
static bool is_locked_out(const struct pg_connection *connection)
{
    return strcmp(connection->sqlstate, "55P03") == 0;
}

/* One op that cannot be stored takes no other with it: halves are done by themselves. The failure
 * is of those for which nothing else is to be said; PG_FINE: some op has its outcome. */
static enum pg_failure apply_events(struct pg_store *store, struct op *const ops[], size_t count)
{
    enum pg_failure failure = do_events(store, ops, count);
    if (!failure) return PG_FINE;
    refuse(ops, count);
    bool is_op = failure == PG_TAKEN || failure == PG_AGAIN || is_about_values(&store->connection);
    if (failure == PG_UNREACHABLE || !is_op || is_locked_out(&store->connection)) {
        log_failure(store, count);
        return failure;
    }
    if (count == 1) {
        log_refused(ops[0], span_of(store->connection.message),
                    span_of(store->connection.sqlstate));
        return PG_FINE;
    }
    enum pg_failure first = apply_events(store, ops, count / 2);
    enum pg_failure second = apply_events(store, ops + count / 2, count - count / 2);
    return first ? second : PG_FINE;
}

/* -- the rest ------------------------------------------------------------------------------ */

static enum pg_failure do_one(struct pg_store *store, struct op *op)
{
    enum pg_failure failure = pg_connect(&store->connection);
    if (failure) return failure;
    switch (op->kind) {
    case OP_POLL_PUT:
    case OP_POLL_WITHDRAW:
        return pg_polls_apply(store, op);
    case OP_KEY_CREATE:
    case OP_KEY_REVOKE:
        return pg_keys_apply(store, op);
    case OP_TOKEN_KEY_ROTATE:
    case OP_TOKEN_KEY_RETIRE:
        return pg_token_keys_apply(store, op);
    case OP_ERASE:
        return pg_erase_apply(store, op);
    default:
        ASSERT(op->kind == OP_RETAIN);
        return pg_retain_apply(store, op);
    }
}

/* An answer that was lost leaves open whether it was done; asked again, it is done once. */
static enum pg_failure apply_one(struct pg_store *store, struct op *op)
{
    enum pg_failure failure = PG_AGAIN;
    for (int attempt = 0; attempt < ATTEMPTS_MAX && failure; attempt++) {
        if (attempt) rest_at_random(attempt);
        failure = do_one(store, op);
        if (!is_worth_another(failure, attempt)) break;
    }
    if (!failure) return PG_FINE;
    refuse(&op, 1);
    log_failure(store, 1);
    return failure;
}

static bool is_event(const struct op *op)
{
    return op->kind <= OP_POLL_RESULTS;
}

/* How many from the first on are done together. */
static size_t run_length(struct op *const ops[], size_t count)
{
    size_t length = 1;
    while (is_event(ops[0]) && length < count && is_event(ops[length]))
        length++;
    return length;
}

enum err pg_apply(struct store *base, struct op *const ops[], size_t count)
{
    struct pg_store *store = pg_of(base);
    enum pg_failure failed = PG_FINE;
    bool is_any_done = false;
    if (!store->batch) store->batch = pg_batch_new();
    if (!store->batch) {
        refuse(ops, count);
        return ERR_NO_MEMORY;
    }
    for (size_t first = 0, length; first < count; first += length) {
        length = run_length(ops + first, count - first);
        enum pg_failure failure = is_event(ops[first]) ? apply_events(store, ops + first, length)
                                                       : apply_one(store, ops[first]);
        if (failure)
            failed = failure;
        else
            is_any_done = true;
    }
    return is_any_done ? ERR_OK : pg_err(failed);
}
