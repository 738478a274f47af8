#pragma once

#include "base/arena.h"
#include "base/span.h"
#include "base/writer.h"

#include <stdbool.h>
#include <stdint.h>

/* What a minted token says (contract section 6). JSON claims inside a PASETO v4.local token whose
 * implicit assertion is "adtally/<purpose>"; the footer is {"kid":"..."}.
 * Claims with other names, and claims that do not belong in a token of its purpose, are ignored,
 * for whoever mints with more. */

enum purpose {
    PURPOSE_VIEW,
    PURPOSE_ACK,
    PURPOSE_CLICK,
    PURPOSE_VOTE,
    PURPOSE_RESULTS,
    PURPOSE_COUNT,
};

enum {
    CLAIMS_JSON_TOKENS_MAX = 256, /* of the whole document, unknown claims included */
    CLAIMS_KID_MAX = 64,
};

struct claims {
    struct span bid; /* absent only in click tokens of others */
    struct span pub; /* required */
    struct span cam, prd, crt, adv, usr, ses, plc;
    struct span prc; /* decimal text */
    struct span cur; /* upper-case ISO 4217 */
    struct span mod; /* "cpm" or "cpc" */
    struct span url; /* landing URL: required in click tokens */
    int64_t pol;     /* poll id, -1 when absent: required in vote and results tokens */
    int64_t exp_ms;  /* required */
};

/* "view" and so on: what commands and logs call it. */
struct span purpose_name(enum purpose purpose);

/* "adtally/view" and so on: the implicit assertion. */
struct span purpose_assertion(enum purpose purpose);

/* The claims of one token of this purpose as JSON: only those that belong in it by the table of
 * contract section 6. Texts must be well-formed UTF-8. `exp` is written as RFC 3339 UTC with
 * milliseconds. */
void claims_write(struct writer *out, const struct claims *claims, enum purpose purpose);

/* Reads and checks decrypted claims: one JSON object, each claim of its type, within the limits of
 * contract section 2 (ids 1..256 bytes, landing URL <= 2,048 bytes and http or https), the required
 * ones of this purpose present, exp an RFC 3339 date-time. null and blank texts count as absent.
 * A currency in lower case is raised. Spans borrow from `json` or the arena.
 * False for anything else; `out` must then not be read. Does not look at the clock. `seed` as for
 * json_parse. */
bool claims_read(struct claims *out, struct span json, enum purpose purpose, struct arena *arena,
                 uint64_t seed);

/* {"kid":"<kid>"} */
void footer_write(struct writer *out, struct span kid);

/* The kid of a footer that is exactly one JSON object with the one string member "kid" of
 * 1..CLAIMS_KID_MAX bytes without escapes; borrowed from `footer`. Absent for anything else. */
struct span footer_kid(struct span footer);
