#include "cli/options_table.h"

#include <stddef.h>

#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)

#define AT(member) offsetof(struct options, member)
#define TTL OPTION_DURATION
#define TTL_RANGE 1000, 3650 * DAY_MS, "a duration of 1s to 3650d"
#define TIMEOUT_RANGE 100, 60 * 60 * 1000, "a duration of 100ms to 1h"
#define NO_RANGE 0, 0

/* clang-format off */
const struct option options_table[OPTIONS_COUNT] = {
    {SPAN_INIT("data"), OPTION_TEXT, AT(data), NO_RANGE, "a directory",
     .preset_is = "required", .help = "the data directory; made when it does not exist"},
    {SPAN_INIT("config"), OPTION_TEXT, AT(config), NO_RANGE, "a file",
     .preset_is = "DIR/adtally.conf if there is one",
     .help = "the configuration file", .flag_only = true},
    {SPAN_INIT("listen"), OPTION_ADDRESS, AT(listen), NO_RANGE,
     "HOST:PORT, such as 127.0.0.1:8080, [::1]:8080, localhost:8080 or :8080 for every address",
     SPAN_INIT("127.0.0.1:8080"), .help = "where the public routes are served"},
    {SPAN_INIT("store"), OPTION_STORE, AT(store), NO_RANGE,
     "sqlite: this version has no other store",
     SPAN_INIT("sqlite"), .help = "where events are kept; sqlite is a file in the data directory"},
    {SPAN_INIT("threads"), OPTION_COUNT, AT(threads), 1, 256, "a number of 1 to 256",
     .preset_is = "one per core", .help = "threads that serve connections"},
    {SPAN_INIT("public_url"), OPTION_URL, AT(public_url), NO_RANGE,
     "an http or https URL without query and fragment, such as https://ads.example",
     .preset_is = "http:// and the Host of the mint request",
     .help = "what the URLs of minted ads begin with"},
    {SPAN_INIT("trusted_proxies"), OPTION_NETWORKS, AT(trusted_proxies), NO_RANGE,
     "at most 32 addresses or networks with commas between them, such as 10.0.0.0/8,::1",
     .preset_is = "none", .help = "proxies whose X-Forwarded-For names the client"},
    {SPAN_INIT("client_address"), OPTION_CLIENT_ADDRESS, AT(client_address_full), NO_RANGE,
     "masked or full", SPAN_INIT("masked"),
     .help = "how clients' addresses are stored: masked to /24 and /48, or full"},
    {SPAN_INIT("rate_limit"), OPTION_COUNT, AT(rate_limit), 0, 100000, "a number of 0 to 100000",
     SPAN_INIT("0"), .help = "requests per second of one partner key; 0 is no limit"},
    {SPAN_INIT("client_rate_limit"), OPTION_COUNT, AT(client_rate_limit), 0, 100000,
     "a number of 0 to 100000", SPAN_INIT("0"),
     .help = "requests per second of one client address on routes without a key; 0 is no limit"},
    {SPAN_INIT("impression_ttl"), TTL, AT(impression_ttl_ms), TTL_RANGE, SPAN_INIT("30d"),
     .help = "how long an impression takes feedback; the longest life of a minted token"},
    {SPAN_INIT("click_ttl"), TTL, AT(click_ttl_ms), TTL_RANGE, SPAN_INIT("90d"),
     .help = "how long a click takes conversions, and their keys are remembered"},
    {SPAN_INIT("collect_dedup_window"), TTL, AT(collect_dedup_window_ms), TTL_RANGE,
     SPAN_INIT("7d"), .help = "how long the event_id of a collected event is remembered"},
    {SPAN_INIT("head_timeout"), OPTION_DURATION, AT(head_timeout_ms), TIMEOUT_RANGE,
     SPAN_INIT("10s"), .help = "how long the head of a request may take"},
    {SPAN_INIT("body_timeout"), OPTION_DURATION, AT(body_timeout_ms), TIMEOUT_RANGE,
     SPAN_INIT("10s"), .help = "how long its body may take after that"},
    {SPAN_INIT("idle_timeout"), OPTION_DURATION, AT(idle_timeout_ms), TIMEOUT_RANGE,
     SPAN_INIT("75s"), .help = "how long a connection may wait for its next request"},
    {SPAN_INIT("head_limit"), OPTION_SIZE, AT(head_limit), 1024, 64 * 1024,
     "a size of 1KiB to 64KiB", SPAN_INIT("16KiB"), .help = "the largest head of a request"},
    {SPAN_INIT("target_limit"), OPTION_SIZE, AT(target_limit), 512, 64 * 1024,
     "a size of 512B to 64KiB", SPAN_INIT("8KiB"), .help = "the longest target of a request"},
    {SPAN_INIT("body_limit"), OPTION_SIZE, AT(body_limit), 1024, LIMIT_BODY,
     "a size of 1KiB to 64KiB", SPAN_INIT("64KiB"),
     .help = "the largest body of a request; mint requests may always have 1 MiB"},
    {SPAN_INIT("headers_limit"), OPTION_COUNT, AT(headers_limit), 8, 1024, "a number of 8 to 1024",
     SPAN_INIT("64"), .help = "the most header lines of a request"},
    {SPAN_INIT("max_connections"), OPTION_COUNT, AT(max_connections), 16, 1000000,
     "a number of 16 to 1000000", SPAN_INIT("10000"),
     .help = "open connections; more wait to be accepted"},
    {SPAN_INIT("queue_limit"), OPTION_COUNT, AT(queue_limit), 1, 10000000,
     "a number of 1 to 10000000", SPAN_INIT("65536"),
     .help = "events that wait to be recorded; more are answered 503"},
};
/* clang-format on */

const struct option *options_find(struct span name)
{
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        if (span_eq(name, options_table[i].name)) return &options_table[i];
    return NULL;
}
