#include "ledger/ledger.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/uninitialized.h"
#include "ledger/lane.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

/* CHANGE: how often a store that others write to is looked at when there is nothing else to do. */
enum { PROBE_INTERVAL_MS = 1000, CHANGE_INTERVAL_MS = 500 };

/* What a batch costs the database by itself is as much as some 20 events do: at so many it matters
 * little. Who has fewer waits for a batch that is under way to end, however long that takes, for so
 * long at most. */
enum { LARGE_BATCH = 128, GATHER_MS_MAX = 10 };

void ledger_options_init(struct ledger_options *options)
{
    *options = (struct ledger_options){.queue_cap = 65536};
}

/* A disk that failed to sync may have lost what the page cache still shows: nothing may be
 * acknowledged from here on, and only a new start reads what is really there. */
static _Noreturn void end_process(void)
{
    log_event(LOG_ERROR, "sync_failed",
              LOG_TEXT("advice", SPAN("the process ends; check the disk, then start it again")));
    _exit(1);
}

/* With the mutex held. */
static void note_health(struct lane *lane, bool is_healthy)
{
    if (lane->is_healthy == is_healthy) return;
    lane->is_healthy = is_healthy;
    if (is_healthy)
        lane->ledger->unhealthy--;
    else
        lane->ledger->unhealthy++;
}

/* A disk that is full to the last page fails and recovers with every batch: bounded, too. A batch
 * that only looked things up passes on a full disk too: health is what a write proves. */
static void note_batch(struct lane *lane, enum err err, size_t count, bool wrote)
{
    struct ledger *ledger = lane->ledger;
    pthread_mutex_lock(&ledger->mutex);
    bool was_healthy = ledger->unhealthy == 0;
    if (err || wrote) note_health(lane, !err);
    bool is_healthy = ledger->unhealthy == 0;
    ledger->stats.ops += count;
    ledger->stats.batches++;
    ledger->stats.batches_failed += err != ERR_OK;
    store_stats(lane->store, &lane->stats);
    pthread_mutex_unlock(&ledger->mutex);
    if (was_healthy && !is_healthy)
        log_event_bounded(LOG_ERROR, "degraded", LOG_TEXT("reason", span_of(err_text(err))),
                          LOG_TEXT("advice", span_of(err_advice(err))),
                          LOG_TEXT("consequence", SPAN("events are refused until it can write")));
    if (!was_healthy && is_healthy)
        log_event_bounded(LOG_INFO, "recovered", LOG_NUMBER("ops", (int64_t)count));
}

static void answer_port(struct ledger_port *port)
{
    bool was_empty;
    struct queue_chain batch = port->batch;
    void (*wake)(void *) = port->wake; /* a waited-on port may be gone once it has its op */
    void *wake_arg = port->wake_arg;
    port->batch = (struct queue_chain){0};
    bool pushed = queue_try_push_chain(&port->answered, &batch, &was_empty);
    ASSERT(pushed);
    if (was_empty && wake) wake(wake_arg);
}

/* A port gets its part of the batch at once: one wake, however many ops. One by one, a loop would
 * take the first, sleep, and be woken for the second. */
static void answer(struct ledger *ledger, struct op *const ops[], size_t count)
{
    struct ledger_port *ports = NULL, *next;
    bool is_shared = ledger->lanes_count > 1; /* ports are */
    if (is_shared) pthread_mutex_lock(&ledger->answer_mutex);
    for (size_t i = 0; i < count; i++) {
        struct ledger_port *port = ops[i]->port;
        if (!port->batch.first) {
            port->next_batch = ports;
            ports = port;
        }
        queue_chain_add(&port->batch, ops[i]);
    }
    for (; ports; ports = next) {
        next = ports->next_batch;
        answer_port(ports);
    }
    if (is_shared) pthread_mutex_unlock(&ledger->answer_mutex);
}

/* What loops look up themselves: keys and polls. */
static enum err load_copies(struct ledger *ledger)
{
    enum err err = keyring_load(ledger->keyring, ledger->lanes[0].store);
    return err ? err : pollbook_load(ledger->pollbook, ledger->lanes[0].store);
}

/* A load that fails, for want of memory or of the disk, is tried again before every batch and at
 * every probe. A revocation does not wait for that: it is taken from the op itself. */
static void update_copies(struct ledger *ledger)
{
    bool was_stale = ledger->are_copies_stale;
    enum err err = load_copies(ledger);
    ledger->are_copies_stale = err != ERR_OK;
    if (err && !was_stale)
        log_event(
            LOG_ERROR, "keys_and_polls_not_loaded", LOG_TEXT("reason", span_of(err_text(err))),
            LOG_TEXT("advice", span_of(err_advice(err))),
            LOG_TEXT("consequence", SPAN("what was changed last is not known yet; it is tried "
                                         "again")));
    if (!err && was_stale)
        log_event(LOG_INFO, "keys_and_polls_loaded", LOG_TEXT("reason", SPAN("the cause is gone")));
}

