#include "unit.h"

#include "event/uuid.h"
#include "random.h"

#include <stdbool.h>
#include <string.h>

static const struct read_row {
    const char *name;
    const char *text;
    bool readable;
} read_rows[] = {
    {"version 7", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f", true},
    {"version 4", "11111111-1111-4111-8111-111111111111", true},
    {"nil", "00000000-0000-0000-0000-000000000000", true},
    {"max", "ffffffff-ffff-ffff-ffff-ffffffffffff", true},
    {"upper case", "017F22E2-79B0-7CC3-98C4-DC0C0C07398F", false},
    {"one upper-case digit", "017f22e2-79b0-7cc3-98c4-dc0c0c07398F", false},
    {"no hyphens", "017f22e279b07cc398c4dc0c0c07398f", false},
    {"no hyphens, right length", "017f22e279b07cc398c4dc0c0c07398f0000", false},
    {"braces", "{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}", false},
    {"urn", "urn:uuid:017f22e2-79b0-7cc3-98c4-dc0c0c07398f", false},
    {"empty", "", false},
    {"one digit short", "017f22e2-79b0-7cc3-98c4-dc0c0c07398", false},
    {"one digit more", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0", false},
    {"first hyphen early", "017f22e-279b0-7cc3-98c4-dc0c0c07398f", false},
    {"first hyphen missing", "017f22e2079b0-7cc3-98c4-dc0c0c07398f", false},
    {"second hyphen missing", "017f22e2-79b007cc3-98c4-dc0c0c07398f", false},
    {"third hyphen missing", "017f22e2-79b0-7cc3098c4-dc0c0c07398f", false},
    {"fourth hyphen missing", "017f22e2-79b0-7cc3-98c40dc0c0c07398f", false},
    {"hyphen for a digit", "017f22e2-79b0-7cc3-98c4-dc0c0c0739-f", false},
    {"g", "017f22e2-79b0-7cc3-98c4-dc0c0c07398g", false},
    {"byte before 0", "/17f22e2-79b0-7cc3-98c4-dc0c0c07398f", false},
    {"byte after 9", "0:7f22e2-79b0-7cc3-98c4-dc0c0c07398f", false},
    {"byte before a", "017`22e2-79b0-7cc3-98c4-dc0c0c07398f", false},
    {"space before", " 17f22e2-79b0-7cc3-98c4-dc0c0c07398f", false},
    {"byte past ASCII",
     "\xb1"
     "17f22e2-79b0-7cc3-98c4-dc0c0c07398f",
     false},
};

static void text_is_read(void **state)
{
    const struct read_row *row = *state;
    struct uuid uuid;
    struct uuid before;
    char text[UUID_TEXT_LEN];
    memset(&uuid, 0xa5, sizeof uuid);
    before = uuid;
    assert_int_equal(uuid_read(&uuid, span_of(row->text)), row->readable);
    if (row->readable) {
        uuid_write(text, &uuid);
        assert_memory_equal(text, row->text, UUID_TEXT_LEN);
    } else {
        assert_memory_equal(&uuid, &before, sizeof uuid);
    }
}

/* RFC 9562 appendix A.6 */
static void rfc_example_is_made(void **state)
{
    (void)state;
    const uint8_t random[10] = {0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f};
    struct uuid uuid = uuid_make_v7(INT64_C(0x017f22e279b0), random);
    char text[UUID_TEXT_LEN];
    uuid_write(text, &uuid);
    assert_memory_equal(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f", UUID_TEXT_LEN);
    assert_int_equal(uuid_v7_ms(&uuid), INT64_C(0x017f22e279b0));
}

static const struct ms_row {
    const char *name;
    int64_t ms, kept;
} ms_rows[] = {
    {"ms: zero", 0, 0},
    {"ms: one", 1, 1},
    {"ms: 2026", 1795241330123, 1795241330123},
    {"ms: largest", INT64_C(0xffffffffffff), INT64_C(0xffffffffffff)},
    {"ms: a bit too many is cut", INT64_C(0x1000000000001), 1},
    {"ms: top bit", INT64_C(0x800000000000), INT64_C(0x800000000000)},
};

static void time_is_kept_and_bits_are_set(void **state)
{
    const struct ms_row *row = *state;
    uint8_t random[10];
    for (int fill = 0; fill <= 0xff; fill += 0xff) {
        memset(random, fill, sizeof random);
        struct uuid uuid = uuid_make_v7(row->ms, random);
        assert_int_equal(uuid_v7_ms(&uuid), row->kept);
        assert_int_equal(uuid.bytes[6], 0x70 | (fill & 0x0f));
        assert_int_equal(uuid.bytes[7], fill);
        assert_int_equal(uuid.bytes[8], 0x80 | (fill & 0x3f));
        for (int i = 9; i < UUID_SIZE; i++)
            assert_int_equal(uuid.bytes[i], fill);
    }
}

/* A random bit that is dropped would make ids collide. */
static void all_74_random_bits_count(void **state)
{
    (void)state;
    uint8_t random[10] = {0};
    int different = 0;
    struct uuid zero = uuid_make_v7(0, random);
    for (int bit = 0; bit < 80; bit++) {
        random[bit / 8] = (uint8_t)(1 << bit % 8);
        struct uuid uuid = uuid_make_v7(0, random);
        different += memcmp(&uuid, &zero, sizeof uuid) != 0;
        random[bit / 8] = 0;
    }
    assert_int_equal(different, 74);
}

static void random_ids_go_round_and_sort_by_time(void **state)
{
    (void)state;
    uint64_t seed = random_seed(__func__);
    char last[UUID_TEXT_LEN] = {0};
    int64_t ms = 0;
    for (int i = 0; i < 100000; i++) {
        uint64_t words[2] = {random_next(&seed), random_next(&seed)};
        uint8_t random[10];
        char text[UUID_TEXT_LEN];
        struct uuid back;
        memcpy(random, words, sizeof random);
        ms += 1 + (int64_t)random_below(&seed, 1000000000);
        struct uuid uuid = uuid_make_v7(ms, random);
        uuid_write(text, &uuid);
        assert_true(uuid_read(&back, (struct span){text, sizeof text}));
        assert_memory_equal(&uuid, &back, sizeof uuid);
        assert_int_equal(uuid_v7_ms(&back), ms);
        assert_true(memcmp(last, text, sizeof text) < 0);
        memcpy(last, text, sizeof text);
    }
}

static void absent_text_is_refused(void **state)
{
    (void)state;
    struct uuid uuid;
    assert_false(uuid_read(&uuid, SPAN_NONE));
}

int main(void)
{
    UNIT_ADD_ROWS(read_rows, text_is_read);
    UNIT_ADD_ROWS(ms_rows, time_is_kept_and_bits_are_set);
    UNIT_ADD(rfc_example_is_made);
    UNIT_ADD(all_74_random_bits_count);
    UNIT_ADD(random_ids_go_round_and_sort_by_time);
    UNIT_ADD(absent_text_is_refused);
    return UNIT_RUN_ADDED("uuid");
}
