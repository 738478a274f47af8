#include "base.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/rng.h"
#include "store/engine.h"
#include "store/window.h"
#include "token/hash.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Batches of several lanes at once over one database: who comes first is recorded, everybody else
 * is told its sequence, and what is counted is counted once; also while connections are cut. */

enum { LANES = 4, OPS = 60, ROUNDS = 6 };

static const int64_t DAY_MS = 86400000;

static char url[URL_MAX];

static struct store *open_lane(void)
{
    struct store_options options;
    struct store *store;
    char problem[STORE_PROBLEM_MAX] = "";
    store_options_init(&options);
    options.url = url;
    enum err err = store_open(&store, &options, problem);
    if (err) print_error("%s\n", problem);
    assert_int_equal(err, ERR_OK);
    return store;
}

static int new_database(void **state)
{
    base_new_database(url);
    return 0;
}

static enum outcome apply_one(struct store *store, struct op *op)
{
    store_apply(store, &op, 1);
    return op->outcome;
}

/* -- ops ----------------------------------------------------------------------------------- */

static struct ad_facts ad_of(struct span bid)
{
    return (struct ad_facts){.bid_id = bid, .publisher_id = SPAN("pub"), .campaign_id = SPAN("c")};
}

static struct uuid fresh_id(void)
{
    uint8_t random[10];
    rng_fill(random, sizeof random);
    return uuid_make_v7(clock_wall_ms(), random);
}

static struct op click_op(struct span bid)
{
    return (struct op){.kind = OP_CLICK,
                       .received_at_ms = clock_wall_ms(),
                       .click = {.id = fresh_id(),
                                 .ad = ad_of(bid),
                                 .landing_url = SPAN("https://shop.example/"),
                                 .route = SPAN("redirect"),
                                 .expires_at_ms = clock_wall_ms() + 1000000}};
}

static const struct sender sender = {
    .partner_id = {"partner", 7}, .api_key_id = {"key", 3}, .api_key_label = {"label", 5}};

static struct op conversion_op(struct span click, struct span key, struct span order)
{
    return (struct op){.kind = OP_CONVERSION,
                       .received_at_ms = clock_wall_ms(),
                       .conversion = {.sender = sender,
                                      .click_id = click,
                                      .event_type = SPAN("purchase_completed"),
                                      .idempotency_key = key,
                                      .order_id = order,
                                      .check_order = true,
                                      .conversion_time = SPAN("2026-09-21T14:13:20Z"),
                                      .conversion_value = SPAN("49.99"),
                                      .value = {49, 990000000},
                                      .currency = SPAN("USD"),
                                      .channel = SPAN("server")}};
}

static struct op event_op(struct span event_id)
{
    return (struct op){.kind = OP_SERVER_EVENT,
                       .received_at_ms = clock_wall_ms(),
                       .server_event = {.sender = sender,
                                        .event_name = SPAN("page_view"),
                                        .tag_id = SPAN("tag"),
                                        .event_id = event_id,
                                        .channel = SPAN("server"),
                                        .params = SPAN("{}")}};
}

static struct op impression_op(struct span bid)
{
    return (struct op){.kind = OP_IMPRESSION,
                       .received_at_ms = clock_wall_ms(),
                       .impression = {.ad = ad_of(bid), .route = SPAN("view")}};
}

static struct op feedback_op(struct span bid)
{
    return (struct op){.kind = OP_FEEDBACK,
                       .received_at_ms = clock_wall_ms(),
                       .feedback = {.bid_id = bid, .type = SPAN("positive")}};
}

static struct op ad_feedback_op(struct span bid, struct span session)
{
    return (struct op){.kind = OP_AD_FEEDBACK,
                       .received_at_ms = clock_wall_ms(),
                       .ad_feedback = {.id = fresh_id(),
                                       .ad = ad_of(bid),
                                       .api_key_id = SPAN("k"),
                                       .sent_session_id = session,
                                       .sentiment = SPAN("thumbs_up"),
                                       .comment = SPAN("fine")}};
}

static struct op vote_op(struct span bid, struct span option)
{
    return (struct op){.kind = OP_VOTE,
                       .received_at_ms = clock_wall_ms(),
                       .vote = {.ad = ad_of(bid), .poll_id = 7, .option_id = option}};
}

