#pragma once

/* Parsing as the JSON tests do it. */

#include "unit.h"

#include "json/json.h"

#include <string.h>

#define SPAN_INIT(literal)                                                                         \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

enum { TEXT_MAX = 1 << 20, TOKENS_MAX = TEXT_MAX / 2 + 1, SEED = 42 };

static struct json_token tokens[TOKENS_MAX];

/* From a copy of exactly its size, so that a sanitizer sees a read past the end. */
static inline enum json_error parse_with(struct json_doc *doc, struct span text, uint32_t cap)
{
    static char *copy;
    free(copy);
    copy = malloc(text.len ? text.len : 1);
    if (text.len) memcpy(copy, text.ptr, text.len);
    return json_parse(doc, (struct span){copy, text.len}, tokens, cap, SEED);
}

static inline enum json_error parse(struct json_doc *doc, struct span text)
{
    return parse_with(doc, text, (uint32_t)(text.len / 2 + 1));
}

static inline void assert_error(enum json_error actual, enum json_error expected)
{
    assert_string_equal(json_error_text(actual), json_error_text(expected));
}

static inline void assert_span(struct span actual, struct span expected)
{
    assert_int_equal(actual.len, expected.len);
    assert_memory_equal(actual.ptr, expected.ptr, expected.len);
}
