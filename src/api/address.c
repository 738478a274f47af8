#include "api/address.h"

#include <arpa/inet.h>
#include <string.h>

enum { IPV4_OFFSET = 12, IPV4_PREFIX = 96, IPV6_NETWORK_SIZE = 8 };

static struct in6_addr map_ipv4(const struct in_addr *address)
{
    struct in6_addr out = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(out.s6_addr + IPV4_OFFSET, address, sizeof *address);
    return out;
}

static bool parse_address(struct in6_addr *out, struct span text)
{
    char copy[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof copy) return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (strlen(copy) != text.len) return false;
    struct in_addr ipv4;
    if (inet_pton(AF_INET, copy, &ipv4) != 1) return inet_pton(AF_INET6, copy, out) == 1;
    *out = map_ipv4(&ipv4);
    return true;
}

bool api_network_parse(struct api_network *out, struct span text)
{
    struct span rest = span_trim(text);
    struct span address = span_split(&rest, '/');
    if (!parse_address(&out->address, address)) return false;
    bool is_ipv4 = !memchr(address.ptr, ':', address.len);
    unsigned long long prefix = is_ipv4 ? 32 : 128;
    if (rest.ptr && !span_to_u64(rest, prefix, &prefix)) return false;
    out->prefix_len = (uint8_t)(prefix + (is_ipv4 ? IPV4_PREFIX : 0));
    return true;
}

static bool network_has(const struct api_network *network, const struct in6_addr *address)
{
    size_t bytes = network->prefix_len / 8;
    unsigned bits = network->prefix_len % 8;
    if (memcmp(network->address.s6_addr, address->s6_addr, bytes) != 0) return false;
    if (bits == 0) return true;
    return ((network->address.s6_addr[bytes] ^ address->s6_addr[bytes]) >> (8 - bits)) == 0;
}

static bool is_trusted(const struct api_options *options, const struct in6_addr *address)
{
    for (size_t i = 0; i < options->trusted_proxies_count; i++)
        if (network_has(&options->trusted_proxies[i], address)) return true;
    return false;
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80" */
static bool parse_hop(struct in6_addr *out, struct span hop)
{
    if (parse_address(out, hop)) return true;
    struct span rest = hop;
    if (hop.len > 0 && hop.ptr[0] == '[') {
        rest = (struct span){hop.ptr + 1, hop.len - 1};
        return parse_address(out, span_split(&rest, ']'));
    }
    return parse_address(out, span_split(&rest, ':'));
}

/* Takes the part after the last comma off the end of *rest; *rest is absent after the first part.
 */
static struct span take_last_hop(struct span *rest)
{
    const char *comma = rest->len ? memrchr(rest->ptr, ',', rest->len) : NULL;
    size_t start = comma ? (size_t)(comma - rest->ptr) + 1 : 0;
    struct span hop = {rest->ptr + start, rest->len - start};
    *rest = comma ? (struct span){rest->ptr, start - 1} : SPAN_NONE;
    return span_trim(hop);
}

/* Goes back through one header's hops while they are trusted; false: the walk is over. */
static bool walk_hops(struct in6_addr *out, struct span hops, const struct api_options *options)
{
    while (hops.ptr) {
        struct in6_addr hop;
        if (!parse_hop(&hop, take_last_hop(&hops))) return false;
        *out = hop;
        if (!is_trusted(options, out)) return false;
    }
    return true;
}

static bool peer_address(struct in6_addr *out, const struct sockaddr_storage *peer)
{
    if (peer->ss_family == AF_INET)
        *out = map_ipv4(&((const struct sockaddr_in *)peer)->sin_addr);
    else if (peer->ss_family == AF_INET6)
        *out = ((const struct sockaddr_in6 *)peer)->sin6_addr;
    else
        return false;
    return true;
}

bool address_of_client(struct in6_addr *out, const struct http_request *request,
                       const struct api_options *options)
{
    if (!peer_address(out, &request->peer)) return false;
    bool walking = is_trusted(options, out);
    for (size_t i = request->headers_count; walking && i > 0; i--) {
        const struct http_header *header = &request->headers[i - 1];
        if (span_eq_nocase(header->name, SPAN("x-forwarded-for")))
            walking = walk_hops(out, header->value, options);
    }
    return true;
}

bool address_is_https(const struct http_request *request, const struct api_options *options)
{
    struct in6_addr peer;
    struct span schemes = SPAN_NONE;
    if (!peer_address(&peer, &request->peer) || !is_trusted(options, &peer)) return false;
    if (http_request_header(request, SPAN("x-forwarded-proto"), &schemes) != 1) return false;
    return span_eq_nocase(span_trim(span_split(&schemes, ',')), SPAN("https"));
}

size_t address_network_size(const struct in6_addr *address)
{
    return IN6_IS_ADDR_V4MAPPED(address) ? sizeof address->s6_addr : IPV6_NETWORK_SIZE;
}

/* As inet_ntop does, without its sprintf. */
static struct span write_ipv4(char out[INET6_ADDRSTRLEN], const uint8_t bytes[4])
{
    struct writer text;
    writer_init(&text, out, INET6_ADDRSTRLEN);
    for (int i = 0; i < 4; i++) {
        if (i > 0) writer_char(&text, '.');
        writer_u64(&text, bytes[i]);
    }
    writer_char(&text, '\0');
    text.len--;
    return writer_text(&text);
}

struct span address_write(char out[INET6_ADDRSTRLEN], const struct in6_addr *address, bool full)
{
    struct in6_addr shown = *address;
    bool is_ipv4 = IN6_IS_ADDR_V4MAPPED(address);
    size_t kept = is_ipv4 ? IPV4_OFFSET + 3 : 6; /* /24, /48 */
    if (!full) memset(shown.s6_addr + kept, 0, sizeof shown.s6_addr - kept);
    if (is_ipv4) return write_ipv4(out, shown.s6_addr + IPV4_OFFSET);
    inet_ntop(AF_INET6, &shown, out, INET6_ADDRSTRLEN);
    return span_of(out);
}