static struct op poll_op(void)
{
    return (struct op){.kind = OP_POLL_PUT,
                       .received_at_ms = clock_wall_ms(),
                       .poll = {.id = 7,
                                .question = SPAN("What?"),
                                .options = {{{"0", 1}, {"Yes", 3}}, {{"1", 1}, {"No", 2}}},
                                .options_count = 2}};
}

/* -- races --------------------------------------------------------------------------------- */

/* A lane's own ops: those of the same place mean the same in all lanes. */
struct racer {
    struct store *store;
    int number;
    struct op ops[OPS];
    char names[OPS][24];
    pthread_barrier_t *start;
    pthread_t thread;
};

typedef void plan_fn(struct racer *racer, int round);

static void *race(void *arg)
{
    struct racer *racer = arg;
    struct op *batch[OPS];
    for (int i = 0; i < OPS; i++) /* each its own way through the keys */
        batch[i] = &racer->ops[(i * 7 + racer->number * 13) % OPS];
    pthread_barrier_wait(racer->start);
    store_apply(racer->store, batch, OPS);
    return NULL;
}

static void run_round(struct racer racers[LANES], plan_fn *plan, int round)
{
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, LANES);
    for (int i = 0; i < LANES; i++) {
        racers[i].start = &start;
        plan(&racers[i], round);
    }
    for (int i = 0; i < LANES; i++)
        pthread_create(&racers[i].thread, NULL, race, &racers[i]);
    for (int i = 0; i < LANES; i++)
        pthread_join(racers[i].thread, NULL);
    pthread_barrier_destroy(&start);
}

static struct racer *open_racers(void)
{
    struct racer *racers = calloc(LANES, sizeof *racers);
    for (int i = 0; i < LANES; i++) {
        racers[i].store = open_lane();
        racers[i].number = i;
    }
    return racers;
}

static void close_racers(struct racer *racers)
{
    for (int i = 0; i < LANES; i++)
        store_close(racers[i].store);
    free(racers);
}

/* Of the ops of one place one was recorded, and the others name it. */
static void check_place(struct racer racers[LANES], int place)
{
    int recorded = 0;
    for (int i = 0; i < LANES; i++)
        recorded += racers[i].ops[place].outcome == OUTCOME_RECORDED;
    assert_int_equal(recorded, 1);
    for (int i = 0; i < LANES; i++) {
        assert_true(racers[i].ops[place].outcome == OUTCOME_RECORDED ||
                    racers[i].ops[place].outcome == OUTCOME_DUPLICATE);
        assert_int_equal(racers[i].ops[place].sequence, racers[0].ops[place].sequence);
    }
}

static void race_once_each(plan_fn *plan)
{
    struct racer *racers = open_racers();
    for (int round = 0; round < ROUNDS; round++) {
        run_round(racers, plan, round);
        for (int place = 0; place < OPS; place++)
            check_place(racers, place);
    }
    close_racers(racers);
}

static struct span name_of(struct racer *racer, int place, int round)
{
    snprintf(racer->names[place], sizeof racer->names[place], "n%d-%d", round, place);
    return span_of(racer->names[place]);
}

static char click_id[UUID_TEXT_LEN];

static void plan_keys(struct racer *racer, int round)
{
    struct span click = {click_id, sizeof click_id};
    for (int i = 0; i < OPS; i++) {
        struct span name = name_of(racer, i, round);
        if (i % 4 == 0)
            racer->ops[i] = conversion_op(click, name, SPAN_NONE);
        else if (i % 4 == 1)
            racer->ops[i] = conversion_op(click, SPAN_NONE, name);
        else if (i % 4 == 2)
            racer->ops[i] = event_op(name);
        else
            racer->ops[i] = impression_op(name);
    }
}

static void one_of_many_is_recorded_and_the_others_name_it(void **state)
{
    struct store *store = open_lane();
    struct op click = click_op(SPAN("bid"));
    assert_int_equal(apply_one(store, &click), OUTCOME_RECORDED);
    uuid_write(click_id, &click.click.id);
    store_close(store);
    race_once_each(plan_keys);
    assert_int_equal(base_number(url, "SELECT count(*) FROM conversion"), ROUNDS * OPS / 2);
    assert_int_equal(base_number(url, "SELECT count(*) FROM server_event"), ROUNDS * OPS / 4);
    assert_int_equal(base_number(url, "SELECT count(*) FROM impression"), ROUNDS * OPS / 4);
}

