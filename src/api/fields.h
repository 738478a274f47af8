#pragma once

#include "api/problems.h"
#include "base/arena.h"
#include "event/amount.h"
#include "json/json.h"

#include <stdbool.h>
#include <stdint.h>

/* The fields of a page: a table says what each one is, and reading an object by it gives a value
 * per row and a problem per row that fails, in the table's order.
 *
 * null and blank strings count as absent, whatever the type (contract section 2). */

enum field_type {
    FIELD_TEXT,      /* a string of at most bytes_max */
    FIELD_ID,        /* a string of at most LIMIT_ID bytes */
    FIELD_INTEGER,   /* digits with an optional minus, in 64 bits */
    FIELD_TIMESTAMP, /* Unix seconds: an integer below 10^11, else it looks like milliseconds */
    FIELD_AMOUNT,    /* a number that amount_parse takes */
    FIELD_DATETIME,  /* a string that datetime_parse_iso8601 takes */
    FIELD_CURRENCY,  /* ISO 4217 in any case; the value is in upper case */
    FIELD_OBJECT,
    FIELD_ARRAY,
    FIELD_CHECKED, /* what the row's own check takes */
    FIELD_IGNORED, /* listed, so not extra, and never looked at */
};

struct fields_reader;
struct field_value;

struct field {
    struct span name;
    uint8_t slot; /* where the value goes */
    uint8_t type; /* enum field_type */
    bool required;
    uint16_t bytes_max; /* FIELD_TEXT */
    void (*check)(const struct fields_reader *reader, const struct field *field,
                  struct field_value *value); /* FIELD_CHECKED: adds a problem, or does not */
};

enum { FIELDS_MAX = 24 };

struct field_value {
    uint32_t token;       /* 0: absent */
    struct span text;     /* strings: unescaped; others: raw JSON; absent when absent */
    int64_t number;       /* of integers; FIELD_DATETIME: milliseconds */
    struct amount amount; /* FIELD_AMOUNT */
};

/* A table of rows and what it takes to read an object by it. */
struct fields {
    const struct field *rows;
    uint32_t count; /* <= FIELDS_MAX */
};

struct fields_reader {
    const struct json_doc *doc;
    struct arena *arena; /* for strings with escapes: at least as much room as the document has */
    struct problems *problems;
    struct place place; /* of the object; its name is filled in per field */
    const void *page;   /* for the page's own checks */
};

/* `values` has room for every slot of the table, zeroed. Returns how many members no row lists; the
 * tokens of their keys are marked. */
uint32_t fields_read(const struct fields_reader *reader, const struct fields *fields,
                     uint32_t object, struct field_value *values);

/* The row that lists this key token, or NULL. Leaves the arena as it was. The search begins at row
 * `*next`, which becomes the one after the row that was found: a client that sends its fields in
 * the page's order has each found at once. 0 to begin with. */
const struct field *fields_find(const struct fields *fields, const struct json_doc *doc,
                                uint32_t key, struct arena *arena, uint32_t *next);

/* What a check is made of. Each adds a problem when the answer is no. `msg` NULL: the type's own.
 */
void fields_problem(const struct fields_reader *reader, const struct field *field,
                    enum problem_type type, const char *msg);
bool fields_text(const struct fields_reader *reader, const struct field *field,
                 const struct field_value *value, size_t bytes_max);
/* A row's check: a text of at most LIMIT_COMMENT_CHARACTERS code points. */
void fields_comment(const struct fields_reader *reader, const struct field *field,
                    struct field_value *value);
/* One of two texts. */
bool fields_literal(const struct fields_reader *reader, const struct field *field,
                    const struct field_value *value, struct span one, struct span other,
                    const char *msg);
/* `max` bounds what is not negative; past it `msg` is the problem. */
bool fields_integer(const struct fields_reader *reader, const struct field *field,
                    struct field_value *value, unsigned long long max, const char *msg);
