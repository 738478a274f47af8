#include "batches.h"

#include "base/limits.h"
#include "event/flags.h"
#include "token/hash.h"

#include <stdio.h>
#include <unistd.h>

/* What a batch does that races have no part in: double clicks, what cannot be stored, and what it
 * reads of large tables. */

static char click_id[UUID_TEXT_LEN];

/* -- double clicks -------------------------------------------------------------------------- */

static struct store *open_lane_beside(struct store *first)
{
    struct store_options options;
    struct store *store;
    char problem[STORE_PROBLEM_MAX] = "";
    store_options_init(&options);
    options.url = url;
    options.lane = 1;
    options.beside = first;
    assert_int_equal(store_open(&store, &options, problem), ERR_OK);
    return store;
}

static uint32_t flags_of_click(struct store *store, struct span bid, uint64_t visitor)
{
    struct op op = click_op(bid);
    op.click.visitor.key = visitor;
    assert_int_equal(apply_one(store, &op), OUTCOME_RECORDED);
    return op.click.visitor.flags & FLAG_DOUBLE_CLICK;
}

/* A visitor's to all lanes of a process, whichever bids; a bid's to everybody. */
static void double_clicks_are_seen_through_any_lane(void **state)
{
    struct store *first = open_lane(), *beside = open_lane_beside(first), *other = open_lane();
    assert_int_equal(flags_of_click(first, SPAN("a"), 7), 0);
    assert_int_equal(flags_of_click(beside, SPAN("b"), 7), FLAG_DOUBLE_CLICK);
    assert_int_equal(flags_of_click(beside, SPAN("c"), 8), 0);
    assert_int_equal(flags_of_click(first, SPAN("d"), 8), FLAG_DOUBLE_CLICK);
    assert_int_equal(flags_of_click(other, SPAN("e"), 7), 0);
    assert_int_equal(flags_of_click(other, SPAN("d"), 9), FLAG_DOUBLE_CLICK);
    store_close(first); /* whoever is closed first */
    assert_int_equal(flags_of_click(beside, SPAN("f"), 8), FLAG_DOUBLE_CLICK);
    store_close(beside);
    store_close(other);
}

/* -- what cannot be stored ----------------------------------------------------------------- */

static void text_that_postgres_refuses_takes_no_other_with_it(void **state)
{
    enum { COUNT = 50 };
    struct store *store = open_lane();
    struct op ops[COUNT], *batch[COUNT];
    static const char zero[] = "a\0b", not_utf8[] = "a\xff";
    for (int i = 0; i < COUNT; i++) {
        ops[i] = event_op(SPAN_NONE);
        batch[i] = &ops[i];
    }
    ops[11].server_event.page_url = (struct span){zero, 3};
    ops[30].server_event.page_url = (struct span){not_utf8, 2};
    assert_int_equal(store_apply(store, batch, COUNT), ERR_OK);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(ops[i].outcome,
                         i == 11 || i == 30 ? OUTCOME_UNAVAILABLE : OUTCOME_RECORDED);
    assert_int_equal(base_number(url, "SELECT count(*) FROM server_event"), COUNT - 2);
    assert_int_equal(apply_one(store, &ops[30]), OUTCOME_UNAVAILABLE); /* alone as well */
    store_close(store);
}

/* -- cost ---------------------------------------------------------------------------------- */

static void apply_all_kinds(struct store *store, int number)
{
    char bid[24], key[24];
    snprintf(bid, sizeof bid, "bid%d", number);
    snprintf(key, sizeof key, "key%d", number);
    struct span click = {click_id, sizeof click_id};
    struct op ops[] = {impression_op(span_of(bid)),
                       feedback_op(span_of(bid)),
                       click_op(span_of(bid)),
                       vote_op(span_of(bid), SPAN("1")),
                       ad_feedback_op(span_of(bid), span_of(key)),
                       event_op(span_of(key)),
                       conversion_op(click, span_of(key), span_of(key))};
    struct op *batch[sizeof ops / sizeof ops[0]];
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        batch[i] = &ops[i];
    assert_int_equal(store_apply(store, batch, sizeof ops / sizeof ops[0]), ERR_OK);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        assert_int_equal(ops[i].outcome, OUTCOME_RECORDED);
}

