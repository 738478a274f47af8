#include "api/answer.h"
#include "api/body.h"
#include "api/pages.h"

/* POST /api/v1/tracking/feedback (seed 000, contract section 4). */

enum { BID_ID, FEEDBACK_TYPE, FEEDBACK_TEXT, VALUES_COUNT };

static void check_type(const struct fields_reader *reader, const struct field *field,
                       struct field_value *value)
{
    fields_literal(reader, field, value, SPAN("positive"), SPAN("negative"),
                   "Input should be 'positive' or 'negative'");
}

/* clang-format off */
static const struct field rows[] = {
    {SPAN_INIT("bid_id"),        BID_ID,        FIELD_ID, true},
    {SPAN_INIT("feedback_type"), FEEDBACK_TYPE, FIELD_CHECKED, true, .check = check_type},
    {SPAN_INIT("feedback_text"), FEEDBACK_TEXT, FIELD_CHECKED, .check = fields_comment},
};
/* clang-format on */

static const struct fields fields = {rows, sizeof rows / sizeof rows[0]};

void feedback_handle(struct api_request *request)
{
    struct json_doc doc;
    struct problems problems;
    struct fields_reader reader;
    struct field_value values[VALUES_COUNT] = {0};
    if (body_begin(&problems, request) && body_read(&reader, &doc, &problems, request))
        fields_read(&reader, &fields, 0, values);
    if (problems.count > 0) {
        answer_problems(request, 422, &problems);
        return;
    }
    request->op.kind = OP_FEEDBACK;
    request->op.feedback = (struct feedback){
        .bid_id = values[BID_ID].text,
        .type = values[FEEDBACK_TYPE].text,
        .text = values[FEEDBACK_TEXT].text,
    };
    api_submit(request);
}

void feedback_on_answer(struct api_request *request)
{
    switch (request->op.outcome) {
    case OUTCOME_RECORDED:
    case OUTCOME_DUPLICATE:
        answer_empty(request, 204);
        break;
    case OUTCOME_NOT_FOUND:
        answer_refusal(request, REJECT_IMPRESSION_NOT_FOUND);
        break;
    default:
        answer_refusal(request, REJECT_SERVER_ERROR);
    }
}
