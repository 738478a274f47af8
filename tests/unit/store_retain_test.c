#include "unit.h"

#include "base/rng.h"
#include "store/sqlite/db.h"
#include "store/store.h"
#include "store_bench.h"
#include "token/hash.h"

/* What retention removes of each kind, and what it leaves because of another. */

static const int64_t DAY_MS = 24LL * 60 * 60 * 1000;

enum { EACH = 3 };
enum {
    CLICKS = 1,
    CONVERSIONS = 2,
    SERVER_EVENTS = 4,
    IMPRESSIONS = 8,
    FEEDBACKS = 16,
    AD_FEEDBACKS = 32,
    VOTES = 64,
    EVERYTHING = 127
};

static void is_recorded(struct bench *bench, struct op op)
{
    op.received_at_ms = now_ms;
    assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
}

static struct uuid record_click(struct bench *bench, struct ad_facts ad)
{
    uint8_t random[10];
    rng_fill(random, sizeof random);
    struct uuid id = uuid_make_v7(now_ms, random);
    is_recorded(bench, (struct op){.kind = OP_CLICK,
                                   .click = {.id = id,
                                             .expires_at_ms = now_ms + 90 * DAY_MS,
                                             .ad = ad,
                                             .landing_url = SPAN("https://shop.example/"),
                                             .route = SPAN("redirect")}});
    return id;
}

static void record_conversion(struct bench *bench, struct uuid id)
{
    char text[UUID_TEXT_LEN];
    uuid_write(text, &id);
    is_recorded(bench, (struct op){.kind = OP_CONVERSION,
                                   .conversion = {.sender = {.partner_id = SPAN("p"),
                                                             .api_key_id = SPAN("k"),
                                                             .api_key_label = SPAN("l")},
                                                  .click_id = {text, sizeof text},
                                                  .event_type = SPAN("purchase"),
                                                  .conversion_time = SPAN("2026-01-01T00:00:00Z"),
                                                  .conversion_value = SPAN("1"),
                                                  .value = {.units = 1},
                                                  .currency = SPAN("EUR"),
                                                  .channel = SPAN("server")}});
}

static void record_server_event(struct bench *bench)
{
    is_recorded(bench, (struct op){.kind = OP_SERVER_EVENT,
                                   .server_event = {.sender = {.partner_id = SPAN("p"),
                                                               .api_key_id = SPAN("k"),
                                                               .api_key_label = SPAN("l")},
                                                    .tag_id = SPAN("tag"),
                                                    .event_name = SPAN("e"),
                                                    .channel = SPAN("server"),
                                                    .params = SPAN("{}")}});
}

/* One of everything, of one bid. */
static void record_all(struct bench *bench, struct span bid)
{
    struct ad_facts ad = {.bid_id = bid, .publisher_id = SPAN("pub")};
    is_recorded(
        bench, (struct op){.kind = OP_IMPRESSION, .impression = {.ad = ad, .route = SPAN("view")}});
    record_conversion(bench, record_click(bench, ad));
    record_server_event(bench);
    is_recorded(bench, (struct op){.kind = OP_FEEDBACK,
                                   .feedback = {.bid_id = bid, .type = SPAN("positive")}});
    is_recorded(bench, (struct op){.kind = OP_AD_FEEDBACK,
                                   .ad_feedback = {.ad = ad,
                                                   .api_key_id = SPAN("k"),
                                                   .sent_session_id = SPAN("s"),
                                                   .sentiment = SPAN("thumbs_up")}});
    is_recorded(bench, (struct op){.kind = OP_VOTE,
                                   .vote = {.poll_id = 1, .ad = ad, .option_id = SPAN("a")}});
}

static void put_poll(struct bench *bench)
{
    is_recorded(bench,
                (struct op){.kind = OP_POLL_PUT,
                            .poll = {.id = 1,
                                     .question = SPAN("?"),
                                     .options = {{SPAN("a"), SPAN("A")}, {SPAN("b"), SPAN("B")}},
                                     .options_count = 2}});
}

/* The tables in which rows of the first day are left, as bits. */
static unsigned tables_left(struct bench *bench, uint64_t last)
{
    char path[128], sql[96];
    sqlite3 *db = NULL;
    unsigned left = 0;
    snprintf(path, sizeof path, "%s/adtally.db", bench->dir);
    assert_int_equal(db_open_readonly(&db, path), ERR_OK);
    for (int kind = 0; kind < EVENT_TABLES; kind++) {
        int64_t rows = -1;
        struct span table = event_table_name((enum op_kind)kind);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %.*s WHERE seq <= %lu", SPAN_FMT(table),
                 last);
        assert_int_equal(db_query_i64(db, sql, &rows), ERR_OK);
        assert_true(rows == 0 || rows == EACH);
        if (rows) left |= 1U << kind;
    }
    sqlite3_close(db);
    return left;
}

