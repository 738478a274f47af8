#include "unit.h"

#include "base/arena.h"
#include "base/limits.h"
#include "event/extra.h"
#include "random.h"

#include <stdbool.h>
#include <string.h>

enum { TEXT_MAX = 128 * 1024, TOKENS_MAX = TEXT_MAX / 2 + 1, SEED = 7 };

static struct json_token tokens[TOKENS_MAX];
static struct json_token made_tokens[TOKENS_MAX];
static char text_memory[TEXT_MAX];
static char made_memory[TEXT_MAX];

struct result {
    struct span text;
    uint32_t dropped;
};

static struct json_doc parse(struct span text, struct json_token *into)
{
    struct json_doc doc;
    enum json_error error = json_parse(&doc, text, into, TOKENS_MAX, SEED);
    if (error != JSON_OK) fail_msg("%s: %.*s", json_error_text(error), SPAN_FMT(text));
    return doc;
}

static void add_members(struct extra *extra, const struct json_doc *doc)
{
    for (uint32_t key = 1; key < doc->count; key = doc->tokens[key + 1].end)
        extra_add(extra, doc, key, key + 1);
}

/* Sanitizes the members of an object, with `room` bytes to write to. */
static struct result sanitize_into(struct span text, size_t room)
{
    struct json_doc doc = parse(text, tokens);
    struct writer out;
    struct extra extra;
    writer_init(&out, made_memory, room);
    extra_open(&extra, &out);
    add_members(&extra, &doc);
    extra_close(&extra);
    return (struct result){writer_text(&out), extra.dropped};
}

static struct result sanitize(struct span text)
{
    struct result made = sanitize_into(text, sizeof made_memory);
    parse(made.text, made_tokens);
    assert_true(made.text.len <= LIMIT_EXTRA);
    return made;
}

