#include "batches.h"

#include "base/clock.h"
#include "token/hash.h"

/* What is taken out of a database: of a person, and what is too old. Everything else stays, whole
 * and known. */

static char click_id[UUID_TEXT_LEN];

static struct op erase_op(enum op_kind table, const uint64_t *rows, uint32_t count)
{
    static const uint8_t key[ERASE_KEY_SIZE] = {1, 2, 3};
    return (struct op){.kind = OP_ERASE,
                       .erase = {.table = table, .rows = rows, .rows_count = count, .key = key}};
}

static void person_is_erased_and_rows_stay_whole(void **state)
{
    struct store *store = open_lane();
    struct op rating = ad_feedback_op(SPAN("bid"), SPAN("session")), event = event_op(SPAN("e"));
    event.server_event.consent = SPAN("{\"a\":1}");
    rating.ad_feedback.ad.user_id = SPAN("user");
    struct op *both[] = {&rating, &event};
    assert_int_equal(store_apply(store, both, 2), ERR_OK);
    uint64_t rows[] = {rating.sequence, 999999999};
    for (int round = 0; round < 2; round++) { /* what is erased is whole, so it can be again */
        struct op erase = erase_op(OP_AD_FEEDBACK, rows, 2);
        assert_int_equal(apply_one(store, &erase), OUTCOME_RECORDED);
        assert_int_equal(erase.erase.erased_count, 1);
    }
    struct op erase = erase_op(OP_SERVER_EVENT, &event.sequence, 1);
    assert_int_equal(apply_one(store, &erase), OUTCOME_RECORDED);
    assert_int_equal(erase.erase.erased_count, 1);
    assert_int_equal(base_number(url, "SELECT count(*) FROM ad_feedback WHERE comment IS NULL AND"
                                      " user_id IS NULL AND sent_session_id LIKE 'erased:%'"),
                     1);
    assert_int_equal(base_number(url, "SELECT count(*) FROM server_event WHERE params = '{}' AND"
                                      " consent IS NULL"),
                     1);
    assert_int_equal(base_number(url, "SELECT count(*) FROM bid_key WHERE detail IS NOT NULL"), 0);
    base_run(url, "UPDATE server_event SET channel = 'other'"); /* damaged: left as it is */
    erase = erase_op(OP_SERVER_EVENT, &event.sequence, 1);
    assert_int_equal(apply_one(store, &erase), OUTCOME_RECORDED);
    assert_int_equal(erase.erase.erased_count, 0);
    store_close(store);
}

static void days_past_their_time_are_removed(void **state)
{
    enum { DAYS = 400 };
    struct store *store = open_lane();
    struct op old = event_op(SPAN("old")), young = event_op(SPAN("young"));
    old.received_at_ms -= DAYS * DAY_MS;
    assert_int_equal(apply_one(store, &old), OUTCOME_RECORDED);
    assert_int_equal(apply_one(store, &young), OUTCOME_RECORDED);
    struct op retain = {.kind = OP_RETAIN, .retain.rows_max = 10}; /* at once, of every kind */
    assert_int_equal(apply_one(store, &retain), OUTCOME_RECORDED);
    assert_int_equal(retain.retain.removed_count, 0); /* no day is over yet */
    assert_int_equal(base_number(url, "SELECT count(*) FROM server_event"), 2);
    store_close(store);
}

enum { KINDS = EVENT_TABLES };

/* One of everything, of one bid, in the order of enum op_kind. */
static void make_all(struct op ops[KINDS], struct span click, int days_ago)
{
    ops[OP_CLICK] = click_op(SPAN("bid"));
    ops[OP_CONVERSION] = conversion_op(click, SPAN("key"), SPAN("order"));
    ops[OP_SERVER_EVENT] = event_op(SPAN("event"));
    ops[OP_IMPRESSION] = impression_op(SPAN("bid"));
    ops[OP_FEEDBACK] = feedback_op(SPAN("bid"));
    ops[OP_AD_FEEDBACK] = ad_feedback_op(SPAN("bid"), SPAN("session"));
    ops[OP_VOTE] = vote_op(SPAN("bid"), SPAN("1"));
    for (int kind = 0; kind < KINDS; kind++)
        ops[kind].received_at_ms -= days_ago * DAY_MS;
}

