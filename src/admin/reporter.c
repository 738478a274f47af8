#include "admin/reporter.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/worker.h"
#include "store/report.h"

#include <stdlib.h>

enum {
    LOOK_EVERY_MS = 1000,
    STEP_EVENTS = 32768,  /* a fifth of a second, which the log's WAL waits for */
    WORTH_EVENTS = 16384, /* fewer are counted by each report itself */
    REST_MIN_MS = 5,
    RETRY_MS = 60 * 1000,
    OTHERS_EVERY_MS = 60 * 1000, /* what other servers recorded is looked for */
};

/* How long it rests, as a multiple of a step's processor time, when so many events are left. */
static const struct {
    int64_t behind, rest_times;
} haste[] = {{262144, 1}, {65536, 3}, {0, 9}};

/* Where a step had to wait for a processor, or for the disk, others need them: then the sums may
 * fall behind, and catch up when there is less to do. */
enum { CROWDED_REST_TIMES = 39, CROWDED_MIN_MS = 20 };

struct reporter {
    struct worker worker;
    const char *dir, *url;
    struct ledger *ledger;
    int64_t counted; /* the thread's: events that the aggregates have */
    int64_t looked_at_ms;
};

static int64_t recorded(const struct reporter *reporter)
{
    struct ledger_stats stats;
    ledger_stats(reporter->ledger, &stats);
    return (int64_t)stats.store.sequence_next - 1;
}

static bool is_crowded(int64_t took_ms, int64_t cpu_ms)
{
    return took_ms >= CROWDED_MIN_MS && 2 * took_ms > 3 * cpu_ms;
}

int64_t reporter_rest_ms(int64_t took_ms, int64_t cpu_ms, int64_t behind)
{
    size_t i = 0;
    while (behind < haste[i].behind)
        i++;
    int64_t times = is_crowded(took_ms, cpu_ms) ? CROWDED_REST_TIMES : haste[i].rest_times;
    int64_t ms = cpu_ms * times;
    return ms > REST_MIN_MS ? ms : REST_MIN_MS;
}

/* One step after the other until few are left. */
static enum err catch_up(struct reporter *reporter, struct report_db *db)
{
    int64_t behind = 0;
    enum err err = report_behind(db, &behind);
    while (!err && behind >= WORTH_EVENTS) {
        int64_t begin_ms = clock_mono_ms(), cpu_begin_ms = clock_thread_ms();
        err = report_catch_up(db, STEP_EVENTS);
        int64_t cpu_ms = clock_thread_ms() - cpu_begin_ms + 1;
        /* A database is waited for in any case. */
        int64_t took_ms = reporter->url ? cpu_ms : clock_mono_ms() - begin_ms;
        if (!worker_rest(&reporter->worker, reporter_rest_ms(took_ms, cpu_ms, behind)))
            return ERR_OK;
        if (!err) err = report_behind(db, &behind);
    }
    if (!err) reporter->counted = recorded(reporter) - behind;
    return err;
}

static enum err work(struct reporter *reporter)
{
    char problem[STORE_PROBLEM_MAX];
    struct report_db *db;
    enum err err = report_open(&db, reporter->dir, reporter->url, problem);
    if (err) return err;
    err = catch_up(reporter, db);
    report_close(db);
    return err;
}

static bool is_worth_it(const struct reporter *reporter)
{
    bool is_time = clock_mono_ms() - reporter->looked_at_ms >= OTHERS_EVERY_MS;
    return recorded(reporter) - reporter->counted >= WORTH_EVENTS || (reporter->url && is_time);
}

static void *run(void *arg)
{
    struct reporter *reporter = arg;
    int64_t wait_ms = LOOK_EVERY_MS;
    worker_goes_last();
    while (worker_rest(&reporter->worker, wait_ms)) {
        wait_ms = LOOK_EVERY_MS;
        if (!is_worth_it(reporter)) continue;
        reporter->looked_at_ms = clock_mono_ms();
        enum err err = work(reporter);
        if (!err || err == ERR_BUSY) continue; /* a report counts them right now */
        log_event(LOG_WARN, "reports_not_counted", LOG_TEXT("reason", span_of(err_text(err))),
                  LOG_TEXT("advice", span_of(err_advice(err))),
                  LOG_TEXT("consequence", SPAN("reports take longer until it works again")));
        wait_ms = RETRY_MS;
    }
    return NULL;
}

enum err reporter_start(struct reporter **out, const char *dir, const char *url,
                        struct ledger *ledger)
{
    struct reporter *reporter = calloc(1, sizeof *reporter);
    if (!reporter) return ERR_NO_MEMORY;
    reporter->dir = dir;
    reporter->url = url;
    reporter->ledger = ledger;
    if (!worker_start(&reporter->worker, run, reporter)) {
        free(reporter);
        return ERR_NO_MEMORY;
    }
    *out = reporter;
    return ERR_OK;
}

void reporter_stop(struct reporter *reporter)
{
    worker_stop(&reporter->worker);
    free(reporter);
}