static const struct small_row {
    const char *name;
    const char *text;
    const char *expected; /* NULL: as it came */
    uint32_t dropped;
} small_rows[] = {
    /* clang-format off */
    {"nothing", "{}", NULL, 0},
    {"one string", "{\"customer_tier\":\"gold\"}", NULL, 0},
    {"every type", "{\"a\":null,\"b\":true,\"c\":false,\"d\":-1.50e+3,\"e\":\"\",\"f\":[],\"g\":{}}", NULL, 0},
    {"white space goes", " { \"a\" : [ 1 , 2 ] ,\n\"b\" : { \"c\" : 1 } } ", "{\"a\":[1,2],\"b\":{\"c\":1}}", 0},
    {"number text stays", "{\"a\":1.10,\"b\":1E5,\"c\":-0,\"d\":12345678901234567890123}", NULL, 0},
    {"empty key", "{\"\":1}", NULL, 0},
    {"quote and backslash", "{\"a\\\"b\":\"c\\\\d\"}", NULL, 0},
    {"solidus needs no escape", "{\"a\":\"b\\/c\"}", "{\"a\":\"b/c\"}", 0},
    {"escaped letters become themselves", "{\"\\u0061\":\"\\u00e9\"}", "{\"a\":\"\xc3\xa9\"}", 0},
    {"surrogate pair becomes one character", "{\"a\":\"\\ud83d\\ude00\"}", "{\"a\":\"\xf0\x9f\x98\x80\"}", 0},
    {"escaped quote by number", "{\"a\":\"\\u0022\"}", "{\"a\":\"\\\"\"}", 0},
    {"escaped backslash by number", "{\"a\":\"\\u005cn\"}", "{\"a\":\"\\\\n\"}", 0},
    {"line feed and tab go", "{\"a\":\"b\\n\\tc\\r\"}", "{\"a\":\"bc\"}", 0},
    {"all short escapes of controls go", "{\"a\":\"\\b\\f\\n\\r\\t\"}", "{\"a\":\"\"}", 0},
    {"U+0001 and U+001F go", "{\"a\":\"\\u0001x\\u001f\"}", "{\"a\":\"x\"}", 0},
    {"U+0020 stays", "{\"a\":\" \\u0020\"}", "{\"a\":\"  \"}", 0},
    {"U+007E stays, U+007F goes", "{\"a\":\"~\x7f\\u007f\"}", "{\"a\":\"~\"}", 0},
    {"U+0080 and U+009F go", "{\"a\":\"\xc2\x80\xc2\x9f\\u0080\\u009f\\u0085\"}", "{\"a\":\"\"}", 0},
    {"U+00A0 stays", "{\"a\":\"\xc2\xa0\\u00a0\"}", "{\"a\":\"\xc2\xa0\xc2\xa0\"}", 0},
    {"lead byte C3 is no control", "{\"a\":\"\xc3\x80\xc3\x9f\"}", NULL, 0},
    {"trail bytes of longer characters are no controls", "{\"a\":\"\xe2\x80\x8b\xf0\x9f\x82\x80\"}", NULL, 0},
    {"line separator is no control", "{\"a\":\"\\u2028\"}", "{\"a\":\"\xe2\x80\xa8\"}", 0},
    {"format characters stay", "{\"a\":\"\xe2\x80\xae\"}", NULL, 0},
    {"controls go from keys", "{\"a\\n\\u0080b\":1}", "{\"ab\":1}", 0},
    {"a key of controls alone is the empty key", "{\"\\u0001\":1}", "{\"\":1}", 0},
    {"a repeated key by sanitizing", "{\"a\":1,\"a\\u0001\":2,\"b\":3}", "{\"a\":1,\"b\":3}", 1},
    {"a repeated key by sanitizing, clean one later", "{\"a\\u0001\":1,\"a\":2}", "{\"a\":1}", 1},
    {"repeated empty keys", "{\"\\u0001\":1,\"\\u0002\":2,\"\":3}", "{\"\":1}", 2},
    {"a repeated key with an escape in it", "{\"\\\"\":1,\"\\u0022\\n\":2}", "{\"\\\"\":1}", 1},
    {"a repeated key drops its subtree as one", "{\"a\":1,\"a\\n\":{\"b\":[1,2,{\"c\":3}]},\"d\":4}", "{\"a\":1,\"d\":4}", 1},
    {"a repeated key inside", "{\"a\":{\"b\":1,\"b\\n\":2}}", "{\"a\":{\"b\":1}}", 1},
    {"a repeated key in an object of an array", "{\"a\":[{\"b\":1,\"b\\n\":2},{\"b\":3}]}", "{\"a\":[{\"b\":1},{\"b\":3}]}", 1},
    {"the same key at two levels", "{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":2}}", NULL, 0},
    {"the same key after a nested object", "{\"x\":{\"a\":1},\"a\":2,\"a\\n\":3}", "{\"x\":{\"a\":1},\"a\":2}", 1},
    {"a prefix of a key is another", "{\"ab\":1,\"a\":2,\"abc\":3}", NULL, 0},
    {"case makes another key", "{\"a\":1,\"A\":2}", NULL, 0},
    {"depth 4 of objects", "{\"a\":{\"b\":{\"c\":{\"d\":1}}}}", NULL, 0},
    {"depth 5 of objects", "{\"a\":{\"b\":{\"c\":{\"d\":{}}}}}", "{\"a\":{\"b\":{\"c\":{}}}}", 1},
    {"depth 5 keeps its neighbours", "{\"a\":{\"b\":{\"c\":{\"x\":1,\"d\":{\"e\":1},\"y\":2}}}}", "{\"a\":{\"b\":{\"c\":{\"x\":1,\"y\":2}}}}", 1},
    {"depth 4 of arrays", "{\"a\":[[[1]]]}", NULL, 0},
    {"depth 5 of arrays", "{\"a\":[[[1,[],2,[3],{}]]]}", "{\"a\":[[[1,2]]]}", 3},
    {"depth counts arrays and objects alike", "{\"a\":[{\"b\":[1,{}]}]}", "{\"a\":[{\"b\":[1]}]}", 1},
    {"a deep one is one, whatever it holds", "{\"a\":[[[[1,2,[3,[4]]]]]],\"b\":1}", "{\"a\":[[[]]],\"b\":1}", 1},
    {"a first element left out needs no comma", "{\"a\":[[[[1],2,3]]]}", "{\"a\":[[[2,3]]]}", 1},
    {"a string that ends in a bracket", "{\"a\":[\"[\",\"{\",1],\"{\":\"[\",\"b\":1}", NULL, 0},
    {"HTML is not touched", "{\"a\":\"<script>&'\"}" , NULL, 0},
    /* clang-format on */
};

