#include "unit.h"

#include "base/clock.h"
#include "base/rng.h"
#include "store/report.h"
#include "store/sqlite/page_sums.h"
#include "store_bench.h"

#include <sqlite3.h>
#include <sys/wait.h>

/* Running aggregates against a full recount: random events, in steps of any size, by several
 * connections, over restarts, kills and files that are lost or of another moment. The recount is
 * what store_verify holds them against; the numbers themselves are tests/reports'. */

enum { BIDS = 40, EVENTS = 600, KILLS = 40, ROUNDS = 40 };

static uint64_t random_state;

/* A database takes as long for each event as a file for dozens. */
static int few(const struct bench *bench, int count)
{
    return bench->database ? count / 5 : count;
}

static uint64_t roll(uint64_t sides)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (random_state >> 33) % sides;
}

static struct span one_of(const char *const names[], uint64_t count)
{
    return span_of(names[roll(count)]);
}

static struct ad_facts random_ad(char bid[16])
{
    static const char *const names[] = {"a", "b", "it's; DROP", "", NULL};
    static const char *const prices[] = {"1.5", "0.000000001", "999999999999999.999999999", NULL};
    static const char *const currencies[] = {"USD", "EUR", NULL};
    static const char *const pricings[] = {"cpm", "cpc", NULL};
    snprintf(bid, 16, "bid-%u", (unsigned)roll(BIDS));
    return (struct ad_facts){.bid_id = span_of(bid),
                             .publisher_id = one_of(names, 3),
                             .campaign_id = one_of(names, 5),
                             .advertiser_id = one_of(names, 5),
                             .price = one_of(prices, 4),
                             .currency = one_of(currencies, 3),
                             .pricing = one_of(pricings, 3)};
}

static struct uuid random_id(int64_t at_ms)
{
    uint8_t random[10];
    rng_fill(random, sizeof random);
    return uuid_make_v7(at_ms, random);
}

struct clicks {
    struct uuid ids[EVENTS];
    size_t count;
};

static struct op click_op(struct clicks *clicks, char bid[16], int64_t at_ms)
{
    struct uuid id = random_id(at_ms);
    clicks->ids[clicks->count++] = id;
    return (struct op){.kind = OP_CLICK,
                       .received_at_ms = at_ms,
                       .click = {.id = id,
                                 .expires_at_ms = at_ms + 90 * 86400000LL,
                                 .ad = random_ad(bid),
                                 .landing_url = SPAN("https://x"),
                                 .route = SPAN("click")}};
}

static struct op conversion_op(const struct clicks *clicks, char click_id[UUID_TEXT_LEN],
                               int64_t at_ms)
{
    static const struct amount values[] = {{3, 500000000}, {-1, -1}, {999999999999999, 999999999}};
    uuid_write(click_id, &clicks->ids[roll(clicks->count)]);
    return (struct op){.kind = OP_CONVERSION,
                       .received_at_ms = at_ms,
                       .conversion = {.sender = {.partner_id = SPAN("p"),
                                                 .api_key_id = SPAN("k"),
                                                 .api_key_label = SPAN("l")},
                                      .click_id = {click_id, UUID_TEXT_LEN},
                                      .event_type = SPAN("purchase"),
                                      .event_id = roll(3) ? SPAN_NONE : SPAN("once"),
                                      .conversion_time = SPAN("t"),
                                      .conversion_value = SPAN("v"),
                                      .value = values[roll(3)],
                                      .currency = roll(2) ? SPAN("USD") : SPAN("EUR"),
                                      .channel = SPAN("server")}};
}

static struct op ad_feedback_op(char bid[16], int64_t at_ms)
{
    static const char *const sentiments[] = {"thumbs_up", "thumbs_down"};
    static const char *const reasons[] = {"[\"dull\"]", "[\"dull\",\"loud\",\"dull\"]", NULL};
    static const char *const sessions[] = {"s1", "s2"};
    struct ad_facts ad = random_ad(bid);
    ad.publisher_id = SPAN("a");
    return (struct op){.kind = OP_AD_FEEDBACK,
                       .received_at_ms = at_ms,
                       .ad_feedback = {.id = random_id(at_ms),
                                       .ad = ad,
                                       .api_key_id = SPAN("k"),
                                       .sent_session_id = one_of(sessions, 2),
                                       .sentiment = one_of(sentiments, 2),
                                       .reasons = one_of(reasons, 3)}};
}

