#pragma once

#include "ask.h"

#include <stddef.h>

/* The contract as a small program of its own: everything that was recorded, in order, in one array
 * that is searched from end to end. Nothing of src/ is in here. It is flat: a copy is another
 * possible world. */

enum event_kind {
    EVENT_CLICK,
    EVENT_CONVERSION,
    EVENT_SERVER,
    EVENT_IMPRESSION,
    EVENT_FEEDBACK,
    EVENT_AD_FEEDBACK,
    EVENT_VOTE,
};
enum { EVENT_KINDS = EVENT_VOTE + 1 };

struct event {
    enum event_kind kind;
    struct ask ask;
    int partner, publisher, advertiser; /* of the key */
    int subject;        /* the event it belongs to: a conversion's click, a feedback's impression */
    uint64_t receipt;   /* 0: nobody was told */
    char id[UUID_TEXT]; /* of a click or an ad-feedback; "": nobody was told */
    int64_t sequence;   /* of its row; 0: not seen yet */
    bool is_erased;
    bool is_gone; /* retention took its row, and it comes back no more */
};

struct key {
    enum key_class key_class;
    int partner, publisher, advertiser;
    int64_t expires_ms;
    bool exists, revoked;
    int64_t due_us; /* of its rate */
};

/* After a command that failed or was cut off, a token key may be either, until somebody looks. */
enum token_key_state { TOKEN_KEY_NONE, TOKEN_KEY_LIVE, TOKEN_KEY_MAYBE, TOKEN_KEY_RETIRED };

struct known_token_key {
    char kid[KID_TEXT];
    enum token_key_state state;
};

struct poll_texts {
    bool exists, withdrawn;
    uint32_t options;
    int text;
};

struct ad {
    int publisher, advertiser, poll;
    int64_t minted_ms, exp_ms;
    int token_key;
    bool click_has_no_bid; /* minted elsewhere */
    char bid[UUID_TEXT];
};

/* The contract's numbers. A model with a wrong one has to be found out. */
struct rules {
    int64_t click_ttl_ms, impression_ttl_ms, collect_window_ms;
    int64_t minute_ms, token_margin_ms, token_leeway_ms, click_leeway_ms, key_leeway_ms;
    int64_t keep_leeway_ms;
    int feedbacks_per_minute, per_bid_max;
    uint32_t rate_limit, client_rate_limit;
    bool forget_partner, forget_advertiser, forget_event_type, forget_revocation;
    bool always_check_order, vote_per_poll, double_rates, forget_erasure, forget_import,
        forget_import_end;
};

enum { EVENTS_MAX = 1600, KEYS_MAX = 24, TOKEN_KEYS = 12, ADS_MAX = 64, CLIENTS_MAX = 4 };

struct model {
    struct rules rules;
    struct event events[EVENTS_MAX];
    int events_count;
    struct key keys[KEYS_MAX];
    int keys_count;
    struct known_token_key token_keys[TOKEN_KEYS];
    int token_keys_count;
    int minting; /* the token key that was rotated to last */
    struct poll_texts polls[POLLS_MAX];
    struct ad ads[ADS_MAX];
    int ads_count;
    int64_t gone_before_ms[EVENT_KINDS]; /* rows from before may be removed */
    int64_t client_due_us[CLIENTS_MAX];
    bool degraded;
    uint64_t expiries; /* answers that hung on a time that had passed */
};

/* The right numbers but for the three times; `name` makes one of them wrong. False: no such name.
 */
void rules_init(struct rules *rules);
bool rules_break(struct rules *rules, const char *name);

/* What the model expects, as far as it can know it. */
struct expected {
    int status;
    int retry_after_s;                        /* -1: no such header */
    bool has_body, has_location, has_receipt; /* whether the next ones are compared */
    char location[LOCATION_TEXT], body[BODY_TEXT];
    int holder;  /* the event whose receipt or id the answer carries; -1: none */
    bool is_new; /* and it is new with this answer */
};

/* Before the ledger: the key, the rate, the body, the token. True: the ask goes on to it. */
bool model_admit(struct model *model, const struct ask *ask, struct expected *expected);

/* In the ledger, in the order of the batch: decides, and records. */
void model_decide(struct model *model, const struct ask *ask, struct expected *expected);

/* Which of the events that may stand for a collect's key does: a clock that was set back leaves
 * that open, and the answer tells. */
void model_settle_doubt(struct model *model, const struct ask *ask, const struct answer *answer,
                        struct expected *expected);

/* The answer of a store that could not write, or of a queue that is full. */
void model_unavailable(const struct ask *ask, struct expected *expected);

/* Takes what only the answer can tell (ids, receipts). False: the answer is wrong, and `why` says
 * how. */
bool model_check(struct model *model, const struct ask *ask, const struct expected *expected,
                 const struct answer *answer, char *why, size_t why_size);

/* The key of the token that is shown; NULL: none is. */
struct known_token_key *model_token_key(struct model *model, const struct ask *ask);

/* A start forgets rates. */
void model_restart(struct model *model);

/* Retention may have taken its row. */
bool model_may_be_gone(const struct model *model, const struct event *event);

uint32_t model_votes(const struct model *model, int poll, int option);
