#include "api/body.h"

bool body_type_is_json(struct span content_type)
{
    struct span rest = content_type;
    return span_eq_nocase(span_trim(span_split(&rest, ';')), SPAN("application/json"));
}

bool body_begin(struct problems *problems, struct api_request *request)
{
    const struct http_request *http = request->http;
    problems_init(problems, http->arena);
    struct span value = SPAN_NONE;
    size_t count = http_request_header(http, SPAN("content-type"), &value);
    if (count == 0 ? !http->has_body : count == 1 && body_type_is_json(value)) return true;
    struct problem problem = {.type = PROBLEM_VALUE,
                              .place = {.part = SPAN("header"), .name = SPAN("content-type")},
                              .msg = "Content-Type should be application/json"};
    problems_add(problems, &problem);
    return false;
}

bool body_parse(struct json_doc *doc, struct span text, struct json_token *tokens, uint32_t cap,
                uint64_t seed, struct problems *problems)
{
    enum json_error error = json_parse(doc, text, tokens, cap, seed);
    struct problem problem = {.type = PROBLEM_JSON, .place = {.part = SPAN("body")}};
    if (error)
        problem.msg = json_error_text(error);
    else if (doc->tokens[0].type != JSON_OBJECT)
        problem.type = PROBLEM_OBJECT;
    else
        return true;
    problems_add(problems, &problem);
    return false;
}

bool body_read(struct fields_reader *reader, struct json_doc *doc, struct problems *problems,
               struct api_request *request)
{
    struct http_request *http = request->http;
    struct api_loop *loop = request->loop;
    if (!body_parse(doc, http->body, loop->tokens, loop->tokens_cap, loop->json_seed, problems))
        return false;
    *reader = (struct fields_reader){
        .doc = doc, .arena = http->arena, .problems = problems, .place = {.part = SPAN("body")}};
    return true;
}

int body_status_s2s(const struct problems *problems)
{
    return problems_have(problems, PROBLEM_JSON) || problems_have(problems, PROBLEM_MISSING) ? 400
                                                                                             : 422;
}
