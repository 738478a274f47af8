#include "base/secret.h"
#include "base/uninitialized.h"
#include "store/copy.h"
#include "store/postgres/merge.h"
#include "store/postgres/pg.h"
#include "store/postgres/result.h"

#include <stdio.h>
#include <stdlib.h>

/* A database as what `adtally copy` reads. As a data directory has its lock, so here two rows are
 * held locked by a connection that does nothing else: `counter`, without which nobody gets
 * sequences, and `change`, without which nobody changes keys, polls or secrets. They are let go of
 * when the copy ends, however it does; nothing is written. */

enum { TIMEOUT_MS = 60 * 60 * 1000 };

/* Servers that were stopped have no row of `lane`; one that was killed is taken for gone when it
 * has not been seen for so long: those that live are seen once an hour. */
#define SEEN_MS "7200000"
#define NOW_MS "(extract(epoch from clock_timestamp()) * 1000)::bigint"

struct pg_source {
    struct copy_source source; /* first: what the copy holds */
    struct pg_merge merge;
    struct pg_connection lock;
    char *problem;
    copy_on_event *on_event; /* of the reading under way */
    void *arg;
};

static struct pg_source *pg_source_of(struct copy_source *source)
{
    return (struct pg_source *)(void *)source;
}

static enum err refuse(struct pg_source *source, const char *why)
{
    snprintf(source->problem, STORE_PROBLEM_MAX, "%s", why);
    return ERR_BUSY;
}

static enum err pass_event(void *arg, const struct pg_merge_row *from)
{
    struct pg_source *source = arg;
    struct text_row row UNINITIALIZED;
    pg_take_row(from->result, from->at, from->columns, &row);
    return source->on_event(source->arg, from->kind, &row,
                            pg_get_i64(from->result, from->at, row.count));
}

static enum err read_events(struct copy_source *base, int64_t after, int64_t to,
                            copy_on_event *on_event, void *arg)
{
    struct pg_source *source = pg_source_of(base);
    uint64_t at = (uint64_t)after;
    enum err err = ERR_OK;
    source->on_event = on_event;
    source->arg = arg;
    while (!err && at < (uint64_t)to)
        err = pg_merge_read(&source->merge, &at, (uint64_t)to, pass_event, source);
    return err;
}

/* Only hashes of API keys are bytes. */
static bool take_bytes(const PGresult *rows, int at, struct text_row *row, uint8_t hash[HASH_SIZE])
{
    enum { OID_BYTEA = 17 };
    for (int i = 0; i < row->count; i++) {
        if (PQftype(rows, i) != OID_BYTEA) continue;
        if (!pg_get_bytes(rows, at, i, hash, HASH_SIZE)) return false;
        row->cells[i].text = (struct span){(const char *)hash, HASH_SIZE};
    }
    return true;
}

static enum err read_table(struct copy_source *base, enum copy_table table, copy_on_row *on_row,
                           void *arg)
{
    /* The last column stands where the data file has the checksum. */
    static const char *const selects[COPY_TABLES] = {
        [COPY_API_KEY] = "SELECT *, 0::bigint FROM api_key ORDER BY created_at_ms, id",
        [COPY_POLL] = "SELECT *, 0::bigint FROM poll ORDER BY poll_id",
        [COPY_POLL_OPTION] = "SELECT *, 0::bigint FROM poll_option ORDER BY poll_id, position",
        [COPY_POLL_COUNT] = "SELECT *, 0::bigint FROM poll_count ORDER BY poll_id, option_id",
    };
    struct pg_source *source = pg_source_of(base);
    struct text_row row UNINITIALIZED;
    uint8_t hash[HASH_SIZE];
    PGresult *rows;
    enum err err = pg_merge_fail(&source->merge,
                                 pg_run(&source->merge.connection, selects[table], NULL, &rows));
    if (err) return err;
    for (int i = 0; i < pg_rows(rows) && !err; i++) {
        pg_take_row(rows, i, PQnfields(rows), &row);
        err = take_bytes(rows, i, &row, hash) ? on_row(arg, table, &row) : ERR_CORRUPT;
    }
    PQclear(rows);
    return err;
}

static enum err ask(struct copy_source *base, const char *sql, char answer[COPY_ANSWER_SIZE])
{
    struct pg_source *source = pg_source_of(base);
    struct pg_connection *connection = &source->merge.connection;
    return pg_merge_fail(&source->merge, pg_ask(connection, sql, answer, COPY_ANSWER_SIZE));
}