/* What shows that the disk can be written again. */
static bool writes(const struct op *op)
{
    if (op->outcome != OUTCOME_RECORDED) return false;
    if (op->kind == OP_ERASE) return op->erase.erased_count > 0;
    if (op->kind == OP_RETAIN) return op->retain.removed_count > 0;
    return op->kind != OP_POLL_RESULTS;
}

static bool changes_copies(const struct op *op)
{
    return op->kind >= OP_POLL_PUT && op->kind <= OP_TOKEN_KEY_RETIRE &&
           op->outcome == OUTCOME_RECORDED;
}

/* After note_batch; only this thread writes the stats. */
static void observe_batch(struct lane *lane, size_t count, int64_t batch_us)
{
    struct lane_metrics *metrics = &lane->metrics;
    uint64_t commit_us = (uint64_t)lane->stats.commit_us;
    metrics_observe(&metrics->batch_size, count, METRICS_COUNT_SHIFT);
    metrics_observe(&metrics->batch_us, (uint64_t)batch_us, METRICS_TIME_SHIFT);
    metrics_observe(&metrics->commit_us, commit_us, METRICS_TIME_SHIFT);
}

static void share_uses(struct lane *lane)
{
    struct ledger *ledger = lane->ledger;
    pthread_mutex_lock(&ledger->mutex);
    struct limiter *limiter = ledger->limiter;
    pthread_mutex_unlock(&ledger->mutex);
    if (limiter)
        use_share_turn(ledger->use_share, limiter, ledger->keyring, lane->store, clock_mono_us());
}

/* What is done when no answer waits for it. Keys and polls that others changed are the first lane's
 * to load, as its own changes are. */
static enum err keep_up(struct lane *lane)
{
    struct ledger *ledger = lane->ledger;
    enum err err = store_maintain(lane->store);
    bool has_changed = err != ERR_SYNC_FAILED && store_has_changed(lane->store);
    if (!lane_is_first(lane) || err == ERR_SYNC_FAILED) return err;
    if (has_changed) update_copies(ledger);
    if (ledger->use_share) share_uses(lane);
    return err;
}

/* The order of these lines is what "acknowledged means durable" is made of. */
static enum err run_batch(struct lane *lane, struct op *const ops[], size_t count)
{
    struct ledger *ledger = lane->ledger;
    bool copies_changed = false, wrote = false;
    int64_t began_us = clock_mono_us();
    enum err err = store_apply(lane->store, ops, count);
    if (err == ERR_SYNC_FAILED) return err;
    int64_t batch_us = clock_mono_us() - began_us;
    for (size_t i = 0; i < count; i++) {
        copies_changed |= changes_copies(ops[i]);
        wrote |= writes(ops[i]);
        if (ops[i]->kind == OP_KEY_REVOKE && ops[i]->outcome == OUTCOME_RECORDED)
            keyring_revoke(ledger->keyring, ops[i]->key_id, ops[i]->received_at_ms);
    }
    if (copies_changed || (lane_is_first(lane) && ledger->are_copies_stale)) update_copies(ledger);
    note_batch(lane, err, count, wrote);
    if (!err) observe_batch(lane, count, batch_us);
    answer(ledger, ops, count);
    return keep_up(lane);
}

static enum err probe_if_degraded(struct lane *lane)
{
    if (lane_is_first(lane) && lane->ledger->are_copies_stale) update_copies(lane->ledger);
    if (lane->is_healthy) return ERR_OK;
    enum err err = store_probe(lane->store);
    if (!err) note_batch(lane, err, 0, true);
    return err;
}

static enum err take_idle_turn(struct lane *lane)
{
    enum err err = probe_if_degraded(lane);
    if (err || !store_is_shared(lane->store)) return err;
    return keep_up(lane);
}

/* With the ops that were taken from the queue, NULL when none waited. Of what failed only a sync is
 * the caller's concern: the rest was answered, and is tried again. */
static enum err take_turn(struct lane *lane, struct op *op)
{
    UNINITIALIZED struct op *ops[STORE_BATCH_MAX];
    size_t count = 0;
    for (; op; op = op->next)
        ops[count++] = op;
    enum err err = count ? run_batch(lane, ops, count) : take_idle_turn(lane);
    return err == ERR_SYNC_FAILED ? err : ERR_OK;
}

