/* Which texts are JSON: a row per class of case, so that nobody needs JSONTestSuite to see a
 * regression. */

#include "json_parse.h"

#include "base/limits.h"
#include "base/writer.h"

static const struct verdict_row {
    const char *name;
    struct span text;
    enum json_error expected;
} verdict_rows[] = {
#define ROW(name, literal, error)                                                                  \
    {                                                                                              \
        name, SPAN_INIT(literal), error                                                            \
    }
    /* clang-format off */
    ROW("root: object", "{}", JSON_OK),
    ROW("root: array", "[]", JSON_OK),
    ROW("root: string", "\"x\"", JSON_OK),
    ROW("root: empty string", "\"\"", JSON_OK),
    ROW("root: number", "42", JSON_OK),
    ROW("root: true", "true", JSON_OK),
    ROW("root: false", "false", JSON_OK),
    ROW("root: null", "null", JSON_OK),
    ROW("root: nothing", "", JSON_SYNTAX),
    ROW("root: a space", " ", JSON_SYNTAX),
    ROW("root: two documents", "{}{}", JSON_SYNTAX),
    ROW("root: two documents, spaced", "1 2", JSON_SYNTAX),
    ROW("root: trailing comma", "{},", JSON_SYNTAX),
    ROW("root: trailing bracket", "[]]", JSON_SYNTAX),
    ROW("root: trailing brace", "{}}", JSON_SYNTAX),
    ROW("root: trailing letter", "[]x", JSON_SYNTAX),
    ROW("root: trailing NUL", "{}\0", JSON_SYNTAX),
    ROW("root: leading NUL", "\0{}", JSON_SYNTAX),
    ROW("root: byte order mark", "\xef\xbb\xbf{}", JSON_SYNTAX),
    ROW("root: half a byte order mark", "\xef\xbb{}", JSON_SYNTAX),
    ROW("root: UTF-16", "\xff\xfe{\0}\0", JSON_SYNTAX),
    ROW("root: UTF-16 without a mark", "\0[\0]", JSON_SYNTAX),
    ROW("root: e acute", "\xc3\xa9", JSON_SYNTAX),
    ROW("root: broken UTF-8", "\xff", JSON_SYNTAX),
    ROW("root: comma", ",", JSON_SYNTAX),
    ROW("root: colon", ":", JSON_SYNTAX),
    ROW("root: closing bracket", "]", JSON_SYNTAX),
    ROW("root: closing brace", "}", JSON_SYNTAX),
    ROW("root: star", "*", JSON_SYNTAX),
    ROW("root: angle brackets", "<null>", JSON_SYNTAX),
    ROW("root: line comment", "{}//", JSON_SYNTAX),
    ROW("root: block comment", "{}/**/", JSON_SYNTAX),
    ROW("root: hash comment", "{}#", JSON_SYNTAX),

    ROW("space: all four kinds", " \t\r\n{ \t\r\n\"a\" \t\r\n: \t\r\n1 \t\r\n} \t\r\n", JSON_OK),
    ROW("space: in an empty array", "[ ]", JSON_OK),
    ROW("space: form feed", "[\f]", JSON_SYNTAX),
    ROW("space: vertical tab", "[\v]", JSON_SYNTAX),
    ROW("space: no-break space", "[\xc2\xa0]", JSON_SYNTAX),
    ROW("space: word joiner", "[\xe2\x81\xa0]", JSON_SYNTAX),
    ROW("space: escaped line feed", "[\\u000A\"\"]", JSON_SYNTAX),
    ROW("space: NUL in an array", "[\0]", JSON_SYNTAX),
    ROW("space: NUL after a number", "[1\0]", JSON_SYNTAX),

    ROW("literal: unfinished true", "tru", JSON_SYNTAX),
    ROW("literal: unfinished in an array", "[fals]", JSON_SYNTAX),
    ROW("literal: capital", "True", JSON_SYNTAX),
    ROW("literal: upper case", "NULL", JSON_SYNTAX),
    ROW("literal: too long", "nulll", JSON_SYNTAX),
    ROW("literal: NaN", "NaN", JSON_SYNTAX),
    ROW("literal: Infinity", "Infinity", JSON_SYNTAX),
    ROW("literal: undefined", "undefined", JSON_SYNTAX),
    ROW("literal: two in a row", "[truetrue]", JSON_SYNTAX),

    ROW("number: zero", "0", JSON_OK),
    ROW("number: minus zero", "-0", JSON_OK),
    ROW("number: negative", "[-123]", JSON_OK),
    ROW("number: fraction", "[12.340]", JSON_OK),
    ROW("number: fraction of minus zero", "-0.000", JSON_OK),
    ROW("number: exponent", "1e5", JSON_OK),
    ROW("number: exponent of zero", "0e1", JSON_OK),
    ROW("number: exponent with zeros", "1E+007", JSON_OK),
    ROW("number: everything", "-1.5E-3", JSON_OK),
    ROW("number: past every double", "123123e100000", JSON_OK),
    ROW("number: past every integer", "-100000000000000000000000000000", JSON_OK),
    ROW("number: plus", "+1", JSON_SYNTAX),
    ROW("number: minus alone", "-", JSON_SYNTAX),
    ROW("number: minus alone in an array", "[-]", JSON_SYNTAX),
    ROW("number: two minuses", "--1", JSON_SYNTAX),
    ROW("number: minus space", "- 1", JSON_SYNTAX),
    ROW("number: minus letter", "[-x]", JSON_SYNTAX),
    ROW("number: minus Infinity", "-Infinity", JSON_SYNTAX),
    ROW("number: leading zero", "01", JSON_SYNTAX),
    ROW("number: leading zero after minus", "-01", JSON_SYNTAX),
    ROW("number: two zeros", "00", JSON_SYNTAX),
    ROW("number: leading point", ".5", JSON_SYNTAX),
    ROW("number: minus point", "-.5", JSON_SYNTAX),
    ROW("number: trailing point", "1.", JSON_SYNTAX),
    ROW("number: point exponent", "1.e1", JSON_SYNTAX),
    ROW("number: two points", "1.2.3", JSON_SYNTAX),
    ROW("number: exponent without digits", "1e", JSON_SYNTAX),
    ROW("number: signed exponent without digits", "1e+", JSON_SYNTAX),
    ROW("number: fraction, exponent without digits", "[1.5E-]", JSON_SYNTAX),
    ROW("number: two exponents", "1e2e3", JSON_SYNTAX),
    ROW("number: fractional exponent", "1e2.5", JSON_SYNTAX),
    ROW("number: hexadecimal", "0x42", JSON_SYNTAX),
    ROW("number: underscore", "1_000", JSON_SYNTAX),
    ROW("number: thousands", "[1 000]", JSON_SYNTAX),
    ROW("number: letter after", "[1a]", JSON_SYNTAX),
    ROW("number: expression", "[1+2]", JSON_SYNTAX),
    ROW("number: full-width digit", "[\xef\xbc\x91]", JSON_SYNTAX),
    ROW("number: broken UTF-8 after", "[1\xe5]", JSON_SYNTAX),
    ROW("number: followed by a string", "[1\"\"]", JSON_SYNTAX),

    ROW("array: one", "[1]", JSON_OK),
    ROW("array: mixed", "[null,1,\"1\",{},[],true]", JSON_OK),
    ROW("array: open", "[", JSON_SYNTAX),
    ROW("array: open after a value", "[1", JSON_SYNTAX),
    ROW("array: open after a comma", "[1,", JSON_SYNTAX),
    ROW("array: comma alone", "[,]", JSON_SYNTAX),
    ROW("array: trailing comma", "[1,]", JSON_SYNTAX),
    ROW("array: leading comma", "[,1]", JSON_SYNTAX),
    ROW("array: two commas", "[1,,2]", JSON_SYNTAX),
    ROW("array: no comma", "[1 2]", JSON_SYNTAX),
    ROW("array: no comma before an array", "[1[]]", JSON_SYNTAX),
    ROW("array: semicolon", "[1;2]", JSON_SYNTAX),
    ROW("array: colon", "[\"a\":1]", JSON_SYNTAX),
    ROW("array: closed as an object", "[}", JSON_SYNTAX),
    ROW("array: star", "[*]", JSON_SYNTAX),
    ROW("array: inner one not closed", "[[]", JSON_SYNTAX),

    ROW("object: one member", "{\"a\":1}", JSON_OK),
    ROW("object: empty key", "{\"\":1}", JSON_OK),
    ROW("object: nested", "{\"a\":{\"b\":{\"c\":[{}]}}}", JSON_OK),
    ROW("object: open", "{", JSON_SYNTAX),
    ROW("object: open after a key", "{\"a\"", JSON_SYNTAX),
    ROW("object: open after a colon", "{\"a\":", JSON_SYNTAX),
    ROW("object: open after a value", "{\"a\":1", JSON_SYNTAX),
    ROW("object: open after a comma", "{\"a\":1,", JSON_SYNTAX),
    ROW("object: comma alone", "{,}", JSON_SYNTAX),
    ROW("object: trailing comma", "{\"a\":1,}", JSON_SYNTAX),
    ROW("object: two commas", "{\"a\":1,,\"b\":2}", JSON_SYNTAX),
    ROW("object: no comma", "{\"a\":1 \"b\":2}", JSON_SYNTAX),
    ROW("object: no colon", "{\"a\" 1}", JSON_SYNTAX),
    ROW("object: comma for colon", "{\"a\",1}", JSON_SYNTAX),
    ROW("object: two colons", "{\"a\"::1}", JSON_SYNTAX),
    ROW("object: equals sign", "{\"a\"=1}", JSON_SYNTAX),
    ROW("object: no value", "{\"a\":}", JSON_SYNTAX),
    ROW("object: no key", "{:1}", JSON_SYNTAX),
    ROW("object: key alone", "{\"a\"}", JSON_SYNTAX),
    ROW("object: number as key", "{1:1}", JSON_SYNTAX),
    ROW("object: literal as key", "{null:null}", JSON_SYNTAX),
    ROW("object: array as key", "{[]:1}", JSON_SYNTAX),
    ROW("object: bare key", "{a:1}", JSON_SYNTAX),
    ROW("object: single quotes", "{'a':1}", JSON_SYNTAX),
    ROW("object: closed as an array", "{\"a\":1]", JSON_SYNTAX),
    ROW("object: closed as an array, empty", "{]", JSON_SYNTAX),

    ROW("string: every short escape", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", JSON_OK),
    ROW("string: DEL", "\"\x7f\"", JSON_OK),
    ROW("string: solidus as it is", "\"/\"", JSON_OK),
    ROW("string: not closed", "\"a", JSON_SYNTAX),
    ROW("string: quote alone", "\"", JSON_SYNTAX),
    ROW("string: closing quote escaped", "\"a\\\"", JSON_SYNTAX),
    ROW("string: ends in a backslash", "\"\\", JSON_SYNTAX),
    ROW("string: escape x", "\"\\x00\"", JSON_SYNTAX),
    ROW("string: escape a", "\"\\a\"", JSON_SYNTAX),
    ROW("string: escape U", "\"\\U0041\"", JSON_SYNTAX),
    ROW("string: escape apostrophe", "\"\\'\"", JSON_SYNTAX),
    ROW("string: escaped tab byte", "\"\\\t\"", JSON_SYNTAX),
    ROW("string: escaped NUL byte", "\"\\\0\"", JSON_SYNTAX),
    ROW("string: escaped emoji", "\"\\\xf0\x9f\x8c\x80\"", JSON_SYNTAX),
    ROW("string: no digits after u", "\"\\u\"", JSON_SYNTAX),
    ROW("string: three digits after u", "\"\\u041\"", JSON_SYNTAX),
    ROW("string: no hex digit after u", "\"\\u00g1\"", JSON_SYNTAX),
    ROW("string: at sign after u", "\"\\u004@\"", JSON_SYNTAX),
    ROW("string: sign after u", "\"\\u+041\"", JSON_SYNTAX),
    ROW("string: broken UTF-8 after u", "\"\\u00\xe5\x31\"", JSON_SYNTAX),
    ROW("string: text ends in an escape", "\"\\u00", JSON_SYNTAX),
    ROW("string: text ends before the last digit", "\"\\u004", JSON_SYNTAX),
    ROW("string: raw tab", "\"\t\"", JSON_SYNTAX),
    ROW("string: raw line feed", "\"\n\"", JSON_SYNTAX),
    ROW("string: raw 0x1f", "\"\x1f\"", JSON_SYNTAX),
    ROW("string: raw control byte after eight", "\"abcdefghi\x01jklmnop\"", JSON_SYNTAX),
    ROW("string: single quotes", "'a'", JSON_SYNTAX),
    ROW("string: bare word", "[abc]", JSON_SYNTAX),
    ROW("string: smart quotes", "[\xe2\x80\x9c\xe2\x80\x9d]", JSON_SYNTAX),

    ROW("nul: raw", "\"\0\"", JSON_NUL),
    ROW("nul: raw past eight bytes", "\"abcdefghi\0jklmnopq\"", JSON_NUL),
    ROW("nul: escaped", "\"\\u0000\"", JSON_NUL),
    ROW("nul: escaped in a key", "{\"a\\u0000b\":1}", JSON_NUL),
    ROW("nul: raw in a key", "{\"a\0b\":1}", JSON_NUL),
    ROW("nul: an escaped backslash is none", "\"\\\\u0000\"", JSON_OK),
    ROW("nul: U+0001 escaped", "\"\\u0001\"", JSON_OK),

    ROW("surrogate: pair", "\"\\uD834\\uDd1e\"", JSON_OK),
    ROW("surrogate: first pair", "\"\\uD800\\uDC00\"", JSON_OK),
    ROW("surrogate: last pair", "\"\\uDBFF\\uDFFF\"", JSON_OK),
    ROW("surrogate: below and above", "\"\\uD7FF\\uE000\"", JSON_OK),
    ROW("surrogate: high alone", "\"\\uD800\"", JSON_BAD_SURROGATE),
    ROW("surrogate: low alone", "\"\\uDC00\"", JSON_BAD_SURROGATE),
    ROW("surrogate: high before a letter", "\"\\uD800x\"", JSON_BAD_SURROGATE),
    ROW("surrogate: high before a short escape", "\"\\uD800\\n\"", JSON_BAD_SURROGATE),
    ROW("surrogate: high before a BMP escape", "\"\\uD800\\u0041\"", JSON_BAD_SURROGATE),
    ROW("surrogate: two highs", "\"\\uD800\\uD800\"", JSON_BAD_SURROGATE),
    ROW("surrogate: two highs and a low", "\"\\uD800\\uD800\\uDC00\"", JSON_BAD_SURROGATE),
    ROW("surrogate: inverted", "\"\\uDC00\\uD800\"", JSON_BAD_SURROGATE),
    ROW("surrogate: pair and a low", "\"\\uD834\\uDD1E\\uDD1E\"", JSON_BAD_SURROGATE),
    ROW("surrogate: second half unfinished", "\"\\uD800\\uDC0\"", JSON_BAD_SURROGATE),
    ROW("surrogate: in a key", "{\"\\uDC00\":1}", JSON_BAD_SURROGATE),
    ROW("surrogate: text ends after the high", "\"\\uD800", JSON_BAD_SURROGATE),
    ROW("surrogate: text ends in the low", "\"\\uD800\\uDC0", JSON_BAD_SURROGATE),

    ROW("utf8: two bytes, first", "\"\xc2\x80\"", JSON_OK),
    ROW("utf8: two bytes, last", "\"\xdf\xbf\"", JSON_OK),
    ROW("utf8: three bytes, first", "\"\xe0\xa0\x80\"", JSON_OK),
    ROW("utf8: before the surrogates", "\"\xed\x9f\xbf\"", JSON_OK),
    ROW("utf8: after the surrogates", "\"\xee\x80\x80\"", JSON_OK),
    ROW("utf8: noncharacter U+FFFF", "\"\xef\xbf\xbf\"", JSON_OK),
    ROW("utf8: four bytes, first", "\"\xf0\x90\x80\x80\"", JSON_OK),
    ROW("utf8: U+10FFFF", "\"\xf4\x8f\xbf\xbf\"", JSON_OK),
    ROW("utf8: byte order mark inside", "\"\xef\xbb\xbf\"", JSON_OK),
    ROW("utf8: line separator", "\"\xe2\x80\xa8\"", JSON_OK),
    ROW("utf8: in a key", "{\"\xe6\xbc\xa2\":1}", JSON_OK),
    ROW("utf8: continuation alone", "\"\x80\"", JSON_BAD_UTF8),
    ROW("utf8: 0xff", "\"\xff\"", JSON_BAD_UTF8),
    ROW("utf8: 0xf8", "\"\xf8\x88\x80\x80\x80\"", JSON_BAD_UTF8),
    ROW("utf8: latin 1", "\"caf\xe9\"", JSON_BAD_UTF8),
    ROW("utf8: truncated two", "\"\xc3\"", JSON_BAD_UTF8),
    ROW("utf8: truncated three", "\"\xe0\xa0\"", JSON_BAD_UTF8),
    ROW("utf8: truncated four", "\"\xf0\x90\x80\"", JSON_BAD_UTF8),
    ROW("utf8: text ends in a sequence", "\"\xf0\x90", JSON_BAD_UTF8),
    ROW("utf8: overlong two, low", "\"\xc0\xaf\"", JSON_BAD_UTF8),
    ROW("utf8: overlong two, high", "\"\xc1\xbf\"", JSON_BAD_UTF8),
    ROW("utf8: overlong NUL", "\"\xc0\x80\"", JSON_BAD_UTF8),
    ROW("utf8: overlong three", "\"\xe0\x9f\xbf\"", JSON_BAD_UTF8),
    ROW("utf8: overlong four", "\"\xf0\x8f\xbf\xbf\"", JSON_BAD_UTF8),
    ROW("utf8: first surrogate", "\"\xed\xa0\x80\"", JSON_BAD_UTF8),
    ROW("utf8: last surrogate", "\"\xed\xbf\xbf\"", JSON_BAD_UTF8),
    ROW("utf8: U+110000", "\"\xf4\x90\x80\x80\"", JSON_BAD_UTF8),
    ROW("utf8: 0xf5", "\"\xf5\x80\x80\x80\"", JSON_BAD_UTF8),
    ROW("utf8: second byte no continuation", "\"\xe2\x28\xa1\"", JSON_BAD_UTF8),
    ROW("utf8: third byte no continuation", "\"\xe2\x82\x28\"", JSON_BAD_UTF8),
    ROW("utf8: fourth byte no continuation", "\"\xf0\x90\x80\x28\"", JSON_BAD_UTF8),
    ROW("utf8: broken past eight bytes", "\"abcdefghij\xff\"", JSON_BAD_UTF8),
    ROW("utf8: broken in a key", "{\"\xb9\":\"0\"}", JSON_BAD_UTF8),

    ROW("duplicate: adjacent", "{\"a\":1,\"a\":2}", JSON_DUPLICATE_KEY),
    ROW("duplicate: equal values too", "{\"a\":1,\"a\":1}", JSON_DUPLICATE_KEY),
    ROW("duplicate: empty keys", "{\"\":1,\"\":2}", JSON_DUPLICATE_KEY),
    ROW("duplicate: apart", "{\"a\":1,\"b\":[{}],\"a\":2}", JSON_DUPLICATE_KEY),
    ROW("duplicate: one escaped", "{\"a\":1,\"\\u0061\":2}", JSON_DUPLICATE_KEY),
    ROW("duplicate: the other escaped", "{\"\\u0061\":1,\"a\":2}", JSON_DUPLICATE_KEY),
    ROW("duplicate: escaped in two ways", "{\"\\u002f\":1,\"\\/\":2}", JSON_DUPLICATE_KEY),
    ROW("duplicate: case of hex digits", "{\"\\u00e9\":1,\"\\u00E9\":2}", JSON_DUPLICATE_KEY),
    ROW("duplicate: two-byte character", "{\"\\u00e9\":1,\"\xc3\xa9\":2}", JSON_DUPLICATE_KEY),
    ROW("duplicate: three-byte character", "{\"\\u6f22\":1,\"\xe6\xbc\xa2\":2}", JSON_DUPLICATE_KEY),
    ROW("duplicate: surrogate pair", "{\"\\ud834\\udd1e\":1,\"\xf0\x9d\x84\x9e\":2}",
        JSON_DUPLICATE_KEY),
    ROW("duplicate: eight bytes", "{\"12345678\":1,\"1234567\\u0038\":2}", JSON_DUPLICATE_KEY),
    ROW("duplicate: past eight bytes", "{\"123456789\":1,\"12345678\\u0039\":2}", JSON_DUPLICATE_KEY),
    ROW("duplicate: at the end of the text", "[{\"abc\":1,\"abc\":2}]", JSON_DUPLICATE_KEY),
    ROW("duplicate: nested", "{\"a\":{\"b\":{\"c\":1,\"c\":2}}}", JSON_DUPLICATE_KEY),
    ROW("duplicate: in an array", "[{\"a\":1},{\"a\":1,\"a\":1}]", JSON_DUPLICATE_KEY),
    ROW("duplicate: after a container", "{\"a\":{\"x\":1},\"b\":2,\"a\":3}", JSON_DUPLICATE_KEY),
    ROW("distinct: inside and outside", "{\"a\":{\"a\":{\"a\":1}}}", JSON_OK),
    ROW("distinct: siblings", "[{\"a\":1},{\"a\":1}]", JSON_OK),
    ROW("distinct: case", "{\"a\":1,\"A\":2}", JSON_OK),
    ROW("distinct: prefix", "{\"a\":1,\"ab\":2,\"\":3}", JSON_OK),
    ROW("distinct: key and value", "{\"a\":\"b\",\"b\":\"a\"}", JSON_OK),
    ROW("distinct: normalization forms", "{\"\\u00e9\":1,\"e\\u0301\":2}", JSON_OK),
    ROW("distinct: escaped backslash", "{\"a\":1,\"\\\\u0061\":2}", JSON_OK),
    ROW("distinct: escaped prefix", "{\"\\u0061\":1,\"\\u0061b\":2}", JSON_OK),
/* clang-format on */
#undef ROW
};

static void verdict_is_right(void **state)
{
    const struct verdict_row *row = *state;
    struct json_doc doc;
    assert_error(parse(&doc, row->text), row->expected);
}

static char text_memory[TEXT_MAX];

static struct span nested(const char *open, const char *inner, const char *close, size_t depth)
{
    struct writer out;
    writer_init(&out, text_memory, sizeof text_memory);
    for (size_t i = 0; i < depth; i++)
        writer_put(&out, span_of(open));
    writer_put(&out, span_of(inner));
    for (size_t i = 0; i < depth; i++)
        writer_put(&out, span_of(close));
    assert_false(out.overflow);
    return writer_text(&out);
}

static const struct depth_row {
    const char *name;
    const char *open, *inner, *close;
    size_t depth;
    enum json_error expected;
} depth_rows[] = {
    {"depth: arrays, the limit", "[", "", "]", LIMIT_JSON_DEPTH, JSON_OK},
    {"depth: arrays, one more", "[", "", "]", LIMIT_JSON_DEPTH + 1, JSON_TOO_DEEP},
    {"depth: a scalar is no level", "[", "1", "]", LIMIT_JSON_DEPTH, JSON_OK},
    {"depth: objects, the limit", "{\"a\":", "1", "}", LIMIT_JSON_DEPTH, JSON_OK},
    {"depth: objects, one more", "{\"a\":", "1", "}", LIMIT_JSON_DEPTH + 1, JSON_TOO_DEEP},
    {"depth: mixed, the limit", "[{\"a\":", "1", "}]", LIMIT_JSON_DEPTH / 2, JSON_OK},
    {"depth: mixed, one more", "[{\"a\":", "[]", "}]", LIMIT_JSON_DEPTH / 2, JSON_TOO_DEEP},
    {"depth: 500 arrays", "[", "", "]", 500, JSON_TOO_DEEP},
    {"depth: 100000 open arrays", "[", "", "", 100000, JSON_TOO_DEEP},
    {"depth: 100000 open objects and arrays", "[{\"\":", "", "", 100000, JSON_TOO_DEEP},
};

static void depth_is_limited(void **state)
{
    const struct depth_row *row = *state;
    struct json_doc doc;
    assert_error(parse(&doc, nested(row->open, row->inner, row->close, row->depth)), row->expected);
}

int main(void)
{
    UNIT_ADD_ROWS(verdict_rows, verdict_is_right);
    UNIT_ADD_ROWS(depth_rows, depth_is_limited);
    return UNIT_RUN_ADDED("json_verdict");
}
