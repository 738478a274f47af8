#include "base/log.h"
#include "store/sqlite/sqlite.h"

/* NOLINTBEGIN(bugprone-suspicious-missing-comma): each text stands behind its name. */
static const char *const texts[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_INSERT_CLICKS] = "INSERT INTO click SELECT * FROM batch_click",
    [SQL_INSERT_CONVERSIONS] = "INSERT INTO conversion SELECT * FROM batch_conversion",
    [SQL_INSERT_SERVER_EVENTS] = "INSERT INTO server_event SELECT * FROM batch_server_event",
    [SQL_CLICK_BID] = "SELECT bid_id FROM click WHERE seq = ?",
    [SQL_CLICK_BY_SEQ] =
        "SELECT advertiser_id, click_id, route, expires_at_ms, * FROM click WHERE seq = ?",
    [SQL_CONVERSION_KEYS] = "SELECT partner_id, click_id, event_type, idempotency_key, event_id,"
                            " order_id FROM conversion WHERE seq = ?",
    [SQL_CONVERSION_BY_SEQ] = "SELECT partner_id, click_id, event_type, idempotency_key, event_id,"
                              " order_id, * FROM conversion WHERE seq = ?",
    [SQL_SERVER_EVENT_KEYS_BY_SEQ] = "SELECT recorded_at_ms, partner_id, tag_id, event_id"
                                     ", * FROM server_event WHERE seq = ?",
    [SQL_INSERT_AGE_MARK] = "INSERT OR REPLACE INTO age_mark VALUES (?,?,?,?,?,?,?,?,?,?)",
    [SQL_PUT_TOTALS] = "INSERT OR REPLACE INTO total VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_INSERT_KEY] = "INSERT INTO api_key VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_REVOKE_KEY] = "UPDATE api_key SET revoked_at_ms = coalesce(revoked_at_ms, ?1),"
                       " checksum = row_checksum('api_key', id, class, label, partner_id,"
                       " publisher_id, advertiser_id, tag_id, hash, created_at_ms, expires_at_ms,"
                       " coalesce(revoked_at_ms, ?1)) WHERE id = ?2",
    [SQL_INSERT_IMPRESSIONS] = "INSERT INTO impression SELECT * FROM batch_impression",
    [SQL_IMPRESSION_BID] = "SELECT bid_id FROM impression WHERE seq = ?",
    [SQL_IMPRESSION_BY_SEQ] = "SELECT recorded_at_ms, * FROM impression WHERE seq = ?",
    [SQL_INSERT_FEEDBACKS] = "INSERT INTO feedback SELECT * FROM batch_feedback",
    [SQL_FEEDBACK_BID] = "SELECT bid_id FROM feedback WHERE seq = ?",
    [SQL_FEEDBACK_BY_SEQ] = "SELECT * FROM feedback WHERE seq = ?",
    [SQL_INSERT_AD_FEEDBACKS] = "INSERT INTO ad_feedback SELECT * FROM batch_ad_feedback",
    [SQL_AD_FEEDBACK_BID] = "SELECT bid_id FROM ad_feedback WHERE seq = ?",
    [SQL_AD_FEEDBACK_SESSION] =
        "SELECT publisher_id, sent_session_id, bid_id FROM ad_feedback WHERE seq = ?",
    [SQL_AD_FEEDBACK_BY_SEQ] =
        "SELECT sentiment, reasons, comment, sent_placement, sent_placement_id, sent_user_id,"
        " feedback_id, * FROM ad_feedback WHERE seq = ?",
    [SQL_INSERT_VOTES] = "INSERT INTO vote SELECT * FROM batch_vote",
    [SQL_VOTE_BID] = "SELECT bid_id FROM vote WHERE seq = ?",
    [SQL_VOTE_BY_SEQ] = "SELECT * FROM vote WHERE seq = ?",
    [SQL_DELETE_POLL] = "DELETE FROM poll WHERE poll_id = ?",
    [SQL_INSERT_POLL] = "INSERT INTO poll VALUES (?,?,?,?,?,?)",
    [SQL_DELETE_POLL_OPTIONS] = "DELETE FROM poll_option WHERE poll_id = ?",
    [SQL_INSERT_POLL_OPTION] = "INSERT INTO poll_option VALUES (?,?,?,?,?)",
    [SQL_WITHDRAW_POLL] = "UPDATE poll SET withdrawn_at_ms = ?1, checksum = row_checksum('poll',"
                          " poll_id, question, cta_url, updated_at_ms, ?1) WHERE poll_id = ?2",
    [SQL_DELETE_POLL_COUNTS] = "DELETE FROM poll_count WHERE poll_id = ?",
    [SQL_INSERT_POLL_COUNT] = "INSERT INTO poll_count VALUES (?,?,?,?)",
    [SQL_PUT_POLL_COUNTS] = "UPDATE meta SET value = ?1, checksum = row_checksum('meta', name, ?1)"
                            " WHERE name = 'poll_counts'",
    [SQL_PROBE] = "UPDATE meta SET value = value + 1,"
                  " checksum = row_checksum('meta', name, value + 1) WHERE name = 'probe'",
};
/* NOLINTEND(bugprone-suspicious-missing-comma) */

