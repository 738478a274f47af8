#include "api/tail.h"

#include "api/address.h"
#include "api/request.h"
#include "base/clock.h"
#include "event/datetime.h"
#include "json/write.h"

#include <stdlib.h>
#include <string.h>

struct tail_watcher {
    struct tail_watcher *next;
    struct tail_filter filter; /* into `texts` */
    char texts[TAIL_FIELDS_COUNT][LIMIT_ID];
    pthread_mutex_t mutex; /* of what follows */
    uint64_t dropped;
    size_t len;
    char kept[TAIL_KEPT_MAX];
};

static const struct span names[TAIL_FIELDS_COUNT] = {[TAIL_ROUTE] = SPAN_INIT("route"),
                                                     [TAIL_OUTCOME] = SPAN_INIT("outcome"),
                                                     [TAIL_PARTNER] = SPAN_INIT("partner"),
                                                     [TAIL_CAMPAIGN] = SPAN_INIT("campaign")};

struct span tail_field_name(enum tail_field field)
{
    return names[field];
}

static bool is_route(struct span text)
{
    for (size_t route = 0; route < API_ROUTES_COUNT; route++)
        if (span_eq(api_route_name(route), text)) return true;
    return false;
}

static bool is_outcome(struct span text)
{
    if (span_eq(text, SPAN("refused"))) return true;
    for (unsigned i = 0; i < DISPOSITION_COUNT; i++)
        if (span_eq(span_of(disposition_label(i)), text)) return true;
    return false;
}

const char *tail_filter_problem(const struct tail_filter *filter)
{
    struct span route = filter->texts[TAIL_ROUTE], outcome = filter->texts[TAIL_OUTCOME];
    if (route.ptr && !is_route(route))
        return "no route is called so: name a path such as /v1/api/conversion, or other";
    if (outcome.ptr && !is_outcome(outcome))
        return "no outcome is called so: recorded, duplicate, answered, capped, unrecorded, "
               "refused, or the reason of a refusal such as key_invalid";
    return NULL;
}

static bool keep_filter(struct tail_watcher *watcher, const struct tail_filter *filter)
{
    for (int i = 0; i < TAIL_FIELDS_COUNT; i++) {
        struct span text = filter->texts[i];
        if (text.len > LIMIT_ID) return false;
        if (!text.ptr) continue;
        memcpy(watcher->texts[i], text.ptr, text.len);
        watcher->filter.texts[i] = (struct span){watcher->texts[i], text.len};
    }
    return true;
}

static bool join(struct api *api, struct tail_watcher *watcher)
{
    struct tail *tail = &api->tail;
    pthread_mutex_lock(&tail->mutex);
    bool has_room = metrics_read(&api->metrics.watchers) < TAIL_WATCHERS_MAX;
    if (has_room) {
        watcher->next = tail->first;
        tail->first = watcher;
        metrics_add(&api->metrics.watchers, 1);
    }
    pthread_mutex_unlock(&tail->mutex);
    return has_room;
}

struct tail_watcher *tail_open(struct api *api, const struct tail_filter *filter)
{
    struct tail_watcher *watcher = calloc(1, sizeof *watcher);
    if (!watcher) return NULL;
    pthread_mutex_init(&watcher->mutex, NULL);
    if (keep_filter(watcher, filter) && join(api, watcher)) return watcher;
    pthread_mutex_destroy(&watcher->mutex);
    free(watcher);
    return NULL;
}

void tail_close(struct api *api, struct tail_watcher *watcher)
{
    struct tail *tail = &api->tail;
    pthread_mutex_lock(&tail->mutex);
    struct tail_watcher **at = &tail->first;
    while (*at != watcher)
        at = &(*at)->next;
    *at = watcher->next;
    metrics_set(&api->metrics.watchers, metrics_read(&api->metrics.watchers) - 1);
    pthread_mutex_unlock(&tail->mutex);
    pthread_mutex_destroy(&watcher->mutex);
    free(watcher);
}

/* The end of the last whole line within `max` bytes. */
static size_t whole_lines(const struct tail_watcher *watcher, size_t max)
{
    if (watcher->len <= max) return watcher->len;
    const char *end = memrchr(watcher->kept, '\n', max);
    return end ? (size_t)(end - watcher->kept) + 1 : 0;
}

void tail_take(struct tail_watcher *watcher, struct writer *out, uint64_t *dropped)
{
    pthread_mutex_lock(&watcher->mutex);
    size_t len = whole_lines(watcher, out->cap - out->len);
    writer_put(out, (struct span){watcher->kept, len});
    watcher->len -= len;
    memmove(watcher->kept, watcher->kept + len, watcher->len);
    *dropped = watcher->dropped;
    watcher->dropped = 0;
    pthread_mutex_unlock(&watcher->mutex);
}

/* ---- the loops' side ---- */

