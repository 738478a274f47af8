#include "base/uninitialized.h"
#include "store/engine.h"
#include "store/sqlite/db.h"
#include "store/sqlite/row_text.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/secrets.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* adtally export: the tables of events, merged by sequence, a part of the sequences in each read
 * transaction. The one writer commits sequences in their order, so what stands below the last one
 * when the export begins is complete. */

enum { EVENTS_PER_READ = 4096 };

/* Not events: they have no sequence, and are as they are now. */
static const struct span other_tables[] = {SPAN_INIT("poll"), SPAN_INIT("poll_option")};

struct exporting {
    const struct store_export *export;
    sqlite3 *db;
    uint8_t receipt_key[RECEIPT_KEY_SIZE];
    struct export_table {
        struct span name;
        sqlite3_stmt *rows;
        bool has_row;
    } tables[EVENT_TABLES];
    size_t tables_count;
    int64_t begin, at, end; /* sequences: after `at`, up to `end` */
    char *memory;           /* ROW_TEXT_MAX */
    char *problem;
};

static enum err put(struct exporting *exporting, const struct writer *text)
{
    if (text->overflow) return ERR_CORRUPT;
    return exporting->export->on_text(exporting->export->arg, writer_text(text)) ? ERR_OK : ERR_IO;
}

static enum err put_row(struct exporting *exporting, const struct export_table *table,
                        struct span receipt)
{
    struct writer out;
    if (!db_is_whole(table->rows, 0, table->name)) {
        snprintf(exporting->problem, STORE_PROBLEM_MAX,
                 "a row of %.*s (seq %lld) is damaged: adtally verify tells more",
                 SPAN_FMT(table->name), (long long)sqlite3_column_int64(table->rows, 0));
        return ERR_CORRUPT_ROW;
    }
    writer_init(&out, exporting->memory, ROW_TEXT_MAX);
    if (exporting->export->format == STORE_CSV)
        row_text_csv(&out, receipt, table->rows);
    else
        row_text_ndjson(&out, table->name, receipt, table->rows);
    return put(exporting, &out);
}

static enum err step(struct exporting *exporting, struct export_table *table)
{
    int code = sqlite3_step(table->rows);
    table->has_row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? ERR_OK : db_last_err(exporting->db);
}

static struct export_table *lowest(struct exporting *exporting)
{
    struct export_table *found = NULL;
    for (size_t i = 0; i < exporting->tables_count; i++) {
        struct export_table *table = &exporting->tables[i];
        if (table->has_row &&
            (!found || sqlite3_column_int64(table->rows, 0) < sqlite3_column_int64(found->rows, 0)))
            found = table;
    }
    return found;
}

static enum err merge(struct exporting *exporting)
{
    struct export_table *table;
    enum err err = ERR_OK;
    while (!err && (table = lowest(exporting))) {
        char receipt[RECEIPT_LEN];
        receipt_write(receipt, exporting->receipt_key,
                      (uint64_t)sqlite3_column_int64(table->rows, 0));
        err = put_row(exporting, table, (struct span){receipt, sizeof receipt});
        if (!err) err = step(exporting, table);
    }
    return err;
}

static enum err read_part(struct exporting *exporting, int64_t to)
{
    enum err err = db_exec(exporting->db, "BEGIN");
    for (size_t i = 0; i < exporting->tables_count && !err; i++) {
        struct export_table *table = &exporting->tables[i];
        sqlite3_bind_int64(table->rows, 1, exporting->at);
        sqlite3_bind_int64(table->rows, 2, to);
        err = step(exporting, table);
    }
    if (!err) err = merge(exporting);
    for (size_t i = 0; i < exporting->tables_count; i++)
        sqlite3_reset(exporting->tables[i].rows);
    enum err end_err = db_exec(exporting->db, "COMMIT");
    return err ? err : end_err;
}

static enum err read_events(struct exporting *exporting)
{
    const struct store_progress *progress = &exporting->export->progress;
    enum err err = ERR_OK;
    while (!err && exporting->at < exporting->end) {
        int64_t left = exporting->end - exporting->at;
        int64_t to = exporting->at + (left < EVENTS_PER_READ ? left : EVENTS_PER_READ);
        err = read_part(exporting, to);
        exporting->at = to;
        if (progress->on)
            progress->on(progress->arg, (uint64_t)(to - exporting->begin),
                         (uint64_t)(exporting->end - exporting->begin));
    }
    return err;
}

static enum err read_others(struct exporting *exporting)
{
    struct export_table *table = &exporting->tables[0];
    enum err err = step(exporting, table);
    while (!err && table->has_row) {
        err = put_row(exporting, table, SPAN_NONE);
        if (!err) err = step(exporting, table);
    }
    return err;
}

