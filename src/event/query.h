#pragma once

#include "base/span.h"
#include "base/writer.h"

#include <stdbool.h>

/* URL query strings (application/x-www-form-urlencoded pairs). */

enum query_found { QUERY_ABSENT, QUERY_ONCE, QUERY_REPEATED };

/* Finds a parameter by its decoded name. `*raw` is the still encoded value of the first one, empty
 * when it has no `=`, untouched when there is none. In names a `%` that begins no escape stands for
 * itself, as browsers have it. */
enum query_found query_find(struct span query, struct span name, struct span *raw);

/* Whether decoding would change nothing: such a value may be used where it stands. */
bool query_is_plain(struct span raw);

/* Appends the decoded value ("+" is a space). False, and nothing written, for a broken %-escape. */
bool query_decode(struct writer *out, struct span raw);

/* Appends `text` with everything but RFC 3986 unreserved characters percent-encoded. */
void query_encode(struct writer *out, struct span text);

/* Plain text, encoded on output. A pair without a value (absent, not empty) is only removed. */
struct query_pair {
    struct span name, value;
};

/* Appends `url` with the pairs added to the end of its query: other parameters and the fragment are
 * kept byte for byte, empty parts (`&&`) too, but for one at the end, which the first pair fills.
 * Parameters of the same (decoded) names are removed first, all of them. */
void query_add(struct writer *out, struct span url, const struct query_pair *pairs, size_t count);
