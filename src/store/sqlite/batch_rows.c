#include "store/sqlite/batch_rows.h"

#include "base/assert.h"
#include "base/writer.h"
#include "store/sqlite/sqlite.h"

#include <string.h>

/* A batch's table as SQLite sees it, and a reader of it: there is one at a time. */
struct virtual_table {
    sqlite3_vtab base; /* first: what SQLite holds */
    const struct batch_table *table;
};

struct cursor {
    sqlite3_vtab_cursor base; /* first, too */
    const struct batch_table *table;
    size_t at;
    struct event_row row;
};

static int on_connect(sqlite3 *db, void *table, int argc, const char *const *argv,
                      sqlite3_vtab **out, char **problem)
{
    char sql[32 + 4 * ROW_CELLS_MAX];
    struct writer columns;
    struct event_row row;
    event_row_fill(&row, &(struct op){.kind = ((const struct batch_table *)table)->kind}, 0);
    writer_init(&columns, sql, sizeof sql - 1);
    writer_lit(&columns, "CREATE TABLE t (c0");
    for (int i = 1; i < row.count; i++) {
        writer_lit(&columns, ",c");
        writer_u64(&columns, (uint64_t)i);
    }
    writer_char(&columns, ')');
    ASSERT(!columns.overflow);
    sql[columns.len] = 0;
    int code = sqlite3_declare_vtab(db, sql);
    if (code != SQLITE_OK) return code;
    struct virtual_table *made = sqlite3_malloc(sizeof *made);
    if (!made) return SQLITE_NOMEM;
    *made = (struct virtual_table){.table = table};
    *out = &made->base;
    return SQLITE_OK;
}

static int on_disconnect(sqlite3_vtab *base)
{
    sqlite3_free(base);
    return SQLITE_OK;
}

static int on_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    return SQLITE_OK;
}

static int on_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out)
{
    struct cursor *cursor = sqlite3_malloc(sizeof *cursor);
    if (!cursor) return SQLITE_NOMEM;
    memset(&cursor->base, 0, sizeof cursor->base);
    cursor->table = ((const struct virtual_table *)base)->table;
    *out = &cursor->base;
    return SQLITE_OK;
}

static int on_close(sqlite3_vtab_cursor *base)
{
    sqlite3_free(base);
    return SQLITE_OK;
}

static void look_at(struct cursor *cursor, size_t at)
{
    cursor->at = at;
    if (at < cursor->table->count)
        event_row_fill(&cursor->row, cursor->table->rows[at].op, cursor->table->rows[at].link);
}

static int on_filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc,
                     sqlite3_value **argv)
{
    look_at((struct cursor *)base, 0);
    return SQLITE_OK;
}

static int on_next(sqlite3_vtab_cursor *base)
{
    struct cursor *cursor = (struct cursor *)base;
    look_at(cursor, cursor->at + 1);
    return SQLITE_OK;
}

static int on_eof(sqlite3_vtab_cursor *base)
{
    const struct cursor *cursor = (const struct cursor *)base;
    return cursor->at >= cursor->table->count;
}

static int on_column(sqlite3_vtab_cursor *base, sqlite3_context *result, int column)
{
    const struct row_cell *cell = &((const struct cursor *)base)->row.cells[column];
    if (!cell->is_text)
        sqlite3_result_int64(result, cell->number);
    else if (cell->text.ptr)
        sqlite3_result_text(result, cell->text.ptr, (int)cell->text.len, SQLITE_STATIC);
    return SQLITE_OK;
}

static int on_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out)
{
    *out = (sqlite3_int64)((const struct cursor *)base)->at;
    return SQLITE_OK;
}

/* No xCreate: the table is there by its module's name, and in no schema. */
static const sqlite3_module module = {
    .xConnect = on_connect,
    .xBestIndex = on_best_index,
    .xDisconnect = on_disconnect,
    .xOpen = on_open,
    .xClose = on_close,
    .xFilter = on_filter,
    .xNext = on_next,
    .xEof = on_eof,
    .xColumn = on_column,
    .xRowid = on_rowid,
};

static const char *const names[EVENT_TABLES] = {
    [OP_CLICK] = "batch_click",
    [OP_CONVERSION] = "batch_conversion",
    [OP_SERVER_EVENT] = "batch_server_event",
    [OP_IMPRESSION] = "batch_impression",
    [OP_FEEDBACK] = "batch_feedback",
    [OP_AD_FEEDBACK] = "batch_ad_feedback",
    [OP_VOTE] = "batch_vote",
};

static const enum sqlite_statement inserts[EVENT_TABLES] = {
    [OP_CLICK] = SQL_INSERT_CLICKS,
    [OP_CONVERSION] = SQL_INSERT_CONVERSIONS,
    [OP_SERVER_EVENT] = SQL_INSERT_SERVER_EVENTS,
    [OP_IMPRESSION] = SQL_INSERT_IMPRESSIONS,
    [OP_FEEDBACK] = SQL_INSERT_FEEDBACKS,
    [OP_AD_FEEDBACK] = SQL_INSERT_AD_FEEDBACKS,
    [OP_VOTE] = SQL_INSERT_VOTES,
};

enum err batch_rows_register(struct batch_rows *rows, sqlite3 *db)
{
    for (int i = 0; i < EVENT_TABLES; i++) {
        rows->tables[i].kind = (enum op_kind)i;
        int code = sqlite3_create_module_v2(db, names[i], &module, &rows->tables[i], NULL);
        if (code != SQLITE_OK) return db_err(code);
    }
    return ERR_OK;
}

void batch_rows_clear(struct batch_rows *rows)
{
    for (int i = 0; i < EVENT_TABLES; i++)
        rows->tables[i].count = 0;
    rows->first = 0;
}

void batch_rows_add(struct sqlite_store *store, struct op *op, uint64_t sequence, uint64_t link)
{
    struct batch_table *table = &store->batch_rows->tables[op->kind];
    ASSERT(table->count < STORE_BATCH_MAX);
    op->sequence = sequence;
    table->rows[table->count++] = (struct batch_row){op, link};
    if (!store->batch_rows->first) store->batch_rows->first = sequence;
}

enum err batch_rows_insert(struct sqlite_store *store)
{
    enum err err = ERR_OK;
    for (int i = 0; i < EVENT_TABLES && !err; i++)
        if (store->batch_rows->tables[i].count) err = db_run(store->statements[inserts[i]]);
    batch_rows_clear(store->batch_rows);
    return err;
}
