#include "store/sqlite/sqlite.h"

#include <string.h>

/* The logs of the store's indexes (index_log.h): what is written after batches.
 * One for all that is forgotten at the same age. */

static const struct index_log_kind kinds[INDEX_LOGS] = {
    [LOG_CLICKS] = {SPAN_INIT("clicks"),
                    {INDEX_CLICKS, INDEX_CLICKS_OF_BIDS, INDEX_CONVERSION_KEYS, INDEX_NUMBERS}},
    [LOG_BIDS] = {SPAN_INIT("bids"),
                  {INDEX_IMPRESSIONS, INDEX_FEEDBACKS, INDEX_AD_FEEDBACKS,
                   INDEX_AD_FEEDBACKS_OF_BIDS}},
    [LOG_EVENTS] = {SPAN_INIT("events"),
                    {INDEX_COLLECT_KEYS, INDEX_NUMBERS, INDEX_NUMBERS, INDEX_NUMBERS}},
    [LOG_VOTES] = {SPAN_INIT("votes"), {INDEX_VOTES, INDEX_NUMBERS, INDEX_NUMBERS, INDEX_NUMBERS}},
};

static const enum index_log_number log_of_index[INDEX_NUMBERS + 1] = {
    [INDEX_CLICKS] = LOG_CLICKS,
    [INDEX_CLICKS_OF_BIDS] = LOG_CLICKS,
    [INDEX_CONVERSION_KEYS] = LOG_CLICKS,
    [INDEX_COLLECT_KEYS] = LOG_EVENTS,
    [INDEX_IMPRESSIONS] = LOG_BIDS,
    [INDEX_FEEDBACKS] = LOG_BIDS,
    [INDEX_AD_FEEDBACKS] = LOG_BIDS,
    [INDEX_AD_FEEDBACKS_OF_BIDS] = LOG_BIDS,
    [INDEX_VOTES] = LOG_VOTES,
    [VOTE_COUNTS] = LOG_VOTES,
};

enum index_log_number index_logs_of(unsigned number)
{
    return log_of_index[number];
}

const struct index_log_kind *index_logs_kind(enum index_log_number which)
{
    return &kinds[which];
}

bool index_logs_open(struct sqlite_store *store)
{
    for (int i = 0; i < INDEX_LOGS; i++) {
        uint64_t identity =
            hash_fingerprint(store->fingerprint_key, kinds[i].name.ptr, kinds[i].name.len);
        if (!index_log_open(&store->logs[i], store->dir.fd, kinds[i].name, identity)) return false;
    }
    return true;
}

void index_logs_close(struct sqlite_store *store)
{
    for (int i = 0; i < INDEX_LOGS; i++)
        index_log_close(&store->logs[i]);
}

void index_logs_note(struct sqlite_store *store)
{
    for (size_t i = 0; i < store->undo_count; i++) {
        const struct undo_entry *entry = &store->undo[i];
        unsigned number = entry->index ? entry->index->number : (unsigned)VOTE_COUNTS;
        struct index_change change = {
            .index = number,
            .words = entry->index ? entry->index->words : 1,
            .key = entry->key,
            .old_value = entry->old_value,
            .new_value = entry->new_value,
        };
        index_log_note(&store->logs[log_of_index[number]], &change);
    }
    store->undo_count = 0;
}

enum err sqlite_row_checksum(struct sqlite_store *store, uint64_t sequence, uint64_t *checksum)
{
    sqlite3_stmt *row = NULL;
    enum err err = db_prepare(store->db, &row,
                              "SELECT checksum FROM click WHERE seq = ?1"
                              " UNION ALL SELECT checksum FROM conversion WHERE seq = ?1"
                              " UNION ALL SELECT checksum FROM server_event WHERE seq = ?1"
                              " UNION ALL SELECT checksum FROM impression WHERE seq = ?1"
                              " UNION ALL SELECT checksum FROM feedback WHERE seq = ?1"
                              " UNION ALL SELECT checksum FROM ad_feedback WHERE seq = ?1"
                              " UNION ALL SELECT checksum FROM vote WHERE seq = ?1");
    if (err) return err;
    sqlite3_bind_int64(row, 1, (int64_t)sequence);
    int code = sqlite3_step(row);
    *checksum = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(row, 0) : 0;
    if (code != SQLITE_ROW) err = code == SQLITE_DONE ? ERR_NOT_FOUND : db_last_err(store->db);
    sqlite3_finalize(row);
    return err;
}

static void write_log(struct sqlite_store *store, int which, struct index_log_mark *mark)
{
    for (int i = 0; i < INDEX_LOG_COUNTS; i++) {
        unsigned number = kinds[which].indexes[i];
        mark->counts[i] = number < INDEX_NUMBERS ? index_count(sqlite_index(store, number)) : 0;
    }
    index_log_write(&store->logs[which], mark);
}

static uint64_t floor_of_log(struct sqlite_store *store, int which)
{
    uint64_t floor = UINT64_MAX;
    for (int i = 0; i < INDEX_LOG_COUNTS; i++) {
        unsigned number = kinds[which].indexes[i];
        if (number < INDEX_NUMBERS && sqlite_index(store, number)->floor < floor)
            floor = sqlite_index(store, number)->floor;
    }
    return floor;
}

static bool is_due(const struct sqlite_store *store, const struct index_log *log, uint64_t events)
{
    return !log->is_off && store->sequence_next > log->begin &&
           (log->part || store->sequence_next - log->begin >= events);
}

void index_logs_write(struct sqlite_store *store, uint64_t events)
{
    bool is_any_due = false;
    for (int i = 0; i < INDEX_LOGS; i++)
        is_any_due = is_any_due || is_due(store, &store->logs[i], events);
    struct index_log_mark mark = {.sequence_next = store->sequence_next};
    if (!is_any_due || !store->db ||
        sqlite_row_checksum(store, store->sequence_next - 1, &mark.row_checksum))
        return;
    memcpy(mark.totals, store->totals.rows, sizeof mark.totals);
    for (int i = 0; i < INDEX_LOGS; i++) {
        if (!is_due(store, &store->logs[i], events)) continue;
        write_log(store, i, &mark);
        index_log_expire(&store->logs[i], floor_of_log(store, i));
    }
}
