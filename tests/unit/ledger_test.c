#include "dir.h"
#include "ops.h"
#include "unit.h"

#include "base/clock.h"
#include "ledger/ledger.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Threads, the queue between them and the order of commit and answer; what a batch decides is the
 * store suite's. */

enum { THREADS = 8, OPS = 2000 };

struct bench {
    char dir[UNIT_DIR_MAX];
    struct ledger *ledger;
};

static struct store *open_store(const struct bench *bench)
{
    struct store *store;
    struct store_options options;
    char problem[STORE_PROBLEM_MAX];
    store_options_init(&options);
    options.dir = bench->dir;
    options.create = true;
    assert_int_equal(store_open(&store, &options, problem), ERR_OK);
    return store;
}

static void start(struct bench *bench, uint32_t queue_cap)
{
    struct store *store = open_store(bench);
    struct ledger_options ledger_options = {.queue_cap = queue_cap};
    assert_int_equal(ledger_start(&bench->ledger, &store, 1, &ledger_options), ERR_OK);
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    unit_dir_make(bench->dir, "ledger");
    start(bench, 65536);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    if (bench->ledger) ledger_stop(bench->ledger);
    unit_dir_remove(bench->dir);
    free(bench);
    return 0;
}

struct racer {
    pthread_t thread;
    struct ledger *ledger;
    uint8_t recorded[OPS];
    uint64_t sequence[OPS];
};

static void *race(void *arg)
{
    struct racer *racer = arg;
    for (int i = 0; i < OPS; i++) {
        char id[16];
        snprintf(id, sizeof id, "e%d", i);
        struct op op = event_op(SPAN("t"), span_of(id), clock_wall_ms());
        ledger_call(racer->ledger, &op);
        racer->recorded[i] = op.outcome == OUTCOME_RECORDED;
        racer->sequence[i] = op.sequence;
    }
    return NULL;
}

static void racing_copies_have_one_winner_and_one_sequence(void **state)
{
    struct bench *bench = *state;
    static struct racer racers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        racers[i].ledger = bench->ledger;
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(racers[i].thread, NULL);
    for (int i = 0; i < OPS; i++) {
        int winners = 0;
        for (int t = 0; t < THREADS; t++) {
            winners += racers[t].recorded[i];
            assert_int_equal(racers[t].sequence[i], racers[0].sequence[i]);
        }
        assert_int_equal(winners, 1);
    }
}

static void count_wake(void *arg)
{
    ++*(int *)arg;
}

static void stop_answers_everything_that_was_submitted(void **state)
{
    struct bench *bench = *state;
    static struct op ops[OPS];
    struct ledger_port port;
    int wakes = 0, answered = 0;
    ledger_port_init(&port, count_wake, &wakes);
    for (int i = 0; i < OPS; i++) {
        ops[i] = event_op(SPAN("t"), SPAN_NONE, clock_wall_ms());
        assert_true(ledger_submit(bench->ledger, &port, &ops[i]));
    }
    ledger_stop(bench->ledger);
    bench->ledger = NULL;
    for (struct op *op = ledger_take_answered(&port); op; op = op->next, answered++)
        assert_int_equal(op->outcome, OUTCOME_RECORDED);
    assert_int_equal(answered, OPS);
    assert_true(wakes >= 1);
    ledger_port_fini(&port);
}

/* A loop that takes what it gets between two wakes would be woken again for the rest. */
static void take_all(void *arg)
{
    struct ledger_port *port = arg;
    int64_t number = 0;
    for (struct op *op = ledger_take_answered(port); op; op = op->next) {
        assert_int_equal(op->outcome, OUTCOME_RECORDED);
        assert_int_equal(op->server_event.timestamp, number++);
    }
    assert_int_equal(number, 3);
    port->wake_arg = NULL; /* a second wake would find no port */
}

static void a_batch_wakes_each_port_once(void **state)
{
    enum { PORTS = 3, EACH = 3 };
    struct bench *bench = *state;
    struct ledger *ledger;
    struct ledger_options options = {.queue_cap = 16};
    struct ledger_port ports[PORTS];
    struct op ops[PORTS * EACH];
    ledger_stop(bench->ledger);
    bench->ledger = NULL;
    assert_int_equal(ledger_open(&ledger, open_store(bench), &options), ERR_OK);
    for (int i = 0; i < PORTS; i++)
        ledger_port_init(&ports[i], take_all, &ports[i]);
    for (int i = 0; i < PORTS * EACH; i++) {
        ops[i] = event_op(SPAN("t"), SPAN_NONE, clock_wall_ms());
        ops[i].server_event.timestamp = i / PORTS;
        assert_true(ledger_submit(ledger, &ports[i % PORTS], &ops[i]));
    }
    assert_int_equal(ledger_turn(ledger), ERR_OK);
    for (int i = 0; i < PORTS; i++) {
        assert_null(ports[i].wake_arg);
        ledger_port_fini(&ports[i]);
    }
    ledger_close(ledger);
}

