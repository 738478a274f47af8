#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Parameters of a statement: single values, and arrays of one element per row. Values are the texts
 * that PostgreSQL reads; arrays are, too, or binary, which costs either side less. Memory grows
 * with what is added and is kept for the next batch. */

enum { PG_PARAMS_MAX = 32 };

struct pg_param {
    char *text; /* owned; ends with NUL */
    size_t size, cap;
    bool is_null, is_array, is_binary;
    uint32_t count; /* elements */
};

struct pg_params {
    struct pg_param values[PG_PARAMS_MAX];
    int count; /* of this statement */
    bool is_out_of_memory;
    bool is_not_text; /* one had a NUL: such a statement is refused, never sent cut off */
};

void pg_params_fini(struct pg_params *params);
void pg_params_reset(struct pg_params *params, int count); /* that many, all empty arrays */

/* The same for arrays that are sent binary, a letter for each: t text[], i bigint[]. The statement
 * has to name these types. */
void pg_params_reset_binary(struct pg_params *params, const char *types);

/* Single values. */
void pg_set_i64(struct pg_params *params, int at, int64_t value);
void pg_set_text(struct pg_params *params, int at, struct span text); /* absent: NULL */
void pg_set_bytes(struct pg_params *params, int at, const void *bytes, size_t size);
void pg_set_null(struct pg_params *params, int at);

/* The next element of an array. */
void pg_add_i64(struct pg_params *params, int at, int64_t value);
void pg_add_text(struct pg_params *params, int at, struct span text); /* absent: NULL */
void pg_add_null(struct pg_params *params, int at);