static int64_t rows_scanned(void)
{
    usleep(200000); /* a backend that ends tells what it read */
    return base_number(url, "SELECT ((SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE"
                            " relname LIKE '%\\_key') + (SELECT sum(idx_tup_read) FROM"
                            " pg_stat_user_indexes WHERE relname LIKE '%\\_key'))::bigint");
}

static void batch_reads_no_more_of_large_tables(void **state)
{
    enum { ROWS = 20000, BATCHES = 12 };
    struct store *store = open_lane();
    struct op put = poll_op(), click = click_op(SPAN("bid"));
    assert_int_equal(apply_one(store, &put), OUTCOME_RECORDED);
    assert_int_equal(apply_one(store, &click), OUTCOME_RECORDED);
    uuid_write(click_id, &click.click.id);
    for (int i = 0; i < BATCHES; i++) /* plans are made while the tables are small */
        apply_all_kinds(store, i);
    char sql[1024];
    snprintf(sql, sizeof sql,
             "INSERT INTO click_key SELECT 'c' || i, 1, 'b', NULL, 1 FROM generate_series(1, %d) i;"
             "INSERT INTO conversion_key SELECT 'c' || i, 'p', 't', 0, 'k', 1, 1"
             " FROM generate_series(1, %d) i;"
             "INSERT INTO bid_key SELECT 'b' || i, 3, 0, 1, 1 FROM generate_series(1, %d) i;"
             "INSERT INTO event_key SELECT 't', 'p', 'e' || i, 1, 1 FROM generate_series(1, %d) i;"
             "INSERT INTO session_key SELECT 'p', 's' || i, 1, 1 FROM generate_series(1, %d) i",
             ROWS, ROWS, ROWS, ROWS, ROWS);
    base_run(url, sql);
    int64_t before = rows_scanned();
    for (int i = 0; i < BATCHES; i++)
        apply_all_kinds(store, 100 + i);
    store_close(store);
    assert_true(rows_scanned() - before < ROWS);
}

static int64_t days_looked_at(void)
{
    usleep(200000);
    return base_number(url, "SELECT sum(idx_scan)::bigint FROM pg_stat_user_tables WHERE"
                            " relname ~ '^(click|impression)_([0-9]{8}|past)$'");
}

/* Each event that follows another one is told with that one's campaign, however many days there
 * are. */
static void campaigns_are_looked_for_on_their_day(void **state)
{
    enum { DAYS = 40, EVENTS = 50 };
    struct store_feed_event events[2 + 2 * EVENTS];
    struct store_feed *feed;
    char problem[STORE_PROBLEM_MAX], bids[EVENTS][16];
    uint64_t cursor = 0;
    size_t count;
    begin_days_ago(DAYS);
    struct store *store = open_lane();
    struct op click = click_op(SPAN("bid"));
    assert_int_equal(apply_one(store, &click), OUTCOME_RECORDED);
    uuid_write(click_id, &click.click.id);
    for (int i = 0; i < EVENTS; i++) {
        snprintf(bids[i], sizeof bids[i], "b%d", i);
        struct span bid = span_of(bids[i]);
        struct op ops[] = {impression_op(bid), feedback_op(bid),
                           conversion_op((struct span){click_id, sizeof click_id}, bid, bid)};
        for (int at = 0; at < 3; at++)
            assert_int_equal(apply_one(store, &ops[at]), OUTCOME_RECORDED);
    }
    store_close(store);
    int64_t before = days_looked_at(), linked = 0;
    assert_int_equal(store_feed_open(&feed, NULL, url, problem), ERR_OK);
    do {
        assert_int_equal(store_feed_read(feed, &cursor, UINT64_MAX / 2, events,
                                         sizeof events / sizeof events[0], &count, problem),
                         ERR_OK);
        for (size_t i = 0; i < count; i++) {
            assert_true(span_eq(events[i].campaign_id, SPAN("c")));
            linked += events[i].table == OP_CONVERSION || events[i].table == OP_FEEDBACK;
        }
    } while (count > 0);
    store_feed_close(feed);
    assert_int_equal(linked, 2 * EVENTS);
    /* today, and the days before and behind it, and each read asks all days for what is new */
    assert_true(days_looked_at() - before < linked * 4 + 4 * 2 * (DAYS + 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(double_clicks_are_seen_through_any_lane),
        CASE(text_that_postgres_refuses_takes_no_other_with_it),
        CASE(batch_reads_no_more_of_large_tables),
        CASE(campaigns_are_looked_for_on_their_day),
    };
    hash_start();
    return UNIT_RUN(tests);
}
