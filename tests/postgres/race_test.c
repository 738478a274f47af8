#include "batches.h"

#include "base/limits.h"
#include "store/window.h"
#include "token/hash.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

/* Batches of several lanes at once over one database: who comes first is recorded, everybody else
 * is told its sequence, and what is counted is counted once; also while connections are cut. */

enum { LANES = 4, OPS = 60, ROUNDS = 6 };

static char click_id[UUID_TEXT_LEN];

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
    };
    hash_start();
    return UNIT_RUN(tests);
}