static void small_document_is_sanitized(void **state)
{
    const struct small_row *row = *state;
    struct result made = sanitize(span_of(row->text));
    struct span expected = span_of(row->expected ? row->expected : row->text);
    if (!span_eq(made.text, expected)) fail_msg("%.*s", SPAN_FMT(made.text));
    assert_int_equal(made.dropped, row->dropped);
}

/* A text built of `before`, `count` times `each` and `after`. */
static struct span repeat(const char *before, const char *each, size_t count, const char *after)
{
    struct writer out;
    writer_init(&out, text_memory, sizeof text_memory);
    writer_put(&out, span_of(before));
    for (size_t i = 0; i < count; i++)
        writer_put(&out, span_of(each));
    writer_put(&out, span_of(after));
    assert_false(out.overflow);
    return writer_text(&out);
}

static const struct string_row {
    const char *name;
    const char *before, *each; /* of the string */
    size_t count;
    size_t kept_count; /* of `each`, as `written` */
    const char *written;
    uint32_t dropped;
} string_rows[] = {
    {"string of 1024", "", "a", 1024, 1024, "a", 0},
    {"string of 1025", "", "a", 1025, 1024, "a", 1},
    {"string of 60000", "", "a", 60000, 1024, "a", 1},
    {"1024 characters of two bytes", "", "\xc3\xa9", 1024, 1024, "\xc3\xa9", 0},
    {"1025 characters of two bytes", "", "\xc3\xa9", 1025, 1024, "\xc3\xa9", 1},
    {"1024 characters of four bytes", "", "\xf0\x9f\x98\x80", 1024, 1024, "\xf0\x9f\x98\x80", 0},
    {"1025 characters of four bytes", "", "\xf0\x9f\x98\x80", 1025, 1024, "\xf0\x9f\x98\x80", 1},
    {"1025 surrogate pairs", "", "\\ud83d\\ude00", 1025, 1024, "\xf0\x9f\x98\x80", 1},
    {"1024 escaped characters", "", "\\u00e9", 1024, 1024, "\xc3\xa9", 0},
    {"1025 escaped quotes", "", "\\\"", 1025, 1024, "\\\"", 1},
    {"controls do not count", "\\n\\u0085", "a\\u0001", 1024, 1024, "a", 0},
    {"a cut among controls", "\\n", "a\\u0001", 1025, 1024, "a", 1},
    {"60000 bytes of controls", "", "\\n", 30000, 0, "", 0},
};

static void long_string_is_cut(void **state)
{
    const struct string_row *row = *state;
    char string[64];
    snprintf(string, sizeof string, "{\"a\":\"%s", row->before);
    struct result made = sanitize(repeat(string, row->each, row->count, "\",\"b\":1}"));
    struct span expected = repeat("{\"a\":\"", row->written, row->kept_count, "\",\"b\":1}");
    assert_true(span_eq(made.text, expected));
    assert_int_equal(made.dropped, row->dropped);
}

static void long_key_is_cut(void **state)
{
    const struct string_row *row = *state;
    char key[64];
    snprintf(key, sizeof key, "{\"%s", row->before);
    struct result made = sanitize(repeat(key, row->each, row->count, "\":1}"));
    assert_true(span_eq(made.text, repeat("{\"", row->written, row->kept_count, "\":1}")));
    assert_int_equal(made.dropped, row->dropped);
}

