#include "store/postgres/merge.h"

#include "store/checksum.h"
#include "store/postgres/pg.h"
#include "store/postgres/result.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ROWS_PER_TABLE = 512, TIMEOUT_MS = 30 * 1000, OID_BIGINT = 20 };

#define PART " WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3"

static const char *const selects[EVENT_TABLES] = {
    [OP_CLICK] = "SELECT * FROM click" PART,
    [OP_CONVERSION] = "SELECT * FROM conversion" PART,
    [OP_SERVER_EVENT] = "SELECT * FROM server_event" PART,
    [OP_IMPRESSION] = "SELECT * FROM impression" PART,
    [OP_FEEDBACK] = "SELECT * FROM feedback" PART,
    [OP_AD_FEEDBACK] = "SELECT * FROM ad_feedback" PART,
    [OP_VOTE] = "SELECT * FROM vote" PART,
};

void pg_take_row(const PGresult *result, int row, int columns, struct text_row *out)
{
    out->count = columns - 1;
    pg_get_cells(result, row, 0, out->count, out->cells);
    for (int i = 0; i < out->count; i++)
        out->names[i] = span_of(PQfname(result, i));
}

uint64_t pg_checksum_column(uint64_t checksum, const PGresult *result, int row, int column)
{
    if (PQftype(result, column) == OID_BIGINT && !pg_is_null(result, row, column))
        return checksum_add_i64(checksum, pg_get_i64(result, row, column));
    struct span text = pg_get_text(result, row, column);
    return checksum_add(checksum, text.ptr ? CHECKSUM_TEXT : CHECKSUM_NULL, text.ptr, text.len);
}

bool pg_row_is_whole(enum op_kind kind, const PGresult *result, int row, int columns)
{
    uint64_t checksum = checksum_start(event_table_name(kind));
    for (int i = 0; i < columns - 1; i++)
        checksum = pg_checksum_column(checksum, result, row, i);
    return (uint64_t)pg_get_i64(result, row, columns - 1) == checksum;
}

enum err pg_read_problem(const struct pg_connection *connection, enum pg_failure failure,
                         char problem[STORE_PROBLEM_MAX])
{
    bool is_empty = failure && strcmp(connection->sqlstate, "42P01") == 0;
    if (is_empty)
        snprintf(problem, STORE_PROBLEM_MAX,
                 "the database holds nothing of adtally yet: start a server over it");
    else if (failure)
        snprintf(problem, STORE_PROBLEM_MAX, "cannot read the database: %s: %s",
                 connection->message, pg_advice(connection));
    return is_empty ? ERR_NOT_FOUND : pg_err(failure);
}

enum err pg_merge_fail(struct pg_merge *merge, enum pg_failure failure)
{
    return pg_read_problem(&merge->connection, failure, merge->problem);
}

static enum pg_failure read_receipt_key(struct pg_merge *merge)
{
    static const char sql[] = "SELECT value FROM secret WHERE name = 'receipt'";
    PGresult *rows;
    enum pg_failure failure = pg_run(&merge->connection, sql, NULL, &rows);
    if (failure) return failure;
    if (!pg_get_bytes(rows, 0, 0, merge->receipt_key, sizeof merge->receipt_key))
        failure = PG_REFUSED;
    PQclear(rows);
    return failure;
}

enum err pg_merge_open(struct pg_merge *merge, const char *url, char *problem)
{
    *merge = (struct pg_merge){.problem = problem};
    merge->connection =
        (struct pg_connection){.url = url, .timeout_ms = TIMEOUT_MS, .is_quiet = true};
    enum pg_failure failure = pg_connect(&merge->connection);
    if (!failure) failure = read_receipt_key(merge);
    return pg_merge_fail(merge, failure);
}

void pg_merge_close(struct pg_merge *merge)
{
    pg_disconnect(&merge->connection);
    pg_params_fini(&merge->params);
    hash_wipe(merge->receipt_key, sizeof merge->receipt_key);
}

enum err pg_merge_last(struct pg_merge *merge, uint64_t *last)
{
    uint64_t below = 1;
    enum pg_failure failure = pg_connect(&merge->connection);
    if (!failure) failure = pg_watermark(&merge->connection, &below);
    *last = below - 1;
    return pg_merge_fail(merge, failure);
}

/* One portion of each table. */
struct portions {
    PGresult *results[EVENT_TABLES];
    int at[EVENT_TABLES];
    uint64_t end; /* up to here all of them are complete */
};

static uint64_t seq_of(const PGresult *result, int row)
{
    return (uint64_t)pg_get_i64(result, row, 0 /* seq, in every table */);
}

static enum pg_failure load(struct pg_merge *merge, uint64_t after, uint64_t to,
                            struct portions *portions)
{
    struct pg_connection *connection = &merge->connection;
    *portions = (struct portions){.end = to};
    pg_params_reset(&merge->params, 3);
    pg_set_i64(&merge->params, 0, (int64_t)after);
    pg_set_i64(&merge->params, 1, (int64_t)to);
    pg_set_i64(&merge->params, 2, ROWS_PER_TABLE);
    for (int i = 0; i < EVENT_TABLES; i++)
        if (merge->is_asked[i]) pg_send(connection, selects[i], &merge->params);
    pg_flush(connection);
    for (int i = 0; i < EVENT_TABLES; i++) {
        if (!merge->is_asked[i]) continue;
        PGresult *result = portions->results[i] = pg_result(connection);
        int rows = pg_rows(result);
        if (rows < ROWS_PER_TABLE) continue;
        uint64_t last = seq_of(result, rows - 1);
        if (last < portions->end) portions->end = last;
    }
    return pg_finish(connection);
}

static bool lowest(const struct portions *portions, struct pg_merge_row *found)
{
    uint64_t least = portions->end;
    found->result = NULL;
    for (int i = 0; i < EVENT_TABLES; i++) {
        const PGresult *result = portions->results[i];
        if (portions->at[i] >= pg_rows(result)) continue;
        uint64_t seq = seq_of(result, portions->at[i]);
        if (seq > least) continue;
        least = seq;
        *found = (struct pg_merge_row){(enum op_kind)i, result, portions->at[i], PQnfields(result)};
    }
    return found->result;
}

static bool is_whole(struct pg_merge *merge, const struct pg_merge_row *row)
{
    if (pg_row_is_whole(row->kind, row->result, row->at, row->columns)) return true;
    snprintf(merge->problem, STORE_PROBLEM_MAX,
             "a row of %.*s (seq %" PRIu64 ") is damaged: restore it from a backup of the database",
             SPAN_FMT(event_table_name(row->kind)), seq_of(row->result, row->at));
    return false;
}

enum err pg_merge_read(struct pg_merge *merge, uint64_t *after, uint64_t to,
                       pg_merge_on_row *on_row, void *arg)
{
    struct portions portions;
    struct pg_merge_row row;
    enum pg_failure failure = pg_connect(&merge->connection);
    if (failure) return pg_merge_fail(merge, failure);
    failure = load(merge, *after, to, &portions);
    enum err err = pg_merge_fail(merge, failure);
    while (!err && lowest(&portions, &row)) {
        portions.at[row.kind]++;
        err = is_whole(merge, &row) ? on_row(arg, &row) : ERR_CORRUPT_ROW;
        if (!err) *after = seq_of(row.result, row.at);
    }
    if (!err) *after = portions.end;
    for (int i = 0; i < EVENT_TABLES; i++)
        PQclear(portions.results[i]);
    return err;
}
