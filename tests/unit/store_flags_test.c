#include "unit.h"

#include "base/clock.h"
#include "base/rng.h"
#include "event/flags.h"
#include "store/dedup.h"
#include "store/store.h"
#include "store/window.h"
#include "store_bench.h"
#include "token/hash.h"

/* What the store says of a click beside recording it: flags of double clicks and of clicks whose
 * bid nobody saw. */

static struct op click_op(struct span bid, uint64_t visitor, int64_t at_ms)
{
    uint8_t random[10];
    rng_fill(random, sizeof random);
    return (struct op){.kind = OP_CLICK,
                       .received_at_ms = at_ms,
                       .click = {.id = uuid_make_v7(at_ms, random),
                                 .expires_at_ms = at_ms + 1000,
                                 .ad = {.bid_id = bid, .publisher_id = SPAN("pub")},
                                 .visitor = {.key = visitor, .flags = FLAG_BOT},
                                 .landing_url = SPAN("https://shop.example/"),
                                 .route = SPAN("redirect")}};
}

static struct op impression_op(struct span bid, uint32_t flags)
{
    return (struct op){.kind = OP_IMPRESSION,
                       .received_at_ms = now_ms,
                       .impression = {.ad = {.bid_id = bid, .publisher_id = SPAN("pub")},
                                      .visitor = {.flags = flags},
                                      .route = SPAN("view")}};
}

/* What the store adds to what the loop said. */
static uint32_t flags_of(struct bench *bench, struct span bid, uint64_t visitor, int64_t at_ms)
{
    struct op op = click_op(bid, visitor, at_ms);
    assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
    assert_true(op.click.visitor.flags & FLAG_BOT);
    return op.click.visitor.flags & ~(uint32_t)FLAG_BOT;
}

static void see(struct bench *bench, struct span bid)
{
    struct op op = impression_op(bid, 0);
    assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
}

static void bid_without_impression_is_flagged(void **state)
{
    struct bench *bench = *state;
    see(bench, SPAN("seen"));
    assert_int_equal(flags_of(bench, SPAN("seen"), 1, now_ms), 0);
    assert_int_equal(flags_of(bench, SPAN("unseen"), 2, now_ms), FLAG_NO_IMPRESSION);
    assert_int_equal(flags_of(bench, SPAN_NONE, 3, now_ms), 0);
    reopen_store(bench);
    assert_int_equal(flags_of(bench, SPAN("seen"), 4, now_ms + DOUBLE_CLICK_MS), 0);
}

static void impression_of_the_same_batch_counts(void **state)
{
    struct bench *bench = *state;
    struct op seen = impression_op(SPAN("bid"), 0), click = click_op(SPAN("bid"), 1, now_ms);
    struct op *ops[] = {&seen, &click};
    store_apply(bench->store, ops, 2);
    assert_int_equal(click.outcome, OUTCOME_RECORDED);
    assert_int_equal(click.click.visitor.flags, FLAG_BOT);
}

static void same_visitor_is_double_for_ten_seconds(void **state)
{
    struct bench *bench = *state;
    see(bench, SPAN("a")), see(bench, SPAN("b")), see(bench, SPAN("c")), see(bench, SPAN("d"));
    assert_int_equal(flags_of(bench, SPAN("a"), 7, now_ms), 0);
    assert_int_equal(flags_of(bench, SPAN("b"), 7, now_ms + 9999), FLAG_DOUBLE_CLICK);
    assert_int_equal(flags_of(bench, SPAN("c"), 8, now_ms + 9999), 0);
    assert_int_equal(flags_of(bench, SPAN("d"), 7, now_ms + 19999), 0);
}

static void same_bid_is_double_whoever_clicks(void **state)
{
    struct bench *bench = *state;
    see(bench, SPAN("a"));
    assert_int_equal(flags_of(bench, SPAN("a"), 1, now_ms), 0);
    assert_int_equal(flags_of(bench, SPAN("a"), 2, now_ms + 9999), FLAG_DOUBLE_CLICK);
    assert_int_equal(flags_of(bench, SPAN("a"), 3, now_ms + 19998), FLAG_DOUBLE_CLICK);
    assert_int_equal(flags_of(bench, SPAN("a"), 4, now_ms + 29998), 0);
}

static void clicks_without_bid_are_told_by_their_visitor_alone(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(flags_of(bench, SPAN_NONE, 1, now_ms), 0);
    assert_int_equal(flags_of(bench, SPAN_NONE, 2, now_ms), 0);
    assert_int_equal(flags_of(bench, SPAN_NONE, 1, now_ms), FLAG_DOUBLE_CLICK);
}

static void click_of_a_failed_batch_makes_none_double(void **state)
{
    struct bench *bench = *state;
    see(bench, SPAN("a"));
    struct op failing = click_op(SPAN("a"), 1, now_ms);
    refuse_writes(bench, 0);
    assert_int_equal(apply_one(bench, &failing), OUTCOME_UNAVAILABLE);
    allow_writes(bench);
    assert_int_equal(flags_of(bench, SPAN("a"), 1, now_ms + 1), 0);
    assert_int_equal(flags_of(bench, SPAN("a"), 1, now_ms + 2), FLAG_DOUBLE_CLICK);
}

static void more_clicks_than_are_remembered_lose_flags_alone(void **state)
{
    struct window *window = window_new(10);
    for (uint64_t i = 1; i <= WINDOW_RING_MAX + 1; i++)
        assert_false(window_add(window, i * 0x9e3779b97f4a7c15ULL, 5, i));
    assert_int_equal(window_first_sequence(window), 2);
    assert_true(window_add(window, 3 * 0x9e3779b97f4a7c15ULL, 5, WINDOW_RING_MAX + 2));
    assert_int_equal(window_first_sequence(window), 3);
    assert_false(window_add(window, 1 * 0x9e3779b97f4a7c15ULL, 5, WINDOW_RING_MAX + 3));
    assert_false(window_add(window, 9 * 0x9e3779b97f4a7c15ULL, 15, WINDOW_RING_MAX + 4));
    assert_int_equal(window_first_sequence(window), WINDOW_RING_MAX + 4);
    window_free(window);
}

static void rows_with_flags_are_whole(void **state)
{
    struct bench *bench = *state;
    struct op seen = impression_op(SPAN("a"), FLAG_BOT | FLAG_DATACENTER);
    assert_int_equal(apply_one(bench, &seen), OUTCOME_RECORDED);
    flags_of(bench, SPAN("a"), 1, now_ms);
    flags_of(bench, SPAN("b"), 1, now_ms);
    assert_int_equal(count_findings(bench), 0);
    reopen_store(bench);
    assert_int_equal(count_findings(bench), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_CASE(bid_without_impression_is_flagged),
        STORE_CASE(impression_of_the_same_batch_counts),
        STORE_CASE(same_visitor_is_double_for_ten_seconds),
        STORE_CASE(same_bid_is_double_whoever_clicks),
        STORE_CASE(clicks_without_bid_are_told_by_their_visitor_alone),
        STORE_CASE(click_of_a_failed_batch_makes_none_double),
        cmocka_unit_test(more_clicks_than_are_remembered_lose_flags_alone),
        STORE_CASE(rows_with_flags_are_whole),
    };
    hash_start();
    now_ms = clock_wall_ms();
    return UNIT_RUN(tests);
}
