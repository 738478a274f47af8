#pragma once

#include "store/store.h"

/* What finds a person's rows over one engine, beside who writes. Statements are SQL that both take,
 * with up to five parameters, named in any order: $1, $2: the sequences, after and up to; $3: the
 * user; $4: the session, or NULL; $5: how many rows at most. */
struct person_reader {
    const struct person_engine *engine;
    int64_t last; /* sequence: what is recorded later is not looked at */
};

enum { PERSON_PARAMETERS = 5 };

struct person_part {
    const char *sql; /* a literal */
    bool selects;    /* it names $5 */
    int64_t after, to;
    struct span user_id, session_id;
    uint32_t rows_max;
};

struct person_engine {
    enum err (*run)(struct person_reader *reader, const char *sql); /* once, without parameters */
    /* Sequences, in their order, when it selects some; no transaction is open afterwards. */
    enum err (*read)(struct person_reader *reader, const struct person_part *part, uint64_t rows[],
                     uint32_t *count);
    void (*close)(struct person_reader *reader);
};

/* On failure there is nothing to close. */
enum err sqlite_person_open(struct person_reader **out, const char *dir);
enum err pg_person_open(struct person_reader **out, const char *url);
