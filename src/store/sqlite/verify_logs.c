#include "store/sqlite/verify_logs.h"

#include "store/sqlite/sqlite.h"

#include <stdio.h>
#include <stdlib.h>

/* Each entry of a log has to say what its row says, and each row with a key has to have its entry.
 * A log, or an end of one, that is not of this database is none: the start does not use it. */

/* Keys as the store makes them, of a row; false: it has none such. The order of columns is that of
 * the source's SQL, and the row is of the change's sequence. */
typedef bool key_of_row_fn(const struct sqlite_store *store, sqlite3_stmt *row,
                           const struct index_change *change, struct index_key *key);

static bool click_of_row(const struct sqlite_store *store, sqlite3_stmt *row,
                         const struct index_change *change, struct index_key *key)
{
    struct uuid id;
    if (!uuid_read(&id, db_column_text(row, 0))) return false;
    bool is_imported = INDEX_TAG(change->new_value) & CLICK_IS_IMPORTED;
    if (is_imported != is_import_route(db_column_text(row, 1))) return false;
    *key = is_imported ? imported_click_key(store, &id) : click_key(&id);
    return true;
}

static bool bid_of_row(const struct sqlite_store *store, sqlite3_stmt *row,
                       const struct index_change *change, struct index_key *key)
{
    struct span bid_id = db_column_text(row, 0);
    if (bid_id.ptr) *key = bid_key(store, bid_id);
    return bid_id.ptr != NULL;
}

static bool conversion_of_row(const struct sqlite_store *store, sqlite3_stmt *row,
                              const struct index_change *change, struct index_key *key)
{
    const struct conversion conversion = {
        .sender.partner_id = db_column_text(row, 0),
        .click_id = db_column_text(row, 1),
        .event_type = db_column_text(row, 2),
        .idempotency_key = db_column_text(row, 3),
        .event_id = db_column_text(row, 4),
        .order_id = db_column_text(row, 5),
    };
    enum dedup_layer layer = INDEX_TAG(change->new_value);
    if (layer > DEDUP_ORDER || !conversion_key_text(&conversion, layer).ptr) return false;
    *key = conversion_key(store, &conversion, layer);
    return true;
}

static bool event_of_row(const struct sqlite_store *store, sqlite3_stmt *row,
                         const struct index_change *change, struct index_key *key)
{
    const struct server_event event = {
        .sender.partner_id = db_column_text(row, 0),
        .tag_id = db_column_text(row, 1),
        .event_id = db_column_text(row, 2),
    };
    if (event.event_id.ptr) *key = collect_key(store, &event);
    return event.event_id.ptr != NULL;
}

/* A session that was erased has another name than the one that the entry was made of. */
static bool is_erased(struct span session)
{
    return span_starts_with(session, SPAN("erased:"));
}

static bool session_of_row(const struct sqlite_store *store, sqlite3_stmt *row,
                           const struct index_change *change, struct index_key *key)
{
    const struct ad_feedback feedback = {
        .ad = {.publisher_id = db_column_text(row, 0), .bid_id = db_column_text(row, 2)},
        .sent_session_id = db_column_text(row, 1),
    };
    *key = is_erased(feedback.sent_session_id) ? change->key : session_bid_key(store, &feedback);
    return true;
}

static bool option_of_row(const struct sqlite_store *store, sqlite3_stmt *row,
                          const struct index_change *change, struct index_key *key)
{
    *key = polls_option_key(sqlite3_column_int64(row, 0), db_column_text(row, 1));
    return true;
}

