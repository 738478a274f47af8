#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* A thread that works now and then, and rests in between until it is told to stop. */

struct worker {
    pthread_t thread;
    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t stopped;
    bool is_stopping;
};

/* False: there is no thread, and nothing to stop. `run` gets `arg`. */
bool worker_start(struct worker *worker, void *(*run)(void *arg), void *arg);

/* The thread's own: true after `ms`, false at once when it has to end. */
bool worker_rest(struct worker *worker, int64_t ms);

/* Ends the rest, and does not wait. */
void worker_ask(struct worker *worker);

/* The same, and waits for the thread. */
void worker_stop(struct worker *worker);

/* Of the calling thread: where there is too little for all, those that answer events go first.
 * Refused, it does no harm. */
void worker_goes_last(void);
