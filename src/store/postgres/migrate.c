#include "store/postgres/migrate.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/embedded.h"
#include "store/postgres/pg.h"
#include "store/postgres/result.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* sql/NNNN-name.sql in the order of their numbers: the schema's version is how many there are. */
extern const struct embedded migrations[];
extern const size_t migrations_count;

enum {
    STATEMENT_MAX = 4096,
    ATTEMPTS = 20,
    PAUSE_MS = 100,
    MIGRATION_TIMEOUT_MS = 10 * 60 * 1000,
};

static bool is_state(const struct pg_connection *connection, const char *sqlstate)
{
    return strcmp(connection->sqlstate, sqlstate) == 0;
}

/* 42P01: there is no such table. */
static enum pg_failure read_version(struct pg_connection *connection, int64_t *version,
                                    bool *is_empty)
{
    static const char sql[] = "SELECT coalesce(max(version), 0) FROM adtally_schema";
    PGresult *row;
    enum pg_failure failure = pg_run(connection, sql, NULL, &row);
    *is_empty = failure && is_state(connection, "42P01");
    *version = failure ? 0 : pg_get_i64(row, 0, 0);
    if (!failure) PQclear(row);
    return *is_empty ? PG_FINE : failure;
}

/* Two that start at once may both be told that there is no table, and one that there is. */
static enum pg_failure make_lock(struct pg_connection *connection)
{
    pg_send_text(connection, "CREATE TABLE IF NOT EXISTS adtally_schema"
                             " (version bigint PRIMARY KEY, applied_at_ms bigint NOT NULL)");
    pg_send_text(connection, "CREATE TABLE IF NOT EXISTS adtally_lock (id bigint PRIMARY KEY)");
    pg_send_text(connection, "INSERT INTO adtally_lock (id) VALUES (1) ON CONFLICT DO NOTHING");
    pg_flush(connection);
    enum pg_failure failure = pg_finish(connection);
    bool is_race = is_state(connection, "42P07") || is_state(connection, "42710");
    return failure && is_race ? PG_AGAIN : failure;
}

/* CockroachDB knows no partitions of tables made so. */
static enum pg_failure ask_dialect(struct pg_connection *connection, bool *has_partitions)
{
    PGresult *row;
    enum pg_failure failure = pg_run(connection, "SELECT version()", NULL, &row);
    if (failure) return failure;
    *has_partitions = !strstr(PQgetvalue(row, 0, 0), "CockroachDB");
    PQclear(row);
    return PG_FINE;
}

static bool is_blank(const char *from, const char *to)
{
    while (from < to && (*from == '\n' || *from == ' '))
        from++;
    return from == to;
}

void pg_strip_partitions(char *sql)
{
    static const char clause[] = " PARTITION BY RANGE (recorded_at_ms)";
    char *at = strstr(sql, clause);
    if (at) memmove(at, at + sizeof clause - 1, strlen(at + sizeof clause - 1) + 1);
}

/* Statements end with a semicolon at the end of a line. */
bool pg_next_statement(struct span *script, char sql[], size_t size)
{
    const char *end = memmem(script->ptr, script->len, ";\n", 2);
    if (!end || is_blank(script->ptr, end)) return false;
    size_t len = (size_t)(end - script->ptr);
    ASSERT(len < size);
    memcpy(sql, script->ptr, len);
    sql[len] = '\0';
    *script = (struct span){end + 2, script->len - len - 2};
    return true;
}

static void send_script(struct pg_connection *connection, struct span script, bool has_partitions)
{
    char sql[STATEMENT_MAX];
    while (pg_next_statement(&script, sql, sizeof sql)) {
        if (!has_partitions) pg_strip_partitions(sql);
        pg_send_text(connection, sql);
    }
}

static void send_version(struct pg_connection *connection, int64_t version)
{
    char sql[128];
    snprintf(sql, sizeof sql, "INSERT INTO adtally_schema VALUES (%lld, %lld)", (long long)version,
             (long long)clock_wall_ms());
    pg_send_text(connection, sql);
}

