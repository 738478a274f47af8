#include "base/clock.h"
#include "base/log.h"
#include "base/uninitialized.h"
#include "store/sqlite/sqlite.h"

#include <string.h>

/* Past this a reader pins the WAL and the operator has to know. */
enum { WAL_PAGES_ALARM = 262144, WAL_ALARM_EVERY = 1000 };

/* Never lower: entries below may be gone already, and a click must not outlive its keys. */
static void raise_floor(struct index *index, uint64_t floor)
{
    if (floor > index->floor) index->floor = floor;
}

static void raise_floors(struct sqlite_store *store, int64_t now_ms)
{
    const struct store_options *options = &store->options;
    now_ms -= FLOOR_MARGIN_MS;
    uint64_t clicks = ages_floor(&store->ages, now_ms - options->click_ttl_ms);
    raise_floor(&store->clicks, clicks);
    raise_floor(&store->conversion_keys, clicks); /* a conversion is younger than its click */
    uint64_t impressions = ages_floor(&store->ages, now_ms - options->impression_ttl_ms);
    raise_floor(&store->clicks_of_bids, impressions);
    raise_floor(&store->impressions, impressions);
    raise_floor(&store->feedbacks, impressions); /* younger than its impression */
    raise_floor(&store->ad_feedbacks, impressions);
    raise_floor(&store->ad_feedbacks_of_bids, impressions);
    raise_floor(&store->collect_keys,
                ages_floor(&store->ages, now_ms - options->collect_dedup_window_ms));
}

int64_t sqlite_forget_time_ms(const struct sqlite_store *store, const struct op *op)
{
    return op->received_at_ms < store->ages.now_ms ? op->received_at_ms : store->ages.now_ms;
}

static bool may_record_events(struct op *const ops[], size_t count)
{
    size_t i = 0;
    while (i < count && ops[i]->kind > OP_VOTE)
        i++;
    return i < count;
}

enum err sqlite_write_age_mark(struct sqlite_store *store)
{
    struct db_binder row = db_row(store->statements[SQL_INSERT_AGE_MARK], SPAN("age_mark"));
    db_bind_i64(&row, (int64_t)store->sequence_next);
    db_bind_i64(&row, store->ages.now_ms);
    totals_bind(&row, &store->totals, TOTAL_EVENTS_COUNT);
    return db_insert(&row);
}

/* While nothing happens the last mark stays: a younger one of the same sequence would take its
 * place, and what is below would never be known to be old. */
static enum err note_age(struct sqlite_store *store, bool may_record)
{
    if (!may_record && ages_last_sequence(&store->ages) == store->sequence_next) return ERR_OK;
    bool is_due = ages_note(&store->ages, store->sequence_next, &store->totals);
    return is_due ? sqlite_write_age_mark(store) : ERR_OK;
}

/* An op that needs a row which cannot be trusted is refused alone: it has read, but not written. */
static enum err record_or_refuse(struct sqlite_store *store, struct op *op,
                                 const struct op_keys *keys)
{
    enum err err = record_op(store, op, keys);
    if (!err && op->outcome == OUTCOME_RECORDED) totals_note_recorded(&store->totals, op->kind);
    if (err != ERR_CORRUPT_ROW) return err;
    op->outcome = OUTCOME_UNAVAILABLE;
    return ERR_OK;
}

static enum err record_ops(struct sqlite_store *store, struct op *const ops[], size_t count)
{
    enum { AHEAD = 32 };
    struct op_keys keys[AHEAD] UNINITIALIZED;
    enum err err = ERR_OK;
    for (size_t first = 0; first < count && !err; first += AHEAD) {
        size_t some = count - first < AHEAD ? count - first : AHEAD;
        for (size_t i = 0; i < some; i++)
            op_keys_make(store, ops[first + i], &keys[i]);
        for (size_t i = 0; i < some && !err; i++)
            err = record_or_refuse(store, ops[first + i], &keys[i]);
    }
    return err;
}

static enum err commit(struct sqlite_store *store)
{
    int64_t began_us = clock_mono_us();
    enum err err = db_run(store->statements[SQL_COMMIT]);
    store->commit_us = clock_mono_us() - began_us;
    return err;
}

static enum err run_batch(struct sqlite_store *store, struct op *const ops[], size_t count)
{
    struct totals before = store->totals;
    enum err err = db_run(store->statements[SQL_BEGIN]);
    if (!err) err = note_age(store, may_record_events(ops, count));
    if (!err) err = record_ops(store, ops, count);
    if (!err) err = batch_rows_insert(store);
    if (!err && memcmp(&before, &store->totals, sizeof before) != 0) err = totals_write(store);
    if (!err) err = commit(store);
    return err;
}

struct batch_mark {
    uint64_t sequence_next;
    struct totals totals;
    struct removed removed;
    uint64_t sessions, recent_clicks;
};

static void refuse_all(struct op *const ops[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ops[i]->outcome = OUTCOME_UNAVAILABLE;
        ops[i]->sequence = 0;
    }
}

/* Takes a failed batch back: rows, index entries, sequence, outcomes. */
static void take_back(struct sqlite_store *store, struct op *const ops[], size_t count,
                      const struct batch_mark *mark)
{
    if (store->db && !sqlite3_get_autocommit(store->db)) db_exec(store->db, "ROLLBACK");
    batch_rows_clear(store->batch_rows);
    undo_all(store);
    window_take_back(store->sessions, mark->sessions);
    window_take_back(store->recent_clicks, mark->recent_clicks);
    store->sequence_next = mark->sequence_next;
    store->totals = mark->totals;
    store->removed = mark->removed;
    refuse_all(ops, count);
}

