#include "store/postgres/pg.h"
#include "store/postgres/result.h"

/* What nodes keep copies of: its changes, and what others may have changed since it was copied. */

enum pg_failure pg_change(struct pg_store *store, const char *sql, int64_t *changed)
{
    struct pg_connection *connection = &store->connection;
    pg_send(connection, "BEGIN", NULL);
    pg_send(connection, PG_COUNT_CHANGE, NULL);
    pg_send(connection, sql, &store->own_params);
    pg_send(connection, "COMMIT", NULL);
    pg_flush(connection);
    pg_skip(connection);
    pg_skip(connection);
    PGresult *result = pg_result(connection);
    enum pg_failure failure = pg_finish(connection);
    *changed = pg_changed(result);
    PQclear(result);
    return failure;
}

enum pg_failure pg_copies_look(struct pg_store *store)
{
    PGresult *row;
    enum pg_failure failure =
        pg_run(&store->connection, "SELECT number FROM change WHERE id = 1", NULL, &row);
    if (failure) return failure;
    if (pg_rows(row) == 1 && pg_get_i64(row, 0, 0) != store->change) store->is_stale = true;
    PQclear(row);
    return PG_FINE;
}

/* The number first: a change that comes meanwhile is read again. */
enum pg_failure pg_copies_load(struct pg_store *store)
{
    PGresult *row;
    enum pg_failure failure =
        pg_run(&store->connection, "SELECT number FROM change WHERE id = 1", NULL, &row);
    if (failure) return failure;
    int64_t number = pg_rows(row) == 1 ? pg_get_i64(row, 0, 0) : 0;
    PQclear(row);
    failure = pg_secrets_load(store);
    if (!failure) failure = pg_polls_load(store);
    if (failure) return failure;
    store->change = number;
    store->is_stale = false;
    return PG_FINE;
}

/* Its own changes too: they are few. */
bool pg_has_changed(struct store *base)
{
    struct pg_store *store = pg_of(base);
    if (store->is_stale && pg_copies_load(store)) return false; /* tried again */
    bool has_changed = store->change != store->told_change;
    store->told_change = store->change;
    return has_changed;
}
