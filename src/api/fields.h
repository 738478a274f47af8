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
    FIELD_TEXT,     /* a string of at most bytes_max */
    FIELD_ID,       /* a string of at most LIMIT_ID bytes */
    FIELD_INTEGER,  /* digits with an optional minus, in 64 bits */
    FIELD_TIMESTAMP, /* Unix seconds: an integer below 10^11, or it is milliseconds */
    FIELD_AMOUNT,   /* a number that amount_parse takes */
    FIELD_DATETIME, /* a string that datetime_parse_iso8601 takes */
    FIELD_CURRENCY, /* ISO 4217 in any case; the value is in upper case */
    FIELD_OBJECT,
    FIELD_ARRAY,
    FIELD_ANY,     /* for the page to look at */
    FIELD_IGNORED, /* listed, so not extra, and never looked at */
};

struct field {
    struct span name;
    uint8_t slot; /* where the value goes */
    uint8_t type; /* enum field_type */
    bool required;
    uint16_t bytes_max; /* FIELD_TEXT */
};

enum { FIELDS_MAX = 24 };

struct field_value {
    uint32_t token;    /* 0: absent */
    struct span text;  /* strings: unescaped; others: raw JSON; absent when absent */
    int64_t number;    /* FIELD_INTEGER; FIELD_DATETIME: milliseconds */
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
};

/* `values` has room for every slot of the table. Returns how many members no row lists. */
uint32_t fields_read(const struct fields_reader *reader, const struct fields *fields,
                     uint32_t object, struct field_value *values);

/* The row that lists this key token, or NULL. Leaves the arena as it was. */
const struct field *fields_find(const struct fields *fields, const struct json_doc *doc,
                                uint32_t key, struct arena *arena);

/* One more problem about a field of the object. `msg` NULL: the type's own. */
void fields_problem(const struct fields_reader *reader, struct span name, enum problem_type type,
                    const char *msg);

/* The last part of reading, for FIELD_ANY: a string as FIELD_TEXT takes it. */
bool fields_text(const struct fields_reader *reader, const struct field *field,
                 struct field_value *value, size_t bytes_max);
