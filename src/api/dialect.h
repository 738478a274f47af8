#pragma once

#include "base/span.h"

/* How refusals look. A page of the contract has its own dialect of errors (contract section 3); the
 * reasons to refuse are the same for all, one row each. */

enum dialect {
    DIALECT_DETAIL,      /* {"detail":"text"}: seeds 000, 002, 004 and mint */
    DIALECT_AD_FEEDBACK, /* {"error":"code","message":"text"}: seed 001 */
    DIALECT_POLL,        /* {"error":{"code":"...","message":"text"}}: seed 003 */
    DIALECT_COUNT,
};

enum reject {
    REJECT_NOT_FOUND,
    REJECT_METHOD,
    REJECT_BEARER_MISSING,
    REJECT_KEY_INVALID,
    REJECT_RATE_LIMITED,
    REJECT_TOO_LARGE,
    REJECT_VALIDATION, /* its body is made of problems, its status may be another */
    REJECT_CLICK_NOT_FOUND,
    REJECT_CLICK_WITHOUT_BID,
    REJECT_UNAVAILABLE,
    REJECT_SERVER_ERROR, /* the same, on pages that know no 503 */
    REJECT_IMPRESSION_NOT_FOUND,
    REJECT_IMP_URL,
    REJECT_TOKEN_MISSING,
    REJECT_TOKEN_INVALID,
    REJECT_OPTION,
    REJECT_SECOND_VOTE,
    REJECT_COUNT,
};

struct reject_row {
    int status;
    const char *label; /* in metrics: stable, lower case */
    struct span body[DIALECT_COUNT];
};

const struct reject_row *reject_row(enum reject reject);
