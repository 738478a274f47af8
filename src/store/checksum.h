#pragma once

#include "base/span.h"

#include <stddef.h>
#include <stdint.h>

/* What tells a damaged row: 64 bits over its table's name and all its columns, kept in its column
 * `checksum` (docs/schema.md has the definition). MurmurHash64A, chained over the parts: every step
 * is a bijection of the state, so a change within eight aligned bytes of one value is found always;
 * any other is missed once in 2^64. Not against an attacker: who writes the file can compute it. */

enum checksum_type {
    CHECKSUM_NULL,
    CHECKSUM_INTEGER, /* eight bytes, little-endian */
    CHECKSUM_TEXT,
    CHECKSUM_BLOB,
    CHECKSUM_OTHER, /* what no row of ours holds */
};

uint64_t checksum_start(struct span table);
uint64_t checksum_add(uint64_t checksum, enum checksum_type type, const void *bytes, size_t size);
uint64_t checksum_add_i64(uint64_t checksum, int64_t value);
