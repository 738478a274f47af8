#include "store/postgres/batch.h"

#include "base/assert.h"

/* The publisher's side: impressions, both kinds of feedback, votes. The same outcomes as
 * store/sqlite/record_publisher.c and polls.c. */

static void finish(struct batch_op *op, enum outcome outcome, uint64_t sequence)
{
    op->op->outcome = outcome;
    op->op->sequence = sequence;
}

/* The bid's one event of this kind. */
static void take_bid(struct pg_store *store, struct batch_op *op, struct batch_key *key,
                     int64_t recorded_at_ms)
{
    key->seq = batch_record(store, op);
    key->recorded_at_ms = recorded_at_ms;
    batch_add_row(store->batch, key, op, 0);
}

static void decide_impression(struct pg_store *store, struct batch_op *op)
{
    int64_t happened_at_ms = op->op->happened_at_ms;
    bool is_too_old =
        happened_at_ms && op->time_ms - happened_at_ms > store->options.impression_ttl_ms;
    if (op->impression->seq)
        finish(op, OUTCOME_DUPLICATE, op->impression->seq);
    else if (is_too_old)
        finish(op, OUTCOME_NOT_FOUND, 0); /* nothing could refer to it */
    else
        take_bid(store, op, op->impression, happened_at_ms ? happened_at_ms : op->time_ms);
}

static void decide_feedback(struct pg_store *store, struct batch_op *op)
{
    const struct batch_key *impression = op->impression;
    int64_t age_ms = op->time_ms - impression->recorded_at_ms;
    if (!impression->seq || age_ms > store->options.impression_ttl_ms) {
        finish(op, OUTCOME_NOT_FOUND, 0);
    } else if (op->bid->seq) {
        finish(op, OUTCOME_DUPLICATE, op->bid->seq);
    } else {
        op->link = impression->seq;
        take_bid(store, op, op->bid, op->time_ms);
    }
}

/* -- feedback on an ad --------------------------------------------------------------------- */

/* 0: the session may have one more. Else the milliseconds after which it may: slot n + 1 waits for
 * the one that is as many before it as a minute takes. */
static int64_t check_session(const struct batch_key *key, int64_t time_ms)
{
    int64_t slot = key->session.slot + 1;
    if (slot <= WINDOW_EVENTS_MAX) return 0;
    int64_t free_at_ms = key->session.times_ms[slot % WINDOW_EVENTS_MAX] + WINDOW_MS;
    return free_at_ms > time_ms ? free_at_ms - time_ms : 0;
}

static void take_session(struct pg_store *store, struct batch_op *op)
{
    struct batch_key *key = op->session;
    int64_t slot = ++key->session.slot;
    key->session.times_ms[slot % WINDOW_EVENTS_MAX] = op->time_ms;
    batch_add_row(store->batch, key, op, slot);
}

static void take_ad_feedback(struct pg_store *store, struct batch_op *op)
{
    struct batch_key *rating = op->rating;
    uint64_t sequence = batch_record(store, op);
    op->bid->seq = sequence;
    batch_add_row(store->batch, op->bid, op, ++op->bid->count);
    rating->seq = sequence;
    rating->rating.slot = op->bid->count;
    rating->rating.digest = (struct span){op->digest, sizeof op->digest};
    rating->rating.id = op->op->ad_feedback.id;
    take_session(store, op);
}

static void decide_new_ad_feedback(struct pg_store *store, struct batch_op *op)
{
    struct ad_feedback *feedback = &op->op->ad_feedback;
    feedback->retry_after_ms = check_session(op->session, op->time_ms);
    if (!feedback->retry_after_ms && op->bid->count >= LIMIT_AD_FEEDBACKS_PER_BID_COUNT)
        feedback->retry_after_ms = store->options.impression_ttl_ms;
    if (feedback->retry_after_ms)
        finish(op, OUTCOME_LIMITED, 0);
    else
        take_ad_feedback(store, op);
}

/* Where the session's latest on this bid says the same, that one stands. */
static void decide_ad_feedback(struct pg_store *store, struct batch_op *op)
{
    const struct batch_key *latest = op->rating;
    struct span digest = {op->digest, sizeof op->digest};
    if (!latest->seq || !span_eq(latest->rating.digest, digest)) {
        decide_new_ad_feedback(store, op);
        return;
    }
    op->op->ad_feedback.id = latest->rating.id;
    finish(op, OUTCOME_DUPLICATE, latest->seq);
}

/* -- polls --------------------------------------------------------------------------------- */

static void copy_results(struct vote *vote, const struct batch_key *poll)
{
    vote->results.poll = poll->poll.poll;
    for (int i = 0; i < POLL_OPTIONS_MAX; i++)
        vote->results.votes[i] = poll->poll.votes[i] + poll->poll.added[i];
}

static void decide_vote(struct pg_store *store, struct batch_op *op)
{
    struct batch_key *poll = op->poll;
    int option = poll->poll.poll ? poll_find_option(poll->poll.poll, op->op->vote.option_id) : -1;
    if (!poll->poll.poll) {
        finish(op, OUTCOME_NOT_FOUND, 0);
    } else if (option < 0) {
        finish(op, OUTCOME_BAD_OPTION, 0);
    } else if (op->bid->seq) {
        finish(op, OUTCOME_DUPLICATE, op->bid->seq);
    } else {
        take_bid(store, op, op->bid, op->time_ms);
        poll->poll.added[option]++;
        copy_results(&op->op->vote, poll);
    }
}

static void decide_results(struct batch_op *op)
{
    finish(op, op->poll->poll.poll ? OUTCOME_RECORDED : OUTCOME_NOT_FOUND, 0);
    if (op->poll->poll.poll) copy_results(&op->op->vote, op->poll);
}

void decide_publisher_op(struct pg_store *store, struct batch_op *op)
{
    switch (op->op->kind) {
    case OP_IMPRESSION:
        decide_impression(store, op);
        break;
    case OP_FEEDBACK:
        decide_feedback(store, op);
        break;
    case OP_AD_FEEDBACK:
        decide_ad_feedback(store, op);
        break;
    case OP_VOTE:
        decide_vote(store, op);
        break;
    default:
        ASSERT(op->op->kind == OP_POLL_RESULTS);
        decide_results(op);
        break;
    }
}
