#include "api_fakes.h"

#include "event/query.h"

#include <stdio.h>
#include <string.h>

#define DETAIL(text) "{\"detail\":\"" text "\"}"
#define PROBLEM(type, loc, msg) "{\"type\":\"" type "\",\"loc\":[" loc "],\"msg\":\"" msg "\"}"
#define PROBLEMS(list) "{\"detail\":[" list "]}"
#define MISSING(field) PROBLEM("missing", "\"body\",\"" field "\"", "Field required")
#define JSON_TYPE "Content-Type: application/json\r\n"

/* -- refusals and answers: one request each ------------------------------------------------- */

struct row {
    const char *name;
    enum http_method method;
    const char *target;
    const char *headers[3][2];
    const char *body;
    enum outcome outcome;
    int status;
    const char *answer;
    const char *lines; /* NULL: only the type of the body */
};

#define PARTNER                                                                                    \
    {                                                                                              \
        "Authorization", "Bearer main"                                                             \
    }
#define ADSERVER                                                                                   \
    {                                                                                              \
        "Authorization", "bearer ads"                                                              \
    }
#define JSON                                                                                       \
    {                                                                                              \
        "Content-Type", "application/json"                                                         \
    }
#define V1 HTTP_POST, "/v1/api/conversion"
#define API HTTP_POST, "/api/conversion"
#define COLLECT HTTP_POST, "/v1/api/collect"
#define MINT HTTP_POST, "/v1/mint"
#define REDIRECT "/api/v1/tracking/redirect"

#define GOOD                                                                                       \
    "{\"click_id\":\"c\",\"conversion_time\":\"2026-02-19T18:00:00Z\",\"conversion_value\":49.99," \
    "\"currency\":\"usd\"}"
#define REQUIRED                                                                                   \
    MISSING("click_id")                                                                            \
    "," MISSING("conversion_time") "," MISSING("conversion_value") "," MISSING("currency")
#define NOT_JSON                                                                                   \
    PROBLEM("value_error", "\"header\",\"content-type\"", "Content-Type should be application/json")
#define WRONG_KEY                                                                                  \
    PROBLEM("value_error", "\"header\",\"idempotency-key\"",                                       \
            "Input should be one header of visible ASCII characters")
#define UNAUTHORIZED JSON_TYPE "WWW-Authenticate: Bearer\r\n"
#define UNAVAILABLE JSON_TYPE "Retry-After: 1\r\n"

