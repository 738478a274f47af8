#include "unit.h"

#include "store/postgres/params.h"

static const struct text_row {
    const char *name, *text, *single, *array;
} text_rows[] = {
    {"a word", "word", "word", "{\"word\"}"},
    {"empty", "", "", "{\"\"}"},
    {"a quote", "a\"b", "a\"b", "{\"a\\\"b\"}"},
    {"a backslash", "a\\b", "a\\b", "{\"a\\\\b\"}"},
    {"both at the end", "\\\"", "\\\"", "{\"\\\\\\\"\"}"},
    {"braces and commas", "{1,2}", "{1,2}", "{\"{1,2}\"}"},
    {"the text NULL", "NULL", "NULL", "{\"NULL\"}"},
    {"spaces around", " a ", " a ", "{\" a \"}"},
    {"a line", "a\n", "a\n", "{\"a\n\"}"},
    {"UTF-8", "\xc3\xa9\xf0\x9f\x98\x80", "\xc3\xa9\xf0\x9f\x98\x80",
     "{\"\xc3\xa9\xf0\x9f\x98\x80\"}"},
    {"an apostrophe", "a'b", "a'b", "{\"a'b\"}"},
};

static void text_is_quoted(void **state)
{
    const struct text_row *row = *state;
    struct pg_params params = {.count = 0};
    pg_params_reset(&params, 2);
    pg_set_text(&params, 0, span_of(row->text));
    pg_add_text(&params, 1, span_of(row->text));
    assert_string_equal(params.values[0].text, row->single);
    assert_string_equal(params.values[1].text, row->array);
    assert_false(params.is_out_of_memory || params.is_not_text);
    pg_params_fini(&params);
}

static void arrays_hold_what_was_added(void **state)
{
    struct pg_params params = {.count = 0};
    pg_params_reset(&params, 3);
    assert_string_equal(params.values[0].text, "{}");
    pg_add_i64(&params, 0, INT64_MIN);
    pg_add_null(&params, 0);
    pg_add_i64(&params, 0, INT64_MAX);
    pg_add_text(&params, 1, SPAN("a"));
    pg_add_text(&params, 1, SPAN_NONE);
    pg_add_text(&params, 1, SPAN(""));
    assert_string_equal(params.values[0].text, "{-9223372036854775808,NULL,9223372036854775807}");
    assert_string_equal(params.values[1].text, "{\"a\",NULL,\"\"}");
    assert_int_equal(params.values[1].count, 3);
    pg_params_reset(&params, 1);
    assert_string_equal(params.values[0].text, "{}");
    pg_params_fini(&params);
}

static void single_values_are_what_was_set(void **state)
{
    struct pg_params params = {.count = 0};
    pg_params_reset(&params, 3);
    pg_set_i64(&params, 0, -7);
    pg_set_bytes(&params, 1, "\x00\xff\x10", 3);
    pg_set_text(&params, 2, SPAN_NONE);
    assert_string_equal(params.values[0].text, "-7");
    assert_string_equal(params.values[1].text, "\\x00ff10");
    assert_true(params.values[2].is_null);
    pg_set_text(&params, 2, SPAN("again"));
    assert_false(params.values[2].is_null);
    pg_params_fini(&params);
}

static void arrays_grow(void **state)
{
    enum { COUNT = 20000 };
    struct pg_params params = {.count = 0};
    pg_params_reset(&params, 1);
    for (int i = 0; i < COUNT; i++)
        pg_add_text(&params, 0, SPAN("\\\\\\"));
    assert_int_equal(params.values[0].size, 1 + COUNT * 9 - 1);
    assert_string_equal(params.values[0].text + params.values[0].size - 8, "\"\\\\\\\\\\\\\"}");
    pg_params_fini(&params);
}

/* It would be cut off, and what was sent would be another text. */
static void text_with_nul_is_noticed(void **state)
{
    struct pg_params params = {.count = 0};
    pg_params_reset(&params, 1);
    pg_set_text(&params, 0, SPAN("a\0b"));
    assert_true(params.is_not_text);
    pg_params_reset(&params, 1);
    assert_false(params.is_not_text);
    pg_add_text(&params, 0, SPAN("\0"));
    assert_true(params.is_not_text);
    pg_params_fini(&params);
}

int main(void)
{
    UNIT_ADD_ROWS(text_rows, text_is_quoted);
    UNIT_ADD(arrays_hold_what_was_added);
    UNIT_ADD(single_values_are_what_was_set);
    UNIT_ADD(arrays_grow);
    UNIT_ADD(text_with_nul_is_noticed);
    return UNIT_RUN_ADDED("pg_params");
}
