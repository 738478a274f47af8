/* The text of strings: escapes, UTF-8, and writing what reading gives back. */

#include "json_parse.h"

#include "json/write.h"

static char text_memory[TEXT_MAX];
static _Alignas(16) char arena_memory[4096];

static const struct string_row {
    const char *name;
    struct span text, expected;
} string_rows[] = {
#define ROW(name, literal, unescaped)                                                              \
    {                                                                                              \
        name, SPAN_INIT(literal), SPAN_INIT(unescaped)                                             \
    }
    ROW("unescape: nothing", "\"plain\"", "plain"),
    ROW("unescape: empty", "\"\"", ""),
    ROW("unescape: short ones", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"),
    ROW("unescape: text around", "\"ab\\ncd\\nef\"", "ab\ncd\nef"),
    ROW("unescape: at both ends", "\"\\tx\\t\"", "\tx\t"),
    ROW("unescape: one byte", "\"\\u0041\\u007f\\u0001\"", "A\x7f\x01"),
    ROW("unescape: two bytes", "\"\\u0080\\u07FF\"", "\xc2\x80\xdf\xbf"),
    ROW("unescape: three bytes", "\"\\u0800\\uffff\"", "\xe0\xa0\x80\xef\xbf\xbf"),
    ROW("unescape: around the surrogates", "\"\\ud7ff\\ue000\"", "\xed\x9f\xbf\xee\x80\x80"),
    ROW("unescape: four bytes, first", "\"\\ud800\\udc00\"", "\xf0\x90\x80\x80"),
    ROW("unescape: four bytes, last", "\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf"),
    ROW("unescape: G clef", "\"\\uD834\\uDD1E\"", "\xf0\x9d\x84\x9e"),
    ROW("unescape: raw and escaped", "\"\xc3\xa9\\u00e9\"", "\xc3\xa9\xc3\xa9"),
    ROW("unescape: backslash before u", "\"\\\\u0041\"", "\\u0041"),
    ROW("unescape: backslash at the end", "\"a\\\\\"", "a\\"),
#undef ROW
};

static void string_is_unescaped(void **state)
{
    const struct string_row *row = *state;
    struct json_doc doc;
    struct arena arena;
    arena_init(&arena, arena_memory, sizeof arena_memory);
    assert_error(parse(&doc, row->text), JSON_OK);
    struct span text = json_string(&doc, 0, &arena);
    assert_span(text, row->expected);
    bool borrowed = text.ptr >= doc.text.ptr && text.ptr < doc.text.ptr + doc.text.len;
    assert_int_equal(borrowed, !doc.tokens[0].escaped);
    assert_int_equal(arena.used > 0, doc.tokens[0].escaped);
}

static void unescaper_yields_the_same_bytes(void **state)
{
    const struct string_row *row = *state;
    struct json_doc doc;
    assert_error(parse(&doc, row->text), JSON_OK);
    struct json_unescaper from = json_unescape(&doc, 0);
    for (size_t i = 0; i < row->expected.len; i++)
        assert_int_equal(json_next_byte(&from), (unsigned char)row->expected.ptr[i]);
    assert_int_equal(json_next_byte(&from), -1);
    assert_int_equal(json_next_byte(&from), -1);
}

static void string_of_a_full_arena_is_absent(void **state)
{
    (void)state;
    struct json_doc doc;
    struct arena arena;
    arena_init(&arena, arena_memory, 32);
    assert_error(parse(&doc, SPAN("[\"0123456789\\n\",\"borrowed, however long it may be\"]")),
                 JSON_OK);
    assert_span(json_string(&doc, 1, &arena), SPAN("0123456789\n"));
    assert_span(json_string(&doc, 1, &arena), SPAN("0123456789\n"));
    assert_null(json_string(&doc, 1, &arena).ptr);
    assert_span(json_string(&doc, 2, &arena), SPAN("borrowed, however long it may be"));
}

static void strings_in_the_arena_do_not_overlap(void **state)
{
    (void)state;
    struct json_doc doc;
    struct arena arena;
    arena_init(&arena, arena_memory, sizeof arena_memory);
    assert_error(parse(&doc, SPAN("[\"first\\t\",\"second\\t\"]")), JSON_OK);
    struct span first = json_string(&doc, 1, &arena);
    struct span second = json_string(&doc, 2, &arena);
    assert_span(first, SPAN("first\t"));
    assert_span(second, SPAN("second\t"));
}

static void string_of_another_type_is_absent(void **state)
{
    (void)state;
    struct json_doc doc;
    struct arena arena;
    arena_init(&arena, arena_memory, sizeof arena_memory);
    assert_error(parse(&doc, SPAN("[1,null,true,{},[]]")), JSON_OK);
    for (uint32_t i = 0; i < doc.count; i++)
        assert_null(json_string(&doc, i, &arena).ptr);
}

/* Every offset of a byte against the eight that are looked at together. */
static void special_bytes_are_seen_at_every_offset(void **state)
{
    (void)state;
    struct json_doc doc;
    for (size_t len = 1; len < 40; len++) {
        for (size_t at = 1; at <= len; at++) {
            memset(text_memory, 'x', len + 2);
            text_memory[0] = text_memory[len + 1] = '"';
            assert_error(parse(&doc, (struct span){text_memory, len + 2}), JSON_OK);
            text_memory[at] = '\x1f';
            assert_error(parse(&doc, (struct span){text_memory, len + 2}), JSON_SYNTAX);
            text_memory[at] = '\0';
            assert_error(parse(&doc, (struct span){text_memory, len + 2}), JSON_NUL);
            text_memory[at] = '\x80';
            assert_error(parse(&doc, (struct span){text_memory, len + 2}), JSON_BAD_UTF8);
            text_memory[at] = '\x20';
            assert_error(parse(&doc, (struct span){text_memory, len + 2}), JSON_OK);
            text_memory[at] = '"';
            assert_error(parse(&doc, (struct span){text_memory, len + 2}), JSON_SYNTAX);
            text_memory[at] = '\\';
            assert_error(parse(&doc, (struct span){text_memory, len + 2}), JSON_SYNTAX);
        }
    }
}

/* UTF-8 */

static void characters_are_code_points(void **state)
{
    (void)state;
    assert_int_equal(json_characters(SPAN("")), 0);
    assert_int_equal(json_characters(SPAN_NONE), 0);
    assert_int_equal(json_characters(SPAN("abc")), 3);
    assert_int_equal(json_characters(SPAN("\xc3\xa9\xe6\xbc\xa2\xf0\x9d\x84\x9e!")), 4);
    assert_int_equal(json_characters(SPAN("e\xcc\x81")), 2);
}

static void put_utf8(char *out, uint32_t point, size_t len)
{
    for (size_t i = len - 1; i > 0; i--, point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3f));
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    out[0] = (char)(leads[len] | point);
}

