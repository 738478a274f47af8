#include "unit.h"

#include "event/query.h"
#include "random.h"

#include <stdbool.h>
#include <string.h>

static const struct find_row {
    const char *name;
    const char *query;
    const char *parameter;
    enum query_found found;
    const char *raw;
} find_rows[] = {
    {"find: only one", "token=abc", "token", QUERY_ONCE, "abc"},
    {"find: first", "token=abc&b=2", "token", QUERY_ONCE, "abc"},
    {"find: last", "b=2&token=abc", "token", QUERY_ONCE, "abc"},
    {"find: nothing", "", "token", QUERY_ABSENT, NULL},
    {"find: another", "b=2", "token", QUERY_ABSENT, NULL},
    {"find: as a value", "b=token", "token", QUERY_ABSENT, NULL},
    {"find: longer name", "tokens=1", "token", QUERY_ABSENT, NULL},
    {"find: shorter name", "toke=1", "token", QUERY_ABSENT, NULL},
    {"find: other case", "Token=1", "token", QUERY_ABSENT, NULL},
    {"find: empty value", "token=", "token", QUERY_ONCE, ""},
    {"find: no equals sign", "token", "token", QUERY_ONCE, ""},
    {"find: value with equals signs", "token=a=b==", "token", QUERY_ONCE, "a=b=="},
    {"find: value with a question mark", "token=a?b", "token", QUERY_ONCE, "a?b"},
    {"find: value stays encoded", "token=%41+b", "token", QUERY_ONCE, "%41+b"},
    {"find: broken value stays", "token=%4", "token", QUERY_ONCE, "%4"},
    {"find: twice", "token=a&token=a", "token", QUERY_REPEATED, "a"},
    {"find: twice, the first counts", "token=a&token=b", "token", QUERY_REPEATED, "a"},
    {"find: three times", "token=a&token=b&token=c", "token", QUERY_REPEATED, "a"},
    {"find: twice, once without a value", "token&token=a", "token", QUERY_REPEATED, ""},
    {"find: twice, once encoded", "token=a&%74oken=b", "token", QUERY_REPEATED, "a"},
    {"find: encoded name", "%74%6f%6B%65%6e=a", "token", QUERY_ONCE, "a"},
    {"find: encoded equals sign in a name", "a%3Db=c", "a=b", QUERY_ONCE, "c"},
    {"find: encoded ampersand in a name", "a%26b=c", "a&b", QUERY_ONCE, "c"},
    {"find: plus in a name is a space", "a+b=c", "a b", QUERY_ONCE, "c"},
    {"find: %20 in a name", "a%20b=c", "a b", QUERY_ONCE, "c"},
    {"find: encoded plus in a name", "a%2Bb=c", "a+b", QUERY_ONCE, "c"},
    {"find: broken escape in a name stands for itself", "100%=c", "100%", QUERY_ONCE, "c"},
    {"find: cut escape in a name stands for itself", "a%4=c", "a%4", QUERY_ONCE, "c"},
    {"find: wrong digits in a name", "%7goken=c", "token", QUERY_ABSENT, NULL},
    {"find: name encoded twice", "%2574oken=c", "token", QUERY_ABSENT, NULL},
    {"find: empty parts", "&&token=a&&", "token", QUERY_ONCE, "a"},
    {"find: only separators", "&&&", "token", QUERY_ABSENT, NULL},
    {"find: empty name", "=a", "", QUERY_ONCE, "a"},
    {"find: empty parts have no empty name", "&&", "", QUERY_ABSENT, NULL},
    {"find: an empty query has no empty name", "", "", QUERY_ABSENT, NULL},
    {"find: semicolon separates nothing", "b=1;token=a", "token", QUERY_ABSENT, NULL},
    {"find: brackets are a part of the name", "token[]=a", "token", QUERY_ABSENT, NULL},
    {"find: leading question mark is a part of the name", "?token=a", "token", QUERY_ABSENT, NULL},
    {"find: UTF-8", "%C3%BC=a", "\xc3\xbc", QUERY_ONCE, "a"},
    {"find: raw UTF-8", "\xc3\xbc=a", "\xc3\xbc", QUERY_ONCE, "a"},
    {"find: NUL in a name", "token%00=a", "token", QUERY_ABSENT, NULL},
};