static struct op other_op(char bid[16], int64_t at_ms)
{
    struct op op = {.received_at_ms = at_ms};
    struct ad_facts ad = random_ad(bid);
    switch (roll(3)) {
    case 0:
        op.kind = OP_FEEDBACK;
        op.feedback = (struct feedback){.bid_id = ad.bid_id,
                                        .type = roll(2) ? SPAN("positive") : SPAN("negative")};
        break;
    case 1:
        op.kind = OP_VOTE;
        op.vote = (struct vote){.ad = ad, .poll_id = 1, .option_id = SPAN("0")};
        break;
    default:
        op.kind = OP_IMPRESSION;
        op.impression = (struct impression){.ad = ad, .route = SPAN("view")};
    }
    return op;
}

static void put_poll(struct bench *bench)
{
    struct op op = {.kind = OP_POLL_PUT,
                    .received_at_ms = now_ms,
                    .poll = {.id = 1, .question = SPAN("What?"), .options_count = 2}};
    op.poll.options[0] = (struct poll_option){{"0", 1}, {"A", 1}};
    op.poll.options[1] = (struct poll_option){{"1", 1}, {"B", 1}};
    assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
}

/* Refusals and duplicates among them count nothing. */
static void apply_random(struct bench *bench, struct clicks *clicks, int64_t at_ms)
{
    char bid[16], click_id[UUID_TEXT_LEN];
    struct op op;
    if (clicks->count == 0 || roll(4) == 0)
        op = click_op(clicks, bid, at_ms);
    else if (roll(3) == 0)
        op = conversion_op(clicks, click_id, at_ms);
    else if (roll(3) == 0)
        op = ad_feedback_op(bid, at_ms);
    else
        op = other_op(bid, at_ms);
    apply_one(bench, &op);
}

static struct report_db *open_reports(struct bench *bench)
{
    struct report_db *db;
    char problem[STORE_PROBLEM_MAX];
    enum err err = report_open(&db, bench->dir, bench->options.url, problem);
    if (err) print_error("%s\n", problem);
    assert_int_equal(err, ERR_OK);
    return db;
}

/* A few seconds more each time, so that quarters, days and the sessions' minute pass. */
static void fill(struct bench *bench, struct clicks *clicks, int events, int64_t *at_ms)
{
    for (int i = 0; i < events; i++, *at_ms += (int64_t)roll(600000))
        apply_random(bench, clicks, *at_ms);
}

static enum err verify(struct bench *bench, struct writer *report, uint64_t *findings,
                       char *problem)
{
    const struct store_verify asked = {.dir = bench->dir, .url = bench->options.url};
    enum err err = store_verify_watched(&asked, report, findings, problem);
    if (err) print_error("%s\n", problem);
    return err;
}

/* verify looks at the amounts' texts too, which these conversions have none of: only what it says
 * of reports.db counts. */
static bool are_reports_whole(struct bench *bench)
{
    static char memory[65536];
    char problem[STORE_PROBLEM_MAX];
    struct writer report;
    uint64_t findings;
    writer_init(&report, memory, sizeof memory - 1);
    assert_int_equal(verify(bench, &report, &findings, problem), ERR_OK);
    memory[report.len] = 0;
    const char *found = strstr(memory, "reports.db");
    if (found) print_error("%s", found);
    return !found;
}

static struct report_table *run_report(struct report_db *db, enum report_kind kind)
{
    struct report_query query;
    struct report_table *table;
    report_query_init(&query);
    query.kind = kind;
    if (kind != REPORT_COMMENTS) {
        query.by[0] = REPORT_CAMPAIGN;
        query.by[1] = REPORT_HOUR;
        query.by_count = 2;
    }
    assert_int_equal(report_run(db, &query, &table), ERR_OK);
    return table;
}

static void assert_same_table(struct report_table *a, struct report_table *b)
{
    const struct report_column *columns;
    size_t count = report_columns(a, &columns);
    assert_int_equal(report_rows(a), report_rows(b));
    for (size_t row = 0; row < report_rows(a); row++)
        for (size_t i = 0; i < count; i++)
            assert_true(span_eq(report_cell(a, row, i), report_cell(b, row, i)));
    report_table_free(a);
    report_table_free(b);
}

