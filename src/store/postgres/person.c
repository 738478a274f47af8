#include "store/person.h"

#include "store/postgres/connection.h"
#include "store/postgres/result.h"

#include <stdlib.h>

/* Over a database: what is found is kept by the session. */

enum { TIMEOUT_MS = 10 * 60 * 1000 };

struct database_reader {
    struct person_reader reader; /* first: what finds holds */
    struct pg_connection connection;
    struct pg_params params;
};

static struct database_reader *database_reader_of(struct person_reader *reader)
{
    return (struct database_reader *)(void *)reader;
}

static enum err run(struct person_reader *base, const char *sql)
{
    return pg_err(pg_run_text(&database_reader_of(base)->connection, sql));
}

static enum err read_rows(struct person_reader *base, const struct person_part *part,
                          uint64_t rows[], uint32_t *count)
{
    struct database_reader *reader = database_reader_of(base);
    struct pg_params *params = &reader->params;
    PGresult *result;
    pg_params_reset(params, part->selects ? PERSON_PARAMETERS : PERSON_PARAMETERS - 1);
    pg_set_i64(params, 0, part->after);
    pg_set_i64(params, 1, part->to);
    pg_set_text(params, 2, part->user_id);
    pg_set_text(params, 3, part->session_id);
    if (part->selects) pg_set_i64(params, 4, part->rows_max);
    enum err err = pg_err(pg_run(&reader->connection, part->sql, params, &result));
    for (int row = 0; row < pg_rows(result); row++)
        rows[(*count)++] = (uint64_t)pg_get_i64(result, row, 0);
    PQclear(result);
    return err;
}

static void close_reader(struct person_reader *base)
{
    struct database_reader *reader = database_reader_of(base);
    pg_disconnect(&reader->connection);
    pg_params_fini(&reader->params);
    free(reader);
}

static const struct person_engine database_person_engine = {
    .run = run,
    .read = read_rows,
    .close = close_reader,
};

static enum err open_database(struct database_reader *reader)
{
    PGresult *row;
    enum pg_failure failure = pg_connect(&reader->connection);
    if (!failure)
        failure = pg_run(&reader->connection, "SELECT next_seq - 1 FROM counter WHERE id = 1", NULL,
                         &row);
    if (failure) return pg_err(failure);
    reader->reader.last = pg_get_i64(row, 0, 0);
    PQclear(row);
    return ERR_OK;
}

enum err pg_person_open(struct person_reader **out, const char *url)
{
    struct database_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return ERR_NO_MEMORY;
    reader->reader.engine = &database_person_engine;
    reader->connection =
        (struct pg_connection){.url = url, .timeout_ms = TIMEOUT_MS, .is_quiet = true};
    enum err err = open_database(reader);
    if (err)
        close_reader(&reader->reader);
    else
        *out = &reader->reader;
    return err;
}