/* A COMMIT can fail when it is in the WAL already. The connection that made it knows better, but a
 * new one takes it for committed, and the indexes know nothing of its rows: only a new start does.
 */
static enum err check_nothing_came_back(struct sqlite_store *store)
{
    bool same;
    enum err err = totals_are_same(store, &same);
    if (err || same) return err;
    log_event(LOG_ERROR, "failed_batch_came_back",
              LOG_NUMBER("sequence_next", (int64_t)store->sequence_next),
              LOG_TEXT("advice", SPAN("the process ends; start it again: only a start reads what "
                                      "is on the disk")));
    return ERR_SYNC_FAILED;
}

/* A write error can leave a connection that refuses to go on; a new one starts from the file. */
static enum err reopen(struct sqlite_store *store)
{
    statements_finalize(store);
    sqlite3_close(store->db);
    store->db = NULL;
    store->polls_changed = true; /* a put may have come back too */
    enum err err = sqlite_open_connection(store);
    if (!err) err = check_nothing_came_back(store);
    if (!err) err = removed_read(store); /* a removal that came back is no harm */
    if (!err) err = statements_prepare(store);
    if (!err || !store->db) return err;
    statements_finalize(store);
    sqlite3_close(store->db);
    store->db = NULL; /* so that the next batch tries again */
    return err;
}

static enum err recover_connection(struct sqlite_store *store)
{
    enum err err = ERR_OK;
    if (!store->db || !sqlite3_get_autocommit(store->db)) err = reopen(store);
    if (!err && store->polls_changed) err = polls_reload(store);
    return err;
}

static void log_failure(const struct sqlite_store *store, enum err err, size_t count)
{
    log_event(LOG_ERROR, "batch_failed", LOG_TEXT("reason", span_of(err_text(err))),
              LOG_TEXT("detail", span_of(store->db ? sqlite3_errmsg(store->db) : "closed")),
              LOG_NUMBER("ops", (int64_t)count), LOG_TEXT("advice", span_of(err_advice(err))));
}

enum err sqlite_apply(struct store *base, struct op *const ops[], size_t count)
{
    struct sqlite_store *store = sqlite_of(base);
    struct batch_mark mark = {.sequence_next = store->sequence_next,
                              .totals = store->totals,
                              .sessions = window_mark(store->sessions),
                              .recent_clicks = window_mark(store->recent_clicks)};
    store->undo_count = 0;
    ages_pass(&store->ages, clock_wall_ms(), clock_mono_ms());
    enum err err = recover_connection(store);
    mark.removed = store->removed;
    if (!err) {
        raise_floors(store, sqlite_forget_time_ms(store, ops[count - 1]));
        err = run_batch(store, ops, count);
    }
    if (err) {
        log_failure(store, err, count); /* first: taking back makes SQLite forget what went wrong */
        take_back(store, ops, count, &mark);
        return err;
    }
    store->polls_changed = false; /* what was put stands */
    index_logs_note(store);
    err = token_keys_apply(store, ops, count);
    if (err) refuse_all(ops, count); /* they stand, but the process ends: nobody is told */
    return err;
}

static void alarm_if_pinned(struct sqlite_store *store, int wal_pages)
{
    if (wal_pages < WAL_PAGES_ALARM) return;
    if (store->alarms++ % WAL_ALARM_EVERY == 0)
        log_event(LOG_WARN, "wal_is_large", LOG_NUMBER("pages", wal_pages),
                  LOG_TEXT("advice", SPAN("end the oldest reader of adtally.db")));
}

/* What was erased stands in the WAL as it was before, until all of it starts over. A reader that
 * keeps it is waited for, but not here. */
static enum err empty_wal(struct sqlite_store *store)
{
    sqlite3_busy_timeout(store->db, 0);
    int code = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(store->db, DB_BUSY_TIMEOUT_MS);
    if (code == SQLITE_OK) {
        store->wal_pages = store->wal_moved_pages = 0;
        store->wants_empty_wal = false;
    }
    return code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY ? ERR_OK : db_last_err(store->db);
}

/* After the answers: writes what the indexes were told, and moves committed pages from the WAL into
 * the database. PASSIVE never waits for a reader; the WAL starts over when all of it was moved and
 * nobody reads it. */
enum err sqlite_maintain(struct store *base)
{
    struct sqlite_store *store = sqlite_of(base);
    index_logs_write(store, (uint64_t)store->options.index_log_events);
    if (store->wal_pages < store->wal_moved_pages) store->wal_moved_pages = 0; /* started over */
    if (!store->db) return ERR_OK;
    if (store->wants_empty_wal) return empty_wal(store);
    if (store->wal_pages - store->wal_moved_pages < store->options.checkpoint_pages) return ERR_OK;
    int pages, moved_pages; /* -1 after an error */
    int code =
        sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &moved_pages);
    if (pages >= 0) {
        store->wal_pages = pages;
        store->wal_moved_pages = moved_pages;
    }
    alarm_if_pinned(store, store->wal_pages);
    if (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY) return ERR_OK;
    enum err err = db_last_err(store->db);
    log_event(LOG_ERROR, "checkpoint_failed", LOG_TEXT("reason", span_of(err_text(err))),
              LOG_TEXT("advice", span_of(err_advice(err))));
    return err;
}

enum err sqlite_probe(struct store *base)
{
    struct sqlite_store *store = sqlite_of(base);
    enum err err = recover_connection(store);
    return err ? err : db_run(store->statements[SQL_PROBE]);
}
