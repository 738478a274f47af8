#include "ops.h"
#include "unit.h"

#include "base/clock.h"
#include "store/store.h"
#include "store/window.h"
#include "store_bench.h"

/* The store suite, publisher's side: impressions, feedback in both dialects, polls. */

static struct op poll_op(uint32_t options_count)
{
    struct op op = {.kind = OP_POLL_PUT,
                    .received_at_ms = now_ms,
                    .poll = {.id = 123, .question = SPAN("What?"), .options_count = options_count}};
    static const struct poll_option options[] = {
        {{"0", 1}, {"Wedding", 7}}, {{"1", 1}, {"Study", 5}}, {{"2", 1}, {"Workout", 7}}};
    for (uint32_t i = 0; i < options_count; i++)
        op.poll.options[i] = options[i];
    return op;
}

static struct op vote_op(struct span bid, struct span option)
{
    return (struct op){.kind = OP_VOTE,
                       .received_at_ms = now_ms,
                       .vote = {.ad = ad_of(bid), .poll_id = 123, .option_id = option}};
}

static uint64_t votes_of(struct bench *bench, int option)
{
    struct op op = {.kind = OP_POLL_RESULTS, .received_at_ms = now_ms, .vote = {.poll_id = 123}};
    assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
    return op.vote.results.votes[option];
}

static void bid_has_one_impression(void **state)
{
    struct bench *bench = *state;
    struct op first = impression_op(SPAN("bid"), now_ms);
    assert_int_equal(apply_one(bench, &first), OUTCOME_RECORDED);
    for (int round = 0; round < 2; round++) {
        struct op again = impression_op(SPAN("bid"), now_ms + 5);
        assert_int_equal(apply_one(bench, &again), OUTCOME_DUPLICATE);
        assert_int_equal(again.sequence, first.sequence);
        reopen_store(bench);
    }
}

static void feedback_needs_an_impression_and_counts_once(void **state)
{
    struct bench *bench = *state;
    int64_t ttl_ms = bench->options.impression_ttl_ms;
    struct op op = feedback_op(SPAN("bid"), SPAN("positive"), now_ms);
    assert_int_equal(apply_one(bench, &op), OUTCOME_NOT_FOUND);
    struct op impression = impression_op(SPAN("bid"), now_ms);
    apply_one(bench, &impression);
    struct op late = feedback_op(SPAN("bid"), SPAN("positive"), now_ms + ttl_ms + 1);
    assert_int_equal(apply_one(bench, &late), OUTCOME_NOT_FOUND);
    struct op in_time = feedback_op(SPAN("bid"), SPAN("positive"), now_ms + ttl_ms);
    assert_int_equal(apply_one(bench, &in_time), OUTCOME_RECORDED);
    reopen_store(bench);
    struct op second = feedback_op(SPAN("bid"), SPAN("negative"), now_ms);
    assert_int_equal(apply_one(bench, &second), OUTCOME_DUPLICATE);
    assert_int_equal(count_findings(bench), 0);
}

static void ad_feedback_retry_keeps_its_id(void **state)
{
    struct bench *bench = *state;
    struct op up = ad_feedback_op(SPAN("bid"), SPAN("s"), SPAN("thumbs_up"), now_ms);
    struct uuid id = up.ad_feedback.id;
    assert_int_equal(apply_one(bench, &up), OUTCOME_RECORDED);
    reopen_store(bench);
    struct op retry = ad_feedback_op(SPAN("bid"), SPAN("s"), SPAN("thumbs_up"), now_ms);
    assert_int_equal(apply_one(bench, &retry), OUTCOME_DUPLICATE);
    assert_memory_equal(&retry.ad_feedback.id, &id, sizeof id);
    struct op down = ad_feedback_op(SPAN("bid"), SPAN("s"), SPAN("thumbs_down"), now_ms);
    assert_int_equal(apply_one(bench, &down), OUTCOME_RECORDED);
    reopen_store(bench);
    struct op back = ad_feedback_op(SPAN("bid"), SPAN("s"), SPAN("thumbs_up"), now_ms);
    assert_int_equal(apply_one(bench, &back), OUTCOME_RECORDED); /* a mind changed back */
    struct op other = ad_feedback_op(SPAN("bid"), SPAN("s2"), SPAN("thumbs_up"), now_ms);
    assert_int_equal(apply_one(bench, &other), OUTCOME_RECORDED);
    struct op reasoned = ad_feedback_op(SPAN("bid"), SPAN("s"), SPAN("thumbs_up"), now_ms);
    reasoned.ad_feedback.reasons = SPAN("[\"helpful\"]");
    assert_int_equal(apply_one(bench, &reasoned), OUTCOME_RECORDED);
}

