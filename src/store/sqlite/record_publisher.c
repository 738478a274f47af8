#include "base/assert.h"
#include "base/limits.h"
#include "store/sqlite/sqlite.h"

/* The publisher's side of the ledger: impressions and both kinds of feedback. */

static enum err finish(struct op *op, enum outcome outcome, uint64_t sequence)
{
    op->outcome = outcome;
    op->sequence = sequence;
    return ERR_OK;
}

static enum err finish_recorded(struct sqlite_store *store, struct op *op)
{
    return finish(op, OUTCOME_RECORDED, store->sequence_next++);
}

static enum err record_impression(struct sqlite_store *store, struct op *op,
                                  const struct op_keys *keys)
{
    uint64_t holder;
    struct span bid_id = op->impression.ad.bid_id;
    enum err err = dedup_find_by_bid(store, &store->impressions, SQL_IMPRESSION_BID, &keys->bid,
                                     bid_id, &holder);
    if (err) return err;
    if (holder) return finish(op, OUTCOME_DUPLICATE, holder);
    bool is_too_old = op->happened_at_ms &&
                      op->received_at_ms - op->happened_at_ms > store->options.impression_ttl_ms;
    if (is_too_old) return finish(op, OUTCOME_NOT_FOUND, 0); /* nothing could refer to it */
    batch_rows_add(store, op, store->sequence_next, 0);
    err =
        undoable_add(store, &store->impressions, &keys->bid, INDEX_VALUE(store->sequence_next, 0));
    return err ? err : finish_recorded(store, op);
}

/* The impression that a feedback names, 0 when there is none young enough. */
static enum err find_impression(struct sqlite_store *store, const struct op *op,
                                const struct op_keys *keys, uint64_t *sequence)
{
    sqlite3_stmt *row = store->statements[SQL_IMPRESSION_BY_SEQ];
    enum err err = dedup_find_by_bid(store, &store->impressions, SQL_IMPRESSION_BID, &keys->bid,
                                     op->feedback.bid_id, sequence);
    if (err || !*sequence) return err;
    err = statements_read_row(store, SQL_IMPRESSION_BY_SEQ, *sequence);
    int64_t age_ms = op->received_at_ms - sqlite3_column_int64(row, 0);
    if (!err && age_ms > store->options.impression_ttl_ms) *sequence = 0;
    sqlite3_reset(row);
    return err;
}

static enum err record_feedback(struct sqlite_store *store, struct op *op,
                                const struct op_keys *keys)
{
    uint64_t impression, holder;
    struct span bid_id = op->feedback.bid_id;
    enum err err = find_impression(store, op, keys, &impression);
    if (err) return err;
    if (!impression) return finish(op, OUTCOME_NOT_FOUND, 0);
    err =
        dedup_find_by_bid(store, &store->feedbacks, SQL_FEEDBACK_BID, &keys->bid, bid_id, &holder);
    if (err) return err;
    if (holder) return finish(op, OUTCOME_DUPLICATE, holder);
    batch_rows_add(store, op, store->sequence_next, impression);
    err = undoable_add(store, &store->feedbacks, &keys->bid, INDEX_VALUE(store->sequence_next, 0));
    return err ? err : finish_recorded(store, op);
}

static bool says_the_same(sqlite3_stmt *row, const struct ad_feedback *feedback)
{
    return span_eq(db_column_text(row, 0), feedback->sentiment) &&
           span_eq(db_column_text(row, 1), feedback->reasons) &&
           span_eq(db_column_text(row, 2), feedback->comment) &&
           span_eq(db_column_text(row, 3), feedback->sent_placement) &&
           span_eq(db_column_text(row, 4), feedback->sent_placement_id) &&
           span_eq(db_column_text(row, 5), feedback->sent_user_id);
}

