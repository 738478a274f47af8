#include "sink/driver.h"
#include "sink/post.h"

#include <stdlib.h>
#include <string.h>

/* A collector of events: batches of lines, one request at a time, so that they come in order. A
 * body of which it says that it is too large (413) comes again in halves. */

struct http_sink {
    struct post_target target;
    struct post post;
    size_t count_max; /* 0: as many as there are */
    char *body;
    size_t body_cap;
};

static void http_close(void *driver)
{
    struct http_sink *sink = driver;
    post_end(&sink->post);
    post_target_close(&sink->target);
    free(sink->body);
    free(sink);
}

static void *http_open(const struct sink_config *config, struct sink_failure *failure)
{
    struct http_sink *sink = calloc(1, sizeof *sink);
    if (!sink) {
        sink_fail(failure, "no memory");
        return NULL;
    }
    if (post_target_open(&sink->target, config, failure)) return sink;
    http_close(sink);
    return NULL;
}

static struct span make_body(struct http_sink *sink, const struct store_feed_event *events,
                             size_t count)
{
    size_t len = 0, size = 0;
    for (size_t i = 0; i < count; i++)
        size += events[i].text.len + 1;
    if (size > sink->body_cap) {
        char *grown = realloc(sink->body, size);
        if (!grown) return SPAN_NONE;
        sink->body = grown;
        sink->body_cap = size;
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(sink->body + len, events[i].text.ptr, events[i].text.len);
        len += events[i].text.len;
        sink->body[len++] = '\n';
    }
    return (struct span){sink->body, len};
}

static bool send_batch(struct http_sink *sink, const struct store_feed_event *events, size_t count,
                       struct sink_failure *failure)
{
    struct span body = make_body(sink, events, count);
    curl_slist_free_all(sink->post.headers);
    sink->post.headers = NULL;
    if (!body.ptr || !post_begin(&sink->post, &sink->target, body) ||
        !post_header(&sink->post, "Content-Type: application/x-ndjson") ||
        !post_header(&sink->post, "Idempotency-Key: %.*s-%.*s", SPAN_FMT(events[0].receipt),
                     SPAN_FMT(events[count - 1].receipt))) {
        sink_fail(failure, "no memory");
        return false;
    }
    post_ready(&sink->post);
    return post_judge(&sink->post, curl_easy_perform(sink->post.easy), failure);
}

static size_t http_deliver(void *driver, const struct store_feed_event *events, size_t count,
                           struct sink_failure *failure)
{
    struct http_sink *sink = driver;
    size_t done = 0;
    while (done < count) {
        size_t part = count - done;
        if (sink->count_max && part > sink->count_max) part = sink->count_max;
        if (send_batch(sink, events + done, part, failure)) {
            done += part;
            continue;
        }
        if (strcmp(failure->reason, "HTTP 413") != 0 || part == 1) return done;
        sink->count_max = part / 2;
    }
    return done;
}

const struct sink_driver sink_http = {http_open, http_deliver, http_close};
