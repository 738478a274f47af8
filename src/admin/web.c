#include "admin/web_internal.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/worker.h"
#include "event/query.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    CONNS_MAX = 64,
    HEADER_LINES_MAX = 1024,
    FAILURES_PER_S = 5, /* of one client */
    CLIENTS_MAX = 4096,
    DRAIN_MS = 1000,
};

/* Everything comes from here, nobody frames it, and what it is called it is. */
static const struct span security_lines =
    SPAN_INIT("Content-Security-Policy: default-src 'self'; frame-ancestors 'none'; "
              "base-uri 'none'; form-action 'self'\r\n"
              "X-Content-Type-Options: nosniff\r\n"
              "X-Frame-Options: DENY\r\n"
              "Referrer-Policy: no-referrer\r\n"
              "Cross-Origin-Resource-Policy: same-origin\r\n");

static bool is_in_arena(const struct arena *arena, struct span text)
{
    return text.ptr >= arena->base && text.ptr < arena->base + arena->cap;
}

static void put_lines(struct writer *out, const struct web_answer *answer)
{
    if (answer->content_type) {
        writer_lit(out, "Content-Type: ");
        writer_put(out, span_of(answer->content_type));
        writer_lit(out, "\r\n");
    }
    writer_put(out, security_lines);
    writer_put(out, answer->header_lines.ptr ? answer->header_lines
                                             : SPAN("Cache-Control: no-store\r\n"));
}

void web_answer(struct web_request *request, const struct web_answer *answer)
{
    char memory[HEADER_LINES_MAX];
    struct writer lines;
    struct arena *arena = request->http->arena;
    struct http_response response = {.status = answer->status,
                                     .body = answer->body,
                                     .body_is_borrowed = true,
                                     .reason = answer->reason ? answer->reason : "refused"};
    writer_init(&lines, memory, sizeof memory);
    put_lines(&lines, answer);
    ASSERT(!lines.overflow);
    response.header_lines = writer_text(&lines);
    if (!answer->body_is_static && answer->body.len && !is_in_arena(arena, answer->body)) {
        response.body = arena_copy(arena, answer->body);
        if (!response.body.ptr) response.status = 500;
    }
    http_respond(request->http, &response);
}

void web_respond(struct web_request *request, int status, const char *content_type,
                 struct span body)
{
    web_answer(request,
               &(struct web_answer){.status = status, .content_type = content_type, .body = body});
}

void web_refuse(struct web_request *request, int status, const char *sentence)
{
    struct writer out;
    web_writer(request, &out);
    writer_lit(&out, "{\"detail\":\"");
    writer_put(&out, span_of(sentence));
    writer_lit(&out, "\"}");
    web_respond(request, status, WEB_JSON, writer_text(&out));
}

void web_writer(struct web_request *request, struct writer *out)
{
    struct arena *arena = request->http->arena;
    writer_init(out, arena->base + arena->used, arena_room(arena));
}

struct span web_parameter(struct web_request *request, struct span name)
{
    struct span raw = SPAN_NONE;
    struct writer out;
    if (query_find(request->http->query, name, &raw) != QUERY_ONCE) return SPAN_NONE;
    char *memory = arena_alloc(request->http->arena, raw.len + 1);
    writer_init(&out, memory, memory ? raw.len + 1 : 0);
    return query_decode(&out, raw) && !out.overflow ? writer_text(&out) : SPAN_NONE;
}

static bool is_of_path(const struct web_route *route, struct span path)
{
    size_t len = route->path.len;
    if (route->path.ptr[len - 1] != '*') return span_eq(route->path, path);
    return span_starts_with(path, (struct span){route->path.ptr, len - 1});
}

static bool takes(const struct web_route *route, enum http_method method)
{
    return method == route->method || (method == HTTP_HEAD && route->method == HTTP_GET);
}

/* NULL: answered. */
static const struct web_route *find_route(struct web_request *request)
{
    const struct web_route *of_path = NULL;
    for (size_t i = 0; i < web_routes_count; i++) {
        const struct web_route *route = &web_routes[i];
        if (!is_of_path(route, request->http->path)) continue;
        if (takes(route, request->http->method)) return route;
        of_path = route;
    }
    if (!of_path) {
        web_refuse(request, 404, "Not Found");
        return NULL;
    }
    web_answer(request, &(struct web_answer){.status = 405,
                                             .content_type = WEB_JSON,
                                             .header_lines = of_path->method == HTTP_GET
                                                                 ? SPAN("Allow: GET, HEAD\r\n")
                                                                 : SPAN("Allow: POST\r\n"),
                                             .body = SPAN("{\"detail\":\"Method Not Allowed\"}"),
                                             .body_is_static = true,
                                             .reason = "method"});
    return NULL;
}