static void a_cut_key_can_repeat_another(void **state)
{
    (void)state;
    char text[4096];
    char a[1025];
    memset(a, 'k', 1024);
    a[1024] = '\0';
    int len = snprintf(text, sizeof text, "{\"%sx\":1,\"%sy\":2,\"%s\":3}", a, a, a);
    struct result made = sanitize((struct span){text, (size_t)len});
    assert_true(span_eq(made.text, repeat("{\"", "k", 1024, "\":1}")));
    assert_int_equal(made.dropped, 3); /* the end of the first key, then two members */
}

static const struct fields_row {
    const char *name;
    const char *before, *after;
    size_t count; /* members "0":0, "1":1, ... between them */
    size_t kept_count;
    uint32_t dropped;
} fields_rows[] = {
    {"64 members", "{", "}", 64, 64, 0},
    {"65 members", "{", "}", 65, 64, 1},
    {"5000 members", "{", "}", 5000, 64, 4936},
    {"64 members in all with a nested object", "{\"x\":{", "}}", 63, 63, 0},
    {"65 members in all with a nested object", "{\"x\":{", "}}", 64, 63, 1},
    {"in an object in an array", "{\"x\":[{", "}]}", 70, 63, 7},
    {"three levels", "{\"x\":{\"y\":{", "}}}", 70, 62, 8},
};

static void fields_are_counted(void **state)
{
    const struct fields_row *row = *state;
    struct writer in;
    writer_init(&in, text_memory, sizeof text_memory);
    writer_put(&in, span_of(row->before));
    size_t kept_len = 0;
    for (size_t i = 0; i < row->count; i++) {
        char member[32];
        int len = snprintf(member, sizeof member, "%s\"%zu\":%zu", i ? "," : "", i, i);
        writer_put(&in, (struct span){member, (size_t)len});
        if (i + 1 == row->kept_count) kept_len = in.len;
    }
    writer_put(&in, span_of(row->after));
    struct result made = sanitize(writer_text(&in));
    assert_int_equal(made.dropped, row->dropped);
    assert_int_equal(made.text.len, kept_len + strlen(row->after));
    assert_memory_equal(made.text.ptr, text_memory, kept_len);
    assert_memory_equal(made.text.ptr + kept_len, row->after, strlen(row->after));
}

static void members_after_the_limit_are_dropped_but_elements_stay(void **state)
{
    (void)state;
    struct writer in;
    writer_init(&in, text_memory, sizeof text_memory);
    writer_lit(&in, "{\"list\":[");
    for (int i = 0; i < 100; i++)
        writer_put(&in, i ? SPAN(",{\"a\":1}") : SPAN("{\"a\":1}"));
    writer_lit(&in, ",5],\"b\":1}");
    struct result made = sanitize(writer_text(&in));
    struct json_doc doc = parse(made.text, made_tokens);
    uint32_t elements = 0;
    for (uint32_t i = 3; i < made_tokens[2].end; i = doc.tokens[i].end)
        elements++;
    assert_int_equal(elements, 101);
    assert_int_equal(made.dropped, 37 + 1); /* 63 of 100 found room, then "b" */
}