static const struct ad_facts *facts_of(const struct api_request *request)
{
    if (!request->has_op) return NULL;
    switch (request->op.kind) {
    case OP_CLICK:
        return &request->op.click.ad;
    case OP_IMPRESSION:
        return &request->op.impression.ad;
    case OP_AD_FEEDBACK:
        return &request->op.ad_feedback.ad;
    case OP_VOTE:
        return &request->op.vote.ad;
    default:
        return NULL;
    }
}

static const char *outcome_of(const struct api_request *request)
{
    return request->disposition < DISPOSITION_REFUSED ? disposition_label(request->disposition)
                                                      : "refused";
}

static bool matches(const struct tail_filter *filter, enum tail_field field, struct span text)
{
    struct span wanted = filter->texts[field];
    return !wanted.ptr || span_eq(wanted, text);
}

static bool passes(const struct tail_filter *filter, const struct api_request *request)
{
    const struct ad_facts *facts = facts_of(request);
    return matches(filter, TAIL_ROUTE, api_route_name(route_number(request->route))) &&
           (matches(filter, TAIL_OUTCOME, span_of(outcome_of(request))) ||
            matches(filter, TAIL_OUTCOME, span_of(disposition_label(request->disposition)))) &&
           matches(filter, TAIL_PARTNER, request->key ? request->key->partner_id : SPAN_NONE) &&
           matches(filter, TAIL_CAMPAIGN, facts ? facts->campaign_id : SPAN_NONE);
}

static struct span method_of(const struct http_request *http)
{
    switch (http->method) {
    case HTTP_GET:
        return SPAN("GET");
    case HTTP_HEAD:
        return SPAN("HEAD");
    case HTTP_POST:
        return SPAN("POST");
    case HTTP_OPTIONS:
        return SPAN("OPTIONS");
    default:
        return SPAN("other");
    }
}

static void write_receipt(struct writer *out, const struct api_request *request)
{
    char text[RECEIPT_LEN];
    bool is_recorded = request->disposition == DISPOSITION_RECORDED;
    if (!request->has_op || request->disposition > DISPOSITION_DUPLICATE || !request->op.sequence)
        return;
    receipt_write(text, keyring_receipt_key(request->loop->api->keyring), request->op.sequence);
    json_write_text_member(out, is_recorded ? SPAN("receipt") : SPAN("duplicate_of"),
                           (struct span){text, sizeof text});
}

static void write_who(struct writer *out, const struct api_request *request)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    const struct api_options *options = &request->loop->settings.options;
    const struct ad_facts *facts = facts_of(request);
    const struct api_key *key = request->key;
    if (key) {
        json_write_text_member(out, SPAN("partner"), key->partner_id);
        json_write_text_member(out, SPAN("key"), key->id);
    }
    if (facts) {
        json_write_text_member(out, SPAN("publisher"), facts->publisher_id);
        json_write_text_member(out, SPAN("campaign"), facts->campaign_id);
        json_write_text_member(out, SPAN("advertiser"), facts->advertiser_id);
    }
    if (address_of_client(&address, request->http, options))
        json_write_text_member(out, SPAN("client"),
                               address_write(text, &address, options->client_address_full));
}

static void write_line(struct writer *out, const struct api_request *request, int status)
{
    writer_lit(out, "{\"time\":\"");
    datetime_write(out, request->now_ms);
    writer_char(out, '"');
    json_write_text_member(out, SPAN("method"), method_of(request->http));
    json_write_text_member(out, SPAN("route"), api_route_name(route_number(request->route)));
    json_write_number_member(out, SPAN("status"), status);
    json_write_text_member(out, SPAN("outcome"), span_of(outcome_of(request)));
    if (request->disposition >= DISPOSITION_REFUSED)
        json_write_text_member(out, SPAN("reason"),
                               span_of(disposition_label(request->disposition)));
    write_receipt(out, request);
    write_who(out, request);
    json_write_number_member(out, SPAN("us"), clock_mono_us() - request->began_us);
    writer_lit(out, "}\n");
}

static void give(struct tail_watcher *watcher, struct span line)
{
    pthread_mutex_lock(&watcher->mutex);
    if (line.ptr && line.len <= sizeof watcher->kept - watcher->len) {
        memcpy(watcher->kept + watcher->len, line.ptr, line.len);
        watcher->len += line.len;
    } else {
        watcher->dropped++;
    }
    pthread_mutex_unlock(&watcher->mutex);
}

void tail_note(const struct api_request *request, int status)
{
    struct api *api = request->loop->api;
    char memory[TAIL_LINE_MAX];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    write_line(&out, request, status);
    struct span line = out.overflow ? SPAN_NONE : writer_text(&out);
    pthread_mutex_lock(&api->tail.mutex);
    for (struct tail_watcher *watcher = api->tail.first; watcher; watcher = watcher->next)
        if (passes(&watcher->filter, request)) give(watcher, line);
    pthread_mutex_unlock(&api->tail.mutex);
}
