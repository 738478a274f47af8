#include "base/clock.h"
#include "store/sqlite/sqlite.h"

#include <stdio.h>
#include <string.h>

/* The indexes, once, at start: from their logs, and behind the end of these from the rows. Only
 * what is young enough to matter is read: the stored age marks tell where to begin. */

enum err rebuild_ages(struct sqlite_store *store)
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

static uint64_t row_value(sqlite3_stmt *row)
{
    return INDEX_VALUE(row_sequence(row), 0);
}

/* Told about every ROWS_PER_LOOK rows or so. */
void rebuild_pass_rows(struct sqlite_store *store, uint64_t count)
{
    enum { ROWS_PER_LOOK = 4096 };
    const struct store_progress *progress = &store->options.progress;
    bool is_due =
        (store->rebuilt_count + count) / ROWS_PER_LOOK > store->rebuilt_count / ROWS_PER_LOOK;
    store->rebuilt_count += count;
    if (progress->on && is_due)
        progress->on(progress->arg, store->rebuilt_count, store->sequence_next);
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
    int64_t count = removed_or_below(store, source->total, source->mark), last = 0;
    int code;
    for (; !err && (code = sqlite3_step(row)) == SQLITE_ROW; count++) {
        bool is_whole =
            sqlite3_column_int64(row, 0) > last && db_is_whole(row, source->first, source->table);
        last = sqlite3_column_int64(row, 0);
        err = is_whole ? source->on_row(store, row)
                       : report_corrupt_row(source->table, sqlite3_column_int64(row, 0));
        index_logs_note(store);
        rebuild_pass_rows(store, 1);
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(store->db);
    sqlite3_finalize(row);
    return err ? err : totals_expect(store, source->total, count);
}

static enum err add(struct sqlite_store *store, struct index *index, struct index_key key,
                    uint64_t value)
{
    return undoable_add(store, index, &key, value);
}

static enum err count_of_bid(struct sqlite_store *store, struct index *index,
                             enum sqlite_statement statement, struct span bid_id, uint64_t sequence)
{
    uint8_t count;
    uint64_t value;
    struct index_key key = bid_key(store, bid_id);
    enum err err = dedup_count_of_bid(store, index, statement, &key, bid_id, &count, &value);
    return err ? err : dedup_count_up(store, index, &key, count, value, sequence);
}

static enum err on_click_row(struct sqlite_store *store, sqlite3_stmt *row)
{
    struct uuid id;
    uint64_t sequence = row_sequence(row);
    struct span bid_id = db_column_text(row, 2);
    bool is_imported = is_import_route(db_column_text(row, 4));
    if (!uuid_read(&id, db_column_text(row, 1)))
        return report_corrupt_row(SPAN("click"), (int64_t)sequence);
    uint8_t tag = (uint8_t)((bid_id.ptr ? CLICK_HAS_BID : 0) |
                            (sqlite3_column_int(row, 3) ? CLICK_HAS_ADVERTISER : 0) |
                            (is_imported ? CLICK_IS_IMPORTED : 0));
    struct index_key key = is_imported ? imported_click_key(store, &id) : click_key(&id);
    store->has_imported_clicks |= is_imported;
    enum err err = add(store, &store->clicks, key, INDEX_VALUE(sequence, tag));
    if (err || !bid_id.ptr) return err;
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
    return add(store, &store->collect_keys, collect_key(store, &event), row_value(row));
}

static enum err on_impression_row(struct sqlite_store *store, sqlite3_stmt *row)
{
    return add(store, &store->impressions, bid_key(store, db_column_text(row, 1)), row_value(row));
}

static enum err on_feedback_row(struct sqlite_store *store, sqlite3_stmt *row)
{
    return add(store, &store->feedbacks, bid_key(store, db_column_text(row, 1)), row_value(row));
}

/* Rows come in the order of recording: the last one of a session and bid is the latest. */
static enum err remember_latest(struct sqlite_store *store, const struct ad_feedback *feedback,
                                uint64_t sequence)
{
    uint64_t latest;
    struct index_key key = session_bid_key(store, feedback);
    enum err err = dedup_find_latest(store, feedback, &key, &latest);
    if (err) return err;
    uint64_t value = INDEX_VALUE(sequence, 0);
    if (!latest) return add(store, &store->ad_feedbacks, key, value);
    undoable_replace(store, &store->ad_feedbacks, &key, latest, value);
    return ERR_OK;
}

/* Rows of the future are of a clock that was wrong then: they say nothing of this minute. */
static enum err note_session(struct sqlite_store *store, const struct ad_feedback *feedback,
                             int64_t recorded_at_ms)
{
    int64_t now_ms = store->ages.now_ms;
    if (recorded_at_ms <= now_ms - WINDOW_MS || recorded_at_ms > now_ms) return ERR_OK;
    if (recorded_at_ms > store->sessions_now_ms) store->sessions_now_ms = recorded_at_ms;
    uint64_t session = session_key(store, feedback).word[0];
    return window_note(store->sessions, session, store->sessions_now_ms) ? ERR_OK : ERR_NO_MEMORY;
}

static struct ad_feedback ad_feedback_of(sqlite3_stmt *row)
{
    return (struct ad_feedback){
        .ad = {.publisher_id = db_column_text(row, 2), .bid_id = db_column_text(row, 4)},
        .sent_session_id = db_column_text(row, 3),
    };
}

static enum err on_ad_feedback_row(struct sqlite_store *store, sqlite3_stmt *row)
{
    uint64_t sequence = row_sequence(row);
    struct ad_feedback feedback = ad_feedback_of(row);
    enum err err = remember_latest(store, &feedback, sequence);
    if (!err)
        err = count_of_bid(store, &store->ad_feedbacks_of_bids, SQL_AD_FEEDBACK_BID,
                           feedback.ad.bid_id, sequence);
    return err ? err : note_session(store, &feedback, sqlite3_column_int64(row, 1));
}

static enum err on_vote_row(struct sqlite_store *store, sqlite3_stmt *row)
{
    uint64_t sequence = row_sequence(row);
    if (!polls_count_vote(store, sqlite3_column_int64(row, 1), db_column_text(row, 2), sequence))
        return report_corrupt_row(SPAN("vote"), (int64_t)sequence);
    return add(store, &store->votes, bid_key(store, db_column_text(row, 3)), row_value(row));
}

/* Where each kind of rows is young enough to matter. */
struct young {
    struct age_mark clicks, events, impressions;
    struct age_mark oldest_click; /* too old for conversions they still count for their bid */
};

static struct young young_rows(const struct sqlite_store *store)
{
    const struct store_options *options = &store->options;
    int64_t oldest_ms = store->ages.now_ms - FLOOR_MARGIN_MS;
    struct young young = {
        .clicks = ages_mark(&store->ages, oldest_ms - options->click_ttl_ms),
        .events = ages_mark(&store->ages, oldest_ms - options->collect_dedup_window_ms),
        .impressions = ages_mark(&store->ages, oldest_ms - options->impression_ttl_ms),
    };
    young.oldest_click =
        young.clicks.sequence < young.impressions.sequence ? young.clicks : young.impressions;
    return young;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static enum err load_logs(struct sqlite_store *store, const struct young *young,
                          struct age_mark from[INDEX_LOGS])
{
    uint64_t floors[INDEX_NUMBERS] = {
        [INDEX_CLICKS] = young->oldest_click.sequence,
        [INDEX_CLICKS_OF_BIDS] = young->oldest_click.sequence,
        [INDEX_CONVERSION_KEYS] = young->oldest_click.sequence,
        [INDEX_COLLECT_KEYS] = young->events.sequence,
        [INDEX_IMPRESSIONS] = young->impressions.sequence,
        [INDEX_FEEDBACKS] = young->impressions.sequence,
        [INDEX_AD_FEEDBACKS] = young->impressions.sequence,
        [INDEX_AD_FEEDBACKS_OF_BIDS] = young->impressions.sequence,
    };
    const uint64_t floors_of_logs[INDEX_LOGS] = {
        [LOG_CLICKS] = young->oldest_click.sequence,
        [LOG_BIDS] = young->impressions.sequence,
        [LOG_EVENTS] = young->events.sequence,
    };
    enum err err = ERR_OK;
    /* A time to live that became longer brings back no row that was removed. */
    for (int i = 0; i < INDEX_NUMBERS; i++)
        floors[i] = max_u64(floors[i], store->removed.below[sqlite_total_of_index((unsigned)i)]);
    for (int i = 0; i < INDEX_LOGS && !err; i++)
        err = index_load(store, i, floors_of_logs[i], floors, &from[i]);
    return err;
}

static const struct age_mark *later(const struct age_mark *a, const struct age_mark *b)
{
    return a->sequence > b->sequence ? a : b;
}

/* The sessions of the last minute whose rows are in the log. Backwards until no older row can be of
 * this minute, then forwards, as they came. */
static enum err find_sessions(struct sqlite_store *store, uint64_t from, uint64_t to,
                              uint64_t *begin)
{
    sqlite3_stmt *row = NULL;
    int code = SQLITE_DONE;
    int64_t oldest_ms = store->ages.now_ms - WINDOW_MS - FLOOR_MARGIN_MS;
    bool is_old = false;
    *begin = to;
    enum err err = db_prepare(store->db, &row,
                              "SELECT seq, recorded_at_ms FROM ad_feedback WHERE seq >= ? AND"
                              " seq < ? ORDER BY seq DESC");
    if (err) return err;
    sqlite3_bind_int64(row, 1, (int64_t)from);
    sqlite3_bind_int64(row, 2, (int64_t)to);
    while (!is_old && (code = sqlite3_step(row)) == SQLITE_ROW) {
        *begin = row_sequence(row);
        is_old =
            ages_recorded_by_ms(&store->ages, *begin, sqlite3_column_int64(row, 1)) <= oldest_ms;
    }
    if (!is_old && code != SQLITE_DONE) err = db_last_err(store->db);
    sqlite3_finalize(row);
    return err;
}

static enum err load_sessions(struct sqlite_store *store, uint64_t from, uint64_t to)
{
    uint64_t begin;
    sqlite3_stmt *row = NULL;
    int code = SQLITE_DONE;
    enum err err = find_sessions(store, from, to, &begin);
    if (!err)
        err = db_prepare(store->db, &row,
                         "SELECT seq, recorded_at_ms, publisher_id, sent_session_id, bid_id, *"
                         " FROM ad_feedback WHERE seq >= ? AND seq < ? ORDER BY seq");
    if (err) return err;
    sqlite3_bind_int64(row, 1, (int64_t)begin);
    sqlite3_bind_int64(row, 2, (int64_t)to);
    while (!err && (code = sqlite3_step(row)) == SQLITE_ROW) {
        struct ad_feedback feedback = ad_feedback_of(row);
        err = db_is_whole(row, 5, SPAN("ad_feedback"))
                  ? note_session(store, &feedback, sqlite3_column_int64(row, 1))
                  : report_corrupt_row(SPAN("ad_feedback"), sqlite3_column_int64(row, 0));
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(store->db);
    sqlite3_finalize(row);
    return err;
}

static enum err scan_sources(struct sqlite_store *store)
{
    const struct young young = young_rows(store);
    struct age_mark from[INDEX_LOGS];
    enum err err = load_logs(store, &young, from);
    if (err) return err;
    const struct age_mark *clicks = later(&young.oldest_click, &from[LOG_CLICKS]);
    const struct age_mark *bids = later(&young.impressions, &from[LOG_BIDS]);
    const struct source sources[] = {
        {SPAN("click"),
         "SELECT seq, click_id, bid_id, advertiser_id IS NOT NULL, route, * FROM click"
         " WHERE seq >= ? ORDER BY seq",
         5, TOTAL_CLICK, clicks, on_click_row},
        {SPAN("server_event"),
         "SELECT seq, partner_id, tag_id, event_id, * FROM server_event"
         " WHERE seq >= ? ORDER BY seq",
         4, TOTAL_SERVER_EVENT, later(&young.events, &from[LOG_EVENTS]), on_server_event_row},
        {SPAN("impression"), "SELECT seq, bid_id, * FROM impression WHERE seq >= ? ORDER BY seq", 2,
         TOTAL_IMPRESSION, bids, on_impression_row},
        {SPAN("feedback"), "SELECT seq, bid_id, * FROM feedback WHERE seq >= ? ORDER BY seq", 2,
         TOTAL_FEEDBACK, bids, on_feedback_row},
        {SPAN("ad_feedback"),
         "SELECT seq, recorded_at_ms, publisher_id, sent_session_id, bid_id, * FROM ad_feedback"
         " WHERE seq >= ? ORDER BY seq",
         5, TOTAL_AD_FEEDBACK, bids, on_ad_feedback_row},
        {SPAN("vote"),
         "SELECT seq, poll_id, option_id, bid_id, * FROM vote WHERE seq >= ? ORDER BY seq", 4,
         TOTAL_VOTE, &from[LOG_VOTES], on_vote_row},
    };
    if (from[LOG_BIDS].sequence)
        err = load_sessions(store, young.impressions.sequence, from[LOG_BIDS].sequence);
    /* A key holds its order until its click is too old, as it does while serving. */
    store->conversion_keys.floor = young.clicks.sequence;
    if (!err) err = rebuild_conversion_keys(store, clicks);
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
    if (!err) err = removed_read(store);
    if (!err) err = rebuild_ages(store);
    if (!err) err = polls_load(store);
    if (!err) err = sqlite_each_key(&store->store, pass_key, NULL);
    if (!err) err = scan_sources(store);
    if (err)
        index_logs_close(store); /* half of the rows are not noted */
    else
        index_logs_write(store, (uint64_t)store->options.index_log_events);
    store->rebuild_ms = clock_mono_ms() - started_ms;
    return err;
}
