#include "base/uninitialized.h"
#include "store/engine.h"
#include "store/sqlite/merge.h"

#include <stdio.h>
#include <stdlib.h>

/* adtally export: the tables of events, merged by sequence, a part of the sequences in each read
 * transaction. */

enum { EVENTS_PER_READ = 4096 };

/* Not events: they have no sequence, and are as they are now. */
static const struct span other_tables[] = {SPAN_INIT("poll"), SPAN_INIT("poll_option")};

struct exporting {
    const struct store_export *export;
    struct merge merge;
    int64_t begin, at, end; /* sequences: after `at`, up to `end` */
    char *memory;           /* ROW_TEXT_MAX */
};

static enum err put(struct exporting *exporting, const struct writer *text)
{
    if (text->overflow) return ERR_CORRUPT;
    return exporting->export->on_text(exporting->export->arg, writer_text(text)) ? ERR_OK : ERR_IO;
}

static enum err put_row(struct exporting *exporting, const struct merge_table *table,
                        struct span receipt)
{
    struct writer out;
    struct text_row row UNINITIALIZED;
    merge_take(table, &row);
    writer_init(&out, exporting->memory, ROW_TEXT_MAX);
    if (exporting->export->format == STORE_CSV)
        row_text_csv(&out, receipt, &row);
    else
        row_text_ndjson(&out, table->name, receipt, &row);
    return put(exporting, &out);
}

static enum err put_event(void *arg, const struct merge_table *table)
{
    struct exporting *exporting = arg;
    char receipt[RECEIPT_LEN];
    receipt_write(receipt, exporting->merge.receipt_key,
                  (uint64_t)sqlite3_column_int64(table->rows, 0));
    return put_row(exporting, table, (struct span){receipt, sizeof receipt});
}

static enum err read_events(struct exporting *exporting)
{
    const struct store_progress *progress = &exporting->export->progress;
    enum err err = ERR_OK;
    while (!err && exporting->at < exporting->end) {
        int64_t left = exporting->end - exporting->at;
        int64_t to = exporting->at + (left < EVENTS_PER_READ ? left : EVENTS_PER_READ);
        err = merge_read(&exporting->merge, exporting->at, to, put_event, exporting);
        exporting->at = to;
        if (progress->on)
            progress->on(progress->arg, (uint64_t)(to - exporting->begin),
                         (uint64_t)(exporting->end - exporting->begin));
    }
    return err;
}

static enum err read_others(struct exporting *exporting)
{
    struct merge_table *table = &exporting->merge.tables[0];
    enum err err = merge_step(&exporting->merge, table);
    while (!err && table->has_row) {
        bool is_whole = merge_is_whole(&exporting->merge, table);
        err = is_whole ? put_row(exporting, table, SPAN_NONE) : ERR_CORRUPT_ROW;
        if (!err) err = merge_step(&exporting->merge, table);
    }
    return err;
}

/* ERR_NOT_FOUND: no such table. */
static enum err choose_tables(struct exporting *exporting, bool *are_events)
{
    struct merge *merge = &exporting->merge;
    struct span asked = exporting->export->table;
    enum err err = ERR_OK;
    *are_events = true;
    for (size_t i = 0; i < EVENT_TABLES && !err; i++)
        if (!asked.ptr || span_eq(asked, event_table_name((enum op_kind)i)))
            err = merge_add(merge, (enum op_kind)i);
    if (err || merge->tables_count) return err;
    *are_events = false;
    for (size_t i = 0; i < sizeof other_tables / sizeof other_tables[0] && !err; i++)
        if (span_eq(asked, other_tables[i])) err = merge_add_other(merge, asked);
    if (err || merge->tables_count) return err;
    snprintf(merge->problem, STORE_PROBLEM_MAX, STORE_NO_TABLE, SPAN_FMT(asked));
    return ERR_NOT_FOUND;
}

static enum err find_range(struct exporting *exporting)
{
    uint64_t since = 0;
    struct span receipt = exporting->export->since;
    enum err err = merge_last(&exporting->merge, &exporting->end);
    if (err || !receipt.ptr) return err;
    if (!receipt_read(&since, exporting->merge.receipt_key, receipt) ||
        since > (uint64_t)exporting->end) {
        snprintf(exporting->merge.problem, STORE_PROBLEM_MAX, STORE_NO_RECEIPT,
                 (int)(receipt.len < 64 ? receipt.len : 64), receipt.ptr);
        return ERR_NOT_FOUND;
    }
    exporting->begin = exporting->at = (int64_t)since;
    return ERR_OK;
}

static enum err put_head(struct exporting *exporting, bool are_events)
{
    struct writer out;
    struct text_row row UNINITIALIZED;
    if (exporting->export->format != STORE_CSV || exporting->export->since.ptr) return ERR_OK;
    writer_init(&out, exporting->memory, ROW_TEXT_MAX);
    merge_take(&exporting->merge.tables[0], &row);
    row_text_csv_head(&out, are_events, &row);
    return put(exporting, &out);
}

static enum err run(struct exporting *exporting, char *problem)
{
    bool are_events = true;
    enum err err = merge_open(&exporting->merge, exporting->export->dir, problem);
    if (err) return err;
    exporting->memory = malloc(ROW_TEXT_MAX);
    if (!exporting->memory) return ERR_NO_MEMORY;
    err = choose_tables(exporting, &are_events);
    if (!err) err = find_range(exporting);
    if (!err) err = put_head(exporting, are_events);
    if (err) return err;
    return are_events ? read_events(exporting) : read_others(exporting);
}

enum err sqlite_store_export(const struct store_export *export, char problem[STORE_PROBLEM_MAX])
{
    struct exporting exporting = {.export = export};
    problem[0] = '\0';
    enum err err = run(&exporting, problem);
    if (err && !problem[0])
        snprintf(problem, STORE_PROBLEM_MAX, "cannot export %.400s: %s: %s", export->dir,
                 err_text(err), err_advice(err));
    merge_close(&exporting.merge);
    free(exporting.memory);
    return err;
}
