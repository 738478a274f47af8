#include "api/visitor.h"

#include "api/address.h"
#include "base/limits.h"
#include "json/json.h"

#include <string.h>

static struct span user_agent(const struct http_request *http)
{
    struct span value = SPAN_NONE;
    http_request_header(http, SPAN("user-agent"), &value);
    bool storable = value.len > 0 && value.len <= LIMIT_USER_AGENT && json_utf8_valid(value);
    return storable ? value : SPAN_NONE;
}

/* address: out; false when there is none. */
static bool fill(struct visitor *out, struct api_request *request, struct in6_addr *address)
{
    const struct api_settings *settings = &request->loop->settings;
    const struct api_options *options = &settings->options;
    bool is_known = address_of_client(address, request->http, options);
    *out = (struct visitor){.user_agent = user_agent(request->http)};
    if (is_known)
        out->address =
            address_write(request->client_address, address, options->client_address_full);
    out->flags = traffic_flags(settings->traffic, is_known ? address : NULL, out->user_agent);
    return is_known;
}

struct visitor visitor_of(struct api_request *request)
{
    struct visitor visitor;
    struct in6_addr address;
    fill(&visitor, request, &address);
    return visitor;
}

/* Both halves of a product: each bit of the key depends on each of the word. */
static uint64_t mix(uint64_t key, uint64_t word)
{
    __extension__ unsigned __int128 product =
        (unsigned __int128)(key ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Not SipHash, which costs more than all else of a visitor: who finds two that collide makes clicks
 * of his own look double, which he can do by clicking twice. */
static uint64_t add_part(uint64_t key, const void *part, size_t size)
{
    const char *bytes = part;
    uint64_t word;
    key = mix(key, size);
    for (; size >= sizeof word; bytes += sizeof word, size -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        key = mix(key, word);
    }
    word = 0;
    memcpy(&word, bytes, size);
    return mix(key, word);
}

/* The whole address, not what is stored of it: a /24 is many people. Who has none is nobody else.
 */
struct visitor visitor_who_clicks(struct api_request *request, struct span campaign)
{
    struct visitor visitor;
    struct in6_addr address;
    struct span agent;
    if (!fill(&visitor, request, &address))
        rng_take(&request->loop->random, address.s6_addr, sizeof address.s6_addr);
    agent = visitor.user_agent;
    visitor.key = add_part(request->loop->api->visitor_seed, &address, sizeof address);
    visitor.key = add_part(visitor.key, agent.ptr ? agent.ptr : "", agent.len);
    visitor.key = add_part(visitor.key, campaign.ptr, campaign.len);
    return visitor;
}

/* A list whose members may have parameters: "prefetch;prerender". */
bool visitor_is_prefetch(const struct http_request *http)
{
    struct span list = SPAN_NONE;
    http_request_header(http, SPAN("sec-purpose"), &list);
    while (list.ptr) {
        struct span member = span_split(&list, ',');
        if (span_eq_nocase(span_trim(span_split(&member, ';')), SPAN("prefetch"))) return true;
    }
    return false;
}
