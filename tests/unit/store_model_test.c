#include "dir.h"
#include "log_files.h"
#include "store_clock.h"
#include "store_database.h"
#include "unit.h"

#include "base/clock.h"
#include "base/rng.h"
#include "store/store.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The store against a model that keeps everything in a list and searches all of it: random ops out
 * of few names, in random batches, with restarts and a disk that refuses writes now and then. At a
 * restart the logs of the indexes may be gone, cut, damaged or of another moment. Every outcome and
 * every sequence must be the model's. Over a database the same, without logs. */

enum { CLICKS_MAX = 24, EVENTS_MAX = 60000, BATCHES = 4000, BATCH_MAX = 24 };

struct recorded {
    enum op_kind kind;
    uint64_t sequence;
    int64_t at_ms;
    int partner, click, type, key, order, tag; /* numbers of names, -1: absent */
};

struct model {
    struct recorded events[EVENTS_MAX];
    size_t count;
    char clicks[CLICKS_MAX][UUID_TEXT_LEN];
    int64_t clicks_ms[CLICKS_MAX];
    int clicks_count;
    int clicks_of_bid[4];
};

struct plan { /* an op before it has spans */
    struct op op;
    struct recorded facts;
    bool has_header, check_order, has_bid;
    char names[5][16];
};

static struct model model;
static struct store_options options;
static struct store *store;
static struct database *database; /* NULL: all is in `dir` */
static char dir[UNIT_DIR_MAX];
static uint64_t random_state;
static int64_t clock_ms;
static uint64_t rows_read[HARMS_COUNT], restarts[HARMS_COUNT];

static uint64_t roll(uint64_t sides)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (random_state >> 33) % sides;
}

static struct span name(struct plan *plan, int slot, const char *prefix, int number)
{
    if (number < 0) return SPAN_NONE;
    snprintf(plan->names[slot], sizeof plan->names[slot], "%s%d", prefix, number);
    return span_of(plan->names[slot]);
}

static int maybe(uint64_t sides)
{
    return roll(3) ? (int)roll(sides) : -1;
}

static void plan_conversion(struct plan *plan)
{
    struct recorded *facts = &plan->facts;
    *facts = (struct recorded){OP_CONVERSION,
                               0,
                               clock_ms,
                               (int)roll(2),
                               (int)roll((uint64_t)model.clicks_count + 1),
                               (int)roll(2),
                               maybe(40),
                               maybe(40),
                               -1};
    plan->has_header = facts->key >= 0 && roll(2);
    plan->check_order = !plan->has_header || roll(2);
    struct span key = name(plan, 0, "k", facts->key);
    bool is_known = facts->click < model.clicks_count;
    plan->op = (struct op){.kind = OP_CONVERSION, .received_at_ms = clock_ms};
    plan->op.conversion = (struct conversion){
        .sender = {name(plan, 1, "p", facts->partner), SPAN("id"), SPAN("label"), SPAN_NONE},
        .click_id = is_known ? (struct span){model.clicks[facts->click], UUID_TEXT_LEN}
                             : SPAN("00000000-0000-7000-8000-000000000000"),
        .event_type = name(plan, 2, "t", facts->type),
        .idempotency_key = plan->has_header ? key : SPAN_NONE,
        .event_id = plan->has_header ? SPAN_NONE : key,
        .order_id = name(plan, 3, "o", facts->order),
        .check_order = plan->check_order,
        .conversion_time = SPAN("2026-01-01T00:00:00Z"),
        .conversion_value = SPAN("1"),
        .value = {1, 0},
        .currency = SPAN("USD"),
        .channel = SPAN("server"),
    };
}

static void plan_event(struct plan *plan)
{
    struct recorded *facts = &plan->facts;
    *facts = (struct recorded){OP_SERVER_EVENT, 0,  clock_ms,    (int)roll(2), -1, -1,
                               maybe(30),       -1, (int)roll(2)};
    plan->op = (struct op){.kind = OP_SERVER_EVENT, .received_at_ms = clock_ms};
    plan->op.server_event = (struct server_event){
        .sender = {name(plan, 1, "p", facts->partner), SPAN("id"), SPAN("label"), SPAN_NONE},
        .event_name = SPAN("e"),
        .tag_id = name(plan, 2, "t", facts->tag),
        .event_id = name(plan, 0, "k", facts->key),
        .channel = SPAN("server"),
        .params = SPAN("{}"),
    };
}

