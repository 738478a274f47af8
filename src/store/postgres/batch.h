#pragma once

#include "base/limits.h"
#include "store/dedup.h"
#include "store/event_row.h"
#include "store/poll_copy.h"
#include "store/postgres/pg.h"
#include "store/window.h"

/* A batch of events under way: what its ops name is read, all of it at once; the ops are decided in
 * their order, each knowing what those before it did; what they record is written at once.
 *
 *   batch_begin      which keys there are        (batch.c)
 *   batch_read       what the database has       (read_keys.c)
 *   batch_decide     outcomes, sequences, rows   (decide.c, decide_publisher.c)
 *   batch_write      the transaction             (write_batch.c)
 */

/* Tables of keys, in the order in which they are written. */
enum key_table {
    KEY_CLICK,      /* click_key: click id */
    KEY_CONVERSION, /* conversion_key: click id, partner, event type, key; number: its layer */
    KEY_BID,        /* bid_key: bid; number: enum op_kind */
    KEY_EVENT,      /* event_key: tag, partner, event id */
    KEY_SESSION,    /* session_key: publisher, session */
    KEY_POLL,       /* vote_count: number: the poll */
    KEY_RATING,     /* among the bid's in bid_key: bid, and who rated it: publisher and session */
    KEY_TABLES,
};

enum { KEY_PARTS_MAX = 4, KEY_DIGEST_LEN = 32 };

/* One key that ops of the batch name: as the database has it, then as the batch leaves it. */
struct batch_key {
    struct batch_key *next; /* of its bucket */
    enum key_table table;
    int64_t number;
    struct span parts[KEY_PARTS_MAX];
    bool is_wanted; /* to be read: only the database knows whether there is one */

    uint64_t seq;           /* of the event that has it, the latest of several; 0: none */
    int64_t recorded_at_ms; /* of that one */
    union {
        struct { /* KEY_CLICK */
            struct span bid_id, advertiser_id;
            int64_t expires_at_ms;
        } click;
        int count;             /* KEY_BID: of clicks and ad-feedbacks, and the highest slot */
        uint64_t replaced_seq; /* KEY_EVENT: of the one outside the window, whose key goes */
        struct {               /* KEY_SESSION: times by slot modulo, the latest ones */
            int64_t slot;      /* the highest; slots begin with 1 */
            int64_t times_ms[WINDOW_EVENTS_MAX];
        } session;
        struct {                     /* KEY_POLL */
            const struct poll *poll; /* NULL: none lives */
            uint64_t votes[POLL_OPTIONS_MAX];
            uint64_t added[POLL_OPTIONS_MAX]; /* by the batch */
        } poll;
        struct { /* KEY_RATING: the latest */
            int slot;
            struct span digest; /* of what it says */
            struct uuid id;
        } rating;
    };
};

/* What an op names; those that its kind has. */
struct batch_op {
    struct op *op;
    int64_t time_ms; /* when it was received, by the database's clock */
    struct batch_key *click, *bid, *impression, *layers[DEDUP_LAYERS], *event, *session, *poll,
        *rating;
    uint64_t link;                /* of its row */
    char click_id[UUID_TEXT_LEN]; /* of a click */
    char rater[KEY_DIGEST_LEN];   /* of an ad-feedback: publisher and session */
    char digest[KEY_DIGEST_LEN];  /* what it says */
    bool is_visit;                /* a click that its visitor is remembered by; before it: */
    int64_t visit_before_ms;
    uint32_t own_flags; /* of a click and */
    struct uuid own_id; /* of an ad-feedback, as they came */
};

/* A row to be written into a table of keys. */
struct key_row {
    const struct batch_key *key;
    const struct batch_op *op;
    int64_t slot;
};

