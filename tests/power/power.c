#include "bench.h"
#include "complain.h"
#include "sim_disk.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* power [--seeds N] [--seed S] [--weaken NAME]: the store through lives that
 * end with a power cut or a kill at any change of the disk, recovery included, and an oracle that
 * keeps what was acknowledged. Each seed is a disk of its own; a seed that fails is printed, and
 * `--seeds 1 --seed S` repeats it. With --weaken, finding a loss is what success is. */

enum { LIVES_MAX = 6, BATCHES_MAX = 14, STARTS_MAX = 200 };

static struct bench bench;
static struct {
    uint64_t seeds, batches, ops, acknowledged, removed, starts, starts_cut, troubles,
        troubles_struck;
    uint64_t failed_seeds, lost, doubled, phantom, other;
} totals;

static uint64_t roll_changes(void)
{
    static const uint64_t ranges[] = {20, 150, 150, 600};
    return 1 + world_roll(ranges[world_roll(4)]);
}

/* Where calls fail, each change of the token keys doubles what may have become of them. */
static bool is_crowded(int event)
{
    enum { BATCH_MAX = 2 };
    int count = 0;
    if (!bench.may_fail || !oracle_is_token_change(&bench.oracle, event)) return false;
    for (size_t i = 0; i < bench.count; i++)
        count += oracle_is_token_change(&bench.oracle, bench.requests[i].event);
    return count == BATCH_MAX || bench.oracle.token_attempts_count > ORACLE_ATTEMPTS_MAX / 8;
}

/* A click is a new one each time, unless it comes from elsewhere. */
static bool can_be_asked_again(int event)
{
    const struct event *asked = &bench.oracle.events[event];
    return oracle_is_remembered(&bench.oracle, event) &&
           (asked->kind != OP_CLICK || asked->is_import);
}

static void ask_something(void)
{
    struct oracle *oracle = &bench.oracle;
    int event = PLAN_NONE;
    if (oracle->events_count && world_roll(3) == 0) { /* a retry, of something recent rather */
        int back = 1 + (int)world_roll(world_roll(2) ? 12 : 400);
        event = oracle->events_count > back ? oracle->events_count - back : 0;
        if (!can_be_asked_again(event)) event = PLAN_NONE;
    }
    if (event == PLAN_NONE) event = oracle_add_any(oracle);
    if (!is_crowded(event)) bench_ask(&bench, event);
}

/* Calls fail for a few batches: refusals, not complaints. A store that cannot sync has to end. */
static void begin_trouble(void)
{
    enum sim_fault fault = (enum sim_fault)world_roll(SIM_FAULT_COUNT);
    uint64_t at = 1 + world_roll(60);
    sim_disk_fail(fault, at, world_roll(2));
    bench.may_fail = true;
    totals.troubles++;
}

/* False: the process has to end. */
static bool end_trouble(void)
{
    totals.troubles_struck += sim_disk_failed() != 0;
    sim_disk_fail(SIM_FAULT_EIO, 0, false);
    enum err err = bench.store ? store_probe(bench.store) : ERR_OK; /* as the ledger does */
    bench.may_fail = false;
    if (err && err != ERR_SYNC_FAILED && !sim_disk_is_down())
        complain("no service when the cause is gone: %s", err_text(err));
    return !err;
}

static bool run_batch(void)
{
    int count = 1 + (int)world_roll(world_roll(6) ? 6 : PLAN_BATCH_MAX);
    world_wait((int64_t)world_roll(1500));
    if (world_roll(12) == 0) {
        world_wait(PLAN_ERA_DAYS * PLAN_DAY_MS);
        oracle_next_era(&bench.oracle);
    }
    for (int i = 0; i < count; i++)
        ask_something();
    if (bench.count == 0) bench_ask(&bench, oracle_add(&bench.oracle, OP_CLICK));
    enum err err = bench_apply(&bench);
    if (err != ERR_SYNC_FAILED && !sim_disk_is_down()) err = store_maintain(bench.store);
    if (!err && world_roll(10) == 0) err = store_probe(bench.store);
    if (err && !bench.may_fail && !sim_disk_is_down())
        complain("housekeeping failed: %s", err_text(err));
    return err != ERR_SYNC_FAILED && !sim_disk_is_down();
}

/* Until the power goes, the process has to end, or the batches are through. */
static void run_batches(bool has_troubles)
{
    enum { TROUBLE_BATCHES_MAX = 5 };
    int batches = 1 + (int)world_roll(BATCHES_MAX), trouble_left = 0;
    bool goes_on = true;
    while (goes_on && batches-- > 0 && !has_complaint()) {
        if (has_troubles && !trouble_left && world_roll(3) == 0) {
            trouble_left = 1 + (int)world_roll(TROUBLE_BATCHES_MAX);
            begin_trouble();
        }
        goes_on = run_batch();
        if (goes_on && trouble_left && --trouble_left == 0) goes_on = end_trouble();
    }
    if (bench.may_fail) end_trouble();
    if (!goes_on) sim_disk_kill();
}

/* A start may be cut as well, several times over. */
static bool start(void)
{
    for (int i = 0; i < STARTS_MAX && !has_complaint(); i++) {
        sim_disk_cut_in(world_roll(3) ? 0 : 1 + world_roll(120));
        totals.starts++;
        enum err err = bench_open(&bench);
        sim_disk_cut_in(0);
        if (!err) return bench_check(&bench);
        totals.starts_cut++;
        sim_disk_restart();
    }
    return complain("no start succeeds");
}