static const struct size_row {
    const char *name;
    const char *before, *each, *after; /* `each` count times */
    size_t count;
    size_t kept_count; /* written as before, kept_count times each, and `ending` */
    const char *ending;
    uint32_t dropped;
} size_rows[] = {
    /* clang-format off */
    /* 6 bytes before the digits and 1 after them: 8185 digits are the most */
    {"a number that just fits", "{\"a\":1", "0", "}", 8185, 8185, "}", 0},
    {"a number that does not fit", "{\"a\":1", "0", ",\"b\":2}", 8186, 0, NULL, 1},
    {"a number of 60000 digits", "{\"a\":1", "0", ",\"b\":2}", 60000, 0, NULL, 1},
    /* 7 bytes before, 2 after, 2 an element: 8191 with 4091, 8192 with one digit more */
    {"elements that just fit", "{\"a\":[1", ",1", "]}", 4091, 4091, "]}", 0},
    {"elements that fill it", "{\"a\":[10", ",1", "]}", 4091, 4091, "]}", 0},
    {"one element more than fills it", "{\"a\":[10", ",1", "]}", 4092, 4091, "]}", 1},
    {"one element too many", "{\"a\":[1", ",1", "]}", 4092, 4091, "]}", 1},
    {"30000 elements", "{\"a\":[1", ",1", "]}", 30000, 4091, "]}", 25909},
    {"nested brackets are kept room for", "{\"a\":[[[1", ",1", "]]]}", 5000, 4089, "]]]}", 911},
    {"empty containers", "{\"a\":[{}", ",{}", "]}", 5000, 2727, "]}", 2273},
    {"what follows is tried", "{\"a\":[1", ",1", "],\"b\":2}", 4089, 4089, "]}", 1},
    {"what follows just fits", "{\"a\":[1", ",1", "],\"b\":2}", 4088, 4088, "],\"b\":2}", 0},
    /* clang-format on */
};

static void size_is_bounded(void **state)
{
    const struct size_row *row = *state;
    struct result made = sanitize(repeat(row->before, row->each, row->count, row->after));
    struct span expected = row->ending
                               ? repeat(row->before, row->each, row->kept_count, row->ending)
                               : SPAN("{\"b\":2}");
    assert_int_equal(made.text.len, expected.len);
    assert_true(span_eq(made.text, expected));
    assert_int_equal(made.dropped, row->dropped);
}

static void strings_that_do_not_fit_are_left_out_whole(void **state)
{
    (void)state;
    struct writer in;
    writer_init(&in, text_memory, sizeof text_memory);
    writer_lit(&in, "{");
    for (int i = 0; i < 5; i++) {
        char key[8];
        snprintf(key, sizeof key, "%s\"%d\":\"", i ? "," : "", i);
        writer_put(&in, span_of(key));
        for (int j = 0; j < 1025; j++)
            writer_put(&in, SPAN("\xe2\x82\xac"));
        writer_lit(&in, "\"");
    }
    writer_lit(&in, ",\"last\":true}");
    struct result made = sanitize(writer_text(&in));
    /* Two of 3072 bytes, each cut; three left out, the cuts in them not counted again. */
    assert_int_equal(made.dropped, 2 + 3);
    assert_true(made.text.len > 2 * 3072 && made.text.len < 3 * 3072);
    assert_memory_equal(made.text.ptr + made.text.len - 12, "\"last\":true}", 12);
}

static void members_of_two_documents_are_merged(void **state)
{
    (void)state;
    static struct json_token other_tokens[64];
    struct json_doc first = parse(SPAN("{\"a\":1,\"b\":{\"x\":1}}"), tokens);
    struct json_doc second;
    assert_int_equal(
        json_parse(&second, SPAN("{\"b\":2,\"\\u0061\":3,\"x\":4}"), other_tokens, 64, 1), JSON_OK);
    struct writer out;
    struct extra extra;
    writer_init(&out, made_memory, sizeof made_memory);
    writer_lit(&out, "{\"extra\":");
    extra_open(&extra, &out);
    add_members(&extra, &first);
    add_members(&extra, &second);
    extra_close(&extra);
    writer_lit(&out, "}");
    assert_true(span_eq(writer_text(&out), SPAN("{\"extra\":{\"a\":1,\"b\":{\"x\":1},\"x\":4}}")));
    assert_int_equal(extra.dropped, 2);
}

