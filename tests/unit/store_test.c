#include "ops.h"
#include "unit.h"

#include "base/clock.h"
#include "store/store.h"
#include "store_bench.h"

#include <stdio.h>
#include <string.h>

/* The store suite: what store.h promises, against a real engine in a fresh directory per case. */

static const int64_t DAY_MS = 86400000, HOUR_MS = 3600000;

struct clicked {
    char text[UUID_TEXT_LEN];
    struct span id;
};

static void record_click(struct bench *bench, struct clicked *clicked, int64_t at_ms,
                         struct span bid, struct span advertiser)
{
    struct op op = click_op(bid, at_ms);
    op.click.ad.advertiser_id = advertiser;
    assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
    uuid_write(clicked->text, &op.click.id);
    clicked->id = (struct span){clicked->text, UUID_TEXT_LEN};
}

static struct op conversion_op(struct span click, struct span key, struct span order)
{
    return (struct op){
        .kind = OP_CONVERSION,
        .received_at_ms = now_ms,
        .conversion = {.sender = some_sender,
                       .click_id = click,
                       .event_type = SPAN("purchase_completed"),
                       .idempotency_key = key,
                       .order_id = order,
                       .check_order = true,
                       .conversion_time = SPAN("2026-09-21T14:13:20Z"),
                       .conversion_time_ms = now_ms,
                       .conversion_value = SPAN("49.99"),
                       .value = {49, 990000000},
                       .currency = SPAN("USD"),
                       .channel = SPAN("server")},
    };
}

static void conversion_counts_once_by_each_layer(void **state)
{
    struct bench *bench = *state;
    struct clicked click;
    record_click(bench, &click, now_ms, SPAN("bid"), SPAN_NONE);
    struct op first = conversion_op(click.id, SPAN("k1"), SPAN("o1"));
    assert_int_equal(apply_one(bench, &first), OUTCOME_RECORDED);
    for (int round = 0; round < 2; round++) {
        struct op same_key = conversion_op(click.id, SPAN("k1"), SPAN("o2"));
        assert_int_equal(apply_one(bench, &same_key), OUTCOME_DUPLICATE);
        assert_int_equal(same_key.sequence, first.sequence);
        struct op same_order = conversion_op(click.id, SPAN("k2"), SPAN("o1"));
        assert_int_equal(apply_one(bench, &same_order), OUTCOME_DUPLICATE);
        assert_int_equal(same_order.sequence, first.sequence);
        struct op as_event_id = conversion_op(click.id, SPAN_NONE, SPAN_NONE);
        as_event_id.conversion.event_id = SPAN("k1"); /* one namespace */
        assert_int_equal(apply_one(bench, &as_event_id), OUTCOME_DUPLICATE);
        reopen_store(bench);
    }
    assert_int_equal(count_findings(bench), 0);
}

static void duplicate_was_refused_does_not_take_its_other_key(void **state)
{
    struct bench *bench = *state;
    struct clicked click;
    record_click(bench, &click, now_ms, SPAN("bid"), SPAN_NONE);
    struct op first = conversion_op(click.id, SPAN("k1"), SPAN("o1"));
    struct op refused = conversion_op(click.id, SPAN("k1"), SPAN("o2"));
    struct op other = conversion_op(click.id, SPAN("k2"), SPAN("o2"));
    assert_int_equal(apply_one(bench, &first), OUTCOME_RECORDED);
    assert_int_equal(apply_one(bench, &refused), OUTCOME_DUPLICATE);
    assert_int_equal(apply_one(bench, &other), OUTCOME_RECORDED);
}

static void keys_are_scoped_by_partner_click_and_event_type(void **state)
{
    struct bench *bench = *state;
    struct clicked one, two;
    record_click(bench, &one, now_ms, SPAN("bid"), SPAN_NONE);
    record_click(bench, &two, now_ms, SPAN("bid"), SPAN_NONE);
    struct op op = conversion_op(one.id, SPAN("k"), SPAN("o"));
    assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
    op = conversion_op(two.id, SPAN("k"), SPAN("o"));
    assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
    op = conversion_op(one.id, SPAN("k"), SPAN("o"));
    op.conversion.event_type = SPAN("refund");
    assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
    op = conversion_op(one.id, SPAN("k"), SPAN("o"));
    op.conversion.sender.partner_id = SPAN("other");
    assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
    assert_int_equal(count_findings(bench), 0);
}

