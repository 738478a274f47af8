#include "api/visitor.h"

#include "api/address.h"
#include "base/limits.h"
#include "json/json.h"

static struct span user_agent(const struct http_request *http)
{
    struct span value = SPAN_NONE;
    http_request_header(http, SPAN("user-agent"), &value);
    bool storable = value.len > 0 && value.len <= LIMIT_USER_AGENT && json_utf8_valid(value);
    return storable ? value : SPAN_NONE;
}

static struct span client_address(struct api_request *request)
{
    const struct api_options *options = &request->loop->settings.options;
    struct in6_addr address;
    if (!address_of_client(&address, request->http, options)) return SPAN_NONE;
    return address_write(request->client_address, &address, options->client_address_full);
}

struct visitor visitor_of(struct api_request *request)
{
    return (struct visitor){client_address(request), user_agent(request->http)};
}

/* A list whose members may have parameters: "prefetch;prerender". */
bool visitor_is_prefetch(const struct http_request *http)
{
    struct span list = SPAN_NONE;
    http_request_header(http, SPAN("sec-purpose"), &list);
    while (list.ptr) {
        struct span member = span_split(&list, ',');
        if (span_eq_nocase(span_trim(span_split(&member, ';')), SPAN("prefetch"))) return true;
    }
    return false;
}
