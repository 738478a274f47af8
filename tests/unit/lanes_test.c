#include "dir.h"
#include "ops.h"
#include "unit.h"

#include "base/clock.h"
#include "ledger/ledger.h"
#include "store/engine.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Several lanes, each over a store of its own that knows nothing of the others: so an op that went
 * to another lane than its copy would be recorded twice, and here alone can that be seen. */

enum { LANES = 4, THREADS = 8, OPS = 500 };

struct bench {
    char dirs[LANES][UNIT_DIR_MAX];
    struct store *stores[LANES];
    struct ledger *ledger;
};

static void open_store(struct bench *bench, int lane)
{
    struct store_options options;
    char problem[STORE_PROBLEM_MAX];
    unit_dir_make(bench->dirs[lane], "lanes");
    store_options_init(&options);
    options.dir = bench->dirs[lane];
    options.create = true;
    assert_int_equal(store_open(&bench->stores[lane], &options, problem), ERR_OK);
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    for (int i = 0; i < LANES; i++)
        open_store(bench, i);
    *state = bench;
    return 0;
}

static void start(struct bench *bench, uint32_t lanes, uint32_t queue_cap)
{
    struct ledger_options options = {.queue_cap = queue_cap};
    assert_int_equal(ledger_start(&bench->ledger, bench->stores, lanes, &options), ERR_OK);
    for (uint32_t i = lanes; i < LANES; i++)
        store_close(bench->stores[i]);
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    if (bench->ledger) ledger_stop(bench->ledger);
    for (int i = 0; i < LANES; i++)
        unit_dir_remove(bench->dirs[i]);
    free(bench);
    return 0;
}

struct racer {
    pthread_t thread;
    struct ledger *ledger;
    uint8_t recorded[OPS];
};

static void *race(void *arg)
{
    struct racer *racer = arg;
    for (int i = 0; i < OPS; i++) {
        char tag[16];
        snprintf(tag, sizeof tag, "t%d", i);
        struct op op = event_op(span_of(tag), SPAN("once"), clock_wall_ms());
        ledger_call(racer->ledger, &op);
        assert_true(op.outcome == OUTCOME_RECORDED || op.outcome == OUTCOME_DUPLICATE);
        racer->recorded[i] = op.outcome == OUTCOME_RECORDED;
    }
    return NULL;
}

