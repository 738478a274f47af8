#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What a client asks and what it is told, as plain numbers: clients.c chooses them, words.c spells
 * them for the server, model.c knows the right answer. A number of 0 is a field that is not sent,
 * else it is part of a name ("e7"); an index of -1 is something that never existed. */

enum ask_kind {
    ASK_CONVERSION_V1,
    ASK_CONVERSION_API,
    ASK_COLLECT,
    ASK_REDIRECT,
    ASK_TRACK_CLICK,
    ASK_VIEW,
    ASK_ACK,
    ASK_TRACK_IMP,
    ASK_FEEDBACK,
    ASK_AD_FEEDBACK,
    ASK_VOTE,
    ASK_RESULTS,
    ASK_MINT,
    ASK_HEALTH,
    ASK_KEY_CREATE, /* from here on: commands of the operator */
    ASK_KEY_REVOKE,
    ASK_ROTATE,
    ASK_RETIRE,
    ASK_POLL_PUT,
    ASK_POLL_WITHDRAW,
    ASK_RETAIN,
    ASK_ERASE,
    ASK_IMPORT,
    ASK_KINDS,
};

enum flaw { FLAW_NONE, FLAW_MALFORMED, FLAW_MISSING, FLAW_TYPE, FLAWS };

enum key_class { KEY_PARTNER, KEY_PUBLISHER, KEY_ADSERVER };

enum token_use { TOKEN_VIEW, TOKEN_CLICK, TOKEN_ACK, TOKEN_VOTE, TOKEN_RESULTS, TOKEN_USES };

enum { KEY_NONE = -1, KEY_UNKNOWN = -2 };
enum { OPTIONS_MAX = 6, POLLS_MAX = 3, ERASE_MAX = 8 };

struct ask {
    int64_t at_ms, mono_ms; /* when it came, by the server's clocks */
    enum ask_kind kind;
    enum flaw flaw;
    int key;              /* index, KEY_NONE, KEY_UNKNOWN */
    int client;           /* whose address */
    int ad;               /* index */
    enum token_use token; /* which of the ad's tokens is shown, wrong ones too */
    bool garbled, is_head, is_prefetch;

    int click; /* index of the event, -1: an id that nobody was given */
    int event_type, idempotency_key, event_id, order_id, value;
    int tag;

    int sentiment, comment, session, reasons, placement;
    int poll, option;
    uint32_t options; /* of a poll: a bit for each */
    int text;         /* of a poll: which wording */

    int ttl_s;                 /* mint */
    int publisher, advertiser; /* mint, and whom a key is bound to */
    int partner;               /* whom a key is bound to */
    enum key_class key_class;
    int64_t key_expires_ms; /* 0: never */
    int token_key;          /* index: rotated to, or retired */

    int64_t keep_ms;         /* retain */
    int rows_max;            /* retain */
    int erased[ERASE_MAX];   /* erase: events of one kind, */
    int64_t rows[ERASE_MAX]; /* and their sequences */
    int erased_count, erased_kind;
    bool is_last;

    int import; /* which click of elsewhere; its id is made of it */
    int64_t happened_ms, end_ms;
};

enum { UUID_TEXT = 37, LOCATION_TEXT = 1024, BODY_TEXT = 8192, KID_TEXT = 9 };

struct answer {
    int status;        /* commands: 200, 404, 409 or 503 */
    int retry_after_s; /* -1: no such header */
    uint64_t receipt;  /* as its hex digits say; 0: none */
    int rows;          /* that a command removed or changed */
    char location[LOCATION_TEXT];
    char body[BODY_TEXT];
};