/* What a whole row read by its sequence has in front of its columns, and whose they are. */
static const struct row_source {
    struct span table;
    int first;
} row_sources[SQL_COUNT] = {
    [SQL_CLICK_BY_SEQ] = {SPAN_INIT("click"), 4},
    [SQL_CONVERSION_BY_SEQ] = {SPAN_INIT("conversion"), 6},
    [SQL_SERVER_EVENT_KEYS_BY_SEQ] = {SPAN_INIT("server_event"), 4},
    [SQL_IMPRESSION_BY_SEQ] = {SPAN_INIT("impression"), 1},
    [SQL_FEEDBACK_BY_SEQ] = {SPAN_INIT("feedback"), 0},
    [SQL_AD_FEEDBACK_BY_SEQ] = {SPAN_INIT("ad_feedback"), 7},
    [SQL_VOTE_BY_SEQ] = {SPAN_INIT("vote"), 0},
};

/* The statement that reads the same row as a whole. */
static const enum sqlite_statement whole_rows[SQL_COUNT] = {
    [SQL_CLICK_BID] = SQL_CLICK_BY_SEQ,
    [SQL_CONVERSION_KEYS] = SQL_CONVERSION_BY_SEQ,
    [SQL_IMPRESSION_BID] = SQL_IMPRESSION_BY_SEQ,
    [SQL_FEEDBACK_BID] = SQL_FEEDBACK_BY_SEQ,
    [SQL_AD_FEEDBACK_BID] = SQL_AD_FEEDBACK_BY_SEQ,
    [SQL_AD_FEEDBACK_SESSION] = SQL_AD_FEEDBACK_BY_SEQ,
    [SQL_VOTE_BID] = SQL_VOTE_BY_SEQ,
};

enum err report_corrupt_row(struct span table, int64_t sequence)
{
    log_event(LOG_ERROR, "row_corrupt", LOG_TEXT("table", table), LOG_NUMBER("seq", sequence),
              LOG_TEXT("advice", SPAN("run adtally verify")));
    return ERR_CORRUPT_ROW;
}

static int step_to_row(struct sqlite_store *store, enum sqlite_statement which, uint64_t sequence)
{
    bool waits = store->batch_rows->first && sequence >= store->batch_rows->first;
    if (waits && batch_rows_insert(store) != ERR_OK) return sqlite3_extended_errcode(store->db);
    sqlite3_bind_int64(store->statements[which], 1, (int64_t)sequence);
    return sqlite3_step(store->statements[which]);
}

/* A row that is not there, or not as it was written; other errors are the disk's. */
static enum err row_err(int code, struct span table, uint64_t sequence)
{
    enum err err = code == SQLITE_ROW || code == SQLITE_DONE ? ERR_CORRUPT : db_err(code);
    return err == ERR_CORRUPT ? report_corrupt_row(table, (int64_t)sequence) : err;
}

enum err statements_read_row(struct sqlite_store *store, enum sqlite_statement which,
                             uint64_t sequence)
{
    const struct row_source *source = &row_sources[which];
    int code = step_to_row(store, which, sequence);
    if (code == SQLITE_ROW && db_is_whole(store->statements[which], source->first, source->table))
        return ERR_OK;
    return row_err(code, source->table, sequence);
}

enum err statements_read_key(struct sqlite_store *store, enum sqlite_statement which,
                             uint64_t sequence)
{
    int code = step_to_row(store, which, sequence);
    return code == SQLITE_ROW ? ERR_OK
                              : row_err(code, row_sources[whole_rows[which]].table, sequence);
}

enum err statements_check_key(struct sqlite_store *store, enum sqlite_statement which,
                              uint64_t sequence)
{
    enum err err = statements_read_row(store, whole_rows[which], sequence);
    sqlite3_reset(store->statements[whole_rows[which]]);
    return err;
}

enum err statements_prepare(struct sqlite_store *store)
{
    for (int i = 0; i < SQL_COUNT; i++) {
        enum err err = db_prepare(store->db, &store->statements[i], texts[i]);
        if (err) return err;
    }
    return ERR_OK;
}

void statements_finalize(struct sqlite_store *store)
{
    for (int i = 0; i < SQL_COUNT; i++) {
        sqlite3_finalize(store->statements[i]);
        store->statements[i] = NULL;
    }
}
