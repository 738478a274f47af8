#include "base/clock.h"
#include "store/sqlite/sqlite.h"

#include <stdio.h>
#include <string.h>

/* The indexes from the rows, once, at start. Only what is young enough to matter is read: the
 * stored age marks tell where to begin. */

static const char *const tables[] = {"click",    "conversion",  "server_event", "impression",
                                     "feedback", "ad_feedback", "vote"};
enum { TABLES_COUNT = sizeof tables / sizeof tables[0] };

enum err rebuild_next_sequence(struct sqlite_store *store, uint64_t *next)
{
    enum err err = ERR_OK;
    *next = 1;
    for (int i = 0; i < TABLES_COUNT && !err; i++) {
        char sql[64];
        int64_t last;
        snprintf(sql, sizeof sql, "SELECT coalesce(max(seq), 0) FROM %s", tables[i]);
        err = db_query_i64(store->db, sql, &last);
        if (!err && (uint64_t)last >= *next) *next = (uint64_t)last + 1;
    }
    return err;
}

static enum err load_ages(struct sqlite_store *store)
{
    sqlite3_stmt *row = NULL;
    int code = SQLITE_DONE;
    enum err err = db_prepare(store->db, &row, "SELECT time_ms, seq FROM age_mark ORDER BY seq");
    while (!err && (code = sqlite3_step(row)) == SQLITE_ROW)
        ages_note(&store->ages, sqlite3_column_int64(row, 0),
                  (uint64_t)sqlite3_column_int64(row, 1));
    if (!err && code != SQLITE_DONE) err = db_last_err(store->db);
    sqlite3_finalize(row);
    return err;
}