/* What count_findings asks a database finds what it is to find. */
static void rows_that_contradict_each_other_are_found(void **state)
{
    static const char *const harms[] = {
        "DELETE FROM click_key",
        "UPDATE conversion_key SET seq = seq + 1000 WHERE layer = 0",
        "UPDATE event_key SET seq = seq + 1000",
        "DELETE FROM bid_key",
        "INSERT INTO vote_count VALUES (1, 'x', 0, 1)",
        "INSERT INTO click SELECT * FROM click",
    };
    struct bench *bench = *state;
    struct clicked click;
    if (!bench->database) return; /* a data file's are in store_damage_test */
    record_click(bench, &click, now_ms, SPAN("bid"), SPAN_NONE);
    struct op conversion = conversion_op(click.id, SPAN("k"), SPAN("o"));
    struct op event = event_op(SPAN("t"), SPAN("e"), now_ms);
    assert_int_equal(apply_one(bench, &conversion), OUTCOME_RECORDED);
    assert_int_equal(apply_one(bench, &event), OUTCOME_RECORDED);
    for (size_t i = 0; i < sizeof harms / sizeof harms[0]; i++) {
        assert_int_equal(database_findings(bench->database), 0);
        database_ask(bench->database, "BEGIN");
        database_ask(bench->database, harms[i]);
        assert_int_not_equal(database_findings(bench->database), 0);
        database_ask(bench->database, "ROLLBACK");
    }
}

static void order_behind_a_header_may_come_twice_and_the_first_stands(void **state)
{
    struct bench *bench = *state;
    struct clicked click;
    record_click(bench, &click, now_ms, SPAN("bid"), SPAN_NONE);
    struct op first = conversion_op(click.id, SPAN("k1"), SPAN("o"));
    struct op second = conversion_op(click.id, SPAN("k2"), SPAN("o"));
    second.conversion.check_order = false;
    assert_int_equal(apply_one(bench, &first), OUTCOME_RECORDED);
    assert_int_equal(apply_one(bench, &second), OUTCOME_RECORDED);
    for (int round = 0; round < 2; round++) {
        struct op fallback = conversion_op(click.id, SPAN_NONE, SPAN("o"));
        assert_int_equal(apply_one(bench, &fallback), OUTCOME_DUPLICATE);
        assert_int_equal(fallback.sequence, first.sequence);
        struct op by_key = conversion_op(click.id, SPAN("k2"), SPAN("o"));
        assert_int_equal(apply_one(bench, &by_key), OUTCOME_DUPLICATE);
        assert_int_equal(by_key.sequence, second.sequence); /* the explicit key's */
        reopen_store(bench);
    }
    assert_int_equal(count_findings(bench), 0);
}

static void without_any_key_each_is_new(void **state)
{
    struct bench *bench = *state;
    struct clicked click;
    record_click(bench, &click, now_ms, SPAN("bid"), SPAN_NONE);
    struct op one = conversion_op(click.id, SPAN_NONE, SPAN_NONE);
    struct op two = one;
    assert_int_equal(apply_one(bench, &one), OUTCOME_RECORDED);
    assert_int_equal(apply_one(bench, &two), OUTCOME_RECORDED);
    assert_int_not_equal(one.sequence, two.sequence);
}

