#include "ledger/queue.h"

#include "base/assert.h"
#include "base/deadline.h"

#include <errno.h>

void queue_room_init(struct queue_room *room, uint32_t cap)
{
    atomic_init(&room->left, cap);
}

/* Taken first and looked at then: who takes too much gives it back. */
static bool take_room(struct queue_room *room, uint32_t count)
{
    if (!room) return true;
    if (atomic_fetch_sub_explicit(&room->left, count, memory_order_relaxed) >= count) return true;
    atomic_fetch_add_explicit(&room->left, count, memory_order_relaxed);
    return false;
}

static void give_room(struct queue_room *room, uint32_t count)
{
    if (room) atomic_fetch_add_explicit(&room->left, count, memory_order_relaxed);
}

void queue_init(struct queue *queue, uint32_t cap)
{
    pthread_condattr_t attributes;
    *queue = (struct queue){.cap = cap};
    queue->tail = &queue->head;
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->not_empty, &attributes);
    pthread_condattr_destroy(&attributes);
}

void queue_fini(struct queue *queue)
{
    ASSERT(queue->count == 0);
    pthread_cond_destroy(&queue->not_empty);
    pthread_mutex_destroy(&queue->mutex);
}

void queue_chain_add(struct queue_chain *chain, struct op *op)
{
    op->next = NULL;
    if (chain->first)
        chain->last->next = op;
    else
        chain->first = op;
    chain->last = op;
    chain->count++;
}

bool queue_try_push(struct queue *queue, struct op *op, bool *was_empty)
{
    struct queue_chain one = {0};
    queue_chain_add(&one, op);
    return queue_try_push_chain(queue, &one, was_empty);
}

bool queue_try_push_chain(struct queue *queue, const struct queue_chain *chain, bool *was_empty)
{
    pthread_mutex_lock(&queue->mutex);
    bool taken = !queue->closed && chain->count <= queue->cap - queue->count &&
                 take_room(queue->room, chain->count);
    *was_empty = queue->count == 0;
    if (taken) {
        *queue->tail = chain->first;
        queue->tail = &chain->last->next;
        queue->count += chain->count;
        /* With the mutex held: a waiter may free the queue as soon as it has the ops. */
        if (*was_empty) pthread_cond_signal(&queue->not_empty);
    }
    pthread_mutex_unlock(&queue->mutex);
    return taken;
}

/* With the mutex held. */
static struct op *take(struct queue *queue, uint32_t max)
{
    struct op *first = queue->head, *last = NULL;
    uint32_t taken = 0;
    for (struct op *op = first; op && taken < max; op = op->next, taken++)
        last = op;
    if (!last) return NULL;
    queue->head = last->next;
    if (!queue->head) queue->tail = &queue->head;
    last->next = NULL;
    queue->count -= taken;
    give_room(queue->room, taken);
    return first;
}

struct op *queue_pop_all(struct queue *queue, uint32_t max)
{
    pthread_mutex_lock(&queue->mutex);
    struct op *first = take(queue, max);
    pthread_mutex_unlock(&queue->mutex);
    return first;
}

/* With the mutex held. */
static void wait(struct queue *queue, int64_t timeout_ms)
{
    struct timespec deadline = {0};
    int waited = 0;
    if (timeout_ms >= 0) deadline = deadline_after(timeout_ms);
    while (queue->count == 0 && !queue->closed && waited != ETIMEDOUT)
        waited = timeout_ms < 0
                     ? pthread_cond_wait(&queue->not_empty, &queue->mutex)
                     : pthread_cond_timedwait(&queue->not_empty, &queue->mutex, &deadline);
}

struct op *queue_wait_all(struct queue *queue, uint32_t max, int64_t timeout_ms)
{
    pthread_mutex_lock(&queue->mutex);
    wait(queue, timeout_ms);
    struct op *first = take(queue, max);
    pthread_mutex_unlock(&queue->mutex);
    return first;
}

void queue_wait(struct queue *queue, int64_t timeout_ms)
{
    pthread_mutex_lock(&queue->mutex);
    wait(queue, timeout_ms);
    pthread_mutex_unlock(&queue->mutex);
}

void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->closed = true;
    pthread_mutex_unlock(&queue->mutex);
    pthread_cond_broadcast(&queue->not_empty);
}

bool queue_is_closed(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    bool closed = queue->closed;
    pthread_mutex_unlock(&queue->mutex);
    return closed;
}

uint32_t queue_count(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    uint32_t count = queue->count;
    pthread_mutex_unlock(&queue->mutex);
    return count;
}
