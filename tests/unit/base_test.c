#include "unit.h"

#include "base/arena.h"
#include "base/span.h"
#include "base/writer.h"

#include <string.h>

static void writer_keeps_whole_pieces_only(void **state)
{
    (void)state;
    char memory[8];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    writer_lit(&out, "12345");
    assert_false(out.overflow);
    writer_lit(&out, "6789");
    assert_true(out.overflow);
    writer_lit(&out, "6");
    assert_int_equal(out.len, 5);
}

static void writer_writes_extreme_numbers(void **state)
{
    (void)state;
    char memory[64];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    writer_i64(&out, INT64_MIN);
    writer_char(&out, ' ');
    writer_u64(&out, UINT64_MAX);
    assert_true(span_eq(writer_text(&out), SPAN("-9223372036854775808 18446744073709551615")));
}

static void arena_refuses_what_does_not_fit(void **state)
{
    (void)state;
    _Alignas(16) char memory[64];
    struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    assert_non_null(arena_alloc(&arena, 33));
    assert_int_equal(arena_room(&arena), 16);
    assert_null(arena_alloc(&arena, 17));
    assert_non_null(arena_alloc(&arena, 16));
    assert_null(arena_copy(&arena, SPAN("x")).ptr);
}

static void span_split_yields_every_part(void **state)
{
    (void)state;
    struct span rest = SPAN("a,,b");
    assert_true(span_eq(span_split(&rest, ','), SPAN("a")));
    assert_int_equal(span_split(&rest, ',').len, 0);
    assert_true(span_eq(span_split(&rest, ','), SPAN("b")));
    assert_null(span_split(&rest, ',').ptr);
}

static void span_to_u64_has_no_silent_overflow(void **state)
{
    (void)state;
    unsigned long long value = 7;
    assert_false(span_to_u64(SPAN("18446744073709551616"), UINT64_MAX, &value));
    assert_false(span_to_u64(SPAN(""), 10, &value));
    assert_false(span_to_u64(SPAN("11"), 10, &value));
    assert_false(span_to_u64(SPAN("-1"), 10, &value));
    assert_int_equal(value, 7);
    assert_true(span_to_u64(SPAN("18446744073709551615"), UINT64_MAX, &value));
    assert_true(value == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writer_keeps_whole_pieces_only),
        cmocka_unit_test(writer_writes_extreme_numbers),
        cmocka_unit_test(arena_refuses_what_does_not_fit),
        cmocka_unit_test(span_split_yields_every_part),
        cmocka_unit_test(span_to_u64_has_no_silent_overflow),
    };
    return UNIT_RUN(tests);
}