static void click_must_live_have_a_bid_and_be_of_the_advertiser(void **state)
{
    struct bench *bench = *state;
    struct clicked old, alive, without_bid, of_a;
    record_click(bench, &old, now_ms - 90 * DAY_MS - 1, SPAN("b"), SPAN_NONE);
    record_click(bench, &alive, now_ms - 90 * DAY_MS, SPAN("b"), SPAN_NONE);
    record_click(bench, &without_bid, now_ms, SPAN_NONE, SPAN_NONE);
    record_click(bench, &of_a, now_ms, SPAN("b"), SPAN("a"));
    const struct {
        struct span click, advertiser;
        enum outcome outcome;
    } rows[] = {
        {old.id, SPAN_NONE, OUTCOME_NOT_FOUND},
        {alive.id, SPAN_NONE, OUTCOME_RECORDED},
        {without_bid.id, SPAN_NONE, OUTCOME_MISSING_BID},
        {SPAN("11111111-1111-4111-8111-111111111111"), SPAN_NONE, OUTCOME_NOT_FOUND},
        {SPAN("clk_xyz"), SPAN_NONE, OUTCOME_NOT_FOUND},
        {of_a.id, SPAN_NONE, OUTCOME_RECORDED},
        {of_a.id, SPAN("a"), OUTCOME_RECORDED},
        {of_a.id, SPAN("b"), OUTCOME_NOT_FOUND},
        {alive.id, SPAN("a"), OUTCOME_NOT_FOUND},
    };
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            struct op op = conversion_op(rows[i].click, SPAN_NONE, SPAN_NONE);
            op.conversion.sender.advertiser_id = rows[i].advertiser;
            assert_int_equal(apply_one(bench, &op), rows[i].outcome);
        }
        reopen_store(bench);
    }
}

static void copies_in_one_batch_count_once(void **state)
{
    struct bench *bench = *state;
    struct clicked click;
    record_click(bench, &click, now_ms, SPAN("bid"), SPAN_NONE);
    struct op copies[STORE_BATCH_MAX], *ops[STORE_BATCH_MAX];
    for (size_t i = 0; i < STORE_BATCH_MAX; i++) {
        copies[i] = conversion_op(click.id, SPAN("k"), SPAN("o"));
        ops[i] = &copies[i];
    }
    assert_int_equal(store_apply(bench->store, ops, STORE_BATCH_MAX), ERR_OK);
    assert_int_equal(copies[0].outcome, OUTCOME_RECORDED);
    for (size_t i = 1; i < STORE_BATCH_MAX; i++) {
        assert_int_equal(copies[i].outcome, OUTCOME_DUPLICATE);
        assert_int_equal(copies[i].sequence, copies[0].sequence);
    }
}

static void collect_dedup_ends_with_its_window(void **state)
{
    struct bench *bench = *state;
    int64_t window_ms = bench->options.collect_dedup_window_ms;
    struct op first = event_op(SPAN("t"), SPAN("e"), now_ms);
    struct op inside = event_op(SPAN("t"), SPAN("e"), now_ms + window_ms - 1);
    struct op outside = event_op(SPAN("t"), SPAN("e"), now_ms + window_ms);
    struct op again = event_op(SPAN("t"), SPAN("e"), now_ms + window_ms + 1);
    struct op other_tag = event_op(SPAN("t2"), SPAN("e"), now_ms);
    struct op no_id = event_op(SPAN("t"), SPAN_NONE, now_ms);
    assert_int_equal(apply_one(bench, &first), OUTCOME_RECORDED);
    assert_int_equal(apply_one(bench, &inside), OUTCOME_DUPLICATE);
    assert_int_equal(inside.sequence, first.sequence);
    assert_int_equal(apply_one(bench, &outside), OUTCOME_RECORDED);
    assert_int_equal(apply_one(bench, &again), OUTCOME_DUPLICATE);
    assert_int_equal(again.sequence, outside.sequence);
    assert_int_equal(apply_one(bench, &other_tag), OUTCOME_RECORDED);
    assert_int_equal(apply_one(bench, &no_id), OUTCOME_RECORDED);
    assert_int_equal(apply_one(bench, &no_id), OUTCOME_RECORDED);
    assert_int_equal(count_findings(bench), 0);
}

enum { YEAR_DAYS = 365 };

/* Sends `event` at `wall_ms` by a clock that was just set so. */
static enum outcome apply_at(struct bench *bench, struct op *event, int64_t wall_ms)
{
    store_clock_set(wall_ms);
    event->received_at_ms = wall_ms;
    return apply_one(bench, event);
}

