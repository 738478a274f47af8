#include "audit.h"
#include "clients.h"
#include "seams.h"
#include "server.h"
#include "sim_disk.h"

#include "base/clock.h"
#include "store/store.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* sim --seeds N --seed S [--trace] [--wrong-model NAME] [--broken sync|clock|random]
 *
 * Runs N simulations, of the seeds S, S + 1 and so on: clients, an operator, a disk and a clock
 * that do everything the contract allows for, and a model that knows every answer. After each crash
 * and at each end the rows are compared with what was acknowledged. The first difference ends the
 * program with 1, the seed and what differs. */

#define DIR_PATH SIM_DISK_ROOT "/data"

enum {
    STEPS_MIN = 20,
    STEPS_SPREAD = 60,
    BATCH_MAX = 100,
    STARTS_MAX = 20,
    PENDING_MAX = 32,
    CLASSES = 6, /* of statuses */
    PAGE = 4096,
    WHY_MAX = 1200,
    BACK_MS_MAX = 30 * 1000, /* stamps may be out of order by this much */
};

static const int64_t START_MS = INT64_C(1772323200000); /* 2026-03-01 */
static const int64_t MINUTE_MS = 60 * 1000;

struct arguments {
    uint64_t seed, seeds;
    bool trace;
    const char *wrong_model, *broken;
};

static struct {
    uint64_t requests, commands, class_count[CLASSES], events, turns;
    uint64_t failed_calls, failed_batches, full_disks, stops, expiries;
    uint64_t all_stood, none_stood;
} total;

static struct {
    const struct arguments *arguments;
    struct server_options options;
    struct model model, possible;
    struct batch {
        struct ask asks[BATCH_MAX];
        size_t count;
    } pending[PENDING_MAX]; /* since the last one that was recorded; of these one may stand */
    size_t pending_count;
    uint64_t hash;
    int64_t latest_ms; /* the wall clock never goes back behind this by more than BACK_MS_MAX */
    bool clock_goes_back, disk_is_full, failed;
    char why[WHY_MAX];
} run;

/* -- the trace ----------------------------------------------------------------------------- */

