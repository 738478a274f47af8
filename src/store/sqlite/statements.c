#include "base/log.h"
#include "store/sqlite/sqlite.h"

/* NOLINTBEGIN(bugprone-suspicious-missing-comma): each text stands behind its name. */
static const char *const texts[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_INSERT_CLICK] = "INSERT INTO click VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_INSERT_CONVERSION] =
        "INSERT INTO conversion VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_INSERT_SERVER_EVENT] =
        "INSERT INTO server_event VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_CLICK_BY_SEQ] = "SELECT bid_id, advertiser_id, * FROM click WHERE seq = ?",
    [SQL_CONVERSION_KEYS_BY_SEQ] = "SELECT partner_id, click_id, event_type, idempotency_key,"
                                   " event_id, order_id, * FROM conversion WHERE seq = ?",
    [SQL_SERVER_EVENT_KEYS_BY_SEQ] = "SELECT recorded_at_ms, partner_id, tag_id, event_id"
                                     ", * FROM server_event WHERE seq = ?",
    [SQL_INSERT_AGE_MARK] = "INSERT OR REPLACE INTO age_mark VALUES (?,?,?,?,?,?,?,?,?,?)",
    [SQL_PUT_TOTALS] = "INSERT OR REPLACE INTO total VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_INSERT_KEY] = "INSERT INTO api_key VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_REVOKE_KEY] = "UPDATE api_key SET revoked_at_ms = coalesce(revoked_at_ms, ?1),"
                       " checksum = row_checksum('api_key', id, class, label, partner_id,"
                       " publisher_id, advertiser_id, tag_id, hash, created_at_ms, expires_at_ms,"
                       " coalesce(revoked_at_ms, ?1)) WHERE id = ?2",
    [SQL_INSERT_IMPRESSION] = "INSERT INTO impression VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_IMPRESSION_BY_SEQ] = "SELECT bid_id, recorded_at_ms, * FROM impression WHERE seq = ?",
    [SQL_INSERT_FEEDBACK] = "INSERT INTO feedback VALUES (?,?,?,?,?,?,?)",
    [SQL_FEEDBACK_BID_BY_SEQ] = "SELECT bid_id, * FROM feedback WHERE seq = ?",
    [SQL_INSERT_AD_FEEDBACK] =
        "INSERT INTO ad_feedback VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_AD_FEEDBACK_BY_SEQ] =
        "SELECT publisher_id, sent_session_id, bid_id, sentiment, reasons, comment,"
        " sent_placement, sent_placement_id, sent_user_id, feedback_id, * FROM ad_feedback"
        " WHERE seq = ?",
    [SQL_AD_FEEDBACK_BID_BY_SEQ] = "SELECT bid_id, * FROM ad_feedback WHERE seq = ?",
    [SQL_INSERT_VOTE] = "INSERT INTO vote VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_VOTE_BID_BY_SEQ] = "SELECT bid_id, * FROM vote WHERE seq = ?",
    [SQL_DELETE_POLL] = "DELETE FROM poll WHERE poll_id = ?",
    [SQL_INSERT_POLL] = "INSERT INTO poll VALUES (?,?,?,?,?,?)",
    [SQL_DELETE_POLL_OPTIONS] = "DELETE FROM poll_option WHERE poll_id = ?",
    [SQL_INSERT_POLL_OPTION] = "INSERT INTO poll_option VALUES (?,?,?,?,?)",
    [SQL_WITHDRAW_POLL] = "UPDATE poll SET withdrawn_at_ms = ?1, checksum = row_checksum('poll',"
                          " poll_id, question, cta_url, updated_at_ms, ?1) WHERE poll_id = ?2",
    [SQL_PROBE] = "UPDATE meta SET value = value + 1,"
                  " checksum = row_checksum('meta', name, value + 1) WHERE name = 'probe'",
};
/* NOLINTEND(bugprone-suspicious-missing-comma) */

/* What a row read by its sequence has in front of its columns, and whose they are. */
static const struct row_source {
    struct span table;
    int first;
} row_sources[SQL_COUNT] = {
    [SQL_CLICK_BY_SEQ] = {SPAN_INIT("click"), 2},
    [SQL_CONVERSION_KEYS_BY_SEQ] = {SPAN_INIT("conversion"), 6},
    [SQL_SERVER_EVENT_KEYS_BY_SEQ] = {SPAN_INIT("server_event"), 4},
    [SQL_IMPRESSION_BY_SEQ] = {SPAN_INIT("impression"), 2},
    [SQL_FEEDBACK_BID_BY_SEQ] = {SPAN_INIT("feedback"), 1},
    [SQL_AD_FEEDBACK_BY_SEQ] = {SPAN_INIT("ad_feedback"), 10},
    [SQL_AD_FEEDBACK_BID_BY_SEQ] = {SPAN_INIT("ad_feedback"), 1},
    [SQL_VOTE_BID_BY_SEQ] = {SPAN_INIT("vote"), 1},
};

enum err report_corrupt_row(struct span table, int64_t sequence)
{
    log_event(LOG_ERROR, "row_corrupt", LOG_TEXT("table", table), LOG_NUMBER("seq", sequence),
              LOG_TEXT("advice", SPAN("run adtally verify")));
    return ERR_CORRUPT_ROW;
}

enum err statements_read_row(struct sqlite_store *store, enum sqlite_statement which,
                             uint64_t sequence)
{
    sqlite3_stmt *row = store->statements[which];
    const struct row_source *source = &row_sources[which];
    sqlite3_bind_int64(row, 1, (int64_t)sequence);
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW && db_is_whole(row, source->first, source->table)) return ERR_OK;
    enum err err = code == SQLITE_ROW || code == SQLITE_DONE ? ERR_CORRUPT : db_err(code);
    return err == ERR_CORRUPT ? report_corrupt_row(source->table, (int64_t)sequence) : err;
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