static void parameter_is_found(void **state)
{
    const struct find_row *row = *state;
    struct span raw = SPAN_NONE;
    assert_int_equal(query_find(span_of(row->query), span_of(row->parameter), &raw), row->found);
    assert_int_equal(raw.ptr == NULL, row->raw == NULL);
    assert_true(span_eq(raw, span_of(row->raw)));
}

static void an_absent_query_has_no_parameters(void **state)
{
    (void)state;
    struct span raw = SPAN("untouched");
    assert_int_equal(query_find(SPAN_NONE, SPAN("a"), &raw), QUERY_ABSENT);
    assert_true(span_eq(raw, SPAN("untouched")));
}

static const struct decode_row {
    const char *name;
    const char *raw;
    const char *text; /* NULL: refused */
} decode_rows[] = {
    {"decode: plain", "abc-._~", "abc-._~"},
    {"decode: nothing", "", ""},
    {"decode: plus", "a+b", "a b"},
    {"decode: encoded plus", "a%2Bb%2bc", "a+b+c"},
    {"decode: space", "a%20b", "a b"},
    {"decode: UTF-8", "%C3%bc", "\xc3\xbc"},
    {"decode: raw bytes stay", "\xc3\xbc", "\xc3\xbc"},
    {"decode: bytes that are no UTF-8", "%ff%FE", "\xff\xfe"},
    {"decode: once only", "%2541", "%41"},
    {"decode: encoded percent", "100%25", "100%"},
    {"decode: percent at the end", "100%", NULL},
    {"decode: one digit at the end", "a%4", NULL},
    {"decode: one digit", "a%4z", NULL},
    {"decode: no digit", "a%zzb", NULL},
    {"decode: second digit wrong", "%4g", NULL},
    {"decode: first digit wrong", "%g4", NULL},
    {"decode: two percents", "%%41", NULL},
    {"decode: sign", "%+1", NULL},
    {"decode: space for a digit", "% 1", NULL},
    {"decode: byte before 0", "%/1", NULL},
    {"decode: byte after 9", "%:1", NULL},
    {"decode: byte before A", "%@1", NULL},
    {"decode: byte before a", "%`1", NULL},
    {"decode: broken after good", "good%41%", NULL},
};

static void value_is_decoded(void **state)
{
    const struct decode_row *row = *state;
    char memory[64];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    writer_lit(&out, "<");
    assert_int_equal(query_decode(&out, span_of(row->raw)), row->text != NULL);
    writer_char(&out, '\0');
    assert_string_equal(memory + 1, row->text ? row->text : "");
    bool is_same = row->text && strcmp(row->text, row->raw) == 0;
    assert_int_equal(query_is_plain(span_of(row->raw)), is_same);
}

static void nul_bytes_are_decoded_as_any_other(void **state)
{
    (void)state;
    char memory[8];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    assert_true(query_decode(&out, SPAN("a%00b")));
    assert_true(span_eq(writer_text(&out), SPAN("a\0b")));
}

/* RFC 3986 section 2.3, byte by byte. */
static void every_byte_is_encoded_or_unreserved(void **state)
{
    (void)state;
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-._~";
    for (int byte = 0; byte <= 0xff; byte++) {
        char c = (char)byte;
        char memory[8];
        char expected[8];
        struct writer out;
        writer_init(&out, memory, sizeof memory);
        query_encode(&out, (struct span){&c, 1});
        bool plain = memchr(unreserved, c, sizeof unreserved - 1) != NULL;
        int len = snprintf(expected, sizeof expected, plain ? "%c" : "%%%02X", byte);
        assert_true(span_eq(writer_text(&out), (struct span){expected, (size_t)len}));
    }
}