/* What one connection adds to kept sums, and what one without any counts, are the same reports. */
static void assert_same_reports(struct bench *bench, struct report_db *db)
{
    char path[128], away[128];
    snprintf(path, sizeof path, "%s/reports.db", bench->dir);
    snprintf(away, sizeof away, "%s/reports.away", bench->dir);
    rename(path, away);
    struct report_db *recount = open_reports(bench);
    for (int kind = 0; kind < REPORT_KINDS; kind++)
        assert_same_table(run_report(db, kind), run_report(recount, kind));
    report_close(recount);
    remove(path);
    rename(away, path);
}

static void steps_of_any_size_equal_a_recount(void **state)
{
    struct bench *bench = *state;
    struct clicks clicks = {.count = 0};
    int64_t at_ms = now_ms, behind;
    put_poll(bench);
    struct report_db *dbs[] = {open_reports(bench), open_reports(bench)};
    for (int round = 0; round < few(bench, ROUNDS); round++) {
        fill(bench, &clicks, EVENTS / ROUNDS, &at_ms);
        struct report_db *db = dbs[roll(2)];
        for (uint64_t steps = roll(4); steps > 0; steps--)
            assert_int_equal(report_catch_up(db, 1 + (int64_t)roll(30)), ERR_OK);
        if (roll(5) == 0) reopen_store(bench);
        assert_true(are_reports_whole(bench));
        if (round % few(bench, 10) == few(bench, 10) - 1)
            assert_same_reports(bench, dbs[round % 2]);
    }
    assert_int_equal(report_catch_up(dbs[0], INT32_MAX), ERR_OK);
    assert_int_equal(report_behind(dbs[1], &behind), ERR_OK);
    assert_int_equal(behind, 0);
    assert_true(are_reports_whole(bench));
    report_close(dbs[0]);
    report_close(dbs[1]);
}

static void catch_up_until_killed(struct bench *bench)
{
    struct report_db *db = open_reports(bench);
    for (;;)
        report_catch_up(db, 1 + (int64_t)roll(9));
}

static void kills_leave_whole_sums(void **state)
{
    struct bench *bench = *state;
    struct clicks clicks = {.count = 0};
    int64_t at_ms = now_ms, behind = 0, first_behind = 0;
    put_poll(bench);
    fill(bench, &clicks, few(bench, EVENTS), &at_ms);
    store_close(bench->store); /* no handle of SQLite's may live in two processes */
    bench->store = NULL;
    for (int round = 0; round < few(bench, KILLS) || (behind >= first_behind && behind != 0);
         round++) {
        random_state += (uint64_t)round;
        assert_in_range(round, 0, 20 * KILLS);
        pid_t child = fork();
        if (child == 0) catch_up_until_killed(bench);
        /* A slow machine gets more, a connection takes longer to be made than a file to be opened.
         */
        uint64_t wait_us = (1000 + roll(25000)) * (uint64_t)(1 + round / KILLS);
        usleep((useconds_t)(bench->database ? 10 * wait_us : wait_us));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        assert_true(are_reports_whole(bench));
        struct report_db *db = open_reports(bench);
        assert_int_equal(report_behind(db, &behind), ERR_OK);
        if (round == 0) first_behind = behind;
        report_close(db);
    }
}

