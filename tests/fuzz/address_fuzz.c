#include "api/address.h"

#include "fuzz.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whom a request comes from. The second opinion joins all X-Forwarded-For lines to one list, splits
 * it, and walks it from its end; an address is one when inet_pton says so, a network
 * has it when the bits are equal, one by one.
 *
 * Input: a byte that chooses the peer, the networks that are trusted (a length and so many bytes,
 * with commas between), then the header lines, one a line. */

enum { TEXT_MAX = 4096, LINES_MAX = 16, HOPS_MAX = 512 };

static const char *const peers[] = {"203.0.113.77", "10.1.1.1", "::ffff:10.1.1.1", "2001:db8:1::5",
                                    "::1",          "0.0.0.0",  "2001:db8:2::6",   ""};

/* -- the second opinion ------------------------------------------------------------------------ */

static bool to_address(struct in6_addr *out, const char *text, size_t len)
{
    char copy[64], mapped[80];
    if (len == 0 || len >= sizeof copy || memchr(text, '\0', len)) return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    struct in_addr v4;
    if (strchr(copy, ':')) return inet_pton(AF_INET6, copy, out) == 1;
    snprintf(mapped, sizeof mapped, "::ffff:%s", copy);
    return inet_pton(AF_INET, copy, &v4) == 1 && inet_pton(AF_INET6, mapped, out) == 1;
}

/* With a port behind it, and brackets around an IPv6 address that has one. */
static bool to_hop(struct in6_addr *out, struct span hop)
{
    if (to_address(out, hop.ptr, hop.len)) return true;
    char end = hop.len && hop.ptr[0] == '[' ? ']' : ':';
    size_t skip = end == ']';
    const char *at = hop.len ? memchr(hop.ptr, end, hop.len) : NULL;
    size_t len = at ? (size_t)(at - hop.ptr) : hop.len;
    return to_address(out, hop.ptr + skip, len - skip);
}

static bool bit_of(const struct in6_addr *address, unsigned bit)
{
    return address->s6_addr[bit / 8] >> (7 - bit % 8) & 1;
}

static bool is_inside(const struct in6_addr *address, const struct api_network *network)
{
    for (unsigned bit = 0; bit < network->prefix_len; bit++)
        if (bit_of(address, bit) != bit_of(&network->address, bit)) return false;
    return true;
}

static bool is_trusted(const struct in6_addr *address, const struct api_options *options)
{
    for (size_t i = 0; i < options->trusted_proxies_count; i++)
        if (is_inside(address, &options->trusted_proxies[i])) return true;
    return false;
}

static size_t split_list(struct span hops[HOPS_MAX], struct span list)
{
    size_t count = 0;
    while (list.ptr && count < HOPS_MAX)
        hops[count++] = span_trim(span_split(&list, ','));
    return count;
}

static struct in6_addr find_again(struct in6_addr peer, struct span list,
                                  const struct api_options *options)
{
    static struct span hops[HOPS_MAX];
    struct in6_addr client = peer, hop;
    size_t count = split_list(hops, list);
    while (is_trusted(&client, options) && count > 0 && to_hop(&hop, hops[--count]))
        client = hop;
    return client;
}

/* -- networks ------------------------------------------------------------------------------------
 */

static void check_network(const struct api_network *ours, bool accepted, struct span text)
{
    struct span rest = span_trim(text), address = span_split(&rest, '/');
    struct in6_addr expected;
    bool is_v6 = address.len && memchr(address.ptr, ':', address.len);
    long prefix = is_v6 ? 128 : 32;
    bool is_network = to_address(&expected, address.ptr, address.len);
    if (rest.ptr) {
        char *copy = c_text(rest), *end;
        is_network = is_network && rest.len > 0 && strspn(copy, "0123456789") == rest.len;
        long number = strtol(copy, &end, 10);
        is_network = is_network && number <= prefix;
        prefix = number;
        free(copy);
    }
    require(accepted == is_network, "another verdict on a network");
    if (!accepted) return;
    require(memcmp(&ours->address, &expected, sizeof expected) == 0, "another network");
    require(ours->prefix_len == prefix + (is_v6 ? 0 : 96), "another prefix");
}

