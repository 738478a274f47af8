#include "api/ad_token.h"
#include "api/answer.h"
#include "api/body.h"
#include "api/pages.h"
#include "base/limits.h"
#include "event/text.h"
#include "json/write.h"

/* POST .../sponsored-polls/vote and GET .../sponsored-polls/results (seed 003, contract section 4).
 */

/* A JSON body that may be malformed: then it holds nothing. */
struct vote_body {
    struct json_doc doc;
    bool is_object;
};

static void read_body(struct vote_body *body, struct api_request *request)
{
    struct problems problems;
    struct fields_reader reader;
    body->is_object =
        body_begin(&problems, request) && body_read(&reader, &body->doc, &problems, request);
}

/* A member that is a string and not blank, or absent. */
static struct span text_member(const struct vote_body *body, struct span name, struct arena *arena)
{
    uint32_t value = body->is_object ? json_member(&body->doc, 0, name) : 0;
    if (!value || body->doc.tokens[value].type != JSON_STRING) return SPAN_NONE;
    struct span text = json_string(&body->doc, value, arena);
    return text.ptr && !text_is_blank(text) ? text : SPAN_NONE;
}

static struct span raw_token(const struct api_request *request)
{
    struct span raw = SPAN_NONE;
    query_find(request->http->query, SPAN("token"), &raw);
    return raw;
}

/* The query's token first, else the body's. Absent: there is none. */
static struct span find_token(const struct api_request *request, const struct vote_body *body)
{
    struct span token;
    struct arena *arena = request->http->arena;
    enum query_found found = ad_token_find(&token, request->http->query, SPAN("token"), arena);
    bool is_given =
        found == QUERY_REPEATED || (found == QUERY_ONCE && !text_is_blank(raw_token(request)));
    if (is_given) return token;
    return body ? text_member(body, SPAN("token"), arena) : SPAN_NONE;
}

/* False: refused, and answered. */
static bool open_token(struct claims *claims, struct api_request *request, struct span token,
                       enum purpose purpose)
{
    if (!token.ptr) {
        answer_refusal(request, REJECT_TOKEN_MISSING);
        return false;
    }
    struct pollbook *pollbook = ledger_pollbook(request->loop->api->ledger);
    if (!ad_token_open(claims, request, token, purpose) || claims->exp_ms <= request->now_ms ||
        !pollbook_find(pollbook, claims->pol)) {
        answer_refusal(request, REJECT_TOKEN_INVALID);
        return false;
    }
    return true;
}

void vote_handle(struct api_request *request)
{
    struct vote_body body;
    struct claims claims;
    read_body(&body, request);
    if (!open_token(&claims, request, find_token(request, &body), PURPOSE_VOTE)) return;
    struct span option = text_member(&body, SPAN("option_id"), request->http->arena);
    if (!option.ptr || option.len > LIMIT_ID) {
        answer_refusal(request, REJECT_OPTION);
        return;
    }
    request->op.kind = OP_VOTE;
    request->op.vote =
        (struct vote){.ad = ad_token_facts(&claims), .poll_id = claims.pol, .option_id = option};
    api_submit(request);
}

void results_handle(struct api_request *request)
{
    struct claims claims;
    if (!open_token(&claims, request, find_token(request, NULL), PURPOSE_RESULTS)) return;
    request->op.kind = OP_POLL_RESULTS;
    request->op.vote = (struct vote){.poll_id = claims.pol};
    api_submit(request);
}

/* votes * 100 / total to one decimal, halves up, without a trailing ".0". */
static void write_percentage(struct writer *out, uint64_t votes, uint64_t total)
{
    uint64_t tenths = total ? (2 * votes * 1000 + total) / (2 * total) : 0;
    writer_u64(out, tenths / 10);
    if (tenths % 10 == 0) return;
    writer_char(out, '.');
    writer_u64(out, tenths % 10);
}

static void write_options(struct writer *out, const struct poll_results *results, uint64_t total)
{
    const struct poll *poll = results->poll;
    writer_lit(out, ",\"options\":[");
    for (uint32_t i = 0; i < poll->options_count; i++) {
        json_write_comma(out);
        writer_char(out, '{');
        json_write_text_member(out, SPAN("id"), poll->options[i].id);
        json_write_text_member(out, SPAN("text"), poll->options[i].text);
        json_write_number_member(out, SPAN("votes"), (int64_t)results->votes[i]);
        writer_lit(out, ",\"percentage\":");
        write_percentage(out, results->votes[i], total);
        writer_char(out, '}');
    }
    writer_char(out, ']');
}

static void write_results(struct writer *out, const struct vote *vote)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < vote->results.poll->options_count; i++)
        total += vote->results.votes[i];
    writer_char(out, '{');
    json_write_number_member(out, SPAN("sponsored_poll_id"), vote->poll_id);
    json_write_text_member(out, SPAN("selected_option_id"), vote->option_id);
    json_write_number_member(out, SPAN("total_votes"), (int64_t)total);
    write_options(out, &vote->results, total);
    writer_char(out, '}');
}

static void answer_results(struct api_request *request)
{
    struct arena *arena = request->http->arena;
    struct writer body;
    writer_init(&body, arena->base + arena->used, arena_room(arena));
    write_results(&body, &request->op.vote);
    if (body.overflow) {
        answer_refusal(request, REJECT_SERVER_ERROR);
        return;
    }
    arena_alloc(arena, body.len);
    answer_json(request, 200, SPAN("Cache-Control: no-store\r\n"), writer_text(&body));
}

void vote_on_answer(struct api_request *request)
{
    switch (request->op.outcome) {
    case OUTCOME_RECORDED:
        answer_results(request);
        break;
    case OUTCOME_DUPLICATE:
        answer_refusal(request, REJECT_SECOND_VOTE);
        break;
    case OUTCOME_BAD_OPTION:
        answer_refusal(request, REJECT_OPTION);
        break;
    case OUTCOME_NOT_FOUND: /* withdrawn meanwhile */
        answer_refusal(request, REJECT_TOKEN_INVALID);
        break;
    default:
        answer_refusal(request, REJECT_SERVER_ERROR);
    }
}
