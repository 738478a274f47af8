#include "base/clock.h"
#include "base/rng.h"
#include "store/postgres/pg.h"
#include "store/postgres/result.h"

#include <stdio.h>
#include <unistd.h>

/* Who reads on waits for the oldest lease that is open, so none is kept open for long: its lane
 * takes another after LEASE_MS, and whoever wants to read closes one of LEASE_MS_MAX. */
enum { LEASE_SIZE = 4096, LEASE_MS = 500, OPEN_ATTEMPTS = 3 };

#define LEASE_MS_MAX "1000"
#define NOW_MS "(extract(epoch from clock_timestamp()) * 1000)::bigint"

static void node_name(char *name, size_t size)
{
    char host[65] = "";
    (void)gethostname(host, sizeof host - 1);
    snprintf(name, size, "%s:%ld", host, (long)getpid());
}

enum pg_failure pg_lane_open(struct pg_store *store)
{
    static const char sql[] = "INSERT INTO lane (lane_id, node, batch, next_seq, lease_end,"
                              " seen_at_ms) VALUES ($1, $2, 0, 1, 1, " NOW_MS ")";
    struct pg_params *params = &store->own_params;
    uint64_t id;
    char node[96];
    rng_fill(&id, sizeof id);
    node_name(node, sizeof node);
    pg_params_reset(params, 2);
    pg_set_i64(params, 0, (int64_t)(id >> 1));
    pg_set_text(params, 1, span_of(node));
    enum pg_failure failure = pg_run(&store->connection, sql, params, NULL);
    if (failure) return failure;
    store->lane = (struct pg_lane){
        .id = (int64_t)(id >> 1),
        .next_seq = 1,
        .lease_end = 1,
        .generation = store->connection.generation,
    };
    return PG_FINE;
}

void pg_lane_close(struct pg_store *store)
{
    if (!store->lane.id || !store->connection.conn) return;
    pg_params_reset(&store->own_params, 1);
    pg_set_i64(&store->own_params, 0, store->lane.id);
    (void)pg_run(&store->connection, "DELETE FROM lane WHERE lane_id = $1", &store->own_params,
                 NULL);
    store->lane = (struct pg_lane){.id = 0};
}

static void take_row(struct pg_store *store, const PGresult *row)
{
    store->lane.batch = pg_get_i64(row, 0, 0);
    store->lane.next_seq = (uint64_t)pg_get_i64(row, 0, 1);
    store->lane.lease_end = (uint64_t)pg_get_i64(row, 0, 2);
    store->lane.generation = store->connection.generation;
    store->lane.is_unsure = false;
}

/* Waits for a transaction of this lane that still lives, and makes any that comes later fail: one
 * may still be on its way from a connection that was given up. Steps of 2, so that the last bit
 * says whether the batch after lane.batch stands, however often this is done. */
static enum pg_failure read_again(struct pg_store *store, bool *stands)
{
    static const char sql[] = "UPDATE lane SET batch = batch + 2 WHERE lane_id = $1"
                              " RETURNING batch, next_seq, lease_end";
    PGresult *row;
    pg_params_reset(&store->own_params, 1);
    pg_set_i64(&store->own_params, 0, store->lane.id);
    enum pg_failure failure = pg_run(&store->connection, sql, &store->own_params, &row);
    if (failure) return failure;
    if (pg_rows(row) == 1) {
        *stands = (pg_get_i64(row, 0, 0) - store->lane.batch) & 1;
        take_row(store, row);
    } else {
        failure = PG_REFUSED; /* a lane that was away for so long that it was removed */
    }
    PQclear(row);
    if (failure && !pg_lane_open(store)) store->lane.is_unsure = false;
    return failure;
}

enum pg_failure pg_lane_resolve(struct pg_store *store, bool *stands)
{
    *stands = false;
    return read_again(store, stands);
}

/* One row is changed, or the lane is not what it is taken for. */
static enum pg_failure lease(struct pg_store *store, uint32_t count, bool *is_taken)
{
    struct pg_connection *connection = &store->connection;
    struct pg_params *params = &store->own_params;
    int64_t now_ms = clock_mono_ms();
    pg_send(connection, "BEGIN", NULL);
    pg_params_reset(params, 1);
    pg_set_i64(params, 0, count > LEASE_SIZE ? count : LEASE_SIZE);
    pg_send(connection, "UPDATE counter SET next_seq = next_seq + $1::bigint WHERE id = 1", params);
    pg_params_reset(params, 3);
    pg_set_i64(params, 0, count > LEASE_SIZE ? count : LEASE_SIZE);
    pg_set_i64(params, 1, store->lane.id);
    pg_set_i64(params, 2, store->lane.batch);
    pg_send(connection,
            "UPDATE lane SET next_seq = (SELECT next_seq FROM counter WHERE id = 1) - $1::bigint,"
            " lease_end = (SELECT next_seq FROM counter WHERE id = 1), seen_at_ms = " NOW_MS
            " WHERE lane_id = $2 AND batch = $3 RETURNING batch, next_seq, lease_end",
            params);
    pg_send(connection, "COMMIT", NULL);
    pg_flush(connection);
    pg_skip(connection);
    pg_skip(connection);
    PGresult *row = pg_result(connection);
    enum pg_failure failure = pg_finish(connection);
    *is_taken = !failure && pg_rows(row) == 1;
    if (*is_taken) {
        take_row(store, row);
        store->lane.leased_at_ms = now_ms;
    }
    PQclear(row);
    store->lane.is_unsure = !*is_taken;
    return failure;
}