static void random_bytes_go_round(void **state)
{
    (void)state;
    uint64_t seed = random_seed(__func__);
    for (int i = 0; i < 20000; i++) {
        char bytes[40];
        char encoded[3 * sizeof bytes];
        char back[sizeof bytes];
        struct writer out;
        size_t len = random_below(&seed, sizeof bytes);
        for (size_t j = 0; j < len; j++)
            bytes[j] = (char)random_next(&seed);
        writer_init(&out, encoded, sizeof encoded);
        query_encode(&out, (struct span){bytes, len});
        assert_false(out.overflow);
        struct span raw = writer_text(&out);
        writer_init(&out, back, sizeof back);
        assert_true(query_decode(&out, raw));
        assert_true(span_eq(writer_text(&out), (struct span){bytes, len}));
    }
}

static const struct add_row {
    const char *name;
    const char *url;
    const char *expected;
} add_rows[] = {
    /* clang-format off */
    {"add: no query", "https://e.example/p", "https://e.example/p?id=a%20b&n=1"},
    {"add: no path", "https://e.example", "https://e.example?id=a%20b&n=1"},
    {"add: a query", "https://e.example/?x=1", "https://e.example/?x=1&id=a%20b&n=1"},
    {"add: an empty query", "https://e.example/?", "https://e.example/?id=a%20b&n=1"},
    {"add: a fragment", "https://e.example/#f", "https://e.example/?id=a%20b&n=1#f"},
    {"add: an empty fragment", "https://e.example/#", "https://e.example/?id=a%20b&n=1#"},
    {"add: query and fragment", "https://e.example/?x=1#f", "https://e.example/?x=1&id=a%20b&n=1#f"},
    {"add: empty query and fragment", "https://e.example/?#f", "https://e.example/?id=a%20b&n=1#f"},
    {"add: question mark in the fragment", "https://e.example/#f?id=2", "https://e.example/?id=a%20b&n=1#f?id=2"},
    {"add: second hash", "https://e.example/#f#g", "https://e.example/?id=a%20b&n=1#f#g"},
    {"add: route in the fragment", "https://e.example/?x#/r?id=2&n=3", "https://e.example/?x&id=a%20b&n=1#/r?id=2&n=3"},
    {"add: query that ends in a question mark", "https://e.example/?x=why?", "https://e.example/?x=why?&id=a%20b&n=1"},
    {"add: query that is a question mark", "https://e.example/??", "https://e.example/??&id=a%20b&n=1"},
    {"add: odd bytes stay", "https://e.example/?x=%zz+%2f;'%", "https://e.example/?x=%zz+%2f;'%&id=a%20b&n=1"},
    {"add: encoding of others stays", "https://e.example/?%78=%31", "https://e.example/?%78=%31&id=a%20b&n=1"},
    {"add: name without a value stays", "https://e.example/?x", "https://e.example/?x&id=a%20b&n=1"},
    {"add: trailing separator", "https://e.example/?x=1&", "https://e.example/?x=1&id=a%20b&n=1"},
    {"add: leading separator", "https://e.example/?&x=1", "https://e.example/?&x=1&id=a%20b&n=1"},
    {"add: empty parts", "https://e.example/?x=1&&y=2", "https://e.example/?x=1&&y=2&id=a%20b&n=1"},
    {"add: only a separator", "https://e.example/?&", "https://e.example/?&id=a%20b&n=1"},
    {"add: only separators", "https://e.example/?&&", "https://e.example/?&&id=a%20b&n=1"},
    {"add: replaces the only one", "https://e.example/?id=9", "https://e.example/?id=a%20b&n=1"},
    {"add: replaces the first", "https://e.example/?id=9&x=1", "https://e.example/?x=1&id=a%20b&n=1"},
    {"add: replaces the last", "https://e.example/?x=1&id=9", "https://e.example/?x=1&id=a%20b&n=1"},
    {"add: replaces the middle", "https://e.example/?x=1&id=9&y=2", "https://e.example/?x=1&y=2&id=a%20b&n=1"},
    {"add: replaces all of a name", "https://e.example/?id=7&x=1&id=8&y&id", "https://e.example/?x=1&y&id=a%20b&n=1"},
    {"add: replaces both names", "https://e.example/?n=2&id=3&x=1", "https://e.example/?x=1&id=a%20b&n=1"},
    {"add: replaces a name without a value", "https://e.example/?id&x", "https://e.example/?x&id=a%20b&n=1"},
    {"add: replaces an encoded name", "https://e.example/?%69d=9&i%64=8&x", "https://e.example/?x&id=a%20b&n=1"},
    {"add: removes what is only removed", "https://e.example/?gone=1&x&gone", "https://e.example/?x&id=a%20b&n=1"},
    {"add: removes an encoded name", "https://e.example/?g%6Fne=1", "https://e.example/?id=a%20b&n=1"},
    {"add: a longer name stays", "https://e.example/?ids=1&xid=2&id%20=3", "https://e.example/?ids=1&xid=2&id%20=3&id=a%20b&n=1"},
    {"add: another case stays", "https://e.example/?ID=1", "https://e.example/?ID=1&id=a%20b&n=1"},
    {"add: a value of that text stays", "https://e.example/?x=id&y=id=3", "https://e.example/?x=id&y=id=3&id=a%20b&n=1"},
    {"add: empty parts around a replaced one", "https://e.example/?&id=1&", "https://e.example/?&id=a%20b&n=1"},
    {"add: empty part before a replaced one", "https://e.example/?x&&id=1", "https://e.example/?x&id=a%20b&n=1"},
    {"add: semicolons separate nothing", "https://e.example/?x=1;id=2", "https://e.example/?x=1;id=2&id=a%20b&n=1"},
    {"add: path that looks like a query", "https://e.example/id=1&n=2", "https://e.example/id=1&n=2?id=a%20b&n=1"},
    /* clang-format on */
};