static void end_life(void)
{
    switch (world_roll(4)) {
    case 0:
        bench_close(&bench); /* in good order; what it synced must not need any power */
        sim_disk_cut();
        break;
    case 1:
        sim_disk_kill();
        break;
    default:
        sim_disk_cut();
    }
}

static void live(enum weakness weakness)
{
    if (!start()) return;
    if (world_roll(4)) sim_disk_cut_in(roll_changes());
    if (world_roll(4) == 0) sim_disk_kill_in(roll_changes());
    run_batches(weakness == WEAK_NOT && world_roll(3) == 0);
    sim_disk_cut_in(0);
    if (!sim_disk_is_down()) end_life();
    bench_close(&bench);
    sim_disk_restart();
}

/* Everything that was ever asked for is asked for once more: what stands is a duplicate of itself,
 * what does not is recorded now. */
static void ask_again(void)
{
    int count = bench.oracle.events_count;
    for (int event = 0; event < count && !has_complaint(); event++) {
        if (can_be_asked_again(event)) bench_ask(&bench, event);
        if (bench.count == PLAN_BATCH_MAX || (event == count - 1 && bench.count))
            bench_apply(&bench);
    }
}

static void run_seed(uint64_t seed, enum weakness weakness)
{
    world_start(seed);
    sim_disk_format(seed);
    bench_init(&bench, 4 + (int)world_roll(60), weakness);
    oracle_start(&bench.oracle);
    int lives = 2 + (int)world_roll(LIVES_MAX - 1);
    for (int i = 0; i < lives && !has_complaint(); i++)
        live(weakness);
    if (!has_complaint() && start()) {
        ask_again();
        bench_check(&bench);
        if (!has_complaint()) bench_verify(&bench);
    }
    bench_close(&bench);
}

static void add_up(uint64_t seed, enum weakness weakness)
{
    totals.seeds++;
    totals.batches += bench.batches;
    totals.ops += bench.ops;
    totals.acknowledged += bench.acknowledged;
    totals.removed += bench.removed;
    totals.lost += findings.lost;
    totals.doubled += findings.doubled;
    totals.phantom += findings.phantom;
    totals.other += findings.other;
    if (!has_complaint()) return;
    totals.failed_seeds++;
    printf("seed %llu: %s\n", (unsigned long long)seed, findings.first);
    if (weakness == WEAK_NOT)
        printf("  again: power --seeds 1 --seed %llu\n", (unsigned long long)seed);
}

static void print_summary(void)
{
    struct sim_disk_stats disk;
    sim_disk_stats(&disk);
    printf("power: seeds=%llu cuts=%llu kills=%llu starts=%llu starts_cut=%llu batches=%llu"
           " ops=%llu acknowledged=%llu removed=%llu changes=%llu syncs=%llu unsynced_kept=%llu"
           " unsynced_lost=%llu torn=%llu garbage_sectors=%llu troubles=%llu failed_seeds=%llu "
           "lost=%llu"
           " doubled=%llu phantom=%llu other=%llu\n",
           (unsigned long long)totals.seeds, (unsigned long long)disk.cuts,
           (unsigned long long)disk.kills, (unsigned long long)totals.starts,
           (unsigned long long)totals.starts_cut, (unsigned long long)totals.batches,
           (unsigned long long)totals.ops, (unsigned long long)totals.acknowledged,
           (unsigned long long)totals.removed, (unsigned long long)disk.changes,
           (unsigned long long)disk.syncs, (unsigned long long)disk.kept,
           (unsigned long long)disk.lost, (unsigned long long)disk.torn,
           (unsigned long long)disk.garbage, (unsigned long long)totals.troubles_struck,
           (unsigned long long)totals.failed_seeds, (unsigned long long)totals.lost,
           (unsigned long long)totals.doubled, (unsigned long long)totals.phantom,
           (unsigned long long)totals.other);
}

static enum weakness weakness_of(const char *name)
{
    static const char *const names[] = {
        [WEAK_NORMAL] = "normal", [WEAK_EARLY] = "early",   [WEAK_NAMES] = "names",
        [WEAK_START] = "start",   [WEAK_RETAIN] = "retain", [WEAK_ERASE] = "erase",
    };
    for (int i = WEAK_NORMAL; i <= WEAK_ERASE; i++)
        if (strcmp(names[i], name) == 0) return (enum weakness)i;
    fprintf(stderr, "power: --weaken normal, early, names, start, retain or erase\n");
    exit(2);
}

int main(int argc, char **argv)
{
    uint64_t seeds = 500, first = 1;
    enum weakness weakness = WEAK_NOT;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seeds") == 0) seeds = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seed") == 0) first = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--weaken") == 0) weakness = weakness_of(argv[i + 1]);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!hash_start()) return 1;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        forget_complaints();
        run_seed(seed, weakness);
        add_up(seed, weakness);
        if (totals.failed_seeds == 1 && weakness != WEAK_NOT) break;
    }
    print_summary();
    sim_disk_free();
    return (totals.failed_seeds == 0) == (weakness == WEAK_NOT) ? 0 : 1;
}
