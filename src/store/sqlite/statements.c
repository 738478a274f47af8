#include "store/sqlite/sqlite.h"

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
    [SQL_INSERT_KEY] = "INSERT INTO api_key VALUES (?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_KEY_BY_ID] = "SELECT 1 FROM api_key WHERE id = ?",
    [SQL_REVOKE_KEY] = "UPDATE api_key SET revoked_at_ms = coalesce(revoked_at_ms, ?) WHERE id = ?",
    [SQL_PROBE] = "UPDATE meta SET value = value + 1 WHERE name = 'probe'",
};

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
