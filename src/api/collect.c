#include "api/answer.h"
#include "api/body.h"
#include "api/pages.h"
#include "api/params.h"
#include "api/sender.h"
#include "base/limits.h"
#include "event/text.h"

/* POST /v1/api/collect (seed 002, contract section 5). */

enum {
    EVENT_NAME,
    TAG_ID,
    EVENT_ID,
    TIMESTAMP,
    PAGE_URL,
    REFERRER,
    USER_AGENT,
    CHANNEL,
    SESSION_ID,
    ATTRIBUTION_TYPE,
    IMPRESSION_ID,
    CLICK_ID,
    BID_ID,
    IMPRESSION_STATE,
    VIEW_TIME_MS,
    CONSENT,
    PARAMS,
    CLIENT_ID,
    VALUES_COUNT,
};

/* clang-format off */
static const struct field rows[] = {
    {SPAN_INIT("event_name"),       EVENT_NAME,       FIELD_TEXT, true, LIMIT_EVENT_NAME},
    {SPAN_INIT("tag_id"),           TAG_ID,           FIELD_ID},
    {SPAN_INIT("event_id"),         EVENT_ID,         FIELD_ID},
    {SPAN_INIT("timestamp"),        TIMESTAMP,        FIELD_TIMESTAMP},
    {SPAN_INIT("page_url"),         PAGE_URL,         FIELD_TEXT, false, LIMIT_URL},
    {SPAN_INIT("referrer"),         REFERRER,         FIELD_TEXT, false, LIMIT_URL},
    {SPAN_INIT("user_agent"),       USER_AGENT,       FIELD_TEXT, false, LIMIT_USER_AGENT},
    {SPAN_INIT("channel"),          CHANNEL,          FIELD_IGNORED},
    {SPAN_INIT("session_id"),       SESSION_ID,       FIELD_ID},
    {SPAN_INIT("attribution_type"), ATTRIBUTION_TYPE, FIELD_ID},
    {SPAN_INIT("impression_id"),    IMPRESSION_ID,    FIELD_ID},
    {SPAN_INIT("click_id"),         CLICK_ID,         FIELD_ID},
    {SPAN_INIT("bid_id"),           BID_ID,           FIELD_ID},
    {SPAN_INIT("impression_state"), IMPRESSION_STATE, FIELD_ID},
    {SPAN_INIT("view_time_ms"),     VIEW_TIME_MS,     FIELD_INTEGER},
    {SPAN_INIT("consent"),          CONSENT,          FIELD_OBJECT},
    {SPAN_INIT("params"),           PARAMS,           FIELD_OBJECT},
    {SPAN_INIT("client_id"),        CLIENT_ID,        FIELD_ID}, /* contract section 5 */
};
/* clang-format on */

static const struct fields fields = {rows, sizeof rows / sizeof rows[0]};

enum { TAG_MAX = LIMIT_ID + 8 }; /* "site:" and the longest host are a little longer than an id */

/* `site:<host>` of where the event happened, as far as anybody said. */
static struct span derive_tag(const struct http_request *http, struct span page_url)
{
    struct span origin = SPAN_NONE, referer = SPAN_NONE;
    http_request_header(http, SPAN("origin"), &origin);
    http_request_header(http, SPAN("referer"), &referer);
    const struct span urls[] = {page_url, origin, referer};
    char *memory = arena_alloc(http->arena, TAG_MAX);
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct writer out;
        writer_init(&out, memory, memory ? TAG_MAX : 0);
        writer_lit(&out, "site:");
        if (urls[i].ptr && text_url_host(&out, urls[i])) return writer_text(&out);
    }
    return SPAN("site:unknown");
}

static void fill(struct server_event *event, struct api_request *request,
                 const struct field_value *values)
{
    *event = (struct server_event){
        .sender = sender_of(request->key),
        .event_name = values[EVENT_NAME].text,
        .tag_id = values[TAG_ID].text,
        .event_id = values[EVENT_ID].text,
        .timestamp = values[TIMESTAMP].token ? values[TIMESTAMP].number : request->now_ms / 1000,
        .page_url = values[PAGE_URL].text,
        .referrer = values[REFERRER].text,
        .user_agent = values[USER_AGENT].text,
        .channel = SPAN("server"),
        .session_id = values[SESSION_ID].text,
        .client_id = values[CLIENT_ID].text,
        .attribution_type = values[ATTRIBUTION_TYPE].text,
        .impression_id = values[IMPRESSION_ID].text,
        .click_id = values[CLICK_ID].text,
        .bid_id = values[BID_ID].text,
        .impression_state = values[IMPRESSION_STATE].text,
        .has_view_time = values[VIEW_TIME_MS].token != 0,
        .view_time_ms = values[VIEW_TIME_MS].number,
        .consent = values[CONSENT].text,
    };
    if (!event->tag_id.ptr) event->tag_id = derive_tag(request->http, event->page_url);
}

void collect_handle(struct api_request *request)
{
    struct json_doc doc;
    struct problems problems;
    struct fields_reader reader;
    struct field_value values[VALUES_COUNT] = {0};
    uint32_t unlisted = 0;
    if (body_begin(&problems, request) && body_read(&reader, &doc, &problems, request))
        unlisted = fields_read(&reader, &fields, 0, values);
    if (problems.count > 0) {
        answer_problems(request, body_status_s2s(&problems), &problems);
        return;
    }
    struct server_event *event = &request->op.server_event;
    request->op.kind = OP_SERVER_EVENT;
    fill(event, request, values);
    struct params_source source = {.doc = &doc,
                                   .arena = request->http->arena,
                                   .unlisted = unlisted,
                                   .params = values[PARAMS].token};
    event->params = params_of_event(&source, &event->sender);
    api_submit(request);
}

void collect_on_answer(struct api_request *request)
{
    if (request->op.outcome == OUTCOME_RECORDED || request->op.outcome == OUTCOME_DUPLICATE)
        answer_receipt(request, 204, SPAN_NONE);
    else
        answer_refusal(request, REJECT_UNAVAILABLE);
}
