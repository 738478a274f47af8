#include "store/postgres/copy_target.h"

#include "store/postgres/result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Events in parts of their sequences, each a transaction with the cursor in `copying`, then what is
 * configured, then the last one, which opens the database to servers. */

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

static enum err tell(struct pg_target *target, enum pg_failure failure)
{
    const struct pg_connection *connection = &target->connection;
    if (failure)
        snprintf(target->problem, STORE_PROBLEM_MAX,
                 "cannot write to the database: %s: %s; run the command again to go on",
                 connection->message, pg_advice(connection));
    return pg_err(failure);
}

static enum err refuse(struct pg_target *target, const char *why)
{
    snprintf(target->problem, STORE_PROBLEM_MAX, "%s", why);
    return ERR_FOREIGN;
}

/* Partitions, and the clock that says where they end. */
static enum err make_partitions(struct pg_target *target)
{
    struct pg_store store = {.connection = target->connection};
    PGresult *row = NULL;
    enum pg_failure failure = pg_partitions_ahead(&store);
    target->connection = store.connection;
    pg_params_fini(&store.own_params);
    if (!failure)
        failure =
            pg_run(&target->connection,
                   "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", NULL, &row);
    if (!failure) target->database_ms = pg_get_i64(row, 0, 0);
    PQclear(row);
    return tell(target, failure);
}

static enum err open_database(struct pg_target *target, const char *url)
{
    struct pg_connection *connection = &target->connection;
    *connection = (struct pg_connection){.url = url, .timeout_ms = TIMEOUT_MS};
    connection->is_quiet = true;
    enum err err = tell(target, pg_connect(connection));
    if (!err) err = pg_migrate(connection, target->problem);
    if (!err) err = make_partitions(target);
    return err ? err : tell(target, copy_rows_begin(target));
}

/* -- what is configured -------------------------------------------------------------------- */

/* As text, each: bytes as hexadecimal digits. */
static const struct configured {
    int columns;
    const char *remove, *insert;
} configured[COPY_TABLES] = {
    [COPY_API_KEY] =
        {11, "DELETE FROM api_key",
         "INSERT INTO api_key (id, class, label, partner_id, publisher_id, advertiser_id, tag_id,"
         " hash, created_at_ms, expires_at_ms, revoked_at_ms) SELECT a, b, c, d, e, f, g,"
         " decode(h, 'hex'), i, j, k FROM unnest($1::text[], $2::text[], $3::text[], $4::text[],"
         " $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::bigint[],"
         " $11::bigint[]) AS n (a, b, c, d, e, f, g, h, i, j, k)"},
    [COPY_POLL] = {5, "DELETE FROM poll",
                   "INSERT INTO poll (poll_id, question, cta_url, updated_at_ms, withdrawn_at_ms)"
                   " SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[],"
                   " $5::bigint[])"},
    [COPY_POLL_OPTION] = {4, "DELETE FROM poll_option",
                          "INSERT INTO poll_option (poll_id, position, option_id, text) SELECT *"
                          " FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[])"},
    [COPY_POLL_COUNT] = {3, "DELETE FROM poll_count",
                         "INSERT INTO poll_count (poll_id, option_id, votes) SELECT * FROM"
                         " unnest($1::bigint[], $2::text[], $3::bigint[])"},
};

static void add_bytes(struct pg_params *params, int at, struct span bytes)
{
    char memory[2 * HASH_SIZE];
    struct writer digits;
    writer_init(&digits, memory, sizeof memory);
    writer_hex(&digits, bytes.ptr, bytes.len);
    pg_add_text(params, at, digits.overflow ? SPAN_NONE : writer_text(&digits));
}

static enum err add_configured(void *arg, const struct text_row *row)
{
    struct pg_target *target = arg;
    target->rows_count++;
    for (int i = 0; i < row->count; i++) {
        const struct row_cell *cell = &row->cells[i];
        if (!cell->is_text)
            pg_add_i64(&target->params, i, cell->number);
        else if (span_eq(row->names[i], SPAN("hash")))
            add_bytes(&target->params, i, cell->text);
        else
            pg_add_text(&target->params, i, cell->text);
    }
    return target->params.is_out_of_memory ? ERR_NO_MEMORY : ERR_OK;
}

static enum err send_configured(struct pg_target *target, struct copy_source *source)
{
    struct rows *rows = source->rows;
    enum err err = ERR_OK;
    for (int i = 0; i < COPY_TABLES && !err; i++) {
        target->rows_count = 0;
        pg_params_reset(&target->params, configured[i].columns);
        err = rows->engine->read_table(rows, copy_table_name((enum copy_table)i), add_configured,
                                       target);
        pg_send(&target->connection, configured[i].remove, NULL);
        if (!err && target->rows_count)
            pg_send(&target->connection, configured[i].insert, &target->params);
    }
    return err;
}

