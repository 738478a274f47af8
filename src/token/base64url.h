#pragma once

#include "base/span.h"
#include "base/writer.h"

/* RFC 4648 section 5 without padding. Decoding is strict: no padding, no white space, no bits set
 * past the end, so that each value has one spelling. */
void base64url_encode(struct writer *out, const void *bytes, size_t size);
bool base64url_decode(struct writer *out, struct span text); /* false: nothing usable was written */
