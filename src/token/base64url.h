#pragma once

#include "base/span.h"
#include "base/writer.h"

#include <stddef.h>
#include <stdint.h>

/* RFC 4648 section 5 without padding. Decoding is strict: no padding, no white space, no bits set
 * past the end, so that each value has one spelling. */
void base64url_encode(struct writer *out, const void *bytes, size_t size);

/* Appends the bytes. False, and out's length as before, when the text is no strict base64url or
 * (out overflows) does not fit. */
bool base64url_decode(struct writer *out, struct span text);

size_t base64url_encoded_len(size_t size);

/* Into memory for base64url_encoded_len(size) characters. `bytes` may lie inside that memory when
 * both end at the same address: what is read stays ahead of what is written. */
void base64url_encode_to(char *out, const uint8_t *bytes, size_t size);