static void choose_networks(struct api_options *options, struct choices *from)
{
    struct span list = choose_text(from, 255);
    while (list.ptr && options->trusted_proxies_count < API_PROXIES_MAX) {
        struct span text = own_copy(span_split(&list, ','));
        struct api_network *network = &options->trusted_proxies[options->trusted_proxies_count];
        bool accepted = api_network_parse(network, text) ^ lies("network");
        check_network(network, accepted, text);
        options->trusted_proxies_count += accepted;
        own_free(text);
    }
}

/* -- writing
 * --------------------------------------------------------------------------------------- */

/* Read back: the address, with the bits of the host cleared when it is masked. */
static void check_written(const struct in6_addr *address, bool full)
{
    char memory[INET6_ADDRSTRLEN];
    struct in6_addr back;
    bool is_v4 = IN6_IS_ADDR_V4MAPPED(address);
    unsigned kept = full ? 128 : is_v4 ? 96 + 24 : 48;
    struct span text = address_write(memory, address, full);
    require(to_address(&back, text.ptr, text.len), "what is written is no address");
    if (lies("written")) back.s6_addr[0] ^= 0x80;
    for (unsigned bit = 0; bit < 128; bit++)
        require(bit_of(&back, bit) == (bit < kept && bit_of(address, bit)), "masked otherwise");
    require(is_v4 == !memchr(text.ptr, ':', text.len), "an IPv4 address is written as IPv6");
}

/* -- one request
 * ------------------------------------------------------------------------------------- */

static bool set_peer(struct http_request *request, const char *text, struct in6_addr *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&request->peer;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&request->peer;
    if (!to_address(address, text, strlen(text))) return false;
    if (strchr(text, ':')) {
        v6->sin6_family = AF_INET6;
        v6->sin6_addr = *address;
    } else {
        v4->sin_family = AF_INET;
        inet_pton(AF_INET, text, &v4->sin_addr);
    }
    return true;
}

/* Headers of other names lie between those that count. */
static size_t split_lines(struct http_header lines[LINES_MAX], struct span text)
{
    static const struct span names[] = {SPAN_INIT("X-Forwarded-For"), SPAN_INIT("x-FORWARDED-for"),
                                        SPAN_INIT("X-Forwarded"), SPAN_INIT("X-Forwarded-For")};
    size_t count = 0;
    while (text.ptr && count < LINES_MAX) {
        lines[count] = (struct http_header){names[count % 4], span_split(&text, '\n')};
        count++;
    }
    return count;
}

static struct span join_lines(char *memory, const struct http_request *request)
{
    size_t len = 0;
    bool has_any = false;
    for (size_t i = 0; i < request->headers_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (header->name.len != sizeof "x-forwarded-for" - 1) continue;
        if (has_any) memory[len++] = ',';
        if (header->value.len) memcpy(memory + len, header->value.ptr, header->value.len);
        len += header->value.len;
        has_any = true;
    }
    return has_any ? (struct span){memory, len} : SPAN_NONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static char memory[TEXT_MAX + LINES_MAX];
    struct choices from = {bytes, size};
    struct http_header lines[LINES_MAX];
    struct api_options options = {0};
    struct in6_addr peer, ours, theirs;
    if (size > HOPS_MAX) return 0;
    uint8_t choice = choose_byte(&from);
    choose_networks(&options, &from);
    struct span text = own_copy(choose_rest(&from));
    struct http_request request = {.headers = lines, .headers_count = split_lines(lines, text)};
    bool has_peer = set_peer(&request, peers[choice % 8], &peer);
    bool is_known = address_of_client(&ours, &request, &options) ^ lies("peer");
    require(is_known == has_peer, "a peer without address has one, or the other way round");
    if (is_known) {
        if (lies("client")) ours.s6_addr[15] ^= 1;
        theirs = find_again(peer, join_lines(memory, &request), &options);
        require(memcmp(&ours, &theirs, sizeof ours) == 0, "another client");
        check_written(&ours, choice & 8);
    }
    own_free(text);
    return 0;
}
