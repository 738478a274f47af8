#pragma once

#include "base/span.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* What tells robots and data centres from readers: patterns of user agents and networks, each read
 * once from text. Afterwards it is only looked at, by any thread. */

struct traffic;

enum { TRAFFIC_BOTS_TEXT_MAX = 64 * 1024, TRAFFIC_NETWORKS_TEXT_MAX = 16 * 1024 * 1024 };

struct traffic *traffic_new(void); /* knows none; NULL: out of memory */
void traffic_free(struct traffic *traffic);

/* Once each, from texts of at most the sizes above: a pattern (event/patterns.h) or a network ("10.
 * 0.0.0/8", "2001:db8::1") a line; empty lines and those that begin with "#" are none. False: the
 * line *line is wrong, or it is 0 and there is no memory. */
bool traffic_read_bots(struct traffic *traffic, struct span text, uint32_t *line);
bool traffic_read_networks(struct traffic *traffic, struct span text, uint32_t *line);

/* Whether both were made of the same text, or of none. */
bool traffic_same_bots(const struct traffic *one, const struct traffic *other);
bool traffic_same_networks(const struct traffic *one, const struct traffic *other);

/* Bits of enum event_flag. NULL: the address is not known; traffic may be NULL as well. */
uint32_t traffic_flags(const struct traffic *traffic, const struct in6_addr *address,
                       struct span user_agent);