static void clock_that_is_set_makes_nothing_forgotten(void **state)
{
    struct bench *bench = *state;
    const int64_t jumps_ms[] = {YEAR_DAYS * DAY_MS, -YEAR_DAYS * DAY_MS, 8 * DAY_MS, -2 * HOUR_MS};
    struct op before = event_op(SPAN("t"), SPAN("before"), now_ms);
    assert_int_equal(apply_one(bench, &before), OUTCOME_RECORDED);
    for (size_t i = 0; i < sizeof jumps_ms / sizeof jumps_ms[0]; i++) {
        char id[16];
        snprintf(id, sizeof id, "during%zu", i);
        struct op during = event_op(SPAN("t"), span_of(id), now_ms);
        int64_t true_ms = now_ms + (int64_t)(i + 1) * DAY_MS;
        store_clock_set(true_ms - DAY_MS);
        store_clock_reach(true_ms);
        assert_int_equal(apply_at(bench, &before, true_ms + jumps_ms[i]), OUTCOME_DUPLICATE);
        assert_int_equal(apply_at(bench, &during, true_ms + jumps_ms[i]), OUTCOME_RECORDED);
        assert_int_equal(apply_at(bench, &during, true_ms), OUTCOME_DUPLICATE);
        assert_int_equal(apply_at(bench, &before, true_ms), OUTCOME_DUPLICATE);
        reopen_store(bench);
        assert_int_equal(apply_at(bench, &during, true_ms), OUTCOME_DUPLICATE);
    }
    struct op set_back = event_op(SPAN("t"), SPAN("during3"), now_ms + 11 * DAY_MS - HOUR_MS);
    assert_int_equal(apply_one(bench, &set_back), OUTCOME_DUPLICATE); /* not two hours too early */
    const struct span forgotten[] = {SPAN("before"), SPAN("during0"), SPAN("during1")};
    for (size_t i = 0; i < sizeof forgotten / sizeof forgotten[0]; i++) { /* and not for ever */
        struct op later = event_op(SPAN("t"), forgotten[i], now_ms + 13 * DAY_MS);
        assert_int_equal(apply_one(bench, &later), OUTCOME_RECORDED);
    }
    assert_int_equal(count_findings(bench), 0);
}

/* So many keys of a click that every part of their index grows, and drops what is old. */
static void fill_conversion_keys(struct bench *bench, struct span click, int64_t at_ms)
{
    enum { BATCHES = 32 };
    static struct op ops[STORE_BATCH_MAX];
    static char keys[STORE_BATCH_MAX][16];
    struct op *batch[STORE_BATCH_MAX];
    for (int number = 0; number < BATCHES; number++) {
        for (int i = 0; i < STORE_BATCH_MAX; i++) {
            snprintf(keys[i], sizeof keys[i], "fill%d-%d", number, i);
            ops[i] = conversion_op(click, span_of(keys[i]), SPAN_NONE);
            ops[i].received_at_ms = at_ms;
            batch[i] = &ops[i];
        }
        assert_int_equal(store_apply(bench->store, batch, STORE_BATCH_MAX), ERR_OK);
    }
}

static void convert_with_keys(struct bench *bench, struct span click, enum outcome expected)
{
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%d", i);
        struct op op = conversion_op(click, span_of(key), SPAN_NONE);
        assert_int_equal(apply_one(bench, &op), expected);
    }
}

static void clock_that_was_ahead_drops_no_key_of_a_click(void **state)
{
    struct bench *bench = *state;
    struct clicked click, later;
    int64_t ahead_ms = now_ms + YEAR_DAYS * DAY_MS;
    record_click(bench, &click, now_ms, SPAN("bid"), SPAN_NONE);
    convert_with_keys(bench, click.id, OUTCOME_RECORDED);
    store_clock_set(ahead_ms);
    record_click(bench, &later, ahead_ms, SPAN("later"), SPAN_NONE);
    fill_conversion_keys(bench, later.id, ahead_ms);
    store_clock_set(now_ms);
    convert_with_keys(bench, click.id, OUTCOME_DUPLICATE);
}

static void clock_that_is_set_back_brings_no_click_to_life(void **state)
{
    struct bench *bench = *state;
    struct clicked click, later;
    int64_t later_ms = now_ms + 100 * DAY_MS;
    record_click(bench, &click, now_ms, SPAN("bid"), SPAN_NONE);
    convert_with_keys(bench, click.id, OUTCOME_RECORDED);
    struct op next_day = event_op(SPAN("t"), SPAN_NONE, now_ms + DAY_MS);
    assert_int_equal(apply_one(bench, &next_day), OUTCOME_RECORDED);
    record_click(bench, &later, later_ms, SPAN("later"), SPAN_NONE);
    fill_conversion_keys(bench, later.id, later_ms); /* the keys of the first are gone */
    store_clock_set(now_ms);
    convert_with_keys(bench, click.id, OUTCOME_NOT_FOUND);
}

