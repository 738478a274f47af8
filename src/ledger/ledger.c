#include "ledger/ledger.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/uninitialized.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

enum { PROBE_INTERVAL_MS = 1000, PORT_CAP = UINT32_MAX / 2 };

/* Read by whoever asks for the stats, without the mutex. */
struct ledger_metrics {
    struct metrics_histogram batch_size, batch_us, commit_us;
};

struct ledger {
    pthread_t thread; /* unless it was only opened */
    struct queue submitted;
    struct store *store; /* the thread's */
    struct keyring *keyring;
    struct pollbook *pollbook;
    struct ledger_metrics metrics; /* written by the thread */
    bool are_copies_stale;         /* the thread's: keys and polls have to be loaded again */
    pthread_mutex_t mutex;         /* of what follows */
    bool is_healthy;
    struct ledger_stats stats;
};

void ledger_options_init(struct ledger_options *options)
{
    *options = (struct ledger_options){.queue_cap = 65536};
}

void ledger_port_init(struct ledger_port *port, void (*wake)(void *arg), void *wake_arg)
{
    *port = (struct ledger_port){.wake = wake, .wake_arg = wake_arg};
    queue_init(&port->answered, PORT_CAP); /* its ops were let in by the ledger's queue */
}

void ledger_port_fini(struct ledger_port *port)
{
    queue_fini(&port->answered);
}

/* A disk that failed to sync may have lost what the page cache still shows: nothing may be
 * acknowledged from here on, and only a new start reads what is really there. */
static _Noreturn void end_process(void)
{
    log_event(LOG_ERROR, "sync_failed",
              LOG_TEXT("advice", SPAN("the process ends; check the disk, then start it again")));
    _exit(1);
}

/* A disk that is full to the last page fails and recovers with every batch: bounded, too. A batch
 * that only looked things up passes on a full disk too: health is what a write proves. */
