#include "api/ad_token.h"
#include "api/answer.h"
#include "api/pages.h"
#include "api/visitor.h"

/* GET /api/v1/tracking/view and GET /ack (contract section 4): the first ping of a bid records its
 * impression, every one gets the pixel. */

/* Loops and minters may differ in their clocks by this much. */
enum { CLOCK_MARGIN_MS = 60 * 1000 };

/* A token that outlived what the store remembers could bring a forgotten impression back. */
static bool lives(const struct claims *claims, const struct api_request *request)
{
    int64_t latest_ms =
        request->now_ms + request->loop->settings.options.impression_ttl_ms + CLOCK_MARGIN_MS;
    return claims->exp_ms > request->now_ms && claims->exp_ms <= latest_ms;
}

static void handle(struct api_request *request, struct span parameter, enum purpose purpose)
{
    struct claims claims;
    const struct http_request *http = request->http;
    if (!ad_token_of_query(&claims, request, parameter, purpose) || !lives(&claims, request)) {
        answer_refusal(request, REJECT_NOT_FOUND);
        return;
    }
    if (http->method == HTTP_HEAD || visitor_is_prefetch(http)) {
        answer_gif(request);
        return;
    }
    request->op.kind = OP_IMPRESSION;
    request->op.impression = (struct impression){
        .ad = ad_token_facts(&claims),
        .visitor = visitor_of(request),
        .route = purpose_name(purpose),
    };
    api_submit(request);
}

void view_handle(struct api_request *request)
{
    handle(request, SPAN("token"), PURPOSE_VIEW);
}

void ack_handle(struct api_request *request)
{
    handle(request, SPAN("p"), PURPOSE_ACK);
}

void impression_on_answer(struct api_request *request)
{
    if (request->op.outcome == OUTCOME_RECORDED || request->op.outcome == OUTCOME_DUPLICATE)
        answer_gif(request);
    else
        answer_refusal(request, REJECT_UNAVAILABLE);
}