/* Removes by these ages (in days; 0: for ever) when `day` days have passed. */
static unsigned left_at(struct bench *bench, const int keep_days[EVENT_TABLES], int day)
{
    static const char *const bids[EACH] = {"bid-0", "bid-1", "bid-2"};
    put_poll(bench);
    for (int i = 0; i < EACH; i++)
        record_all(bench, span_of(bids[i]));
    struct store_stats stats;
    store_stats(bench->store, &stats);
    uint64_t last = stats.sequence_next - 1;
    now_ms += DAY_MS; /* what is recorded from now on tells the age of what was before */
    record_server_event(bench);
    now_ms += (day - 1) * DAY_MS;
    record_server_event(bench);
    for (int step = 0; step < 2 * EVENT_TABLES; step++) {
        struct op op = {.kind = OP_RETAIN, .received_at_ms = now_ms, .retain.rows_max = 2};
        for (int kind = 0; kind < EVENT_TABLES; kind++)
            op.retain.keep_ms[kind] = keep_days[kind] ? keep_days[kind] * DAY_MS : RETAIN_FOR_EVER;
        assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
        assert_in_range(op.retain.removed_count, 0, 2);
        assert_int_equal(store_maintain(bench->store), ERR_OK);
    }
    assert_int_equal(count_findings(bench), 0);
    return tables_left(bench, last);
}

/* Kept for ever but for one kind; and the other way round, all as short as can be. */
static void others_for_ever(void **state, int day, enum op_kind kind, int days, unsigned gone)
{
    int keep_days[EVENT_TABLES] = {0};
    keep_days[kind] = days;
    assert_int_equal(left_at(*state, keep_days, day), EVERYTHING & ~gone);
}

static void others_for_a_day(void **state, int day, enum op_kind kind, int days, unsigned left)
{
    int keep_days[EVENT_TABLES] = {1, 1, 1, 1, 1, 1, 1};
    keep_days[kind] = days;
    assert_int_equal(left_at(*state, keep_days, day), left);
}

#define CASE(name, call)                                                                           \
    static void name(void **state)                                                                 \
    {                                                                                              \
        call;                                                                                      \
    }
/* clang-format off */
#define CASES(X) \
    X(votes_stay, others_for_a_day(state, 400, OP_VOTE, 1, VOTES)) \
    X(for_ever_is_for_ever, others_for_ever(state, 3000, OP_VOTE, 1, 0)) \
    X(server_events_alone, others_for_ever(state, 32, OP_SERVER_EVENT, 30, SERVER_EVENTS)) \
    X(not_before_their_age, others_for_ever(state, 29, OP_SERVER_EVENT, 30, 0)) \
    X(conversions_alone, others_for_ever(state, 400, OP_CONVERSION, 100, CONVERSIONS)) \
    X(feedback_alone, others_for_ever(state, 100, OP_FEEDBACK, 40, FEEDBACKS)) \
    X(ad_feedback_alone, others_for_ever(state, 100, OP_AD_FEEDBACK, 40, AD_FEEDBACKS)) \
    X(what_is_needed_stays, others_for_a_day(state, 29, OP_VOTE, 1, EVERYTHING & ~SERVER_EVENTS)) \
    X(impressions_stay_for_feedback, others_for_ever(state, 3000, OP_IMPRESSION, 1, 0)) \
    X(clicks_stay_for_conversions, others_for_ever(state, 3000, OP_CLICK, 1, 0)) \
    X(feedback_for_ever_keeps_impressions, \
      others_for_a_day(state, 3000, OP_FEEDBACK, 0, IMPRESSIONS | FEEDBACKS | VOTES)) \
    X(conversions_for_ever_keep_clicks, \
      others_for_a_day(state, 3000, OP_CONVERSION, 0, CLICKS | CONVERSIONS | VOTES)) \
    X(a_click_outlives_its_conversions, \
      others_for_a_day(state, 250, OP_CONVERSION, 200, CLICKS | VOTES)) \
    X(an_impression_outlives_its_feedback, \
      others_for_a_day(state, 75, OP_FEEDBACK, 60, EVERYTHING & ~(SERVER_EVENTS | FEEDBACKS | AD_FEEDBACKS)))
/* clang-format on */
CASES(CASE)

#define LISTED(name, call) STORE_CASE(name),
int main(void)
{
    const struct CMUnitTest tests[] = {CASES(LISTED)};
    hash_start();
    now_ms = clock_wall_ms();
    return UNIT_RUN(tests);
}
