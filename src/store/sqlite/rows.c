#include "store/sqlite/rows.h"

#include "base/uninitialized.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a data directory: a part of the sequences in each read transaction, so that the WAL can start
 * over. */

enum { SEQUENCES_PER_READ = 4096 };

static enum err ask_for(struct rows *base, enum op_kind kind)
{
    return merge_add(&sqlite_rows_of(base)->merge, kind);
}

static enum err last(struct rows *base, uint64_t *out)
{
    int64_t sequence = 0;
    enum err err = merge_last(&sqlite_rows_of(base)->merge, &sequence);
    *out = (uint64_t)sequence;
    return err;
}

static enum err pass_event(void *arg, const struct merge_table *table)
{
    struct sqlite_rows *rows = arg;
    struct text_row row UNINITIALIZED;
    merge_take(table, &row);
    return rows->on_event(rows->arg, table->kind, &row,
                          sqlite3_column_int64(table->rows, row.count));
}

static enum err read_events(struct rows *base, uint64_t *after, uint64_t to,
                            rows_on_event *on_event, void *arg)
{
    struct sqlite_rows *rows = sqlite_rows_of(base);
    uint64_t end = to - *after < SEQUENCES_PER_READ ? to : *after + SEQUENCES_PER_READ;
    rows->on_event = on_event;
    rows->arg = arg;
    enum err err = merge_read(&rows->merge, (int64_t)*after, (int64_t)end, pass_event, rows);
    if (!err) *after = end;
    return err;
}

static enum err open_table(struct sqlite_rows *rows, struct span name, struct merge_table *table)
{
    char sql[64];
    *table = (struct merge_table){.name = name};
    snprintf(sql, sizeof sql, "SELECT * FROM %.*s", SPAN_FMT(name));
    return db_prepare(rows->merge.db, &table->rows, sql);
}

static enum err read_table(struct rows *base, struct span name, rows_on_row *on_row, void *arg)
{
    struct merge *merge = &sqlite_rows_of(base)->merge;
    struct merge_table table;
    struct text_row row UNINITIALIZED;
    enum err err = open_table(sqlite_rows_of(base), name, &table);
    if (!err) err = merge_step(merge, &table);
    while (!err && table.has_row) {
        merge_take(&table, &row);
        err = merge_is_whole(merge, &table) ? on_row(arg, &row) : ERR_CORRUPT_ROW;
        if (!err) err = merge_step(merge, &table);
    }
    sqlite3_finalize(table.rows);
    return err;
}

static enum err read_names(struct rows *base, struct span name, rows_on_row *on_row, void *arg)
{
    struct merge_table table;
    struct text_row row UNINITIALIZED;
    enum err err = open_table(sqlite_rows_of(base), name, &table);
    if (!err) {
        merge_take(&table, &row);
        err = on_row(arg, &row);
    }
    sqlite3_finalize(table.rows);
    return err;
}

static void close_rows(struct rows *base)
{
    merge_close(&sqlite_rows_of(base)->merge);
    free(base);
}

static const struct rows_engine sqlite_rows_engine = {
    .ask_for = ask_for,
    .last = last,
    .read = read_events,
    .read_table = read_table,
    .read_names = read_names,
    .close = close_rows,
};

enum err sqlite_rows_open(struct rows **out, const char *dir, char *problem)
{
    struct sqlite_rows *rows = calloc(1, sizeof *rows);
    if (!rows) return ERR_NO_MEMORY;
    rows->rows.engine = &sqlite_rows_engine;
    enum err err = merge_open(&rows->merge, dir, problem);
    memcpy(rows->rows.receipt_key, rows->merge.receipt_key, RECEIPT_KEY_SIZE);
    if (err)
        close_rows(&rows->rows);
    else
        *out = &rows->rows;
    return err;
}
