#include "cli/options_table.h"

#include "ledger/ledger.h"

#include <stddef.h>

#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)

#define AT(member) .offset = offsetof(struct options, member)
#define RANGE(from, to) .min = (from), .max = (to)
#define TTL                                                                                        \
    .type = OPTION_DURATION, RANGE(1000, 3650 * DAY_MS), .wants = "a duration of 1s to 3650d"
#define RETENTION                                                                                  \
    .type = OPTION_DURATION, RANGE(0, 3650 * DAY_MS), .wants = "a duration of up to 3650d, or 0"
#define RETENTION_OF RETENTION, .preset_is = "that of retention"
#define TIMEOUT                                                                                    \
    .type = OPTION_DURATION, RANGE(100, 60 * 60 * 1000), .wants = "a duration of 100ms to 1h",     \
    .is_live = true

/* clang-format off */
const struct option options_table[OPTIONS_COUNT] = {
    {SPAN_INIT("data"), .type = OPTION_TEXT, AT(data), .wants = "a directory",
     .preset_is = "required", .help = "the data directory; made when it does not exist"},
    {SPAN_INIT("config"), .type = OPTION_TEXT, AT(config), .wants = "a file", .flag_only = true,
     .preset_is = "DIR/adtally.conf if there is one", .help = "the configuration file"},
    {SPAN_INIT("listen"), SPAN_INIT("127.0.0.1:8080"), .type = OPTION_ADDRESS, AT(listen),
     .wants = "HOST:PORT: 127.0.0.1:8080, [::1]:8080, localhost:8080, or :8080 for every address",
     .help = "where the public routes are served"},
    {SPAN_INIT("admin_listen"), .type = OPTION_ADDRESS, AT(admin_listen),
     .wants = "HOST:PORT, such as 127.0.0.1:8081", .preset_is = "off",
     .help = "where metrics, reports and the dashboard are served, to who has an admin key"},
    {SPAN_INIT("store"), SPAN_INIT("sqlite"), .type = OPTION_STORE, AT(store),
     .wants = "sqlite or URL: postgresql://USER@HOST:PORT/DATABASE?OPTION=VALUE, as libpq reads it",
     .help = "where events are kept; sqlite is a file in the data directory"},
    {SPAN_INIT("store_connections"), SPAN_INIT("2"), .type = OPTION_COUNT, AT(store_connections),
     RANGE(1, LEDGER_LANES_MAX), .wants = "a number of 1 to 64",
     .help = "connections of this server to PostgreSQL, each of which records a part of the events"},
    {SPAN_INIT("threads"), .type = OPTION_COUNT, AT(threads), RANGE(1, 256),
     .wants = "a number of 1 to 256",
     .preset_is = "one per core", .help = "threads that serve connections"},
    {SPAN_INIT("public_url"), .type = OPTION_URL, AT(public_url),
     .wants = "an http or https URL without query and fragment, such as https://ads.example",
     .preset_is = "http:// and the Host of the mint request",
     .is_live = true, .help = "what the URLs of minted ads begin with"},
    {SPAN_INIT("trusted_proxies"), .type = OPTION_NETWORKS, AT(trusted_proxies),
     .wants = "at most 32 addresses or networks with commas between them, such as 10.0.0.0/8,::1",
     .preset_is = "none", .is_live = true,
     .help = "proxies whose X-Forwarded-For and X-Forwarded-Proto are believed"},
    {SPAN_INIT("client_address"), SPAN_INIT("masked"), .type = OPTION_CLIENT_ADDRESS,
     AT(client_address_full), .wants = "masked or full",
     .is_live = true, .help = "how clients' addresses are stored: masked to /24 and /48, or full"},
    {SPAN_INIT("bot_patterns"), .type = OPTION_TEXT, AT(bot_patterns), .wants = "a file",
     .preset_is = "a list that is built in", .is_live = true,
     .help = "user agents of robots, whose events are flagged"},
    {SPAN_INIT("datacenter_ranges"), .type = OPTION_TEXT, AT(datacenter_ranges), .wants = "a file",
     .preset_is = "none", .is_live = true,
     .help = "networks of data centres, whose events are flagged"},
    {SPAN_INIT("rate_limit"), SPAN_INIT("0"), .type = OPTION_COUNT, AT(rate_limit),
     RANGE(0, 100000), .wants = "a number of 0 to 100000",
     .is_live = true, .help = "requests per second of one partner key; 0 is no limit"},
    {SPAN_INIT("client_rate_limit"), SPAN_INIT("0"), .type = OPTION_COUNT, AT(client_rate_limit),
     RANGE(0, 100000), .wants = "a number of 0 to 100000",
     .is_live = true,
     .help = "requests per second of one client address on routes without a key; 0 is no limit"},
    {SPAN_INIT("impression_ttl"), SPAN_INIT("30d"), AT(impression_ttl_ms), TTL,
     .help = "how long an impression takes feedback; the longest life of a minted token"},
    {SPAN_INIT("click_ttl"), SPAN_INIT("90d"), AT(click_ttl_ms), TTL,
     .help = "how long a click takes conversions, and their keys are remembered"},
    {SPAN_INIT("collect_dedup_window"), SPAN_INIT("7d"), AT(collect_dedup_window_ms), TTL,
     .help = "how long the event_id of a collected event is remembered"},
    {SPAN_INIT("retention"), SPAN_INIT("0"), AT(retention_ms), RETENTION,
     .help = "how long events are kept, if nothing needs them longer; 0 is for ever"},
    {SPAN_INIT("retention_click"), AT(retention_of_ms[OP_CLICK]), RETENTION_OF,
     .help = "how long clicks are kept, if nothing needs them longer; 0 is for ever"},
    {SPAN_INIT("retention_conversion"), AT(retention_of_ms[OP_CONVERSION]), RETENTION_OF,
     .help = "how long conversions are kept, if nothing needs them longer; 0 is for ever"},
    {SPAN_INIT("retention_server_event"), AT(retention_of_ms[OP_SERVER_EVENT]), RETENTION_OF,
     .help = "how long collected events are kept, if nothing needs them longer; 0 is for ever"},
    {SPAN_INIT("retention_impression"), AT(retention_of_ms[OP_IMPRESSION]), RETENTION_OF,
     .help = "how long impressions are kept, if nothing needs them longer; 0 is for ever"},
    {SPAN_INIT("retention_feedback"), AT(retention_of_ms[OP_FEEDBACK]), RETENTION_OF,
     .help = "how long feedbacks are kept, if nothing needs them longer; 0 is for ever"},
    {SPAN_INIT("retention_ad_feedback"), AT(retention_of_ms[OP_AD_FEEDBACK]), RETENTION_OF,
     .help = "how long ad-feedbacks are kept, if nothing needs them longer; 0 is for ever"},
    {SPAN_INIT("head_timeout"), SPAN_INIT("10s"), AT(head_timeout_ms), TIMEOUT,
     .help = "how long the head of a request may take"},
    {SPAN_INIT("body_timeout"), SPAN_INIT("10s"), AT(body_timeout_ms), TIMEOUT,
     .help = "how long its body may take after that"},
    {SPAN_INIT("idle_timeout"), SPAN_INIT("75s"), AT(idle_timeout_ms), TIMEOUT,
     .help = "how long a connection may wait for its next request"},
    {SPAN_INIT("write_timeout"), SPAN_INIT("60s"), AT(write_timeout_ms), TIMEOUT,
     .help = "how long a client may take to read an answer"},
    {SPAN_INIT("head_limit"), SPAN_INIT("16KiB"), .type = OPTION_SIZE, AT(head_limit),
     RANGE(1024, 64 * 1024), .wants = "a size of 1KiB to 64KiB",
     .help = "the largest head of a request"},
    {SPAN_INIT("target_limit"), SPAN_INIT("8KiB"), .type = OPTION_SIZE, AT(target_limit),
     RANGE(512, 64 * 1024), .wants = "a size of 512B to 64KiB",
     .help = "the longest target of a request"},
    {SPAN_INIT("body_limit"), SPAN_INIT("64KiB"), .type = OPTION_SIZE, AT(body_limit),
     RANGE(1024, LIMIT_BODY), .wants = "a size of 1KiB to 64KiB",
     .is_live = true, .help = "the largest body of a request, minting aside"},
    {SPAN_INIT("mint_body_limit"), SPAN_INIT("1MiB"), .type = OPTION_SIZE, AT(mint_body_limit),
     RANGE(65 * 1024, LIMIT_MINT_BODY), .wants = "a size of 65KiB to 1MiB",
     .is_live = true, .help = "the largest body of a mint request"},
    {SPAN_INIT("headers_limit"), SPAN_INIT("64"), .type = OPTION_COUNT, AT(headers_limit),
     RANGE(8, 1024), .wants = "a number of 8 to 1024", .help = "the most header lines of a request"},
    {SPAN_INIT("max_connections"), SPAN_INIT("10000"), .type = OPTION_COUNT, AT(max_connections),
     RANGE(16, 1000000), .wants = "a number of 16 to 1000000",
     .help = "open connections; past that, who waits longest for its client makes room"},
    {SPAN_INIT("queue_limit"), SPAN_INIT("65536"), .type = OPTION_COUNT, AT(queue_limit),
     RANGE(1, 10000000), .wants = "a number of 1 to 10000000",
     .help = "events that wait to be recorded; more are answered 503"},
    {SPAN_INIT("log_failures"), SPAN_INIT("on"), .type = OPTION_SWITCH, AT(log_failures),
     .wants = "on or off",
     .is_live = true,
     .help = "a line on standard error for each request that is answered with 400 or more"},
    {SPAN_INIT("sandbox"), SPAN_INIT("on"), .type = OPTION_SWITCH, AT(sandbox), .wants = "on or off",
     .help = "once started, give up every file but the data and every system call not needed"},
};
/* clang-format on */

const struct option *options_find(struct span name)
{
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        if (span_eq(name, options_table[i].name)) return &options_table[i];
    return NULL;
}