static void bid_has_at_most_100_recorded_clicks(void **state)
{
    struct bench *bench = *state;
    for (int i = 0; i < 100; i++) {
        struct op op = click_op(SPAN("bid"), now_ms + i);
        assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
        if (i == 50) reopen_store(bench);
    }
    for (int round = 0; round < 2; round++) {
        struct op over = click_op(SPAN("bid"), now_ms + 200);
        assert_int_equal(apply_one(bench, &over), OUTCOME_LIMITED);
        struct op other = click_op(SPAN("bid2"), now_ms + 200);
        assert_int_equal(apply_one(bench, &other), OUTCOME_RECORDED);
        reopen_store(bench);
    }
}

/* The cap is a bid's, which may live longer than a click does. */
static void start_counts_the_clicks_of_a_bid_that_outlived_them(void **state)
{
    enum { MINUTE_MS = 60 * 1000 };
    struct bench *bench = *state;
    bench->options.click_ttl_ms = bench->options.collect_dedup_window_ms = MINUTE_MS;
    bench->options.impression_ttl_ms = 60 * MINUTE_MS;
    reopen_store(bench);
    for (int i = 0; i < 100; i++) {
        struct op op = click_op(SPAN("bid"), now_ms - 30 * MINUTE_MS + i);
        assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
    }
    struct op younger = click_op(SPAN("bid2"), now_ms - 20 * MINUTE_MS);
    assert_int_equal(apply_one(bench, &younger), OUTCOME_RECORDED);
    for (int round = 0; round < 2; round++) {
        struct op over = click_op(SPAN("bid"), now_ms);
        assert_int_equal(apply_one(bench, &over), OUTCOME_LIMITED);
        reopen_store(bench);
    }
}

static void write_error_records_nothing_and_passes(void **state)
{
    struct bench *bench = *state;
    struct clicked click;
    enum { OPS = 200 };
    static struct op copies[OPS], *ops[OPS];
    static char keys[OPS][16];
    record_click(bench, &click, now_ms, SPAN("bid"), SPAN_NONE);
    for (size_t i = 0; i < OPS; i++) {
        snprintf(keys[i], sizeof keys[i], "k%zu", i);
        copies[i] = conversion_op(click.id, span_of(keys[i]), span_of(keys[i]));
        ops[i] = &copies[i];
    }
    refuse_writes(bench, 8192);
    enum err err = store_apply(bench->store, ops, OPS);
    enum err probe = store_probe(bench->store);
    allow_writes(bench);
    assert_true(err == ERR_FULL || err == ERR_IO || err == ERR_REFUSED);
    assert_int_not_equal(probe, ERR_OK);
    for (size_t i = 0; i < OPS; i++)
        assert_int_equal(copies[i].outcome, OUTCOME_UNAVAILABLE);
    assert_int_equal(store_probe(bench->store), ERR_OK);
    assert_int_equal(store_apply(bench->store, ops, OPS), ERR_OK);
    for (size_t i = 0; i < OPS; i++)
        assert_int_equal(copies[i].outcome, OUTCOME_RECORDED); /* no key was consumed */
    reopen_store(bench);
    for (size_t i = 0; i < OPS; i++)
        assert_int_equal(apply_one(bench, &copies[i]), OUTCOME_DUPLICATE);
    assert_int_equal(count_findings(bench), 0);
}

static void sequence_goes_on_after_a_restart(void **state)
{
    struct bench *bench = *state;
    struct op first = event_op(SPAN("t"), SPAN_NONE, now_ms);
    struct op second = event_op(SPAN("t"), SPAN_NONE, now_ms);
    assert_int_equal(apply_one(bench, &first), OUTCOME_RECORDED);
    reopen_store(bench);
    assert_int_equal(apply_one(bench, &second), OUTCOME_RECORDED);
    assert_true(second.sequence > first.sequence);
    if (!bench->database) assert_int_equal(second.sequence, first.sequence + 1); /* no leases */
}

