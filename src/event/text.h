#pragma once

#include "base/span.h"
#include "base/writer.h"

#include <stdbool.h>
#include <stdint.h>

/* Rules for single values: bytes in, value or refusal out. */

/* "" or white space only: the same as absent (contract section 2). White space is any Unicode
 * White_Space character, so that a no-break space alone is blank too. */
bool text_is_blank(struct span text);

/* http:// or https:// (any case), a host as text_url_host takes it, no control characters, spaces,
 * double quotes, backslashes or bytes past ASCII, at most LIMIT_LANDING_URL bytes, no user info,
 * and a port of 1..65535 if any. */
bool text_is_landing_url(struct span url);

/* The host of an absolute http(s) URL for `site:<host>` (contract section 5): lower case, without
 * user info, port and trailing dot; an IPv6 literal keeps its brackets. Appended to `out`; false,
 * and nothing written, when `url` has no usable host: labels of 1..63 ASCII letters, digits, `-`
 * and `_`, at most 253 bytes with their dots, or a well-formed IPv6 literal without a zone. */
bool text_url_host(struct writer *out, struct span url);

/* ISO 4217: in use, or withdrawn in the last ten years, any case. */
bool text_is_currency(struct span code);
