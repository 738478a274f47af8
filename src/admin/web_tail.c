#include "admin/web_pages.h"
#include "api/tail.h"

#include <stdlib.h>

/* GET /v1/tail: the lines of api/tail.h as server-sent events; `event: dropped` says how many were
 * lost. */

enum { TAKEN_MAX = 48 * 1024 }; /* a tick's */
_Static_assert(TAKEN_MAX - TAIL_LINE_MAX >= 0 && WEB_EVENT_MAX - TAKEN_MAX >= 0,
               "each line is an event");

struct watch {
    struct api *api;
    struct tail_watcher *watcher;
    char taken[TAKEN_MAX];
};

static void tell_dropped(struct web_stream *stream, uint64_t dropped)
{
    char text[48];
    struct writer out;
    writer_init(&out, text, sizeof text);
    writer_lit(&out, "{\"dropped\":");
    writer_u64(&out, dropped);
    writer_char(&out, '}');
    web_stream_send(stream, SPAN("dropped"), writer_text(&out));
}

static void on_tick(struct web_stream *stream, void *user)
{
    struct watch *watch = user;
    struct writer out;
    uint64_t dropped;
    writer_init(&out, watch->taken, sizeof watch->taken);
    tail_take(watch->watcher, &out, &dropped);
    struct span rest = writer_text(&out);
    while (rest.len > 0)
        web_stream_send(stream, SPAN_NONE, span_split(&rest, '\n'));
    if (dropped) tell_dropped(stream, dropped);
}

static void on_end(void *user)
{
    struct watch *watch = user;
    tail_close(watch->api, watch->watcher);
    free(watch);
}

static struct watch *watch_new(struct api *api, const struct tail_filter *filter)
{
    struct watch *watch = malloc(sizeof *watch);
    if (!watch) return NULL;
    watch->api = api;
    watch->watcher = tail_open(api, filter);
    if (watch->watcher) return watch;
    free(watch);
    return NULL;
}

void tail_handle(struct web_request *request)
{
    static const struct web_stream_calls calls = {.on_tick = on_tick, .on_end = on_end};
    struct tail_filter filter;
    for (enum tail_field i = 0; i < TAIL_FIELDS_COUNT; i++)
        filter.texts[i] = web_parameter(request, tail_field_name(i));
    const char *problem = tail_filter_problem(&filter);
    if (problem) {
        web_refuse(request, 422, problem);
        return;
    }
    struct watch *watch = watch_new(request->admin->api, &filter);
    if (!watch)
        web_refuse(request, 503, "too many watch already: end another tail");
    else if (!web_stream_open(request, &calls, watch))
        on_end(watch);
}
