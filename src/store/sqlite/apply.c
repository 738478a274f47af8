#include "base/log.h"
#include "store/sqlite/sqlite.h"

#include <string.h>

/* Past this a reader pins the WAL and the operator has to know. */
enum { WAL_PAGES_ALARM = 262144, WAL_ALARM_EVERY = 1000 };

static void raise_floors(struct sqlite_store *store, int64_t now_ms)
{
    const struct store_options *options = &store->options;
    now_ms -= FLOOR_MARGIN_MS;
    uint64_t clicks = ages_floor(&store->ages, now_ms - options->click_ttl_ms);
    store->clicks.floor = clicks;
    store->conversion_keys.floor = clicks; /* a conversion is younger than its click */
    uint64_t impressions = ages_floor(&store->ages, now_ms - options->impression_ttl_ms);
    store->clicks_of_bids.floor = impressions;
    store->impressions.floor = impressions;
    store->feedbacks.floor = impressions; /* younger than its impression */
    store->ad_feedbacks.floor = impressions;
    store->ad_feedbacks_of_bids.floor = impressions;
    store->collect_keys.floor = ages_floor(&store->ages, now_ms - options->collect_dedup_window_ms);
}

static enum err note_age(struct sqlite_store *store, int64_t now_ms)
{
    struct age_mark mark = {now_ms, store->sequence_next, store->totals};
    if (!ages_note(&store->ages, &mark)) return ERR_OK;
    struct db_binder row = db_row(store->statements[SQL_INSERT_AGE_MARK], SPAN("age_mark"));
    db_bind_i64(&row, (int64_t)store->sequence_next);
    db_bind_i64(&row, now_ms);
    totals_bind(&row, &store->totals, TOTAL_EVENTS_COUNT);
    return db_insert(&row);
}

/* An op that needs a row which cannot be trusted is refused alone: it has read, but not written. */
static enum err record_or_refuse(struct sqlite_store *store, struct op *op)
{
    enum err err = record_op(store, op);
    if (!err && op->outcome == OUTCOME_RECORDED) totals_note_recorded(&store->totals, op->kind);
    if (err != ERR_CORRUPT_ROW) return err;
    op->outcome = OUTCOME_UNAVAILABLE;
    return ERR_OK;
}

static enum err run_batch(struct sqlite_store *store, struct op *const ops[], size_t count)
{
    struct totals before = store->totals;
    enum err err = db_run(store->statements[SQL_BEGIN]);
    if (!err) err = note_age(store, ops[count - 1]->received_at_ms);
    for (size_t i = 0; i < count && !err; i++)
        err = record_or_refuse(store, ops[i]);
    if (!err && memcmp(&before, &store->totals, sizeof before) != 0) err = totals_write(store);
    if (!err) err = db_run(store->statements[SQL_COMMIT]);
    return err;
}

struct batch_mark {
    uint64_t sequence_next;
    struct totals totals;
    uint64_t sessions;
};

/* Takes a failed batch back: rows, index entries, sequence, outcomes. */
static void take_back(struct sqlite_store *store, struct op *const ops[], size_t count,
                      const struct batch_mark *mark)
{
    if (store->db && !sqlite3_get_autocommit(store->db)) db_exec(store->db, "ROLLBACK");
    undo_all(store);
    window_take_back(store->sessions, mark->sessions);
    store->sequence_next = mark->sequence_next;
    store->totals = mark->totals;
    for (size_t i = 0; i < count; i++) {
        ops[i]->outcome = OUTCOME_UNAVAILABLE;
        ops[i]->sequence = 0;
    }
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
              LOG_NUMBER("sequence_next", (int64_t)store->sequence_next));
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
              LOG_NUMBER("ops", (int64_t)count));
}

enum err sqlite_apply(struct store *base, struct op *const ops[], size_t count)
{
    struct sqlite_store *store = sqlite_of(base);
    struct batch_mark mark = {store->sequence_next, store->totals, window_mark(store->sessions)};
    store->undo_count = 0;
    enum err err = recover_connection(store);
    if (!err) {
        raise_floors(store, ops[count - 1]->received_at_ms);
        err = run_batch(store, ops, count);
    }
    if (err) {
        log_failure(store, err, count); /* first: taking back makes SQLite forget what went wrong */
        take_back(store, ops, count, &mark);
        return err;
    }
    store->polls_changed = false; /* what was put stands */
    return token_keys_apply(store, ops, count);
}

static void alarm_if_pinned(struct sqlite_store *store, int wal_pages)
{
    if (wal_pages < WAL_PAGES_ALARM) return;
    if (store->alarms++ % WAL_ALARM_EVERY == 0)
        log_event(LOG_WARN, "wal_is_large", LOG_NUMBER("pages", wal_pages),
                  LOG_TEXT("advice", SPAN("end the oldest reader of adtally.db")));
}

/* After the answers: moves committed pages from the WAL into the database. PASSIVE never waits for
 * a reader; the WAL starts over when all of it was moved and nobody reads it. */
enum err sqlite_maintain(struct store *base)
{
    struct sqlite_store *store = sqlite_of(base);
    if (store->wal_pages < store->wal_moved_pages) store->wal_moved_pages = 0; /* started over */
    if (!store->db) return ERR_OK;
    if (store->wal_pages - store->wal_moved_pages < store->options.checkpoint_pages) return ERR_OK;
    int code = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                         &store->wal_pages, &store->wal_moved_pages);
    alarm_if_pinned(store, store->wal_pages);
    if (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY) return ERR_OK;
    enum err err = db_last_err(store->db);
    log_event(LOG_ERROR, "checkpoint_failed", LOG_TEXT("reason", span_of(err_text(err))));
    return err;
}

enum err sqlite_probe(struct store *base)
{
    struct sqlite_store *store = sqlite_of(base);
    enum err err = recover_connection(store);
    return err ? err : db_run(store->statements[SQL_PROBE]);
}
