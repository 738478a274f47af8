#pragma once

#include "base/err.h"
#include "base/metrics.h"
#include "ledger/keyring.h"
#include "ledger/limiter.h"
#include "ledger/pollbook.h"
#include "ledger/queue.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

/* Where "acknowledged means durable" and "exactly once" are decided: one thread that takes all ops
 * that arrived while the last commit ran, gives them to the store as one batch, and only then hands
 * the answers back. There is no timer that delays a commit.
 *
 *     loops ──ledger_submit──▶ queue ──▶ ledger thread: store_apply ──▶ port ──▶ loop answers
 *
 * A store that several may write to has several such lanes, each with a queue, a thread and a
 * connection of its own. Ops of one key are in one lane, in their order; for the rest, and between
 * nodes, uniqueness is the database's.
 * A lane with few ops waits for another's batch that is under way to end, so that batches are as
 * large as they would be in one lane; nobody waits while nothing is under way.
 */

struct ledger;

/* Where a submitter gets its ops back. `wake` is called on a thread of the ledger when the port
 * turned from empty to not empty; NULL for a port that is waited on. The owner may have taken the
 * op by then, so what `wake` uses lives until ledger_stop returned. */
struct ledger_port {
    struct queue answered;
    void (*wake)(void *arg);
    void *wake_arg;
    struct queue_chain batch;       /* the ledger's, while it answers: what comes here next */
    struct ledger_port *next_batch; /* and the next port with one */
};

void ledger_port_init(struct ledger_port *port, void (*wake)(void *arg), void *wake_arg);
void ledger_port_fini(struct ledger_port *port);

struct ledger_options {
    uint32_t queue_cap; /* ops waiting at once, in all lanes; past that ledger_submit refuses */
};
void ledger_options_init(struct ledger_options *options);

/* Takes ownership of the stores, one for each lane, and starts the threads. Keys and polls are read
 * through the first. On failure the stores are closed. */
enum { LEDGER_LANES_MAX = 64 };
enum err ledger_start(struct ledger **out, struct store *const stores[], uint32_t count,
                      const struct ledger_options *options);

/* Answers everything that was submitted, then ends the threads and closes the stores. */
void ledger_stop(struct ledger *ledger);

/* The same with one lane and without a thread, for who takes its turns: all that is submitted now
 * becomes one batch and is answered; when nothing is, a store that refused writes is tried.
 * ERR_SYNC_FAILED: nothing may be trusted or acknowledged any more, end the process as the thread
 * does. ledger_close wants nothing left in the queue; ledger_call would wait for ever. */
enum err ledger_open(struct ledger **out, struct store *store,
                     const struct ledger_options *options);
enum err ledger_turn(struct ledger *ledger);
void ledger_close(struct ledger *ledger);

/* The limiter of partner keys, whose rates other nodes over the same store keep too: it lives until
 * ledger_stop returned. Before its first request. False: no memory. */
bool ledger_share_uses(struct ledger *ledger, struct limiter *limiter);

struct keyring *ledger_keyring(struct ledger *ledger);
struct pollbook *ledger_pollbook(struct ledger *ledger);

/* Hands an op over; it comes back through `port`. False: the queue is full, answer 503. Any thread.
 */
bool ledger_submit(struct ledger *ledger, struct ledger_port *port, struct op *op);

/* The ops that were answered since, linked by op->next. The port's owner. */
struct op *ledger_take_answered(struct ledger_port *port);

/* Submits and waits: commands. OUTCOME_UNAVAILABLE also when the queue is full. Any thread but a
 * loop's. */
void ledger_call(struct ledger *ledger, struct op *op);

/* The same for many, in their order, which several lanes would not keep: all go to the first. */
void ledger_call_all(struct ledger *ledger, struct op *const ops[], size_t count);

/* False while the store refuses the writes of a lane. Any thread. */
bool ledger_is_healthy(struct ledger *ledger);

struct ledger_stats {
    uint64_t ops, batches, batches_failed, queue_full;
    uint64_t queue_length; /* ops that wait now */
    struct histogram batch_size;
    struct histogram batch_us;  /* from the first lookup to stable storage */
    struct histogram commit_us; /* of that, the COMMIT: the WAL is written and synced */
    struct store_stats store;   /* as of the last batch */
};
void ledger_stats(struct ledger *ledger, struct ledger_stats *out);