static void plan_events(struct racer *racer, int round)
{
    for (int i = 0; i < OPS; i++)
        racer->ops[i] = event_op(name_of(racer, i, round));
}

static int count_outcomes(struct racer racers[LANES], enum outcome outcome)
{
    int count = 0;
    for (int i = 0; i < LANES; i++)
        for (int place = 0; place < OPS; place++)
            count += racers[i].ops[place].outcome == outcome;
    return count;
}

/* What tells that one was recorded is seen to tell otherwise. */
static void race_without_a_unique_key_is_found_out(void **state)
{
    enum { ROUNDS_MAX = 50 };
    struct racer *racers = open_racers();
    bool is_seen = false;
    base_run(url, "ALTER TABLE event_key DROP CONSTRAINT event_key_pkey");
    for (int round = 0; round < ROUNDS_MAX && !is_seen; round++) {
        run_round(racers, plan_events, round);
        is_seen = count_outcomes(racers, OUTCOME_RECORDED) > OPS;
    }
    assert_true(is_seen);
    close_racers(racers);
}

static void plan_votes(struct racer *racer, int round)
{
    for (int i = 0; i < OPS; i++)
        racer->ops[i] = vote_op(name_of(racer, i, round), i % 2 ? SPAN("1") : SPAN("0"));
}

static void votes_of_many_lanes_are_counted_once(void **state)
{
    struct store *store = open_lane();
    struct op put = poll_op(), vote = vote_op(SPAN("last"), SPAN("1"));
    assert_int_equal(apply_one(store, &put), OUTCOME_RECORDED);
    race_once_each(plan_votes);
    assert_int_equal(apply_one(store, &vote), OUTCOME_RECORDED);
    assert_int_equal(vote.vote.results.votes[0], ROUNDS * OPS / 2);
    assert_int_equal(vote.vote.results.votes[1], ROUNDS * OPS / 2 + 1);
    store_close(store);
}

static void plan_clicks(struct racer *racer, int round)
{
    for (int i = 0; i < OPS; i++)
        racer->ops[i] = click_op(SPAN("bid"));
}

static void plan_sessions(struct racer *racer, int round)
{
    for (int i = 0; i < OPS; i++) {
        snprintf(racer->names[i], sizeof racer->names[i], "b%d-%d", racer->number, i);
        racer->ops[i] = ad_feedback_op(span_of(racer->names[i]), SPAN("session"));
    }
}

static void plan_ratings(struct racer *racer, int round)
{
    for (int i = 0; i < OPS; i++) {
        snprintf(racer->names[i], sizeof racer->names[i], "s%d-%d", racer->number, i);
        racer->ops[i] = ad_feedback_op(SPAN("bid"), span_of(racer->names[i]));
    }
}

/* Caps hold however many lanes there are. */
static void race_to_a_cap(plan_fn *plan, int cap)
{
    struct racer *racers = open_racers();
    run_round(racers, plan, 0);
    assert_int_equal(count_outcomes(racers, OUTCOME_RECORDED), cap);
    assert_int_equal(count_outcomes(racers, OUTCOME_LIMITED), LANES * OPS - cap);
    close_racers(racers);
}

static void bid_has_100_clicks_of_all_lanes(void **state)
{
    race_to_a_cap(plan_clicks, LIMIT_CLICKS_PER_BID_COUNT);
}

static void session_has_30_a_minute_of_all_lanes(void **state)
{
    race_to_a_cap(plan_sessions, WINDOW_EVENTS_MAX);
}

static void bid_has_100_ad_feedbacks_of_all_lanes(void **state)
{
    race_to_a_cap(plan_ratings, LIMIT_AD_FEEDBACKS_PER_BID_COUNT);
}

/* -- connections that are cut --------------------------------------------------------------- */

static volatile bool is_cutting;

static void *cut(void *arg)
{
    while (is_cutting) {
        base_run(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
                      " datname = current_database() AND application_name = 'adtally'"
                      " AND random() < 0.4");
        usleep(15000);
    }
    return NULL;
}

static void keep_at_it(struct racer racers[LANES], uint64_t sequences[OPS])
{
    for (int i = 0; i < LANES; i++)
        for (int place = 0; place < OPS; place++) {
            const struct op *op = &racers[i].ops[place];
            if (op->outcome == OUTCOME_UNAVAILABLE) continue;
            assert_true(op->outcome == OUTCOME_RECORDED || op->outcome == OUTCOME_DUPLICATE);
            if (!sequences[place]) sequences[place] = op->sequence;
            assert_int_equal(op->sequence, sequences[place]);
        }
}

