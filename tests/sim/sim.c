#include "clients.h"
#include "run.h"
#include "seams.h"

#include "token/hash.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* sim --seeds N --seed S [--trace] [--wrong-model NAME] [--broken sync|clock|random]
 *
 * Runs N simulations, of the seeds S, S + 1 and so on: clients, an operator, a disk and a clock
 * that do everything the contract allows for, and a model that knows every answer. After each crash
 * and at each end the rows are compared with what was acknowledged. The first difference ends the
 * program with 1, the seed and what differs. */

enum {
    STEPS_MIN = 20,
    STEPS_SPREAD = 60,
    PAGE = 4096,
    BACK_MS_MAX = 30 * 1000, /* stamps may be out of order by this much */
};

static const int64_t START_MS = INT64_C(1772323200000); /* 2026-03-01 */
static const int64_t MINUTE_MS = 60 * 1000;

struct arguments {
    uint64_t seed, seeds;
    bool trace;
    const char *wrong_model, *broken;
};

static struct arguments arguments;

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
    if (arguments.wrong_model) rules_break(rules, arguments.wrong_model);
}

static void break_seam(const char *broken)
{
    if (!broken) return;
    if (strcmp(broken, "sync") == 0) sim_disk_ignore_syncs(SIM_SYNC_FILES);
    if (strcmp(broken, "clock") == 0) clock_lie(1);
    if (strcmp(broken, "random") == 0) rng_repeat(true);
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
        turn_ask(ask);
        if (!run.failed && !turn()) fail("a quiet disk failed");
    }
    for (int poll = 0; poll < POLLS_MAX - 1; poll++)
        turn_ask((struct ask){.kind = ASK_POLL_PUT, .poll = poll, .options = 0x16, .text = 1});
    if (!run.failed && !turn()) fail("a quiet disk failed");
    for (int poll = -1; poll < 2; poll++)
        turn_ask((struct ask){.kind = ASK_MINT,
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
    switch (dice_below(clients_are_at_a_cap() ? 8 : 24)) {
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
    turn_ask_some(sizes[dice_below(sizeof sizes / sizeof sizes[0])]);
    if (run.failed) return;
    if (dice_in(60)) {
        life_cut_or_kill();
        return;
    }
    if (!turn() && !run.failed) life_end_badly();
    if (!run.failed && dice_in(30)) {
        calm_disk();
        life_stop();
    }
}

static void finish(void)
{
    calm_disk();
    if (dice_in(2)) {
        life_cut_or_kill();
    } else {
        life_stop();
    }
    if (run.failed) return;
    server_stop();
    life_verify();
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
    begin(seed);
    trace("seed %" PRIu64 ": click_ttl=%" PRId64 " impression_ttl=%" PRId64
          " collect_window=%" PRId64 " rates=%u/%u queue=%u clock_goes_back=%d",
          seed, run.options.click_ttl_ms, run.options.impression_ttl_ms,
          run.options.collect_window_ms, run.options.rate_limit, run.options.client_rate_limit,
          run.options.queue_cap, run.clock_goes_back);
    life_begin();
    if (!run.failed) set_up();
    break_seam(arguments.broken);
    int steps = STEPS_MIN + (int)dice_below(STEPS_SPREAD);
    for (int i = 0; i < steps && !run.failed; i++)
        step();
    if (!run.failed) finish();
    return !run.failed;
}

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

static void say(void)
{
    struct sim_disk_stats disk;
    sim_disk_stats(&disk);
    printf("sim: seeds=%" PRIu64 " from=%" PRIu64 " requests=%" PRIu64 " commands=%" PRIu64
           " batches=%" PRIu64,
           arguments.seeds, arguments.seed, total.requests, total.commands, total.turns);
    for (int i = 2; i < CLASSES; i++)
        printf(" answers_%dxx=%" PRIu64, i, total.class_count[i]);
    printf(" events=%" PRIu64 " expiries=%" PRIu64 " power_cuts=%" PRIu64 " kills=%" PRIu64
           " stops=%" PRIu64 " failed_calls=%" PRIu64 " full_disks=%" PRIu64
           " failed_batches=%" PRIu64 " of_those_stood=%" PRIu64 " or_not=%" PRIu64
           " removed=%" PRIu64 " erased=%" PRIu64 " imported=%" PRIu64 " hash=%016" PRIx64
           " lost=0 doubled=0 phantom=0\n",
           total.events, total.expiries, disk.cuts, disk.kills, total.stops, total.failed_calls,
           total.full_disks, total.failed_batches, total.all_stood, total.none_stood, total.removed,
           total.erased, total.imported, run.hash);
}

int main(int count, char *texts[])
{
    if (!read_arguments(&arguments, count, texts)) {
        fprintf(stderr, "usage: sim [--seeds N] [--seed S] [--trace] [--wrong-model NAME]"
                        " [--broken sync|clock|random]\n");
        return 2;
    }
    /* A store has large tables that it hardly touches: each start gets them untouched. */
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    run.prints_trace = arguments.trace;
    trace_begin();
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
    say();
    return 0;
}
