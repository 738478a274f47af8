#include "store/postgres/pg.h"
#include "store/postgres/result.h"

#include <string.h>

/* Keys that are needed no longer go in small deletes: a walk along the first column of each table's
 * primary key, so that no index of times is needed. Each lane walks for itself; two that meet do no
 * harm. What a bid did stays: it is short, and a token's life is not known here. */

static const int64_t PAUSE_MS = 10 * 1000;
static const int64_t MARGIN_MS = 60 * 60 * 1000;

/* $1: where the walk is, $2: where the step ends, NULL: with the table, $3: as old and gone. */
static const struct sweep_table {
    const char *find_end, *delete_some;
} tables[] = {
    {"SELECT click_id FROM click_key WHERE click_id > $1 ORDER BY click_id LIMIT 1 OFFSET 1000",
     "DELETE FROM click_key WHERE click_id >= $1 AND ($2::text IS NULL OR click_id <= $2)"
     " AND expires_at_ms < $3"},
    {"SELECT click_id FROM conversion_key WHERE click_id > $1 ORDER BY click_id LIMIT 1"
     " OFFSET 1000",
     "DELETE FROM conversion_key WHERE click_id >= $1 AND ($2::text IS NULL OR click_id <= $2)"
     " AND expires_at_ms < $3"},
    {"SELECT tag_id FROM event_key WHERE tag_id > $1 ORDER BY tag_id LIMIT 1",
     "DELETE FROM event_key WHERE tag_id = $2 AND recorded_at_ms < $3 AND $1::text IS NOT NULL"
     " AND event_id IN (SELECT event_id FROM event_key WHERE tag_id = $2 AND recorded_at_ms < $3"
     " LIMIT 1000)"},
    {"SELECT publisher_id FROM session_key WHERE publisher_id > $1 ORDER BY publisher_id LIMIT 1",
     "DELETE FROM session_key WHERE publisher_id = $2 AND recorded_at_ms < $3"
     " AND $1::text IS NOT NULL AND session_id IN (SELECT session_id FROM session_key"
     " WHERE publisher_id = $2 AND recorded_at_ms < $3 LIMIT 1000)"},
};

enum { TABLES = sizeof tables / sizeof tables[0], SWEEP_EVENTS = 2 };

/* The whole seconds of margin are for clocks: none of this must ever go too early. */
static int64_t gone_before_ms(const struct pg_store *store, int table, int64_t now_ms)
{
    int64_t window_ms = table == SWEEP_EVENTS ? store->options.collect_dedup_window_ms : 0;
    return now_ms - window_ms - MARGIN_MS;
}

static enum pg_failure find_end(struct pg_store *store, const struct sweep_table *table,
                                PGresult **end)
{
    pg_params_reset(&store->own_params, 1);
    pg_set_text(&store->own_params, 0, span_of(store->sweep.after));
    return pg_run(&store->connection, table->find_end, &store->own_params, end);
}

static enum pg_failure delete_some(struct pg_store *store, const struct sweep_table *table,
                                   struct span end, int64_t before_ms)
{
    pg_params_reset(&store->own_params, 3);
    pg_set_text(&store->own_params, 0, span_of(store->sweep.after));
    pg_set_text(&store->own_params, 1, end);
    pg_set_i64(&store->own_params, 2, before_ms);
    return pg_run(&store->connection, table->delete_some, &store->own_params, NULL);
}

static void move_on(struct pg_sweep *sweep, struct span end)
{
    if (end.ptr && end.len < sizeof sweep->after) {
        memcpy(sweep->after, end.ptr, end.len);
        sweep->after[end.len] = '\0';
        return;
    }
    sweep->after[0] = '\0';
    sweep->table = (sweep->table + 1) % TABLES;
}

void pg_sweep(struct pg_store *store, int64_t now_ms)
{
    const struct sweep_table *table = &tables[store->sweep.table];
    PGresult *row;
    if (now_ms < store->sweep_at_ms || !store->database_ms) return;
    store->sweep_at_ms = now_ms + PAUSE_MS;
    if (find_end(store, table, &row)) return;
    struct span end = pg_rows(row) ? pg_get_text(row, 0, 0) : SPAN_NONE;
    int64_t before_ms = gone_before_ms(store, store->sweep.table, store->database_ms);
    if (!delete_some(store, table, end, before_ms)) move_on(&store->sweep, end);
    PQclear(row);
}
