#include "base/secret.h"
#include "base/uninitialized.h"
#include "store/copy.h"
#include "store/dir.h"
#include "store/sqlite/merge.h"
#include "store/sqlite/secrets.h"

#include <stdio.h>
#include <stdlib.h>

/* A data directory as what `adtally copy` reads; its lock is held, so that no server runs. */

struct dir_source {
    struct copy_source source; /* first: what the copy holds */
    struct dir dir;
    struct merge merge;
    char *problem;
    copy_on_event *on_event; /* of the reading under way */
    void *arg;
};

static struct dir_source *dir_source_of(struct copy_source *source)
{
    return (struct dir_source *)(void *)source;
}

static enum err pass_event(void *arg, const struct merge_table *table)
{
    struct dir_source *source = arg;
    struct text_row row UNINITIALIZED;
    merge_take(table, &row);
    return source->on_event(source->arg, table->kind, &row,
                            sqlite3_column_int64(table->rows, row.count));
}

static enum err read_events(struct copy_source *base, int64_t after, int64_t to,
                            copy_on_event *on_event, void *arg)
{
    struct dir_source *source = dir_source_of(base);
    source->on_event = on_event;
    source->arg = arg;
    return merge_read(&source->merge, after, to, pass_event, source);
}

static enum err read_table(struct copy_source *base, enum copy_table which, copy_on_row *on_row,
                           void *arg)
{
    struct dir_source *source = dir_source_of(base);
    struct text_row row UNINITIALIZED;
    struct merge_table table = {.name = copy_table_name(which)};
    char sql[64];
    snprintf(sql, sizeof sql, "SELECT * FROM %.*s", SPAN_FMT(table.name));
    enum err err = db_prepare(source->merge.db, &table.rows, sql);
    if (!err) err = merge_step(&source->merge, &table);
    while (!err && table.has_row) {
        merge_take(&table, &row);
        err = merge_is_whole(&source->merge, &table) ? on_row(arg, which, &row) : ERR_CORRUPT_ROW;
        if (!err) err = merge_step(&source->merge, &table);
    }
    sqlite3_finalize(table.rows);
    return err;
}

static enum err ask(struct copy_source *base, const char *sql, char answer[COPY_ANSWER_SIZE])
{
    return db_query_text(dir_source_of(base)->merge.db, sql, answer, COPY_ANSWER_SIZE);
}

/* The lock is held until it is given back. */
static enum err check(struct copy_source *base)
{
    return ERR_OK;
}

static void close_source(struct copy_source *base)
{
    struct dir_source *source = dir_source_of(base);
    merge_close(&source->merge);
    secret_free(base->secrets, sizeof *base->secrets);
    dir_close(&source->dir);
    free(source);
}

static const struct copy_source_engine dir_source_engine = {
    .read = read_events,
    .read_table = read_table,
    .ask = ask,
    .check = check,
    .close = close_source,
};

static enum err open_source(struct dir_source *source, const char *dir)
{
    struct merge *merge = &source->merge;
    enum err err = dir_hold(&source->dir, dir, false, source->problem);
    if (err) return err;
    err = merge_open(merge, dir, source->problem);
    source->source.secrets = secret_new(sizeof *source->source.secrets);
    if (!err && !source->source.secrets) err = ERR_NO_MEMORY;
    if (!err) err = secrets_read(source->source.secrets, source->dir.fd);
    for (int i = 0; i < EVENT_TABLES && !err; i++)
        err = merge_add(merge, (enum op_kind)i);
    return err ? err : merge_last(merge, &source->source.last);
}

enum err sqlite_copy_source_open(struct copy_source **out, const char *dir, char *problem)
{
    struct dir_source *source = calloc(1, sizeof *source);
    if (!source) return ERR_NO_MEMORY;
    source->source.engine = &dir_source_engine;
    source->dir = (struct dir){.fd = -1, .lock_fd = -1};
    source->problem = problem;
    enum err err = open_source(source, dir);
    if (err)
        close_source(&source->source);
    else
        *out = &source->source;
    return err;
}