static void copies_meet_in_one_lane(void **state)
{
    struct bench *bench = *state;
    static struct racer racers[THREADS];
    start(bench, LANES, 65536);
    for (int i = 0; i < THREADS; i++) {
        racers[i].ledger = bench->ledger;
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(racers[i].thread, NULL);
    for (int i = 0; i < OPS; i++) {
        int winners = 0;
        for (int t = 0; t < THREADS; t++)
            winners += racers[t].recorded[i];
        assert_int_equal(winners, 1);
    }
}

static uint64_t rows_of(struct bench *bench, int lane)
{
    struct store_options options;
    struct store_stats stats;
    struct store *store;
    char problem[STORE_PROBLEM_MAX];
    store_options_init(&options);
    options.dir = bench->dirs[lane];
    assert_int_equal(store_open(&store, &options, problem), ERR_OK);
    store_stats(store, &stats);
    store_close(store);
    return stats.sequence_next - 1;
}

static void every_lane_has_its_share(void **state)
{
    struct bench *bench = *state;
    static struct racer racer;
    struct ledger_stats stats;
    start(bench, LANES, 65536);
    racer.ledger = bench->ledger;
    race(&racer);
    ledger_stats(bench->ledger, &stats);
    assert_int_equal(stats.ops, OPS);
    assert_int_equal(stats.batch_size.sum, OPS);
    assert_int_equal(stats.queue_length, 0);
    ledger_stop(bench->ledger);
    bench->ledger = NULL;
    uint64_t sum = 0;
    for (int i = 0; i < LANES; i++) {
        uint64_t rows = rows_of(bench, i);
        assert_in_range(rows, OPS / LANES / 2, OPS / LANES * 2);
        sum += rows;
    }
    assert_int_equal(sum, OPS);
}

/* Events of many tags, so that every lane has some. */
static void submit_events(struct bench *bench, struct ledger_port *port, int from, int until)
{
    static struct op ops[OPS];
    static char tags[OPS][16];
    for (int i = from; i < until; i++) {
        snprintf(tags[i], sizeof tags[i], "t%d", i);
        ops[i] = event_op(span_of(tags[i]), SPAN("once"), clock_wall_ms());
        assert_true(ledger_submit(bench->ledger, port, &ops[i]));
    }
}

/* One port gets what several lanes answer at once. */
static void many_answers_of_many_lanes_come_back(void **state)
{
    struct bench *bench = *state;
    struct ledger_port port;
    int answered = 0;
    start(bench, LANES, 65536);
    ledger_port_init(&port, NULL, NULL);
    submit_events(bench, &port, 0, OPS);
    while (answered < OPS)
        for (struct op *op = queue_wait_all(&port.answered, UINT32_MAX, -1); op; op = op->next) {
            assert_int_equal(op->outcome, OUTCOME_RECORDED);
            answered++;
        }
    ledger_port_fini(&port);
}

static void ops_called_together_keep_their_order(void **state)
{
    struct bench *bench = *state;
    static struct op ops[OPS];
    static char tags[OPS][16];
    struct op *list[OPS];
    start(bench, LANES, 65536);
    for (int i = 0; i < OPS; i++) {
        snprintf(tags[i], sizeof tags[i], "t%d", i);
        ops[i] = event_op(span_of(tags[i]), SPAN("once"), clock_wall_ms());
        list[i] = &ops[i];
    }
    ledger_call_all(bench->ledger, list, OPS);
    for (int i = 1; i < OPS; i++)
        assert_int_equal(ops[i].sequence, ops[i - 1].sequence + 1);
}

static void the_queues_have_one_room(void **state)
{
    struct queue queues[2];
    struct queue_room room;
    struct op ops[3];
    bool was_empty;
    (void)state;
    queue_room_init(&room, 2);
    for (int i = 0; i < 2; i++) {
        queue_init(&queues[i], 2);
        queues[i].room = &room;
    }
    assert_true(queue_try_push(&queues[0], &ops[0], &was_empty));
    assert_true(queue_try_push(&queues[1], &ops[1], &was_empty));
    assert_false(queue_try_push(&queues[0], &ops[2], &was_empty));
    assert_false(queue_try_push(&queues[1], &ops[2], &was_empty));
    assert_ptr_equal(queue_pop_all(&queues[1], 1), &ops[1]);
    assert_true(queue_try_push(&queues[0], &ops[2], &was_empty));
    assert_ptr_equal(queue_pop_all(&queues[0], 2), &ops[0]);
    for (int i = 0; i < 2; i++)
        queue_fini(&queues[i]);
}

/* The first lane's store as another node would leave it: a key more, which nothing here made. */
static atomic_bool has_other_key, is_told;
static uint8_t other_hash[HASH_SIZE];
static const struct store_engine *engine;

static bool tell_once(struct store *store)
{
    return atomic_load(&has_other_key) && !atomic_exchange(&is_told, true);
}

static enum err each_key_and_another(struct store *store, store_on_key *on_key, void *arg)
{
    enum err err = engine->each_key(store, on_key, arg);
    struct api_key key = {.id = SPAN("abcdefghijkl"),
                          .cls = APIKEY_PARTNER,
                          .label = SPAN("l"),
                          .partner_id = SPAN("p"),
                          .created_at_ms = 1};
    memcpy(key.hash, other_hash, sizeof key.hash);
    if (!err && atomic_load(&has_other_key)) on_key(&key, arg);
    return err;
}

static void a_key_of_another_node_is_known_within_a_second(void **state)
{
    struct bench *bench = *state;
    struct span secret = SPAN("a-secret-of-some-length");
    struct keyring_memo memo = {0};
    engine = bench->stores[0]->engine;
    struct store_engine shared = *engine;
    shared.has_changed = tell_once;
    shared.each_key = each_key_and_another;
    bench->stores[0]->engine = &shared;
    start(bench, LANES, 65536);
    struct keyring *keyring = ledger_keyring(bench->ledger);
    hash_secret(other_hash, keyring_pepper(keyring), secret);
    assert_null(keyring_find(keyring, &memo, secret, APIKEY_PARTNER, 1));
    atomic_store(&has_other_key, true);
    int64_t began_ms = clock_mono_ms();
    while (!keyring_find(keyring, &memo, secret, APIKEY_PARTNER, 1)) {
        assert_in_range(clock_mono_ms() - began_ms, 0, 5000);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    ledger_stop(bench->ledger); /* before `shared` is gone */
    bench->ledger = NULL;
}

/* A batch that takes its time: the first one of all. */
static atomic_bool is_held;
static sem_t has_begun, may_end;

static enum err apply_the_first_slowly(struct store *store, struct op *const ops[], size_t count)
{
    if (!atomic_exchange(&is_held, true)) {
        sem_post(&has_begun);
        sem_wait(&may_end);
    }
    return engine->apply(store, ops, count);
}

static int take_answers(struct ledger_port *port)
{
    int count = 0;
    for (struct op *op = queue_wait_all(&port->answered, UINT32_MAX, 5000); op; op = op->next)
        count++;
    return count;
}

/* Lanes wait for each other so that batches grow, and not for longer than that is worth. */
static void a_lane_that_is_stuck_holds_up_no_other(void **state)
{
    struct bench *bench = *state;
    struct ledger_port port;
    int answered = 0;
    engine = bench->stores[0]->engine;
    struct store_engine slow = *engine;
    slow.apply = apply_the_first_slowly;
    for (int i = 0; i < LANES; i++)
        bench->stores[i]->engine = &slow;
    sem_init(&has_begun, 0, 0);
    sem_init(&may_end, 0, 0);
    start(bench, LANES, 65536);
    ledger_port_init(&port, NULL, NULL);
    submit_events(bench, &port, 0, 1);
    sem_wait(&has_begun);
    submit_events(bench, &port, 1, OPS);
    while (answered < OPS / LANES) {
        int more = take_answers(&port);
        assert_int_not_equal(more, 0); /* or they wait for the one that is stuck */
        answered += more;
    }
    sem_post(&may_end);
    while (answered < OPS)
        answered += take_answers(&port);
    ledger_stop(bench->ledger); /* before `slow` is gone */
    bench->ledger = NULL;
    ledger_port_fini(&port);
}

#define LANES_CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LANES_CASE(copies_meet_in_one_lane),
        LANES_CASE(every_lane_has_its_share),
        LANES_CASE(many_answers_of_many_lanes_come_back),
        LANES_CASE(a_lane_that_is_stuck_holds_up_no_other),
        LANES_CASE(ops_called_together_keep_their_order),
        cmocka_unit_test(the_queues_have_one_room),
        LANES_CASE(a_key_of_another_node_is_known_within_a_second),
    };
    hash_start();
    return UNIT_RUN(tests);
}
