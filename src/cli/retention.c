#include "cli/retention.h"

#include "base/clock.h"
#include "base/worker.h"

#include <stdlib.h>
#include <string.h>

/* A step is a millisecond or two of the ledger's thread; the pause behind it is at least
 * STEP_SHARE times as long as it took, waiting included, so events go first. */
enum { ROWS_PER_STEP = 256, STEP_SHARE = 4, PAUSE_MS_MIN = 5, IDLE_MS = 60 * 1000 };

struct retention {
    struct worker worker;
    struct ledger *ledger;
    int64_t keep_ms[EVENT_TABLES];
};

/* How long to wait for the next step. */
static int64_t take_step(struct retention *retention)
{
    int64_t begun_ms = clock_mono_ms();
    struct op op = {.kind = OP_RETAIN, .received_at_ms = clock_wall_ms()};
    op.retain.rows_max = ROWS_PER_STEP;
    memcpy(op.retain.keep_ms, retention->keep_ms, sizeof retention->keep_ms);
    ledger_call(retention->ledger, &op);
    bool is_more = op.outcome == OUTCOME_RECORDED && op.retain.removed_count == ROWS_PER_STEP;
    int64_t pause_ms = (clock_mono_ms() - begun_ms) * STEP_SHARE;
    if (!is_more) return IDLE_MS;
    return pause_ms > PAUSE_MS_MIN ? pause_ms : PAUSE_MS_MIN;
}

static void *run(void *arg)
{
    struct retention *retention = arg;
    while (worker_rest(&retention->worker, take_step(retention)))
        continue;
    return NULL;
}

enum err retention_start(struct retention **out, struct ledger *ledger,
                         const int64_t keep_ms[EVENT_TABLES])
{
    struct retention *retention = calloc(1, sizeof *retention);
    if (!retention) return ERR_NO_MEMORY;
    retention->ledger = ledger;
    memcpy(retention->keep_ms, keep_ms, sizeof retention->keep_ms);
    if (!worker_start(&retention->worker, run, retention)) {
        free(retention);
        return ERR_NO_MEMORY;
    }
    *out = retention;
    return ERR_OK;
}

void retention_stop(struct retention *retention)
{
    worker_stop(&retention->worker);
    free(retention);
}