static const struct row rows[] = {
    {"unknown path", HTTP_GET, "/nowhere", {{0}}, NULL, 0, 404, DETAIL("Not Found")},
    {"a trailing slash", HTTP_GET, "/health/", {{0}}, NULL, 0, 404, DETAIL("Not Found")},
    {"method of a POST route",
     HTTP_GET,
     "/v1/mint",
     {{0}},
     NULL,
     0,
     405,
     DETAIL("Method Not Allowed"),
     JSON_TYPE "Allow: POST\r\n"},
    {"method of a GET route",
     HTTP_OPTIONS,
     "/track/click",
     {{0}},
     NULL,
     0,
     405,
     DETAIL("Method Not Allowed"),
     JSON_TYPE "Allow: GET, HEAD\r\n"},
    {"health",
     HTTP_GET,
     "/health",
     {{0}},
     NULL,
     OUTCOME_RECORDED,
     200,
     "{\"status\":\"ok\",\"ready\":true}"},
    {"degraded",
     HTTP_HEAD,
     "/health",
     {{0}},
     NULL,
     OUTCOME_UNAVAILABLE,
     503,
     "{\"status\":\"degraded\",\"ready\":false}",
     UNAVAILABLE},

    {"no key", V1, {JSON}, "{}", 0, 401, DETAIL("Missing bearer token"), UNAUTHORIZED},
    {"Basic",
     V1,
     {JSON, {"Authorization", "Basic main"}},
     "{}",
     0,
     401,
     DETAIL("Missing bearer token"),
     UNAUTHORIZED},
    {"Bearer alone",
     V1,
     {JSON, {"Authorization", "Bearer "}},
     "{}",
     0,
     401,
     DETAIL("Missing bearer token"),
     UNAUTHORIZED},
    {"unknown key",
     V1,
     {JSON, {"Authorization", "Bearer x"}},
     "{}",
     0,
     401,
     DETAIL("Invalid API key"),
     UNAUTHORIZED},
    {"key of another class",
     V1,
     {JSON, ADSERVER},
     "{}",
     0,
     401,
     DETAIL("Invalid API key"),
     UNAUTHORIZED},
    {"two keys", V1, {PARTNER, PARTNER}, "{}", 0, 401, DETAIL("Invalid API key"), UNAUTHORIZED},

    {"no content type", V1, {PARTNER}, "{}", 0, 422, PROBLEMS(NOT_JSON)},
    {"another content type",
     API,
     {PARTNER, {"Content-Type", "text/json"}},
     "{}",
     0,
     422,
     PROBLEMS(NOT_JSON)},
    {"two content types", COLLECT, {PARTNER, JSON, JSON}, "{}", 0, 422, PROBLEMS(NOT_JSON)},
    {"a content type with parameters",
     COLLECT,
     {PARTNER, {"content-type", "Application/JSON ; charset=utf-8"}},
     "{\"event_name\":\"e\"}",
     OUTCOME_RECORDED,
     204,
     "",
     "adtally-receipt: "},

    {"malformed on v1", V1, {PARTNER, JSON}, "{", 0, 400, NULL},
    {"malformed on api", API, {PARTNER, JSON}, "{", 0, 422, NULL},
    {"malformed collect", COLLECT, {PARTNER, JSON}, "{", 0, 400, NULL},
    {"malformed mint", MINT, {ADSERVER, JSON}, "{", 0, 422, NULL},
    {"no body at all", V1, {PARTNER}, NULL, 0, 400, NULL},
    {"no object on v1",
     V1,
     {PARTNER, JSON},
     "[]",
     0,
     422,
     PROBLEMS(PROBLEM("object_type", "\"body\"", "Input should be a valid object"))},

    {"nothing on v1", V1, {PARTNER, JSON}, "{}", 0, 400, PROBLEMS(REQUIRED)},
    {"nothing on api", API, {PARTNER, JSON}, "{}", 0, 422, PROBLEMS(REQUIRED)},
    {"null and blank are absent",
     API,
     {PARTNER, JSON},
     "{\"click_id\":\" \",\"conversion_time\":null,\"conversion_value\":\"\",\"currency\":null}",
     0,
     422,
     PROBLEMS(REQUIRED)},
    {"a bad key is 400 everywhere, and listed first",
     API,
     {PARTNER, JSON, {"Idempotency-Key", "a b"}},
     "{\"click_id\":7}",
     0,
     400,
     PROBLEMS(
         WRONG_KEY
         "," PROBLEM("string_type", "\"body\",\"click_id\"", "Input should be a valid string") "," MISSING(
             "conversion_time") "," MISSING("conversion_value") "," MISSING("currency"))},
    {"no event name",
     COLLECT,
     {PARTNER, JSON},
     "{\"timestamp\":\"1\"}",
     0,
     400,
     PROBLEMS(MISSING("event_name") "," PROBLEM("int_type", "\"body\",\"timestamp\"",
                                                "Input should be a valid integer"))},
    {"a timestamp in milliseconds",
     COLLECT,
     {PARTNER, JSON},
     "{\"event_name\":\"e\",\"timestamp\":100000000000}",
     0,
     422,
     PROBLEMS(PROBLEM("value_error", "\"body\",\"timestamp\"",
                      "Input looks like milliseconds; it should be Unix seconds"))},

    {"recorded",
     V1,
     {PARTNER, JSON},
     GOOD,
     OUTCOME_RECORDED,
     200,
     "{\"status\":\"ok\"}",
     JSON_TYPE "adtally-receipt: "},
    {"duplicate",
     API,
     {PARTNER, JSON},
     GOOD,
     OUTCOME_DUPLICATE,
     200,
     "{\"status\":\"duplicate\"}",
     JSON_TYPE "adtally-receipt: "},
    {"unknown click", V1, {PARTNER, JSON}, GOOD, OUTCOME_NOT_FOUND, 404, DETAIL("Click not found")},
    {"click without bid",
     V1,
     {PARTNER, JSON},
     GOOD,
     OUTCOME_MISSING_BID,
     400,
     DETAIL("Click missing bid id")},
    {"store unavailable",
     V1,
     {PARTNER, JSON},
     GOOD,
     OUTCOME_UNAVAILABLE,
     503,
     DETAIL("Service unavailable"),
     UNAVAILABLE},
    {"queue full",
     COLLECT,
     {PARTNER, JSON},
     "{\"event_name\":\"e\"}",
     OUTCOME_PENDING,
     503,
     DETAIL("Service unavailable"),
     UNAVAILABLE},

    {"mint without ads", MINT, {ADSERVER, JSON}, "{}", 0, 422, PROBLEMS(MISSING("ads"))},
    {"mint of no list",
     MINT,
     {ADSERVER, JSON},
     "{\"ads\":{}}",
     0,
     422,
     PROBLEMS(PROBLEM("array_type", "\"body\",\"ads\"", "Input should be a valid array"))},
    {"mint of nothing",
     MINT,
     {ADSERVER, JSON},
     "{\"ads\":[]}",
     0,
     422,
     PROBLEMS(PROBLEM("value_error", "\"body\",\"ads\"", "List should have at least 1 item"))},
    {"mint with problems in two ads",
     MINT,
     {ADSERVER, JSON},
     "{\"ads\":[{\"publisher_id\":\"p\"},7,{\"pricing\":\"cpx\",\"price\":\"-1\",\"ttl\":0,"
     "\"poll_id\":3}]}",
     0,
     422,
     PROBLEMS(PROBLEM("object_type", "\"body\",\"ads\",1", "Input should be a valid object") "," PROBLEM(
         "missing", "\"body\",\"ads\",2,\"publisher_id\"",
         "Field required") "," PROBLEM("value_error", "\"body\",\"ads\",2,\"price\"",
                                       "Input should be a plain decimal that is not "
                                       "negative") "," PROBLEM("literal_error",
                                                               "\"body\",\"ads\",2,\"pricing\"",
                                                               "Input should be 'cpm' or "
                                                               "'cpc'") "," PROBLEM("value_error",
                                                                                    "\"body\","
                                                                                    "\"ads\",2,"
                                                                                    "\"poll_id\"",
                                                                                    "poll does not "
                                                                                    "exist") "," PROBLEM("value_error",
                                                                                                         "\"body\",\"ads\",2,\"ttl\"",
                                                                                                         "Input should be seconds, 1 to impression_ttl"))},
    {"redirect without token", HTTP_GET, REDIRECT, {{0}}, NULL, 0, 404, DETAIL("Not Found")},
    {"redirect with nonsense",
     HTTP_GET,
     REDIRECT "?token=v4.local.x",
     {{0}},
     NULL,
     0,
     404,
     DETAIL("Not Found")},
};

