#include "store/sqlite/merge.h"

#include "base/assert.h"
#include "base/uninitialized.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/secrets.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static enum err read_receipt_key(struct merge *merge, const char *dir)
{
    struct secrets secrets UNINITIALIZED;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err err = fd >= 0 ? secrets_read(&secrets, fd) : ERR_NOT_FOUND;
    if (!err)
        for (int i = 0; i < RECEIPT_KEY_SIZE; i++)
            merge->receipt_key[i] = secrets.receipt_key[i];
    hash_wipe(&secrets, sizeof secrets);
    if (fd >= 0) close(fd);
    return err;
}

enum err merge_open(struct merge *merge, const char *dir, char *problem)
{
    char path[512];
    *merge = (struct merge){.problem = problem};
    db_start();
    if ((size_t)snprintf(path, sizeof path, "%s/adtally.db", dir) >= sizeof path) return ERR_IO;
    enum err err = db_open_readonly(&merge->db, path);
    if (!err) err = schema_check(merge->db);
    return err ? err : read_receipt_key(merge, dir);
}

void merge_close(struct merge *merge)
{
    for (size_t i = 0; i < merge->tables_count; i++)
        sqlite3_finalize(merge->tables[i].rows);
    sqlite3_close(merge->db);
}

enum err merge_add(struct merge *merge, enum op_kind kind)
{
    char sql[128];
    struct merge_table *table = &merge->tables[merge->tables_count++];
    table->kind = kind;
    table->name = event_table_name(kind);
    snprintf(sql, sizeof sql, "SELECT * FROM %.*s WHERE seq > ? AND seq <= ? ORDER BY seq",
             SPAN_FMT(table->name));
    return db_prepare(merge->db, &table->rows, sql);
}

enum err merge_step(struct merge *merge, struct merge_table *table)
{
    int code = sqlite3_step(table->rows);
    table->has_row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? ERR_OK : db_last_err(merge->db);
}

void merge_take(const struct merge_table *table, struct text_row *out)
{
    sqlite3_stmt *rows = table->rows;
    out->count = sqlite3_column_count(rows) - 1;
    ASSERT(out->count <= ROW_CELLS_MAX);
    for (int i = 0; i < out->count; i++) {
        out->names[i] = span_of(sqlite3_column_name(rows, i));
        if (sqlite3_column_type(rows, i) == SQLITE_INTEGER)
            out->cells[i] = (struct row_cell){.number = sqlite3_column_int64(rows, i)};
        else
            out->cells[i] = (struct row_cell){true, db_column_text(rows, i), 0};
    }
}

bool merge_is_whole(struct merge *merge, const struct merge_table *table)
{
    if (db_is_whole(table->rows, 0, table->name)) return true;
    snprintf(merge->problem, STORE_PROBLEM_MAX,
             "a row of %.*s (seq %lld) is damaged: adtally verify tells more",
             SPAN_FMT(table->name), (long long)sqlite3_column_int64(table->rows, 0));
    return false;
}

enum err merge_last(struct merge *merge, int64_t *out)
{
    return db_query_i64(merge->db, "SELECT last_seq FROM total", out);
}

static struct merge_table *lowest(struct merge *merge)
{
    struct merge_table *found = NULL;
    for (size_t i = 0; i < merge->tables_count; i++) {
        struct merge_table *table = &merge->tables[i];
        if (table->has_row &&
            (!found || sqlite3_column_int64(table->rows, 0) < sqlite3_column_int64(found->rows, 0)))
            found = table;
    }
    return found;
}

static enum err each_row(struct merge *merge, merge_on_row *on_row, void *arg)
{
    struct merge_table *table;
    enum err err = ERR_OK;
    while (!err && (table = lowest(merge))) {
        err = merge_is_whole(merge, table) ? on_row(arg, table) : ERR_CORRUPT_ROW;
        if (!err) err = merge_step(merge, table);
    }
    return err;
}

enum err merge_read(struct merge *merge, int64_t after, int64_t to, merge_on_row *on_row, void *arg)
{
    enum err err = db_exec(merge->db, "BEGIN");
    for (size_t i = 0; i < merge->tables_count && !err; i++) {
        struct merge_table *table = &merge->tables[i];
        sqlite3_bind_int64(table->rows, 1, after);
        sqlite3_bind_int64(table->rows, 2, to);
        err = merge_step(merge, table);
    }
    if (!err) err = each_row(merge, on_row, arg);
    for (size_t i = 0; i < merge->tables_count; i++)
        sqlite3_reset(merge->tables[i].rows);
    enum err end_err = db_exec(merge->db, "COMMIT");
    return err ? err : end_err;
}
