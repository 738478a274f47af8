#pragma once

/* Shared by the files of this module, by nobody else. */

#include "json/json.h"

#include <endian.h>
#include <string.h>

/* The length, 1 to 4, of the well-formed UTF-8 sequence at `at`, of which `room` >= 1 bytes may be
 * read; 0 when there is none. */
size_t json_utf8_sequence(const unsigned char *at, size_t room);

/* Moves *at from a string's first byte to its closing quote. */
enum json_error json_scan_string(const unsigned char **at, const unsigned char *end, bool *escaped);

bool json_string_is(const struct json_doc *doc, uint32_t token, struct span text);
bool json_strings_equal(const struct json_doc *doc, uint32_t a, uint32_t b);

/* JSON_OK, JSON_DUPLICATE_KEY, or JSON_TOO_LARGE when the tokens past doc->count, up to `cap`, are
 * too few to hold the table. `members` is how many the object, which must be complete, has. */
enum json_error json_check_keys(const struct json_doc *doc, uint32_t object, uint32_t members,
                                uint32_t cap, uint64_t seed);

/* Eight bytes, the first one lowest. */
static inline uint64_t json_load_word(const void *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return le64toh(word);
}