static void answers(void **state)
{
    const struct row *row = *state;
    fake_reset(row->method, row->target);
    for (int i = 0; i < 3 && row->headers[i][0]; i++)
        fake_header(row->headers[i][0], row->headers[i][1]);
    fake.outcome = row->outcome;
    fake_run(row->body);
    assert_int_equal(fake.answers_count, 1);
    assert_int_equal(fake.status, row->status);
    if (row->answer) assert_string_equal(fake.body, row->answer);
    const char *lines = row->lines ? row->lines : JSON_TYPE;
    if (strstr(lines, "receipt"))
        assert_int_equal(strlen(fake.lines), strlen(lines) + RECEIPT_LEN + 2);
    assert_memory_equal(fake.lines, lines, strlen(lines));
    if (row->status == 422 || row->status == 401) assert_null(fake.submitted);
}

/* -- what an op says ------------------------------------------------------------------------ */

static void post(const char *path, const char *body)
{
    fake_reset(HTTP_POST, path);
    fake_header("Authorization", "Bearer main");
    fake_header("Content-Type", "application/json");
    fake_run(body);
}

static void is(struct span text, const char *expected)
{
    assert_true(span_eq(text, span_of(expected)));
    assert_int_equal(text.ptr == NULL, expected == NULL);
}

static void conversion_has_defaults(void **state)
{
    post("/v1/api/conversion", GOOD);
    const struct conversion *conversion = &fake.op.conversion;
    assert_int_equal(fake.op.kind, OP_CONVERSION);
    is(conversion->event_type, "purchase_completed");
    is(conversion->channel, "server");
    is(conversion->tag_id, "tag-7");
    is(conversion->currency, "USD");
    is(conversion->conversion_value, "49.99");
    is(conversion->sender.partner_id, "acme");
    is(conversion->params, NULL);
    assert_true(conversion->check_order);
    assert_int_equal(conversion->value.units, 49);
    assert_int_equal(conversion->value.nanos, 990000000);
}

