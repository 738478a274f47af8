#pragma once

#include "base/arena.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/* A strict JSON reader (RFC 8259 as contract section 2 narrows it): one document, UTF-8 checked, no
 * duplicate keys (compared after unescaping), no lone surrogates, no U+0000 in strings (raw or
 * escaped), nesting to LIMIT_JSON_DEPTH, no byte order mark. It produces spans, never numbers: the
 * text of an amount reaches the ledger as it was sent.
 *
 * A document is parsed into a flat array of tokens in document order. An object is followed by its
 * members as key, value, key, value; an array by its elements. `end` lets a reader skip a subtree:
 * the token after it has index `end`.
 *
 * Pure: no I/O, clock, malloc or log. All memory is the caller's. */

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json_token {
    uint32_t start; /* byte offset in the document; of a string: after its opening quote */
    uint32_t len;   /* bytes; of a string: without its quotes, still escaped */
    uint32_t end;   /* index of the token after this value and all it contains */
    uint8_t type;   /* enum json_type */
    uint8_t escaped; /* a string that holds at least one backslash */
};

struct json_doc {
    struct span text; /* borrowed: must outlive the document */
    struct json_token *tokens;
    uint32_t count;
};

enum json_error {
    JSON_OK,
    JSON_SYNTAX,
    JSON_BAD_UTF8,
    JSON_BAD_SURROGATE,
    JSON_NUL,
    JSON_DUPLICATE_KEY,
    JSON_TOO_DEEP,
    JSON_TOO_LARGE, /* more tokens than the caller gave room for */
};

/* `tokens` has room for `cap` tokens; a text of n bytes never needs more than n / 2 + 1.
 * `seed` keys the hash that finds duplicate keys, so that a client cannot choose collisions; the
 * work is linear in the text. On anything but JSON_OK the document must not be read. */
enum json_error json_parse(struct json_doc *doc, struct span text, struct json_token *tokens,
                           uint32_t cap, uint64_t seed);

/* Static phrase: "duplicate key in an object". */
const char *json_error_text(enum json_error error);

/* The text of a string with its escapes resolved: borrowed from the document when it has none,
 * else made in the arena. Absent when the arena is full. */
struct span json_string(const struct json_doc *doc, uint32_t token, struct arena *arena);

/* The bytes of any value as they stand in the document (a string with its quotes). */
struct span json_raw(const struct json_doc *doc, uint32_t token);

/* The value token of a member, or 0 when `object` has no such key (0 is always the root, never a
 * member's value). `key` is compared with the unescaped key. */
uint32_t json_member(const struct json_doc *doc, uint32_t object, struct span key);

/* Unicode code points in well-formed UTF-8. */
size_t json_characters(struct span text);

/* True when `text` is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates). */
bool json_utf8_valid(struct span text);
