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
 *     {"a":[1,2],"b":3}
 *
 *     index  0       1    2      3    4    5    6
 *     type   object  "a"  array  1    2    "b"  3
 *     end    7       2    5      4    5    6    7
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
    uint32_t start;  /* byte offset in the document; of a string: after its opening quote */
    uint32_t len;    /* bytes; of a string: without its quotes, still escaped */
    uint32_t end;    /* index of the token after this value and all it contains */
    uint8_t type;    /* enum json_type */
    uint8_t escaped; /* a string that holds at least one backslash */
    uint8_t mark;    /* the reader's own, to find it again; 0 to begin with */
};

struct json_doc {
    struct span text; /* borrowed: must outlive the document */
    struct json_token *tokens;
    uint32_t count;
};

enum json_error {
    JSON_OK,
    JSON_SYNTAX,
    JSON_BAD_UTF8, /* in a string; elsewhere any byte past ASCII is JSON_SYNTAX */
    JSON_BAD_SURROGATE,
    JSON_NUL, /* in a string; elsewhere it is JSON_SYNTAX */
    JSON_DUPLICATE_KEY,
    JSON_TOO_DEEP,
    JSON_TOO_LARGE, /* more tokens than the caller gave room for, or a text of 4 GiB */
};

/* `tokens` has room for `cap` tokens; a text of n bytes never needs more than n / 2 + 1, and given
 * those it is never JSON_TOO_LARGE. The unused rest of the array is scratch for objects of more
 * than 32 members: a caller who gives fewer tokens adds one for every two members of the largest.
 * `seed` keys the hash that finds duplicate keys, so that a client cannot choose collisions: take
 * it from rng_fill once per process. The work is linear in the text. On anything but JSON_OK the
 * document must not be read; a text with several faults is refused for one of them. */
enum json_error json_parse(struct json_doc *doc, struct span text, struct json_token *tokens,
                           uint32_t cap, uint64_t seed);

/* Static phrase: "duplicate key in an object". */
const char *json_error_text(enum json_error error);

/* The text of a string with its escapes resolved: borrowed from the document when it has none,
 * else made in the arena, which must have room for the escaped length. Absent when it has not, and
 * when the token is no string. */
struct span json_string(const struct json_doc *doc, uint32_t token, struct arena *arena);

/* Yields the bytes of a string token with its escapes resolved, one by one and without memory. */
struct json_unescaper {
    const unsigned char *at;
    const unsigned char *end;
    unsigned char ready[4]; /* of an escape: its bytes from `next` to `count` are still to come */
    unsigned char next;
    unsigned char count;
};

struct json_unescaper json_unescape(const struct json_doc *doc, uint32_t token);
int json_next_byte(struct json_unescaper *from); /* -1 at the end */

/* The bytes of any value as they stand in the document (a string with its quotes). */
struct span json_raw(const struct json_doc *doc, uint32_t token);

/* The value token of a member, or 0 when `object` has no such key or is no object (0 is always the
 * root, never a member's value). `key` is compared with the unescaped key. */
uint32_t json_member(const struct json_doc *doc, uint32_t object, struct span key);

/* Unicode code points in well-formed UTF-8. */
size_t json_characters(struct span text);

/* True when `text` is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates). */
bool json_utf8_valid(struct span text);