static void session_has_thirty_a_minute_over_a_restart_and_retries_are_free(void **state)
{
    struct bench *bench = *state;
    char bids[40][16];
    for (int i = 0; i < 30; i++) {
        snprintf(bids[i], sizeof bids[i], "b%d", i);
        struct op op = ad_feedback_op(span_of(bids[i]), SPAN("s"), SPAN("thumbs_up"), now_ms + i);
        assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
        struct op retry =
            ad_feedback_op(span_of(bids[i]), SPAN("s"), SPAN("thumbs_up"), now_ms + i);
        assert_int_equal(apply_one(bench, &retry), OUTCOME_DUPLICATE);
    }
    for (int round = 0; round < 2; round++) {
        struct op over = ad_feedback_op(SPAN("more"), SPAN("s"), SPAN("thumbs_up"), now_ms + 100);
        assert_int_equal(apply_one(bench, &over), OUTCOME_LIMITED);
        assert_int_equal(over.ad_feedback.retry_after_ms, 60000 - 100);
        reopen_store(bench);
    }
    struct op later = ad_feedback_op(SPAN("more"), SPAN("s"), SPAN("thumbs_up"), now_ms + 60000);
    assert_int_equal(apply_one(bench, &later), OUTCOME_RECORDED);
}

static void bid_has_at_most_100_ad_feedbacks(void **state)
{
    struct bench *bench = *state;
    char session[16];
    for (int i = 0; i <= 100; i++) {
        snprintf(session, sizeof session, "s%d", i);
        struct op op = ad_feedback_op(SPAN("bid"), span_of(session), SPAN("thumbs_up"), now_ms);
        assert_int_equal(apply_one(bench, &op), i < 100 ? OUTCOME_RECORDED : OUTCOME_LIMITED);
    }
}

static void bid_votes_once_and_counts_are_exact(void **state)
{
    struct bench *bench = *state;
    struct op early = vote_op(SPAN("bid"), SPAN("0"));
    assert_int_equal(apply_one(bench, &early), OUTCOME_NOT_FOUND);
    struct op put = poll_op(3);
    assert_int_equal(apply_one(bench, &put), OUTCOME_RECORDED);
    struct op wrong = vote_op(SPAN("bid"), SPAN("9"));
    assert_int_equal(apply_one(bench, &wrong), OUTCOME_BAD_OPTION);
    struct op vote = vote_op(SPAN("bid"), SPAN("1"));
    assert_int_equal(apply_one(bench, &vote), OUTCOME_RECORDED);
    assert_int_equal(vote.vote.results.votes[1], 1);
    assert_true(span_eq(vote.vote.results.poll->options[1].text, SPAN("Study")));
    for (int round = 0; round < 2; round++) {
        struct op again = vote_op(SPAN("bid"), SPAN("0"));
        assert_int_equal(apply_one(bench, &again), OUTCOME_DUPLICATE);
        assert_int_equal(votes_of(bench, 0), 0);
        assert_int_equal(votes_of(bench, 1), 1);
        reopen_store(bench);
    }
    assert_int_equal(count_findings(bench), 0);
}

