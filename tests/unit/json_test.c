#include "json_parse.h"

/* Tokens */

#define DOCUMENT " {\"a\" : [1, \"x\\ny\", {}], \"b\\u0062\":-0.50e+1,\"\":null } "

static const struct token_row {
    const char *name;
    uint32_t index;
    enum json_type type;
    struct span raw;
    uint32_t end;
    bool escaped;
} token_rows[] = {
    {"token: object", 0, JSON_OBJECT,
     SPAN_INIT("{\"a\" : [1, \"x\\ny\", {}], \"b\\u0062\":-0.50e+1,\"\":null }"), 10, false},
    {"token: key", 1, JSON_STRING, SPAN_INIT("\"a\""), 2, false},
    {"token: array", 2, JSON_ARRAY, SPAN_INIT("[1, \"x\\ny\", {}]"), 6, false},
    {"token: number", 3, JSON_NUMBER, SPAN_INIT("1"), 4, false},
    {"token: string", 4, JSON_STRING, SPAN_INIT("\"x\\ny\""), 5, true},
    {"token: empty object", 5, JSON_OBJECT, SPAN_INIT("{}"), 6, false},
    {"token: escaped key", 6, JSON_STRING, SPAN_INIT("\"b\\u0062\""), 7, true},
    {"token: number kept as text", 7, JSON_NUMBER, SPAN_INIT("-0.50e+1"), 8, false},
    {"token: empty key", 8, JSON_STRING, SPAN_INIT("\"\""), 9, false},
    {"token: null", 9, JSON_NULL, SPAN_INIT("null"), 10, false},
};

static void token_spans_its_value(void **state)
{
    const struct token_row *row = *state;
    struct json_doc doc;
    assert_error(parse(&doc, SPAN(DOCUMENT)), JSON_OK);
    assert_int_equal(doc.count, 10);
    const struct json_token *token = &doc.tokens[row->index];
    assert_int_equal(token->type, row->type);
    assert_int_equal(token->end, row->end);
    assert_int_equal(token->escaped, row->escaped);
    assert_span(json_raw(&doc, row->index), row->raw);
    size_t quote = row->type == JSON_STRING;
    assert_int_equal(token->len, row->raw.len - 2 * quote);
    assert_memory_equal(doc.text.ptr + token->start, row->raw.ptr + quote, token->len);
}

static void literals_have_their_own_types(void **state)
{
    (void)state;
    struct json_doc doc;
    assert_error(parse(&doc, SPAN("[true,false,null]")), JSON_OK);
    assert_int_equal(doc.tokens[1].type, JSON_TRUE);
    assert_int_equal(doc.tokens[2].type, JSON_FALSE);
    assert_int_equal(doc.tokens[3].type, JSON_NULL);
}

static void end_skips_a_subtree(void **state)
{
    (void)state;
    struct json_doc doc;
    assert_error(parse(&doc, SPAN("[[[1,2],{\"a\":[3]}],[],{\"b\":{}},4]")), JSON_OK);
    static const char *const elements[] = {"[[1,2],{\"a\":[3]}]", "[]", "{\"b\":{}}", "4"};
    size_t count = 0;
    for (uint32_t at = 1; at < doc.tokens[0].end; at = doc.tokens[at].end)
        assert_span(json_raw(&doc, at), span_of(elements[count++]));
    assert_int_equal(count, 4);
    assert_int_equal(doc.tokens[0].end, doc.count);
}

static void cap_is_enough_or_too_large(void **state)
{
    (void)state;
    struct json_doc doc;
    for (uint32_t cap = 0; cap < 5; cap++)
        assert_error(parse_with(&doc, SPAN("[1, 2, 3, 4]  "), cap), JSON_TOO_LARGE);
    assert_error(parse_with(&doc, SPAN("[1, 2, 3, 4]  "), 5), JSON_OK);
    assert_error(parse_with(&doc, SPAN("[1,2,3,4]"), 4), JSON_TOO_LARGE);
    assert_error(parse_with(&doc, SPAN("{\"abcdef\":12345}"), 2), JSON_TOO_LARGE);
    assert_error(parse_with(&doc, SPAN("{\"abcdef\":12345}"), 3), JSON_OK);
}

