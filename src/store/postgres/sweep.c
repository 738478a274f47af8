#include "base/clock.h"
#include "store/postgres/pg.h"
#include "store/postgres/result.h"

/* Keys that are needed no longer go in small deletes: a walk along each table's primary key, some
 * rows further each time, so that no index of times is needed and a step costs the same however
 * many rows a tag, a click or a bid has. Each lane walks for itself; two that meet do no harm. */

#define STEP_ROWS "1000"
enum {
    LAP_PAUSE_MS = 10 * 1000, /* after the end of a table, so that small ones cost little */
    STEP_PAUSE_MS_MIN = 100,
    PAUSE_SHARE = 50, /* so many times as long as a step took: large tables get 2 % of a lane */
};

/* For clocks that differ, and tokens that end a little late: nothing may ever go too early. */
static const int64_t MARGIN_MS = 60 * 60 * 1000;

enum { KEYS_MAX = 5 };

/* Which keys end when: at a time of their own, or so long after they were recorded. */
enum life { OWN_LIFE, COLLECT_WINDOW, IMPRESSION_LIFE };

/* The first parameters are the key that the walk is behind, then comes the time, then the end. */
static const struct sweep_table {
    enum life life;
    int keys;                    /* columns */
    const char *begin[KEYS_MAX]; /* comes before all keys */
    const char *find_end, *delete_to_end, *delete_rest;
} tables[] = {
#define WALK(TABLE, KEY, AFTER, OLD, END)                                                          \
    "SELECT " KEY " FROM " TABLE " WHERE (" KEY ") > (" AFTER ") ORDER BY " KEY                    \
    " LIMIT 1 OFFSET " STEP_ROWS " - 1",                                                           \
        "DELETE FROM " TABLE " WHERE (" KEY ") > (" AFTER ") AND " OLD " AND (" KEY ") <= (" END   \
        ")",                                                                                       \
        "DELETE FROM " TABLE " WHERE (" KEY ") > (" AFTER ") AND " OLD
    {OWN_LIFE, 1, {""}, WALK("click_key", "click_id", "$1", "expires_at_ms < $2", "$3")},
    {OWN_LIFE,
     5,
     {"", "", "", "-1", ""},
     WALK("conversion_key", "click_id, partner_id, event_type, layer, key", "$1, $2, $3, $4, $5",
          "expires_at_ms < $6", "$7, $8, $9, $10, $11")},
    {COLLECT_WINDOW,
     3,
     {"", "", ""},
     WALK("event_key", "tag_id, partner_id, event_id", "$1, $2, $3", "recorded_at_ms < $4",
          "$5, $6, $7")},
    {OWN_LIFE,
     3,
     {"", "", "-1"},
     WALK("session_key", "publisher_id, session_id, slot", "$1, $2, $3", "recorded_at_ms < $4",
          "$5, $6, $7")},
    /* Votes are for the poll's life. What else a bid did is asked for while its impression lives,
     * and feedback is younger than that. */
    {IMPRESSION_LIFE,
     3,
     {"", "-1", "-1"},
     WALK("bid_key", "bid_id, kind, slot", "$1, $2, $3", "kind < 6 AND recorded_at_ms < $4",
          "$5, $6, $7")},
#undef WALK
};
_Static_assert(OP_VOTE == 6, "what is left of bid_key");

enum { TABLES = sizeof tables / sizeof tables[0] };

static int64_t gone_before_ms(const struct pg_store *store, enum life life)
{
    const int64_t lives_ms[] = {
        [COLLECT_WINDOW] = store->options.collect_dedup_window_ms,
        [IMPRESSION_LIFE] = store->options.impression_ttl_ms,
        [OWN_LIFE] = 0,
    };
    return store->database_ms - lives_ms[life] - MARGIN_MS;
}

static void set_after(struct pg_store *store, const struct sweep_table *table)
{
    const PGresult *after = store->sweep.after;
    for (int i = 0; i < table->keys; i++)
        pg_set_text(&store->own_params, i,
                    after ? pg_get_text(after, 0, i) : span_of(table->begin[i]));
}

static enum pg_failure find_end(struct pg_store *store, const struct sweep_table *table,
                                PGresult **end)
{
    pg_params_reset(&store->own_params, table->keys);
    set_after(store, table);
    return pg_run(&store->connection, table->find_end, &store->own_params, end);
}

static enum pg_failure delete_old(struct pg_store *store, const struct sweep_table *table,
                                  const PGresult *end)
{
    bool has_end = pg_rows(end) > 0;
    int keys = table->keys;
    pg_params_reset(&store->own_params, has_end ? 2 * keys + 1 : keys + 1);
    set_after(store, table);
    pg_set_i64(&store->own_params, keys, gone_before_ms(store, table->life));
    for (int i = 0; i < keys && has_end; i++)
        pg_set_text(&store->own_params, keys + 1 + i, pg_get_text(end, 0, i));
    return pg_run(&store->connection, has_end ? table->delete_to_end : table->delete_rest,
                  &store->own_params, NULL);
}

/* `end` is the walk's from here on. */
static void move_on(struct pg_sweep *sweep, PGresult *end)
{
    bool has_end = pg_rows(end) > 0;
    PQclear(sweep->after);
    sweep->after = has_end ? end : NULL;
    if (has_end) return;
    PQclear(end);
    sweep->table = (sweep->table + 1) % TABLES;
}

/* False: it failed, or the table is at its end. */
static bool step(struct pg_store *store)
{
    const struct sweep_table *table = &tables[store->sweep.table];
    PGresult *end;
    if (find_end(store, table, &end)) return false;
    if (delete_old(store, table, end)) {
        PQclear(end);
        return false;
    }
    move_on(&store->sweep, end);
    return store->sweep.after != NULL;
}

void pg_sweep(struct pg_store *store, int64_t now_ms)
{
    if (now_ms < store->sweep_at_ms || !store->database_ms) return;
    int64_t began_us = clock_mono_us();
    int64_t pause_ms = LAP_PAUSE_MS;
    if (step(store)) pause_ms = (clock_mono_us() - began_us) * PAUSE_SHARE / 1000;
    store->sweep_at_ms = now_ms + (pause_ms > STEP_PAUSE_MS_MIN ? pause_ms : STEP_PAUSE_MS_MIN);
}

void pg_sweep_fini(struct pg_store *store)
{
    PQclear(store->sweep.after);
    store->sweep.after = NULL;
}