static void option_with_votes_cannot_be_removed(void **state)
{
    struct bench *bench = *state;
    struct op put = poll_op(3), fewer = poll_op(2), vote = vote_op(SPAN("bid"), SPAN("1"));
    struct op last = vote_op(SPAN("bid2"), SPAN("2"));
    apply_one(bench, &put);
    apply_one(bench, &vote);
    assert_int_equal(apply_one(bench, &fewer), OUTCOME_RECORDED);
    assert_int_equal(votes_of(bench, 1), 1);
    assert_int_equal(apply_one(bench, &last), OUTCOME_BAD_OPTION);
    put = poll_op(3);
    apply_one(bench, &put);
    assert_int_equal(apply_one(bench, &last), OUTCOME_RECORDED);
    reopen_store(bench);
    fewer = poll_op(2);
    assert_int_equal(apply_one(bench, &fewer), OUTCOME_CONFLICT);
    assert_int_equal(votes_of(bench, 2), 1);
}

static void withdrawn_poll_takes_no_votes_and_comes_back_with_a_put(void **state)
{
    struct bench *bench = *state;
    struct op put = poll_op(2), vote = vote_op(SPAN("bid"), SPAN("1"));
    struct op withdraw = {.kind = OP_POLL_WITHDRAW, .received_at_ms = now_ms, .poll = {.id = 123}};
    assert_int_equal(apply_one(bench, &withdraw), OUTCOME_NOT_FOUND);
    apply_one(bench, &put);
    apply_one(bench, &vote);
    assert_int_equal(apply_one(bench, &withdraw), OUTCOME_RECORDED);
    reopen_store(bench);
    struct op late = vote_op(SPAN("bid2"), SPAN("1"));
    assert_int_equal(apply_one(bench, &late), OUTCOME_NOT_FOUND);
    put = poll_op(2);
    apply_one(bench, &put);
    assert_int_equal(apply_one(bench, &late), OUTCOME_RECORDED);
    assert_int_equal(votes_of(bench, 1), 2);
}

/* A batch of everything fails on a full disk; then the same batch passes, as if for the first time.
 */
static void failed_batch_leaves_no_trace(void **state)
{
    struct bench *bench = *state;
    struct op put = poll_op(3), first = vote_op(SPAN("b0"), SPAN("0"));
    apply_one(bench, &put);
    apply_one(bench, &first);
    struct op ops[] = {
        impression_op(SPAN("b1"), now_ms),
        feedback_op(SPAN("b1"), SPAN("positive"), now_ms),
        ad_feedback_op(SPAN("b1"), SPAN("s"), SPAN("thumbs_up"), now_ms),
        vote_op(SPAN("b1"), SPAN("0")),
        poll_op(2),
        vote_op(SPAN("b2"), SPAN("1")),
    };
    enum { OPS = sizeof ops / sizeof ops[0] };
    struct op *batch[OPS];
    for (int i = 0; i < OPS; i++)
        batch[i] = &ops[i];
    refuse_writes(bench, 8192);
    assert_int_not_equal(store_apply(bench->store, batch, OPS), ERR_OK);
    allow_writes(bench);
    assert_int_equal(votes_of(bench, 0), 1);
    struct op third = vote_op(SPAN("b3"), SPAN("2")); /* the put that removed it did not happen */
    assert_int_equal(apply_one(bench, &third), OUTCOME_RECORDED);
    ops[4] = poll_op(3);
    assert_int_equal(store_apply(bench->store, batch, OPS), ERR_OK);
    for (int i = 0; i < OPS; i++)
        assert_int_equal(ops[i].outcome, OUTCOME_RECORDED);
    assert_int_equal(votes_of(bench, 0), 2);
    assert_int_equal(votes_of(bench, 1), 1);
    reopen_store(bench);
    assert_int_equal(votes_of(bench, 0), 2);
    assert_int_equal(count_findings(bench), 0);
}