static void cut_connections_lose_nothing_and_count_nothing_twice(void **state)
{
    enum { TURNS = 40 };
    struct racer *racers = open_racers();
    struct op click = click_op(SPAN("bid"));
    pthread_t cutter;
    int answered = 0;
    uint64_t clicks = 0;
    assert_int_equal(apply_one(racers[0].store, &click), OUTCOME_RECORDED);
    uuid_write(click_id, &click.click.id);
    is_cutting = true;
    pthread_create(&cutter, NULL, cut, NULL);
    for (int turn = 0; turn < TURNS; turn++) {
        uint64_t sequences[OPS] = {0};
        run_round(racers, plan_keys, turn);
        keep_at_it(racers, sequences);
        for (int place = 0; place < OPS; place++)
            answered += sequences[place] != 0;
        for (int i = 0; i < LANES; i++) { /* no key: an answer alone tells whether it stands */
            struct op free_click = click_op(SPAN_NONE);
            clicks += apply_one(racers[i].store, &free_click) == OUTCOME_RECORDED;
        }
    }
    is_cutting = false;
    pthread_join(cutter, NULL);
    close_racers(racers);
    int64_t rows = base_number(url, "SELECT (SELECT count(*) FROM conversion) + (SELECT count(*)"
                                    " FROM server_event) + (SELECT count(*) FROM impression)");
    int64_t click_rows = base_number(url, "SELECT count(*) FROM click WHERE bid_id IS NULL");
    assert_true(rows >= answered && rows <= TURNS * OPS);
    assert_true(answered > 0);
    assert_true(click_rows >= (int64_t)clicks && click_rows <= TURNS * LANES);
    assert_int_equal(base_number(url,
                                 "SELECT count(*) - count(DISTINCT (idempotency_key, order_id))"
                                 " FROM conversion"),
                     0);
    assert_int_equal(base_number(url, "SELECT count(*) - count(DISTINCT event_id)"
                                      " FROM server_event"),
                     0);
    print_message("# %d answered, %lld rows\n", answered, (long long)rows);
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

/* -- erasing and removing ------------------------------------------------------------------ */

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

/* As if servers had been here since then: a partition for each day. */
static void begin_days_ago(int days)
{
    store_close(open_lane());
    int64_t day = clock_wall_ms() / DAY_MS - days;
    time_t seconds = (time_t)(day * DAY_MS / 1000);
    char name[16], sql[1024];
    strftime(name, sizeof name, "%Y%m%d", gmtime(&seconds));
    snprintf(sql, sizeof sql,
             "DO $$ DECLARE t text; p text; BEGIN"
             " FOREACH t IN ARRAY '{click,conversion,server_event,impression,feedback,ad_feedback,"
             "vote}'::text[] LOOP"
             " FOR p IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = t::regclass"
             " AND inhrelid::regclass::text LIKE t || '%%' LOOP"
             " EXECUTE 'DROP TABLE ' || p; END LOOP;"
             " EXECUTE format('CREATE TABLE %%s_%s PARTITION OF %%s FOR VALUES FROM (%lld) TO"
             " (%lld)', t, t); END LOOP; END $$",
             name, (long long)(day * DAY_MS), (long long)((day + 1) * DAY_MS));
    base_run(url, sql);
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

#define CASE(name) cmocka_unit_test_setup(name, new_database)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(one_of_many_is_recorded_and_the_others_name_it),
        CASE(race_without_a_unique_key_is_found_out),
        CASE(votes_of_many_lanes_are_counted_once),
        CASE(bid_has_100_clicks_of_all_lanes),
        CASE(session_has_30_a_minute_of_all_lanes),
        CASE(bid_has_100_ad_feedbacks_of_all_lanes),
        CASE(cut_connections_lose_nothing_and_count_nothing_twice),
        CASE(text_that_postgres_refuses_takes_no_other_with_it),
        CASE(person_is_erased_and_rows_stay_whole),
        CASE(days_past_their_time_are_removed),
        CASE(days_of_the_past_go_and_nothing_counts_again),
        CASE(batch_reads_no_more_of_large_tables),
        CASE(campaigns_are_looked_for_on_their_day),
    };
    hash_start();
    return UNIT_RUN(tests);
}
