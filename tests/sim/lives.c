#include "audit.h"
#include "run.h"
#include "seams.h"

#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { STARTS_MAX = 20, STARTS_CUT_MAX = 3 };

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

/* The world in which this batch stands after all. */
static void assume(const struct batch *batch)
{
    struct expected expected;
    run.possible = run.model;
    run.possible.turn_ms = batch->turn_ms;
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

void life_verify(void)
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
        if (i < STARTS_CUT_MAX && dice_in(4)) sim_disk_cut_in(1 + dice_below(12));
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
    look_at_token_keys();
    audit();
    model_restart(&run.model);
}

void calm_disk(void)
{
    sim_disk_fail(SIM_FAULT_EIO, 0, false);
    sim_disk_cut_in(0);
    sim_disk_set_room(0);
    run.disk_is_full = false;
}

/* The end of a life that nobody planned. */
void life_end_badly(void)
{
    if (!sim_disk_is_down()) sim_disk_kill();
    calm_disk();
    server_drop();
    sim_disk_restart();
    clock_move(dice_in(3) ? dice_below(100000) : 0);
    trace("it died at %" PRId64, clock_true_ms());
    start_and_look();
}

void life_stop(void)
{
    total.stops++;
    trace("stop");
    server_stop();
    if (dice_in(4)) life_verify();
    start_and_look();
}

void life_cut_or_kill(void)
{
    bool power = dice_in(2);
    trace("%s with requests waiting", power ? "the power goes" : "killed");
    if (power)
        sim_disk_cut();
    else
        sim_disk_kill();
    life_end_badly();
}

static void learn_first_token_key(void)
{
    char kids[TOKEN_KEYS][KID_TEXT];
    if (server_kids(kids, TOKEN_KEYS) != 1) fail("a new directory has not one token key");
    memcpy(run.model.token_keys[0].kid, kids[0], KID_TEXT);
    run.model.token_keys[0].state = TOKEN_KEY_LIVE;
    run.model.token_keys_count = 1;
}

void life_begin(void)
{
    char problem[STORE_PROBLEM_MAX];
    enum err err = server_start(&run.options, problem);
    if (err)
        fail("it does not start: %s", problem);
    else
        learn_first_token_key();
}
