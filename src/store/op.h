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
};

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
    };
};