static void a_chain_is_pushed_whole_or_not_at_all(void **state)
{
    struct queue queue;
    struct queue_chain chain = {0};
    struct op ops[3];
    bool was_empty;
    queue_init(&queue, 3);
    queue_chain_add(&chain, &ops[0]);
    queue_chain_add(&chain, &ops[1]);
    assert_true(queue_try_push(&queue, &ops[2], &was_empty));
    assert_true(queue_try_push_chain(&queue, &chain, &was_empty));
    assert_false(was_empty);
    assert_ptr_equal(queue_pop_all(&queue, 2), &ops[2]);
    assert_ptr_equal(ops[2].next, &ops[0]);
    assert_true(queue_try_push(&queue, &ops[2], &was_empty));
    assert_true(queue_try_push(&queue, &ops[0], &was_empty));
    assert_false(
        queue_try_push_chain(&queue, &(struct queue_chain){&ops[0], &ops[0], 1}, &was_empty));
    assert_ptr_equal(queue_pop_all(&queue, 3), &ops[1]);
    assert_null(ops[0].next);
    queue_fini(&queue);
}

static void full_queue_refuses_and_says_so(void **state)
{
    struct queue queue;
    struct op ops[3];
    bool was_empty;
    queue_init(&queue, 2);
    assert_true(queue_try_push(&queue, &ops[0], &was_empty));
    assert_true(was_empty);
    assert_true(queue_try_push(&queue, &ops[1], &was_empty));
    assert_false(was_empty);
    assert_false(queue_try_push(&queue, &ops[2], &was_empty));
    assert_ptr_equal(queue_pop_all(&queue, 1), &ops[0]);
    assert_null(ops[0].next);
    assert_true(queue_try_push(&queue, &ops[2], &was_empty));
    assert_ptr_equal(queue_wait_all(&queue, 10, -1), &ops[1]);
    assert_ptr_equal(ops[1].next, &ops[2]);
    assert_null(queue_wait_all(&queue, 10, 5));
    queue_close(&queue);
    assert_null(queue_wait_all(&queue, 10, -1));
    assert_false(queue_try_push(&queue, &ops[0], &was_empty));
    queue_fini(&queue);
}

static struct op key_op(struct ledger *ledger, struct span id, struct span secret)
{
    struct op op = {.kind = OP_KEY_CREATE,
                    .received_at_ms = clock_wall_ms(),
                    .key = {.id = id,
                            .cls = APIKEY_PARTNER,
                            .label = SPAN("l"),
                            .partner_id = SPAN("p"),
                            .created_at_ms = 1}};
    hash_secret(op.key.hash, keyring_pepper(ledger_keyring(ledger)), secret);
    return op;
}

static void keys_hold_from_the_answer_on(void **state)
{
    struct bench *bench = *state;
    struct keyring *keyring = ledger_keyring(bench->ledger);
    struct span secret = SPAN("a-secret-of-some-length");
    struct keyring_memo memo = {0};
    int64_t now_ms = clock_wall_ms();
    struct op create = key_op(bench->ledger, SPAN("abcdefghijkl"), secret);
    assert_null(keyring_find(keyring, &memo, secret, APIKEY_PARTNER, now_ms));
    ledger_call(bench->ledger, &create);
    assert_int_equal(create.outcome, OUTCOME_RECORDED);
    const struct api_key *key = keyring_find(keyring, &memo, secret, APIKEY_PARTNER, now_ms);
    assert_non_null(key);
    assert_true(span_eq(key->id, SPAN("abcdefghijkl")));
    assert_null(keyring_find(keyring, &memo, secret, APIKEY_ADSERVER, now_ms));
    assert_null(
        keyring_find(keyring, &memo, SPAN("a-secret-of-some-lengtH"), APIKEY_PARTNER, now_ms));
    struct op revoke = {.kind = OP_KEY_REVOKE, .received_at_ms = now_ms, .key_id = create.key.id};
    ledger_call(bench->ledger, &revoke);
    assert_null(keyring_find(keyring, &memo, secret, APIKEY_PARTNER, now_ms));
}