static void record_all(struct store *store, struct op ops[KINDS])
{
    static const enum op_kind order[KINDS] = {OP_CLICK,      OP_CONVERSION, OP_SERVER_EVENT,
                                              OP_IMPRESSION, OP_FEEDBACK,   OP_AD_FEEDBACK,
                                              OP_VOTE};
    struct uuid id = fresh_id();
    uuid_write(click_id, &id);
    make_all(ops, (struct span){click_id, sizeof click_id}, 9);
    ops[OP_CLICK].click.id = id;
    for (int i = 0; i < KINDS; i++)
        assert_int_equal(apply_one(store, &ops[order[i]]), OUTCOME_RECORDED);
}

/* Whatever became of the rows: nothing counts again, and what stands is named. */
static void check_all_known(struct store *store, const struct op recorded[KINDS])
{
    struct op ops[KINDS];
    make_all(ops, (struct span){click_id, sizeof click_id}, 0);
    for (int kind = OP_CONVERSION; kind < KINDS; kind++) { /* a click is always another one */
        assert_int_equal(apply_one(store, &ops[kind]), OUTCOME_DUPLICATE);
        assert_int_equal(ops[kind].sequence, recorded[kind].sequence);
    }
    struct op results = vote_op(SPAN("bid"), SPAN("1"));
    results.kind = OP_POLL_RESULTS;
    assert_int_equal(apply_one(store, &results), OUTCOME_RECORDED);
    assert_int_equal(results.vote.results.votes[1], 1);
}

static void retain_all(struct store *store)
{
    struct op op;
    do {
        op = (struct op){.kind = OP_RETAIN, .retain.rows_max = 10}; /* as little as may be */
        assert_int_equal(apply_one(store, &op), OUTCOME_RECORDED);
    } while (op.retain.removed_count > 0);
}

/* The tables in which rows are left, as bits. */
static unsigned tables_left(void)
{
    unsigned left = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        char sql[96];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %.*s",
                 SPAN_FMT(event_table_name((enum op_kind)kind)));
        if (base_number(url, sql)) left |= 1U << kind;
    }
    return left;
}

static void days_of_the_past_go_and_nothing_counts_again(void **state)
{
    struct op recorded[KINDS], put = poll_op();
    begin_days_ago(12);
    struct store *store = open_lane();
    assert_int_equal(apply_one(store, &put), OUTCOME_RECORDED);
    record_all(store, recorded);
    assert_int_equal(tables_left(), (1U << KINDS) - 1);
    retain_all(store); /* of the others clicks and impressions live on, and feedback with them */
    assert_int_equal(tables_left(), ((1U << KINDS) - 1) & ~(1U << OP_SERVER_EVENT));
    check_all_known(store, recorded);
    store_close(store);

    struct store_options options;
    char problem[STORE_PROBLEM_MAX] = "";
    store_options_init(&options);
    options.url = url;
    options.click_ttl_ms = options.impression_ttl_ms = options.collect_dedup_window_ms = DAY_MS;
    assert_int_equal(store_open(&store, &options, problem), ERR_OK);
    retain_all(store);
    assert_int_equal(tables_left(), 1U << OP_VOTE);
    check_all_known(store, recorded);
    struct op late = impression_op(SPAN("late")); /* its day is gone: it has a place all the same */
    late.received_at_ms -= 9 * DAY_MS;
    assert_int_equal(apply_one(store, &late), OUTCOME_RECORDED);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(person_is_erased_and_rows_stay_whole),
        CASE(days_past_their_time_are_removed),
        CASE(days_of_the_past_go_and_nothing_counts_again),
    };
    hash_start();
    return UNIT_RUN(tests);
}