static void note_batch(struct ledger *ledger, enum err err, size_t count, bool wrote)
{
    pthread_mutex_lock(&ledger->mutex);
    bool was_healthy = ledger->is_healthy;
    if (err || wrote) ledger->is_healthy = !err;
    ledger->stats.ops += count;
    ledger->stats.batches++;
    ledger->stats.batches_failed += err != ERR_OK;
    store_stats(ledger->store, &ledger->stats.store);
    pthread_mutex_unlock(&ledger->mutex);
    if (was_healthy && err)
        log_event_bounded(LOG_ERROR, "degraded", LOG_TEXT("reason", span_of(err_text(err))),
                          LOG_TEXT("advice", span_of(err_advice(err))),
                          LOG_TEXT("consequence", SPAN("events are refused until it can write")));
    if (!was_healthy && !err && wrote)
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
static void answer(struct op *const ops[], size_t count)
{
    struct ledger_port *ports = NULL, *next;
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
}

/* What loops look up themselves: keys and polls. */
static enum err load_copies(struct ledger *ledger)
{
    enum err err = keyring_load(ledger->keyring, ledger->store);
    return err ? err : pollbook_load(ledger->pollbook, ledger->store);
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
static void observe_batch(struct ledger *ledger, size_t count, int64_t batch_us)
{
    struct ledger_metrics *metrics = &ledger->metrics;
    uint64_t commit_us = (uint64_t)ledger->stats.store.commit_us;
    metrics_observe(&metrics->batch_size, count, METRICS_COUNT_SHIFT);
    metrics_observe(&metrics->batch_us, (uint64_t)batch_us, METRICS_TIME_SHIFT);
    metrics_observe(&metrics->commit_us, commit_us, METRICS_TIME_SHIFT);
}

/* The order of these lines is what "acknowledged means durable" is made of. */
static enum err run_batch(struct ledger *ledger, struct op *const ops[], size_t count)
{
    bool copies_changed = false, wrote = false;
    int64_t began_us = clock_mono_us();
    enum err err = store_apply(ledger->store, ops, count);
    if (err == ERR_SYNC_FAILED) return err;
    int64_t batch_us = clock_mono_us() - began_us;
    for (size_t i = 0; i < count; i++) {
        copies_changed |= changes_copies(ops[i]);
        wrote |= writes(ops[i]);
        if (ops[i]->kind == OP_KEY_REVOKE && ops[i]->outcome == OUTCOME_RECORDED)
            keyring_revoke(ledger->keyring, ops[i]->key_id, ops[i]->received_at_ms);
    }
    if (copies_changed || ledger->are_copies_stale) update_copies(ledger);
    note_batch(ledger, err, count, wrote);
    if (!err) observe_batch(ledger, count, batch_us);
    answer(ops, count);
    return store_maintain(ledger->store);
}

static enum err probe_if_degraded(struct ledger *ledger)
{
    if (ledger->are_copies_stale) update_copies(ledger);
    if (ledger_is_healthy(ledger)) return ERR_OK;
    enum err err = store_probe(ledger->store);
    if (!err) note_batch(ledger, err, 0, true);
    return err;
}

/* With the ops that were taken from the queue, NULL when none waited. Of what failed only a sync is
 * the caller's concern: the rest was answered, and is tried again. */
static enum err take_turn(struct ledger *ledger, struct op *op)
{
    UNINITIALIZED struct op *ops[STORE_BATCH_MAX];
    size_t count = 0;
    for (; op; op = op->next)
        ops[count++] = op;
    enum err err = count ? run_batch(ledger, ops, count) : probe_if_degraded(ledger);
    return err == ERR_SYNC_FAILED ? err : ERR_OK;
}

enum err ledger_turn(struct ledger *ledger)
{
    return take_turn(ledger, queue_pop_all(&ledger->submitted, STORE_BATCH_MAX));
}

/* Where loops and the ledger share cores, a commit that ends takes none from a loop that runs: the
 * loop goes on, and the next batch is larger. Refused, it does no harm. */
static void let_loops_run(void)
{
    (void)sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
}

static void *run(void *arg)
{
    struct ledger *ledger = arg;
    let_loops_run();
    for (;;) {
        bool is_well = ledger_is_healthy(ledger) && !ledger->are_copies_stale;
        int64_t timeout_ms = is_well ? -1 : PROBE_INTERVAL_MS;
        struct op *op = queue_wait_all(&ledger->submitted, STORE_BATCH_MAX, timeout_ms);
        log_tell_left_out(false);
        if (!op && queue_is_closed(&ledger->submitted)) break;
        if (take_turn(ledger, op) == ERR_SYNC_FAILED) end_process();
    }
    log_tell_left_out(true);
    return NULL;
}

enum err ledger_open(struct ledger **out, struct store *store, const struct ledger_options *options)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    enum err err = ERR_NO_MEMORY;
    if (!ledger) goto close_store;
    ledger->store = store;
    ledger->is_healthy = true;
    queue_init(&ledger->submitted, options->queue_cap);
    pthread_mutex_init(&ledger->mutex, NULL);
    store_stats(store, &ledger->stats.store);
    ledger->keyring = keyring_new();
    ledger->pollbook = pollbook_new();
    if (!ledger->keyring || !ledger->pollbook) goto free_ledger;
    err = load_copies(ledger);
    if (err) goto free_ledger;
    *out = ledger;
    return ERR_OK;

free_ledger:
    pollbook_free(ledger->pollbook);
    keyring_free(ledger->keyring);
    pthread_mutex_destroy(&ledger->mutex);
    queue_fini(&ledger->submitted);
    free(ledger);
close_store:
    store_close(store);
    return err;
}

void ledger_close(struct ledger *ledger)
{
    store_close(ledger->store);
    pollbook_free(ledger->pollbook);
    keyring_free(ledger->keyring);
    pthread_mutex_destroy(&ledger->mutex);
    queue_fini(&ledger->submitted);
    free(ledger);
}

enum err ledger_start(struct ledger **out, struct store *store,
                      const struct ledger_options *options)
{
    struct ledger *ledger;
    enum err err = ledger_open(&ledger, store, options);
    if (err) return err;
    if (pthread_create(&ledger->thread, NULL, run, ledger) != 0) {
        ledger_close(ledger);
        return ERR_NO_MEMORY;
    }
    *out = ledger;
    return ERR_OK;
}

void ledger_stop(struct ledger *ledger)
{
    queue_close(&ledger->submitted);
    pthread_join(ledger->thread, NULL);
    ledger_close(ledger);
}

struct keyring *ledger_keyring(struct ledger *ledger)
{
    return ledger->keyring;
}

struct pollbook *ledger_pollbook(struct ledger *ledger)
{
    return ledger->pollbook;
}

bool ledger_submit(struct ledger *ledger, struct ledger_port *port, struct op *op)
{
    bool was_empty;
    op->port = port;
    op->outcome = OUTCOME_PENDING;
    op->sequence = 0;
    if (queue_try_push(&ledger->submitted, op, &was_empty)) return true;
    pthread_mutex_lock(&ledger->mutex);
    ledger->stats.queue_full++;
    pthread_mutex_unlock(&ledger->mutex);
    return false;
}

struct op *ledger_take_answered(struct ledger_port *port)
{
    return queue_pop_all(&port->answered, UINT32_MAX);
}

void ledger_call(struct ledger *ledger, struct op *op)
{
    struct ledger_port port;
    ledger_port_init(&port, NULL, NULL);
    if (ledger_submit(ledger, &port, op))
        queue_wait_all(&port.answered, 1, -1);
    else
        op->outcome = OUTCOME_UNAVAILABLE;
    ledger_port_fini(&port);
}

void ledger_call_all(struct ledger *ledger, struct op *const ops[], size_t count)
{
    struct ledger_port port;
    size_t waiting = 0;
    ledger_port_init(&port, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        if (ledger_submit(ledger, &port, ops[i]))
            waiting++;
        else
            ops[i]->outcome = OUTCOME_UNAVAILABLE;
    }
    while (waiting > 0)
        for (struct op *op = queue_wait_all(&port.answered, UINT32_MAX, -1); op; op = op->next)
            waiting--;
    ledger_port_fini(&port);
}

bool ledger_is_healthy(struct ledger *ledger)
{
    pthread_mutex_lock(&ledger->mutex);
    bool is_healthy = ledger->is_healthy;
    pthread_mutex_unlock(&ledger->mutex);
    return is_healthy;
}

void ledger_stats(struct ledger *ledger, struct ledger_stats *out)
{
    pthread_mutex_lock(&ledger->mutex);
    *out = ledger->stats;
    pthread_mutex_unlock(&ledger->mutex);
    out->queue_length = queue_count(&ledger->submitted);
    metrics_read_histogram(&ledger->metrics.batch_size, &out->batch_size);
    metrics_read_histogram(&ledger->metrics.batch_us, &out->batch_us);
    metrics_read_histogram(&ledger->metrics.commit_us, &out->commit_us);
}
