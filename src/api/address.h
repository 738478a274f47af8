#pragma once

#include "api/api.h"

/* Who a request comes from (contract section 2, "Client address"). IPv4 is carried as IPv4-mapped
 * IPv6. */

/* The peer, or behind a trusted proxy the last untrusted hop of X-Forwarded-For. A hop that is no
 * address ends the walk: the one before it is the client. False: the peer has no address. */
bool address_of_client(struct in6_addr *out, const struct http_request *request,
                       const struct api_options *options);

/* Whether a trusted proxy says, in its one X-Forwarded-Proto, that the client spoke TLS to it, or
 * to the first of several ("https, http"). */
bool address_is_https(const struct http_request *request, const struct api_options *options);

/* How much of an address says whose it is: all of an IPv4 one, /64 of IPv6. Bytes. */
size_t address_network_size(const struct in6_addr *address);

/* As text, masked to /24 or /48 unless `full`. */
struct span address_write(char out[INET6_ADDRSTRLEN], const struct in6_addr *address, bool full);