/* With the checksums of its pages: what is wrong is what they say. */
static void change_reports(struct bench *bench, const char *sql)
{
    enum { FLAGS = SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI };
    char path[128];
    sqlite3 *db;
    snprintf(path, sizeof path, "file:%s/reports.db?" PAGE_SUMS_URI, bench->dir);
    assert_int_equal(sqlite3_open_v2(path, &db, FLAGS, PAGE_SUMS_VFS), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* The oracle can fail: each harm is found. */
static void verify_finds_what_is_wrong(void **state)
{
    static const char *const harms[] = {
        "UPDATE agg SET sums = zeroblob(length(sums)) WHERE unit = 1",
        "DELETE FROM agg WHERE names = 0 AND unit = 96",
        "DELETE FROM agg WHERE unit = 1 AND quarter = (SELECT max(quarter) FROM agg)",
        "UPDATE agg SET quarter = quarter + 960000",
        "UPDATE agg_ad SET campaign = 'other' WHERE ad = 1",
        "UPDATE agg_kind SET label = label || '!' WHERE metric = 3",
        "DELETE FROM agg_opinion",
        "UPDATE agg_state SET has_flags = 7",
    };
    struct bench *bench = *state;
    struct clicks clicks = {.count = 0};
    int64_t at_ms = now_ms;
    put_poll(bench);
    fill(bench, &clicks, few(bench, EVENTS), &at_ms);
    for (size_t i = 0; i < sizeof harms / sizeof harms[0]; i++) {
        struct report_db *db = open_reports(bench);
        assert_int_equal(report_catch_up(db, INT32_MAX), ERR_OK);
        report_close(db);
        assert_true(are_reports_whole(bench));
        change_reports(bench, harms[i]);
        assert_false(are_reports_whole(bench));
        change_reports(bench, "DELETE FROM agg_state"); /* so the next one begins again */
    }
}

/* Out of the directory, or back. */
static void move_reports(const char *dir, bool out)
{
    char inside[128], outside[128];
    snprintf(inside, sizeof inside, "%s/reports.db", dir);
    snprintf(outside, sizeof outside, "%s.reports.db", dir);
    assert_int_equal(out ? rename(inside, outside) : rename(outside, inside), 0);
}

static void another_database(struct bench *bench, int64_t at_ms)
{
    database_free(bench->database);
    bench->database = database_new(at_ms);
    bench->options.url = database_url(bench->database);
}

/* A backup was restored: its sequences are given to other events. */
static void sums_of_another_moment_are_made_again(void **state)
{
    struct bench *bench = *state;
    struct clicks clicks = {.count = 0};
    int64_t at_ms = now_ms;
    fill(bench, &clicks, 50, &at_ms);
    struct report_db *db = open_reports(bench);
    assert_int_equal(report_catch_up(db, INT32_MAX), ERR_OK);
    report_close(db);
    store_close(bench->store);
    move_reports(bench->dir, true);
    unit_dir_remove(bench->dir);
    mkdir(bench->dir, 0700);
    if (bench->database) another_database(bench, at_ms);
    open_store(bench);
    move_reports(bench->dir, false);
    clicks.count = 0;
    fill(bench, &clicks, 60, &at_ms);
    db = open_reports(bench);
    assert_same_reports(bench, db);
    report_close(db); /* whose file was moved, so it counted in memory */
    db = open_reports(bench);
    assert_int_equal(report_catch_up(db, INT32_MAX), ERR_OK);
    assert_true(are_reports_whole(bench));
    report_close(db);
}

static void count_in_steps(struct bench *bench, int64_t events)
{
    int64_t behind = 1;
    struct report_db *db = open_reports(bench);
    while (behind > 0) {
        assert_int_equal(report_catch_up(db, events), ERR_OK);
        assert_int_equal(report_behind(db, &behind), ERR_OK);
    }
    report_close(db);
}

/* Connections have sequences of their own: a conversion's may be less than its click's, and end a
 * step before it. */
static void what_belongs_to_later_sequences_is_counted_with_it(void **state)
{
    static const char *const moves[] = {
        "UPDATE click SET seq = seq + 1000000",
        "UPDATE conversion SET click_seq = click_seq + 1000000",
        "UPDATE impression SET seq = seq + 2000000",
        "UPDATE feedback SET impression_seq = impression_seq + 2000000",
        "UPDATE counter SET next_seq = 4000000",
    };
    static const enum report_kind kinds[] = {REPORT_TRAFFIC, REPORT_MONEY};
    struct bench *bench = *state;
    struct clicks clicks = {.count = 0};
    struct report_table *tables[2];
    int64_t at_ms = now_ms;
    fill(bench, &clicks, few(bench, EVENTS), &at_ms);
    store_close(bench->store);
    bench->store = NULL;
    struct report_db *db = open_reports(bench);
    for (int i = 0; i < 2; i++)
        tables[i] = run_report(db, kinds[i]);
    report_close(db);
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++)
        database_ask(bench->database, moves[i]);
    count_in_steps(bench, 7);
    db = open_reports(bench);
    for (int i = 0; i < 2; i++)
        assert_same_table(tables[i], run_report(db, kinds[i]));
    report_close(db);
}

int main(void)
{
    now_ms = clock_wall_ms();
    rng_fill(&random_state, sizeof random_state);
    print_message("# seed %llu\n", (unsigned long long)random_state);
    const struct CMUnitTest tests[] = {
        STORE_CASE(steps_of_any_size_equal_a_recount),
        STORE_CASE(kills_leave_whole_sums),
        STORE_CASE(verify_finds_what_is_wrong),
        STORE_CASE(sums_of_another_moment_are_made_again),
    };
    const struct CMUnitTest of_connections[] = {
        STORE_CASE(what_belongs_to_later_sequences_is_counted_with_it),
    };
    int failed = UNIT_RUN(tests);
    return failed + (database_is_wanted() ? UNIT_RUN(of_connections) : 0);
}