static enum err add_table(struct exporting *exporting, struct span name, const char *clause)
{
    char sql[128];
    struct export_table *table = &exporting->tables[exporting->tables_count++];
    table->name = name;
    snprintf(sql, sizeof sql, "SELECT * FROM %.*s%s", SPAN_FMT(name), clause);
    return db_prepare(exporting->db, &table->rows, sql);
}

/* ERR_NOT_FOUND: no such table. */
static enum err choose_tables(struct exporting *exporting, bool *are_events)
{
    static const char range[] = " WHERE seq > ? AND seq <= ? ORDER BY seq";
    struct span asked = exporting->export->table;
    enum err err = ERR_OK;
    *are_events = true;
    for (size_t i = 0; i < EVENT_TABLES && !err; i++)
        if (!asked.ptr || span_eq(asked, event_table_name((enum op_kind)i)))
            err = add_table(exporting, event_table_name((enum op_kind)i), range);
    if (err || exporting->tables_count) return err;
    *are_events = false;
    for (size_t i = 0; i < sizeof other_tables / sizeof other_tables[0] && !err; i++)
        if (span_eq(asked, other_tables[i])) err = add_table(exporting, asked, "");
    if (err || exporting->tables_count) return err;
    snprintf(exporting->problem, STORE_PROBLEM_MAX,
             "no table is called \"%.*s\": click, conversion, server_event, impression, feedback,"
             " ad_feedback, vote, poll or poll_option",
             SPAN_FMT(asked));
    return ERR_NOT_FOUND;
}

static enum err find_range(struct exporting *exporting)
{
    uint64_t since = 0;
    struct span receipt = exporting->export->since;
    enum err err = db_query_i64(exporting->db, "SELECT last_seq FROM total", &exporting->end);
    if (err || !receipt.ptr) return err;
    if (!receipt_read(&since, exporting->receipt_key, receipt) ||
        since > (uint64_t)exporting->end) {
        snprintf(exporting->problem, STORE_PROBLEM_MAX,
                 "\"%.*s\" is no receipt of this data directory: take the last one that was"
                 " exported",
                 (int)(receipt.len < 64 ? receipt.len : 64), receipt.ptr);
        return ERR_NOT_FOUND;
    }
    exporting->begin = exporting->at = (int64_t)since;
    return ERR_OK;
}

static enum err put_head(struct exporting *exporting, bool are_events)
{
    struct writer out;
    if (exporting->export->format != STORE_CSV || exporting->export->since.ptr) return ERR_OK;
    writer_init(&out, exporting->memory, ROW_TEXT_MAX);
    row_text_csv_head(&out, are_events, exporting->tables[0].rows);
    return put(exporting, &out);
}

static enum err read_receipt_key(struct exporting *exporting)
{
    struct secrets secrets UNINITIALIZED;
    int fd = open(exporting->export->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err err = fd >= 0 ? secrets_read(&secrets, fd) : ERR_NOT_FOUND;
    if (!err)
        for (int i = 0; i < RECEIPT_KEY_SIZE; i++)
            exporting->receipt_key[i] = secrets.receipt_key[i];
    hash_wipe(&secrets, sizeof secrets);
    if (fd >= 0) close(fd);
    return err;
}

static enum err open_database(struct exporting *exporting)
{
    char path[512];
    const char *dir = exporting->export->dir;
    exporting->memory = malloc(ROW_TEXT_MAX);
    if (!exporting->memory) return ERR_NO_MEMORY;
    if ((size_t)snprintf(path, sizeof path, "%s/adtally.db", dir) >= sizeof path) return ERR_IO;
    enum err err = db_open_readonly(&exporting->db, path);
    if (!err) err = schema_check(exporting->db);
    return err ? err : read_receipt_key(exporting);
}

static enum err run(struct exporting *exporting)
{
    bool are_events = true;
    enum err err = open_database(exporting);
    if (err) return err;
    err = choose_tables(exporting, &are_events);
    if (!err) err = find_range(exporting);
    if (!err) err = put_head(exporting, are_events);
    if (err) return err;
    return are_events ? read_events(exporting) : read_others(exporting);
}

enum err sqlite_store_export(const struct store_export *export, char problem[STORE_PROBLEM_MAX])
{
    struct exporting exporting = {.export = export, .problem = problem};
    db_start();
    problem[0] = '\0';
    enum err err = run(&exporting);
    if (err && !problem[0])
        snprintf(problem, STORE_PROBLEM_MAX, "cannot export %.400s: %s: %s", export->dir,
                 err_text(err), err_advice(err));
    for (size_t i = 0; i < exporting.tables_count; i++)
        sqlite3_finalize(exporting.tables[i].rows);
    sqlite3_close(exporting.db);
    free(exporting.memory);
    return err;
}
