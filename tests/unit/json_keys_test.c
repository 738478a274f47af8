/* Objects of many members: duplicates, the room they need, the time they take. */

#include "json_parse.h"

#include "json/write.h"

#include <stdio.h>
#include <time.h>

static char text_memory[TEXT_MAX];

struct members {
    const char *before, *format, *after; /* format takes the number of a member */
    unsigned count;
};

static struct span members_text(struct members members)
{
    struct writer out;
    writer_init(&out, text_memory, sizeof text_memory);
    writer_put(&out, span_of(members.before));
    for (unsigned i = 0; i < members.count; i++) {
        char member[64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        int len = snprintf(member, sizeof member, members.format, i);
#pragma GCC diagnostic pop
        json_write_comma(&out);
        writer_put(&out, (struct span){member, (size_t)len});
    }
    writer_put(&out, span_of(members.after));
    assert_false(out.overflow);
    return writer_text(&out);
}

static const struct many_row {
    const char *name;
    struct members members;
    enum json_error expected;
} many_rows[] = {
    {"many: 32 distinct", {"{", "\"%u\":1", "}", 32}, JSON_OK},
    {"many: 33 distinct", {"{", "\"%u\":1", "}", 33}, JSON_OK},
    {"many: 31 and the first again", {"{", "\"%u\":1", ",\"0\":1}", 31}, JSON_DUPLICATE_KEY},
    {"many: 32 and the first again", {"{", "\"%u\":1", ",\"0\":1}", 32}, JSON_DUPLICATE_KEY},
    {"many: 33 and the last again", {"{", "\"%u\":1", ",\"32\":1}", 33}, JSON_DUPLICATE_KEY},
    {"many: 60000 distinct", {"{", "\"%u\":1", "}", 60000}, JSON_OK},
    {"many: 60000 and the first escaped",
     {"{", "\"%u\":1", ",\"\\u0030\":1}", 60000},
     JSON_DUPLICATE_KEY},
    {"many: 30000 escaped ones", {"{", "\"\\u00e9\\/%u\":1", "}", 30000}, JSON_OK},
    {"many: 30000 escaped, one plain again",
     {"{", "\"\\u00e9\\/%u\":1", ",\"\xc3\xa9/29999\":1}", 30000},
     JSON_DUPLICATE_KEY},
    {"many: containers between", {"{", "\"%u\":[{\"a\":1,\"b\":2}]", "}", 30000}, JSON_OK},
    {"many: containers between, one again",
     {"{", "\"%u\":[{\"a\":1,\"b\":2}]", ",\"777\":1}", 30000},
     JSON_DUPLICATE_KEY},
    {"many: the same key throughout", {"{", "\"\":%u", "}", 100000}, JSON_DUPLICATE_KEY},
    {"many: below the depth limit", {"[[[[[{", "\"%u\":1", "}]]]]]", 33}, JSON_OK},
    {"many: nested in one of many", {"{\"x\":{\"y\":{", "\"%u\":1", "}}}", 5000}, JSON_OK},
    {"many: not closed", {"{", "\"%u\":1", "", 5000}, JSON_SYNTAX},
};

static void many_members_are_told_apart(void **state)
{
    const struct many_row *row = *state;
    struct json_doc doc;
    assert_error(parse(&doc, members_text(row->members)), row->expected);
}

/* The shortest members there can be, `"":1`, and the deepest nesting leave the least scratch. */
static void shortest_members_find_room_for_their_table(void **state)
{
    (void)state;
    struct json_doc doc;
    for (unsigned count = 2; count < 200; count++) {
        struct members same = {"[[{\"\":[{", "\"\":1", "}]}]]", count};
        assert_error(parse(&doc, members_text(same)), JSON_DUPLICATE_KEY);
    }
    for (unsigned count = 33; count < 200; count++)
        assert_error(parse(&doc, members_text((struct members){"{", "\"%x\":1", "}", count})),
                     JSON_OK);
}

/* Some seeds put keys past the end of the table, where it begins again. */
static void every_seed_tells_keys_apart(void **state)
{
    (void)state;
    struct json_doc doc;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct members members = {"{", "\"%u\":1", "}", 2 + seed % 40};
        struct span text = members_text(members);
        assert_error(json_parse(&doc, text, tokens, TOKENS_MAX, seed), JSON_OK);
        members.after = seed % 2 ? ",\"1\":1}" : ",\"\\u0030\":1}";
        text = members_text(members);
        assert_error(json_parse(&doc, text, tokens, TOKENS_MAX, seed), JSON_DUPLICATE_KEY);
    }
}

static void a_small_cap_is_too_large_not_a_wrong_verdict(void **state)
{
    (void)state;
    struct json_doc doc;
    struct span distinct = members_text((struct members){"{", "\"key %u\":12345", "}", 100});
    assert_error(parse_with(&doc, distinct, 201), JSON_TOO_LARGE);
    assert_error(parse_with(&doc, distinct, 201 + 50), JSON_OK);
    struct span twice =
        members_text((struct members){"{", "\"key %u\":12345", ",\"key 99\":1}", 100});
    assert_error(parse_with(&doc, twice, 203), JSON_TOO_LARGE);
    assert_error(parse_with(&doc, twice, 203 + 51), JSON_DUPLICATE_KEY);
}

static void siblings_do_not_add_up_to_depth(void **state)
{
    (void)state;
    struct json_doc doc;
    assert_error(parse(&doc, members_text((struct members){"[", "[[],{}]", "]", 100})), JSON_OK);
}

static double parse_seconds(struct span text)
{
    struct json_doc doc;
    struct timespec from;
    struct timespec to;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    assert_error(json_parse(&doc, text, tokens, TOKENS_MAX, SEED), JSON_OK);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/* Eight times the members take eight times as long, give or take caches and a busy machine;
 * comparing pairs would take sixty-four times. */
static void work_is_linear_in_the_members(void **state)
{
    (void)state;
    struct members members = {"{", "\"\\u0070refix shared %06u\":1", "}", 3500};
    double seconds_few = 1;
    double seconds_many = 1;
    for (int round = 0; round < 5; round++) {
        members.count = 3500;
        double seconds = parse_seconds(members_text(members));
        if (seconds < seconds_few) seconds_few = seconds;
        members.count = 8 * 3500;
        seconds = parse_seconds(members_text(members));
        if (seconds < seconds_many) seconds_many = seconds;
    }
    assert_true(seconds_many < 30 * seconds_few);
}

int main(void)
{
    UNIT_ADD_ROWS(many_rows, many_members_are_told_apart);
    UNIT_ADD(shortest_members_find_room_for_their_table);
    UNIT_ADD(every_seed_tells_keys_apart);
    UNIT_ADD(a_small_cap_is_too_large_not_a_wrong_verdict);
    UNIT_ADD(siblings_do_not_add_up_to_depth);
    UNIT_ADD(work_is_linear_in_the_members);
    return UNIT_RUN_ADDED("json_keys");
}
