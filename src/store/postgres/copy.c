#include "store/postgres/copy.h"

#include "base/secret.h"
#include "store/postgres/result.h"
#include "store/sqlite/secrets.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* adtally copy: what is configured in one transaction, then events in parts of their sequences,
 * each with the cursor in `copying`, then the last one, which opens the database to servers. */

enum { SEQUENCES_PER_PART = 1024, TIMEOUT_MS = 60 * 60 * 1000 };

static const char begin_sql[] = "BEGIN", commit_sql[] = "COMMIT";

enum pg_failure pg_copying(struct pg_connection *connection, bool *is_copying, int64_t *cursor)
{
    PGresult *rows;
    enum pg_failure failure =
        pg_run(connection, "SELECT cursor FROM copying WHERE id = 1", NULL, &rows);
    if (failure) return failure;
    *is_copying = pg_rows(rows) > 0;
    *cursor = *is_copying ? pg_get_i64(rows, 0, 0) : 0;
    PQclear(rows);
    return PG_FINE;
}

static enum err tell(struct pg_copy *copy, enum pg_failure failure)
{
    const struct pg_connection *connection = &copy->connection;
    if (failure)
        snprintf(copy->problem, STORE_PROBLEM_MAX,
                 "cannot write to the database: %s: %s; run the command again to go on",
                 connection->message, pg_advice(connection));
    return pg_err(failure);
}

static enum err refuse(struct pg_copy *copy, const char *why)
{
    snprintf(copy->problem, STORE_PROBLEM_MAX, "%s", why);
    return ERR_FOREIGN;
}

/* -- both sides ---------------------------------------------------------------------------- */

static enum err open_source(struct pg_copy *copy)
{
    enum err err = dir_hold(&copy->dir, copy->copy->dir, false, copy->problem);
    if (err) return err;
    err = merge_open(&copy->merge, copy->copy->dir, copy->problem);
    copy->secrets = secret_new(sizeof *copy->secrets);
    copy->texts = malloc(COPY_TEXTS_MAX);
    if (!err && !(copy->secrets && copy->texts)) err = ERR_NO_MEMORY;
    if (!err) err = secrets_read(copy->secrets, copy->dir.fd);
    if (!err) err = copy_rows_begin(copy);
    return err ? err : merge_last(&copy->merge, &copy->last);
}

/* Partitions, and the clock that says where they end. */
static enum err make_partitions(struct pg_copy *copy)
{
    struct pg_store store = {.connection = copy->connection};
    PGresult *row = NULL;
    enum pg_failure failure = pg_partitions_ahead(&store);
    copy->connection = store.connection;
    pg_params_fini(&store.own_params);
    if (!failure)
        failure =
            pg_run(&copy->connection,
                   "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", NULL, &row);
    if (!failure) copy->database_ms = pg_get_i64(row, 0, 0);
    PQclear(row);
    return tell(copy, failure);
}

static enum err open_database(struct pg_copy *copy)
{
    struct pg_connection *connection = &copy->connection;
    *connection = (struct pg_connection){.url = copy->copy->url, .timeout_ms = TIMEOUT_MS};
    connection->is_quiet = true;
    enum err err = tell(copy, pg_connect(connection));
    if (!err) err = pg_migrate(connection, copy->problem);
    return err ? err : make_partitions(copy);
}

/* -- what is configured -------------------------------------------------------------------- */