/* What a memo saves is the hash: what became of the key since is looked at each time. */
static void a_remembered_secret_is_only_its_own(void **state)
{
    struct bench *bench = *state;
    struct keyring *keyring = ledger_keyring(bench->ledger);
    struct keyring_memo memo = {0};
    struct span secrets[] = {SPAN("the-first-secret-is-32-bytes-lon"),
                             SPAN("the-first-secret-is-32-bytes-lon-and-more"),
                             SPAN("the-first-secret-is-32-bytes-lon-and-morE")};
    struct op first = key_op(bench->ledger, SPAN("abcdefghijkl"), secrets[0]);
    struct op second = key_op(bench->ledger, SPAN("abcdefghijkm"), secrets[1]);
    ledger_call(bench->ledger, &first);
    ledger_call(bench->ledger, &second);
    for (int round = 0; round < 2; round++) {
        const struct api_key *key = keyring_find(keyring, &memo, secrets[0], APIKEY_PARTNER, 1);
        assert_true(span_eq(key->id, SPAN("abcdefghijkl")));
        assert_ptr_equal(keyring_find(keyring, &memo, secrets[0], APIKEY_PARTNER, 1), key);
        assert_null(keyring_find(keyring, &memo, secrets[0], APIKEY_ADSERVER, 1));
        key = keyring_find(keyring, &memo, secrets[1], APIKEY_PARTNER, 1);
        assert_true(span_eq(key->id, SPAN("abcdefghijkm")));
        assert_null(keyring_find(keyring, &memo, secrets[2], APIKEY_PARTNER, 1));
    }
    assert_true(memo.key && span_eq(memo.key->id, SPAN("abcdefghijkm")));
    struct op revoke = {.kind = OP_KEY_REVOKE, .received_at_ms = 1, .key_id = second.key.id};
    ledger_call(bench->ledger, &revoke);
    assert_null(keyring_find(keyring, &memo, secrets[1], APIKEY_PARTNER, 1));
}

static void expired_keys_are_no_keys(void **state)
{
    struct bench *bench = *state;
    struct keyring *keyring = ledger_keyring(bench->ledger);
    struct op create = key_op(bench->ledger, SPAN("abcdefghijkl"), SPAN("secret-secret-secret"));
    struct keyring_memo memo = {0};
    create.key.expires_at_ms = 5000;
    ledger_call(bench->ledger, &create);
    assert_non_null(
        keyring_find(keyring, &memo, SPAN("secret-secret-secret"), APIKEY_PARTNER, 4999));
    assert_null(keyring_find(keyring, &memo, SPAN("secret-secret-secret"), APIKEY_PARTNER, 5000));
}

static void rotated_token_key_mints_and_the_old_one_still_reads(void **state)
{
    struct bench *bench = *state;
    struct keyring *keyring = ledger_keyring(bench->ledger);
    struct token_key old, minting, found;
    keyring_minting_key(keyring, &old);
    struct op rotate = {.kind = OP_TOKEN_KEY_ROTATE, .token_key = {.kid = "k2345678"}};
    ledger_call(bench->ledger, &rotate);
    keyring_minting_key(keyring, &minting);
    assert_memory_equal(minting.kid, "k2345678", TOKEN_KID_LEN);
    struct span old_kid = {old.kid, TOKEN_KID_LEN};
    assert_true(keyring_token_key(keyring, old_kid, &found));
    struct op retire = {.kind = OP_TOKEN_KEY_RETIRE, .token_key = old};
    ledger_call(bench->ledger, &retire);
    assert_false(keyring_token_key(keyring, old_kid, &found));
}

#define LEDGER_CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LEDGER_CASE(racing_copies_have_one_winner_and_one_sequence),
        LEDGER_CASE(stop_answers_everything_that_was_submitted),
        LEDGER_CASE(full_queue_refuses_and_says_so),
        LEDGER_CASE(a_chain_is_pushed_whole_or_not_at_all),
        LEDGER_CASE(a_batch_wakes_each_port_once),
        LEDGER_CASE(keys_hold_from_the_answer_on),
        LEDGER_CASE(a_remembered_secret_is_only_its_own),
        LEDGER_CASE(expired_keys_are_no_keys),
        LEDGER_CASE(rotated_token_key_mints_and_the_old_one_still_reads),
    };
    hash_start();
    return UNIT_RUN(tests);
}
