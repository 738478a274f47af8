#pragma once

#include "api_fakes.h"

/* Requests as the suites of the pages send them, and how answers are spelled. */

#define DETAIL(text) "{\"detail\":\"" text "\"}"
#define PROBLEM(type, loc, msg) "{\"type\":\"" type "\",\"loc\":[" loc "],\"msg\":\"" msg "\"}"
#define PROBLEMS(list) "{\"detail\":[" list "]}"
#define MISSING(field) PROBLEM("missing", "\"body\",\"" field "\"", "Field required")
#define REDIRECT "/api/v1/tracking/redirect"
#define JSON_TYPE "Content-Type: application/json\r\n"

#define AD                                                                                         \
    "{\"ads\":[{\"publisher_id\":\"pub\",\"bid_id\":\"bid 1\",\"landing_url\":"                    \
    "\"https://shop.example/x?a=1&thrad_click_id=forged#top\",\"unknown\":1}]}"

static inline void post(const char *path, const char *body)
{
    fake_reset(HTTP_POST, path);
    fake_header("Authorization", "Bearer main");
    fake_header("Content-Type", "application/json");
    fake_run(body);
}

static inline void is(struct span text, const char *expected)
{
    assert_true(span_eq(text, span_of(expected)));
    assert_int_equal(text.ptr == NULL, expected == NULL);
}

static inline void mint(const char *body)
{
    fake_reset(HTTP_POST, "/v1/mint");
    fake_header("Authorization", "Bearer ads");
    fake_header("Content-Type", "application/json");
    fake_run(body);
}