/* Thirty of a session in a batch that fails are none of its thirty in the minute. */
static void failed_batch_uses_up_no_minute(void **state)
{
    struct bench *bench = *state;
    enum { OPS = WINDOW_EVENTS_MAX };
    struct op ops[OPS], *batch[OPS];
    char bids[OPS][8];
    for (int i = 0; i < OPS; i++) {
        snprintf(bids[i], sizeof bids[i], "w%d", i);
        ops[i] = ad_feedback_op(span_of(bids[i]), SPAN("s"), SPAN("thumbs_up"), now_ms);
        batch[i] = &ops[i];
    }
    refuse_writes(bench, 8192);
    assert_int_not_equal(store_apply(bench->store, batch, OPS), ERR_OK);
    allow_writes(bench);
    assert_int_equal(store_apply(bench->store, batch, OPS), ERR_OK);
    for (int i = 0; i < OPS; i++)
        assert_int_equal(ops[i].outcome, OUTCOME_RECORDED);
}

/* The undo of the batch meets a poll whose options have moved. */
static void failed_batch_with_a_vote_and_a_reordered_poll_is_taken_back(void **state)
{
    struct bench *bench = *state;
    struct op put = poll_op(3), vote = vote_op(SPAN("b1"), SPAN("0")), reorder = poll_op(3);
    assert_int_equal(apply_one(bench, &put), OUTCOME_RECORDED);
    reorder.poll.options[0] = put.poll.options[1];
    reorder.poll.options[1] = put.poll.options[0];
    struct op *ops[] = {&vote, &reorder};
    refuse_writes(bench, 8192);
    assert_int_not_equal(store_apply(bench->store, ops, 2), ERR_OK);
    allow_writes(bench);
    assert_int_equal(votes_of(bench, 0), 0);
    assert_int_equal(apply_one(bench, &vote), OUTCOME_RECORDED);
    assert_int_equal(votes_of(bench, 0), 1);
}

static void count_poll(const struct poll *poll, void *arg)
{
    ++*(int *)arg;
}

static void poll_of_a_failed_batch_never_was(void **state)
{
    struct bench *bench = *state;
    struct op put = poll_op(2), *ops[] = {&put};
    struct op withdraw = {.kind = OP_POLL_WITHDRAW, .received_at_ms = now_ms, .poll = {.id = 123}};
    int polls = 0;
    refuse_writes(bench, 8192);
    assert_int_not_equal(store_apply(bench->store, ops, 1), ERR_OK);
    allow_writes(bench);
    assert_int_equal(apply_one(bench, &withdraw), OUTCOME_NOT_FOUND);
    assert_int_equal(store_each_poll(bench->store, count_poll, &polls), ERR_OK);
    assert_int_equal(polls, 0);
}

static void rows_of_a_wrong_clock_do_not_make_a_start_forget(void **state)
{
    struct bench *bench = *state;
    char bid[16];
    for (int i = 0; i < 30; i++) {
        snprintf(bid, sizeof bid, "bid%d", i);
        int64_t at_ms = i >= 14 && i < 18 ? 1000 + i : now_ms + i; /* 1970 for a moment */
        struct op op = impression_op(span_of(bid), at_ms);
        assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
    }
    reopen_store(bench);
    struct op again = impression_op(SPAN("bid3"), now_ms + 1000);
    assert_int_equal(apply_one(bench, &again), OUTCOME_DUPLICATE);
}

static void clock_that_was_ahead_does_not_hold_sessions_back(void **state)
{
    struct bench *bench = *state;
    struct op ahead = ad_feedback_op(SPAN("bj"), SPAN("z"), SPAN("thumbs_up"), now_ms + 86400000);
    store_clock_set(ahead.received_at_ms);
    assert_int_equal(apply_one(bench, &ahead), OUTCOME_RECORDED);
    store_clock_set(now_ms);
    for (int round = 0; round < 2; round++) {
        char bid[24];
        for (int i = 0; i < 60; i++) {
            snprintf(bid, sizeof bid, "q%d-%d", round, i);
            struct op op = ad_feedback_op(span_of(bid), SPAN("s"), SPAN("thumbs_up"),
                                          now_ms + (round * 60 + i) * 120000LL);
            assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
        }
        reopen_store(bench);
    }
}

