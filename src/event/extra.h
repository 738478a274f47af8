#pragma once

#include "base/writer.h"
#include "json/json.h"

#include <stdbool.h>
#include <stdint.h>

/* Fields that a page does not list, kept in sanitized form (contract section 5): control characters
 * (Unicode Cc, in keys and strings) removed, strings cut at LIMIT_EXTRA_STRING_CHARACTERS code
 * points, containers nested deeper than LIMIT_EXTRA_DEPTH left out (`extra` itself is depth 1),
 * LIMIT_EXTRA_FIELDS_COUNT object members at all levels together, LIMIT_EXTRA bytes of text in all.
 * Never refuses. `dropped` counts what was left out: a member, an element or the cut end of a
 * string, one each.
 *
 * extra_open writes `{`, extra_add the members in the order of the calls, extra_close `}`. A key
 * that was already written (after sanitizing) is left out and counted, so what is added first
 * stands. The result is always one valid JSON object of at most LIMIT_EXTRA bytes. */

struct extra {
    struct writer *out;
    size_t start;            /* where `{` stands in out */
    uint32_t fields_count;   /* members written, all levels */
    uint32_t dropped;
    uint32_t keys_count;
    struct span keys[64];    /* top-level keys written, in out's memory, as written without quotes */
};

void extra_open(struct extra *extra, struct writer *out);

/* One member: key and value tokens of `doc`. */
void extra_add(struct extra *extra, const struct json_doc *doc, uint32_t key, uint32_t value);
void extra_close(struct extra *extra);
