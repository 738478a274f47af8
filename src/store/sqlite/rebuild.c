#include "base/clock.h"
#include "store/sqlite/sqlite.h"

#include <stdio.h>
#include <string.h>

/* The indexes from the rows, once, at start. Only what is young enough to matter is read: the
 * stored age marks tell where to begin. */

static enum err load_ages(struct sqlite_store *store)
{
    sqlite3_stmt *row = NULL;
    int code = SQLITE_DONE;
    enum err err = db_prepare(store->db, &row, "SELECT * FROM age_mark ORDER BY seq");
    while (!err && (code = sqlite3_step(row)) == SQLITE_ROW) {
        int64_t sequence = sqlite3_column_int64(row, 0);
        struct age_mark mark = {sqlite3_column_int64(row, 1), (uint64_t)sequence, {{0}}};
        totals_column(&mark.totals, row, 2, TOTAL_EVENTS_COUNT);
        if (db_is_whole(row, 0, SPAN("age_mark")))
            ages_load(&store->ages, &mark);
        else
            err = report_corrupt_row(SPAN("age_mark"), sequence);
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(store->db);
    sqlite3_finalize(row);
    return err;
}

static uint64_t row_sequence(sqlite3_stmt *row)
{
    return (uint64_t)sqlite3_column_int64(row, 0);
}

typedef enum err on_row_fn(struct sqlite_store *store, sqlite3_stmt *row);

/* What is read, from which sequence on, and into what. */
struct source {
    struct span table;
    const char *sql; /* seq first, and from column `first` on the whole row */
    int first;
    enum total total;
    const struct age_mark *mark;
    on_row_fn *on_row;
};

/* Steps through a source, a row at a time. Rows must come in order and be as many as were recorded:
 * a damaged page can hide some or show some twice. */
static enum err scan(struct sqlite_store *store, const struct source *source)
{
    sqlite3_stmt *row = NULL;
    enum err err = db_prepare(store->db, &row, source->sql);
    if (err) return err;
    sqlite3_bind_int64(row, 1, (int64_t)source->mark->sequence);
    int64_t count = source->mark->totals.rows[source->total], last = 0;
    int code;
    for (; !err && (code = sqlite3_step(row)) == SQLITE_ROW; count++) {
        bool is_whole =
            sqlite3_column_int64(row, 0) > last && db_is_whole(row, source->first, source->table);
        last = sqlite3_column_int64(row, 0);
        err = is_whole ? source->on_row(store, row)
                       : report_corrupt_row(source->table, sqlite3_column_int64(row, 0));
        store->rebuilt_count++;
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(store->db);
    sqlite3_finalize(row);
    return err ? err : totals_expect(store, source->total, count);
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

static enum err on_click_row(struct sqlite_store *store, sqlite3_stmt *row)
{
    struct uuid id;
    uint64_t sequence = row_sequence(row);
    struct span bid_id = db_column_text(row, 2);
    if (!uuid_read(&id, db_column_text(row, 1)))
        return report_corrupt_row(SPAN("click"), (int64_t)sequence);
    uint8_t tag = (uint8_t)((bid_id.ptr ? CLICK_HAS_BID : 0) |
                            (sqlite3_column_int(row, 3) ? CLICK_HAS_ADVERTISER : 0));
    struct index_key key = click_key(&id);
    if (!index_add(&store->clicks, &key, INDEX_VALUE(sequence, tag))) return ERR_NO_MEMORY;
    if (!bid_id.ptr) return ERR_OK;
    return count_of_bid(store, &store->clicks_of_bids, SQL_CLICK_BID, bid_id, sequence);
}

static enum err on_server_event_row(struct sqlite_store *store, sqlite3_stmt *row)
{
    struct server_event event = {
        .sender.partner_id = db_column_text(row, 1),
        .tag_id = db_column_text(row, 2),
        .event_id = db_column_text(row, 3),
    };
    if (!event.event_id.ptr) return ERR_OK;
    return add(&store->collect_keys, collect_key(store, &event), row_sequence(row));
}

static enum err on_impression_row(struct sqlite_store *store, sqlite3_stmt *row)
{
    return add(&store->impressions, bid_key(store, db_column_text(row, 1)), row_sequence(row));
}

static enum err on_feedback_row(struct sqlite_store *store, sqlite3_stmt *row)
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

static enum err on_ad_feedback_row(struct sqlite_store *store, sqlite3_stmt *row)
{
    int64_t now_ms = store->ages.now_ms;
    uint64_t sequence = row_sequence(row);
    int64_t recorded_at_ms = sqlite3_column_int64(row, 1);
    struct ad_feedback feedback = {
        .ad = {.publisher_id = db_column_text(row, 2), .bid_id = db_column_text(row, 4)},
        .sent_session_id = db_column_text(row, 3),
    };
    enum err err = remember_latest(store, &feedback, sequence);
    if (!err)
        err = count_of_bid(store, &store->ad_feedbacks_of_bids, SQL_AD_FEEDBACK_BID,
                           feedback.ad.bid_id, sequence);
    /* Rows of the future are of a clock that was wrong then: they say nothing of this minute. */
    if (err || recorded_at_ms <= now_ms - WINDOW_MS || recorded_at_ms > now_ms) return err;
    if (recorded_at_ms > store->sessions_now_ms) store->sessions_now_ms = recorded_at_ms;
    uint64_t session = session_key(store, &feedback).word[0];
    return window_note(store->sessions, session, store->sessions_now_ms) ? ERR_OK : ERR_NO_MEMORY;
}

static enum err on_vote_row(struct sqlite_store *store, sqlite3_stmt *row)
{
    if (!polls_count_vote(store, sqlite3_column_int64(row, 1), db_column_text(row, 2)))
        return report_corrupt_row(SPAN("vote"), sqlite3_column_int64(row, 0));
    return add(&store->votes, bid_key(store, db_column_text(row, 3)), row_sequence(row));
}

static enum err scan_sources(struct sqlite_store *store)
{
    const struct store_options *options = &store->options;
    int64_t oldest_ms = store->ages.now_ms - FLOOR_MARGIN_MS;
    struct age_mark clicks = ages_mark(&store->ages, oldest_ms - options->click_ttl_ms);
    struct age_mark events = ages_mark(&store->ages, oldest_ms - options->collect_dedup_window_ms);
    struct age_mark impressions = ages_mark(&store->ages, oldest_ms - options->impression_ttl_ms);
    const struct age_mark none = {0};
    /* Also clicks that are too old to earn conversions: they count for their bid. */
    const struct age_mark *oldest_click =
        clicks.sequence < impressions.sequence ? &clicks : &impressions;
    const struct source sources[] = {
        {SPAN("click"),
         "SELECT seq, click_id, bid_id, advertiser_id IS NOT NULL, * FROM click WHERE seq >= ?"
         " ORDER BY seq",
         4, TOTAL_CLICK, oldest_click, on_click_row},
        {SPAN("server_event"),
         "SELECT seq, partner_id, tag_id, event_id, * FROM server_event"
         " WHERE seq >= ? ORDER BY seq",
         4, TOTAL_SERVER_EVENT, &events, on_server_event_row},
        {SPAN("impression"), "SELECT seq, bid_id, * FROM impression WHERE seq >= ? ORDER BY seq", 2,
         TOTAL_IMPRESSION, &impressions, on_impression_row},
        {SPAN("feedback"), "SELECT seq, bid_id, * FROM feedback WHERE seq >= ? ORDER BY seq", 2,
         TOTAL_FEEDBACK, &impressions, on_feedback_row},
        {SPAN("ad_feedback"),
         "SELECT seq, recorded_at_ms, publisher_id, sent_session_id, bid_id, * FROM ad_feedback"
         " WHERE seq >= ? ORDER BY seq",
         5, TOTAL_AD_FEEDBACK, &impressions, on_ad_feedback_row},
        {SPAN("vote"),
         "SELECT seq, poll_id, option_id, bid_id, * FROM vote WHERE seq >= ? ORDER BY seq", 4,
         TOTAL_VOTE, &none, on_vote_row},
    };
    enum err err = rebuild_conversion_keys(store, &clicks);
    for (size_t i = 0; i < sizeof sources / sizeof sources[0] && !err; i++)
        err = scan(store, &sources[i]);
    return err;
}

/* Keys are loaded by others: here they are only checked. */
static void pass_key(const struct api_key *key, void *arg) {}

enum err rebuild_indexes(struct sqlite_store *store)
{
    int64_t started_ms = clock_mono_ms();
    ages_begin(&store->ages, clock_wall_ms(), started_ms);
    enum err err = totals_read(store);
    if (!err) err = load_ages(store);
    if (!err) err = polls_load(store);
    if (!err) err = sqlite_each_key(&store->store, pass_key, NULL);
    if (!err) err = scan_sources(store);
    store->rebuild_ms = clock_mono_ms() - started_ms;
    return err;
}
