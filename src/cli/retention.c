#include "cli/retention.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

/* A step is a millisecond or two of the ledger's thread; the pause behind it is at least
 * STEP_SHARE times as long as it took, waiting included, so events go first. */
enum { ROWS_PER_STEP = 256, STEP_SHARE = 4, PAUSE_MS_MIN = 5, IDLE_MS = 60 * 1000 };

struct retention {
    pthread_t thread;
    struct ledger *ledger;
    int64_t keep_ms;
    pthread_mutex_t mutex;
    pthread_cond_t stopped;
    bool is_stopping;
};

/* False: the server stops. */
static bool pause_for(struct retention *retention, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&retention->mutex);
    int code = 0;
    while (!retention->is_stopping && code == 0)
        code = pthread_cond_timedwait(&retention->stopped, &retention->mutex, &until);
    bool goes_on = !retention->is_stopping;
    pthread_mutex_unlock(&retention->mutex);
    return goes_on;
}

/* How long to wait for the next step. */
static int64_t take_step(struct retention *retention)
{
    int64_t begun_ms = clock_mono_ms();
    struct op op = {.kind = OP_RETAIN, .received_at_ms = clock_wall_ms()};
    op.retain = (struct retain){.keep_ms = retention->keep_ms, .rows_max = ROWS_PER_STEP};
    ledger_call(retention->ledger, &op);
    bool is_more = op.outcome == OUTCOME_RECORDED && op.retain.removed_count == ROWS_PER_STEP;
    int64_t pause_ms = (clock_mono_ms() - begun_ms) * STEP_SHARE;
    if (!is_more) return IDLE_MS;
    return pause_ms > PAUSE_MS_MIN ? pause_ms : PAUSE_MS_MIN;
}

static void *run(void *arg)
{
    struct retention *retention = arg;
    while (pause_for(retention, take_step(retention)))
        continue;
    return NULL;
}

static void release(struct retention *retention)
{
    pthread_cond_destroy(&retention->stopped);
    pthread_mutex_destroy(&retention->mutex);
    free(retention);
}

enum err retention_start(struct retention **out, struct ledger *ledger, int64_t keep_ms)
{
    pthread_condattr_t monotonic;
    struct retention *retention = calloc(1, sizeof *retention);
    if (!retention) return ERR_NO_MEMORY;
    retention->ledger = ledger;
    retention->keep_ms = keep_ms;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&retention->mutex, NULL);
    pthread_cond_init(&retention->stopped, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&retention->thread, NULL, run, retention) != 0) {
        release(retention);
        return ERR_NO_MEMORY;
    }
    *out = retention;
    return ERR_OK;
}

void retention_stop(struct retention *retention)
{
    pthread_mutex_lock(&retention->mutex);
    retention->is_stopping = true;
    pthread_cond_signal(&retention->stopped);
    pthread_mutex_unlock(&retention->mutex);
    pthread_join(retention->thread, NULL);
    release(retention);
}
