/* Generated documents against jansson: the same verdicts, and equal values where both accept. */

#include "unit.h"

#include "json_compare.h"

#include "base/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    DOCUMENTS_COUNT = 120 * 1000, /* of each kind */
    DOCUMENT_MAX = 8 * 1024,
    DEPTH_MAX = 6,
    MUTATIONS_MAX = 2,
};

struct generator {
    uint64_t state;
    struct writer out;
    bool duplicates; /* keys may be repeated */
};

static uint64_t seed;
static struct json_token tokens[DOCUMENT_MAX / 2 + 1];
static _Alignas(16) char arena_memory[DOCUMENT_MAX];

/* splitmix64 */
static uint64_t next(struct generator *from)
{
    uint64_t z = from->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static size_t below(struct generator *from, size_t bound)
{
    return (size_t)(next(from) % bound);
}

static bool one_in(struct generator *from, size_t bound)
{
    return below(from, bound) == 0;
}

static void put_space(struct generator *to)
{
    static const char spaces[] = " \n\t\r";
    while (one_in(to, 6))
        writer_char(&to->out, spaces[below(to, sizeof spaces - 1)]);
}

static void put_digits(struct generator *to, size_t max)
{
    for (size_t i = 1 + below(to, max); i > 0; i--)
        writer_char(&to->out, (char)('0' + below(to, 10)));
}

static void put_number(struct generator *to)
{
    if (one_in(to, 3)) writer_char(&to->out, '-');
    writer_char(&to->out, (char)('0' + below(to, 10)));
    if (to->out.base[to->out.len - 1] != '0' && one_in(to, 2)) put_digits(to, 16);
    if (one_in(to, 3)) {
        writer_char(&to->out, '.');
        put_digits(to, 20);
    }
    if (one_in(to, 5)) {
        static const char *const exponents[] = {"e", "E", "e+", "E-"};
        writer_put(&to->out, span_of(exponents[below(to, 4)]));
        put_digits(to, 2);
    }
}

static const char *const pieces[] = {
    "a",
    "plain text",
    "e",
    "\\n",
    "\\\\",
    "\\/",
    "\\\"",
    "\\u0061",
    "\\u00e9",
    "\\u00E9",
    "\\ud834\\udd1e",
    "\\uffff",
    "\\u0001",
    "\xc3\xa9",
    "\xe6\xbc\xa2",
    "\xf0\x9d\x84\x9e",
    "\x7f",
    "\xef\xbb\xbf",
};

enum { PIECES_COUNT = sizeof pieces / sizeof *pieces };

static void put_string_body(struct generator *to)
{
    for (size_t i = below(to, 4); i > 0; i--)
        writer_put(&to->out, span_of(pieces[below(to, PIECES_COUNT)]));
}

/* A number makes it unlike the other keys of the object, unless duplicates are wanted. */
static void put_key(struct generator *to, size_t number)
{
    put_space(to);
    writer_char(&to->out, '"');
    put_string_body(to);
    if (!to->duplicates) {
        writer_char(&to->out, '#');
        writer_u64(&to->out, number);
    }
    writer_char(&to->out, '"');
    put_space(to);
    writer_char(&to->out, ':');
}

static void put_value(struct generator *to, size_t depth);

/* Now and then more members than json_check_keys keeps on its stack. */
static void put_members(struct generator *to, size_t depth, bool keys)
{
    size_t count = one_in(to, 100) ? 30 + below(to, 20) : below(to, 5);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) writer_char(&to->out, ',');
        if (keys) put_key(to, i);
        put_value(to, depth + 1);
    }
    put_space(to);
}

static void put_container(struct generator *to, size_t depth)
{
    bool is_object = one_in(to, 2);
    writer_char(&to->out, is_object ? '{' : '[');
    put_members(to, depth, is_object);
    writer_char(&to->out, is_object ? '}' : ']');
}

