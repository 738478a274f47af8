#include "api/ad_token.h"
#include "api/answer.h"
#include "api/body.h"
#include "api/pages.h"
#include "base/limits.h"
#include "json/write.h"

/* POST /ad-feedback (seed 001, contract section 4). */

enum {
    SESSION_ID,
    IMP_URL,
    SENTIMENT,
    REASONS,
    COMMENT,
    PLACEMENT,
    PLACEMENT_ID,
    USER_ID,
    DEVICE,
    VALUES_COUNT,
};

enum {
    REASONS_COUNT_MAX = 32,
    REASON_CHARACTERS_MAX = 100,
};

static void check_sentiment(const struct fields_reader *reader, const struct field *field,
                            struct field_value *value)
{
    fields_literal(reader, field, value, SPAN("thumbs_up"), SPAN("thumbs_down"),
                   "Input should be 'thumbs_up' or 'thumbs_down'");
}

/* One reason; appends it to `out`. The problem, or PROBLEM_COUNT. */
static enum problem_type check_reason(const struct fields_reader *reader, uint32_t token,
                                      struct writer *out)
{
    if (reader->doc->tokens[token].type != JSON_STRING) return PROBLEM_STRING;
    struct span text = json_string(reader->doc, token, reader->arena);
    size_t characters = json_characters(text);
    if (characters == 0) return PROBLEM_TOO_SHORT;
    if (characters > REASON_CHARACTERS_MAX) return PROBLEM_TOO_LONG;
    json_write_comma(out);
    json_write_string(out, text);
    return PROBLEM_COUNT;
}

/* The value becomes the canonical text of the list, by which retries are known; an empty list is
 * the same as none. */
static void check_reasons(const struct fields_reader *reader, const struct field *field,
                          struct field_value *value)
{
    const struct json_token *tokens = reader->doc->tokens;
    if (tokens[value->token].type != JSON_ARRAY) {
        fields_problem(reader, field, PROBLEM_ARRAY, NULL);
        return;
    }
    size_t size = 2 * value->text.len + 2; /* an escape never grows past its \\u form */
    struct writer out;
    uint32_t count = 0;
    char *memory = arena_alloc(reader->arena, size);
    writer_init(&out, memory, memory ? size : 0);
    writer_char(&out, '[');
    for (uint32_t at = value->token + 1; at < tokens[value->token].end; at = tokens[at].end) {
        enum problem_type problem = check_reason(reader, at, &out);
        if (++count > REASONS_COUNT_MAX) {
            fields_problem(reader, field, PROBLEM_VALUE, "List should have at most 32 items");
            return;
        }
        if (problem == PROBLEM_COUNT) continue;
        fields_problem(reader, field, problem,
                       problem == PROBLEM_TOO_LONG    ? "Items should have at most 100 characters"
                       : problem == PROBLEM_TOO_SHORT ? "Items should have at least 1 character"
                                                      : "Items should be valid strings");
        return;
    }
    writer_char(&out, ']');
    if (out.overflow) reader->problems->overflow = true;
    value->text = count ? writer_text(&out) : SPAN_NONE;
}

/* clang-format off */
static const struct field rows[] = {
    {SPAN_INIT("sessionId"),   SESSION_ID,   FIELD_ID, true},
    {SPAN_INIT("impUrl"),      IMP_URL,      FIELD_TEXT, true, LIMIT_URL},
    {SPAN_INIT("sentiment"),   SENTIMENT,    FIELD_CHECKED, true, .check = check_sentiment},
    {SPAN_INIT("reasons"),     REASONS,      FIELD_CHECKED, .check = check_reasons},
    {SPAN_INIT("comment"),     COMMENT,      FIELD_CHECKED, .check = fields_comment},
    {SPAN_INIT("placement"),   PLACEMENT,    FIELD_ID},
    {SPAN_INIT("placementId"), PLACEMENT_ID, FIELD_ID},
    {SPAN_INIT("userId"),      USER_ID,      FIELD_ID},
    {SPAN_INIT("device"),      DEVICE,       FIELD_OBJECT},
};
/* clang-format on */

static const struct fields fields = {rows, sizeof rows / sizeof rows[0]};

/* Publishers put their own host and path in front: only `p` of the query is read. */
static bool open_imp_url(struct claims *claims, const struct api_request *request, struct span url)
{
    struct span token, before_fragment = span_split(&url, '#');
    span_split(&before_fragment, '?');
    struct arena *arena = request->http->arena;
    return ad_token_find(&token, before_fragment, SPAN("p"), arena) == QUERY_ONCE &&
           ad_token_open(claims, request, token, PURPOSE_ACK) &&
           span_eq(claims->pub, request->key->publisher_id);
}

static void fill(struct ad_feedback *feedback, const struct api_request *request,
                 const struct claims *claims, const struct field_value *values)
{
    uint8_t random[10];
    rng_take(&request->loop->random, random, sizeof random);
    *feedback = (struct ad_feedback){
        .id = uuid_make_v7(request->now_ms, random),
        .ad = ad_token_facts(claims),
        .api_key_id = request->key->id,
        .sent_session_id = values[SESSION_ID].text,
        .sent_user_id = values[USER_ID].text,
        .sent_placement = values[PLACEMENT].text,
        .sent_placement_id = values[PLACEMENT_ID].text,
        .sentiment = values[SENTIMENT].text,
        .reasons = values[REASONS].text,
        .comment = values[COMMENT].text,
        .device = values[DEVICE].text,
    };
}

void ad_feedback_handle(struct api_request *request)
{
    struct json_doc doc;
    struct problems problems;
    struct fields_reader reader;
    struct claims claims;
    struct field_value values[VALUES_COUNT] = {0};
    if (body_begin(&problems, request) && body_read(&reader, &doc, &problems, request))
        fields_read(&reader, &fields, 0, values);
    if (problems.count > 0) {
        answer_problems(request, 422, &problems);
        return;
    }
    if (!open_imp_url(&claims, request, values[IMP_URL].text)) {
        answer_refusal(request, REJECT_IMP_URL);
        return;
    }
    request->op.kind = OP_AD_FEEDBACK;
    fill(&request->op.ad_feedback, request, &claims, values);
    api_submit(request);
}

static void answer_feedback_id(struct api_request *request)
{
    static const char before[] = "{\"status\":\"ok\",\"feedbackId\":\"";
    enum { BODY_LEN = sizeof before - 1 + UUID_TEXT_LEN + 2 };
    struct writer body;
    char *memory = arena_alloc(request->http->arena, BODY_LEN);
    writer_init(&body, memory, memory ? BODY_LEN : 0);
    writer_put(&body, span_of(before));
    char *id = writer_claim(&body, UUID_TEXT_LEN);
    if (id) uuid_write(id, &request->op.ad_feedback.id);
    writer_lit(&body, "\"}");
    if (body.overflow)
        answer_refusal(request, REJECT_UNAVAILABLE);
    else
        answer_json(request, 200, SPAN(""), writer_text(&body));
}

void ad_feedback_on_answer(struct api_request *request)
{
    switch (request->op.outcome) {
    case OUTCOME_RECORDED:
    case OUTCOME_DUPLICATE:
        answer_feedback_id(request);
        break;
    case OUTCOME_LIMITED:
        answer_rate_limited(request, request->op.ad_feedback.retry_after_ms);
        break;
    default:
        answer_refusal(request, REJECT_UNAVAILABLE);
    }
}
