#include "api_requests.h"

#include "event/query.h"

#include <stdio.h>
#include <string.h>

/* Minting, and what happens to who clicks. */

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

int main(void)
{
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
    return UNIT_RUN_ADDED("api_clicks");
}