static const struct query_pair added[] = {
    {{"id", 2}, {"a b", 3}},
    {{"gone", 4}, {NULL, 0}},
    {{"n", 1}, {"1", 1}},
};

static void pairs_are_added(void **state)
{
    const struct add_row *row = *state;
    char memory[256];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    writer_lit(&out, "before&");
    query_add(&out, span_of(row->url), added, 3);
    writer_char(&out, '\0');
    assert_false(out.overflow);
    assert_string_equal(memory + 7, row->expected);
}

/* Nothing to add, nothing to remove: every byte stays, a lone `?` too. */
static void no_pairs_change_nothing(void **state)
{
    const struct add_row *row = *state;
    char memory[256];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    query_add(&out, span_of(row->url), NULL, 0);
    assert_true(span_eq(writer_text(&out), span_of(row->url)));
}

static void names_and_values_are_encoded(void **state)
{
    (void)state;
    char memory[256];
    struct writer out;
    const struct query_pair pairs[] = {{SPAN("a&b="), SPAN("#?&=+%\r\n\xc3\xbc")},
                                       {SPAN("empty"), SPAN("")}};
    writer_init(&out, memory, sizeof memory);
    query_add(&out, SPAN("http://e/?a%26b%3D=1&empty"), pairs, 2);
    assert_true(span_eq(writer_text(&out),
                        SPAN("http://e/?a%26b%3D=%23%3F%26%3D%2B%25%0D%0A%C3%BC&empty=")));
}

