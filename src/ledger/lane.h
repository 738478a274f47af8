#pragma once

#include "ledger/ledger.h"
#include "ledger/use_share.h"
#include "token/hash.h"

/* The ledger's own. A lane is a queue, the thread that empties it and the store that it writes to.
 * SQLite has one; an engine that several may write to has as many as there are connections, and an
 * op goes to the lane of what makes it unique, so that lanes seldom want the same key. */

/* Read by whoever asks for the stats, without the mutex. */
struct lane_metrics {
    struct metrics_histogram batch_size, batch_us, commit_us;
};

struct lane {
    struct ledger *ledger;
    pthread_t thread; /* unless it was only opened */
    struct queue submitted;
    struct store *store;         /* the thread's */
    struct lane_metrics metrics; /* written by the thread */
    bool is_healthy;             /* written by the thread, with the ledger's mutex */
    struct store_stats stats;    /* with the ledger's mutex; as of the last batch */
};

/* Several lanes want large batches: one that has little waits for another's that is under way. */
struct turnstile {
    pthread_mutex_t mutex;
    pthread_cond_t ended; /* somebody's batch */
    uint32_t busy;        /* lanes with one */
};

struct ledger {
    struct keyring *keyring;
    struct pollbook *pollbook;
    bool are_copies_stale;  /* the first lane's: keys and polls have to be loaded again */
    struct queue_room room; /* of several lanes together */
    struct turnstile turnstile;
    pthread_mutex_t answer_mutex; /* of what ports say of a batch, when there are several lanes */
    uint8_t hash_key[HASH_FINGERPRINT_KEY_SIZE];
    struct use_share *use_share; /* the first lane's; NULL: the store is nobody else's */
    pthread_mutex_t mutex;       /* of what follows */
    struct limiter *limiter;     /* whose uses are shared; NULL: none */
    uint32_t unhealthy;          /* lanes */
    struct ledger_stats stats;
    uint32_t lanes_count;
    struct lane lanes[];
};

/* Which lane decides an op, of `lanes_count`: the same one for the same key. What others keep a
 * copy of, and what is about many events, is the first one's. */
uint32_t lane_of(const struct ledger *ledger, const struct op *op);

static inline bool lane_is_first(const struct lane *lane)
{
    return lane == lane->ledger->lanes;
}

/* ledger_submit to a lane. */
bool lane_submit(struct lane *lane, struct ledger_port *port, struct op *op);