enum err ledger_turn(struct ledger *ledger)
{
    struct lane *lane = &ledger->lanes[0];
    return take_turn(lane, queue_pop_all(&lane->submitted, STORE_BATCH_MAX));
}

/* Where loops and the ledger share cores, a commit that ends takes none from a loop that runs: the
 * loop goes on, and the next batch is larger. Refused, it does no harm. */
static void let_loops_run(void)
{
    (void)sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
}

/* How long nothing may happen; -1: for ever. */
static int64_t rest_ms(const struct lane *lane)
{
    bool is_first = lane_is_first(lane);
    if (is_first && store_is_shared(lane->store)) return CHANGE_INTERVAL_MS;
    bool is_well = lane->is_healthy && !(is_first && lane->ledger->are_copies_stale);
    return is_well ? -1 : PROBE_INTERVAL_MS;
}

/* -- lanes beside each other --------------------------------------------------------------- */

static void turnstile_init(struct turnstile *turnstile)
{
    pthread_condattr_t attributes;
    turnstile->busy = 0;
    pthread_mutex_init(&turnstile->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&turnstile->ended, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void turnstile_fini(struct turnstile *turnstile)
{
    pthread_cond_destroy(&turnstile->ended);
    pthread_mutex_destroy(&turnstile->mutex);
}

static void begin_batch(struct lane *lane)
{
    struct turnstile *turnstile = &lane->ledger->turnstile;
    struct timespec deadline = deadline_after(GATHER_MS_MAX);
    int waited = 0;
    pthread_mutex_lock(&turnstile->mutex);
    while (turnstile->busy > 0 && waited != ETIMEDOUT &&
           queue_count(&lane->submitted) < LARGE_BATCH)
        waited = pthread_cond_timedwait(&turnstile->ended, &turnstile->mutex, &deadline);
    turnstile->busy++;
    pthread_mutex_unlock(&turnstile->mutex);
}

static void end_batch(struct lane *lane)
{
    struct turnstile *turnstile = &lane->ledger->turnstile;
    pthread_mutex_lock(&turnstile->mutex);
    turnstile->busy--;
    pthread_cond_signal(&turnstile->ended);
    pthread_mutex_unlock(&turnstile->mutex);
}

/* What waits by the time that its batch may begin. */
static struct op *gather(struct lane *lane)
{
    queue_wait(&lane->submitted, rest_ms(lane));
    if (!queue_count(&lane->submitted)) return NULL;
    begin_batch(lane);
    return queue_pop_all(&lane->submitted, STORE_BATCH_MAX);
}

static void *run(void *arg)
{
    struct lane *lane = arg;
    bool is_one_of_several = lane->ledger->lanes_count > 1;
    let_loops_run();
    for (;;) {
        struct op *op = is_one_of_several
                            ? gather(lane)
                            : queue_wait_all(&lane->submitted, STORE_BATCH_MAX, rest_ms(lane));
        bool is_batch = op != NULL;
        log_tell_left_out(false);
        if (!is_batch && queue_is_closed(&lane->submitted)) break;
        if (take_turn(lane, op) == ERR_SYNC_FAILED) end_process();
        if (is_batch && is_one_of_several) end_batch(lane);
    }
    log_tell_left_out(true);
    return NULL;
}

static void open_lane(struct lane *lane, struct ledger *ledger, struct store *store, uint32_t cap)
{
    lane->ledger = ledger;
    lane->store = store;
    lane->is_healthy = true;
    queue_init(&lane->submitted, cap);
    store_stats(store, &lane->stats);
}

static void open_lanes(struct ledger *ledger, struct store *const stores[], uint32_t cap)
{
    for (uint32_t i = 0; i < ledger->lanes_count; i++)
        open_lane(&ledger->lanes[i], ledger, stores[i], cap);
    if (ledger->lanes_count == 1) return;
    rng_fill(ledger->hash_key, sizeof ledger->hash_key);
    queue_room_init(&ledger->room, cap);
    for (uint32_t i = 0; i < ledger->lanes_count; i++)
        ledger->lanes[i].submitted.room = &ledger->room;
}

void ledger_close(struct ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->lanes_count; i++) {
        store_close(ledger->lanes[i].store);
        queue_fini(&ledger->lanes[i].submitted);
    }
    use_share_free(ledger->use_share);
    pollbook_free(ledger->pollbook);
    keyring_free(ledger->keyring);
    turnstile_fini(&ledger->turnstile);
    pthread_mutex_destroy(&ledger->answer_mutex);
    pthread_mutex_destroy(&ledger->mutex);
    free(ledger);
}

static enum err open_all(struct ledger **out, struct store *const stores[], uint32_t count,
                         const struct ledger_options *options)
{
    struct ledger *ledger = calloc(1, sizeof *ledger + count * sizeof ledger->lanes[0]);
    if (!ledger) {
        for (uint32_t i = 0; i < count; i++)
            store_close(stores[i]);
        return ERR_NO_MEMORY;
    }
    ledger->lanes_count = count;
    pthread_mutex_init(&ledger->mutex, NULL);
    pthread_mutex_init(&ledger->answer_mutex, NULL);
    turnstile_init(&ledger->turnstile);
    open_lanes(ledger, stores, options->queue_cap);
    ledger->keyring = keyring_new();
    ledger->pollbook = pollbook_new();
    if (store_shares_uses(stores[0])) ledger->use_share = use_share_new();
    bool has_all =
        ledger->keyring && ledger->pollbook && (ledger->use_share || !store_shares_uses(stores[0]));
    enum err err = has_all ? load_copies(ledger) : ERR_NO_MEMORY;
    if (err)
        ledger_close(ledger);
    else
        *out = ledger;
    return err;
}

enum err ledger_open(struct ledger **out, struct store *store, const struct ledger_options *options)
{
    return open_all(out, &store, 1, options);
}

/* The first `count` of them. */
static void stop_lanes(struct ledger *ledger, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        queue_close(&ledger->lanes[i].submitted);
    for (uint32_t i = 0; i < count; i++)
        pthread_join(ledger->lanes[i].thread, NULL);
}

enum err ledger_start(struct ledger **out, struct store *const stores[], uint32_t count,
                      const struct ledger_options *options)
{
    struct ledger *ledger;
    enum err err = open_all(&ledger, stores, count, options);
    if (err) return err;
    for (uint32_t i = 0; i < count; i++) {
        if (pthread_create(&ledger->lanes[i].thread, NULL, run, &ledger->lanes[i]) == 0) continue;
        stop_lanes(ledger, i);
        ledger_close(ledger);
        return ERR_NO_MEMORY;
    }
    *out = ledger;
    return ERR_OK;
}

void ledger_stop(struct ledger *ledger)
{
    stop_lanes(ledger, ledger->lanes_count);
    ledger_close(ledger);
}

bool ledger_share_uses(struct ledger *ledger, struct limiter *limiter)
{
    if (!ledger->use_share) return true;
    if (!limiter_count_uses(limiter)) return false;
    pthread_mutex_lock(&ledger->mutex);
    ledger->limiter = limiter;
    pthread_mutex_unlock(&ledger->mutex);
    return true;
}

struct keyring *ledger_keyring(struct ledger *ledger)
{
    return ledger->keyring;
}

struct pollbook *ledger_pollbook(struct ledger *ledger)
{
    return ledger->pollbook;
}

bool ledger_is_healthy(struct ledger *ledger)
{
    pthread_mutex_lock(&ledger->mutex);
    bool is_healthy = ledger->unhealthy == 0;
    pthread_mutex_unlock(&ledger->mutex);
    return is_healthy;
}

/* Lanes share what is stored: the newest of what they say of it, and the sum of what each keeps. */
static void add_store_stats(struct store_stats *sum, const struct store_stats *lane)
{
    if (lane->sequence_next > sum->sequence_next) sum->sequence_next = lane->sequence_next;
    if (lane->commit_us > sum->commit_us) sum->commit_us = lane->commit_us;
    if (lane->rebuild_ms > sum->rebuild_ms) sum->rebuild_ms = lane->rebuild_ms;
    sum->clicks_indexed += lane->clicks_indexed;
    sum->keys_indexed += lane->keys_indexed;
    sum->index_bytes += lane->index_bytes;
    sum->wal_bytes += lane->wal_bytes;
    sum->rebuilt_count += lane->rebuilt_count;
}

void ledger_stats(struct ledger *ledger, struct ledger_stats *out)
{
    pthread_mutex_lock(&ledger->mutex);
    *out = ledger->stats;
    for (uint32_t i = 0; i < ledger->lanes_count; i++)
        add_store_stats(&out->store, &ledger->lanes[i].stats);
    pthread_mutex_unlock(&ledger->mutex);
    for (uint32_t i = 0; i < ledger->lanes_count; i++) {
        struct lane *lane = &ledger->lanes[i];
        out->queue_length += queue_count(&lane->submitted);
        metrics_read_histogram(&lane->metrics.batch_size, &out->batch_size);
        metrics_read_histogram(&lane->metrics.batch_us, &out->batch_us);
        metrics_read_histogram(&lane->metrics.commit_us, &out->commit_us);
    }
}
