#pragma once

#include "api/dialect.h"
#include "base/arena.h"
#include "base/writer.h"

#include <stdbool.h>
#include <stdint.h>

/* What is wrong with a request, every failing field of it, in the page's order:
 *
 *     {"detail":[{"type":"missing","loc":["body","click_id"],"msg":"Field required"}]}
 *
 * Types, places and messages come from tables; what the client sent is never among them. */

enum problem_type {
    PROBLEM_MISSING,
    PROBLEM_JSON,
    PROBLEM_STRING,
    PROBLEM_INT,
    PROBLEM_NUMBER,
    PROBLEM_OBJECT,
    PROBLEM_ARRAY,
    PROBLEM_TOO_LONG,
    PROBLEM_TOO_SHORT,
    PROBLEM_LITERAL,
    PROBLEM_DATETIME,
    PROBLEM_CURRENCY,
    PROBLEM_VALUE,
    PROBLEM_COUNT,
};

/* Where: ["body"], ["body","click_id"], ["body","ads",0], ["body","ads",0,"ttl"]. Static texts. */
struct place {
    struct span part; /* "body" or "header" */
    struct span list; /* of a list's element: the list's name, else absent */
    uint32_t index;   /* of the element */
    struct span name; /* of the field; absent: the whole */
};

struct problem {
    struct problem *next;
    enum problem_type type;
    struct place place;
    const char *msg;    /* NULL: the type's own */
    uint32_t bytes_max; /* PROBLEM_TOO_LONG */
};

struct problems {
    struct arena *arena;
    struct problem *first, **last;
    uint32_t count;
    unsigned types; /* bits: 1 << enum problem_type */
    bool overflow;  /* the arena was full: there are more than could be kept */
};

/* "missing": as the answers spell it. */
const char *problem_type_name(enum problem_type type);

void problems_init(struct problems *problems, struct arena *arena);

/* Copies `problem`. */
void problems_add(struct problems *problems, const struct problem *problem);

/* The whole JSON document in the dialect of a page that lists problems, in the arena; absent when
 * it does not fit or some are missing. DIALECT_AD_FEEDBACK:
 *
 *     {"error":"validation_error","message":"...","fields":[{"field":"sentiment","message":"..."}]}
 */
struct span problems_text(const struct problems *problems, enum dialect dialect);

static inline bool problems_have(const struct problems *problems, enum problem_type type)
{
    return (problems->types & (1U << type)) != 0;
}
