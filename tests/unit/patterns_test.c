#include "unit.h"

#include "event/patterns.h"
#include "random.h"

#include <stdio.h>

struct compiled {
    struct patterns patterns;
    void *memory;
};

static struct compiled compile(struct span text)
{
    struct compiled compiled;
    uint32_t line;
    size_t size = patterns_measure(&compiled.patterns, text, &line);
    assert_int_not_equal(size, 0);
    compiled.memory = malloc(size);
    patterns_build(&compiled.patterns, text, compiled.memory);
    return compiled;
}

static const struct match_row {
    const char *name;
    const char *patterns;
    const char *text;
    bool matches;
} match_rows[] = {
    {"the text itself", "bot", "bot", true},
    {"in the middle", "bot", "a bot b", true},
    {"at the end", "bot", "googlebot", true},
    {"cut short", "bot", "bo", false},
    {"an empty text", "bot", "", false},
    {"another case in the text", "googlebot", "GoogleBOT", true},
    {"another case in the pattern", "GoogleBOT", "googlebot", true},
    {"only letters have cases", "b@t", "b`t", false},
    {"no case beyond ASCII", "b\xc3\xb6t", "b\xc3\x96t", false},
    {"bytes past ASCII", "b\xc3\xb6t", "a b\xc3\xb6t", true},
    {"a second try after a part", "aab", "aaab", true},
    {"a try within a try", "abac\nbab", "abab", true},
    {"the suffix of a longer one that fails", "abcd\nbc", "abce", true},
    {"a pattern inside another", "she\nhe\nhers", "xhe", true},
    {"a longer one behind a shorter one", "curl\ncurl/7", "curl/8", true},
    {"a shorter one behind a longer one", "curl/7\ncurl", "curl/8", true},
    {"neither of two", "abc\nbcd", "abd bc cd", false},
    {"the second line", "abc\nxyz", "--xyz--", true},
    {"lines with carriage returns", "abc\r\nxyz\r\n", "xyz", true},
    {"white space around a line", "  abc\t\n", "abc", true},
    {"white space within a line", "a b", "xa by", true},
    {"a comment is no pattern", "# robot\nabc", "robot", false},
    {"a mark within a line begins no comment", "ab#c", "ab#c", true},
    {"an empty line is no pattern", "\n\nabc\n\n", "x", false},
    {"no pattern at all", "", "anything", false},
    {"begins with it", "^curl", "curl/7", true},
    {"does not begin with it", "^curl", "a curl/7", false},
    {"ends with it", "node$", "a node", true},
    {"does not end with it", "node$", "node-fetch", false},
    {"is it", "^node$", "node", true},
    {"begins with it and goes on", "^node$", "nodes", false},
    {"ends with it, but begins otherwise", "^node$", "a node", false},
    {"a start that is another's middle", "^abc\nxab", "xabc", true},
    {"a start that fails goes on as a middle", "^abd\nbc", "abc", true},
    {"an end that another has in its middle", "abc$\nabcd", "abcd", true},
    {"what ends a text stands for itself in the middle", "a$b", "a$b", true},
    {"NUL in the text", "bot", "x\0bot", false},
};

static void matches_as_expected(void **state)
{
    const struct match_row *row = *state;
    struct compiled compiled = compile(span_of(row->patterns));
    assert_int_equal(patterns_match(&compiled.patterns, span_of(row->text)), row->matches);
    free(compiled.memory);
}

static const struct bad_row {
    const char *name;
    const char *patterns;
    uint32_t line;
} bad_rows[] = {
    {"one character", "abc\nx", 2},
    {"an anchor alone", "^", 1},
    {"both anchors alone", "# text\n\n^$", 3},
    {"an anchor and one character", "x$", 1},
    {"a control character", "abc\ndef\na\tb", 3},
    {"DEL",
     "a\x7f"
     "b",
     1},
};

static void bad_line_is_named(void **state)
{
    const struct bad_row *row = *state;
    struct patterns patterns;
    uint32_t line;
    assert_int_equal(patterns_measure(&patterns, span_of(row->patterns), &line), 0);
    assert_int_equal(line, row->line);
}

static void lengths_have_limits(void **state)
{
    char text[PATTERN_CHARACTERS_MAX + 1];
    struct patterns patterns;
    uint32_t line;
    memset(text, 'x', sizeof text);
    assert_int_not_equal(patterns_measure(&patterns, (struct span){text, sizeof text - 1}, &line),
                         0);
    assert_int_equal(patterns_measure(&patterns, (struct span){text, sizeof text}, &line), 0);
}

static void no_table_matches_nothing(void **state)
{
    const struct patterns patterns = {0};
    assert_false(patterns_match(&patterns, SPAN("Googlebot")));
}

/* The other opinion: each pattern by itself, character by character. */
static bool has(const char *text, const char *pattern)
{
    bool at_begin = pattern[0] == '^';
    pattern += at_begin;
    size_t len = strlen(pattern), text_len = strlen(text);
    bool at_end = pattern[len - 1] == '$';
    len -= at_end;
    for (size_t i = 0; i + len <= text_len; i++) {
        bool fits = (!at_begin || i == 0) && (!at_end || i + len == text_len);
        for (size_t j = 0; fits && j < len; j++)
            fits = (text[i + j] | 0x20) == (pattern[j] | 0x20); /* both are letters */
        if (fits) return true;
    }
    return false;
}

static void random_text(uint64_t *random, char *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = "abAc"[random_below(random, 4)];
    out[len] = '\0';
}

static void same_as_one_by_one(void **state)
{
    enum { ROUNDS = 3000, PATTERNS = 12, TEXTS = 20 };
    uint64_t random = random_seed("same_as_one_by_one");
    size_t found = 0;
    for (int round = 0; round < ROUNDS; round++) {
        char lines[PATTERNS][16] = {{0}}, all[PATTERNS * 16] = "";
        size_t count = 1 + random_below(&random, PATTERNS);
        for (size_t i = 0; i < count; i++) {
            char part[8] = "";
            random_text(&random, part, 2 + random_below(&random, 5));
            snprintf(lines[i], sizeof lines[i], "%s%s%s", random_below(&random, 4) ? "" : "^", part,
                     random_below(&random, 4) ? "" : "$");
            strcat(strcat(all, lines[i]), "\n");
        }
        struct compiled compiled = compile(span_of(all));
        for (int i = 0; i < TEXTS; i++) {
            char text[32] = "";
            bool expected = false;
            random_text(&random, text, random_below(&random, 12));
            for (size_t j = 0; j < count; j++)
                expected |= has(text, lines[j]);
            found += expected;
            assert_int_equal(patterns_match(&compiled.patterns, span_of(text)), expected);
        }
        free(compiled.memory);
    }
    assert_true(found > 1000 && found < (size_t)ROUNDS * TEXTS - 1000);
}

int main(void)
{
    UNIT_ADD_ROWS(match_rows, matches_as_expected);
    UNIT_ADD_ROWS(bad_rows, bad_line_is_named);
    UNIT_ADD(lengths_have_limits);
    UNIT_ADD(no_table_matches_nothing);
    UNIT_ADD(same_as_one_by_one);
    return UNIT_RUN_ADDED("patterns");
}
