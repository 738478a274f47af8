#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/* UUID version 7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, then 74 random bits. */

enum { UUID_SIZE = 16, UUID_TEXT_LEN = 36 };

struct uuid {
    uint8_t bytes[UUID_SIZE];
};

struct uuid uuid_make_v7(int64_t unix_ms, const uint8_t random[10]);
void uuid_write(char out[UUID_TEXT_LEN], const struct uuid *uuid); /* lower case, with hyphens */

/* Only the canonical lower-case spelling: an id that a client spelled otherwise is another id. */
bool uuid_read(struct uuid *out, struct span text);

int64_t uuid_v7_ms(const struct uuid *uuid);