static void plan_click(struct plan *plan)
{
    uint8_t random[10];
    rng_fill(random, sizeof random);
    plan->facts = (struct recorded){OP_CLICK, 0, clock_ms, -1, -1, -1, -1, -1, (int)roll(4)};
    plan->op = (struct op){.kind = OP_CLICK, .received_at_ms = clock_ms};
    plan->op.click = (struct click){
        .id = uuid_make_v7(clock_ms, random),
        .ad = {.bid_id = name(plan, 0, "bid", plan->facts.tag), .publisher_id = SPAN("pub")},
        .landing_url = SPAN("https://x/"),
        .route = SPAN("click"),
    };
}

static uint64_t find_conversion(const struct recorded *facts, bool by_order)
{
    for (size_t i = 0; i < model.count; i++) {
        const struct recorded *old = &model.events[i];
        bool same = by_order ? old->order == facts->order && facts->order >= 0
                             : old->key == facts->key && facts->key >= 0;
        if (same && old->kind == OP_CONVERSION && old->partner == facts->partner &&
            old->click == facts->click && old->type == facts->type)
            return old->sequence;
    }
    return 0;
}

static uint64_t find_event(const struct recorded *facts)
{
    for (size_t i = model.count; i > 0 && facts->key >= 0; i--) {
        const struct recorded *old = &model.events[i - 1];
        if (old->kind == OP_SERVER_EVENT && old->key == facts->key && old->tag == facts->tag &&
            old->partner == facts->partner &&
            old->at_ms > facts->at_ms - options.collect_dedup_window_ms)
            return old->sequence;
    }
    return 0;
}

static void remember(const struct plan *plan)
{
    assert_true(model.count < EVENTS_MAX);
    model.events[model.count] = plan->facts;
    model.events[model.count++].sequence = plan->op.sequence;
    if (plan->facts.kind != OP_CLICK) return;
    model.clicks_of_bid[plan->facts.tag]++;
    uuid_write(model.clicks[model.clicks_count], &plan->op.click.id);
    model.clicks_ms[model.clicks_count++] = clock_ms;
}

static enum outcome expect(const struct plan *plan, uint64_t *sequence)
{
    const struct recorded *facts = &plan->facts;
    *sequence = 0;
    if (facts->kind == OP_CLICK)
        return model.clicks_of_bid[facts->tag] >= 100 ? OUTCOME_LIMITED : OUTCOME_RECORDED;
    if (facts->kind == OP_SERVER_EVENT) {
        *sequence = find_event(facts);
        return *sequence ? OUTCOME_DUPLICATE : OUTCOME_RECORDED;
    }
    if (facts->click >= model.clicks_count ||
        model.clicks_ms[facts->click] + options.click_ttl_ms < facts->at_ms)
        return OUTCOME_NOT_FOUND;
    *sequence = find_conversion(facts, false);
    if (!*sequence && plan->check_order) *sequence = find_conversion(facts, true);
    return *sequence ? OUTCOME_DUPLICATE : OUTCOME_RECORDED;
}

