#include "api/answer.h"
#include "api/body.h"
#include "api/idempotency.h"
#include "api/pages.h"
#include "api/params.h"
#include "api/sender.h"
#include "base/limits.h"

/* POST /v1/api/conversion (seed 002) and POST /api/conversion (seed 004): contract section 5. */

enum {
    CLICK_ID,
    CONVERSION_TIME,
    CONVERSION_VALUE,
    CURRENCY,
    EVENT_TYPE,
    ORDER_ID,
    EVENT_ID,
    PAGE_URL,
    REFERRER,
    USER_AGENT,
    CHANNEL,
    SESSION_ID,
    CLIENT_ID,
    TAG_ID,
    VALUES_COUNT,
};

/* clang-format off */
#define ROWS_OF_BOTH                                                                               \
    {SPAN_INIT("click_id"),         CLICK_ID,         FIELD_ID,       true},                       \
    {SPAN_INIT("conversion_time"),  CONVERSION_TIME,  FIELD_DATETIME, true},                       \
    {SPAN_INIT("conversion_value"), CONVERSION_VALUE, FIELD_AMOUNT,   true},                       \
    {SPAN_INIT("currency"),         CURRENCY,         FIELD_CURRENCY, true},                       \
    {SPAN_INIT("event_type"),       EVENT_TYPE,       FIELD_TEXT,     false, LIMIT_EVENT_NAME},    \
    {SPAN_INIT("order_id"),         ORDER_ID,         FIELD_ID},                                   \
    {SPAN_INIT("event_id"),         EVENT_ID,         FIELD_ID}

#define ROWS_OF_BROWSER                                                                            \
    {SPAN_INIT("page_url"),         PAGE_URL,         FIELD_TEXT,     false, LIMIT_URL},           \
    {SPAN_INIT("referrer"),         REFERRER,         FIELD_TEXT,     false, LIMIT_URL},           \
    {SPAN_INIT("user_agent"),       USER_AGENT,       FIELD_TEXT,     false, LIMIT_USER_AGENT}

#define ROWS_OF_USER                                                                               \
    {SPAN_INIT("session_id"),       SESSION_ID,       FIELD_ID},                                   \
    {SPAN_INIT("client_id"),        CLIENT_ID,        FIELD_ID}

static const struct field rows_v1[] = {
    ROWS_OF_BOTH,
    ROWS_OF_BROWSER,
    {SPAN_INIT("channel"),          CHANNEL,          FIELD_ID},
    ROWS_OF_USER,
    {SPAN_INIT("tag_id"),           TAG_ID,           FIELD_ID},
};

/* Seed 004 lists no channel: there it is one of the additional keys. */
static const struct field rows_api[] = {
    ROWS_OF_BOTH,
    {SPAN_INIT("tag_id"),           TAG_ID,           FIELD_ID},
    ROWS_OF_BROWSER,
    ROWS_OF_USER,
};
/* clang-format on */

static const struct fields fields_v1 = {rows_v1, sizeof rows_v1 / sizeof rows_v1[0]};
static const struct fields fields_api = {rows_api, sizeof rows_api / sizeof rows_api[0]};

static struct span or_default(struct span text, struct span by_default)
{
    return text.ptr ? text : by_default;
}

static void fill(struct conversion *conversion, const struct api_key *key,
                 const struct field_value *values)
{
    *conversion = (struct conversion){
        .sender = sender_of(key),
        .click_id = values[CLICK_ID].text,
        .event_type = or_default(values[EVENT_TYPE].text, SPAN("purchase_completed")),
        .event_id = values[EVENT_ID].text,
        .order_id = values[ORDER_ID].text,
        .conversion_time = values[CONVERSION_TIME].text,
        .conversion_time_ms = values[CONVERSION_TIME].number,
        .conversion_value = values[CONVERSION_VALUE].text,
        .value = values[CONVERSION_VALUE].amount,
        .currency = values[CURRENCY].text,
        .tag_id = or_default(values[TAG_ID].text, key->tag_id),
        .channel = or_default(values[CHANNEL].text, SPAN("server")),
        .page_url = values[PAGE_URL].text,
        .referrer = values[REFERRER].text,
        .user_agent = values[USER_AGENT].text,
        .session_id = values[SESSION_ID].text,
        .client_id = values[CLIENT_ID].text,
    };
}

static enum idempotency read_key(struct span *key, const struct http_request *http)
{
    struct span value = SPAN_NONE;
    size_t count = http_request_header(http, SPAN("idempotency-key"), &value);
    if (count == 0) return IDEMPOTENCY_ABSENT;
    return count == 1 ? idempotency_parse(key, value, http->arena) : IDEMPOTENCY_INVALID;
}

static void handle(struct api_request *request, const struct fields *fields, bool is_v1)
{
    struct json_doc doc;
    struct problems problems;
    struct fields_reader reader;
    struct field_value values[VALUES_COUNT] = {0};
    struct span key = SPAN_NONE;
    uint32_t unlisted = 0;
    enum idempotency found = IDEMPOTENCY_ABSENT;
    if (body_begin(&problems, request)) {
        found = read_key(&key, request->http);
        if (found > IDEMPOTENCY_KEY) idempotency_problem(&problems, found);
        if (body_read(&reader, &doc, &problems, request))
            unlisted = fields_read(&reader, fields, 0, values);
    }
    if (problems.count > 0) {
        int status = found > IDEMPOTENCY_KEY ? 400 : is_v1 ? body_status_s2s(&problems) : 422;
        answer_problems(request, status, &problems);
        return;
    }
    struct conversion *conversion = &request->op.conversion;
    request->op.kind = OP_CONVERSION;
    fill(conversion, request->key, values);
    conversion->idempotency_key = key;
    conversion->check_order = is_v1 || !key.ptr;
    conversion->params = params_of_conversion(
        &(struct params_source){.doc = &doc, .arena = request->http->arena, .unlisted = unlisted});
    api_submit(request);
}

void conversion_handle_v1(struct api_request *request)
{
    handle(request, &fields_v1, true);
}

void conversion_handle_api(struct api_request *request)
{
    handle(request, &fields_api, false);
}

void conversion_on_answer(struct api_request *request)
{
    switch (request->op.outcome) {
    case OUTCOME_RECORDED:
        answer_receipt(request, 200, SPAN("{\"status\":\"ok\"}"));
        break;
    case OUTCOME_DUPLICATE:
        answer_receipt(request, 200, SPAN("{\"status\":\"duplicate\"}"));
        break;
    case OUTCOME_NOT_FOUND:
        answer_refusal(request, REJECT_CLICK_NOT_FOUND);
        break;
    case OUTCOME_MISSING_BID:
        answer_refusal(request, REJECT_CLICK_WITHOUT_BID);
        break;
    default:
        answer_refusal(request, REJECT_UNAVAILABLE);
    }
}
