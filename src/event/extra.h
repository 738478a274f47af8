#pragma once

#include "base/limits.h"
#include "base/writer.h"
#include "json/json.h"

#include <stdbool.h>
#include <stdint.h>

/* Fields that a page does not list, kept in sanitized form (contract section 5): control characters
 * (Unicode Cc, in keys and strings) removed, then keys and strings cut at
 * LIMIT_EXTRA_STRING_CHARACTERS code points, containers nested deeper than LIMIT_EXTRA_DEPTH left
 * out (`extra` itself is depth 1), LIMIT_EXTRA_FIELDS_COUNT object members at all levels together,
 * LIMIT_EXTRA bytes of text in all. Numbers are kept as they were sent. Never refuses. `dropped`
 * counts what was left out: a member, an element or the cut end of a string, one each, whatever it
 * held; a removed control character is none.
 *
 * extra_open writes `{`, extra_add the members in the order of the calls, extra_close `}`. A key
 * that was already written in the same object (after sanitizing) is left out and counted, so what
 * is added first stands. What does not fit whole is left out and what follows it is tried; a
 * container is filled as far as it goes. The result is always one valid JSON object of at most
 * LIMIT_EXTRA bytes, or of what room `out` has if that is less (but at least 2). Nothing else is
 * written to `out` in between. */

struct extra {
    struct writer *out;
    size_t end;            /* the length that `out` may not pass */
    uint32_t depth;        /* containers open; each has a byte before `end` for its bracket */
    uint32_t fields_count; /* members written, all levels */
    uint32_t dropped;
    uint32_t keys_count;
    /* The keys written in the objects that are open, in out's memory, escaped, without quotes. */
    struct span keys[LIMIT_EXTRA_FIELDS_COUNT];
};

void extra_open(struct extra *extra, struct writer *out);

/* One member: key and value tokens of `doc`. */
void extra_add(struct extra *extra, const struct json_doc *doc, uint32_t key, uint32_t value);
void extra_close(struct extra *extra);