static void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void trace(const char *format, ...)
{
    char line[512];
    va_list values;
    va_start(values, format);
    vsnprintf(line, sizeof line, format, values);
    va_end(values);
    for (const char *at = line; *at; at++) /* FNV-1a */
        run.hash = (run.hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
    if (run.arguments->trace) puts(line);
}

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The first failure is the one to look at. */
static void fail(const char *format, ...)
{
    va_list values;
    if (run.failed) return;
    va_start(values, format);
    vsnprintf(run.why, sizeof run.why, format, values);
    va_end(values);
    run.failed = true;
    trace("FAILED %s", run.why);
}

static const char *const kind_names[ASK_KINDS] = {
    "conversion_v1", "conversion_api", "collect",    "redirect",    "track_click", "view",
    "ack",           "track_imp",      "feedback",   "ad_feedback", "vote",        "results",
    "mint",          "health",         "key_create", "key_revoke",  "rotate",      "retire",
    "poll_put",      "poll_withdraw"};

static void trace_ask(const struct ask *ask)
{
    trace("%" PRId64 " %s flaw=%d key=%d client=%d ad=%d token=%d garbled=%d click=%d type=%d"
          " idem=%d event=%d order=%d tag=%d session=%d says=%d/%d/%d poll=%d option=%d/%x kid=%d",
          ask->at_ms, kind_names[ask->kind], ask->flaw, ask->key, ask->client, ask->ad, ask->token,
          ask->garbled, ask->click, ask->event_type, ask->idempotency_key, ask->event_id,
          ask->order_id, ask->tag, ask->session, ask->sentiment, ask->reasons, ask->comment,
          ask->poll, ask->option, ask->options, ask->token_key);
}

static void trace_answer(const struct ask *ask, const struct answer *answer)
{
    trace("  %s -> %d retry=%d receipt=%016" PRIx64 " %s%.160s", kind_names[ask->kind],
          answer->status, answer->retry_after_s, answer->receipt, answer->location,
          ask->kind == ASK_MINT ? "" : answer->body);
    if (answer->status > 0) total.class_count[answer->status / 100]++;
}

/* -- asking and answering ------------------------------------------------------------------ */

static void check(const struct ask *ask, const struct expected *expected,
                  const struct answer *answer)
{
    char why[WHY_MAX / 2];
    if (!model_check(&run.model, ask, expected, answer, why, sizeof why))
        fail("%s at %" PRId64 ": %s", kind_names[ask->kind], ask->at_ms, why);
}

static struct slot *send(const struct ask *ask)
{
    static struct words_request words;
    char key_id[16];
    if (ask->kind < ASK_KEY_CREATE) {
        total.requests++;
        clients_write(&run.model, ask, &words);
        return server_request(ask, &words);
    }
    total.commands++;
    snprintf(key_id, sizeof key_id, "key%09d", ask->key);
    return server_command(ask, key_id, run.model.token_keys[ask->token_key].kid);
}

static void learn_ad(const struct ask *ask, const struct answer *answer)
{
    int64_t end_ms = ask->at_ms + ask->ttl_s * INT64_C(1000);
    if (answer->status != 200) return;
    if (!clients_learn_ad(&run.model, ask, answer->body, end_ms))
        fail("mint: the answer has no tokens of the minting key: %.400s", answer->body);
    else if (dice_in(6))
        clients_mint_elsewhere(&run.model, ask->ad);
}

/* A token key's name is known before it is asked for. */
static void name_token_key(const struct ask *ask)
{
    struct model *model = &run.model;
    if (ask->kind != ASK_ROTATE || ask->token_key < model->token_keys_count) return;
    snprintf(model->token_keys[ask->token_key].kid, KID_TEXT, "sim%05d", ask->token_key);
    model->token_keys_count = ask->token_key + 1;
}

/* A key that may be retired is, once a token of it is refused. */
static bool admit(const struct ask *ask, const struct slot *slot, struct expected *expected)
{
    struct known_token_key *key = model_token_key(&run.model, ask);
    if (key && key->state == TOKEN_KEY_MAYBE && slot_is_answered(slot)) {
        char why[WHY_MAX];
        run.possible = run.model;
        if (model_admit(&run.possible, ask, expected)) model_unavailable(ask, expected);
        if (!model_check(&run.possible, ask, expected, slot_answer(slot), why, sizeof why))
            key->state = TOKEN_KEY_RETIRED;
    }
    return model_admit(&run.model, ask, expected);
}

static void submit(struct ask *ask, size_t waiting)
{
    struct expected expected;
    ask->at_ms = clock_true_ms();
    ask->mono_ms = clock_mono_ms();
    name_token_key(ask);
    trace_ask(ask);
    struct slot *slot = send(ask);
    bool goes_on = admit(ask, slot, &expected);
    if (goes_on && waiting < run.options.queue_cap) {
        if (slot_is_answered(slot))
            fail("%s was answered without the ledger: %d", kind_names[ask->kind],
                 slot_answer(slot)->status);
        return;
    }
    if (goes_on) model_unavailable(ask, &expected);
    if (!slot_is_answered(slot)) {
        fail("%s went to the ledger, and should have been refused with %d", kind_names[ask->kind],
             expected.status);
        return;
    }
    trace_answer(ask, slot_answer(slot));
    check(ask, &expected, slot_answer(slot));
    if (ask->kind == ASK_MINT && !run.failed) learn_ad(ask, slot_answer(slot));
}

static void submit_some(size_t count)
{
    struct slot *waiting[SLOTS_MAX];
    for (size_t i = 0; i < count && !run.failed; i++) {
        struct ask ask;
        size_t already = server_waiting(waiting);
        if (already == BATCH_MAX) return;
        if (clients_ask(&run.model, &ask)) submit(&ask, already);
        server_sweep();
        clock_move(dice_in(4) ? dice_below(8) : 0);
    }
}

/* Token keys are no part of the batch's transaction: what became of them is looked at. */
static bool is_of_token_keys(const struct ask *ask)
{
    return ask->kind == ASK_ROTATE || ask->kind == ASK_RETIRE;
}

static bool is_unavailable(const struct ask *ask, const struct answer *answer)
{
    bool is_redirect = ask->kind == ASK_REDIRECT || ask->kind == ASK_TRACK_CLICK;
    return answer->status >= 500 || (is_redirect && !strstr(answer->location, "thrad_click_id"));
}

/* What became of a key that may be retired shows when it is retired again. */
static void look_at_retired(const struct ask *ask, const struct answer *answer)
{
    struct known_token_key *key = &run.model.token_keys[ask->token_key];
    if (ask->kind == ASK_RETIRE && key->state == TOKEN_KEY_MAYBE)
        key->state = answer->status == 404 ? TOKEN_KEY_RETIRED : TOKEN_KEY_LIVE;
}

static void settle(const struct slot *slot, bool batch_failed, bool disk_failed)
{
    struct expected expected;
    const struct ask *ask = slot_ask(slot);
    const struct answer *answer = slot_answer(slot);
    trace_answer(ask, answer);
    bool is_gone =
        batch_failed || (is_of_token_keys(ask) && disk_failed && is_unavailable(ask, answer));
    if (is_gone && is_of_token_keys(ask))
        run.model.token_keys[ask->token_key].state = TOKEN_KEY_MAYBE;
    if (is_gone) {
        model_unavailable(ask, &expected);
    } else {
        look_at_retired(ask, answer);
        model_decide(&run.model, ask, &expected);
    }
    check(ask, &expected, answer);
    if (expected.is_new || (ask->kind >= ASK_KEY_CREATE && answer->status == 200)) {
        run.model.degraded = false;
        run.pending_count = 0;
    }
}

/* A batch that failed or was cut off: its last write may have reached the disk all the same, until
 * another one takes its place. So it may stand after the next start, and then as a whole. */
static void remember_pending(struct slot *const waiting[], size_t count)
{
    if (!count) return;
    if (run.pending_count == PENDING_MAX) {
        fail("too many batches in a row failed");
        return;
    }
    struct batch *batch = &run.pending[run.pending_count++];
    batch->count = count;
    for (size_t i = 0; i < count; i++)
        batch->asks[i] = *slot_ask(waiting[i]);
}

static void settle_all(struct slot *const waiting[], size_t count, bool batch_failed,
                       bool disk_failed)
{
    if (batch_failed && !disk_failed) fail("a batch failed on a disk without fault");
    if (batch_failed) {
        total.failed_batches++;
        run.model.degraded = true;
        remember_pending(waiting, count);
    }
    for (size_t i = 0; i < count && !run.failed; i++)
        settle(waiting[i], batch_failed, disk_failed);
    server_sweep();
}

/* Commands that nobody heard of again. */
static void note_token_keys(struct slot *const waiting[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct ask *ask = slot_ask(waiting[i]);
        if (is_of_token_keys(ask)) run.model.token_keys[ask->token_key].state = TOKEN_KEY_MAYBE;
    }
}

/* False: the process has to die. */
static bool turn(void)
{
    struct slot *waiting[SLOTS_MAX];
    bool batch_failed;
    size_t count = server_waiting(waiting);
    uint64_t failed_before = sim_disk_failed();
    enum err err = server_turn(&batch_failed);
    uint64_t failed_calls = sim_disk_failed() - failed_before;
    bool disk_failed = failed_calls > 0 || run.disk_is_full;
    total.failed_calls += failed_calls;
    total.turns++;
    trace("turn of %zu%s%s", count, batch_failed ? " failed" : "", err ? " fatally" : "");
    if (err && !disk_failed && !sim_disk_is_down() && !run.pending_count)
        fail("the process ended itself on a disk without fault");
    bool was_answered = count > 0 && slot_is_answered(waiting[0]);
    if (!err && (was_answered || !count) && !sim_disk_is_down()) {
        settle_all(waiting, count, batch_failed, disk_failed);
        if (!count && run.model.degraded) run.model.degraded = !server_is_healthy();
        return true;
    }
    /* What left before the end counts. */
    if (was_answered) settle_all(waiting, count, batch_failed, true);
    if (!was_answered) {
        trace("  nobody was answered");
        remember_pending(waiting, count);
        note_token_keys(waiting, count);
    }
    return false;
}

/* -- starts and ends ----------------------------------------------------------------------- */

/* A token key that was answered for is there, or is gone; the others are what they are. */
static void look_at_token_keys(void)
{
    char kids[TOKEN_KEYS][KID_TEXT];
    struct model *model = &run.model;
    uint32_t count = server_kids(kids, TOKEN_KEYS), known = 0;
    for (int i = 0; i < model->token_keys_count; i++) {
        struct known_token_key *key = &model->token_keys[i];
        bool is_there = false;
        for (uint32_t k = 0; k < count; k++)
            is_there |= strcmp(kids[k], key->kid) == 0;
        if (key->state == TOKEN_KEY_LIVE && !is_there) fail("token key %s was lost", key->kid);
        if ((key->state == TOKEN_KEY_RETIRED || key->state == TOKEN_KEY_NONE) && is_there)
            fail("token key %s came back", key->kid);
        if (key->state == TOKEN_KEY_MAYBE)
            key->state = is_there ? TOKEN_KEY_LIVE : TOKEN_KEY_RETIRED;
        if (is_there) model->minting = i;
        known += is_there;
    }
    if (known != count) fail("there are token keys that nobody made");
}

static void learn_first_token_key(void)
{
    char kids[TOKEN_KEYS][KID_TEXT];
    if (server_kids(kids, TOKEN_KEYS) != 1) fail("a new directory has not one token key");
    memcpy(run.model.token_keys[0].kid, kids[0], KID_TEXT);
    run.model.token_keys[0].state = TOKEN_KEY_LIVE;
    run.model.token_keys_count = 1;
}

/* The world in which this batch stands after all. */
static void assume(const struct batch *batch)
{
    struct expected expected;
    run.possible = run.model;
    for (size_t i = 0; i < batch->count; i++)
        if (!is_of_token_keys(&batch->asks[i]))
            model_decide(&run.possible, &batch->asks[i], &expected);
}

static void report_difference(void)
{
    char why[WHY_MAX / 2];
    struct audit_difference difference;
    audit_differ(&run.model, &difference, why, sizeof why);
    fail("lost=%d doubled=%d phantom=%d changed=%d: %s", difference.lost, difference.doubled,
         difference.phantom, difference.changed, why);
}

static bool stands(const struct batch *batch)
{
    assume(batch);
    if (!audit_matches(&run.possible)) return false;
    run.model = run.possible;
    trace("  all %zu of a batch stand that failed", batch->count);
    return true;
}

/* The rows are those that were acknowledged, and at most one of the batches that failed since. */
static void audit(void)
{
    char why[WHY_MAX / 2];
    if (!audit_read(DIR_PATH "/adtally.db", why, sizeof why)) {
        fail("%s", why);
        return;
    }
    bool matches = audit_matches(&run.model);
    total.none_stood += matches && run.pending_count;
    for (size_t i = 0; i < run.pending_count && !matches; i++) {
        matches = stands(&run.pending[i]);
        total.all_stood += matches;
    }
    if (!matches) report_difference();
    run.pending_count = 0;
}

static void verify(void)
{
    char memory[2048];
    struct writer report;
    uint64_t findings = 0;
    writer_init(&report, memory, sizeof memory - 1);
    enum err err = store_verify(DIR_PATH, &report, &findings);
    memory[report.len] = '\0';
    if (err) fail("verify could not read: %s", err_text(err));
    if (findings) fail("verify found: %s", memory);
}

/* Until it runs: the power may go again while it recovers. */
static void start(void)
{
    char problem[STORE_PROBLEM_MAX] = "";
    for (int i = 0; i < STARTS_MAX; i++) {
        if (i < 3 && dice_in(4)) sim_disk_cut_in(1 + dice_below(12));
        enum err err = server_start(&run.options, problem);
        bool was_cut = sim_disk_is_down();
        if (!err && !was_cut) {
            sim_disk_cut_in(0);
            return;
        }
        trace("a start failed: %s", was_cut ? "cut off" : err_text(err));
        if (!was_cut) break;
        if (!err) server_drop();
        sim_disk_restart();
    }
    fail("it does not start: %s", problem);
}

static void start_and_look(void)
{
    start();
    if (run.failed) return;
    model_restart(&run.model);
    look_at_token_keys();
    audit();
}

static void calm_disk(void)
{
    sim_disk_fail(SIM_FAULT_EIO, 0, false);
    sim_disk_cut_in(0);
    sim_disk_set_room(0);
    run.disk_is_full = false;
}

/* The end of a life that nobody planned. */
static void die(void)
{
    if (!sim_disk_is_down()) sim_disk_kill();
    calm_disk();
    server_drop();
    sim_disk_restart();
    clock_move(dice_in(3) ? dice_below(100000) : 0);
    trace("it died at %" PRId64, clock_true_ms());
    start_and_look();
}

static void stop_cleanly(void)
{
    total.stops++;
    trace("stop");
    server_stop();
    if (dice_in(4)) verify();
    start_and_look();
}

static void kill_or_cut(void)
{
    bool power = dice_in(2);
    trace("%s with requests waiting", power ? "the power goes" : "killed");
    if (power)
        sim_disk_cut();
    else
        sim_disk_kill();
    die();
}

/* -- one seed ------------------------------------------------------------------------------ */

static int64_t roll_ttl(void)
{
    static const int64_t longest[] = {2, 60, 24 * 60, 30 * 24 * 60, 90 * 24 * 60};
    int64_t minutes = longest[dice_below(sizeof longest / sizeof longest[0])];
    return MINUTE_MS * (1 + (int64_t)dice_below((uint32_t)minutes));
}

static void roll_options(void)
{
    run.options = (struct server_options){
        .dir = DIR_PATH,
        .click_ttl_ms = roll_ttl(),
        .impression_ttl_ms = roll_ttl(),
        .collect_window_ms = roll_ttl(),
        .rate_limit = dice_in(6) ? 1 + dice_below(20) : 0,
        .client_rate_limit = dice_in(6) ? 1 + dice_below(20) : 0,
        .queue_cap = dice_in(5) ? 4 + dice_below(20) : 65536,
    };
    run.clock_goes_back = dice_in(4);
}

static void begin_model(void)
{
    struct rules *rules = &run.model.rules;
    memset(&run.model, 0, sizeof run.model);
    rules_init(rules);
    rules->click_ttl_ms = run.options.click_ttl_ms;
    rules->impression_ttl_ms = run.options.impression_ttl_ms;
    rules->collect_window_ms = run.options.collect_window_ms;
    rules->rate_limit = run.options.rate_limit;
    rules->client_rate_limit = run.options.client_rate_limit;
    if (run.arguments->wrong_model) rules_break(rules, run.arguments->wrong_model);
}

static void break_seam(const char *broken)
{
    if (!broken) return;
    if (strcmp(broken, "sync") == 0) sim_disk_ignore_syncs(SIM_SYNC_FILES);
    if (strcmp(broken, "clock") == 0) clock_lie(1);
    if (strcmp(broken, "random") == 0) rng_repeat(true);
}

static void submit_one(struct ask ask)
{
    struct slot *waiting[SLOTS_MAX];
    if (!run.failed) submit(&ask, server_waiting(waiting));
    server_sweep();
}

/* A world in which something can happen: two networks, two publishers, polls, an ad. */
static void set_up(void)
{
    static const struct ask keys[] = {
        {.key_class = KEY_PARTNER, .partner = 1},
        {.key_class = KEY_PUBLISHER, .publisher = 1},
        {.key_class = KEY_ADSERVER},
        {.key_class = KEY_PARTNER, .partner = 2},
        {.key_class = KEY_PARTNER, .partner = 2, .advertiser = 1},
        {.key_class = KEY_PUBLISHER, .publisher = 2},
    };
    for (int i = 0; i < (int)(sizeof keys / sizeof keys[0]); i++) {
        struct ask ask = keys[i];
        ask.kind = ASK_KEY_CREATE;
        ask.key = i;
        submit_one(ask);
        if (!run.failed && !turn()) fail("a quiet disk failed");
    }
    for (int poll = 0; poll < POLLS_MAX - 1; poll++)
        submit_one((struct ask){.kind = ASK_POLL_PUT, .poll = poll, .options = 0x16, .text = 1});
    if (!run.failed && !turn()) fail("a quiet disk failed");
    for (int poll = -1; poll < 2; poll++)
        submit_one((struct ask){.kind = ASK_MINT,
                                .key = 2,
                                .ad = run.model.ads_count,
                                .publisher = 1 + (poll == 0),
                                .advertiser = poll + 1,
                                .poll = poll,
                                .ttl_s = (int)(run.options.impression_ttl_ms / 1000)});
}

/* What goes wrong with the disk in the next turns. */
static void roll_trouble(void)
{
    static const enum sim_fault faults[] = {SIM_FAULT_EIO, SIM_FAULT_FULL, SIM_FAULT_SHORT,
                                            SIM_FAULT_EINTR};
    switch (dice_below(24)) {
    case 0:
        sim_disk_cut_in(1 + dice_below(30));
        break;
    case 1:
    case 2:
        sim_disk_fail(faults[dice_below(4)], 1 + dice_below(40), dice_in(3));
        break;
    case 3:
        if (!dice_in(3)) break;
        sim_disk_set_room(PAGE * (20 + dice_below(150)));
        run.disk_is_full = true;
        total.full_disks++;
        break;
    case 4:
    case 5:
        calm_disk();
        break;
    default:
        break;
    }
}

static void move_clock(void)
{
    clock_move(clients_pause_ms(&run.model, clock_true_ms()));
    if (clock_true_ms() > run.latest_ms) run.latest_ms = clock_true_ms();
    int64_t back_ms = BACK_MS_MAX - (run.latest_ms - clock_true_ms());
    if (run.clock_goes_back && dice_in(6) && back_ms > 0)
        clock_jump(-(int64_t)dice_below((uint32_t)back_ms));
}

static void step(void)
{
    static const size_t sizes[] = {0, 1, 1, 2, 4, 8, 16};
    move_clock();
    roll_trouble();
    submit_some(sizes[dice_below(sizeof sizes / sizeof sizes[0])]);
    if (run.failed) return;
    if (dice_in(60)) {
        kill_or_cut();
        return;
    }
    if (!turn() && !run.failed) die();
    if (!run.failed && dice_in(30)) {
        calm_disk();
        stop_cleanly();
    }
}

static void finish(void)
{
    calm_disk();
    if (dice_in(2)) {
        kill_or_cut();
    } else {
        stop_cleanly();
    }
    if (run.failed) return;
    server_stop();
    verify();
    total.events += (uint64_t)run.model.events_count;
    total.expiries += run.model.expiries;
}

static void begin(uint64_t seed)
{
    dice_seed(seed);
    rng_seed(seed ^ UINT64_C(0x5eed));
    sim_disk_format(seed);
    clock_set(START_MS);
    run.latest_ms = START_MS;
    run.failed = run.disk_is_full = false;
    run.pending_count = 0;
    roll_options();
    begin_model();
    clients_begin(run.clock_goes_back);
}

/* False: it failed. */
static bool run_seed(uint64_t seed)
{
    char problem[STORE_PROBLEM_MAX];
    begin(seed);
    trace("seed %" PRIu64, seed);
    enum err err = server_start(&run.options, problem);
    if (err) fail("it does not start: %s", problem);
    if (!run.failed) learn_first_token_key();
    if (!run.failed) set_up();
    break_seam(run.arguments->broken);
    int steps = STEPS_MIN + (int)dice_below(STEPS_SPREAD);
    for (int i = 0; i < steps && !run.failed; i++)
        step();
    if (!run.failed) finish();
    return !run.failed;
}

/* -- the program --------------------------------------------------------------------------- */

static bool read_arguments(struct arguments *out, int count, char *texts[])
{
    *out = (struct arguments){.seed = 1, .seeds = 1};
    for (int i = 1; i < count; i++) {
        const char *name = texts[i], *value = i + 1 < count ? texts[i + 1] : NULL;
        if (strcmp(name, "--trace") == 0) {
            out->trace = true;
            continue;
        }
        if (!value) return false;
        if (strcmp(name, "--seed") == 0)
            out->seed = strtoull(value, NULL, 10);
        else if (strcmp(name, "--seeds") == 0)
            out->seeds = strtoull(value, NULL, 10);
        else if (strcmp(name, "--wrong-model") == 0)
            out->wrong_model = value;
        else if (strcmp(name, "--broken") == 0)
            out->broken = value;
        else
            return false;
        i++;
    }
    struct rules rules;
    return !out->wrong_model || rules_break(&rules, out->wrong_model);
}

static void say(const struct arguments *arguments)
{
    struct sim_disk_stats disk;
    sim_disk_stats(&disk);
    printf("sim: seeds=%" PRIu64 " from=%" PRIu64 " requests=%" PRIu64 " commands=%" PRIu64
           " batches=%" PRIu64,
           arguments->seeds, arguments->seed, total.requests, total.commands, total.turns);
    for (int i = 2; i < CLASSES; i++)
        printf(" answers_%dxx=%" PRIu64, i, total.class_count[i]);
    printf(" events=%" PRIu64 " expiries=%" PRIu64 " power_cuts=%" PRIu64 " kills=%" PRIu64
           " stops=%" PRIu64 " failed_calls=%" PRIu64 " full_disks=%" PRIu64
           " failed_batches=%" PRIu64 " of_those_stood=%" PRIu64 " or_not=%" PRIu64
           " hash=%016" PRIx64 " lost=0 doubled=0 phantom=0\n",
           total.events, total.expiries, disk.cuts, disk.kills, total.stops, total.failed_calls,
           total.full_disks, total.failed_batches, total.all_stood, total.none_stood, run.hash);
}

int main(int count, char *texts[])
{
    static struct arguments arguments;
    if (!read_arguments(&arguments, count, texts)) {
        fprintf(stderr, "usage: sim [--seeds N] [--seed S] [--trace] [--wrong-model NAME]"
                        " [--broken sync|clock|random]\n");
        return 2;
    }
    /* A store has large tables that it hardly touches: each start gets them untouched. */
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    run.arguments = &arguments;
    run.hash = UINT64_C(0xcbf29ce484222325);
    if (!hash_start()) return 1;
    for (uint64_t i = 0; i < arguments.seeds; i++) {
        uint64_t seed = arguments.seed + i;
        if (run_seed(seed)) continue;
        printf("sim: seed %" PRIu64 " failed: %s\n"
               "repeat it with: sim --seed %" PRIu64 " --trace%s%s%s%s\n",
               seed, run.why, seed, arguments.wrong_model ? " --wrong-model " : "",
               arguments.wrong_model ? arguments.wrong_model : "",
               arguments.broken ? " --broken " : "", arguments.broken ? arguments.broken : "");
        return 1;
    }
    say(&arguments);
    return 0;
}
