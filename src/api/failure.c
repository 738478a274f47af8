#include "api/failure.h"

#include "api/address.h"
#include "api/route.h"
#include "base/assert.h"
#include "base/log.h"

enum { SERVER_ERROR = 500, FIELDS_MAX_COUNT = 8 };

struct line {
    struct log_field fields[FIELDS_MAX_COUNT];
    size_t count;
};

static void add_text(struct line *line, const char *name, struct span text)
{
    ASSERT(line->count < FIELDS_MAX_COUNT);
    if (text.ptr) line->fields[line->count++] = LOG_TEXT(name, text);
}

static void add_number(struct line *line, const char *name, int64_t number)
{
    ASSERT(line->count < FIELDS_MAX_COUNT);
    line->fields[line->count++] = LOG_NUMBER(name, number);
}

/* What was not read to its end has no path, and its method is not known. */
static void add_request(struct line *line, const struct http_request *http)
{
    static const char *const methods[] = {[HTTP_GET] = "GET",
                                          [HTTP_HEAD] = "HEAD",
                                          [HTTP_POST] = "POST",
                                          [HTTP_OPTIONS] = "OPTIONS",
                                          [HTTP_OTHER] = "other"};
    if (!http->path.ptr) return;
    const struct route *route = route_find(http->path);
    add_text(line, "method", span_of(methods[http->method]));
    if (route) add_text(line, "route", route->path);
}

static int port_of(const struct sockaddr_storage *peer)
{
    return ntohs(peer->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)peer)->sin6_port
                                             : ((const struct sockaddr_in *)peer)->sin_port);
}

static void add_client(struct line *line, const struct failure *failure, char *memory)
{
    static const struct api_options masked;
    const struct api_options *options = failure->options ? failure->options : &masked;
    struct in6_addr address;
    if (!address_of_client(&address, failure->http, options)) return; /* a unix socket */
    add_text(line, "client", address_write(memory, &address, options->client_address_full));
    add_number(line, "port", port_of(&failure->http->peer));
}

void failure_log(const struct failure *failure)
{
    const struct http_response *response = failure->response;
    struct line line = {.count = 0};
    char address[INET6_ADDRSTRLEN];
    add_number(&line, "status", response->status);
    add_text(&line, "reason", span_of(response->reason));
    add_request(&line, failure->http);
    add_text(&line, "key", failure->key_id);
    add_client(&line, failure, address);
    add_number(&line, "ms", failure->http->age_ms);
    log_write_bounded(response->status < SERVER_ERROR ? LOG_INFO : LOG_WARN, "request_failed",
                      line.fields, line.count);
}
