#include "base/assert.h"
#include "store/erased.h"
#include "store/sqlite/sqlite.h"

#include <string.h>

/* Taking a person out of rows: columns become NULL and the checksum is written anew, where the row
 * was whole; counts, keys and sequences stay. What deletes bytes overwrites them (secure_delete).
 */

enum { SQL_MAX = 4096 };

static const char *sql_of(enum erased_value value)
{
    static const char *const texts[] = {
        [ERASED_NULL] = "NULL",
        [ERASED_OBJECT] = "'{}'",
        [ERASED_PSEUDONYM] = "?2",
    };
    return texts[value];
}

static const char *value_of(enum op_kind table, const char *column)
{
    const struct erased_column *columns = erased_columns(table);
    for (int i = 0; i < ERASED_COLUMNS_MAX && columns[i].name; i++)
        if (strcmp(columns[i].name, column) == 0) return sql_of(columns[i].value);
    return NULL;
}

/* row_checksum('click', seq, ...), as the row is or as it will be. */
static void write_checksum(struct writer *sql, enum op_kind table, sqlite3_stmt *row, bool erased)
{
    writer_lit(sql, "row_checksum('");
    writer_put(sql, totals_name((enum total)table));
    writer_char(sql, '\'');
    for (int i = 0; i < sqlite3_column_count(row) - 1; i++) {
        const char *name = sqlite3_column_name(row, i);
        const char *value = erased ? value_of(table, name) : NULL;
        writer_char(sql, ',');
        writer_put(sql, span_of(value ? value : name));
    }
    writer_char(sql, ')');
}

static void write_update(struct writer *sql, enum op_kind table, sqlite3_stmt *row)
{
    writer_lit(sql, "UPDATE ");
    writer_put(sql, totals_name((enum total)table));
    writer_lit(sql, " SET checksum = ");
    write_checksum(sql, table, row, true);
    const struct erased_column *columns = erased_columns(table);
    for (int i = 0; i < ERASED_COLUMNS_MAX && columns[i].name; i++) {
        writer_char(sql, ',');
        writer_put(sql, span_of(columns[i].name));
        writer_lit(sql, " = ");
        writer_put(sql, span_of(sql_of(columns[i].value)));
    }
    writer_lit(sql, " WHERE seq = ?1 AND checksum = ");
    write_checksum(sql, table, row, false);
    writer_char(sql, '\0');
    ASSERT(!sql->overflow);
}

struct erasing {
    sqlite3_stmt *row; /* as it is */
    sqlite3_stmt *update;
};

static enum err prepare(struct sqlite_store *store, enum op_kind table, struct erasing *erasing)
{
    char text[SQL_MAX];
    struct writer sql;
    writer_init(&sql, text, sizeof text);
    writer_lit(&sql, "SELECT * FROM ");
    writer_put(&sql, totals_name((enum total)table));
    writer_lit(&sql, " WHERE seq = ?");
    writer_char(&sql, '\0');
    enum err err = db_prepare(store->db, &erasing->row, text);
    if (err) return err;
    writer_init(&sql, text, sizeof text);
    write_update(&sql, table, erasing->row);
    return db_prepare(store->db, &erasing->update, text);
}

static struct span pseudonym_of(char text[PSEUDONYM_MAX], const struct erase *erase,
                                sqlite3_stmt *row)
{
    enum { PUBLISHER = 6, SESSION = 3 }; /* columns of ad_feedback */
    return erased_session(text, erase, db_column_text(row, PUBLISHER),
                          db_column_text(row, SESSION));
}

/* A row that is gone meanwhile, or damaged, is left as it is. */
static enum err erase_row(struct sqlite_store *store, struct erase *erase, struct erasing *erasing,
                          uint64_t sequence)
{
    char text[PSEUDONYM_MAX];
    struct span pseudonym = SPAN_NONE;
    enum err err = ERR_OK;
    if (erase->table == OP_AD_FEEDBACK) {
        sqlite3_bind_int64(erasing->row, 1, (int64_t)sequence);
        int code = sqlite3_step(erasing->row);
        if (code == SQLITE_ROW) pseudonym = pseudonym_of(text, erase, erasing->row);
        if (code != SQLITE_ROW && code != SQLITE_DONE) err = db_last_err(store->db);
        sqlite3_reset(erasing->row);
        if (err || !pseudonym.ptr) return err;
    }
    struct db_binder row = {erasing->update, 1, 0};
    db_bind_i64(&row, (int64_t)sequence);
    if (pseudonym.ptr) db_bind_text(&row, pseudonym);
    err = db_run(erasing->update);
    if (!err) erase->erased_count += (uint32_t)sqlite3_changes(store->db);
    return err;
}

/* Rows of this very batch may be among them: they are inserted first. */
enum err erase_apply(struct sqlite_store *store, struct op *op)
{
    struct erase *erase = &op->erase;
    struct erasing erasing = {NULL, NULL};
    ASSERT(erase->table <= OP_VOTE && erase->rows_count <= ERASE_ROWS_MAX);
    erase->erased_count = 0;
    enum err err = batch_rows_insert(store);
    if (!err && erase->rows_count) err = prepare(store, erase->table, &erasing);
    for (uint32_t i = 0; i < erase->rows_count && !err; i++)
        err = erase_row(store, erase, &erasing, erase->rows[i]);
    sqlite3_finalize(erasing.row);
    sqlite3_finalize(erasing.update);
    store->wants_empty_wal |= erase->is_last;
    op->outcome = OUTCOME_RECORDED;
    return err;
}
