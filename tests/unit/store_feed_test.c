#include "unit.h"

#include "base/rng.h"
#include "store/sqlite/db.h"
#include "store_bench.h"
#include "token/hash.h"

/* What store_feed promises of every engine: everything that was recorded, once, in order, as far as
 * it was asked for, with what tells whose it is. */

enum { EVENTS_MAX = 64 };

struct followed {
    struct store_feed *feed;
    uint64_t cursor;
    struct store_feed_event events[EVENTS_MAX];
    size_t count;
    char problem[STORE_PROBLEM_MAX];
};

static void open_feed(struct bench *bench, struct followed *followed)
{
    *followed = (struct followed){.cursor = 0};
    assert_int_equal(
        store_feed_open(&followed->feed, bench->dir, bench->options.url, followed->problem),
        ERR_OK);
}

static enum err read_some(struct followed *followed, uint64_t to, size_t cap)
{
    return store_feed_read(followed->feed, &followed->cursor, to, followed->events, cap,
                           &followed->count, followed->problem);
}

static uint64_t record(struct bench *bench, struct op op)
{
    op.received_at_ms = now_ms;
    assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
    return op.sequence;
}

static struct uuid make_click(struct bench *bench, struct span bid, struct span campaign,
                              int64_t made_at_ms, int64_t happened_at_ms)
{
    uint8_t random[10];
    rng_fill(random, sizeof random);
    struct uuid id = uuid_make_v7(made_at_ms, random);
    record(
        bench,
        (struct op){
            .kind = OP_CLICK,
            .happened_at_ms = happened_at_ms,
            .click = {.id = id,
                      .expires_at_ms = now_ms + 86400000,
                      .ad = {.bid_id = bid, .publisher_id = SPAN("pub"), .campaign_id = campaign},
                      .landing_url = SPAN("https://shop.example/"),
                      .route = happened_at_ms ? SPAN("import") : SPAN("redirect")}});
    return id;
}

static const struct sender sender = {
    .partner_id = {"partner", 7}, .api_key_id = {"key", 3}, .api_key_label = {"label", 5}};

static void convert(struct bench *bench, struct uuid click)
{
    char text[UUID_TEXT_LEN];
    uuid_write(text, &click);
    record(bench, (struct op){.kind = OP_CONVERSION,
                              .conversion = {.sender = sender,
                                             .click_id = {text, sizeof text},
                                             .event_type = SPAN("purchase"),
                                             .conversion_time = SPAN("2026-01-01T00:00:00Z"),
                                             .conversion_value = SPAN("1"),
                                             .value = {.units = 1},
                                             .currency = SPAN("EUR"),
                                             .channel = SPAN("server")}});
}

static void collect(struct bench *bench, struct span tag)
{
    record(bench, (struct op){.kind = OP_SERVER_EVENT,
                              .server_event = {.sender = sender,
                                               .tag_id = tag,
                                               .event_name = SPAN("e"),
                                               .channel = SPAN("server"),
                                               .params = SPAN("{}")}});
}

static void show_and_rate(struct bench *bench, struct span bid, struct span campaign)
{
    struct ad_facts ad = {.bid_id = bid, .publisher_id = SPAN("pub"), .campaign_id = campaign};
    record(bench,
           (struct op){.kind = OP_IMPRESSION, .impression = {.ad = ad, .route = SPAN("view")}});
    record(bench,
           (struct op){.kind = OP_FEEDBACK, .feedback = {.bid_id = bid, .type = SPAN("positive")}});
    record(bench, (struct op){.kind = OP_AD_FEEDBACK,
                              .ad_feedback = {.ad = ad,
                                              .api_key_id = SPAN("k"),
                                              .sent_session_id = SPAN("s"),
                                              .sentiment = SPAN("thumbs_up")}});
}

static void vote_for(struct bench *bench, struct span bid)
{
    record(bench, (struct op){.kind = OP_POLL_PUT,
                              .poll = {.id = 1,
                                       .question = SPAN("?"),
                                       .options = {{SPAN("a"), SPAN("A")}, {SPAN("b"), SPAN("B")}},
                                       .options_count = 2}});
    record(bench, (struct op){.kind = OP_VOTE,
                              .vote = {.poll_id = 1,
                                       .ad = {.bid_id = bid, .publisher_id = SPAN("pub")},
                                       .option_id = SPAN("a")}});
}

