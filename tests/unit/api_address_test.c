#include "unit.h"

#include "api/address.h"

#include <arpa/inet.h>
#include <string.h>

struct network_row {
    const char *name; /* the text */
    int prefix_len;   /* -1: refused */
};

static const struct network_row networks[] = {
    {"10.0.0.0/8", 104},
    {"192.0.2.7", 128},
    {"0.0.0.0/0", 96},
    {"::1", 128},
    {"2001:db8::/32", 32},
    {"::/0", 0},
    {" 10.0.0.0/8 ", 104},
    {"10.0.0.0/32", 128},
    {"10.0.0.0/33", -1},
    {"::1/129", -1},
    {"10.0.0.0/", -1},
    {"10.0.0.0/-1", -1},
    {"10.0.0.0/8/8", -1},
    {"10.0.0/8", -1},
    {"", -1},
    {"/8", -1},
    {"proxy.example", -1},
    {"::ffff:10.0.0.0/104", 104},
};

static void network_is_read(void **state)
{
    const struct network_row *row = *state;
    struct api_network network;
    bool ok = api_network_parse(&network, span_of(row->name));
    assert_int_equal(ok, row->prefix_len >= 0);
    if (ok) assert_int_equal(network.prefix_len, row->prefix_len);
}

struct client_row {
    const char *name;
    const char *peer;
    const char *forwarded[3]; /* one header each */
    const char *full, *masked;
};

/* Trusted: 10.0.0.0/8 and 2001:db8:1::/48. */
static const struct client_row clients[] = {
    {"a peer of its own", "203.0.113.77", {NULL}, "203.0.113.77", "203.0.113.0"},
    {"IPv6", "2001:db8:2:3::4", {NULL}, "2001:db8:2:3::4", "2001:db8:2::"},
    {"IPv4 over an IPv6 socket", "::ffff:203.0.113.77", {NULL}, "203.0.113.77", "203.0.113.0"},
    {"an untrusted peer's header", "203.0.113.77", {"198.51.100.1"}, "203.0.113.77", "203.0.113.0"},
    {"a trusted peer without header", "10.1.1.1", {NULL}, "10.1.1.1", "10.1.1.0"},
    {"one hop", "10.1.1.1", {"198.51.100.9"}, "198.51.100.9", "198.51.100.0"},
    {"the last untrusted hop",
     "10.1.1.1",
     {"192.0.2.66, 198.51.100.9"},
     "198.51.100.9",
     "198.51.100.0"},
    {"trusted hops are passed",
     "10.1.1.1",
     {"192.0.2.66, 198.51.100.9,10.2.2.2 , 10.3.3.3"},
     "198.51.100.9",
     "198.51.100.0"},
    {"several headers are one list",
     "10.1.1.1",
     {"192.0.2.66", "198.51.100.9", "10.2.2.2"},
     "198.51.100.9",
     "198.51.100.0"},
    {"all hops trusted: the first", "10.1.1.1", {"10.9.9.9, 10.2.2.2"}, "10.9.9.9", "10.9.9.0"},
    {"a hop that is no address",
     "10.1.1.1",
     {"198.51.100.9, unknown, 10.2.2.2"},
     "10.2.2.2",
     "10.2.2.0"},
    {"nonsense alone", "10.1.1.1", {"<script>"}, "10.1.1.1", "10.1.1.0"},
    {"an empty header", "10.1.1.1", {""}, "10.1.1.1", "10.1.1.0"},
    {"an empty hop", "10.1.1.1", {"198.51.100.9,"}, "10.1.1.1", "10.1.1.0"},
    {"a port", "10.1.1.1", {"198.51.100.9:4711"}, "198.51.100.9", "198.51.100.0"},
    {"IPv6 hops", "2001:db8:1::5", {"2001:db8:7:8::9"}, "2001:db8:7:8::9", "2001:db8:7::"},
    {"IPv6 with a port", "10.1.1.1", {"[2001:db8:7:8::9]:443"}, "2001:db8:7:8::9", "2001:db8:7::"},
};

static void set_peer(struct http_request *request, const char *text)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&request->peer;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&request->peer;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        return;
    }
    assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
    v6->sin6_family = AF_INET6;
}

static void client_is_found(void **state)
{
    const struct client_row *row = *state;
    struct http_header headers[4] = {{SPAN("Host"), SPAN("192.0.2.250")}};
    struct http_request request = {.headers = headers, .headers_count = 1};
    for (int i = 0; i < 3 && row->forwarded[i]; i++)
        headers[request.headers_count++] =
            (struct http_header){SPAN("x-FORWARDED-for"), span_of(row->forwarded[i])};
    set_peer(&request, row->peer);
    struct api_options options = {.trusted_proxies_count = 2};
    assert_true(api_network_parse(&options.trusted_proxies[0], SPAN("10.0.0.0/8")));
    assert_true(api_network_parse(&options.trusted_proxies[1], SPAN("2001:db8:1::/48")));
    struct in6_addr address;
    char text[INET6_ADDRSTRLEN];
    assert_true(address_of_client(&address, &request, &options));
    address_write(text, &address, true);
    assert_string_equal(text, row->full);
    address_write(text, &address, false);
    assert_string_equal(text, row->masked);
}

struct scheme_row {
    const char *name;
    const char *peer;
    const char *schemes[2]; /* one header each */
    bool is_https;
};

static const struct scheme_row schemes[] = {
    {"a trusted proxy with TLS in front", "10.1.1.1", {"https"}, true},
    {"in other letters", "10.1.1.1", {" HTTPS "}, true},
    {"TLS to the first of two", "10.1.1.1", {"https, http"}, true},
    {"none to the first of two", "10.1.1.1", {"http, https"}, false},
    {"plain", "10.1.1.1", {"http"}, false},
    {"nothing said", "10.1.1.1", {NULL}, false},
    {"said twice", "10.1.1.1", {"https", "https"}, false},
    {"an empty one", "10.1.1.1", {""}, false},
    {"another word", "10.1.1.1", {"httpsx"}, false},
    {"an untrusted peer's word", "203.0.113.77", {"https"}, false},
};

static void scheme_is_found(void **state)
{
    const struct scheme_row *row = *state;
    struct http_header headers[2];
    struct http_request request = {.headers = headers};
    for (int i = 0; i < 2 && row->schemes[i]; i++)
        headers[request.headers_count++] =
            (struct http_header){SPAN("x-FORWARDED-proto"), span_of(row->schemes[i])};
    set_peer(&request, row->peer);
    struct api_options options = {.trusted_proxies_count = 1};
    assert_true(api_network_parse(&options.trusted_proxies[0], SPAN("10.0.0.0/8")));
    assert_int_equal(address_is_https(&request, &options), row->is_https);
}

static void unix_peer_has_no_address(void **state)
{
    (void)state;
    struct http_request request = {.peer = {.ss_family = AF_UNSPEC}};
    struct api_options options = {0};
    struct in6_addr address;
    assert_false(address_of_client(&address, &request, &options));
    assert_false(address_is_https(&request, &options));
}

int main(void)
{
    UNIT_ADD_ROWS(networks, network_is_read);
    UNIT_ADD_ROWS(clients, client_is_found);
    UNIT_ADD_ROWS(schemes, scheme_is_found);
    UNIT_ADD(unix_peer_has_no_address);
    return UNIT_RUN_ADDED("api_address");
}
