#pragma once

#include "event/record.h"
#include "store/keys.h"

#include <stddef.h>
#include <stdint.h>

/* One thing to decide and record: what a request becomes on its way to the store, and what comes
 * back. Everything it points at stays in place until it is answered. */

enum op_kind {
    OP_CLICK,
    OP_CONVERSION,
    OP_SERVER_EVENT,
    OP_IMPRESSION,
    OP_FEEDBACK,
    OP_AD_FEEDBACK,
    OP_VOTE,
    OP_POLL_RESULTS,
    OP_POLL_PUT, /* from here on: what others keep a copy of */
    OP_POLL_WITHDRAW,
    OP_KEY_CREATE,
    OP_KEY_REVOKE,
    OP_TOKEN_KEY_ROTATE,
    OP_TOKEN_KEY_RETIRE,
    OP_ERASE, /* nobody keeps a copy of what these change */
    OP_RETAIN,
};

/* Takes what tells of a person out of rows of one table (docs/data.md); the rows stay. */
enum { ERASE_ROWS_MAX = 256, ERASE_KEY_SIZE = HASH_FINGERPRINT_KEY_SIZE };
struct erase {
    enum op_kind table;    /* OP_CLICK ... OP_VOTE */
    const uint64_t *rows;  /* their sequences */
    uint32_t rows_count;   /* at most ERASE_ROWS_MAX */
    const uint8_t *key;    /* ERASE_KEY_SIZE random bytes, the same for one erasure: sessions get
                              other names, the same ones where they were the same */
    bool is_last;          /* of an erasure: the WAL is emptied, too */
    uint32_t erased_count; /* out */
};

/* Removes some of the rows that are older than `keep_ms` and needed by nothing. */
struct retain {
    int64_t keep_ms;
    uint32_t rows_max;
    uint32_t removed_count; /* out; rows_max: there may be more */
};

/* The kinds up to OP_VOTE record an event each, in a table of its own. */
enum { EVENT_TABLES = OP_VOTE + 1 };
struct span event_table_name(enum op_kind kind);

enum outcome {
    OUTCOME_PENDING,
    OUTCOME_RECORDED,    /* durable; `sequence` is its own */
    OUTCOME_DUPLICATE,   /* `sequence` is that of the event that stands, durable as well */
    OUTCOME_NOT_FOUND,   /* what the op names does not exist, has expired or is somebody else's */
    OUTCOME_MISSING_BID, /* the click exists but names no bid */
    OUTCOME_LIMITED,     /* a cap was reached; nothing was recorded */
    OUTCOME_CONFLICT,    /* a key with this secret exists; the newest token key cannot be retired;
                            an option with votes cannot be removed */
    OUTCOME_BAD_OPTION,  /* the poll has no such option */
    OUTCOME_UNAVAILABLE, /* the store could not write; nothing was recorded */
};

struct op {
    struct op *next;          /* the queues' */
    struct ledger_port *port; /* where the answer goes; set by the ledger */
    enum op_kind kind;
    enum outcome outcome;
    uint64_t sequence;
    int64_t received_at_ms; /* wall clock, when the request was complete */
    int64_t happened_at_ms; /* imports: when it was recorded elsewhere; else 0 */
    union {
        struct click click;
        struct conversion conversion;
        struct server_event server_event;
        struct impression impression;
        struct feedback feedback;
        struct ad_feedback ad_feedback;
        struct vote vote;           /* OP_VOTE, OP_POLL_RESULTS */
        struct poll poll;           /* OP_POLL_PUT; WITHDRAW: its id */
        struct api_key key;         /* OP_KEY_CREATE */
        struct span key_id;         /* OP_KEY_REVOKE */
        struct token_key token_key; /* ROTATE: the new one, RETIRE: its kid */
        struct erase erase;
        struct retain retain;
    };
};