static const struct expected {
    enum op_kind table;
    struct span key; /* absent: the click's id */
    struct span partner_id, campaign_id;
} all[] = {
    {OP_CLICK, {NULL, 0}, {NULL, 0}, SPAN_INIT("spring")},
    {OP_CONVERSION, {NULL, 0}, SPAN_INIT("partner"), SPAN_INIT("spring")},
    {OP_SERVER_EVENT, SPAN_INIT("tag"), SPAN_INIT("partner"), {NULL, 0}},
    {OP_IMPRESSION, SPAN_INIT("bid"), {NULL, 0}, SPAN_INIT("summer")},
    {OP_FEEDBACK, SPAN_INIT("bid"), {NULL, 0}, SPAN_INIT("summer")},
    {OP_AD_FEEDBACK, SPAN_INIT("bid"), {NULL, 0}, SPAN_INIT("summer")},
    {OP_VOTE, SPAN_INIT("bid"), {NULL, 0}, {NULL, 0}},
};
enum { ALL = sizeof all / sizeof all[0] };

/* One of everything, in this order; the click's id. */
static void record_all(struct bench *bench, char click[UUID_TEXT_LEN])
{
    struct uuid id = make_click(bench, SPAN("bid"), SPAN("spring"), now_ms, 0);
    uuid_write(click, &id);
    convert(bench, id);
    collect(bench, SPAN("tag"));
    show_and_rate(bench, SPAN("bid"), SPAN("summer"));
    vote_for(bench, SPAN("bid"));
}

static bool is_same(struct span a, struct span b)
{
    return !a.ptr == !b.ptr && span_eq(a, b);
}

static void check_text(const struct store_feed_event *event)
{
    char begin[96];
    snprintf(begin, sizeof begin, "{\"table\":\"%.*s\",\"receipt\":\"%.*s\",\"seq\":%lu,",
             SPAN_FMT(event_table_name(event->table)), SPAN_FMT(event->receipt),
             (unsigned long)event->sequence);
    assert_true(span_starts_with(event->text, span_of(begin)));
    assert_int_equal(event->text.ptr[event->text.len - 1], '}');
}

static void check_event(struct followed *followed, const struct store_feed_event *event,
                        const struct expected *expected, struct span click)
{
    char receipt[RECEIPT_LEN];
    uint64_t sequence = 0;
    assert_int_equal(event->table, expected->table);
    assert_true(is_same(event->key, expected->key.ptr ? expected->key : click));
    assert_true(is_same(event->partner_id, expected->partner_id));
    assert_true(is_same(event->campaign_id, expected->campaign_id));
    assert_int_equal(event->recorded_at_ms, now_ms);
    check_text(event);
    store_feed_receipt(followed->feed, event->sequence, receipt);
    assert_true(span_eq(event->receipt, (struct span){receipt, sizeof receipt}));
    assert_true(store_feed_sequence(followed->feed, event->receipt, &sequence));
    assert_int_equal(sequence, event->sequence);
}

static void everything_comes_once_and_in_order(void **state)
{
    struct bench *bench = *state;
    static struct followed followed;
    char click[UUID_TEXT_LEN];
    record_all(bench, click);
    for (size_t cap = 1; cap <= ALL + 1; cap++) { /* however it is cut up */
        uint64_t last = 0;
        size_t seen = 0;
        open_feed(bench, &followed);
        while (seen < ALL) {
            assert_int_equal(read_some(&followed, UINT64_MAX / 2, cap), ERR_OK);
            assert_in_range(followed.count, 1, cap);
            for (size_t i = 0; i < followed.count; i++) {
                const struct store_feed_event *event = &followed.events[i];
                assert_true(event->sequence > last);
                last = event->sequence;
                check_event(&followed, event, &all[seen++], (struct span){click, sizeof click});
            }
            assert_true(followed.cursor >= last);
        }
        assert_int_equal(read_some(&followed, UINT64_MAX / 2, cap), ERR_OK);
        assert_int_equal(followed.count, 0);
        store_feed_close(followed.feed);
    }
}

