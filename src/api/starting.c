#include "api/answer.h"
#include "api/failure.h"
#include "api/pages.h"

/* What is answered while the store is being opened. There is no key to check yet, and nothing of
 * what a request says is looked at but its route. */

enum { ARENA_SIZE = 4096 };

static bool knows_503(const struct route *route)
{
    return route->dialect != DIALECT_POLL && route->handle != feedback_handle;
}

static void answer_route(struct api_request *request)
{
    const struct route *route = request->route;
    if (route->handle == root_handle)
        root_handle(request);
    else if (route->handle == health_handle)
        answer_not_ready(request, "starting", SPAN("{\"status\":\"starting\",\"ready\":false}"));
    else
        answer_refusal(request, knows_503(route) ? REJECT_UNAVAILABLE : REJECT_SERVER_ERROR);
}

static void answer(struct http_request *http, void *owner)
{
    struct api_request *request = http->user;
    *request = (struct api_request){
        .magic = API_REQUEST_MAGIC, .http = http, .route = route_find(http->path)};
    if (!request->route)
        answer_refusal(request, REJECT_NOT_FOUND);
    else if (request->route->is_cors && http->method == HTTP_OPTIONS)
        answer_preflight(request);
    else if (!route_takes(request->route, http->method))
        answer_refusal(request, REJECT_METHOD);
    else
        answer_route(request);
}

static size_t on_head(const struct http_request *http, void *owner)
{
    return LIMIT_BODY;
}

static void on_failure(const struct http_request *http, const struct http_response *response,
                       void *owner)
{
    failure_log(&(struct failure){.http = http, .response = response});
}

static const struct http_handler handler = {
    .on_head = on_head, .on_too_large = answer, .on_request = answer, .on_failure = on_failure};

void api_starting_serve(struct http_options *options)
{
    options->handler = &handler;
    options->owner = NULL;
    options->user_size = sizeof(struct api_request);
    options->arena_size = ARENA_SIZE;
    options->large_count = 0;
}
