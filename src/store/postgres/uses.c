#include "base/clock.h"
#include "store/postgres/pg.h"
#include "store/postgres/result.h"

/* What each node let through of each partner key, since ever: a row for each of both. */

enum { FORGET_EVERY_MS = 60 * 60 * 1000, FORGOTTEN_MS = 24 * 60 * 60 * 1000 };

static void send_own(struct pg_store *store, const struct store_use uses[], size_t count,
                     int64_t now_ms)
{
    struct pg_params *params = &store->own_params;
    pg_params_reset(params, 4);
    pg_set_i64(params, 0, store->lane.id);
    pg_set_i64(params, 1, now_ms);
    for (size_t i = 0; i < count; i++) {
        pg_add_text(params, 2, uses[i].key_id);
        pg_add_i64(params, 3, (int64_t)uses[i].used);
    }
    pg_send(&store->connection,
            "INSERT INTO rate_use (key_id, lane_id, used, seen_at_ms)"
            " SELECT key_id, $1::bigint, used, $2::bigint"
            " FROM unnest($3::text[], $4::bigint[]) AS here (key_id, used)"
            " ON CONFLICT (key_id, lane_id) DO UPDATE"
            " SET used = rate_use.used + excluded.used, seen_at_ms = excluded.seen_at_ms",
            params);
}

static void send_question(struct pg_store *store, const struct store_use uses[], size_t count)
{
    struct pg_params *params = &store->own_params;
    pg_params_reset(params, 2);
    pg_set_i64(params, 0, store->lane.id);
    for (size_t i = 0; i < count; i++)
        pg_add_text(params, 1, uses[i].key_id);
    pg_send(&store->connection,
            "SELECT key_id, sum(used)::bigint FROM rate_use"
            " WHERE key_id = ANY ($2::text[]) AND lane_id <> $1 GROUP BY key_id",
            params);
}

/* Of nodes that are no more. */
static void send_forget(struct pg_store *store, int64_t now_ms)
{
    struct pg_params *params = &store->own_params;
    pg_params_reset(params, 1);
    pg_set_i64(params, 0, now_ms - FORGOTTEN_MS);
    pg_send(&store->connection, "DELETE FROM rate_use WHERE seen_at_ms < $1", params);
}

static void take(struct store_use uses[], size_t count, const PGresult *rows)
{
    for (size_t i = 0; i < count; i++)
        uses[i].others = 0;
    for (int row = 0; row < pg_rows(rows); row++)
        for (size_t i = 0; i < count; i++)
            if (span_eq(uses[i].key_id, pg_get_text(rows, row, 0)))
                uses[i].others = (uint64_t)pg_get_i64(rows, row, 1);
}

/* Not a transaction: an answer that is lost counts twice at most, for the other nodes alone. */
enum err pg_share_uses(struct store *base, struct store_use uses[], size_t count)
{
    struct pg_store *store = pg_of(base);
    struct pg_connection *connection = &store->connection;
    int64_t now_ms = clock_wall_ms(), mono_ms = clock_mono_ms();
    enum pg_failure failure = pg_connect(connection);
    if (failure) return pg_err(failure);
    bool forgets = mono_ms >= store->forget_at_ms;
    if (forgets) store->forget_at_ms = mono_ms + FORGET_EVERY_MS;
    send_own(store, uses, count, now_ms);
    send_question(store, uses, count);
    if (forgets) send_forget(store, now_ms);
    pg_flush(connection);
    pg_skip(connection);
    PGresult *rows = pg_result(connection);
    failure = pg_finish(connection);
    if (!failure) take(uses, count, rows);
    PQclear(rows);
    return pg_err(failure);
}