/* Whether the latest says the same; then feedback->id becomes the one that stands. */
static enum err check_retry(struct sqlite_store *store, struct ad_feedback *feedback,
                            uint64_t latest, bool *is_retry)
{
    sqlite3_stmt *row = store->statements[SQL_AD_FEEDBACK_BY_SEQ];
    *is_retry = false;
    if (!latest) return ERR_OK;
    enum err err = statements_read_row(store, SQL_AD_FEEDBACK_BY_SEQ, INDEX_SEQUENCE(latest));
    *is_retry = !err && says_the_same(row, feedback);
    if (*is_retry && !uuid_read(&feedback->id, db_column_text(row, 6))) err = ERR_CORRUPT;
    sqlite3_reset(row);
    return err;
}

static enum err index_ad_feedback(struct sqlite_store *store, const struct ad_feedback *feedback,
                                  const struct index_key *key, uint64_t latest)
{
    uint64_t value = INDEX_VALUE(store->sequence_next, 0);
    if (!latest) return undoable_add(store, &store->ad_feedbacks, key, value);
    undoable_replace(store, &store->ad_feedbacks, key, latest, value);
    return ERR_OK;
}

/* A minute is one, however the wall clock is set. Loops stamp a little out of order, and a batch
 * may come late: each counts from when it was received. */
static int64_t pass_sessions_time(struct sqlite_store *store, int64_t received_at_ms)
{
    int64_t time_ms = ages_time_of(&store->ages, received_at_ms);
    if (time_ms > store->sessions_now_ms) store->sessions_now_ms = time_ms;
    return store->sessions_now_ms;
}

static enum err record_new_ad_feedback(struct sqlite_store *store, struct op *op,
                                       const struct op_keys *keys, uint64_t latest)
{
    struct ad_feedback *feedback = &op->ad_feedback;
    struct index *of_bids = &store->ad_feedbacks_of_bids;
    int64_t now_ms = pass_sessions_time(store, op->received_at_ms);
    uint64_t session = keys->session.word[0], count_value;
    uint8_t count;
    feedback->retry_after_ms = window_check(store->sessions, session, now_ms);
    if (feedback->retry_after_ms) return finish(op, OUTCOME_LIMITED, 0);
    enum err err = dedup_count_of_bid(store, of_bids, SQL_AD_FEEDBACK_BID, &keys->bid,
                                      feedback->ad.bid_id, &count, &count_value);
    if (err) return err;
    feedback->retry_after_ms = store->options.impression_ttl_ms;
    if (count >= LIMIT_AD_FEEDBACKS_PER_BID_COUNT) return finish(op, OUTCOME_LIMITED, 0);
    batch_rows_add(store, op, store->sequence_next, 0);
    err = index_ad_feedback(store, feedback, &keys->dedup[0], latest);
    if (!err)
        err = dedup_count_up(store, of_bids, &keys->bid, count, count_value, store->sequence_next);
    if (!err && !window_note(store->sessions, session, now_ms)) err = ERR_NO_MEMORY;
    return err ? err : finish_recorded(store, op);
}

static enum err record_ad_feedback(struct sqlite_store *store, struct op *op,
                                   const struct op_keys *keys)
{
    uint64_t latest;
    bool is_retry;
    enum err err = dedup_find_latest(store, &op->ad_feedback, &keys->dedup[0], &latest);
    if (!err) err = check_retry(store, &op->ad_feedback, latest, &is_retry);
    if (err) return err;
    if (is_retry) return finish(op, OUTCOME_DUPLICATE, INDEX_SEQUENCE(latest));
    return record_new_ad_feedback(store, op, keys, latest);
}

enum err record_publisher_op(struct sqlite_store *store, struct op *op, const struct op_keys *keys)
{
    switch (op->kind) {
    case OP_IMPRESSION:
        return record_impression(store, op, keys);
    case OP_FEEDBACK:
        return record_feedback(store, op, keys);
    default:
        ASSERT(op->kind == OP_AD_FEEDBACK);
        return record_ad_feedback(store, op, keys);
    }
}