static uint64_t row_sequence(sqlite3_stmt *row)
{
    return (uint64_t)sqlite3_column_int64(row, 0);
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

static enum err add(struct index *index, struct index_key key, uint64_t sequence)
{
    return index_add(index, &key, INDEX_VALUE(sequence, 0)) ? ERR_OK : ERR_NO_MEMORY;
}

static enum err count_of_bid(struct sqlite_store *store, struct index *index,
                             enum sqlite_statement statement, struct span bid_id, uint64_t sequence)
{
    uint8_t count;
    uint64_t value;
    enum err err = dedup_count_of_bid(store, index, statement, bid_id, &count, &value);
    if (err) return err;
    struct index_key key = bid_key(store, bid_id);
    uint64_t new_value = INDEX_VALUE(sequence, count + 1);
    bool done =
        value ? index_replace(index, &key, value, new_value) : index_add(index, &key, new_value);
    return done ? ERR_OK : ERR_NO_MEMORY;
}

static enum err on_click_row(struct sqlite_store *store, sqlite3_stmt *row, void *arg)
{
    struct uuid id;
    uint64_t sequence = row_sequence(row);
    struct span bid_id = db_column_text(row, 2);
    if (!uuid_read(&id, db_column_text(row, 1))) return ERR_CORRUPT;
    uint8_t tag = (uint8_t)((bid_id.ptr ? CLICK_HAS_BID : 0) |
                            (sqlite3_column_int(row, 3) ? CLICK_HAS_ADVERTISER : 0));
    struct index_key key = click_key(&id);
    if (!index_add(&store->clicks, &key, INDEX_VALUE(sequence, tag))) return ERR_NO_MEMORY;
    if (!bid_id.ptr) return ERR_OK;
    return count_of_bid(store, &store->clicks_of_bids, SQL_CLICK_BY_SEQ, bid_id, sequence);
}

static enum err on_server_event_row(struct sqlite_store *store, sqlite3_stmt *row, void *arg)
{
    struct server_event event = {
        .sender.partner_id = db_column_text(row, 1),
        .tag_id = db_column_text(row, 2),
        .event_id = db_column_text(row, 3),
    };
    return add(&store->collect_keys, collect_key(store, &event), row_sequence(row));
}

static enum err on_impression_row(struct sqlite_store *store, sqlite3_stmt *row, void *arg)
{
    return add(&store->impressions, bid_key(store, db_column_text(row, 1)), row_sequence(row));
}

static enum err on_feedback_row(struct sqlite_store *store, sqlite3_stmt *row, void *arg)
{
    return add(&store->feedbacks, bid_key(store, db_column_text(row, 1)), row_sequence(row));
}

/* Rows come in the order of recording: the last one of a session and bid is the latest. */
static enum err remember_latest(struct sqlite_store *store, const struct ad_feedback *feedback,
                                uint64_t sequence)
{
    uint64_t latest;
    enum err err = dedup_find_latest(store, feedback, &latest);
    if (err) return err;
    struct index_key key = session_bid_key(store, feedback);
    if (!latest) return add(&store->ad_feedbacks, key, sequence);
    index_replace(&store->ad_feedbacks, &key, latest, INDEX_VALUE(sequence, 0));
    return ERR_OK;
}

static enum err on_ad_feedback_row(struct sqlite_store *store, sqlite3_stmt *row, void *arg)
{
    const int64_t *now_ms = arg;
    uint64_t sequence = row_sequence(row);
    int64_t recorded_at_ms = sqlite3_column_int64(row, 1);
    struct ad_feedback feedback = {
        .ad = {.publisher_id = db_column_text(row, 2), .bid_id = db_column_text(row, 4)},
        .sent_session_id = db_column_text(row, 3),
    };
    enum err err = remember_latest(store, &feedback, sequence);
    if (!err)
        err = count_of_bid(store, &store->ad_feedbacks_of_bids, SQL_AD_FEEDBACK_BID_BY_SEQ,
                           feedback.ad.bid_id, sequence);
    /* Rows of the future are of a clock that was wrong then: they say nothing of this minute. */
    if (err || recorded_at_ms <= *now_ms - WINDOW_MS || recorded_at_ms > *now_ms) return err;
    if (recorded_at_ms > store->sessions_now_ms) store->sessions_now_ms = recorded_at_ms;
    uint64_t session = session_key(store, &feedback).word[0];
    return window_note(store->sessions, session, store->sessions_now_ms) ? ERR_OK : ERR_NO_MEMORY;
}

static enum err on_vote_row(struct sqlite_store *store, sqlite3_stmt *row, void *arg)
{
    if (!polls_count_vote(store, sqlite3_column_int64(row, 1), db_column_text(row, 2)))
        return ERR_CORRUPT;
    return add(&store->votes, bid_key(store, db_column_text(row, 3)), row_sequence(row));
}

/* What is read, from which age on, and into what. */
struct source {
    const char *sql;
    uint64_t floor;
    on_row_fn *on_row;
};

static enum err scan_sources(struct sqlite_store *store, int64_t now_ms)
{
    const struct store_options *options = &store->options;
    int64_t oldest_ms = now_ms - FLOOR_MARGIN_MS;
    uint64_t clicks = ages_floor(&store->ages, oldest_ms - options->click_ttl_ms);
    uint64_t events = ages_floor(&store->ages, oldest_ms - options->collect_dedup_window_ms);
    uint64_t impressions = ages_floor(&store->ages, oldest_ms - options->impression_ttl_ms);
    const struct source sources[] = {
        /* Also those that are too old to earn conversions: they count for their bid. */
        {"SELECT seq, click_id, bid_id, advertiser_id IS NOT NULL FROM click WHERE seq >= ?"
         " ORDER BY seq",
         clicks < impressions ? clicks : impressions, on_click_row},
        {"SELECT seq, partner_id, tag_id, event_id FROM server_event"
         " WHERE seq >= ? AND event_id IS NOT NULL ORDER BY seq",
         events, on_server_event_row},
        {"SELECT seq, bid_id FROM impression WHERE seq >= ? ORDER BY seq", impressions,
         on_impression_row},
        {"SELECT seq, bid_id FROM feedback WHERE seq >= ? ORDER BY seq", impressions,
         on_feedback_row},
        {"SELECT seq, recorded_at_ms, publisher_id, sent_session_id, bid_id FROM ad_feedback"
         " WHERE seq >= ? ORDER BY seq",
         impressions, on_ad_feedback_row},
        {"SELECT seq, poll_id, option_id, bid_id FROM vote WHERE seq >= ? ORDER BY seq", 0,
         on_vote_row},
    };
    enum err err = rebuild_conversion_keys(store, clicks);
    for (size_t i = 0; i < sizeof sources / sizeof sources[0] && !err; i++)
        err = scan(store, sources[i].sql, sources[i].floor, sources[i].on_row, &now_ms);
    return err;
}

enum err rebuild_indexes(struct sqlite_store *store, int64_t now_ms)
{
    int64_t started_ms = clock_mono_ms();
    enum err err = rebuild_next_sequence(store, &store->sequence_next);
    if (!err) err = load_ages(store);
    if (!err) err = polls_load(store);
    if (!err) err = scan_sources(store, now_ms);
    store->rebuild_ms = clock_mono_ms() - started_ms;
    return err;
}