/* What retention took of each table there is missed by nobody here either: by sums for reports that
 * are older than that. */
static enum err send_removed(struct pg_target *target, struct copy_source *source)
{
    enum err err = ERR_OK;
    pg_send(&target->connection, "DELETE FROM removed", NULL);
    for (int i = 0; i < EVENT_TABLES && !err; i++) {
        struct span table = event_table_name((enum op_kind)i);
        char sql[128], below[COPY_ANSWER_SIZE];
        snprintf(sql, sizeof sql,
                 "SELECT coalesce(max(below_seq), 0) FROM removed WHERE name = '%.*s'",
                 SPAN_FMT(table));
        err = source->engine->ask(source, sql, below);
        if (err || strcmp(below, "0") == 0) continue;
        pg_params_reset(&target->params, 2);
        pg_set_text(&target->params, 0, table);
        pg_set_i64(&target->params, 1, strtoll(below, NULL, 10));
        pg_send(&target->connection, "INSERT INTO removed (name, below_seq) VALUES ($1, $2)",
                &target->params);
    }
    return err;
}

static void send_secrets(struct pg_target *target)
{
    pg_send(&target->connection, PG_COUNT_CHANGE, NULL);
    pg_send(&target->connection, "DELETE FROM secret", NULL);
    pg_secrets_send(&target->connection, target->secrets);
}

/* -- how far it is ------------------------------------------------------------------------- */

static enum err check_empty(struct pg_target *target)
{
    static const char sql[] =
        "SELECT EXISTS (SELECT 1 FROM click) OR EXISTS (SELECT 1 FROM conversion)"
        " OR EXISTS (SELECT 1 FROM server_event) OR EXISTS (SELECT 1 FROM impression)"
        " OR EXISTS (SELECT 1 FROM feedback) OR EXISTS (SELECT 1 FROM ad_feedback)"
        " OR EXISTS (SELECT 1 FROM vote) OR EXISTS (SELECT 1 FROM poll)"
        " OR EXISTS (SELECT 1 FROM api_key) OR EXISTS (SELECT 1 FROM lane)";
    PGresult *row;
    enum pg_failure failure = pg_run(&target->connection, sql, NULL, &row);
    if (failure) return tell(target, failure);
    bool is_used = span_eq(pg_get_text(row, 0, 0), SPAN("t"));
    PQclear(row);
    return is_used
               ? refuse(target, "the database is in use by a server, or holds something: give the"
                                " copy one that is empty")
               : ERR_OK;
}

/* Told first, then asked: a server that starts meanwhile sees the row, or is seen by its lane. */
static enum err claim(struct pg_target *target)
{
    struct pg_connection *connection = &target->connection;
    enum err err = check_empty(target);
    if (err) return err;
    err = tell(target, pg_run(connection,
                              "INSERT INTO copying (id, cursor) VALUES (1, -1)"
                              " ON CONFLICT DO NOTHING",
                              NULL, NULL));
    if (!err) err = check_empty(target);
    if (err == ERR_FOREIGN)
        (void)pg_run(connection, "DELETE FROM copying WHERE id = 1 AND cursor < 0", NULL, NULL);
    return err;
}

/* Division by zero where another copy has gone on meanwhile. */
static void send_cursor(struct pg_target *target, int64_t from, int64_t to)
{
    pg_params_reset(&target->params, 2);
    pg_set_i64(&target->params, 0, to);
    pg_set_i64(&target->params, 1, from);
    pg_send(&target->connection,
            "WITH moved AS (UPDATE copying SET cursor = $1 WHERE id = 1 AND cursor = $2"
            " RETURNING 1) SELECT 1 / count(*) FROM moved",
            &target->params);
}

/* The database had secrets of its own since its schema was made. */
static enum err begin_copy(struct pg_target *target)
{
    struct pg_connection *connection = &target->connection;
    enum err err = claim(target);
    if (err) return err;
    pg_send(connection, begin_sql, NULL);
    send_cursor(target, -1, 0);
    send_secrets(target);
    pg_send(connection, commit_sql, NULL);
    pg_flush(connection);
    return tell(target, pg_finish(connection));
}