/* A batch that comes late, over the end of a minute, lets nobody have a thirty-first. */
static void minute_counts_from_when_an_event_was_received(void **state)
{
    struct bench *bench = *state;
    char bid[16];
    for (int i = 0; i < WINDOW_EVENTS_MAX; i++) {
        snprintf(bid, sizeof bid, "m%d", i);
        struct op op = ad_feedback_op(span_of(bid), SPAN("s"), SPAN("thumbs_up"), now_ms);
        assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
    }
    struct op early = ad_feedback_op(SPAN("e"), SPAN("s"), SPAN("thumbs_up"), now_ms + 59999);
    struct op late = ad_feedback_op(SPAN("l"), SPAN("s"), SPAN("thumbs_up"), now_ms + 60000);
    pass_time(bench, now_ms + 60500);
    assert_int_equal(apply_one(bench, &early), OUTCOME_LIMITED);
    assert_int_equal(early.ad_feedback.retry_after_ms, 1);
    assert_int_equal(apply_one(bench, &late), OUTCOME_RECORDED);
}

/* Votes of `count` bids from `first` on, in full batches; the milliseconds that took. */
static int64_t vote_many(struct bench *bench, int first, int count)
{
    static struct op votes[STORE_BATCH_MAX], *batch[STORE_BATCH_MAX];
    static char bids[STORE_BATCH_MAX][16];
    int64_t started_ms = clock_mono_ms();
    for (int done = 0; done < count; done += STORE_BATCH_MAX) {
        for (int i = 0; i < STORE_BATCH_MAX; i++) {
            snprintf(bids[i], sizeof bids[i], "v%d", first + done + i);
            votes[i] = vote_op(span_of(bids[i]), SPAN("0"));
            batch[i] = &votes[i];
        }
        assert_int_equal(store_apply(bench->store, batch, STORE_BATCH_MAX), ERR_OK);
        assert_int_equal(store_maintain(bench->store), ERR_OK);
    }
    return clock_mono_ms() - started_ms;
}

static void hundred_thousand_votes_are_exact_and_do_not_slow_a_vote(void **state)
{
    enum { PART = 10 * STORE_BATCH_MAX, PARTS = 10 };
    struct bench *bench = *state;
    struct op put = poll_op(2);
    int64_t first_ms = 0, last_ms = 0;
    assert_int_equal(apply_one(bench, &put), OUTCOME_RECORDED);
    for (int part = 0; part < PARTS; part++) {
        last_ms = vote_many(bench, part * PART, PART);
        if (part == 0) first_ms = last_ms;
    }
    assert_int_equal(votes_of(bench, 0), PART * PARTS);
    /* Work that grew with the votes would take ten times as long and more; a busy machine does not.
     */
    assert_true(last_ms <= 5 * first_ms + 200);
    reopen_store(bench);
    assert_int_equal(votes_of(bench, 0), PART * PARTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_CASE(bid_has_one_impression),
        STORE_CASE(feedback_needs_an_impression_and_counts_once),
        STORE_CASE(ad_feedback_retry_keeps_its_id),
        STORE_CASE(session_has_thirty_a_minute_over_a_restart_and_retries_are_free),
        STORE_CASE(bid_has_at_most_100_ad_feedbacks),
        STORE_CASE(bid_votes_once_and_counts_are_exact),
        STORE_CASE(hundred_thousand_votes_are_exact_and_do_not_slow_a_vote),
        STORE_CASE(option_with_votes_cannot_be_removed),
        STORE_CASE(withdrawn_poll_takes_no_votes_and_comes_back_with_a_put),
        STORE_CASE(failed_batch_leaves_no_trace),
        STORE_CASE(failed_batch_uses_up_no_minute),
        STORE_CASE(failed_batch_with_a_vote_and_a_reordered_poll_is_taken_back),
        STORE_CASE(poll_of_a_failed_batch_never_was),
        STORE_CASE(rows_of_a_wrong_clock_do_not_make_a_start_forget),
        STORE_CASE(clock_that_was_ahead_does_not_hold_sessions_back),
        STORE_CASE(minute_counts_from_when_an_event_was_received),
    };
    hash_start();
    now_ms = clock_wall_ms();
    return UNIT_RUN(tests);
}