static void count_key(const struct api_key *key, void *arg)
{
    int *counts = arg;
    counts[0]++;
    counts[1] += key->revoked_at_ms != 0;
}

static void api_keys_are_unique_and_revoked_once(void **state)
{
    struct bench *bench = *state;
    struct op op = {.kind = OP_KEY_CREATE,
                    .key = {.id = SPAN("abcdefghijkl"),
                            .cls = APIKEY_PARTNER,
                            .label = SPAN("l"),
                            .partner_id = SPAN("p"),
                            .hash = {1, 2, 3},
                            .created_at_ms = now_ms}};
    struct op revoke = {.kind = OP_KEY_REVOKE, .received_at_ms = now_ms, .key_id = op.key.id};
    assert_int_equal(apply_one(bench, &revoke), OUTCOME_NOT_FOUND);
    assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
    op.key.id = SPAN("another-id12");
    assert_int_equal(apply_one(bench, &op), OUTCOME_CONFLICT);
    assert_int_equal(apply_one(bench, &revoke), OUTCOME_RECORDED);
    assert_int_equal(apply_one(bench, &revoke), OUTCOME_RECORDED);
    reopen_store(bench);
    int counts[2] = {0, 0};
    assert_int_equal(store_each_key(bench->store, count_key, counts), ERR_OK);
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], 1);
}

static void token_keys_rotate_and_retire(void **state)
{
    struct bench *bench = *state;
    struct secrets before = *store_secrets(bench->store);
    assert_int_equal(before.token_keys_count, 1);
    struct op rotate = {.kind = OP_TOKEN_KEY_ROTATE,
                        .token_key = {.kid = "newkid00", .created_at_ms = now_ms + 1}};
    struct op retire = {.kind = OP_TOKEN_KEY_RETIRE, .token_key = before.token_keys[0]};
    assert_int_equal(apply_one(bench, &retire), OUTCOME_CONFLICT); /* it mints */
    assert_int_equal(apply_one(bench, &rotate), OUTCOME_RECORDED);
    reopen_store(bench);
    assert_int_equal(store_secrets(bench->store)->token_keys_count, 2);
    assert_int_equal(apply_one(bench, &retire), OUTCOME_RECORDED);
    assert_int_equal(apply_one(bench, &retire), OUTCOME_NOT_FOUND);
    reopen_store(bench);
    const struct secrets *after = store_secrets(bench->store);
    assert_int_equal(after->token_keys_count, 1);
    assert_memory_equal(after->token_keys[0].kid, "newkid00", TOKEN_KID_LEN);
    assert_memory_equal(after->pepper, before.pepper, sizeof before.pepper);
    assert_memory_equal(after->receipt_key, before.receipt_key, sizeof before.receipt_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_CASE(conversion_counts_once_by_each_layer),
        STORE_CASE(duplicate_was_refused_does_not_take_its_other_key),
        STORE_CASE(keys_are_scoped_by_partner_click_and_event_type),
        STORE_CASE(rows_that_contradict_each_other_are_found),
        STORE_CASE(order_behind_a_header_may_come_twice_and_the_first_stands),
        STORE_CASE(without_any_key_each_is_new),
        STORE_CASE(click_must_live_have_a_bid_and_be_of_the_advertiser),
        STORE_CASE(copies_in_one_batch_count_once),
        STORE_CASE(collect_dedup_ends_with_its_window),
        STORE_CASE(clock_that_is_set_makes_nothing_forgotten),
        STORE_CASE(clock_that_was_ahead_drops_no_key_of_a_click),
        STORE_CASE(clock_that_is_set_back_brings_no_click_to_life),
        STORE_CASE(bid_has_at_most_100_recorded_clicks),
        STORE_CASE(start_counts_the_clicks_of_a_bid_that_outlived_them),
        STORE_CASE(write_error_records_nothing_and_passes),
        STORE_CASE(sequence_goes_on_after_a_restart),
        STORE_CASE(api_keys_are_unique_and_revoked_once),
        STORE_CASE(token_keys_rotate_and_retire),
    };
    hash_start();
    now_ms = clock_wall_ms();
    return UNIT_RUN(tests);
}
