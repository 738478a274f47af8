#include "base/secret.h"
#include "store/copy.h"
#include "store/postgres/pg.h"

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
    struct pg_connection lock; /* all is asked here but the rows */
    bool is_held;
    char *problem;
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

/* A lock that is lost is not taken again: somebody may have recorded meanwhile. */
static enum err tell(struct pg_source *source, enum pg_failure failure)
{
    const struct pg_connection *lock = &source->lock;
    if (failure && source->is_held && !lock->conn)
        return refuse(source, "the connection that kept servers from writing to the database is"
                              " gone: run the command again to go on");
    if (failure)
        snprintf(source->problem, STORE_PROBLEM_MAX, "cannot read the database: %s: %s",
                 lock->message, pg_advice(lock));
    return pg_err(failure);
}

static enum err ask(struct copy_source *base, const char *sql, char answer[COPY_ANSWER_SIZE])
{
    struct pg_source *source = pg_source_of(base);
    return tell(source, pg_ask(&source->lock, sql, answer, COPY_ANSWER_SIZE));
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

/* Over the connection of the lock: it fails when that is gone. */
static enum err check(struct copy_source *base)
{
    return find_servers(pg_source_of(base));
}

static void close_source(struct copy_source *base)
{
    struct pg_source *source = pg_source_of(base);
    pg_disconnect(&source->lock);
    if (base->rows) base->rows->engine->close(base->rows);
    secret_free(base->secrets, sizeof *base->secrets);
    free(source);
}

static const struct copy_source_engine pg_source_engine = {
    .ask = ask,
    .check = check,
    .close = close_source,
};

/* -- nobody else --------------------------------------------------------------------------- */

static enum err take_locks(struct pg_source *source)
{
    static const char *const locks[] = {
        "SELECT set_config('idle_in_transaction_session_timeout', '0', false)",
        "BEGIN ISOLATION LEVEL READ COMMITTED",
        "SELECT 1 FROM counter WHERE id = 1 FOR UPDATE NOWAIT",
        "SELECT 1 FROM change WHERE id = 1 FOR UPDATE NOWAIT",
    };
    struct pg_connection *lock = &source->lock;
    enum pg_failure failure = pg_connect(lock);
    for (size_t i = 0; i < sizeof locks / sizeof locks[0] && !failure; i++)
        failure = pg_run_text(lock, locks[i]);
    if (failure == PG_AGAIN)
        return refuse(source, "a server or another copy has the database: stop it first");
    source->is_held = !failure;
    return tell(source, failure);
}

static enum err refuse_half_copied(struct pg_source *source)
{
    bool is_copying;
    int64_t cursor;
    enum err err = tell(source, pg_copying(&source->lock, &is_copying, &cursor));
    if (err || !is_copying) return err;
    return refuse(source, "adtally copy has not filled the database to the end: do that first");
}

/* Leases that were open are closed by whoever looks: then everything is final. */
static enum err find_last(struct pg_source *source)
{
    uint64_t last = 0;
    char next[COPY_ANSWER_SIZE];
    struct rows *rows = source->source.rows;
    enum err err = rows->engine->last(rows, &last);
    if (!err) err = ask(&source->source, "SELECT next_seq FROM counter WHERE id = 1", next);
    if (err) return err;
    source->source.last = (int64_t)last;
    if (strtoull(next, NULL, 10) == last + 1) return ERR_OK;
    return refuse(source, "a server records into the database: stop it first");
}

static enum err open_source(struct pg_source *source, const char *url)
{
    struct copy_source *base = &source->source;
    source->lock = (struct pg_connection){.url = url, .timeout_ms = TIMEOUT_MS, .is_quiet = true};
    enum err err = pg_rows_open(&base->rows, url, source->problem);
    base->secrets = secret_new(sizeof *base->secrets);
    if (!err && !base->secrets) err = ERR_NO_MEMORY;
    if (!err) err = take_locks(source);
    if (!err) err = find_servers(source); /* with the locks: who comes later does not record */
    if (!err) err = refuse_half_copied(source);
    if (!err) err = find_last(source);
    return err ? err : tell(source, pg_secrets_read(&source->lock, base->secrets));
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