/* What needs no sequence, as an erasure, is done by who has a lane, too. */
static enum err find_servers(struct pg_source *source)
{
    static const char sql[] = "SELECT node FROM lane WHERE seen_at_ms > " NOW_MS " - " SEEN_MS
                              " ORDER BY seen_at_ms DESC LIMIT 1";
    char node[COPY_ANSWER_SIZE];
    enum err err = ask(&source->source, sql, node);
    if (err || !node[0]) return err;
    snprintf(source->problem, STORE_PROBLEM_MAX,
             "the database is in use by the server %s: stop it first (one that was killed is taken"
             " for gone after two hours, or when its rows of the table lane are deleted)",
             node);
    return ERR_BUSY;
}

/* A lock that is lost is not taken again: somebody may have recorded meanwhile. */
static enum err check(struct copy_source *base)
{
    struct pg_source *source = pg_source_of(base);
    if (!pg_run_text(&source->lock, "SELECT 1")) return find_servers(source);
    return refuse(source, "the connection that kept servers from writing to the database is gone:"
                          " run the command again to go on");
}

static void close_source(struct copy_source *base)
{
    struct pg_source *source = pg_source_of(base);
    pg_disconnect(&source->lock);
    pg_merge_close(&source->merge);
    secret_free(base->secrets, sizeof *base->secrets);
    free(source);
}

static const struct copy_source_engine pg_source_engine = {
    .read = read_events,
    .read_table = read_table,
    .ask = ask,
    .check = check,
    .close = close_source,
};

/* -- nobody else --------------------------------------------------------------------------- */

static enum err take_locks(struct pg_source *source)
{
    static const char *const locks[] = {
        "SELECT set_config('idle_in_transaction_session_timeout', '0', false)",
        "BEGIN",
        "SELECT 1 FROM counter WHERE id = 1 FOR UPDATE NOWAIT",
        "SELECT 1 FROM change WHERE id = 1 FOR UPDATE NOWAIT",
    };
    struct pg_connection *lock = &source->lock;
    enum pg_failure failure = pg_connect(lock);
    for (size_t i = 0; i < sizeof locks / sizeof locks[0] && !failure; i++)
        failure = pg_run_text(lock, locks[i]);
    if (failure == PG_AGAIN)
        return refuse(source, "a server or another copy has the database: stop it first");
    if (failure)
        snprintf(source->problem, STORE_PROBLEM_MAX, "cannot read the database: %s: %s",
                 lock->message, pg_advice(lock));
    return pg_err(failure);
}

static enum err refuse_half_copied(struct pg_source *source)
{
    bool is_copying;
    int64_t cursor;
    enum pg_failure failure = pg_copying(&source->merge.connection, &is_copying, &cursor);
    enum err err = pg_merge_fail(&source->merge, failure);
    if (err || !is_copying) return err;
    return refuse(source, "adtally copy has not filled the database to the end: do that first");
}

/* Leases that were open are closed by whoever looks: then everything is final. */
static enum err find_last(struct pg_source *source)
{
    uint64_t last = 0;
    char next[COPY_ANSWER_SIZE];
    enum err err = pg_merge_last(&source->merge, &last);
    if (!err) err = ask(&source->source, "SELECT next_seq FROM counter WHERE id = 1", next);
    if (err) return err;
    source->source.last = (int64_t)last;
    if (strtoull(next, NULL, 10) == last + 1) return ERR_OK;
    return refuse(source, "a server records into the database: stop it first");
}

/* Sums of all rows take longer than what others read. */
static enum err open_merge(struct pg_source *source, const char *url)
{
    struct pg_connection *connection = &source->merge.connection;
    enum err err = pg_merge_open(&source->merge, url, source->problem);
    connection->timeout_ms = TIMEOUT_MS;
    for (int i = 0; i < EVENT_TABLES; i++)
        source->merge.is_asked[i] = true;
    if (err) return err;
    return pg_merge_fail(
        &source->merge,
        pg_run_text(connection, "SELECT set_config('statement_timeout', '0', false)"));
}

static enum err open_source(struct pg_source *source, const char *url)
{
    source->lock = (struct pg_connection){.url = url, .timeout_ms = TIMEOUT_MS, .is_quiet = true};
    enum err err = open_merge(source, url);
    source->source.secrets = secret_new(sizeof *source->source.secrets);
    if (!err && !source->source.secrets) err = ERR_NO_MEMORY;
    if (!err) err = take_locks(source);
    if (!err) err = find_servers(source); /* with the locks: who comes later does not record */
    if (!err) err = refuse_half_copied(source);
    if (!err) err = find_last(source);
    if (!err)
        err = pg_merge_fail(&source->merge,
                            pg_secrets_read(&source->merge.connection, source->source.secrets));
    return err;
}

enum err pg_copy_source_open(struct copy_source **out, const char *url, char *problem)
{
    struct pg_source *source = calloc(1, sizeof *source);
    if (!source) return ERR_NO_MEMORY;
    source->source.engine = &pg_source_engine;
    source->problem = problem;
    enum err err = open_source(source, url);
    if (err)
        close_source(&source->source);
    else
        *out = &source->source;
    return err;
}
