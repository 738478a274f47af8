#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Bytes that somebody else owns, not NUL-terminated. `ptr == NULL` means absent, which is not the
 * same as empty. Lengths are bytes. */
struct span {
    const char *ptr;
    size_t len;
};

#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})
#define SPAN_NONE ((struct span){NULL, 0})

/* The same where C wants a constant: the initializer of a static table. */
#define SPAN_INIT(literal)                                                                         \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

/* For printf: "%.*s", SPAN_FMT(span) */
#define SPAN_FMT(span) (int)(span).len, (span).ptr

struct span span_of(const char *text); /* text may be NULL: absent */
bool span_eq(struct span a, struct span b);
bool span_eq_nocase(struct span a, struct span b); /* ASCII letters only */
bool span_starts_with(struct span text, struct span prefix);

/* Removes leading and trailing space, tab, CR and LF. */
struct span span_trim(struct span text);

/* The part of *rest before `separator`; *rest becomes what follows it, or absent at the end. */
struct span span_split(struct span *rest, char separator);

/* Decimal digits only, no sign, whole span; false on anything else or past `max`. */
bool span_to_u64(struct span text, unsigned long long max, unsigned long long *out);