static void the_limit_is_of_extra_alone(void **state)
{
    (void)state;
    struct json_doc doc = parse(repeat("{\"a\":[10", ",1", 5000, "]}"), tokens);
    struct writer out;
    struct extra extra;
    writer_init(&out, made_memory, sizeof made_memory);
    for (int i = 0; i < 10000; i++)
        writer_char(&out, ' ');
    extra_open(&extra, &out);
    add_members(&extra, &doc);
    extra_close(&extra);
    assert_int_equal(out.len, 10000 + LIMIT_EXTRA);
}

/* Less room than LIMIT_EXTRA, down to none: never more than the room, never half an object. */
static void a_small_writer_is_the_limit(void **state)
{
    (void)state;
    struct span text =
        SPAN("{\"a\":{\"b\":[1,2,{\"c\":\"d\"}],\"e\":[[]]},\"f\":\"\\\"\xc3\xa9\"}");
    for (size_t room = 2; room <= text.len; room++) {
        struct result made = sanitize_into(text, room);
        assert_true(made.text.len <= room);
        parse(made.text, made_tokens);
        assert_int_equal(made.dropped == 0, room == text.len);
    }
    for (size_t room = 0; room < 2; room++) {
        struct json_doc doc = parse(text, tokens);
        struct writer out;
        struct extra extra;
        writer_init(&out, made_memory, room);
        extra_open(&extra, &out);
        add_members(&extra, &doc);
        extra_close(&extra);
        assert_true(out.overflow);
        assert_int_equal(out.len, 0);
    }
}

/* Random documents. `budget` is spent on values; keys come from a few, so that they repeat once
 * sanitized, but are told apart in the document by a number of control characters. */
struct maker {
    struct writer out;
    uint64_t seed;
    int budget;
    unsigned serial;
};

static void make_string(struct maker *maker, size_t count_max)
{
    static const char *const pieces[] = {
        "a",
        "\\n",
        "\\u0001",
        "\xc2\x85",
        "\xc3\xa9",
        "\xf0\x9f\x98\x80",
        "\\ud83d\\ude00",
        "\\\"",
        "\\\\",
        "\\u00e9",
        "\x7f",
        "\\/",
        " ",
        "{",
        "[",
        "\xe2\x80\xa8",
    };
    writer_char(&maker->out, '"');
    bool plain = random_below(&maker->seed, 2) == 0;
    for (size_t i = random_below(&maker->seed, count_max); i > 0; i--) {
        size_t piece = plain ? 0 : random_below(&maker->seed, sizeof pieces / sizeof pieces[0]);
        writer_put(&maker->out, span_of(pieces[piece]));
    }
    writer_char(&maker->out, '"');
}

static void make_key(struct maker *maker)
{
    writer_char(&maker->out, '"');
    for (unsigned left = maker->serial++; left > 0; left /= 2)
        writer_put(&maker->out, left & 1 ? SPAN("\\u0001") : SPAN("\\t"));
    for (uint64_t n = random_below(&maker->seed, 300); n > 0; n /= 4)
        writer_char(&maker->out, "kKx"[n % 3]);
    writer_lit(&maker->out, "\":");
}

static void make_value(struct maker *maker, int depth);

static void make_container(struct maker *maker, int depth, bool is_object)
{
    writer_char(&maker->out, is_object ? '{' : '[');
    uint64_t count = random_below(&maker->seed, depth == 0 ? 120 : 12);
    for (uint64_t i = 0; i < count && maker->budget > 0; i++) {
        if (i > 0) writer_char(&maker->out, ',');
        if (is_object) make_key(maker);
        make_value(maker, depth + 1);
    }
    writer_char(&maker->out, is_object ? '}' : ']');
}

static void make_value(struct maker *maker, int depth)
{
    static const char *const scalars[] = {"null", "true", "false", "0", "-1.5e300", "12345678901"};
    uint64_t kind = random_below(&maker->seed, 10);
    maker->budget--;
    if (kind < 3 && depth < 8)
        make_container(maker, depth, kind > 0);
    else if (kind < 6)
        writer_put(&maker->out, span_of(scalars[random_below(&maker->seed, 6)]));
    else
        make_string(maker, kind == 9 ? 1500 : 30);
}

