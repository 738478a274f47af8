#pragma once

#include "store/op.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* A bounded first-in-first-out list of ops between threads. Ops are linked through op->next and not
 * copied; whoever pops owns them. Any thread. */

/* How many ops several queues may hold together. */
struct queue_room {
    _Atomic int64_t left;
};
void queue_room_init(struct queue_room *room, uint32_t cap);

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t not_empty;
    struct op *head, **tail;
    uint32_t count, cap;
    bool closed;
    struct queue_room *room; /* NULL: the queue's cap alone; set before it is used */
};

void queue_init(struct queue *queue, uint32_t cap);
void queue_fini(struct queue *queue);

/* Ops that are linked, oldest first. */
struct queue_chain {
    struct op *first, *last; /* NULL: none */
    uint32_t count;
};
void queue_chain_add(struct queue_chain *chain, struct op *op);

/* False: full, without room, or closed, and nothing was taken. `*was_empty` tells whether a reader
 * may sleep. */
bool queue_try_push(struct queue *queue, struct op *op, bool *was_empty);

/* The same for a chain that is not empty: all of it or nothing. */
bool queue_try_push_chain(struct queue *queue, const struct queue_chain *chain, bool *was_empty);

/* Up to `max` ops, oldest first, linked; NULL when there are none now. */
struct op *queue_pop_all(struct queue *queue, uint32_t max);

/* The same, but waits up to timeout_ms (-1: for ever) while the queue is empty and open. */
struct op *queue_wait_all(struct queue *queue, uint32_t max, int64_t timeout_ms);

/* Waits as long, and takes nothing. */
void queue_wait(struct queue *queue, int64_t timeout_ms);

/* Nothing more is accepted; waiters wake. */
void queue_close(struct queue *queue);
bool queue_is_closed(struct queue *queue);

uint32_t queue_count(struct queue *queue); /* that wait now */
