#include "store/sqlite/sqlite.h"

/* NOLINTBEGIN(bugprone-suspicious-missing-comma): each text stands behind its name. */
static const char *const texts[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_INSERT_CLICK] = "INSERT INTO click VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_INSERT_CONVERSION] =
        "INSERT INTO conversion VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_INSERT_SERVER_EVENT] =
        "INSERT INTO server_event VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_CLICK_BY_SEQ] = "SELECT bid_id, advertiser_id FROM click WHERE seq = ?",
    [SQL_CONVERSION_KEYS_BY_SEQ] = "SELECT partner_id, click_id, event_type, idempotency_key,"
                                   " event_id, order_id FROM conversion WHERE seq = ?",
    [SQL_SERVER_EVENT_KEYS_BY_SEQ] = "SELECT recorded_at_ms, partner_id, tag_id, event_id"
                                     " FROM server_event WHERE seq = ?",
    [SQL_INSERT_AGE_MARK] = "INSERT OR REPLACE INTO age_mark VALUES (?,?)",
    [SQL_INSERT_KEY] = "INSERT INTO api_key VALUES (?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_KEY_BY_ID] = "SELECT 1 FROM api_key WHERE id = ?",
    [SQL_REVOKE_KEY] = "UPDATE api_key SET revoked_at_ms = coalesce(revoked_at_ms, ?) WHERE id = ?",
    [SQL_INSERT_IMPRESSION] = "INSERT INTO impression VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_IMPRESSION_BY_SEQ] = "SELECT bid_id, recorded_at_ms FROM impression WHERE seq = ?",
    [SQL_INSERT_FEEDBACK] = "INSERT INTO feedback VALUES (?,?,?,?,?,?)",
    [SQL_FEEDBACK_BID_BY_SEQ] = "SELECT bid_id FROM feedback WHERE seq = ?",
    [SQL_INSERT_AD_FEEDBACK] =
        "INSERT INTO ad_feedback VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_AD_FEEDBACK_BY_SEQ] =
        "SELECT publisher_id, sent_session_id, bid_id, sentiment, reasons, comment,"
        " sent_placement, sent_placement_id, sent_user_id, feedback_id FROM ad_feedback"
        " WHERE seq = ?",
    [SQL_AD_FEEDBACK_BID_BY_SEQ] = "SELECT bid_id FROM ad_feedback WHERE seq = ?",
    [SQL_INSERT_VOTE] = "INSERT INTO vote VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_VOTE_BID_BY_SEQ] = "SELECT bid_id FROM vote WHERE seq = ?",
    [SQL_PUT_POLL] = "INSERT INTO poll VALUES (?,?,?,?,NULL) ON CONFLICT (poll_id) DO UPDATE SET"
                     " question = excluded.question, cta_url = excluded.cta_url,"
                     " updated_at_ms = excluded.updated_at_ms, withdrawn_at_ms = NULL",
    [SQL_DELETE_POLL_OPTIONS] = "DELETE FROM poll_option WHERE poll_id = ?",
    [SQL_INSERT_POLL_OPTION] = "INSERT INTO poll_option VALUES (?,?,?,?)",
    [SQL_WITHDRAW_POLL] = "UPDATE poll SET withdrawn_at_ms = ? WHERE poll_id = ?",
    [SQL_PROBE] = "UPDATE meta SET value = value + 1 WHERE name = 'probe'",
};
/* NOLINTEND(bugprone-suspicious-missing-comma) */

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
