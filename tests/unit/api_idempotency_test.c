#include "unit.h"

#include "api/idempotency.h"
#include "base/limits.h"

#include <string.h>

struct row {
    const char *name;
    const char *value;
    enum idempotency found;
    const char *key;
};

#define K64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define K255 K64 K64 K64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

static const struct row rows[] = {
    {"plain", "order-123", IDEMPOTENCY_KEY, "order-123"},
    {"one character", "k", IDEMPOTENCY_KEY, "k"},
    {"all kinds of visible characters", "!#$%&'()*+,/:;<=>?@[]^_`{|}~", IDEMPOTENCY_KEY,
     "!#$%&'()*+,/:;<=>?@[]^_`{|}~"},
    {"a backslash in a plain key", "a\\b", IDEMPOTENCY_KEY, "a\\b"},
    {"a quote inside a plain key", "a\"b", IDEMPOTENCY_KEY, "a\"b"},
    {"surrounding white space", " \t order \t", IDEMPOTENCY_KEY, "order"},
    {"quoted", "\"order-123\"", IDEMPOTENCY_KEY, "order-123"},
    {"quoted with escapes", "\"a\\\"b\\\\c\"", IDEMPOTENCY_KEY, "a\"b\\c"},
    {"255 characters", K255, IDEMPOTENCY_KEY, K255},
    {"255 characters, quoted", "\"" K255 "\"", IDEMPOTENCY_KEY, K255},
    {"empty", "", IDEMPOTENCY_ABSENT, NULL},
    {"blank", " \t ", IDEMPOTENCY_ABSENT, NULL},
    {"quoted and empty", "\"\"", IDEMPOTENCY_ABSENT, NULL},
    {"quoted and blank", "\"  \"", IDEMPOTENCY_ABSENT, NULL},
    {"256 characters", K255 "x", IDEMPOTENCY_TOO_LONG, NULL},
    {"256 characters, quoted", "\"" K255 "x\"", IDEMPOTENCY_TOO_LONG, NULL},
    {"a space inside", "a b", IDEMPOTENCY_INVALID, NULL},
    {"a space inside quotes", "\"a b\"", IDEMPOTENCY_INVALID, NULL},
    {"a tab inside", "a\tb", IDEMPOTENCY_INVALID, NULL},
    {"a control character", "a\001b", IDEMPOTENCY_INVALID, NULL},
    {"DEL", "a\177", IDEMPOTENCY_INVALID, NULL},
    {"UTF-8", "caf\xc3\xa9", IDEMPOTENCY_INVALID, NULL},
    {"a no-break space alone is no blank", "\xc2\xa0", IDEMPOTENCY_INVALID, NULL},
    {"an open quote", "\"order", IDEMPOTENCY_INVALID, NULL},
    {"a quote alone", "\"", IDEMPOTENCY_INVALID, NULL},
    {"an escaped closing quote", "\"order\\\"", IDEMPOTENCY_INVALID, NULL},
    {"a backslash at the end", "\"order\\", IDEMPOTENCY_INVALID, NULL},
    {"an escape RFC 8941 has not", "\"a\\nb\"", IDEMPOTENCY_INVALID, NULL},
    {"text after the closing quote", "\"a\"b", IDEMPOTENCY_INVALID, NULL},
    {"a list of strings", "\"a\", \"b\"", IDEMPOTENCY_INVALID, NULL},
};

static void parses(void **state)
{
    const struct row *row = *state;
    _Alignas(16) char memory[1024];
    struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    struct span key = SPAN_NONE;
    assert_int_equal(idempotency_parse(&key, span_of(row->value), &arena), row->found);
    assert_true(span_eq(key, span_of(row->key)));
    assert_int_equal(key.ptr != NULL, row->key != NULL);
}

int main(void)
{
    UNIT_ADD_ROWS(rows, parses);
    return UNIT_RUN_ADDED("api_idempotency");
}
