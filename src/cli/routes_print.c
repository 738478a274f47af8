#include "cli/routes_print.h"

#include "admin/web.h"
#include "api/problems.h"
#include "api/route.h"

static const char *const dialects[] = {
    [DIALECT_DETAIL] = "detail", [DIALECT_AD_FEEDBACK] = "ad_feedback", [DIALECT_POLL] = "poll"};

_Static_assert(sizeof dialects / sizeof dialects[0] == DIALECT_COUNT, "a name per dialect");

static const char *auth_name(enum auth auth)
{
    switch (auth) {
    case AUTH_OPEN:
        return "open";
    case AUTH_CLIENT:
        return "client";
    case AUTH_PARTNER:
        return "partner";
    case AUTH_ADSERVER:
        return "adserver";
    case AUTH_PUBLISHER:
        return "publisher";
    }
    return "";
}

static void print_route(FILE *out, const struct route *route)
{
    fprintf(out,
            "{\"path\":\"%.*s\",\"method\":\"%s\",\"auth\":\"%s\",\"dialect\":\"%s\","
            "\"is_cors\":%s,\"body_max\":%u}",
            SPAN_FMT(route->path), route->method == HTTP_GET ? "GET" : "POST",
            auth_name(route->auth), dialects[route->dialect], route->is_cors ? "true" : "false",
            route->body_max);
}

static void print_refusal(FILE *out, const struct reject_row *row)
{
    const char *comma = "";
    fprintf(out, "{\"label\":\"%s\",\"status\":%d,\"bodies\":{", row->label, row->status);
    for (enum dialect i = 0; i < DIALECT_COUNT; i++) {
        if (!row->body[i].ptr) continue;
        fprintf(out, "%s\"%s\":%.*s", comma, dialects[i], SPAN_FMT(row->body[i]));
        comma = ",";
    }
    fputs("}}", out);
}

static void print_admin_route(FILE *out, const struct web_route *route)
{
    fprintf(out, "{\"path\":\"%.*s\",\"method\":\"%s\",\"auth\":\"%s\"}", SPAN_FMT(route->path),
            route->method == HTTP_GET ? "GET" : "POST", route->auth == WEB_KEY ? "admin" : "open");
}

void routes_print_json(FILE *out)
{
    const struct route *route;
    fputs("{\"routes\":[", out);
    for (size_t i = 0; (route = route_at(i)); i++) {
        if (i > 0) fputs(",\n", out);
        print_route(out, route);
    }
    fputs("],\n\"admin_routes\":[", out);
    for (size_t i = 0; i < web_routes_count; i++) {
        if (i > 0) fputs(",\n", out);
        print_admin_route(out, &web_routes[i]);
    }
    fputs("],\n\"refusals\":[", out);
    for (enum reject i = 0; i < REJECT_COUNT; i++) {
        if (i > 0) fputs(",\n", out);
        print_refusal(out, reject_row(i));
    }
    fputs("],\n\"problems\":[", out);
    for (enum problem_type i = 0; i < PROBLEM_COUNT; i++)
        fprintf(out, "%s\"%s\"", i > 0 ? "," : "", problem_type_name(i));
    fputs("]}\n", out);
}
