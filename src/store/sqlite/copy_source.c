#include "base/secret.h"
#include "store/copy.h"
#include "store/dir.h"
#include "store/sqlite/rows.h"
#include "store/sqlite/secrets.h"

#include <stdlib.h>

/* A data directory as what `adtally copy` reads; its lock is held, so that no server runs. */

struct dir_source {
    struct copy_source source; /* first: what the copy holds */
    struct dir dir;
};

static struct dir_source *dir_source_of(struct copy_source *source)
{
    return (struct dir_source *)(void *)source;
}

static enum err ask(struct copy_source *base, const char *sql, char answer[COPY_ANSWER_SIZE])
{
    return db_query_text(sqlite_rows_of(base->rows)->merge.db, sql, answer, COPY_ANSWER_SIZE);
}

/* The lock is held until it is given back. */
static enum err check(struct copy_source *base)
{
    return ERR_OK;
}

static void close_source(struct copy_source *base)
{
    struct dir_source *source = dir_source_of(base);
    if (base->rows) base->rows->engine->close(base->rows);
    secret_free(base->secrets, sizeof *base->secrets);
    dir_close(&source->dir);
    free(source);
}

static const struct copy_source_engine dir_source_engine = {
    .ask = ask,
    .check = check,
    .close = close_source,
};

static enum err open_source(struct dir_source *source, const char *dir, char *problem)
{
    struct copy_source *base = &source->source;
    enum err err = dir_hold(&source->dir, dir, false, problem);
    if (!err) err = sqlite_rows_open(&base->rows, dir, problem);
    base->secrets = secret_new(sizeof *base->secrets);
    if (!err && !base->secrets) err = ERR_NO_MEMORY;
    if (!err) err = secrets_read(base->secrets, source->dir.fd);
    return err ? err : merge_last(&sqlite_rows_of(base->rows)->merge, &base->last);
}

enum err sqlite_copy_source_open(struct copy_source **out, const char *dir, char *problem)
{
    struct dir_source *source = calloc(1, sizeof *source);
    if (!source) return ERR_NO_MEMORY;
    source->source.engine = &dir_source_engine;
    source->dir = (struct dir){.fd = -1, .lock_fd = -1};
    enum err err = open_source(source, dir, problem);
    if (err)
        close_source(&source->source);
    else
        *out = &source->source;
    return err;
}