static void put_value(struct generator *to, size_t depth)
{
    static const char *const literals[] = {"true", "false", "null"};
    put_space(to);
    if (depth < DEPTH_MAX && (depth == 0 ? !one_in(to, 20) : one_in(to, 3)))
        put_container(to, depth);
    else if (one_in(to, 3))
        put_number(to);
    else if (one_in(to, 4))
        writer_put(&to->out, span_of(literals[below(to, 3)]));
    else {
        writer_char(&to->out, '"');
        put_string_body(to);
        writer_char(&to->out, '"');
    }
    put_space(to);
}

/* A few levels around the document, so that some pass the limit. */
static void put_document(struct generator *to)
{
    size_t levels = one_in(to, 10) ? below(to, 36) : 0;
    for (size_t i = 0; i < levels; i++)
        writer_char(&to->out, '[');
    put_value(to, 0);
    for (size_t i = 0; i < levels; i++)
        writer_char(&to->out, ']');
}

static void mutate_once(struct generator *to)
{
    static const char alphabet[] = "{}[]\",:\\u0123dDcC89aAeE+-. \n\t\x01\x1f\x7f/bfnrtls#'"
                                   "\x80\xbf\xc0\xc2\xe0\xed\xa0\xf0\xf4\xff";
    struct writer *out = &to->out;
    if (out->len < 2) return;
    size_t at = below(to, out->len);
    char byte = alphabet[below(to, sizeof alphabet)]; /* its NUL too */
    switch (below(to, 9) / 2) {
    case 0:
        out->base[at] = byte;
        break;
    case 1:
        memmove(out->base + at, out->base + at + 1, --out->len - at);
        break;
    case 2:
        if (out->len == out->cap) break;
        memmove(out->base + at + 1, out->base + at, out->len++ - at);
        out->base[at] = byte;
        break;
    case 3:
        out->base[at] ^= (char)(1 << below(to, 8));
        break;
    default: /* half as often: little else is learned */
        out->len = at + 1;
        break;
    }
}

static void assert_agreement(struct span text, uint64_t document, bool *accepted)
{
    struct arena arena;
    arena_init(&arena, arena_memory, sizeof arena_memory);
    const char *difference = json_compare(text, tokens, &arena, document, accepted);
    if (!difference) return;
    print_error("ADTALLY_SEED=%" PRIu64 " document %" PRIu64 ": %.*s\n", seed, document,
                SPAN_FMT(text));
    fail_msg("%s", difference);
}

struct kind {
    const char *name;
    bool duplicates;
    bool mutated;
    unsigned accepted_percent_min, accepted_percent_max;
};

static struct kind kinds[] = {
    {"documents without duplicate keys", false, false, 95, 100},
    {"documents that may repeat keys", true, false, 60, 98},
    {"documents with a few bytes changed", false, true, 5, 50},
};

/* The share of accepted ones shows that the generator still does what it is for. */
static void verdicts_and_values_agree(void **state)
{
    const struct kind *kind = *state;
    char memory[DOCUMENT_MAX];
    uint64_t accepted_count = 0;
    uint64_t count = 0;
    for (uint64_t document = 0; document < DOCUMENTS_COUNT; document++) {
        struct generator from = {.state = seed + document * UINT64_C(0xd1342543de82ef95),
                                 .duplicates = kind->duplicates};
        writer_init(&from.out, memory, sizeof memory);
        put_document(&from);
        if (from.out.overflow) continue;
        for (size_t i = kind->mutated ? 1 + below(&from, MUTATIONS_MAX) : 0; i > 0; i--)
            mutate_once(&from);
        bool accepted;
        assert_agreement(writer_text(&from.out), document, &accepted);
        accepted_count += accepted;
        count++;
    }
    assert_true(count > DOCUMENTS_COUNT * 9 / 10);
    assert_in_range(accepted_count * 100 / count, kind->accepted_percent_min,
                    kind->accepted_percent_max);
}

int main(void)
{
    const char *given = getenv("ADTALLY_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    seed = given ? strtoull(given, NULL, 10) : (uint64_t)now.tv_sec << 30 ^ (uint64_t)now.tv_nsec;
    printf("# ADTALLY_SEED=%" PRIu64 "\n", seed);
    UNIT_ADD_ROWS(kinds, verdicts_and_values_agree);
    return UNIT_RUN_ADDED("json_differential");
}
