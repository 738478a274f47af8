#include "base/worker.h"

#include "base/deadline.h"

#include <sys/resource.h>

enum { NICENESS = 10 };

static void release(struct worker *worker)
{
    pthread_cond_destroy(&worker->stopped);
    pthread_mutex_destroy(&worker->mutex);
}

bool worker_start(struct worker *worker, void *(*run)(void *arg), void *arg)
{
    pthread_condattr_t monotonic;
    worker->is_stopping = false;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&worker->mutex, NULL);
    pthread_cond_init(&worker->stopped, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&worker->thread, NULL, run, arg) == 0) return true;
    release(worker);
    return false;
}

bool worker_rest(struct worker *worker, int64_t ms)
{
    struct timespec until = deadline_after(ms);
    int code = 0;
    pthread_mutex_lock(&worker->mutex);
    while (!worker->is_stopping && code == 0)
        code = pthread_cond_timedwait(&worker->stopped, &worker->mutex, &until);
    bool goes_on = !worker->is_stopping;
    pthread_mutex_unlock(&worker->mutex);
    return goes_on;
}

void worker_ask(struct worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    worker->is_stopping = true;
    pthread_cond_signal(&worker->stopped);
    pthread_mutex_unlock(&worker->mutex);
}

void worker_stop(struct worker *worker)
{
    worker_ask(worker);
    pthread_join(worker->thread, NULL);
    release(worker);
}

void worker_goes_last(void)
{
    (void)setpriority(PRIO_PROCESS, 0, NICENESS);
}