/* Behind the lock: whoever else starts now waits, and finds it done. */
static enum pg_failure read_locked_version(struct pg_connection *connection, int64_t *version)
{
    pg_send_text(connection, "BEGIN");
    pg_send_text(connection, "SELECT set_config('lock_timeout', '0', true),"
                             " set_config('statement_timeout', '0', true),"
                             " set_config('idle_in_transaction_session_timeout', '0', true)");
    pg_send_text(connection, "SELECT id FROM adtally_lock WHERE id = 1 FOR UPDATE");
    pg_send_text(connection, "SELECT coalesce(max(version), 0) FROM adtally_schema");
    pg_flush(connection);
    for (int i = 0; i < 3; i++)
        pg_skip(connection);
    PGresult *row = pg_result(connection);
    *version = pg_rows(row) ? pg_get_i64(row, 0, 0) : 0;
    PQclear(row);
    return pg_finish(connection);
}

static enum pg_failure bring_forward(struct pg_connection *connection, int64_t *version)
{
    bool has_partitions;
    enum pg_failure failure = ask_dialect(connection, &has_partitions);
    if (!failure) failure = read_locked_version(connection, version);
    if (failure) return failure;
    bool is_new = *version == 0;
    for (; *version < (int64_t)migrations_count; ++*version) {
        send_script(connection, migrations[*version].body, has_partitions);
        send_version(connection, *version + 1);
    }
    if (is_new) pg_secrets_send_new(connection);
    pg_send_text(connection, "COMMIT");
    pg_flush(connection);
    return pg_finish(connection);
}

static enum pg_failure try_migrate(struct pg_connection *connection, int64_t *version)
{
    bool is_empty;
    enum pg_failure failure = read_version(connection, version, &is_empty);
    if (failure || *version >= (int64_t)migrations_count) return failure;
    failure = is_empty ? make_lock(connection) : PG_FINE;
    return failure ? failure : bring_forward(connection, version);
}

static enum err explain(const struct pg_connection *connection, int64_t version,
                        enum pg_failure failure, char problem[STORE_PROBLEM_MAX])
{
    if (failure && is_state(connection, "42P07")) {
        snprintf(problem, STORE_PROBLEM_MAX,
                 "the database holds tables of somebody else (%s): give adtally a database of its "
                 "own",
                 connection->message);
        return ERR_FOREIGN;
    }
    if (failure) {
        snprintf(problem, STORE_PROBLEM_MAX, "cannot use the database: %s: %s", connection->message,
                 pg_advice(connection));
        return pg_err(failure);
    }
    if (version <= (int64_t)migrations_count) return ERR_OK;
    snprintf(problem, STORE_PROBLEM_MAX,
             "the database is of a newer adtally (schema %lld, this one knows %d): use that one",
             (long long)version, (int)migrations_count);
    return ERR_FOREIGN;
}

/* Another one has no place for most characters: an event with them could never be stored. */
static enum err refuse_encoding(const struct pg_connection *connection,
                                char problem[STORE_PROBLEM_MAX])
{
    const char *encoding = PQparameterStatus(connection->conn, "server_encoding");
    if (!encoding || strcmp(encoding, "UTF8") == 0) return ERR_OK;
    snprintf(problem, STORE_PROBLEM_MAX,
             "the database is encoded in %s: make one with CREATE DATABASE ... ENCODING 'UTF8'"
             " TEMPLATE template0",
             encoding);
    return ERR_FOREIGN;
}

enum err pg_migrate(struct pg_connection *connection, char problem[STORE_PROBLEM_MAX])
{
    if (connection->conn && refuse_encoding(connection, problem)) return ERR_FOREIGN;
    int64_t version = 0, timeout_ms = connection->timeout_ms;
    enum pg_failure failure = PG_AGAIN;
    bool was_quiet = connection->is_quiet;
    connection->timeout_ms = MIGRATION_TIMEOUT_MS;
    connection->is_quiet = true; /* `problem` says it */
    for (int i = 0; i < ATTEMPTS && (failure == PG_TAKEN || failure == PG_AGAIN); i++) {
        if (i) (void)poll(NULL, 0, PAUSE_MS);
        failure = try_migrate(connection, &version);
    }
    connection->timeout_ms = timeout_ms;
    connection->is_quiet = was_quiet;
    return explain(connection, version, failure, problem);
}
