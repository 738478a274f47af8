#pragma once

/* One text through our parser and through jansson, for the differential test and the fuzzer. */

#include "json/json.h"

#include <stdint.h>

/* NULL when both agree, else what they disagree about (static). `tokens` has room for
 * text.len / 2 + 1, `arena` for the unescaped strings. *accepted is our verdict. */
const char *json_compare(struct span text, struct json_token *tokens, struct arena *arena,
                         uint64_t seed, bool *accepted);