static void channel_is_listed_by_seed_002_alone(void **state)
{
    static const char body[] =
        "{\"click_id\":\"c\",\"conversion_time\":\"2026-02-19T18:00:00Z\","
        "\"conversion_value\":1,\"currency\":\"USD\",\"channel\":\"pos\",\"extra\":1}";
    post("/v1/api/conversion", body);
    is(fake.op.conversion.channel, "pos");
    is(fake.op.conversion.params, "{\"extra\":{\"extra\":1}}");
    post("/api/conversion", body);
    is(fake.op.conversion.channel, "server");
    is(fake.op.conversion.params, "{\"extra\":{\"channel\":\"pos\",\"extra\":1}}");
}

static void order_is_checked_unless_a_key_came(void **state)
{
    static const struct {
        const char *path, *key;
        bool check_order;
    } cases[] = {{"/v1/api/conversion", "k", true},
                 {"/v1/api/conversion", "", true},
                 {"/api/conversion", "k", false},
                 {"/api/conversion", " ", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fake_reset(HTTP_POST, cases[i].path);
        fake_header("Authorization", "Bearer main");
        fake_header("Content-Type", "application/json");
        fake_header("idempotency-key", cases[i].key);
        fake_run(GOOD);
        assert_int_equal(fake.op.conversion.check_order, cases[i].check_order);
        is(fake.op.conversion.idempotency_key, *cases[i].key == 'k' ? "k" : NULL);
    }
}

static void event_knows_its_site(void **state)
{
    post("/api/collect", "{\"event_name\":\"e\",\"page_url\":\"https://Shop.example:8/x\","
                         "\"channel\":[1],\"tag_id\":\"\",\"view_time_ms\":5}");
    const struct server_event *event = &fake.op.server_event;
    is(event->tag_id, "site:shop.example");
    is(event->channel, "server");
    assert_true(event->has_view_time);
    assert_int_equal(event->timestamp, fake.op.received_at_ms / 1000);
    is(event->params,
       "{\"integration\":\"partner_s2s\",\"partner_id\":\"acme\",\"api_key_label\":\"main\"}");
    is(event->consent, NULL);
}

/* -- minting and clicking ------------------------------------------------------------------- */

static void mint(const char *body)
{
    fake_reset(HTTP_POST, "/v1/mint");
    fake_header("Authorization", "Bearer ads");
    fake_header("Content-Type", "application/json");
    fake_run(body);
}

/* The path and query of the first URL of that name in the answer. */
static void target_of(char target[8192], const char *member)
{
    char prefix[64];
    snprintf(prefix, sizeof prefix, "\"%s\":\"http://ads.example:8080", member);
    const char *start = strstr(fake.body, prefix);
    assert_non_null(start);
    start += strlen(prefix);
    size_t len = strcspn(start, "\"");
    memcpy(target, start, len);
    target[len] = '\0';
}

#define AD                                                                                         \
    "{\"ads\":[{\"publisher_id\":\"pub\",\"bid_id\":\"bid 1\",\"landing_url\":"                    \
    "\"https://shop.example/x?a=1&thrad_click_id=forged#top\",\"unknown\":1}]}"

static void minted(char target[8192], const char *member)
{
    mint(AD);
    assert_int_equal(fake.status, 200);
    target_of(target, member);
}

static void click_leads_to_the_landing_url(void **state)
{
    char target[8192];
    minted(target, "url");
    fake_reset(HTTP_GET, target);
    fake_header("User-Agent", "Mozilla");
    fake_run(NULL);
    assert_int_equal(fake.status, 302);
    assert_int_equal(fake.op.kind, OP_CLICK);
    is(fake.op.click.ad.bid_id, "bid 1");
    is(fake.op.click.ad.publisher_id, "pub");
    is(fake.op.click.visitor.address, "203.0.113.0");
    is(fake.op.click.visitor.user_agent, "Mozilla");
    is(fake.op.click.route, "redirect");
    static const char start[] = "Location: https://shop.example/x?a=1&thrad_click_id=";
    assert_memory_equal(fake.lines, start, sizeof start - 1);
    assert_null(strstr(fake.lines, "forged"));
    assert_non_null(strstr(fake.lines, "&thrad_sig="));
    assert_non_null(strstr(fake.lines, "&thrad_bid_id=bid%201#top\r\nCache-Control: no-store\r\n"));
}

static void track_click_adds_its_click_id(void **state)
{
    char target[8192];
    minted(target, "clickUrl");
    fake_reset(HTTP_GET, target);
    fake_run(NULL);
    static const char start[] = "Location: https://shop.example/x?a=1&thrad_click_id=";
    assert_memory_equal(fake.lines, start, sizeof start - 1);
    char expected[64];
    snprintf(expected, sizeof expected, "&click_id=%.36s#top\r\n", fake.lines + sizeof start - 1);
    assert_non_null(strstr(fake.lines, expected));
}

static void plain_landing(enum http_method method, const char *purpose, enum outcome outcome,
                          bool submits)
{
    char target[8192];
    minted(target, "url");
    fake_reset(method, target);
    if (purpose) fake_header("Sec-Purpose", purpose);
    fake.outcome = outcome;
    fake_run(NULL);
    assert_int_equal(fake.status, 302);
    assert_string_equal(fake.lines,
                        "Location: https://shop.example/x?a=1&thrad_click_id=forged#top\r\n"
                        "Cache-Control: no-store\r\n");
    assert_int_equal(fake.op.kind == OP_CLICK && fake.op.received_at_ms > 0, submits);
}

static const uint64_t *of_redirect(const struct api_stats *stats)
{
    size_t route = 0;
    while (!span_eq(api_route_name(route), SPAN(REDIRECT)))
        route++;
    return stats->routes[route].requests;
}

static void whoever_clicks_arrives(void **state)
{
    static struct api_stats before, after;
    const uint64_t *had = of_redirect(&before), *has = of_redirect(&after);
    minted((char[8192]){0}, "url");
    api_stats_read(fake.api, &before);
    plain_landing(HTTP_HEAD, NULL, OUTCOME_RECORDED, false);
    plain_landing(HTTP_GET, "prefetch", OUTCOME_RECORDED, false);
    plain_landing(HTTP_GET, "prefetch;prerender", OUTCOME_RECORDED, false);
    plain_landing(HTTP_GET, "x, Prefetch", OUTCOME_RECORDED, false);
    plain_landing(HTTP_GET, NULL, OUTCOME_LIMITED, true);
    plain_landing(HTTP_GET, NULL, OUTCOME_UNAVAILABLE, true);
    plain_landing(HTTP_GET, NULL, OUTCOME_PENDING, true);
    api_stats_read(fake.api, &after);
    assert_int_equal(has[DISPOSITION_ANSWERED] - had[DISPOSITION_ANSWERED], 4);
    assert_int_equal(has[DISPOSITION_CAPPED] - had[DISPOSITION_CAPPED], 1);
    assert_int_equal(has[DISPOSITION_UNRECORDED] - had[DISPOSITION_UNRECORDED], 2);
    assert_int_equal(has[DISPOSITION_RECORDED] - had[DISPOSITION_RECORDED], 0);
}

static void token_must_be_the_purposes(void **state)
{
    char view[8192], target[8192 + 64];
    minted(view, "view_url");
    snprintf(target, sizeof target, REDIRECT "?%s", strchr(view, '?') + 1);
    fake_reset(HTTP_GET, target);
    fake_run(NULL);
    assert_int_equal(fake.status, 404);
}

static void user_agent_that_cannot_be_stored_is_absent(void **state)
{
    char target[8192], long_agent[2050];
    memset(long_agent, 'x', sizeof long_agent);
    long_agent[2049] = '\0';
    const char *const agents[] = {long_agent, "Mozilla \xff", ""};
    minted(target, "url");
    for (size_t i = 0; i < 3; i++) {
        fake_reset(HTTP_GET, target);
        fake_header("User-Agent", agents[i]);
        fake_run(NULL);
        is(fake.op.click.visitor.user_agent, NULL);
    }
}

static void ad_without_landing_has_no_click(void **state)
{
    mint("{\"ads\":[{\"publisher_id\":\"p\"}]}");
    assert_int_equal(fake.status, 200);
    assert_null(strstr(fake.body, "\"url\""));
    assert_null(strstr(fake.body, "clickUrl"));
    assert_non_null(strstr(fake.body, "impUrl"));
}

static void url_that_would_be_too_long_is_a_problem(void **state)
{
    char body[8192], id[2 * LIMIT_ID + 1]; /* of quotes, each an escape of two characters */
    for (int i = 0; i < LIMIT_ID; i++)
        memcpy(id + 2 * i, "\\\"", 3);
    int len = snprintf(body, sizeof body,
                       "{\"ads\":[{\"publisher_id\":\"p\"},{\"publisher_id\":\"%s\","
                       "\"campaign_id\":\"%s\",\"product_id\":\"%s\",\"creative_id\":\"%s\","
                       "\"advertiser_id\":\"%s\",\"user_id\":\"%s\",\"session_id\":\"%s\","
                       "\"placement\":\"%s\",\"bid_id\":\"%s\",\"landing_url\":\"http://h/",
                       id, id, id, id, id, id, id, id, id);
    memset(body + len, 'y', 2039);
    memcpy(body + len + 2039, "\"}]}", sizeof "\"}]}");
    mint(body);
    assert_int_equal(fake.status, 422);
    assert_string_equal(fake.body,
                        PROBLEMS(PROBLEM("value_error", "\"body\",\"ads\",1",
                                         "A URL of this ad would be longer than 6 KiB")));
}

static void host_that_is_no_host_is_refused(void **state)
{
    static const char *const hosts[] = {"a\"b", "a/b", "a b", "a@b", "h\xc3\xa9"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        fake_reset(HTTP_POST, "/v1/mint");
        fake_header("Authorization", "Bearer ads");
        fake_header("Content-Type", "application/json");
        fake.request.host = span_of(hosts[i]);
        fake_run(AD);
        assert_int_equal(fake.status, 422);
    }
}

static char many[1 << 16];

static void ads(int count, const char *ad)
{
    struct writer out;
    writer_init(&out, many, sizeof many - 1);
    writer_lit(&out, "{\"ads\":[");
    for (int i = 0; i < count; i++) {
        if (i) writer_char(&out, ',');
        writer_put(&out, span_of(ad));
    }
    writer_lit(&out, "]}");
    assert_false(out.overflow);
    many[out.len] = '\0';
}

static void many_ads_need_the_large_memory(void **state)
{
    ads(500, "{\"publisher_id\":\"p\",\"landing_url\":\"https://shop.example/\"}");
    mint(many);
    assert_int_equal(fake.status, 200);
    assert_true(fake.body_len > 500 * 1000);
    fake_reset(HTTP_POST, "/v1/mint");
    fake_header("Authorization", "Bearer ads");
    fake_header("Content-Type", "application/json");
    fake.request.arena = &fake.arena;
    fake_run(many);
    assert_int_equal(fake.status, 503);
}

static void all_problems_of_all_ads_are_listed(void **state)
{
    ads(500, "{\"user_id\":1,\"ttl\":[],\"price\":[],\"pricing\":1,\"poll_id\":1,\"currency\":1}");
    mint(many);
    assert_int_equal(fake.status, 422);
    assert_true(fake.body_len > 3500 * 60);
    ads(501, "{}");
    mint(many);
    assert_string_equal(fake.body, PROBLEMS(PROBLEM("value_error", "\"body\",\"ads\"",
                                                    "List should have at most 500 items")));
}

static void command_and_route_mint_alike(void **state)
{
    static _Alignas(16) char memory[1 << 20];
    struct arena arena;
    struct span answer;
    fake_reset(HTTP_GET, "/");
    arena_init(&arena, memory, sizeof memory);
    assert_int_equal(api_mint(fake.api, SPAN(AD), SPAN("ads.example:8080"), &arena, &answer), 200);
    static const char start[] = "{\"ads\":[{\"bidId\":\"bid 1\",\"expires_at\":\"";
    assert_memory_equal(answer.ptr, start, sizeof start - 1);
    assert_int_equal(api_mint(fake.api, SPAN("{}"), SPAN("h"), &arena, &answer), 422);
    assert_true(span_eq(answer, SPAN(PROBLEMS(MISSING("ads")))));
    assert_int_equal(api_mint(fake.api, SPAN(AD), SPAN_NONE, &arena, &answer), 422);
    arena_init(&arena, memory, 512);
    assert_int_equal(api_mint(fake.api, SPAN(AD), SPAN("h"), &arena, &answer), 413);
}

/* -- limits --------------------------------------------------------------------------------- */

static void body_that_is_too_large_is_refused_after_the_key(void **state)
{
    fake_reset(HTTP_POST, "/v1/mint");
    fake_header("Authorization", "Bearer ads");
    assert_int_equal(route_handler.on_head(&fake.request, &fake.loop), LIMIT_MINT_BODY);
    route_handler.on_too_large(&fake.request, &fake.loop);
    assert_int_equal(fake.status, 413);
    assert_string_equal(fake.body, DETAIL("Request body too large"));
    fake_reset(HTTP_POST, "/v1/mint");
    assert_int_equal(route_handler.on_head(&fake.request, &fake.loop), LIMIT_BODY);
    route_handler.on_too_large(&fake.request, &fake.loop);
    assert_int_equal(fake.status, 401);
}

static void rates_are_limited_with_the_time_to_wait(void **state)
{
    struct api_options options;
    api_options_init(&options);
    options.rate_limit = options.client_rate_limit = 1;
    assert_int_equal(api_configure(fake.api, &options), ERR_OK);
    post("/v1/api/conversion", GOOD);
    post("/v1/api/conversion", GOOD);
    assert_int_equal(fake.status, 200); /* until the loop takes them over */
    api_loop_adopt(&fake.loop);
    post("/v1/api/conversion", GOOD);
    assert_int_equal(fake.status, 200);
    post("/v1/api/conversion", "{");
    assert_int_equal(fake.status, 429);
    assert_string_equal(fake.body, DETAIL("Rate limit exceeded"));
    assert_string_equal(fake.lines, JSON_TYPE "Retry-After: 1\r\n");
    for (int i = 0; i < 2; i++) {
        fake_reset(HTTP_GET, "/track/click");
        fake_run(NULL);
        assert_int_equal(fake.status, i ? 429 : 404);
        fake_reset(HTTP_GET, "/health");
        fake_run(NULL);
        assert_int_equal(fake.status, 200);
        mint(AD);
        assert_int_equal(fake.status, 200);
    }
    api_options_init(&options);
    assert_int_equal(api_configure(fake.api, &options), ERR_OK);
    api_loop_adopt(&fake.loop);
    post("/v1/api/conversion", GOOD);
    assert_int_equal(fake.status, 200);
}

int main(void)
{
    UNIT_ADD_ROWS(rows, answers);
    UNIT_ADD(conversion_has_defaults);
    UNIT_ADD(channel_is_listed_by_seed_002_alone);
    UNIT_ADD(order_is_checked_unless_a_key_came);
    UNIT_ADD(event_knows_its_site);
    UNIT_ADD(click_leads_to_the_landing_url);
    UNIT_ADD(track_click_adds_its_click_id);
    UNIT_ADD(whoever_clicks_arrives);
    UNIT_ADD(token_must_be_the_purposes);
    UNIT_ADD(user_agent_that_cannot_be_stored_is_absent);
    UNIT_ADD(ad_without_landing_has_no_click);
    UNIT_ADD(url_that_would_be_too_long_is_a_problem);
    UNIT_ADD(host_that_is_no_host_is_refused);
    UNIT_ADD(many_ads_need_the_large_memory);
    UNIT_ADD(all_problems_of_all_ads_are_listed);
    UNIT_ADD(command_and_route_mint_alike);
    UNIT_ADD(body_that_is_too_large_is_refused_after_the_key);
    UNIT_ADD(rates_are_limited_with_the_time_to_wait);
    return UNIT_RUN_ADDED("api_pages");
}
