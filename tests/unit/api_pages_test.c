#include "api_requests.h"

#include <string.h>

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
    UNIT_ADD(body_that_is_too_large_is_refused_after_the_key);
    UNIT_ADD(rates_are_limited_with_the_time_to_wait);
    return UNIT_RUN_ADDED("api_pages");
}