static bool is_enough(const struct pg_lane *lane, uint32_t count)
{
    return lane->lease_end - lane->next_seq >= count &&
           clock_mono_ms() - lane->leased_at_ms < LEASE_MS;
}

enum pg_failure pg_lane_reserve(struct pg_store *store, uint32_t count)
{
    for (int i = 0; i < OPEN_ATTEMPTS; i++) {
        bool is_taken, stands;
        enum pg_failure failure = PG_FINE;
        bool is_known =
            !store->lane.is_unsure && store->lane.generation == store->connection.generation;
        if (!store->connection.conn) return PG_UNREACHABLE;
        if (!store->lane.id)
            failure = pg_lane_open(store);
        else if (!is_known)
            failure = read_again(store, &stands);
        if (failure == PG_REFUSED && !store->lane.is_unsure) continue; /* another lane by now */
        if (failure) return failure;
        if (is_enough(&store->lane, count)) return PG_FINE;
        failure = lease(store, count, &is_taken);
        if (failure || is_taken) return failure;
    }
    return PG_AGAIN;
}

void pg_lane_send_advance(struct pg_store *store, uint32_t used)
{
    static const char sql[] =
        "WITH moved AS (UPDATE lane SET batch = batch + 1, next_seq = next_seq + $1::bigint"
        " WHERE lane_id = $2 AND batch = $3 AND next_seq = $4 AND lease_end = $5 RETURNING 1)"
        " SELECT 1 / count(*) FROM moved";
    struct pg_params *params = &store->own_params;
    pg_params_reset(params, 5);
    pg_set_i64(params, 0, used);
    pg_set_i64(params, 1, store->lane.id);
    pg_set_i64(params, 2, store->lane.batch);
    pg_set_i64(params, 3, (int64_t)store->lane.next_seq);
    pg_set_i64(params, 4, (int64_t)store->lane.lease_end);
    pg_send(&store->connection, sql, params);
    store->lane.is_unsure = true;
}

void pg_lane_advanced(struct pg_store *store, uint32_t used)
{
    store->lane.batch++;
    store->lane.next_seq += used;
    store->lane.is_unsure = false;
}

/* One statement, so that all of it is as of one moment: what is below has been visible since, as a
 * lease and what was recorded with it are committed together. */
static enum pg_failure read_watermark(struct pg_connection *connection, uint64_t *below,
                                      bool *are_some_old)
{
    static const char sql[] =
        "SELECT coalesce((SELECT min(next_seq) FROM lane WHERE next_seq < lease_end),"
        " (SELECT next_seq FROM counter WHERE id = 1)),"
        " (SELECT count(*) FROM lane WHERE next_seq < lease_end"
        " AND seen_at_ms < " NOW_MS " - " LEASE_MS_MAX ")";
    PGresult *row;
    enum pg_failure failure = pg_run(connection, sql, NULL, &row);
    if (failure) return failure;
    *below = (uint64_t)pg_get_i64(row, 0, 0);
    *are_some_old = pg_get_i64(row, 0, 1) > 0;
    PQclear(row);
    return PG_FINE;
}

/* A lane that is recording just now is waited for. */
static enum pg_failure close_old_leases(struct pg_connection *connection)
{
    static const char sql[] = "UPDATE lane SET lease_end = next_seq WHERE next_seq < lease_end"
                              " AND seen_at_ms < " NOW_MS " - " LEASE_MS_MAX;
    return pg_run(connection, sql, NULL, NULL);
}

enum pg_failure pg_watermark(struct pg_connection *connection, uint64_t *below)
{
    bool are_some_old;
    enum pg_failure failure = read_watermark(connection, below, &are_some_old);
    if (failure || !are_some_old) return failure;
    failure = close_old_leases(connection);
    if (failure == PG_AGAIN) return PG_FINE; /* one is in use: the watermark waits for it */
    return failure ? failure : read_watermark(connection, below, &are_some_old);
}

/* What a heartbeat says is that the lane's answers are still of interest to somebody. */
enum pg_failure pg_lane_keep(struct pg_store *store)
{
    static const char keep[] = "UPDATE lane SET seen_at_ms = " NOW_MS " WHERE lane_id = $1"
                               " AND next_seq = lease_end";
    static const char forget[] = "DELETE FROM lane WHERE next_seq = lease_end AND"
                                 " seen_at_ms < " NOW_MS " - 604800000";
    pg_params_reset(&store->own_params, 1);
    pg_set_i64(&store->own_params, 0, store->lane.id);
    pg_send(&store->connection, keep, &store->own_params);
    pg_send(&store->connection, forget, NULL);
    pg_flush(&store->connection);
    return pg_finish(&store->connection);
}
