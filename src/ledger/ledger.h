#pragma once

#include "base/err.h"
#include "base/metrics.h"
#include "ledger/keyring.h"
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
 */

struct ledger;

/* Where a submitter gets its ops back. `wake` is called on the ledger's thread when the port turned
 * from empty to not empty; NULL for a port that is waited on. The owner may have taken the op by
 * then, so what `wake` uses lives until ledger_stop returned. */
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
    uint32_t queue_cap; /* ops waiting at once; past that ledger_submit refuses */
};
void ledger_options_init(struct ledger_options *options);

/* Takes ownership of the store and starts the thread. On failure the store is closed. */
enum err ledger_start(struct ledger **out, struct store *store,
                      const struct ledger_options *options);

/* Answers everything that was submitted, then ends the thread and closes the store. */
void ledger_stop(struct ledger *ledger);

/* The same without a thread, for who takes its turns: all that is submitted now becomes one batch
 * and is answered; when nothing is, a store that refused writes is tried. ERR_SYNC_FAILED: nothing
 * may be trusted or acknowledged any more, end the process as the thread does. ledger_close wants
 * nothing left in the queue; ledger_call would wait for ever. */
enum err ledger_open(struct ledger **out, struct store *store,
                     const struct ledger_options *options);
enum err ledger_turn(struct ledger *ledger);
void ledger_close(struct ledger *ledger);

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

/* False while the store refuses writes. Any thread. */
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
