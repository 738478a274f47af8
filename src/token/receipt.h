#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* A receipt is a keyed permutation of an event's sequence, written as 16 lower-case hex digits
 * (contract section 2): unique, opaque, and turned back into the sequence by whoever has the key.
 * A Feistel network of six rounds over SipHash (Luby and Rackoff, 1988). */

enum { RECEIPT_KEY_SIZE = 16, RECEIPT_LEN = 16 };

void receipt_write(char out[RECEIPT_LEN], const uint8_t key[RECEIPT_KEY_SIZE], uint64_t sequence);
bool receipt_read(uint64_t *sequence, const uint8_t key[RECEIPT_KEY_SIZE], struct span text);
