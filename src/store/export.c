#include "base/uninitialized.h"
#include "store/rows.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

/* adtally export: the rows of whichever engine as text. */

/* Not events: they have no sequence, and are as they are now. */
static const struct span other_tables[] = {SPAN_INIT("poll"), SPAN_INIT("poll_option")};

struct exporting {
    const struct store_export *export;
    struct rows *rows;
    uint64_t begin, end; /* sequences: after `begin`, up to `end` */
    struct span other;   /* a table that is none of events; absent: events */
    char *memory;        /* ROW_TEXT_MAX */
    char *problem;
};

/* -- text ---------------------------------------------------------------------------------- */

static enum err put(struct exporting *exporting, const struct writer *text)
{
    if (text->overflow) return ERR_CORRUPT;
    return exporting->export->on_text(exporting->export->arg, writer_text(text)) ? ERR_OK : ERR_IO;
}

static enum err put_row(struct exporting *exporting, struct span table, struct span receipt,
                        const struct text_row *row)
{
    struct writer out;
    writer_init(&out, exporting->memory, ROW_TEXT_MAX);
    if (exporting->export->format == STORE_CSV)
        row_text_csv(&out, receipt, row);
    else
        row_text_ndjson(&out, table, receipt, row);
    return put(exporting, &out);
}

static enum err put_event(void *arg, enum op_kind kind, const struct text_row *row,
                          int64_t checksum)
{
    struct exporting *exporting = arg;
    char receipt[RECEIPT_LEN];
    receipt_write(receipt, exporting->rows->receipt_key,
                  (uint64_t)row->cells[0].number /* seq, in every table */);
    return put_row(exporting, event_table_name(kind), (struct span){receipt, sizeof receipt}, row);
}

static enum err put_other(void *arg, const struct text_row *row)
{
    struct exporting *exporting = arg;
    return put_row(exporting, exporting->other, SPAN_NONE, row);
}

static enum err put_head(void *arg, const struct text_row *names)
{
    struct exporting *exporting = arg;
    struct writer out;
    writer_init(&out, exporting->memory, ROW_TEXT_MAX);
    row_text_csv_head(&out, !exporting->other.ptr, names);
    return put(exporting, &out);
}

/* -- what is asked for --------------------------------------------------------------------- */

static enum err choose_tables(struct exporting *exporting)
{
    struct span asked = exporting->export->table;
    struct rows *rows = exporting->rows;
    bool is_any = false;
    enum err err = ERR_OK;
    for (size_t i = 0; i < EVENT_TABLES && !err; i++) {
        if (asked.ptr && !span_eq(asked, event_table_name((enum op_kind)i))) continue;
        err = rows->engine->ask_for(rows, (enum op_kind)i);
        is_any = true;
    }
    for (size_t i = 0; i < sizeof other_tables / sizeof other_tables[0]; i++)
        if (span_eq(asked, other_tables[i])) exporting->other = asked;
    if (err || is_any || exporting->other.ptr) return err;
    snprintf(exporting->problem, STORE_PROBLEM_MAX,
             "no table is called \"%.*s\": click, conversion, server_event, impression, feedback,"
             " ad_feedback, vote, poll or poll_option",
             SPAN_FMT(asked));
    return ERR_NOT_FOUND;
}

static enum err find_range(struct exporting *exporting)
{
    uint64_t *since = &exporting->begin;
    struct span receipt = exporting->export->since;
    struct rows *rows = exporting->rows;
    enum err err = rows->engine->last(rows, &exporting->end);
    if (err || !receipt.ptr) return err;
    if (receipt_read(since, rows->receipt_key, receipt) &&
        (rows->is_ahead || *since <= exporting->end))
        return ERR_OK;
    snprintf(exporting->problem, STORE_PROBLEM_MAX,
             "\"%.*s\" is no receipt of this data directory: take the last one that was exported",
             (int)(receipt.len < 64 ? receipt.len : 64), receipt.ptr);
    return ERR_NOT_FOUND;
}

/* -- reading ------------------------------------------------------------------------------- */

static enum err read_head(struct exporting *exporting)
{
    const struct store_export *export = exporting->export;
    if (export->format != STORE_CSV || export->since.ptr) return ERR_OK;
    return exporting->rows->engine->read_names(exporting->rows, export->table, put_head, exporting);
}

static enum err read_events(struct exporting *exporting)
{
    const struct store_progress *progress = &exporting->export->progress;
    struct rows *rows = exporting->rows;
    uint64_t at = exporting->begin;
    enum err err = ERR_OK;
    while (!err && at < exporting->end) {
        err = rows->engine->read(rows, &at, exporting->end, put_event, exporting);
        if (progress->on)
            progress->on(progress->arg, at - exporting->begin, exporting->end - exporting->begin);
    }
    return err;
}

static enum err run(struct exporting *exporting)
{
    struct rows *rows = exporting->rows;
    exporting->memory = malloc(ROW_TEXT_MAX);
    enum err err = exporting->memory ? choose_tables(exporting) : ERR_NO_MEMORY;
    if (!err) err = find_range(exporting);
    if (!err) err = read_head(exporting);
    if (err) return err;
    if (!exporting->other.ptr) return read_events(exporting);
    return rows->engine->read_table(rows, exporting->other, put_other, exporting);
}

enum err store_export(const struct store_export *export, char problem[STORE_PROBLEM_MAX])
{
    struct exporting exporting = {.export = export, .problem = problem};
    problem[0] = '\0';
    enum err err = export->url ? pg_rows_open(&exporting.rows, export->url, problem)
                               : sqlite_rows_open(&exporting.rows, export->dir, problem);
    if (!err) err = run(&exporting);
    if (err && !problem[0])
        snprintf(problem, STORE_PROBLEM_MAX, "cannot export %.400s: %s: %s", export->dir,
                 err_text(err), err_advice(err));
    if (exporting.rows) exporting.rows->engine->close(exporting.rows);
    free(exporting.memory);
    return err;
}