static void refuse_writes(bool refuse)
{
    if (database) {
        database_refuse_writes(database, refuse);
        return;
    }
    struct rlimit limit = {refuse ? 16384 : RLIM_INFINITY, RLIM_INFINITY};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void check_batch(struct plan *plans, size_t count, enum err err)
{
    uint64_t sequence;
    for (size_t i = 0; i < count; i++) {
        if (err) {
            assert_int_equal(plans[i].op.outcome, OUTCOME_UNAVAILABLE);
            continue;
        }
        assert_int_equal(plans[i].op.outcome, expect(&plans[i], &sequence));
        if (plans[i].op.outcome == OUTCOME_DUPLICATE)
            assert_int_equal(plans[i].op.sequence, sequence);
        if (plans[i].op.outcome == OUTCOME_RECORDED) remember(&plans[i]);
    }
}

static void open_store(void)
{
    char problem[STORE_PROBLEM_MAX] = "";
    enum err err = store_open(&store, &options, problem);
    if (err) print_error("%s\n", problem);
    assert_int_equal(err, ERR_OK);
}

static void run_random_batch(void)
{
    static struct plan plans[BATCH_MAX];
    struct op *ops[BATCH_MAX];
    bool refuse = roll(20) == 0;
    size_t count = 1 + roll(BATCH_MAX);
    bool clicks_only = model.clicks_count < CLICKS_MAX && roll(10) == 0;
    if (clicks_only) count = 1;
    for (size_t i = 0; i < count; i++) {
        if (clicks_only)
            plan_click(&plans[i]);
        else if (roll(2))
            plan_conversion(&plans[i]);
        else
            plan_event(&plans[i]);
        ops[i] = &plans[i].op;
    }
    if (refuse) refuse_writes(true);
    store_clock_reach(clock_ms);
    if (database) database_set_clock(database, clock_ms);
    enum err err = store_apply(store, ops, count);
    if (refuse) refuse_writes(false);
    assert_true(refuse || err == ERR_OK);
    check_batch(plans, count, err);
    assert_int_equal(store_maintain(store), ERR_OK);
}

/* What stands on disk while it runs is what a kill would leave. */
static void restart(void)
{
    if (database) {
        store_close(store);
        open_store();
        return;
    }
    static struct log_files stale;
    uint64_t random = roll(1 << 30);
    enum log_harm harm = (enum log_harm)roll(HARMS_COUNT);
    bool takes = roll(2);
    if (takes && harm != HARM_STALE) log_files_take(&stale, dir);
    store_close(store);
    log_files_harm(dir, harm, random, &stale);
    open_store();
    struct store_stats stats;
    store_stats(store, &stats);
    rows_read[harm] += stats.rebuilt_count;
    restarts[harm]++;
}

static void store_does_what_the_model_does(void **state)
{
    (void)state;
    for (int batch = 0; batch < BATCHES; batch++) {
        clock_ms += (int64_t)roll(40);
        run_random_batch();
        if (roll(100) == 0) restart();
    }
    print_message("# recorded %zu events, %d clicks\n", model.count, model.clicks_count);
    if (database) {
        assert_int_equal(database_findings(database), 0);
        return;
    }
    char memory[4096];
    struct writer report;
    uint64_t findings;
    writer_init(&report, memory, sizeof memory);
    assert_int_equal(store_verify(dir, &report, &findings), ERR_OK);
    assert_int_equal(findings, 0);
    assert_int_equal(rows_read[HARM_NONE], 0);
    assert_true(rows_read[HARM_REMOVED] + rows_read[HARM_CUT] + rows_read[HARM_FLIPPED] > 0);
    assert_true(restarts[HARM_NONE] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(store_does_what_the_model_does)};
    const char *seed = getenv("ADTALLY_SEED");
    random_state = seed ? strtoull(seed, NULL, 10) : (uint64_t)clock_wall_ms();
    print_message("# seed %llu (set ADTALLY_SEED to repeat)\n", (unsigned long long)random_state);
    hash_start();
    signal(SIGXFSZ, SIG_IGN);
    clock_ms = clock_wall_ms();
    unit_dir_make(dir, "model");
    store_options_init(&options);
    options.dir = dir;
    options.create = true;
    options.collect_dedup_window_ms = 20000; /* of the model's clock: several times in a run */
    options.click_ttl_ms = 60000;
    options.index_log_events = 200;
    options.index_load_changes = 64;
    if (database_is_wanted()) {
        database = database_new(clock_ms);
        options.url = database_url(database);
    }
    open_store();
    int failed = UNIT_RUN(tests);
    store_close(store);
    database_free(database);
    unit_dir_remove(dir);
    return failed;
}
