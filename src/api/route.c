#include "api/route.h"

#include "api/answer.h"
#include "api/auth.h"
#include "api/failure.h"
#include "api/pages.h"
#include "base/assert.h"
#include "base/clock.h"

/* clang-format off */
static const struct route routes[] = {
    {SPAN_INIT("/v1/api/conversion"), HTTP_POST, DIALECT_DETAIL, AUTH_PARTNER, LIMIT_BODY, false,
     conversion_handle_v1, conversion_on_answer},
    {SPAN_INIT("/api/conversion"), HTTP_POST, DIALECT_DETAIL, AUTH_PARTNER, LIMIT_BODY, false,
     conversion_handle_api, conversion_on_answer},
    {SPAN_INIT("/v1/api/collect"), HTTP_POST, DIALECT_DETAIL, AUTH_PARTNER, LIMIT_BODY, false,
     collect_handle, collect_on_answer},
    {SPAN_INIT("/api/collect"), HTTP_POST, DIALECT_DETAIL, AUTH_PARTNER, LIMIT_BODY, false,
     collect_handle, collect_on_answer},
    {SPAN_INIT("/api/v1/tracking/redirect"), HTTP_GET, DIALECT_DETAIL, AUTH_CLIENT, LIMIT_BODY,
     false, redirect_handle, redirect_on_answer},
    {SPAN_INIT("/track/click"), HTTP_GET, DIALECT_DETAIL, AUTH_CLIENT, LIMIT_BODY, false,
     track_click_handle, track_click_on_answer},
    {SPAN_INIT("/api/v1/tracking/view"), HTTP_GET, DIALECT_DETAIL, AUTH_CLIENT, LIMIT_BODY, true,
     view_handle, impression_on_answer},
    {SPAN_INIT("/ack"), HTTP_GET, DIALECT_DETAIL, AUTH_CLIENT, LIMIT_BODY, true,
     ack_handle, impression_on_answer},
    {SPAN_INIT("/track/imp"), HTTP_GET, DIALECT_DETAIL, AUTH_CLIENT, LIMIT_BODY, true,
     ack_handle, impression_on_answer},
    {SPAN_INIT("/api/v1/tracking/feedback"), HTTP_POST, DIALECT_DETAIL, AUTH_CLIENT, LIMIT_BODY,
     true, feedback_handle, feedback_on_answer},
    {SPAN_INIT("/ad-feedback"), HTTP_POST, DIALECT_AD_FEEDBACK, AUTH_PUBLISHER, LIMIT_BODY, true,
     ad_feedback_handle, ad_feedback_on_answer},
    {SPAN_INIT("/api/v1/tracking/sponsored-polls/vote"), HTTP_POST, DIALECT_POLL, AUTH_CLIENT,
     LIMIT_BODY, true, vote_handle, vote_on_answer},
    {SPAN_INIT("/api/v1/tracking/sponsored-polls/results"), HTTP_GET, DIALECT_POLL, AUTH_CLIENT,
     LIMIT_BODY, true, results_handle, vote_on_answer},
    {SPAN_INIT("/v1/mint"), HTTP_POST, DIALECT_DETAIL, AUTH_ADSERVER, LIMIT_MINT_BODY, false,
     mint_handle, NULL},
    {SPAN_INIT("/health"), HTTP_GET, DIALECT_DETAIL, AUTH_OPEN, LIMIT_BODY, false,
     health_handle, NULL},
    {SPAN_INIT("/"), HTTP_GET, DIALECT_DETAIL, AUTH_OPEN, LIMIT_BODY, false, root_handle, NULL},
};
/* clang-format on */

enum { ROUTES_COUNT = sizeof routes / sizeof routes[0] };
_Static_assert(API_ROUTES_COUNT == ROUTES_COUNT + 1, "one for the paths that are none");

size_t route_number(const struct route *route)
{
    return route ? (size_t)(route - routes) : ROUTES_COUNT;
}

struct span api_route_name(size_t route)
{
    return route < ROUTES_COUNT ? routes[route].path : SPAN("other");
}

const struct route *route_find(struct span path)
{
    for (size_t i = 0; i < ROUTES_COUNT; i++)
        if (span_eq(routes[i].path, path)) return &routes[i];
    return NULL;
}

const struct route *route_at(size_t row)
{
    return row < sizeof routes / sizeof routes[0] ? &routes[row] : NULL;
}

struct span route_methods(const struct route *route)
{
    if (route->method == HTTP_GET)
        return route->is_cors ? SPAN("GET, HEAD, OPTIONS") : SPAN("GET, HEAD");
    return route->is_cors ? SPAN("POST, OPTIONS") : SPAN("POST");
}

bool route_takes(const struct route *route, enum http_method method)
{
    return method == route->method || (method == HTTP_HEAD && route->method == HTTP_GET);
}

static struct api_request *begin(struct http_request *http, struct api_loop *loop)
{
    struct api_request *request = http->user;
    request->magic = API_REQUEST_MAGIC;
    request->http = http;
    request->loop = loop;
    request->route = route_find(http->path);
    request->key = NULL;
    request->reason = NULL;
    request->now_ms = clock_wall_ms();
    request->began_us = clock_mono_us();
    request->disposition = DISPOSITION_ANSWERED;
    request->has_op = false;
    return request;
}

/* The path, the method, the key and the rate: what is decided before the body counts. */
static bool admit(struct api_request *request)
{
    if (!request->route)
        answer_refusal(request, REJECT_NOT_FOUND);
    else if (request->route->is_cors && request->http->method == HTTP_OPTIONS)
        answer_preflight(request); /* before keys and rates */
    else if (!route_takes(request->route, request->http->method))
        answer_refusal(request, REJECT_METHOD);
    else
        return auth_admit(request);
    return false;
}

/* Bodies past the usual size take memory of which there is little: only for who has a key. */
static size_t on_head(const struct http_request *http, void *owner)
{
    const struct api_loop *loop = owner;
    ((struct api_request *)http->user)->key = NULL; /* the last request's */
    const struct route *route = route_find(http->path);
    bool is_large = route && route->body_max > LIMIT_BODY && route_takes(route, http->method) &&
                    auth_key_is_valid(http, loop->api, route->auth);
    return is_large ? loop->settings.options.mint_body_max : loop->settings.options.body_max;
}

static void on_too_large(struct http_request *http, void *owner)
{
    struct api_request *request = begin(http, owner);
    if (admit(request)) answer_refusal(request, REJECT_TOO_LARGE);
}

static void on_request(struct http_request *http, void *owner)
{
    struct api_request *request = begin(http, owner);
    if (admit(request)) request->route->handle(request);
}

static void on_failure(const struct http_request *http, const struct http_response *response,
                       void *owner)
{
    const struct api_loop *loop = owner;
    const struct api_key *key = http->path.ptr ? ((struct api_request *)http->user)->key : NULL;
    failure_log(&(struct failure){.http = http,
                                  .response = response,
                                  .options = &loop->settings.options,
                                  .key_id = key ? key->id : SPAN_NONE});
}

const struct http_handler route_handler = {.on_head = on_head,
                                           .on_too_large = on_too_large,
                                           .on_request = on_request,
                                           .on_failure = on_failure};

void api_submit(struct api_request *request)
{
    struct api_loop *loop = request->loop;
    ASSERT(request->route->on_answer);
    request->has_op = true;
    request->op.outcome = OUTCOME_PENDING;
    request->op.received_at_ms = request->now_ms;
    if (ledger_submit(loop->api->ledger, &loop->port, &request->op)) return;
    request->op.outcome = OUTCOME_UNAVAILABLE;
    api_take_answer(request);
}
