#pragma once

#include "base/span.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* The types of option values: text in, value or refusal out. Pure. */

/* A number and a unit, without space between them: ms, s, m, h or d. "0" alone needs no unit. */
bool value_duration(int64_t *out_ms, struct span text);

/* A number and a unit: B, KiB or MiB. "0" alone needs no unit. */
bool value_size(int64_t *out, struct span text);

/* Decimal digits. */
bool value_count(int64_t *out, struct span text);

enum { VALUE_ADDRESS_TEXT_MAX = 64 };

/* Where to listen. Host names other than localhost are refused: they would have to be looked up. */
struct value_address {
    struct sockaddr_storage socket;
    socklen_t socket_len;
    bool any; /* ":8080": every address of the machine, IPv6 and IPv4 */
};

/* "127.0.0.1:8080", "[::1]:8080", "localhost:8080" (127.0.0.1), ":8080"; port 0: any free one. */
bool value_address(struct value_address *out, struct span text);

/* host:port for URLs; an address that means all of them is written as the loopback address. */
void value_address_write(char out[VALUE_ADDRESS_TEXT_MAX], const struct value_address *address);
