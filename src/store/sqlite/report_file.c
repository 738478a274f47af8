#include "store/sqlite/report.h"
#include "store/sqlite/schema.h"

#include <stdio.h>

/* Reports of a data directory: its file is the log, and one read transaction is of both. */

static enum err has_column(struct report_db *db, const char *table, const char *column, bool *has)
{
    char sql[160];
    int64_t count = 0;
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM pragma_table_info('%s', 'log') WHERE name = '%s'", table,
             column);
    enum err err = db_query_i64(db->db, sql, &count);
    *has = count > 0;
    return err;
}

static enum err attach(struct report_db *db)
{
    int64_t application = 0, version = 0;
    enum err err = db_attach_readonly(db->db, db->log_path, "log");
    if (!err) err = db_query_i64(db->db, "PRAGMA log.application_id", &application);
    if (!err) err = db_query_i64(db->db, "PRAGMA log.user_version", &version);
    if (!err && (application != SCHEMA_APPLICATION_ID || version != SCHEMA_VERSION))
        err = ERR_FOREIGN;
    if (!err) err = has_column(db, "click", "flags", &db->has_flags);
    if (!err) err = has_column(db, "removed", "below_seq", &db->has_removed);
    if (!err) err = has_column(db, "poll_count", "votes", &db->has_poll_counts);
    return err;
}

static enum err last(struct report_db *db, int64_t *sequence)
{
    return db_query_i64(db->db, "SELECT last_seq FROM log.total", sequence);
}

/* Each sequence is an event's. */
static enum err behind(struct report_db *db, int64_t position, int64_t *events)
{
    int64_t sequence = position;
    enum err err = last(db, &sequence);
    *events = sequence - position;
    return err;
}

static enum err step(struct report_db *db, int64_t position, int64_t events, int64_t *end)
{
    *end = position;
    enum err err = last(db, end);
    if (*end - position > events) *end = position + events;
    return err;
}

static enum err row(struct report_db *db, int64_t sequence, int64_t *row)
{
    static const char *const ids[][2] = {
        {"click", "click_id"},        {"conversion", "click_id, event_id, idempotency_key"},
        {"server_event", "event_id"}, {"impression", "bid_id"},
        {"feedback", "bid_id"},       {"ad_feedback", "feedback_id"},
        {"vote", "bid_id"},
    };
    char sql[1024];
    int len = snprintf(sql, sizeof sql, "SELECT 0 WHERE %lld = 0", (long long)sequence);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        len += snprintf(sql + len, sizeof sql - (size_t)len,
                        " UNION ALL SELECT row_checksum('%s', recorded_at_ms, %s)"
                        " FROM log.%s WHERE seq = %lld",
                        ids[i][0], ids[i][1], ids[i][0], (long long)sequence);
    enum err err = db_query_i64(db->db, sql, row);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err removed(struct report_db *db, int64_t *below_sequence)
{
    if (!db->has_removed) return ERR_OK;
    return db_query_i64(db->db,
                        "SELECT coalesce(max(below_seq), 0) FROM log.removed WHERE rows > 0",
                        below_sequence);
}

const struct report_log report_file_log = {
    .attach = attach,
    .last = last,
    .behind = behind,
    .step = step,
    .row = row,
    .removed = removed,
    .begin = last,
    .live_max = INT64_MAX,
};
