#include "sim_disk.h"
#include "sim_internal.h"
#include "sim_node.h"
#include "sim_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Power and faults: what becomes of a call before it does anything. */

static const struct {
    unsigned calls;
    int error;
} faults[SIM_FAULT_COUNT] = {
    [SIM_FAULT_EIO] = {CALL_CHANGES | CALL_READ | CALL_OPEN | CALL_LOOK, EIO},
    [SIM_FAULT_FULL] = {CALL_WRITE | CALL_CREATE | CALL_SYNC | CALL_NAME, ENOSPC},
    [SIM_FAULT_SHORT] = {CALL_WRITE, 0},
    [SIM_FAULT_EINTR] = {CALL_READ | CALL_WRITE | CALL_OPEN | CALL_CREATE | CALL_RESIZE | CALL_SYNC,
                         EINTR},
};

struct sim_disk sim_disk = {.mutex = PTHREAD_MUTEX_INITIALIZER};

struct sim_image {
    struct tree tree;
};

void sim_lock(void)
{
    pthread_mutex_lock(&sim_disk.mutex);
}

void sim_unlock(void)
{
    pthread_mutex_unlock(&sim_disk.mutex);
}

void sim_disk_format(uint64_t seed)
{
    sim_disk_free();
    sim_lock();
    tree_init(&sim_disk.tree);
    sim_seed(seed);
    sim_disk.is_formatted = true;
    sim_disk.fd_next = FD_BASE;
    sim_unlock();
}

void sim_disk_free(void)
{
    sim_lock();
    struct sim_disk_stats stats = sim_disk.stats;
    tree_free(&sim_disk.tree);
    memset(sim_disk.files, 0, sizeof sim_disk.files);
    sim_disk.is_formatted = sim_disk.is_cut = sim_disk.is_killed = false;
    sim_disk.down_in = sim_disk.fail_at = sim_disk.failed = sim_disk.room = 0;
    sim_disk.failed_sync = sim_disk.failed_last = false;
    sim_disk.ignored_syncs = 0;
    sim_disk.stats = stats;
    sim_unlock();
}

static void go_down_in(uint64_t changes, bool is_cut)
{
    sim_lock();
    sim_disk.down_in = changes;
    sim_disk.goes_by_cut = is_cut;
    sim_unlock();
}

void sim_disk_cut_in(uint64_t changes)
{
    go_down_in(changes, true);
}

void sim_disk_kill_in(uint64_t changes)
{
    go_down_in(changes, false);
}

bool sim_is_down(void)
{
    return sim_disk.is_cut || sim_disk.is_killed;
}

static void go_down(bool is_cut)
{
    if (sim_is_down()) return;
    sim_disk.is_cut = is_cut;
    sim_disk.is_killed = !is_cut;
    sim_disk.down_in = 0;
    sim_disk.stats.cuts += is_cut;
    sim_disk.stats.kills += !is_cut;
}

void sim_disk_cut(void)
{
    sim_lock();
    go_down(true);
    sim_unlock();
}

void sim_disk_kill(void)
{
    sim_lock();
    go_down(false);
    sim_unlock();
}

bool sim_disk_is_down(void)
{
    sim_lock();
    bool down = sim_is_down();
    sim_unlock();
    return down;
}

void sim_disk_restart(void)
{
    struct damage_done done = {0};
    sim_lock();
    if (sim_disk.is_cut) tree_damage(&sim_disk.tree, &done);
    if (sim_disk.is_killed) tree_evict(&sim_disk.tree);
    sim_disk.stats.kept += done.kept;
    sim_disk.stats.lost += done.lost;
    sim_disk.stats.torn += done.torn;
    sim_disk.stats.garbage += done.garbage;
    sim_disk.is_cut = sim_disk.is_killed = false;
    sim_unlock();
}

void sim_disk_fail(enum sim_fault fault, uint64_t at, bool for_ever)
{
    sim_lock();
    sim_disk.fault = fault;
    sim_disk.fail_at = at;
    sim_disk.fails_for_ever = for_ever;
    sim_disk.failed = 0;
    sim_disk.failed_last = sim_disk.failed_sync = false;
    sim_unlock();
}

uint64_t sim_disk_failed(void)
{
    sim_lock();
    uint64_t failed = sim_disk.failed;
    sim_unlock();
    return failed;
}

bool sim_disk_failed_sync(void)
{
    sim_lock();
    bool failed = sim_disk.failed_sync;
    sim_unlock();
    return failed;
}

void sim_disk_set_room(uint64_t bytes)
{
    sim_lock();
    sim_disk.room = bytes;
    sim_unlock();
}

void sim_disk_ignore_syncs(unsigned which)
{
    sim_lock();
    sim_disk.ignored_syncs = which;
    sim_unlock();
}

void sim_disk_stats(struct sim_disk_stats *out)
{
    sim_lock();
    *out = sim_disk.stats;
    sim_unlock();
}

struct sim_image *sim_disk_save(void)
{
    struct sim_image *image = sim_alloc(NULL, sizeof *image);
    sim_lock();
    tree_copy(&image->tree, &sim_disk.tree);
    sim_unlock();
    return image;
}

void sim_disk_load(const struct sim_image *image)
{
    sim_lock();
    tree_free(&sim_disk.tree);
    tree_copy(&sim_disk.tree, &image->tree);
    sim_unlock();
}

void sim_image_free(struct sim_image *image)
{
    tree_free(&image->tree);
    free(image);
}

static bool fault_strikes(enum sim_call call)
{
    if (sim_disk.fail_at == 0 || !(call & faults[sim_disk.fault].calls)) return false;
    if (sim_disk.fail_at > 1) {
        sim_disk.fail_at--;
        return false;
    }
    bool spared =
        sim_disk.fault == SIM_FAULT_EINTR && sim_disk.failed_last; /* else it would never end */
    sim_disk.failed_last = !spared;
    if (spared) return false;
    if (!sim_disk.fails_for_ever) sim_disk.fail_at = 0;
    sim_disk.failed++;
    sim_disk.failed_sync |= call == CALL_SYNC;
    return true;
}

struct sim_fate sim_begin(enum sim_call call)
{
    if (sim_is_down()) return (struct sim_fate){.error = -EIO};
    sim_disk.stats.calls++;
    sim_disk.stats.syncs += call == CALL_SYNC;
    if (fault_strikes(call)) {
        int error = faults[sim_disk.fault].error;
        return (struct sim_fate){-error, error == EIO, error == 0};
    }
    if (!(call & CALL_CHANGES)) return (struct sim_fate){0};
    sim_disk.stats.changes++;
    if (sim_disk.down_in == 0 || --sim_disk.down_in > 0) return (struct sim_fate){0};
    go_down(sim_disk.goes_by_cut);
    return (struct sim_fate){.error = -EIO, .half_done = true};
}

bool sim_has_room(uint64_t more)
{
    return sim_disk.room == 0 || more == 0 || tree_size(&sim_disk.tree) + more <= sim_disk.room;
}