static enum err check_same_source(struct pg_target *target)
{
    uint8_t receipt_key[RECEIPT_KEY_SIZE];
    PGresult *row;
    enum pg_failure failure =
        pg_run(&target->connection, "SELECT value FROM secret WHERE name = 'receipt'", NULL, &row);
    if (failure) return tell(target, failure);
    bool is_same = pg_rows(row) == 1 && pg_get_bytes(row, 0, 0, receipt_key, sizeof receipt_key) &&
                   memcmp(receipt_key, target->secrets->receipt_key, sizeof receipt_key) == 0;
    PQclear(row);
    return is_same
               ? ERR_OK
               : refuse(target, "a copy of another data directory was begun in the database: go on"
                                " with that one, or give the copy an empty database");
}

static enum err find_begin(struct pg_target *target)
{
    bool is_copying = false;
    int64_t *cursor = &target->target.cursor;
    enum err err = tell(target, pg_copying(&target->connection, &is_copying, cursor));
    if (err) return err;
    if (is_copying && *cursor >= 0) return check_same_source(target);
    *cursor = 0;
    return begin_copy(target);
}

/* -- events -------------------------------------------------------------------------------- */

static enum err begin_part(struct copy_target *base)
{
    copy_part_reset(pg_target_of(base));
    return ERR_OK;
}

static enum err end_part(struct copy_target *base, int64_t to)
{
    struct pg_target *target = pg_target_of(base);
    pg_send(&target->connection, begin_sql, NULL);
    send_cursor(target, base->cursor, to);
    copy_part_send(target);
    pg_send(&target->connection, commit_sql, NULL);
    pg_flush(&target->connection);
    enum err err = tell(target, pg_finish(&target->connection));
    if (!err) base->cursor = to;
    return err;
}

/* -- the end ------------------------------------------------------------------------------- */

static enum err configure(struct copy_target *base, struct copy_source *source)
{
    struct pg_target *target = pg_target_of(base);
    struct pg_connection *connection = &target->connection;
    pg_send(connection, begin_sql, NULL);
    send_cursor(target, base->cursor, base->cursor);
    send_secrets(target);
    enum err err = send_configured(target, source);
    if (!err) err = send_removed(target, source);
    pg_send(connection, err ? "ROLLBACK" : commit_sql, NULL);
    pg_flush(connection);
    enum pg_failure failure = pg_finish(connection);
    return err ? err : tell(target, failure);
}

static enum err ask(struct copy_target *base, const char *sql, char answer[COPY_ANSWER_SIZE])
{
    struct pg_target *target = pg_target_of(base);
    return tell(target, pg_ask(&target->connection, sql, answer, COPY_ANSWER_SIZE));
}

static enum err finish(struct copy_target *base)
{
    struct pg_target *target = pg_target_of(base);
    struct pg_connection *connection = &target->connection;
    pg_send(connection, begin_sql, NULL);
    pg_send(connection, "DELETE FROM copying WHERE id = 1", NULL);
    pg_send(connection,
            "INSERT INTO vote_count (poll_id, option_id, slot, votes)"
            " SELECT poll_id, option_id, 0, count(*) FROM vote GROUP BY poll_id, option_id",
            NULL);
    pg_params_reset(&target->params, 1);
    pg_set_i64(&target->params, 0, base->cursor + 1);
    pg_send(connection, "UPDATE counter SET next_seq = $1 WHERE id = 1 AND next_seq < $1",
            &target->params);
    pg_send(connection, PG_COUNT_CHANGE, NULL);
    pg_send(connection, commit_sql, NULL);
    pg_flush(connection);
    return tell(target, pg_finish(connection));
}

static void close_target(struct copy_target *base)
{
    struct pg_target *target = pg_target_of(base);
    pg_disconnect(&target->connection);
    pg_params_fini(&target->params);
    for (int i = 0; i < EVENT_TABLES; i++)
        pg_params_fini(&target->events[i]);
    for (int i = 0; i < COPY_KEYS; i++)
        pg_params_fini(&target->keys[i]);
    free(target->texts);
    free(target);
}

static const struct copy_target_engine pg_target_engine = {
    .sequences_per_part = SEQUENCES_PER_PART,
    .begin_part = begin_part,
    .put_event = copy_put_event,
    .end_part = end_part,
    .configure = configure,
    .ask = ask,
    .finish = finish,
    .close = close_target,
};

enum err pg_copy_target_open(struct copy_target **out, const char *url, struct secrets *secrets,
                             char *problem)
{
    struct pg_target *target = calloc(1, sizeof *target);
    if (!target) return ERR_NO_MEMORY;
    target->target.engine = &pg_target_engine;
    target->secrets = secrets;
    target->problem = problem;
    target->texts = malloc(COPY_TEXTS_MAX);
    enum err err = target->texts ? open_database(target, url) : ERR_NO_MEMORY;
    if (!err) err = find_begin(target);
    if (err)
        close_target(&target->target);
    else
        *out = &target->target;
    return err;
}
