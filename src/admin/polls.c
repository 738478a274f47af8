#include "admin/command.h"
#include "base/clock.h"
#include "base/limits.h"
#include "event/text.h"
#include "json/write.h"

/* poll_put, poll_list, poll_withdraw (contract sections 4 and 8). */

#define POLL_ID_MAX ((INT64_C(1) << 53) - 1) /* what every JSON reader keeps exactly */

/* Why a poll is not one; NULL: it is. */
static const char *read_id(struct admin_request *request, uint32_t poll, int64_t *id)
{
    unsigned long long number = 0;
    uint32_t token = json_member(&request->doc, poll, SPAN("sponsored_poll_id"));
    bool is_number = token && request->doc.tokens[token].type == JSON_NUMBER &&
                     span_to_u64(json_raw(&request->doc, token), POLL_ID_MAX, &number);
    *id = (int64_t)number;
    return is_number ? NULL : "sponsored_poll_id has to be a whole number of 0 to 2^53 - 1";
}

/* A string member of 1..len_max bytes that is not blank. */
static bool read_text(struct admin_request *request, uint32_t object, struct span name,
                      size_t len_max, struct span *text)
{
    uint32_t token = json_member(&request->doc, object, name);
    if (!token || request->doc.tokens[token].type != JSON_STRING) return false;
    *text = json_string(&request->doc, token, &request->arena);
    return text->ptr && text->len <= len_max && !text_is_blank(*text);
}

static bool has_option(const struct poll *poll, struct span id)
{
    for (uint32_t i = 0; i < poll->options_count; i++)
        if (span_eq(poll->options[i].id, id)) return true;
    return false;
}

static const char *read_options(struct admin_request *request, uint32_t list, struct poll *poll)
{
    static const char wanted[] = "options has to be a list of 2 to 20 objects with id and text";
    const struct json_token *tokens = request->doc.tokens;
    if (!list || tokens[list].type != JSON_ARRAY) return wanted;
    for (uint32_t at = list + 1; at < tokens[list].end; at = tokens[at].end) {
        struct poll_option option;
        if (poll->options_count == POLL_OPTIONS_MAX || tokens[at].type != JSON_OBJECT)
            return wanted;
        if (!read_text(request, at, SPAN("id"), LIMIT_ID, &option.id))
            return "an option's id has to be a text of 1 to 256 bytes";
        if (!read_text(request, at, SPAN("text"), LIMIT_POLL_OPTION, &option.text))
            return "an option's text has to be a text of 1 to 256 bytes";
        if (has_option(poll, option.id)) return "two options have the same id";
        poll->options[poll->options_count++] = option;
    }
    return poll->options_count >= POLL_OPTIONS_MIN ? NULL : wanted;
}

static const char *read_cta_url(struct admin_request *request, uint32_t object, struct poll *poll)
{
    uint32_t token = json_member(&request->doc, object, SPAN("cta_url"));
    if (!token || request->doc.tokens[token].type == JSON_NULL) return NULL;
    bool ok = read_text(request, object, SPAN("cta_url"), LIMIT_LANDING_URL, &poll->cta_url) &&
              text_is_landing_url(poll->cta_url);
    return ok ? NULL : "cta_url has to be an http or https URL of at most 2048 bytes";
}

const char *admin_read_poll(struct admin_request *request, uint32_t object, struct poll *poll)
{
    *poll = (struct poll){0};
    if (request->doc.tokens[object].type != JSON_OBJECT) return "the poll has to be a JSON object";
    const char *problem = read_id(request, object, &poll->id);
    if (problem) return problem;
    if (!read_text(request, object, SPAN("question"), LIMIT_POLL_QUESTION, &poll->question))
        return "question has to be a text of 1 to 1000 bytes";
    problem = read_options(request, json_member(&request->doc, object, SPAN("options")), poll);
    return problem ? problem : read_cta_url(request, object, poll);
}

static void write_poll(struct writer *answer, const struct poll *poll)
{
    writer_char(answer, '{');
    json_write_number_member(answer, SPAN("sponsored_poll_id"), poll->id);
    json_write_text_member(answer, SPAN("question"), poll->question);
    writer_lit(answer, ",\"options\":[");
    for (uint32_t i = 0; i < poll->options_count; i++) {
        json_write_comma(answer);
        writer_char(answer, '{');
        json_write_text_member(answer, SPAN("id"), poll->options[i].id);
        json_write_text_member(answer, SPAN("text"), poll->options[i].text);
        writer_char(answer, '}');
    }
    writer_char(answer, ']');
    json_write_text_member(answer, SPAN("cta_url"), poll->cta_url);
    if (poll->withdrawn_at_ms)
        admin_write_time(answer, SPAN("withdrawn_at"), poll->withdrawn_at_ms);
    writer_char(answer, '}');
}

void admin_poll_put(struct admin_request *request, struct writer *answer)
{
    struct op op = {.kind = OP_POLL_PUT, .received_at_ms = clock_wall_ms()};
    uint32_t object = json_member(&request->doc, 0, SPAN("poll"));
    const char *problem =
        object ? admin_read_poll(request, object, &op.poll) : "the poll has to be a JSON object";
    if (problem) {
        admin_fail(answer, problem);
        return;
    }
    ledger_call(request->admin->ledger, &op);
    if (op.outcome == OUTCOME_CONFLICT) {
        admin_fail(answer, "an option that has votes cannot be removed: keep it, or withdraw the "
                           "poll and put another");
    } else if (op.outcome != OUTCOME_RECORDED) {
        admin_fail_unavailable(answer);
    } else {
        writer_lit(answer, "{\"ok\":true,\"poll\":");
        write_poll(answer, &op.poll);
        writer_char(answer, '}');
    }
}

static void list_poll(const struct poll *poll, void *arg)
{
    struct writer *answer = arg;
    json_write_comma(answer);
    write_poll(answer, poll);
}

void admin_poll_list(struct admin_request *request, struct writer *answer)
{
    writer_lit(answer, "{\"ok\":true,\"polls\":[");
    pollbook_each(ledger_pollbook(request->admin->ledger), list_poll, answer);
    writer_lit(answer, "]}");
}

void admin_poll_withdraw(struct admin_request *request, struct writer *answer)
{
    struct op op = {.kind = OP_POLL_WITHDRAW, .received_at_ms = clock_wall_ms()};
    const char *problem = read_id(request, 0, &op.poll.id);
    if (problem) {
        admin_fail(answer, problem);
        return;
    }
    ledger_call(request->admin->ledger, &op);
    if (op.outcome == OUTCOME_RECORDED)
        writer_lit(answer, "{\"ok\":true}");
    else if (op.outcome == OUTCOME_NOT_FOUND)
        admin_fail(answer, "no poll has this id: poll list shows them");
    else
        admin_fail_unavailable(answer);
}
