#include "unit.h"

#include "api/params.h"

#include <string.h>

/* A body in, the params column out. `plan` is unlisted, `event_name` and `params` are listed. */

struct row {
    const char *name;
    const char *body;
    const char *params; /* of an event */
};

#define STAMPS                                                                                     \
    "\"integration\":\"partner_s2s\",\"partner_id\":\"acme \\\"1\\\"\",\"api_key_label\":\"main\""

static const struct row events[] = {
    {"nothing but stamps", "{}", "{" STAMPS "}"},
    {"the client's come first", "{\"params\":{\"a\": 1.50,\"b\":[1, 2]}}",
     "{\"a\":1.50,\"b\":[1, 2]," STAMPS "}"},
    {"stamps replace the client's",
     "{\"params\":{\"integration\":1,\"a\":1,\"partner_id\":\"x\",\"api_key_label\":{}}}",
     "{\"a\":1," STAMPS "}"},
    {"also when it spells them with escapes", "{\"params\":{\"partner\\u005fid\":\"x\"}}",
     "{" STAMPS "}"},
    {"unlisted fields", "{\"event_name\":\"e\",\"plan\":\"gold\",\"seats\":3}",
     "{" STAMPS ",\"extra\":{\"plan\":\"gold\",\"seats\":3}}"},
    {"a listed name with escapes is no extra", "{\"event\\u005fname\":\"e\"}", "{" STAMPS "}"},
    {"the client's extra is merged under them",
     "{\"params\":{\"extra\":{\"plan\":\"lead\",\"colour\":\"red\"}},\"plan\":\"gold\"}",
     "{" STAMPS ",\"extra\":{\"plan\":\"gold\",\"colour\":\"red\"},\"extra_dropped\":1}"},
    {"the client's extra alone", "{\"params\":{\"extra\":{\"a\":1},\"b\":2}}",
     "{\"b\":2," STAMPS ",\"extra\":{\"a\":1}}"},
    {"an extra that is no object", "{\"params\":{\"extra\":\"x\"},\"plan\":1}",
     "{" STAMPS ",\"extra\":{\"plan\":1},\"extra_dropped\":1}"},
    {"a null extra is absent", "{\"params\":{\"extra\":null}}", "{" STAMPS "}"},
    {"a count of the client's own", "{\"params\":{\"extra_dropped\":99,\"a\":1}}",
     "{\"a\":1," STAMPS "}"},
};

static const struct row conversions[] = {
    {"no unlisted fields, no params", "{\"event_name\":\"e\"}", NULL},
    {"unlisted fields", "{\"plan\":\"gold\",\"tax\":12.10}",
     "{\"extra\":{\"plan\":\"gold\",\"tax\":12.10}}"},
    {"a field called extra", "{\"extra\":{\"a\":1}}", "{\"extra\":{\"extra\":{\"a\":1}}}"},
};

static const struct field field_rows[] = {
    {SPAN_INIT("event_name"), 0, FIELD_ID},
    {SPAN_INIT("params"), 1, FIELD_OBJECT},
};
static const struct fields fields = {field_rows, 2};

static _Alignas(16) char memory[64 * 1024];
static struct json_token tokens[256];

struct source {
    struct arena arena;
    struct json_doc doc;
    struct params_source params;
};

static void read_body(struct source *source, const char *body)
{
    struct problems problems;
    struct field_value values[2] = {{0}};
    arena_init(&source->arena, memory, sizeof memory);
    problems_init(&problems, &source->arena);
    assert_int_equal(json_parse(&source->doc, span_of(body), tokens, 256, 7), JSON_OK);
    struct fields_reader reader = {
        .doc = &source->doc, .arena = &source->arena, .problems = &problems};
    uint32_t unlisted = fields_read(&reader, &fields, 0, values);
    assert_int_equal(problems.count, 0);
    source->params = (struct params_source){.doc = &source->doc,
                                            .arena = &source->arena,
                                            .unlisted = unlisted,
                                            .params = values[1].token};
}

static void check(struct span params, const char *expected)
{
    char text[4096] = "";
    assert_int_equal(params.ptr != NULL, expected != NULL);
    if (!expected || !params.ptr) return;
    assert_true(params.len < sizeof text);
    memcpy(text, params.ptr, params.len);
    assert_string_equal(text, expected);
}

static void event_params(void **state)
{
    const struct row *row = *state;
    struct source source;
    struct sender sender = {.partner_id = SPAN("acme \"1\""), .api_key_label = SPAN("main")};
    read_body(&source, row->body);
    check(params_of_event(&source.params, &sender), row->params);
}

static void conversion_params(void **state)
{
    const struct row *row = *state;
    struct source source;
    read_body(&source, row->body);
    check(params_of_conversion(&source.params), row->params);
}

int main(void)
{
    UNIT_ADD_ROWS(events, event_params);
    UNIT_ADD_ROWS(conversions, conversion_params);
    return UNIT_RUN_ADDED("api_params");
}