static void reading_ends_where_it_is_to(void **state)
{
    struct bench *bench = *state;
    static struct followed followed;
    char click[UUID_TEXT_LEN];
    uint64_t last = 0;
    record_all(bench, click);
    open_feed(bench, &followed);
    assert_int_equal(store_feed_last(followed.feed, &last), ERR_OK);
    assert_int_equal(read_some(&followed, last - 1, EVENTS_MAX), ERR_OK);
    assert_int_equal(followed.count, ALL - 1);
    assert_int_equal(followed.cursor, last - 1);
    assert_int_equal(read_some(&followed, last - 1, EVENTS_MAX), ERR_OK);
    assert_int_equal(followed.count, 0);
    assert_int_equal(read_some(&followed, last, EVENTS_MAX), ERR_OK);
    assert_int_equal(followed.count, 1);
    assert_int_equal(followed.events[0].sequence, last);
    store_feed_close(followed.feed);
}

static void what_is_recorded_later_comes_later(void **state)
{
    struct bench *bench = *state;
    static struct followed followed;
    open_feed(bench, &followed);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(read_some(&followed, UINT64_MAX / 2, EVENTS_MAX), ERR_OK);
        assert_int_equal(followed.count, 0);
        collect(bench, SPAN("tag"));
        collect(bench, SPAN("tag"));
        assert_int_equal(read_some(&followed, UINT64_MAX / 2, EVENTS_MAX), ERR_OK);
        assert_int_equal(followed.count, 2);
    }
    store_feed_close(followed.feed);
}

/* A click from elsewhere has an id of any time, and is of another day than its id says. */
static void campaigns_of_imported_clicks_are_found(void **state)
{
    const int64_t day_ms = 86400000;
    struct bench *bench = *state;
    static struct followed followed;
    convert(bench, make_click(bench, SPAN("one"), SPAN("old"), 5, now_ms - 40 * day_ms));
    convert(bench, make_click(bench, SPAN("two"), SPAN_NONE, now_ms, 0));
    convert(bench, make_click(bench, SPAN("three"), SPAN("new"), now_ms, 0));
    open_feed(bench, &followed);
    assert_int_equal(read_some(&followed, UINT64_MAX / 2, EVENTS_MAX), ERR_OK);
    assert_int_equal(followed.count, 6);
    assert_true(is_same(followed.events[1].campaign_id, SPAN("old")));
    assert_true(is_same(followed.events[3].campaign_id, SPAN_NONE));
    assert_true(is_same(followed.events[5].campaign_id, SPAN("new")));
    store_feed_close(followed.feed);
}

static void damage_click(struct bench *bench)
{
    static const char sql[] = "UPDATE click SET route = 'x'";
    char path[128];
    sqlite3 *db = NULL;
    if (bench->database) {
        database_ask(bench->database, sql);
        return;
    }
    snprintf(path, sizeof path, "%s/adtally.db", bench->dir);
    assert_int_equal(db_open(&db, path, false), ERR_OK);
    assert_int_equal(db_exec(db, sql), ERR_OK);
    sqlite3_close(db);
}

/* What stands before it is told, and then that it is damaged, as often as one asks. */
static void a_damaged_row_is_not_told(void **state)
{
    struct bench *bench = *state;
    static struct followed followed;
    collect(bench, SPAN("tag"));
    make_click(bench, SPAN("bid"), SPAN_NONE, now_ms, 0);
    collect(bench, SPAN("tag"));
    damage_click(bench);
    open_feed(bench, &followed);
    assert_int_equal(read_some(&followed, UINT64_MAX / 2, EVENTS_MAX), ERR_OK);
    assert_int_equal(followed.count, 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(read_some(&followed, UINT64_MAX / 2, EVENTS_MAX), ERR_CORRUPT_ROW);
        assert_int_equal(followed.count, 0);
        assert_true(followed.problem[0] != '\0');
    }
    store_feed_close(followed.feed);
}

static void nothing_is_no_feed(void **state)
{
    struct bench *bench = *state;
    struct store_feed *feed;
    char problem[STORE_PROBLEM_MAX] = "";
    if (bench->database) database_ask(bench->database, "ALTER TABLE secret RENAME TO gone");
    const char *dir = bench->database ? bench->dir : "/nowhere";
    assert_int_equal(store_feed_open(&feed, dir, bench->options.url, problem), ERR_NOT_FOUND);
    assert_null(feed);
    assert_true(problem[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_CASE(everything_comes_once_and_in_order),
        STORE_CASE(reading_ends_where_it_is_to),
        STORE_CASE(what_is_recorded_later_comes_later),
        STORE_CASE(campaigns_of_imported_clicks_are_found),
        STORE_CASE(a_damaged_row_is_not_told),
        STORE_CASE(nothing_is_no_feed),
    };
    hash_start();
    now_ms = clock_wall_ms();
    return UNIT_RUN(tests);
}