/* All that the bit patterns of 1 to 4 bytes can hold. */
static void utf8_takes_each_code_point_in_its_shortest_form(void **state)
{
    (void)state;
    static const uint32_t ends[] = {0, 0x80, 0x800, 0x10000, 0x200000};
    for (size_t len = 1; len <= 4; len++) {
        for (uint32_t point = 0; point < ends[len]; point++) {
            char bytes[4];
            put_utf8(bytes, point, len);
            bool well_formed =
                point >= ends[len - 1] && point < 0x110000 && (point < 0xd800 || point > 0xdfff);
            if (json_utf8_valid((struct span){bytes, len}) != well_formed)
                fail_msg("U+%04X in %zu bytes", point, len);
        }
    }
}

/* ASCII is read by eights: what is not stands at each place among it, whole and cut. */
static void utf8_is_checked_at_every_place(void **state)
{
    (void)state;
    enum { LEN = 26 };
    for (size_t len = 2; len <= LEN; len++)
        for (size_t place = 0; place < len; place++) {
            char text[LEN];
            memset(text, 'a', sizeof text);
            text[place] = '\xc3';
            assert_false(json_utf8_valid((struct span){text, len}));
            if (place + 1 == len) continue;
            text[place + 1] = '\xa9';
            assert_true(json_utf8_valid((struct span){text, len}));
        }
}