struct measure {
    uint32_t depth, fields_count;
};

/* Looks at what was made with other means than made it. */
static struct measure measure(const struct json_doc *doc, uint32_t token, uint32_t depth)
{
    struct measure total = {0, 0};
    struct json_token value = doc->tokens[token];
    if (value.type == JSON_STRING) {
        static _Alignas(16) char memory[LIMIT_EXTRA];
        struct arena arena;
        arena_init(&arena, memory, sizeof memory);
        struct span text = json_string(doc, token, &arena);
        assert_true(json_characters(text) <= LIMIT_EXTRA_STRING_CHARACTERS);
        for (size_t i = 0; i < text.len; i++) {
            unsigned char c = (unsigned char)text.ptr[i];
            bool c1 = c == 0xc2 && (unsigned char)text.ptr[i + 1] < 0xa0;
            if (c < 0x20 || c == 0x7f || c1) fail_msg("control in %.*s", SPAN_FMT(text));
        }
    }
    if (value.type == JSON_ARRAY || value.type == JSON_OBJECT) total.depth = depth;
    for (uint32_t child = token + 1, i = 0; child < value.end;
         child = doc->tokens[child].end, i++) {
        struct measure inner = measure(doc, child, depth + 1);
        if (inner.depth > total.depth) total.depth = inner.depth;
        total.fields_count += inner.fields_count + (value.type == JSON_OBJECT && i % 2 == 0);
    }
    return total;
}

static void random_documents_come_out_bounded(void **state)
{
    (void)state;
    uint64_t seed = random_seed(__func__);
    int full = 0;
    int whole = 0;
    for (int i = 0; i < 4000; i++) {
        struct maker maker = {.seed = random_next(&seed)};
        maker.budget = (int)random_below(&seed, i % 2 ? 20 : 400);
        writer_init(&maker.out, text_memory, sizeof text_memory);
        make_container(&maker, 0, true);
        if (maker.out.overflow) continue;
        struct result made = sanitize(writer_text(&maker.out));
        struct json_doc doc = parse(made.text, made_tokens);
        struct measure measured = measure(&doc, 0, 1);
        assert_true(measured.depth <= LIMIT_EXTRA_DEPTH);
        assert_true(measured.fields_count <= LIMIT_EXTRA_FIELDS_COUNT);
        full += made.text.len > LIMIT_EXTRA - 64;
        whole += made.dropped == 0;

        /* What is clean already stays as it is. */
        static char once[LIMIT_EXTRA];
        memcpy(once, made.text.ptr, made.text.len);
        struct span before = {once, made.text.len};
        struct result again = sanitize(before);
        assert_true(span_eq(again.text, before));
        assert_int_equal(again.dropped, 0);
    }
    assert_true(full > 20);
    assert_true(whole > 50);
}

int main(void)
{
    UNIT_ADD_ROWS(small_rows, small_document_is_sanitized);
    UNIT_ADD_ROWS(string_rows, long_string_is_cut);
    UNIT_ADD_ROWS(string_rows, long_key_is_cut);
    UNIT_ADD(a_cut_key_can_repeat_another);
    UNIT_ADD_ROWS(fields_rows, fields_are_counted);
    UNIT_ADD(members_after_the_limit_are_dropped_but_elements_stay);
    UNIT_ADD_ROWS(size_rows, size_is_bounded);
    UNIT_ADD(strings_that_do_not_fit_are_left_out_whole);
    UNIT_ADD(members_of_two_documents_are_merged);
    UNIT_ADD(the_limit_is_of_extra_alone);
    UNIT_ADD(a_small_writer_is_the_limit);
    UNIT_ADD(random_documents_come_out_bounded);
    return UNIT_RUN_ADDED("extra");
}
