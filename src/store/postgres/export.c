#include "base/uninitialized.h"
#include "store/engine.h"
#include "store/postgres/merge.h"
#include "store/postgres/result.h"

#include <stdio.h>
#include <stdlib.h>

/* adtally export over PostgreSQL: the text is that of the data file. */

static const struct {
    struct span name;
    const char *sql;
} other_tables[] = {
    {SPAN_INIT("poll"), "SELECT *, 0::bigint FROM poll ORDER BY poll_id"},
    {SPAN_INIT("poll_option"), "SELECT *, 0::bigint FROM poll_option ORDER BY poll_id, position"},
};

struct exporting {
    const struct store_export *export;
    struct pg_merge merge;
    uint64_t begin, at, end; /* sequences: after `at`, up to `end` */
    const char *other_sql;   /* of a table that is none of events */
    char *memory;            /* ROW_TEXT_MAX */
};

static enum err put(struct exporting *exporting, const struct writer *text)
{
    if (text->overflow) return ERR_CORRUPT;
    return exporting->export->on_text(exporting->export->arg, writer_text(text)) ? ERR_OK : ERR_IO;
}

static enum err put_row(struct exporting *exporting, struct span table, struct span receipt,
                        const struct pg_merge_row *row)
{
    struct writer out;
    struct text_row cells UNINITIALIZED;
    pg_take_row(row->result, row->at, row->columns, &cells);
    writer_init(&out, exporting->memory, ROW_TEXT_MAX);
    if (exporting->export->format == STORE_CSV)
        row_text_csv(&out, receipt, &cells);
    else
        row_text_ndjson(&out, table, receipt, &cells);
    return put(exporting, &out);
}

static enum err put_event(void *arg, const struct pg_merge_row *row)
{
    struct exporting *exporting = arg;
    char receipt[RECEIPT_LEN];
    receipt_write(receipt, exporting->merge.receipt_key,
                  (uint64_t)pg_get_i64(row->result, row->at, 0));
    return put_row(exporting, event_table_name(row->kind), (struct span){receipt, sizeof receipt},
                   row);
}

static enum err put_head(struct exporting *exporting, const PGresult *result, bool are_events)
{
    struct writer out;
    struct text_row names = {.count = PQnfields(result) - 1};
    if (exporting->export->format != STORE_CSV || exporting->export->since.ptr) return ERR_OK;
    for (int i = 0; i < names.count; i++)
        names.names[i] = span_of(PQfname(result, i));
    writer_init(&out, exporting->memory, ROW_TEXT_MAX);
    row_text_csv_head(&out, are_events, &names);
    return put(exporting, &out);
}

/* No rows: the names of its columns. */
static enum err put_event_head(struct exporting *exporting)
{
    char sql[64];
    PGresult *result;
    if (exporting->export->format != STORE_CSV) return ERR_OK;
    snprintf(sql, sizeof sql, "SELECT * FROM %.*s LIMIT 0", SPAN_FMT(exporting->export->table));
    struct pg_connection *connection = &exporting->merge.connection;
    pg_send_text(connection, sql);
    pg_flush(connection);
    result = pg_result(connection);
    enum err err = pg_merge_fail(&exporting->merge, pg_finish(connection));
    if (!err) err = put_head(exporting, result, true);
    PQclear(result);
    return err;
}

static enum err read_events(struct exporting *exporting)
{
    const struct store_progress *progress = &exporting->export->progress;
    enum err err = put_event_head(exporting);
    while (!err && exporting->at < exporting->end) {
        err =
            pg_merge_read(&exporting->merge, &exporting->at, exporting->end, put_event, exporting);
        if (progress->on)
            progress->on(progress->arg, exporting->at - exporting->begin,
                         exporting->end - exporting->begin);
    }
    return err;
}

static enum err read_others(struct exporting *exporting)
{
    PGresult *result;
    struct pg_merge *merge = &exporting->merge;
    enum err err =
        pg_merge_fail(merge, pg_run(&merge->connection, exporting->other_sql, NULL, &result));
    if (err) return err;
    err = put_head(exporting, result, false);
    for (int i = 0; i < pg_rows(result) && !err; i++) {
        const struct pg_merge_row row = {OP_CLICK, result, i, PQnfields(result)};
        err = put_row(exporting, exporting->export->table, SPAN_NONE, &row);
    }
    PQclear(result);
    return err;
}

/* ERR_NOT_FOUND: no such table. */
static enum err choose_tables(struct exporting *exporting)
{
    bool is_any = false;
    struct span asked = exporting->export->table;
    for (size_t i = 0; i < EVENT_TABLES; i++) {
        bool is_asked = !asked.ptr || span_eq(asked, event_table_name((enum op_kind)i));
        exporting->merge.is_asked[i] = is_asked;
        is_any = is_any || is_asked;
    }
    for (size_t i = 0; i < sizeof other_tables / sizeof other_tables[0] && !is_any; i++)
        if (span_eq(asked, other_tables[i].name)) exporting->other_sql = other_tables[i].sql;
    if (is_any || exporting->other_sql) return ERR_OK;
    snprintf(exporting->merge.problem, STORE_PROBLEM_MAX, STORE_NO_TABLE, SPAN_FMT(asked));
    return ERR_NOT_FOUND;
}

static enum err find_range(struct exporting *exporting)
{
    uint64_t since = 0;
    struct span receipt = exporting->export->since;
    enum err err = pg_merge_last(&exporting->merge, &exporting->end);
    if (err || !receipt.ptr) return err;
    /* A receipt is told before its sequence is final. */
    if (!receipt_read(&since, exporting->merge.receipt_key, receipt)) {
        snprintf(exporting->merge.problem, STORE_PROBLEM_MAX, STORE_NO_RECEIPT,
                 (int)(receipt.len < 64 ? receipt.len : 64), receipt.ptr);
        return ERR_NOT_FOUND;
    }
    exporting->begin = exporting->at = since;
    return ERR_OK;
}

static enum err run(struct exporting *exporting, char *problem)
{
    enum err err = pg_merge_open(&exporting->merge, exporting->export->url, problem);
    if (err) return err;
    exporting->memory = malloc(ROW_TEXT_MAX);
    if (!exporting->memory) return ERR_NO_MEMORY;
    err = choose_tables(exporting);
    if (!err) err = find_range(exporting);
    if (err) return err;
    return exporting->other_sql ? read_others(exporting) : read_events(exporting);
}

enum err pg_store_export(const struct store_export *export, char problem[STORE_PROBLEM_MAX])
{
    struct exporting exporting = {.export = export};
    problem[0] = '\0';
    enum err err = run(&exporting, problem);
    if (err && !problem[0])
        snprintf(problem, STORE_PROBLEM_MAX, "cannot export %.400s: %s: %s", export->dir,
                 err_text(err), err_advice(err));
    pg_merge_close(&exporting.merge);
    free(exporting.memory);
    return err;
}