enum {
    OP_KEYS_MAX = 3,
    OP_ROWS_MAX = 3, /* a conversion has two layers; a click its id and its bid */
    BATCH_KEYS_MAX = OP_KEYS_MAX * STORE_BATCH_MAX,
    BATCH_ROWS_MAX = OP_ROWS_MAX * STORE_BATCH_MAX,
    BATCH_BUCKETS = 4096,
    BATCH_RESULTS_MAX = 8,
    INSERT_SQL_MAX = 1024,
    ERASE_SQL_MAX = 512,
};

/* Of rows of events, and its parameters' types. */
struct batch_insert {
    char sql[INSERT_SQL_MAX], types[ROW_CELLS_MAX + 1];
};

struct pg_batch {
    uint8_t hash_key[HASH_FINGERPRINT_KEY_SIZE];
    int64_t polls_change; /* the change that polls were loaded after; -1: none yet */

    struct batch_op ops[STORE_BATCH_MAX];
    size_t count;
    struct batch_key *buckets[BATCH_BUCKETS];
    struct batch_key keys[BATCH_KEYS_MAX];
    size_t keys_count;
    size_t wanted[KEY_TABLES]; /* how many are to be read */
    struct key_row rows[BATCH_ROWS_MAX];
    size_t rows_count;
    const struct batch_op *recorded[STORE_BATCH_MAX];
    size_t recorded_count; /* sequences used */

    PGresult *results[BATCH_RESULTS_MAX]; /* what spans of keys point into */
    int results_count;

    struct batch_insert inserts[EVENT_TABLES]; /* made when they are first needed */
    char erase_sql[EVENT_TABLES][ERASE_SQL_MAX];
};

struct pg_batch *pg_batch_new(void);
void pg_batch_free(struct pg_batch *batch); /* NULL: nothing */

/* Which keys the ops name, each once; outcomes are pending. */
void batch_begin(struct pg_store *store, struct op *const ops[], size_t count);

/* Nothing of it happened: the ops are as they came, and OUTCOME_UNAVAILABLE. */
void batch_take_back(struct pg_store *store);

/* Nothing of the answers is needed any more. */
void batch_end(struct pg_batch *batch);

/* The key with those parts, NULL when no op names it. `parts`: KEY_PARTS_MAX of them. */
struct batch_key *batch_find(struct pg_batch *batch, enum key_table table, int64_t number,
                             const struct span *parts);

/* What a publisher's session is called in tables of keys: not the session's own name. */
void batch_rater(const struct secrets *secrets, struct span publisher, struct span session,
                 char out[KEY_DIGEST_LEN]);

/* What it says, as a digest. */
void batch_rating(const struct secrets *secrets, const struct ad_feedback *feedback,
                  char out[KEY_DIGEST_LEN]);

/* What bid_key tells of an ad-feedback, in `detail`: who, what, and the id that stands. */
enum { RATING_DETAIL_LEN = 2 * KEY_DIGEST_LEN + UUID_TEXT_LEN };
void batch_rating_detail(const struct batch_op *op, char out[RATING_DETAIL_LEN]);

/* One round trip: store->database_ms and what the wanted keys are. */
enum pg_failure batch_read(struct pg_store *store);

void batch_decide(struct pg_store *store);

/* decide_publisher.c: impressions, both kinds of feedback, votes. */
void decide_publisher_op(struct pg_store *store, struct batch_op *op);

/* decide.c: the op is recorded, with the next sequence, which it returns. */
uint64_t batch_record(struct pg_store *store, struct batch_op *op);

/* A row for the key of an op that is recorded. */
void batch_add_row(struct pg_batch *batch, const struct batch_key *key, const struct batch_op *op,
                   int64_t slot);

/* One round trip: all of it stands, or nothing (PG_UNREACHABLE: not known). */
enum pg_failure batch_write(struct pg_store *store);

/* erase.c, retain.c: transactions of their own. */
enum pg_failure pg_erase_apply(struct pg_store *store, struct op *op);
enum pg_failure pg_retain_apply(struct pg_store *store, struct op *op);
