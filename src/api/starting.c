#include "api/starting.h"

#include "api/route.h"

static void answer(struct http_request *http, void *owner)
{
    const struct route *route = route_find(http->path);
    enum dialect dialect = route ? route->dialect : DIALECT_DETAIL;
    struct http_response response = {
        .status = reject_row(REJECT_UNAVAILABLE)->status,
        .header_lines = SPAN("Content-Type: application/json\r\nRetry-After: 1\r\n"),
        .body = reject_row(REJECT_UNAVAILABLE)->body[dialect],
        .body_is_borrowed = true,
    };
    if (span_eq(http->path, SPAN("/health")))
        response.body = SPAN("{\"status\":\"starting\",\"ready\":false}");
    http_respond(http, &response);
}

static size_t on_head(const struct http_request *http, void *owner)
{
    return LIMIT_BODY;
}

const struct http_handler api_starting_handler = {
    .on_head = on_head, .on_too_large = answer, .on_request = answer};
