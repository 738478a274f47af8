#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A set of networks, asked whether it has an address: CIDR blocks, IPv4 as IPv4-mapped IPv6. All of
 * them mean the same, so the longest prefix needs not be found: blocks become ranges that do not
 * touch, in order, and an address is looked up by halving. */

__extension__ typedef unsigned __int128 network_number; /* an address as one number */

struct network_range {
    network_number first, last;
};

struct networks {
    struct network_range *ranges; /* the caller's memory */
    size_t count;
};

/* The addresses that begin with the first `prefix_len` bits of this one, at most 128. */
struct network_range network_range(const uint8_t address[16], unsigned prefix_len);

/* Once all ranges are there: orders them and joins what overlaps. */
void networks_sort(struct networks *networks);

bool networks_have(const struct networks *networks, const uint8_t address[16]);
