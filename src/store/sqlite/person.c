#include "store/person.h"

#include "store/sqlite/db.h"
#include "store/sqlite/schema.h"

#include <stdio.h>
#include <stdlib.h>

/* Over a data directory: by a reader beside the writer, which keeps what it found in memory. */

struct file_reader {
    struct person_reader reader; /* first: what finds holds */
    sqlite3 *db;
    const char *sql; /* that `statement` is of */
    sqlite3_stmt *statement;
};

static struct file_reader *file_reader_of(struct person_reader *reader)
{
    return (struct file_reader *)(void *)reader;
}

static enum err run(struct person_reader *base, const char *sql)
{
    return db_exec(file_reader_of(base)->db, sql);
}

static enum err prepare(struct file_reader *reader, const char *sql)
{
    if (reader->sql == sql) return ERR_OK;
    sqlite3_finalize(reader->statement);
    reader->statement = NULL;
    reader->sql = sql;
    return db_prepare(reader->db, &reader->statement, sql);
}

static int place_of(sqlite3_stmt *statement, int parameter)
{
    char name[16];
    snprintf(name, sizeof name, "$%d", parameter);
    return sqlite3_bind_parameter_index(statement, name);
}

static void bind(sqlite3_stmt *statement, const struct person_part *part)
{
    const int64_t numbers[] = {[1] = part->after, [2] = part->to, [5] = part->rows_max};
    const struct span texts[] = {[3] = part->user_id, [4] = part->session_id};
    for (int i = 1; i <= PERSON_PARAMETERS; i++) {
        struct db_binder value = {statement, place_of(statement, i), 0};
        if (!value.next) continue;
        if (i == 3 || i == 4)
            db_bind_text(&value, texts[i]);
        else
            db_bind_i64(&value, numbers[i]);
    }
}

static enum err read_rows(struct person_reader *base, const struct person_part *part,
                          uint64_t rows[], uint32_t *count)
{
    struct file_reader *reader = file_reader_of(base);
    int code;
    enum err err = prepare(reader, part->sql);
    if (err) return err;
    bind(reader->statement, part);
    while ((code = sqlite3_step(reader->statement)) == SQLITE_ROW)
        rows[(*count)++] = (uint64_t)sqlite3_column_int64(reader->statement, 0);
    if (code != SQLITE_DONE) err = db_last_err(reader->db);
    sqlite3_reset(reader->statement);
    return err;
}

static void close_reader(struct person_reader *base)
{
    struct file_reader *reader = file_reader_of(base);
    sqlite3_finalize(reader->statement);
    sqlite3_close(reader->db);
    free(reader);
}

static const struct person_engine file_person_engine = {
    .run = run,
    .read = read_rows,
    .close = close_reader,
};

static enum err open_database(struct file_reader *reader, const char *dir)
{
    char path[512];
    if ((size_t)snprintf(path, sizeof path, "%s/adtally.db", dir) >= sizeof path) return ERR_IO;
    enum err err = db_open_readonly(&reader->db, path);
    if (!err) err = schema_check(reader->db);
    if (!err) err = db_query_i64(reader->db, "SELECT last_seq FROM total", &reader->reader.last);
    /* A connection that cannot write the file may write to memory. */
    return err ? err : db_exec(reader->db, "PRAGMA query_only = 0; PRAGMA temp_store = MEMORY");
}

enum err sqlite_person_open(struct person_reader **out, const char *dir)
{
    struct file_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return ERR_NO_MEMORY;
    reader->reader.engine = &file_person_engine;
    db_start();
    enum err err = open_database(reader, dir);
    if (err)
        close_reader(&reader->reader);
    else
        *out = &reader->reader;
    return err;
}
