#include "store/rows.h"

#include "base/uninitialized.h"
#include "store/postgres/merge.h"
#include "store/postgres/result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a database: portions behind a cursor, up to the watermark. */

enum { OID_BYTEA = 17, SQL_MAX = 128 };

struct database {
    struct rows rows; /* first: what readers hold */
    struct pg_merge merge;
    rows_on_event *on_event; /* of the reading under way */
    void *arg;
};

static struct database *database_of(struct rows *rows)
{
    return (struct database *)(void *)rows;
}

static enum err ask_for(struct rows *base, enum op_kind kind)
{
    database_of(base)->merge.is_asked[kind] = true;
    return ERR_OK;
}

static enum err last(struct rows *base, uint64_t *out)
{
    return pg_merge_last(&database_of(base)->merge, out);
}

static enum err pass_event(void *arg, const struct pg_merge_row *from)
{
    struct database *rows = arg;
    struct text_row row UNINITIALIZED;
    pg_take_row(from->result, from->at, from->columns, &row);
    return rows->on_event(rows->arg, from->kind, &row,
                          pg_get_i64(from->result, from->at, row.count));
}

static enum err read_events(struct rows *base, uint64_t *after, uint64_t to,
                            rows_on_event *on_event, void *arg)
{
    struct database *rows = database_of(base);
    rows->on_event = on_event;
    rows->arg = arg;
    return pg_merge_read(&rows->merge, after, to, pass_event, rows);
}

/* Only hashes of API keys are bytes. */
static bool take_bytes(const PGresult *result, int at, struct text_row *row,
                       uint8_t hash[HASH_SIZE])
{
    for (int i = 0; i < row->count; i++) {
        if (PQftype(result, i) != OID_BYTEA) continue;
        if (!pg_get_bytes(result, at, i, hash, HASH_SIZE)) return false;
        row->cells[i].text = (struct span){(const char *)hash, HASH_SIZE};
    }
    return true;
}

static enum err query(struct database *rows, const char *sql, PGresult **result)
{
    struct pg_connection *connection = &rows->merge.connection;
    pg_send_text(connection, sql);
    pg_flush(connection);
    *result = pg_result(connection);
    return pg_merge_fail(&rows->merge, pg_finish(connection));
}

/* By the first two columns: ids and places. The last one stands where the data file has the
 * checksum. */
static enum err read_table(struct rows *base, struct span table, rows_on_row *on_row, void *arg)
{
    struct text_row row UNINITIALIZED;
    uint8_t hash[HASH_SIZE];
    char sql[SQL_MAX];
    PGresult *result;
    snprintf(sql, sizeof sql, "SELECT *, 0::bigint FROM %.*s ORDER BY 1, 2", SPAN_FMT(table));
    enum err err = query(database_of(base), sql, &result);
    for (int i = 0; i < pg_rows(result) && !err; i++) {
        pg_take_row(result, i, PQnfields(result), &row);
        err = take_bytes(result, i, &row, hash) ? on_row(arg, &row) : ERR_CORRUPT;
    }
    PQclear(result);
    return err;
}

static bool is_checksum(const PGresult *result, int column)
{
    return strcmp(PQfname(result, column), "checksum") == 0;
}

static enum err read_names(struct rows *base, struct span table, rows_on_row *on_row, void *arg)
{
    struct text_row names = {.count = 0};
    char sql[SQL_MAX];
    PGresult *result;
    snprintf(sql, sizeof sql, "SELECT * FROM %.*s LIMIT 0", SPAN_FMT(table));
    enum err err = query(database_of(base), sql, &result);
    for (int i = 0; !err && i < PQnfields(result) && !is_checksum(result, i); i++)
        names.names[names.count++] = span_of(PQfname(result, i));
    if (!err) err = on_row(arg, &names);
    PQclear(result);
    return err;
}

static void close_rows(struct rows *base)
{
    pg_merge_close(&database_of(base)->merge);
    free(base);
}

static const struct rows_engine pg_rows_engine = {
    .ask_for = ask_for,
    .last = last,
    .read = read_events,
    .read_table = read_table,
    .read_names = read_names,
    .close = close_rows,
};

enum err pg_rows_open(struct rows **out, const char *url, char *problem)
{
    struct database *rows = calloc(1, sizeof *rows);
    if (!rows) return ERR_NO_MEMORY;
    rows->rows = (struct rows){.engine = &pg_rows_engine, .is_ahead = true};
    enum err err = pg_merge_open(&rows->merge, url, problem);
    memcpy(rows->rows.receipt_key, rows->merge.receipt_key, RECEIPT_KEY_SIZE);
    if (err)
        close_rows(&rows->rows);
    else
        *out = &rows->rows;
    return err;
}