static const struct source {
    const char *row_sql;   /* the key's columns */
    const char *count_sql; /* rows of [?1, ?2) that have to have an entry */
    key_of_row_fn *key_of_row;
} sources[INDEX_NUMBERS + 1] = {
    [INDEX_CLICKS] = {"SELECT click_id, route FROM click WHERE seq = ?",
                      "SELECT count(*) FROM click WHERE seq >= ? AND seq < ?", click_of_row},
    [INDEX_CLICKS_OF_BIDS] = {"SELECT bid_id FROM click WHERE seq = ?",
                              "SELECT count(bid_id) FROM click WHERE seq >= ? AND seq < ?",
                              bid_of_row},
    [INDEX_CONVERSION_KEYS] = {"SELECT partner_id, click_id, event_type, idempotency_key, event_id,"
                               " order_id FROM conversion WHERE seq = ?",
                               "SELECT count(coalesce(idempotency_key, event_id)) FROM conversion"
                               " WHERE seq >= ? AND seq < ?",
                               conversion_of_row},
    [INDEX_COLLECT_KEYS] = {"SELECT partner_id, tag_id, event_id FROM server_event WHERE seq = ?",
                            "SELECT count(event_id) FROM server_event WHERE seq >= ? AND seq < ?",
                            event_of_row},
    [INDEX_IMPRESSIONS] = {"SELECT bid_id FROM impression WHERE seq = ?",
                           "SELECT count(*) FROM impression WHERE seq >= ? AND seq < ?",
                           bid_of_row},
    [INDEX_FEEDBACKS] = {"SELECT bid_id FROM feedback WHERE seq = ?",
                         "SELECT count(*) FROM feedback WHERE seq >= ? AND seq < ?", bid_of_row},
    [INDEX_AD_FEEDBACKS] = {"SELECT publisher_id, sent_session_id, bid_id FROM ad_feedback"
                            " WHERE seq = ?",
                            "SELECT count(*) FROM ad_feedback WHERE seq >= ? AND seq < ?",
                            session_of_row},
    [INDEX_AD_FEEDBACKS_OF_BIDS] = {"SELECT bid_id FROM ad_feedback WHERE seq = ?",
                                    "SELECT count(*) FROM ad_feedback WHERE seq >= ? AND seq < ?",
                                    bid_of_row},
    [INDEX_VOTES] = {"SELECT bid_id FROM vote WHERE seq = ?",
                     "SELECT count(*) FROM vote WHERE seq >= ? AND seq < ?", bid_of_row},
    [VOTE_COUNTS] = {"SELECT poll_id, option_id FROM vote WHERE seq = ?",
                     "SELECT count(*) FROM vote WHERE seq >= ? AND seq < ?", option_of_row},
};

struct checking {
    struct sqlite_store *store;
    sqlite3_stmt *rows[INDEX_NUMBERS + 1];
    uint64_t first, next; /* what the log covers of this database */
    int64_t entries[INDEX_NUMBERS + 1];
    int64_t wrong;
};

/* Damaged rows may have any text: the store makes keys of short ones only. */
static bool has_short_texts(sqlite3_stmt *row)
{
    for (int i = 0; i < sqlite3_column_count(row); i++)
        if (sqlite3_column_bytes(row, i) > DEDUP_PART_MAX) return false;
    return true;
}

static enum err check_change(struct checking *checking, const struct index_change *change)
{
    struct index_key key = {{0, 0}};
    sqlite3_stmt *row = checking->rows[change->index];
    sqlite3_bind_int64(row, 1, (int64_t)INDEX_SEQUENCE(change->new_value));
    int code = sqlite3_step(row);
    bool is_same = code == SQLITE_ROW && has_short_texts(row) &&
                   sources[change->index].key_of_row(checking->store, row, change, &key) &&
                   key.word[0] == change->key.word[0] && key.word[1] == change->key.word[1];
    enum err err = code == SQLITE_ROW || code == SQLITE_DONE ? ERR_OK : db_err(code);
    sqlite3_reset(row);
    checking->wrong += !err && !is_same;
    bool is_order =
        change->index == INDEX_CONVERSION_KEYS && INDEX_TAG(change->new_value) == DEDUP_ORDER;
    checking->entries[change->index] += !is_order; /* the first order of its name has it */
    return err;
}

/* Entries of rows that were removed go with their segment. */
static uint64_t first_row(const struct checking *checking, unsigned index)
{
    uint64_t below = checking->store->removed.below[sqlite_total_of_index(index)];
    return below > checking->first ? below : checking->first;
}

static enum err on_block(void *arg, struct index_log_reader changes,
                         const struct index_log_mark *mark)
{
    struct checking *checking = arg;
    struct index_change change;
    enum err err = ERR_OK;
    while (!err && index_log_next(&changes, &change)) {
        if (INDEX_SEQUENCE(change.new_value) >= checking->next) continue;
        if (change.index > INDEX_NUMBERS)
            checking->wrong++;
        else if (INDEX_SEQUENCE(change.new_value) >= first_row(checking, change.index))
            err = check_change(checking, &change);
    }
    return err;
}