static void a_full_writer_says_so(void **state)
{
    (void)state;
    char memory[64];
    char whole[64];
    struct writer out;
    writer_init(&out, whole, sizeof whole);
    query_add(&out, SPAN("http://e/?x#f"), added, 3);
    size_t needed = out.len;
    assert_false(out.overflow);
    for (size_t cap = 0; cap <= needed; cap++) {
        writer_init(&out, memory, cap);
        query_add(&out, SPAN("http://e/?x#f"), added, 3);
        assert_int_equal(out.overflow, cap < needed);
    }
}

static struct span query_of(struct span url)
{
    struct span before_fragment = span_split(&url, '#');
    span_split(&before_fragment, '?');
    return before_fragment;
}

static void make_url(uint64_t *seed, char url[64])
{
    static const char *const parts[] = {"id", "=", "&",    "?", "%69", "%",
                                        "x",  "+", "i%64", "#", "n"};
    strcpy(url, "http://e/");
    for (uint64_t i = random_below(seed, 12); i > 0; i--)
        strcat(url, parts[random_below(seed, sizeof parts / sizeof parts[0])]);
}

/* The parts of a query that are neither empty nor named like an added pair, one after the other. */
static void collect_others(struct writer *out, struct span query)
{
    while (query.ptr) {
        struct span part = span_split(&query, '&');
        struct span raw;
        bool mine = false;
        for (size_t i = 0; i < 3; i++)
            mine = mine || query_find(part, added[i].name, &raw) != QUERY_ABSENT;
        if (part.len == 0 || mine) continue;
        writer_put(out, part);
        writer_char(out, '\n');
    }
}

static void what_is_added_is_found_once(void **state)
{
    (void)state;
    uint64_t seed = random_seed(__func__);
    for (int i = 0; i < 100000; i++) {
        char url[64];
        char memory[128];
        char again[128];
        char others[2][128];
        struct writer out;
        struct writer kept[2];
        struct span raw;
        make_url(&seed, url);
        writer_init(&out, memory, sizeof memory);
        query_add(&out, span_of(url), added, 3);
        struct span made = writer_text(&out);
        struct span query = query_of(made);
        if (query_find(query, SPAN("id"), &raw) != QUERY_ONCE || !span_eq(raw, SPAN("a%20b")))
            fail_msg("%s", url);
        if (query_find(query, SPAN("n"), &raw) != QUERY_ONCE || !span_eq(raw, SPAN("1")))
            fail_msg("%s", url);
        const char *hash = strchr(url, '#');
        struct span tail = {memory + made.len - strlen(hash ? hash : ""), strlen(hash ? hash : "")};
        if (!span_eq(tail, span_of(hash))) fail_msg("%s", url);
        writer_init(&kept[0], others[0], sizeof others[0]);
        writer_init(&kept[1], others[1], sizeof others[1]);
        collect_others(&kept[0], query_of(span_of(url)));
        collect_others(&kept[1], query);
        if (!span_eq(writer_text(&kept[0]), writer_text(&kept[1]))) fail_msg("%s", url);
        /* An empty part that comes to stand last is filled by the first pair. */
        if (strstr(url, "?&") || strstr(url, "&&")) continue;
        writer_init(&out, again, sizeof again);
        query_add(&out, made, added, 3);
        if (!span_eq(writer_text(&out), made)) fail_msg("%s", url);
    }
}

int main(void)
{
    UNIT_ADD_ROWS(find_rows, parameter_is_found);
    UNIT_ADD(an_absent_query_has_no_parameters);
    UNIT_ADD_ROWS(decode_rows, value_is_decoded);
    UNIT_ADD(nul_bytes_are_decoded_as_any_other);
    UNIT_ADD(every_byte_is_encoded_or_unreserved);
    UNIT_ADD(random_bytes_go_round);
    UNIT_ADD_ROWS(add_rows, pairs_are_added);
    UNIT_ADD_ROWS(add_rows, no_pairs_change_nothing);
    UNIT_ADD(names_and_values_are_encoded);
    UNIT_ADD(a_full_writer_says_so);
    UNIT_ADD(what_is_added_is_found_once);
    return UNIT_RUN_ADDED("query");
}
