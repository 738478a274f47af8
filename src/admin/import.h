#pragma once

#include "admin/command.h"
#include "base/limits.h"
#include "store/op.h"
#include "token/hash.h"

/* What was recorded elsewhere, a JSON object each (docs/import.md), as the op that records it here.
 * `adtally import` reads every line of its file with this before it sends the first. */

enum import_table {
    IMPORT_API_KEY,
    IMPORT_POLL,
    IMPORT_IMPRESSION,
    IMPORT_CLICK,
    IMPORT_CONVERSION,
    IMPORT_VOTE,
    IMPORT_TABLES,
};
struct span import_table_name(enum import_table table);

/* How a row ended: letters of the answer. */
enum import_outcome {
    IMPORT_RECORDED = 'r',
    IMPORT_DUPLICATE = 'd',
    IMPORT_PASSED = 'p',   /* too old to matter: nothing can come for it any more */
    IMPORT_LIMITED = 'l',  /* the bid has its 100 clicks */
    IMPORT_CONFLICT = 'x', /* a click that lives longer than click_ttl, a poll that loses votes */
    IMPORT_NO_CLICK = 'c', /* a conversion of a click that is not there, or has ended */
    IMPORT_NO_BID = 'b',   /* a conversion of a click without bid */
    IMPORT_NO_POLL = 'o',  /* a vote in a poll that is not there, or for no option of it */
    IMPORT_UNAVAILABLE = 'u', /* the store could not write */
};

enum {
    IMPORT_ROWS_MAX = 256,
    IMPORT_LINE_MAX = 256 * 1024,
    IMPORT_PROBLEM_MAX = 200,
    IMPORT_TEXTS_MAX = 128, /* of a row, each aligned in the arena */
};

struct import_row {
    enum import_table table;
    struct op op;
    struct span click_id, conversion_time, conversion_value, id, poll_id;
    struct span key_class, secret, sha256, expires;
    int64_t recorded_at_ms, expires_at_ms;
    uint64_t counts[POLL_OPTIONS_MAX];
    char key_text[LIMIT_IDEMPOTENCY_KEY + 8];
    char key_id[APIKEY_ID_LEN];
    uint8_t digest[HASH_SHA256_SIZE];
};

/* Reads one object. False: `problem` is a sentence without a full stop. The row borrows from the
 * request, and from itself: it stays where it is. */
bool import_read(struct import_row *row, struct admin_request *request, uint32_t object,
                 char problem[IMPORT_PROBLEM_MAX]);

/* The same for a line of text, of which only the table is kept. */
bool import_check(enum import_table *table, struct span line, char problem[IMPORT_PROBLEM_MAX]);