static void utf8_refuses_every_cut(void **state)
{
    (void)state;
    static const char text[] = "a\xc3\xa9\xe6\xbc\xa2\xf0\x9d\x84\x9e";
    static const bool whole[] = {true, true, false, true, false, false, true, false, false, false};
    for (size_t len = 0; len < sizeof whole; len++)
        assert_int_equal(json_utf8_valid((struct span){text, len}), whole[len]);
    assert_true(json_utf8_valid(SPAN(text)));
    assert_true(json_utf8_valid(SPAN("nul \0 is UTF-8")));
    assert_true(json_utf8_valid(SPAN_NONE));
    assert_false(json_utf8_valid(SPAN("\xf8\x88\x80\x80\x80")));
}

/* Writing */

static void written_members_read_back(void **state)
{
    (void)state;
    char memory[256];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    writer_char(&out, '{');
    json_write_text_member(&out, SPAN("absent"), SPAN_NONE);
    json_write_text_member(&out, SPAN("a"), SPAN("x\"y\\z\n\x01\x1f\x7f/\xc3\xa9"));
    json_write_text_member(&out, SPAN("absent too"), SPAN_NONE);
    json_write_number_member(&out, SPAN("n\""), INT64_MIN);
    json_write_text_member(&out, SPAN("empty"), SPAN(""));
    json_write_comma(&out);
    json_write_key(&out, SPAN("list"));
    writer_char(&out, '[');
    json_write_comma(&out);
    json_write_string(&out, SPAN("["));
    json_write_comma(&out);
    json_write_string(&out, SPAN("{"));
    writer_lit(&out, "]}");
    assert_false(out.overflow);
    assert_span(writer_text(&out),
                SPAN("{\"a\":\"x\\\"y\\\\z\\n\\u0001\\u001f\x7f/\xc3\xa9\","
                     "\"n\\\"\":-9223372036854775808,\"empty\":\"\",\"list\":[\"[\",\"{\"]}"));
    struct json_doc doc;
    assert_error(parse(&doc, writer_text(&out)), JSON_OK);
}

static void every_byte_survives_writing_and_reading(void **state)
{
    (void)state;
    char bytes[0x7f];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i + 1);
    char memory[512];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    json_write_string(&out, (struct span){bytes, sizeof bytes});
    struct json_doc doc;
    struct arena arena;
    arena_init(&arena, arena_memory, sizeof arena_memory);
    assert_error(parse(&doc, writer_text(&out)), JSON_OK);
    assert_span(json_string(&doc, 0, &arena), (struct span){bytes, sizeof bytes});
}

static void a_comma_stands_only_between(void **state)
{
    (void)state;
    char memory[8];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    json_write_comma(&out);
    assert_int_equal(out.len, 0);
    writer_char(&out, '[');
    json_write_comma(&out);
    assert_span(writer_text(&out), SPAN("["));
    writer_char(&out, '1');
    json_write_comma(&out);
    assert_span(writer_text(&out), SPAN("[1,"));
}

static void what_does_not_fit_sets_overflow(void **state)
{
    (void)state;
    char memory[64];
    struct writer out;
    for (size_t size = 0; size < 20; size++) {
        writer_init(&out, memory, size);
        json_write_text_member(&out, SPAN("name"), SPAN("te\nxt"));
        assert_int_equal(out.overflow, size < sizeof "\"name\":\"te\\nxt\"" - 1);
        assert_true(out.len <= size);
    }
}

int main(void)
{
    UNIT_ADD_ROWS(string_rows, string_is_unescaped);
    UNIT_ADD_ROWS(string_rows, unescaper_yields_the_same_bytes);
    UNIT_ADD(string_of_a_full_arena_is_absent);
    UNIT_ADD(strings_in_the_arena_do_not_overlap);
    UNIT_ADD(string_of_another_type_is_absent);
    UNIT_ADD(special_bytes_are_seen_at_every_offset);
    UNIT_ADD(characters_are_code_points);
    UNIT_ADD(utf8_takes_each_code_point_in_its_shortest_form);
    UNIT_ADD(utf8_refuses_every_cut);
    UNIT_ADD(utf8_is_checked_at_every_place);
    UNIT_ADD(written_members_read_back);
    UNIT_ADD(every_byte_survives_writing_and_reading);
    UNIT_ADD(a_comma_stands_only_between);
    UNIT_ADD(what_does_not_fit_sets_overflow);
    return UNIT_RUN_ADDED("json_string");
}
