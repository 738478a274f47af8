#include "api/traffic.h"

#include "api/api.h"
#include "event/flags.h"
#include "event/networks.h"
#include "event/patterns.h"
#include "token/hash.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((int)TRAFFIC_BOTS_TEXT_MAX <= (int)PATTERNS_TEXT_MAX,
               "states are counted in 32 bits");

struct traffic {
    struct patterns bots;
    void *bots_memory;
    struct networks networks;
    uint8_t bots_digest[HASH_SHA256_SIZE], networks_digest[HASH_SHA256_SIZE]; /* 0: no text */
};

struct traffic *traffic_new(void)
{
    return calloc(1, sizeof(struct traffic));
}

void traffic_free(struct traffic *traffic)
{
    if (!traffic) return;
    free(traffic->bots_memory);
    free(traffic->networks.ranges);
    free(traffic);
}

bool traffic_read_bots(struct traffic *traffic, struct span text, uint32_t *line)
{
    hash_sha256(traffic->bots_digest, text);
    size_t size = patterns_measure(&traffic->bots, text, line);
    if (!size) return false;
    *line = 0;
    traffic->bots_memory = malloc(size);
    if (!traffic->bots_memory) return false;
    patterns_build(&traffic->bots, text, traffic->bots_memory);
    return true;
}

static size_t count_lines(struct span text)
{
    size_t count = 0;
    while (text.ptr) {
        span_split(&text, '\n');
        count++;
    }
    return count;
}

static bool read_network(struct networks *networks, struct span line)
{
    struct api_network network;
    struct span text = span_trim(line);
    if (text.len == 0 || text.ptr[0] == '#') return true;
    if (!api_network_parse(&network, text)) return false;
    networks->ranges[networks->count++] =
        network_range(network.address.s6_addr, network.prefix_len);
    return true;
}

bool traffic_read_networks(struct traffic *traffic, struct span text, uint32_t *line)
{
    struct networks *networks = &traffic->networks;
    size_t lines = count_lines(text);
    hash_sha256(traffic->networks_digest, text);
    *line = 0;
    networks->ranges = calloc(lines + 1, sizeof *networks->ranges);
    if (!networks->ranges) return false;
    for (*line = 1; text.ptr; ++*line)
        if (!read_network(networks, span_split(&text, '\n'))) return false;
    networks_sort(networks);
    return true;
}

bool traffic_same_bots(const struct traffic *one, const struct traffic *other)
{
    return memcmp(one->bots_digest, other->bots_digest, sizeof one->bots_digest) == 0;
}

bool traffic_same_networks(const struct traffic *one, const struct traffic *other)
{
    return memcmp(one->networks_digest, other->networks_digest, sizeof one->networks_digest) == 0;
}

uint32_t traffic_flags(const struct traffic *traffic, const struct in6_addr *address,
                       struct span user_agent)
{
    uint32_t flags = 0;
    if (!traffic) return 0;
    if (patterns_match(&traffic->bots, user_agent)) flags |= FLAG_BOT;
    if (address && networks_have(&traffic->networks, address->s6_addr)) flags |= FLAG_DATACENTER;
    return flags;
}
