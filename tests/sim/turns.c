#include "clients.h"
#include "run.h"
#include "seams.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void check(const struct ask *ask, const struct expected *expected,
                  const struct answer *answer)
{
    char why[WHY_MAX / 2];
    if (!model_check(&run.model, ask, expected, answer, why, sizeof why))
        fail("%s at %" PRId64 ": %s", words_kind(ask->kind), ask->at_ms, why);
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
    if (ask->kind == ASK_IMPORT) return server_command(ask, key_id, run.model.ads[ask->ad].bid);
    return server_command(ask, key_id, run.model.token_keys[ask->token_key].kid);
}

static void learn_ad(const struct ask *ask, const struct answer *answer)
{
    int64_t end_ms = ask->at_ms + ask->ttl_s * INT64_C(1000);
    if (answer->status != 200) return;
    if (!clients_learn_ad(&run.model, ask, answer->body, end_ms))
        fail("mint: the answer has no tokens of the minting key: %.400s", answer->body);
    else if (!run.clock_goes_back && dice_in(6)) /* one minute is for clocks that differ, not two */
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
            fail("%s was answered without the ledger: %d", words_kind(ask->kind),
                 slot_answer(slot)->status);
        return;
    }
    if (goes_on) model_unavailable(ask, &expected);
    if (!slot_is_answered(slot)) {
        fail("%s went to the ledger, and should have been refused with %d", words_kind(ask->kind),
             expected.status);
        return;
    }
    trace_answer(ask, slot_answer(slot));
    check(ask, &expected, slot_answer(slot));
    if (ask->kind == ASK_MINT && !run.failed) learn_ad(ask, slot_answer(slot));
}

void turn_ask(struct ask ask)
{
    struct slot *waiting[SLOTS_MAX];
    if (!run.failed) submit(&ask, server_waiting(waiting));
    server_sweep();
}

void turn_ask_some(size_t count)
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

bool is_of_token_keys(const struct ask *ask)
{
    return ask->kind == ASK_ROTATE || ask->kind == ASK_RETIRE;
}

static bool is_unavailable(const struct ask *ask, const struct answer *answer)
{
    bool is_redirect = ask->kind == ASK_REDIRECT || ask->kind == ASK_TRACK_CLICK;
    return answer->status >= 500 || (is_redirect && !strstr(answer->location, "thrad_click_id"));
}

/* What became of a key that may be retired shows when it is retired again; one that may have been
 * made can be unknown now, and there after the next start. */
static void look_at_retired(const struct ask *ask, const struct answer *answer)
{
    struct known_token_key *key = &run.model.token_keys[ask->token_key];
    if (ask->kind != ASK_RETIRE || key->state != TOKEN_KEY_MAYBE || answer->status == 404) return;
    key->state = TOKEN_KEY_LIVE;
    if (answer->status == 409) run.model.minting = ask->token_key;
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
        model_settle_doubt(&run.model, ask, answer, &expected);
    }
    check(ask, &expected, answer);
    bool is_of_rows = ask->kind == ASK_RETAIN || ask->kind == ASK_ERASE;
    if (is_of_rows && answer->status == 200)
        *(ask->kind == ASK_RETAIN ? &total.removed : &total.erased) += (uint64_t)answer->rows;
    if (!expected.is_new && (ask->kind < ASK_KEY_CREATE || answer->status != 200)) return;
    if (is_of_rows && !answer->rows) return; /* nothing was written */
    if (ask->kind == ASK_IMPORT && !expected.is_new) return;
    total.imported += ask->kind == ASK_IMPORT;
    run.model.degraded = false;
    if (!is_of_token_keys(ask)) run.pending_count = 0; /* theirs is a file of its own */
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

bool turn(void)
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