/* How far the log is of this database: the rows before the ends of its blocks tell. A server that
 * writes meanwhile may be ahead of what is seen here. */
static enum err on_end(void *arg, struct index_log_reader changes,
                       const struct index_log_mark *mark)
{
    uint64_t checksum;
    struct checking *checking = arg;
    if (!checking->first) checking->first = changes.first;
    if (mark->sequence_next == changes.first) return ERR_OK; /* more parts follow */
    enum err err = sqlite_row_checksum(checking->store, mark->sequence_next - 1, &checksum);
    if (err && err != ERR_NOT_FOUND) return err;
    if (!err && checksum == mark->row_checksum) checking->next = mark->sequence_next;
    return ERR_OK;
}

static enum err check_missing(struct checking *checking, enum index_log_number which,
                              int64_t *missing)
{
    enum err err = ERR_OK;
    for (int i = 0; i <= INDEX_NUMBERS && !err; i++) {
        sqlite3_stmt *row = NULL;
        if (index_logs_of(i) != which) continue;
        err = db_prepare(checking->store->db, &row, sources[i].count_sql);
        if (err) return err;
        sqlite3_bind_int64(row, 1, (int64_t)first_row(checking, (unsigned)i));
        sqlite3_bind_int64(row, 2, (int64_t)checking->next);
        int code = sqlite3_step(row);
        int64_t rows = sqlite3_column_int64(row, 0);
        if (code != SQLITE_ROW) err = db_err(code);
        if (!err) *missing += llabs(rows - checking->entries[i]);
        sqlite3_finalize(row);
    }
    return err;
}

static void say(struct writer *report, uint64_t *findings, int64_t count, const char *what,
                struct span log)
{
    if (count == 0) return;
    *findings += (uint64_t)count;
    writer_lit(report, "index-");
    writer_put(report, log);
    writer_lit(report, ": ");
    writer_i64(report, count);
    writer_put(report, span_of(what));
    writer_lit(report, ", remove it\n");
}

static enum err check_log(struct checking *checking, enum index_log_number which,
                          struct writer *report, uint64_t *findings)
{
    struct index_log *log = &checking->store->logs[which];
    struct index_log_mark mark;
    const struct index_log_visitor ends = {on_end, NULL, checking};
    const struct index_log_visitor blocks = {on_block, NULL, checking};
    int64_t missing = 0;
    checking->first = checking->next = 0;
    checking->wrong = 0;
    enum err err = index_log_read(log, 0, &ends, &mark);
    if (err || checking->next == 0) return err;
    err = index_log_read(log, checking->first, &blocks, &mark);
    if (!err && mark.sequence_next >= checking->next)
        err = check_missing(checking, which, &missing);
    if (err) return err;
    say(report, findings, checking->wrong, " entries differ from their rows", log->name);
    say(report, findings, missing, " rows more or less than entries", log->name);
    return ERR_OK;
}

static enum err check_all(struct checking *checking, struct writer *report, uint64_t *findings)
{
    enum err err = index_logs_open(checking->store) ? ERR_OK : ERR_NO_MEMORY;
    for (int i = 0; i <= INDEX_NUMBERS && !err; i++)
        err = db_prepare(checking->store->db, &checking->rows[i], sources[i].row_sql);
    for (int i = 0; i < INDEX_LOGS && !err; i++)
        err = check_log(checking, i, report, findings);
    for (int i = 0; i <= INDEX_NUMBERS; i++)
        sqlite3_finalize(checking->rows[i]);
    index_logs_close(checking->store);
    return err;
}

enum err verify_logs(sqlite3 *db, int dir_fd, const struct secrets *secrets, struct writer *report,
                     uint64_t *findings)
{
    struct sqlite_store *store = calloc(1, sizeof *store); /* what keys are made with */
    if (!store) return ERR_NO_MEMORY;
    store->db = db;
    store->dir.fd = dir_fd;
    sqlite_fingerprint_key(store->fingerprint_key, secrets);
    struct checking checking = {.store = store};
    enum err err = removed_read_from(db, &store->removed);
    if (!err) err = check_all(&checking, report, findings);
    hash_wipe(store->fingerprint_key, sizeof store->fingerprint_key);
    free(store);
    return err == ERR_CORRUPT_ROW ? ERR_OK : err; /* it is a finding already */
}
