#pragma once

#include "api/dialect.h"
#include "api/traffic.h"
#include "base/err.h"
#include "base/metrics.h"
#include "base/writer.h"
#include "http/http.h"
#include "ledger/ledger.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* The public listener: one file per page of the contract, one route table, the error dialects.
 * A request is checked, becomes an op, waits for the ledger and is answered with what came back. */

enum { API_PROXIES_MAX = 32 };

/* A network whose X-Forwarded-For is believed: CIDR, IPv4 as IPv4-mapped IPv6. */
struct api_network {
    struct in6_addr address;
    uint8_t prefix_len;
};

struct api_options {
    int64_t click_ttl_ms, impression_ttl_ms;
    uint32_t body_max;          /* of every route but mint; at most LIMIT_BODY */
    uint32_t mint_body_max;     /* at most LIMIT_MINT_BODY */
    uint32_t rate_limit;        /* requests/s per partner key, 0: off */
    uint32_t client_rate_limit; /* requests/s per client address on routes without a key, 0: off */
    struct span public_url;     /* absent: http:// and the Host of the mint request */
    bool client_address_full;   /* store addresses unmasked */
    struct api_network trusted_proxies[API_PROXIES_MAX];
    size_t trusted_proxies_count;
};

void api_options_init(struct api_options *options);
bool api_network_parse(struct api_network *out, struct span text); /* "10.0.0.0/8", "::1" */

struct api; /* shared by all loops; what changes in it has its own locks */

struct api *api_new(const struct api_options *options, struct ledger *ledger);
void api_free(struct api *api);

/* Other options, but for the lifetimes, which stay what they were. A loop goes by them from its
 * api_loop_adopt on, api_mint at once. They are copied. ERR_NO_MEMORY: nothing has changed. Any
 * thread, one at a time. */
enum err api_configure(struct api *api, const struct api_options *options);

/* Whether the client spoke TLS: a trusted proxy says so in X-Forwarded-Proto, by the options as
 * they are now. Any thread. */
bool api_is_https(struct api *api, const struct http_request *request);

/* Who sent it, by those options too (address_of_client). False: the peer has no address. */
bool api_client_of(struct api *api, struct in6_addr *out, const struct http_request *request);

struct api_loop; /* one loop's part: its ledger port, its parsing scratch */

enum err api_loop_new(struct api_loop **out, struct api *api, struct ev_loop *ev);
void api_loop_free(struct api_loop *loop);

/* How robots and data centres are told from here on; without it there are none. The api frees the
 * last one. Returns the one before, or NULL, which is the caller's to free once each loop has been
 * through api_loop_adopt: until then it may go by it. Any thread, one at a time, api_configure
 * among them. */
struct traffic *api_use_traffic(struct api *api, struct traffic *traffic);

/* Takes over what api_configure was given. On the loop's thread, between its requests. */
void api_loop_adopt(struct api_loop *loop);

/* Fills in handler, owner, user_size, arena sizes and large_count of a server on that loop. */
void api_loop_serve(struct api_loop *loop, struct http_options *options);

/* The same for a server that answers while there is no api yet: /health says "starting", the other
 * routes are unavailable in their dialect, with Retry-After. */
void api_starting_serve(struct http_options *options);

/* Minting without HTTP (`adtally mint`): the JSON of contract section 6 in, the answer of the route
 * out. `scratch` holds what the answer is made of (a mint of 500 ads may need 16 MiB); `host` is
 * used when there is no public_url. Returns the HTTP status the route would answer with. Any thread
 * (parsing scratch is allocated for the call). */
int api_mint(struct api *api, struct span json, struct span host, struct arena *scratch,
             struct span *answer);

/* What became of a request, one of these for each. */
enum disposition {
    DISPOSITION_ANSWERED, /* there was nothing to record */
    DISPOSITION_RECORDED,
    DISPOSITION_DUPLICATE,
    DISPOSITION_CAPPED,     /* redirected without click id: the bid has its clicks */
    DISPOSITION_UNRECORDED, /* redirected without click id: the store was unavailable */
    DISPOSITION_REFUSED,    /* and past it the reasons: + enum reject */
    DISPOSITION_COUNT = DISPOSITION_REFUSED + REJECT_COUNT,
};
const char *disposition_label(unsigned disposition); /* stable, lower case */

/* The rows of the route table, and one for all other paths. */
enum { API_ROUTES_COUNT = 17 };
struct span api_route_name(size_t route); /* the path, or "other" */

struct api_route_stats {
    uint64_t requests[DISPOSITION_COUNT];
    struct histogram latency_us; /* from the complete request to its answer */
};

struct api_stats {
    struct api_route_stats routes[API_ROUTES_COUNT];
    struct http_stats http; /* of all loops, a tenth of a second old; without requests, responses */
};
void api_stats_read(struct api *api, struct api_stats *out); /* any thread */

/* The loop's thread: what api_stats_read shows of its connections from now on. */
void api_loop_note_http(struct api_loop *loop, const struct http_stats *stats);
