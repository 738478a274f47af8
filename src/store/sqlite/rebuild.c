#include "base/clock.h"
#include "store/sqlite/sqlite.h"

#include <stdio.h>
#include <string.h>

/* The indexes from the rows, once, at start. Only what is young enough to matter is read: sequences
 * grow with time, so a search by halves finds where to begin. */

static const char *const tables[] = {"click", "conversion", "server_event"};
enum { TABLES_COUNT = sizeof tables / sizeof tables[0] };

struct table_ages {
    sqlite3_stmt *from;  /* the first row from a sequence on: seq, recorded_at_ms */
    int64_t first, last; /* sequences; last < first: empty */
};

static enum err open_table_ages(struct sqlite_store *store, const char *table,
                                struct table_ages *ages)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT coalesce(min(seq), 1) FROM %s", table);
    enum err err = db_query_i64(store->db, sql, &ages->first);
    snprintf(sql, sizeof sql, "SELECT coalesce(max(seq), 0) FROM %s", table);
    if (!err) err = db_query_i64(store->db, sql, &ages->last);
    snprintf(sql, sizeof sql,
             "SELECT seq, recorded_at_ms FROM %s WHERE seq >= ? ORDER BY seq LIMIT 1", table);
    if (!err) err = db_prepare(store->db, &ages->from, sql);
    return err;
}

static bool row_from(struct table_ages *ages, int64_t from, int64_t *sequence, int64_t *time_ms)
{
    sqlite3_bind_int64(ages->from, 1, from);
    bool found = sqlite3_step(ages->from) == SQLITE_ROW;
    if (found) {
        *sequence = sqlite3_column_int64(ages->from, 0);
        *time_ms = sqlite3_column_int64(ages->from, 1);
    }
    sqlite3_reset(ages->from);
    return found;
}

/* The first sequence in the table recorded after `time_ms`, or one past its last. */
static uint64_t first_after(struct table_ages *ages, int64_t time_ms)
{
    int64_t low = ages->first, high = ages->last + 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2, sequence, row_ms;
        if (!row_from(ages, middle, &sequence, &row_ms) || row_ms > time_ms)
            high = middle;
        else
            low = sequence + 1;
    }
    return (uint64_t)low;
}

/* What ages_note would have gathered, had the process run all along. */
static enum err rebuild_ages(struct sqlite_store *store, int64_t now_ms)
{
    struct table_ages ages[TABLES_COUNT] = {{0}};
    enum err err = ERR_OK;
    for (int i = 0; i < TABLES_COUNT && !err; i++)
        err = open_table_ages(store, tables[i], &ages[i]);
    store->sequence_next = 1;
    for (int i = 0; i < TABLES_COUNT && !err; i++)
        if ((uint64_t)ages[i].last >= store->sequence_next)
            store->sequence_next = (uint64_t)ages[i].last + 1;
    for (int mark = AGES_MARKS_MAX - 2; mark >= 0 && !err; mark--) {
        int64_t time_ms = now_ms - FLOOR_MARGIN_MS - mark * store->ages.interval_ms;
        uint64_t sequence = store->sequence_next;
        for (int i = 0; i < TABLES_COUNT; i++) {
            uint64_t first =
                ages[i].last >= ages[i].first ? first_after(&ages[i], time_ms) : sequence;
            if (first < sequence && first <= (uint64_t)ages[i].last) sequence = first;
        }
        ages_note(&store->ages, time_ms, sequence);
    }
    for (int i = 0; i < TABLES_COUNT; i++)
        sqlite3_finalize(ages[i].from);
    return err;
}

/* Steps through a query from the floor on, a row at a time. */
typedef enum err on_row_fn(struct sqlite_store *store, sqlite3_stmt *row, void *arg);

static enum err scan(struct sqlite_store *store, const char *sql, uint64_t floor, on_row_fn *on_row,
                     void *arg)
{
    sqlite3_stmt *row = NULL;
    enum err err = db_prepare(store->db, &row, sql);
    if (err) return err;
    sqlite3_bind_int64(row, 1, (int64_t)floor);
    int code;
    while (!err && (code = sqlite3_step(row)) == SQLITE_ROW) {
        err = on_row(store, row, arg);
        store->rebuilt_count++;
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(store->db);
    sqlite3_finalize(row);
    return err;
}

static enum err count_click_of_bid(struct sqlite_store *store, struct span bid_id,
                                   uint64_t sequence)
{
    uint8_t count;
    uint64_t value;
    enum err err = dedup_count_clicks(store, bid_id, &count, &value);
    if (err) return err;
    struct index_key key = bid_key(store, bid_id);
    uint64_t new_value = INDEX_VALUE(sequence, count + 1);
    bool done = value ? index_replace(&store->clicks_of_bids, &key, value, new_value)
                      : index_add(&store->clicks_of_bids, &key, new_value);
    return done ? ERR_OK : ERR_NO_MEMORY;
}

static enum err on_click_row(struct sqlite_store *store, sqlite3_stmt *row, void *arg)
{
    struct uuid id;
    uint64_t sequence = (uint64_t)sqlite3_column_int64(row, 0);
    struct span bid_id = db_column_text(row, 2);
    if (!uuid_read(&id, db_column_text(row, 1))) return ERR_CORRUPT;
    uint8_t tag = (uint8_t)((bid_id.ptr ? CLICK_HAS_BID : 0) |
                            (sqlite3_column_int(row, 3) ? CLICK_HAS_ADVERTISER : 0));
    struct index_key key = click_key(&id);
    if (!index_add(&store->clicks, &key, INDEX_VALUE(sequence, tag))) return ERR_NO_MEMORY;
    return bid_id.ptr ? count_click_of_bid(store, bid_id, sequence) : ERR_OK;
}

static enum err on_server_event_row(struct sqlite_store *store, sqlite3_stmt *row, void *arg)
{
    struct server_event event = {
        .sender.partner_id = db_column_text(row, 1),
        .tag_id = db_column_text(row, 2),
        .event_id = db_column_text(row, 3),
    };
    struct index_key key = collect_key(store, &event);
    uint64_t value = INDEX_VALUE(sqlite3_column_int64(row, 0), 0);
    return index_add(&store->collect_keys, &key, value) ? ERR_OK : ERR_NO_MEMORY;
}

enum err rebuild_indexes(struct sqlite_store *store, int64_t now_ms)
{
    const struct store_options *options = &store->options;
    int64_t started_ms = clock_mono_ms();
    enum err err = rebuild_ages(store, now_ms);
    int64_t oldest_ms = now_ms - FLOOR_MARGIN_MS;
    uint64_t clicks = ages_floor(&store->ages, oldest_ms - options->click_ttl_ms);
    uint64_t events = ages_floor(&store->ages, oldest_ms - options->collect_dedup_window_ms);
    if (!err)
        err = scan(store,
                   "SELECT seq, click_id, bid_id, advertiser_id IS NOT NULL FROM click"
                   " WHERE seq >= ? ORDER BY seq",
                   clicks, on_click_row, NULL);
    if (!err) err = rebuild_conversion_keys(store, clicks);
    if (!err)
        err = scan(store,
                   "SELECT seq, partner_id, tag_id, event_id FROM server_event"
                   " WHERE seq >= ? AND event_id IS NOT NULL ORDER BY seq",
                   events, on_server_event_row, NULL);
    store->rebuild_ms = clock_mono_ms() - started_ms;
    return err;
}