/* As text, each: bytes as hexadecimal digits. */
static enum err send_table(struct pg_copy *copy, struct span table, int columns, const char *select,
                           const char *insert)
{
    sqlite3_stmt *row = NULL;
    int code = SQLITE_DONE;
    bool are_some = false;
    enum err err = db_prepare(copy->merge.db, &row, select);
    pg_params_reset(&copy->params, columns);
    while (!err && (code = sqlite3_step(row)) == SQLITE_ROW) {
        are_some = true;
        if (!db_is_whole(row, columns, table)) {
            snprintf(copy->problem, STORE_PROBLEM_MAX,
                     "a row of %.*s is damaged: adtally verify tells more", SPAN_FMT(table));
            err = ERR_CORRUPT_ROW;
        }
        for (int i = 0; i < columns; i++)
            pg_add_text(&copy->params, i, db_column_text(row, i));
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(copy->merge.db);
    sqlite3_finalize(row);
    if (!err && are_some) pg_send(&copy->connection, insert, &copy->params);
    return err;
}

static enum err send_configured(struct pg_copy *copy)
{
    enum err err = send_table(
        copy, SPAN("api_key"), 11,
        "SELECT id, class, label, partner_id, publisher_id, advertiser_id, tag_id, hex(hash),"
        " created_at_ms, expires_at_ms, revoked_at_ms, * FROM api_key",
        "INSERT INTO api_key (id, class, label, partner_id, publisher_id, advertiser_id, tag_id,"
        " hash, created_at_ms, expires_at_ms, revoked_at_ms) SELECT a, b, c, d, e, f, g,"
        " decode(h, 'hex'), i, j, k FROM unnest($1::text[], $2::text[], $3::text[], $4::text[],"
        " $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::bigint[],"
        " $11::bigint[]) AS n (a, b, c, d, e, f, g, h, i, j, k)");
    if (!err)
        err = send_table(copy, SPAN("poll"), 5,
                         "SELECT poll_id, question, cta_url, updated_at_ms, withdrawn_at_ms, * FROM"
                         " poll",
                         "INSERT INTO poll (poll_id, question, cta_url, updated_at_ms,"
                         " withdrawn_at_ms) SELECT * FROM unnest($1::bigint[], $2::text[],"
                         " $3::text[], $4::bigint[], $5::bigint[])");
    if (!err)
        err = send_table(copy, SPAN("poll_option"), 4,
                         "SELECT poll_id, position, option_id, text, * FROM poll_option",
                         "INSERT INTO poll_option (poll_id, position, option_id, text) SELECT *"
                         " FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[])");
    if (!err)
        err = send_table(copy, SPAN("poll_count"), 3,
                         "SELECT poll_id, option_id, votes, * FROM poll_count",
                         "INSERT INTO poll_count (poll_id, option_id, votes) SELECT * FROM"
                         " unnest($1::bigint[], $2::text[], $3::bigint[])");
    return err;
}

/* -- how far it is ------------------------------------------------------------------------- */

static enum err check_empty(struct pg_copy *copy)
{
    static const char sql[] =
        "SELECT EXISTS (SELECT 1 FROM click) OR EXISTS (SELECT 1 FROM conversion)"
        " OR EXISTS (SELECT 1 FROM server_event) OR EXISTS (SELECT 1 FROM impression)"
        " OR EXISTS (SELECT 1 FROM feedback) OR EXISTS (SELECT 1 FROM ad_feedback)"
        " OR EXISTS (SELECT 1 FROM vote) OR EXISTS (SELECT 1 FROM poll)"
        " OR EXISTS (SELECT 1 FROM api_key) OR EXISTS (SELECT 1 FROM lane)";
    PGresult *row;
    enum pg_failure failure = pg_run(&copy->connection, sql, NULL, &row);
    if (failure) return tell(copy, failure);
    bool is_used = span_eq(pg_get_text(row, 0, 0), SPAN("t"));
    PQclear(row);
    return is_used ? refuse(copy, "the database is in use by a server, or holds something: give the"
                                  " copy one that is empty")
                   : ERR_OK;
}

/* Told first, then asked: a server that starts meanwhile sees the row, or is seen by its lane. */
static enum err claim(struct pg_copy *copy)
{
    struct pg_connection *connection = &copy->connection;
    enum err err = check_empty(copy);
    if (err) return err;
    err = tell(copy, pg_run(connection,
                            "INSERT INTO copying (id, cursor) VALUES (1, -1)"
                            " ON CONFLICT DO NOTHING",
                            NULL, NULL));
    if (!err) err = check_empty(copy);
    if (err == ERR_FOREIGN)
        (void)pg_run(connection, "DELETE FROM copying WHERE id = 1 AND cursor < 0", NULL, NULL);
    return err;
}

/* Division by zero where another copy has gone on meanwhile. */
static void send_cursor(struct pg_copy *copy, int64_t from, int64_t to)
{
    pg_params_reset(&copy->params, 2);
    pg_set_i64(&copy->params, 0, to);
    pg_set_i64(&copy->params, 1, from);
    pg_send(&copy->connection,
            "WITH moved AS (UPDATE copying SET cursor = $1 WHERE id = 1 AND cursor = $2"
            " RETURNING 1) SELECT 1 / count(*) FROM moved",
            &copy->params);
}

/* The database had secrets of its own since its schema was made. */
static enum err begin_copy(struct pg_copy *copy)
{
    struct pg_connection *connection = &copy->connection;
    enum err err = claim(copy);
    if (err) return err;
    pg_send(connection, begin_sql, NULL);
    send_cursor(copy, -1, 0);
    pg_send(connection, PG_COUNT_CHANGE, NULL);
    pg_send(connection, "DELETE FROM secret", NULL);
    pg_secrets_send(connection, copy->secrets);
    err = send_configured(copy);
    pg_send(connection, err ? "ROLLBACK" : commit_sql, NULL);
    pg_flush(connection);
    enum pg_failure failure = pg_finish(connection);
    return err ? err : tell(copy, failure);
}

static enum err check_same_source(struct pg_copy *copy)
{
    uint8_t receipt_key[RECEIPT_KEY_SIZE];
    PGresult *row;
    enum pg_failure failure =
        pg_run(&copy->connection, "SELECT value FROM secret WHERE name = 'receipt'", NULL, &row);
    if (failure) return tell(copy, failure);
    bool is_same = pg_rows(row) == 1 && pg_get_bytes(row, 0, 0, receipt_key, sizeof receipt_key) &&
                   memcmp(receipt_key, copy->secrets->receipt_key, sizeof receipt_key) == 0;
    PQclear(row);
    return is_same
               ? ERR_OK
               : refuse(copy, "a copy of another data directory was begun in the database: go on"
                              " with that one, or give the copy an empty database");
}

static enum err find_begin(struct pg_copy *copy, int64_t *cursor)
{
    bool is_copying = false;
    enum err err = tell(copy, pg_copying(&copy->connection, &is_copying, cursor));
    if (err) return err;
    if (is_copying && *cursor >= 0) return check_same_source(copy);
    *cursor = 0;
    return begin_copy(copy);
}

/* -- events -------------------------------------------------------------------------------- */

static enum err copy_part(struct pg_copy *copy, int64_t from, int64_t to)
{
    copy_part_reset(copy);
    enum err err = merge_read(&copy->merge, from, to, copy_row, copy);
    if (err) return err;
    pg_send(&copy->connection, begin_sql, NULL);
    send_cursor(copy, from, to);
    copy_part_send(copy);
    pg_send(&copy->connection, commit_sql, NULL);
    pg_flush(&copy->connection);
    return tell(copy, pg_finish(&copy->connection));
}

static enum err copy_events(struct pg_copy *copy, int64_t *cursor)
{
    const struct store_progress *progress = &copy->copy->progress;
    enum err err = ERR_OK;
    while (!err && *cursor < copy->last) {
        int64_t left = copy->last - *cursor;
        int64_t to = *cursor + (left < SEQUENCES_PER_PART ? left : SEQUENCES_PER_PART);
        err = copy_part(copy, *cursor, to);
        if (!err) *cursor = to;
        if (progress->on) progress->on(progress->arg, (uint64_t)*cursor, (uint64_t)copy->last);
    }
    return err;
}

/* -- the end ------------------------------------------------------------------------------- */

/* The same question to both sides; the names of tables are ours. */
static enum err compare(struct pg_copy *copy, struct span table, const char *sums)
{
    char sql[256];
    PGresult *there = NULL;
    sqlite3_stmt *here = NULL;
    snprintf(sql, sizeof sql, "SELECT %s FROM %.*s", sums, SPAN_FMT(table));
    enum err err = db_prepare(copy->merge.db, &here, sql);
    if (!err && sqlite3_step(here) != SQLITE_ROW) err = db_last_err(copy->merge.db);
    pg_send_text(&copy->connection, sql);
    pg_flush(&copy->connection);
    there = pg_result(&copy->connection);
    enum pg_failure failure = pg_finish(&copy->connection);
    if (!err) err = tell(copy, failure);
    for (int i = 0; !err && i < sqlite3_column_count(here); i++)
        if (!span_eq(db_column_text(here, i), pg_get_text(there, 0, i))) {
            snprintf(copy->problem, STORE_PROBLEM_MAX,
                     "%.*s of the copy is not what the data directory has (%s): do not use it, copy"
                     " again into an empty database",
                     SPAN_FMT(table), sums);
            err = ERR_CORRUPT;
        }
    if (!err && table.ptr && strstr(sums, "seq"))
        copy->copy->events += (uint64_t)sqlite3_column_int64(here, 0);
    sqlite3_finalize(here);
    PQclear(there);
    return err;
}

static enum err compare_all(struct pg_copy *copy)
{
    enum err err = ERR_OK;
    copy->copy->events = 0;
    for (int i = 0; i < EVENT_TABLES && !err; i++)
        err = compare(copy, event_table_name((enum op_kind)i),
                      i == OP_CONVERSION ? "count(*), coalesce(sum(seq), 0),"
                                           " coalesce(sum(value_units % 1000003), 0),"
                                           " coalesce(sum(value_nanos), 0)"
                                         : "count(*), coalesce(sum(seq), 0)");
    if (!err) err = compare(copy, SPAN("api_key"), "count(*)");
    if (!err) err = compare(copy, SPAN("poll"), "count(*)");
    if (!err) err = compare(copy, SPAN("poll_option"), "count(*)");
    return err ? err : compare(copy, SPAN("poll_count"), "count(*), coalesce(sum(votes), 0)");
}

static enum err end_copy(struct pg_copy *copy)
{
    struct pg_connection *connection = &copy->connection;
    pg_send(connection, begin_sql, NULL);
    pg_send(connection, "DELETE FROM copying WHERE id = 1", NULL);
    pg_send(connection,
            "INSERT INTO vote_count (poll_id, option_id, slot, votes)"
            " SELECT poll_id, option_id, 0, count(*) FROM vote GROUP BY poll_id, option_id",
            NULL);
    pg_params_reset(&copy->params, 1);
    pg_set_i64(&copy->params, 0, copy->last + 1);
    pg_send(connection, "UPDATE counter SET next_seq = $1 WHERE id = 1 AND next_seq < $1",
            &copy->params);
    pg_send(connection, PG_COUNT_CHANGE, NULL);
    pg_send(connection, commit_sql, NULL);
    pg_flush(connection);
    return tell(copy, pg_finish(connection));
}

static enum err run(struct pg_copy *copy)
{
    int64_t cursor;
    enum err err = open_source(copy);
    if (!err) err = open_database(copy);
    if (!err) err = find_begin(copy, &cursor);
    if (!err) err = copy_events(copy, &cursor);
    if (!err) err = compare_all(copy);
    return err ? err : end_copy(copy);
}

static void free_all(struct pg_copy *copy)
{
    pg_disconnect(&copy->connection);
    pg_params_fini(&copy->params);
    for (int i = 0; i < EVENT_TABLES; i++)
        pg_params_fini(&copy->events[i]);
    for (int i = 0; i < COPY_KEYS; i++)
        pg_params_fini(&copy->keys[i]);
    sqlite3_finalize(copy->click_end);
    merge_close(&copy->merge);
    if (copy->secrets) secret_free(copy->secrets, sizeof *copy->secrets);
    dir_close(&copy->dir);
    free(copy->texts);
    free(copy);
}

enum err pg_store_copy(struct store_copy *asked, char problem[STORE_PROBLEM_MAX])
{
    struct pg_copy *copy = calloc(1, sizeof *copy);
    problem[0] = '\0';
    if (!copy) return ERR_NO_MEMORY;
    copy->copy = asked;
    copy->problem = problem;
    copy->dir = (struct dir){.fd = -1, .lock_fd = -1};
    enum err err = run(copy);
    if (err && !problem[0])
        snprintf(problem, STORE_PROBLEM_MAX, "cannot copy %.400s: %s: %s", asked->dir,
                 err_text(err), err_advice(err));
    free_all(copy);
    return err;
}
