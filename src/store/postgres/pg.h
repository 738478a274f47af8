#pragma once

#include "store/dir.h"
#include "store/engine.h"
#include "store/keys.h"
#include "store/postgres/connection.h"
#include "store/postgres/params.h"

/* The engine over PostgreSQL and what speaks its protocol (docs/decisions/0013-postgres.md). One
 * store is one lane of one node: a connection, a lease of sequences, batches one after the other.
 */

/* Numbers that only this lane gives away, and what a lost answer of a COMMIT is found out by. */
struct pg_lane {
    int64_t id;
    int64_t batch;     /* of the last transaction that stands */
    uint64_t next_seq; /* the lease: below lease_end */
    uint64_t lease_end;
    int64_t leased_at_ms; /* monotonic */
    uint64_t generation;  /* of the connection that this is known from */
    bool is_unsure;       /* an advance was sent and did not stand: the row is read again */
};

/* Where the walk for expired keys is: sweep.c. */
struct pg_sweep {
    int table;
    PGresult *after; /* a row: the last key that was looked at; NULL: at the table's begin */
};

/* Copies of what other nodes may change: as of `change`. */
struct pg_polls;

struct pg_store {
    struct store store;
    struct dir dir; /* while it is held: by the first lane of a process */
    bool is_dir_held;
    struct store_options options;
    struct pg_connection connection;
    struct pg_lane lane;
    int64_t look_at_ms, partitions_at_ms, sweep_at_ms; /* monotonic: what maintain does next */
    struct pg_sweep sweep;
    int64_t change;       /* number of the last change that was loaded */
    int64_t told_change;  /* and that the store's owner was told of */
    int64_t forget_at_ms; /* monotonic: uses.c */
    bool is_stale;        /* a newer one was seen */
    int64_t database_ms;  /* the database's clock, as of the last read */
    struct secrets *secrets;
    struct pg_polls *polls;
    struct pg_params params; /* the batch's */
    struct pg_params
        own_params;         /* of the rest: a lane's statement joins a pipeline of the batch's */
    struct pg_batch *batch; /* memory of the batch under way (batch.h) */
    int64_t commit_us;
    uint64_t recorded; /* events, since the start */
};

static inline struct pg_store *pg_of(struct store *store)
{
    return (struct pg_store *)(void *)store;
}

/* lane.c. All within the pipelines of others where that saves a round trip. */

/* A row of its own for this store. */
enum pg_failure pg_lane_open(struct pg_store *store);
void pg_lane_close(struct pg_store *store); /* gives back what is left of the lease */

/* So many numbers at least, from lane.next_seq on; more are leased when they are not there. Called
 * before every attempt of a batch: after one that failed it finds out what is left. */
enum pg_failure pg_lane_reserve(struct pg_store *store, uint32_t count);

/* Sends what makes the transaction under way this lane's next batch, `used` numbers further on: it
 * fails with PG_AGAIN when the lane was fenced or its lease was closed. The first of its
 * transaction, so that whoever asks what became of it waits. One answer to take. */
void pg_lane_send_advance(struct pg_store *store, uint32_t used);
void pg_lane_advanced(struct pg_store *store, uint32_t used); /* it stands */

/* After a COMMIT without an answer, over a new connection. *stands: it does, and pg_lane_advanced
 * need not be called; if not, it never will. PG_REFUSED: it cannot be known any more. */
enum pg_failure pg_lane_resolve(struct pg_store *store, bool *stands);

/* Everything below is final: rows with smaller sequences will not come any more. Closes leases that
 * nobody used for a second. */
enum pg_failure pg_watermark(struct pg_connection *connection, uint64_t *below);

/* Now and then: tells that this lane lives, removes those that have not for a week. */
enum pg_failure pg_lane_keep(struct pg_store *store);

/* migrate.c: the schema as this version wants it, made or brought forward under a lock. On failure
 * `problem` says what to do. */
enum err pg_migrate(struct pg_connection *connection, char problem[STORE_PROBLEM_MAX]);

/* The first statement of each transaction that changes what nodes keep copies of: it counts the
 * change, and one such transaction waits for the other. */
#define PG_COUNT_CHANGE "UPDATE change SET number = number + 1 WHERE id = 1"

/* Such a transaction of one statement, with own_params. *changed: rows. */
enum pg_failure pg_change(struct pg_store *store, const char *sql, int64_t *changed);

/* Whether `adtally copy` has begun to fill it and is not done: nobody else may write to it. */
enum pg_failure pg_copying(struct pg_connection *connection, bool *is_copying, int64_t *cursor);

/* Sends rows of fresh secrets, as a part of the transaction that makes the schema. */
void pg_secrets_send_new(struct pg_connection *connection);
void pg_secrets_send(struct pg_connection *connection, struct secrets *secrets); /* these */

enum pg_failure pg_secrets_read(struct pg_connection *connection, struct secrets *secrets);

/* secrets.c, keys.c, polls.c: each its own transaction, which counts the change up. */
enum pg_failure pg_secrets_load(struct pg_store *store);
enum pg_failure pg_keys_apply(struct pg_store *store, struct op *op);
enum pg_failure pg_token_keys_apply(struct pg_store *store, struct op *op);
enum pg_failure pg_polls_load(struct pg_store *store);
void pg_polls_free(struct pg_store *store);
enum pg_failure pg_polls_apply(struct pg_store *store, struct op *op); /* put, withdraw */

/* Whether others changed what is copied, and all copies anew: secrets, polls. */
bool pg_has_changed(struct store *store);               /* loads them, too */
enum pg_failure pg_copies_look(struct pg_store *store); /* into is_stale */
enum pg_failure pg_copies_load(struct pg_store *store);

enum err pg_each_key(struct store *base, store_on_key *on_key, void *arg);
enum err pg_each_poll(struct store *base, store_on_poll *on_poll, void *arg);
const struct poll *pg_find_poll(const struct pg_store *store, int64_t id); /* NULL: none */

/* partitions.c: those of the next days; days that ended before go, `dropped` of them. */
enum pg_failure pg_partitions_ahead(struct pg_store *store);
enum pg_failure pg_partitions_drop(struct pg_store *store, enum op_kind kind, int64_t before_ms,
                                   int64_t *dropped);
int64_t pg_partition_time(int64_t recorded_at_ms, int64_t database_ms); /* clamped into one */

/* sweep.c: one small step, when it is time for one. */
void pg_sweep(struct pg_store *store, int64_t now_ms);
void pg_sweep_fini(struct pg_store *store);

/* apply.c: a batch of ops, of events and of what is configured. */
enum err pg_apply(struct store *base, struct op *const ops[], size_t count);

/* uses.c */
enum err pg_share_uses(struct store *base, struct store_use uses[], size_t count);
