#pragma once

#include "store/op.h"

/* Taking a person out of rows, for every engine: which columns become what. Counts, keys and
 * sequences stay (docs/data.md). */

enum erased_value {
    ERASED_NULL,
    ERASED_OBJECT,    /* {} */
    ERASED_PSEUDONYM, /* erased_session */
};

enum { ERASED_COLUMNS_MAX = 8, PSEUDONYM_MAX = 32 };

struct erased_column {
    const char *name; /* NULL: past the last one */
    enum erased_value value;
};

/* Those of an event's table, ERASED_COLUMNS_MAX of them. */
const struct erased_column *erased_columns(enum op_kind table);

/* Another name of a publisher's session, under a key that is forgotten with the erasure: the
 * session of an ad-feedback keeps one, since reports count sessions. */
struct span erased_session(char text[PSEUDONYM_MAX], const struct erase *erase,
                           struct span publisher, struct span session);
