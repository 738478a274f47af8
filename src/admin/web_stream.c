#include "admin/web_internal.h"
#include "base/assert.h"
#include "base/clock.h"

/* A proxy or a phone that hears nothing for a while hangs up. */
enum { QUIET_MAX_MS = 15 * 1000 };

static struct web_stream *find_free(struct admin_web *web)
{
    for (size_t i = 0; i < WEB_STREAMS_MAX; i++)
        if (!web->streams[i].http) return &web->streams[i];
    return NULL;
}

struct web_stream *web_stream_open(struct web_request *request,
                                   const struct web_stream_calls *calls, void *user)
{
    static const struct span lines = SPAN_INIT("Content-Type: text/event-stream\r\n"
                                               "Cache-Control: no-store\r\n"
                                               "X-Accel-Buffering: no\r\n"
                                               "X-Content-Type-Options: nosniff\r\n");
    struct web_stream *stream = find_free(request->web);
    if (!stream) {
        web_refuse(request, 503, "there are too many live views open: close one");
        return NULL;
    }
    const struct api_key *key = request->key;
    uint64_t session_serial = request->session_serial;
    struct http_request *http = request->http;
    struct admin_web *web = request->web;
    if (!http_stream_open(http, lines)) return NULL;
    *stream = (struct web_stream){.http = http,
                                  .web = web,
                                  .calls = *calls,
                                  .user = user,
                                  .key = key,
                                  .session_serial = session_serial,
                                  .sent_ms = clock_mono_ms()};
    return stream;
}

void web_stream_send(struct web_stream *stream, struct span name, struct span line)
{
    struct writer out;
    writer_init(&out, stream->web->event, sizeof stream->web->event);
    if (name.ptr) {
        writer_lit(&out, "event: ");
        writer_put(&out, name);
        writer_lit(&out, "\n");
    }
    writer_lit(&out, "data: ");
    writer_put(&out, line);
    writer_lit(&out, "\n\n");
    ASSERT(!out.overflow);
    stream->sent_ms = clock_mono_ms();
    http_stream_send(stream->http, writer_text(&out));
}

void web_stream_close(struct web_stream *stream)
{
    struct http_request *http = stream->http;
    stream->http = NULL;
    http_stream_close(http);
}

struct admin *web_stream_admin(const struct web_stream *stream)
{
    return stream->web->admin;
}

static void end(struct web_stream *stream)
{
    stream->http = NULL;
    if (stream->calls.on_end) stream->calls.on_end(stream->user);
}

void web_stream_ended(struct admin_web *web, struct http_request *http)
{
    for (size_t i = 0; i < WEB_STREAMS_MAX; i++)
        if (web->streams[i].http == http) end(&web->streams[i]);
}

static void tick(struct web_stream *stream)
{
    if (!web_is_valid(stream->web, stream->key, stream->session_serial)) {
        http_stream_close(stream->http);
        end(stream);
        return;
    }
    if (clock_mono_ms() - stream->sent_ms >= QUIET_MAX_MS) {
        stream->sent_ms = clock_mono_ms();
        http_stream_send(stream->http, SPAN(":\n\n"));
    }
    if (stream->calls.on_tick) stream->calls.on_tick(stream, stream->user);
}

void web_streams_tick(struct admin_web *web)
{
    for (size_t i = 0; i < WEB_STREAMS_MAX; i++)
        if (web->streams[i].http) tick(&web->streams[i]);
}
