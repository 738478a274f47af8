#include "admin/reporter.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/report.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

enum {
    LOOK_EVERY_MS = 1000,
    STEP_EVENTS = 4096,
    WORTH_EVENTS = 16384, /* fewer are counted by each report itself */
    HASTE_EVENTS = 1000000,
    REST_TIMES = 9, /* of what a step took; once, when far behind */
    REST_MIN_MS = 5,
    RETRY_MS = 60 * 1000,
};

struct reporter {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t stopped;
    bool is_stopping;
    const char *dir;
    struct ledger *ledger;
    int64_t counted; /* the thread's: events that the aggregates have */
};

/* False: it is time to end. */
static bool rest(struct reporter *reporter, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int code = 0;
    pthread_mutex_lock(&reporter->mutex);
    while (!reporter->is_stopping && code == 0)
        code = pthread_cond_timedwait(&reporter->stopped, &reporter->mutex, &until);
    bool goes_on = !reporter->is_stopping;
    pthread_mutex_unlock(&reporter->mutex);
    return goes_on;
}

static int64_t recorded(struct reporter *reporter)
{
    struct ledger_stats stats;
    ledger_stats(reporter->ledger, &stats);
    return (int64_t)stats.store.sequence_next - 1;
}

/* One step after the other until few are left. */
static enum err catch_up(struct reporter *reporter, struct report_db *db)
{
    int64_t behind = 0;
    enum err err = report_behind(db, &behind);
    while (!err && behind >= STEP_EVENTS) {
        int64_t begin_ms = clock_mono_ms();
        err = report_catch_up(db, STEP_EVENTS);
        int64_t took_ms = clock_mono_ms() - begin_ms + 1;
        int64_t rest_ms = took_ms * (behind > HASTE_EVENTS ? 1 : REST_TIMES);
        if (!rest(reporter, rest_ms > REST_MIN_MS ? rest_ms : REST_MIN_MS)) return ERR_OK;
        if (!err) err = report_behind(db, &behind);
    }
    if (!err) reporter->counted = recorded(reporter) - behind;
    return err;
}

static enum err work(struct reporter *reporter)
{
    char problem[STORE_PROBLEM_MAX];
    struct report_db *db;
    enum err err = report_open(&db, reporter->dir, problem);
    if (err) return err;
    err = catch_up(reporter, db);
    report_close(db);
    return err;
}

static void *run(void *arg)
{
    struct reporter *reporter = arg;
    int64_t wait_ms = LOOK_EVERY_MS;
    while (rest(reporter, wait_ms)) {
        wait_ms = LOOK_EVERY_MS;
        if (recorded(reporter) - reporter->counted < WORTH_EVENTS) continue;
        enum err err = work(reporter);
        if (!err || err == ERR_BUSY) continue; /* a report counts them right now */
        log_event(LOG_WARN, "reports_not_counted", LOG_TEXT("reason", span_of(err_text(err))),
                  LOG_TEXT("advice", span_of(err_advice(err))),
                  LOG_TEXT("consequence", SPAN("reports take longer until it works again")));
        wait_ms = RETRY_MS;
    }
    return NULL;
}

enum err reporter_start(struct reporter **out, const char *dir, struct ledger *ledger)
{
    struct reporter *reporter = calloc(1, sizeof *reporter);
    if (!reporter) return ERR_NO_MEMORY;
    reporter->dir = dir;
    reporter->ledger = ledger;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&reporter->mutex, NULL);
    pthread_cond_init(&reporter->stopped, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&reporter->thread, NULL, run, reporter) != 0) {
        pthread_cond_destroy(&reporter->stopped);
        pthread_mutex_destroy(&reporter->mutex);
        free(reporter);
        return ERR_NO_MEMORY;
    }
    *out = reporter;
    return ERR_OK;
}

void reporter_stop(struct reporter *reporter)
{
    pthread_mutex_lock(&reporter->mutex);
    reporter->is_stopping = true;
    pthread_cond_signal(&reporter->stopped);
    pthread_mutex_unlock(&reporter->mutex);
    pthread_join(reporter->thread, NULL);
    pthread_cond_destroy(&reporter->stopped);
    pthread_mutex_destroy(&reporter->mutex);
    free(reporter);
}