static void on_request(struct http_request *http, void *owner)
{
    struct admin_web *web = owner;
    struct web_request *request = http->user;
    request->http = http;
    request->admin = web->admin;
    request->web = web;
    const struct web_route *route = find_route(request);
    if (!route) return;
    web_identify(request);
    if (http->method == HTTP_POST && web_is_cross_site(http))
        web_refuse(request, 403, "This request comes from a page of another site");
    else if (route->auth == WEB_KEY && !request->key)
        web_refuse_key(request);
    else
        route->handle(request);
}

static size_t on_head(const struct http_request *http, void *owner)
{
    return LIMIT_BODY;
}

static void on_too_large(struct http_request *http, void *owner)
{
    http_respond(http, &(struct http_response){.status = 413, .reason = "too_large"});
}

static void on_stream_end(struct http_request *http, void *owner)
{
    web_stream_ended(owner, http);
}

static void on_failure(const struct http_request *http, const struct http_response *response,
                       void *owner)
{
    log_event_bounded(LOG_INFO, "admin_request_failed", LOG_NUMBER("status", response->status),
                      LOG_TEXT("reason", span_of(response->reason)));
}

static const struct http_handler handler = {.on_head = on_head,
                                            .on_too_large = on_too_large,
                                            .on_request = on_request,
                                            .on_failure = on_failure,
                                            .on_stream_end = on_stream_end};

static void on_tick(struct ev_hook *hook)
{
    struct admin_web *web = (struct admin_web *)hook;
    live_feed_tick(web->live);
    web_streams_tick(web);
    log_tell_left_out(false);
}

static void end_when_idle(struct ev_hook *hook)
{
    struct admin_web *web = (struct admin_web *)hook;
    if (!web->stops_at_ms) return;
    if (http_server_idle(web->server) || ev_loop_now_ms(web->loop) >= web->stops_at_ms)
        ev_loop_stop(web->loop);
}

static void on_stop(struct ev_wake *wake)
{
    struct admin_web *web =
        (struct admin_web *)(void *)((char *)wake - offsetof(struct admin_web, wake));
    web->stops_at_ms = ev_loop_now_ms(web->loop) + DRAIN_MS;
    http_server_drain(web->server);
    ev_loop_again(web->loop);
}

static void *run(void *arg)
{
    struct admin_web *web = arg;
    worker_goes_last();
    ev_loop_run(web->loop);
    log_tell_left_out(true);
    return NULL;
}

static struct http_options options_of(struct admin_web *web)
{
    struct http_options options;
    http_options_init(&options);
    options.handler = &handler;
    options.owner = web;
    options.user_size = sizeof(struct web_request);
    options.arena_size = WEB_ARENA_SIZE;
    options.conns_max = CONNS_MAX;
    options.large_count = 0;
    return options;
}

static enum err open_server(struct admin_web *web, int *listen_fd)
{
    struct http_options options = options_of(web);
    enum err err = http_server_new(&web->server, web->loop, &options);
    if (!err) err = http_server_listen(web->server, *listen_fd);
    if (!err) *listen_fd = -1;
    return err;
}

static enum err prepare(struct admin_web *web, int *listen_fd)
{
    enum err err = ev_loop_new(&web->loop);
    if (err) return err;
    err = ev_wake_open(web->loop, &web->wake, on_stop);
    if (err) {
        ev_loop_free(web->loop);
        web->loop = NULL;
        return err;
    }
    web->hook = (struct ev_hook){.on_turn_end = end_when_idle, .on_tick = on_tick};
    ev_hook_add(web->loop, &web->hook);
    web->failures = limiter_new(FAILURES_PER_S, CLIENTS_MAX);
    web->live = live_feed_new(web->admin);
    return web->failures && web->live ? open_server(web, listen_fd) : ERR_NO_MEMORY;
}

static void release(struct admin_web *web)
{
    http_server_free(web->server);
    if (web->failures) limiter_free(web->failures);
    live_feed_free(web->live);
    if (web->loop) {
        ev_hook_remove(web->loop, &web->hook);
        ev_wake_close(web->loop, &web->wake);
        ev_loop_free(web->loop);
    }
    free(web);
}

enum err admin_web_start(struct admin_web **out, int listen_fd, struct admin *admin)
{
    struct admin_web *web = calloc(1, sizeof *web);
    enum err err = ERR_NO_MEMORY;
    if (web) {
        web->admin = admin;
        err = prepare(web, &listen_fd);
        if (!err && pthread_create(&web->thread, NULL, run, web) != 0) err = ERR_NO_MEMORY;
    }
    if (listen_fd >= 0) close(listen_fd);
    if (!err) *out = web;
    if (err && web) release(web);
    return err;
}

void admin_web_stop(struct admin_web *web)
{
    ev_wake_ring(&web->wake);
    pthread_join(web->thread, NULL);
    release(web);
}