static void half_the_text_is_always_enough(void **state)
{
    (void)state;
    struct json_doc doc;
    assert_error(parse(&doc, SPAN("1")), JSON_OK);
    assert_error(parse(&doc, SPAN("[[],[],[],[],1]")), JSON_OK);
    assert_error(parse(&doc, SPAN("[1,1,1,1,1,1,1]")), JSON_OK);
    assert_error(parse(&doc, SPAN("{\"\":1}")), JSON_OK);
    assert_error(parse(&doc, SPAN("[[[[[[[[")), JSON_SYNTAX);
}

static void a_text_of_4_gib_is_not_read(void **state)
{
    (void)state;
    struct json_doc doc;
    struct span text = {"1", (size_t)UINT32_MAX};
    assert_error(json_parse(&doc, text, tokens, TOKENS_MAX, SEED), JSON_TOO_LARGE);
}

/* Members */

#define MEMBERS                                                                                    \
    "{\"a\":{\"b\":1},\"b\":[\"c\",2],\"c\\u0064\":3,\"\":4,\"\\ud834\\udd1e\":5,\"longer\":null}"

static const struct member_row {
    const char *name;
    struct span key;
    const char *expected;
} member_rows[] = {
    {"member: first", SPAN_INIT("a"), "{\"b\":1}"},
    {"member: not the one of a nested object", SPAN_INIT("b"), "[\"c\",2]"},
    {"member: no element of an array", SPAN_INIT("c"), NULL},
    {"member: escaped key", SPAN_INIT("cd"), "3"},
    {"member: key as it is written", SPAN_INIT("c\\u0064"), NULL},
    {"member: empty key", SPAN_INIT(""), "4"},
    {"member: surrogate pair", SPAN_INIT("\xf0\x9d\x84\x9e"), "5"},
    {"member: half of an escaped key", SPAN_INIT("\xf0\x9d"), NULL},
    {"member: past an escaped key", SPAN_INIT("cde"), NULL},
    {"member: null is there", SPAN_INIT("longer"), "null"},
    {"member: prefix", SPAN_INIT("long"), NULL},
    {"member: longer than the key", SPAN_INIT("longer!"), NULL},
    {"member: other case", SPAN_INIT("A"), NULL},
};

static void member_is_found(void **state)
{
    const struct member_row *row = *state;
    struct json_doc doc;
    assert_error(parse(&doc, SPAN(MEMBERS)), JSON_OK);
    uint32_t member = json_member(&doc, 0, row->key);
    assert_int_equal(member != 0, row->expected != NULL);
    if (member) assert_span(json_raw(&doc, member), span_of(row->expected));
}

static void member_of_an_inner_object(void **state)
{
    (void)state;
    struct json_doc doc;
    assert_error(parse(&doc, SPAN(MEMBERS)), JSON_OK);
    uint32_t inner = json_member(&doc, 0, SPAN("a"));
    assert_span(json_raw(&doc, json_member(&doc, inner, SPAN("b"))), SPAN("1"));
    assert_int_equal(json_member(&doc, inner, SPAN("a")), 0);
    assert_int_equal(json_member(&doc, inner, SPAN("longer")), 0);
}

static void only_objects_have_members(void **state)
{
    (void)state;
    struct json_doc doc;
    assert_error(parse(&doc, SPAN("[\"a\",1,{}]")), JSON_OK);
    for (uint32_t i = 0; i < doc.count; i++)
        assert_int_equal(json_member(&doc, i, SPAN("a")), 0);
}

static void errors_have_texts(void **state)
{
    (void)state;
    for (int error = JSON_OK; error <= JSON_TOO_LARGE; error++)
        assert_non_null(json_error_text((enum json_error)error));
    assert_string_equal(json_error_text(JSON_DUPLICATE_KEY), "duplicate key in an object");
}

int main(void)
{
    UNIT_ADD_ROWS(token_rows, token_spans_its_value);
    UNIT_ADD(literals_have_their_own_types);
    UNIT_ADD(end_skips_a_subtree);
    UNIT_ADD(cap_is_enough_or_too_large);
    UNIT_ADD(half_the_text_is_always_enough);
    UNIT_ADD(a_text_of_4_gib_is_not_read);
    UNIT_ADD_ROWS(member_rows, member_is_found);
    UNIT_ADD(member_of_an_inner_object);
    UNIT_ADD(only_objects_have_members);
    UNIT_ADD(errors_have_texts);
    return UNIT_RUN_ADDED("json");
}
