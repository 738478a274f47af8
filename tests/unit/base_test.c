#include "unit.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/rng_pool.h"
#include "base/secret.h"
#include "base/span.h"
#include "base/writer.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

static void secret_is_zeroed_and_writable(void **state)
{
    (void)state;
    char *memory = secret_new(5000);
    assert_non_null(memory);
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(memory[i], 0);
    memset(memory, 7, 5000);
    secret_free(memory, 5000);
    secret_free(NULL, 5000);
}

/* What a process of its own ends with that reads one byte at `offset` from a page's secret. */
static int status_of_reading(ptrdiff_t offset)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        volatile char *memory = secret_new((size_t)sysconf(_SC_PAGESIZE));
        signal(SIGSEGV, SIG_DFL); /* cmocka would go on in here */
        (void)memory[offset];
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void secret_has_a_fence_on_either_side(void **state)
{
    (void)state;
    long page = sysconf(_SC_PAGESIZE);
    assert_int_equal(status_of_reading(0), 0);
    assert_int_equal(status_of_reading(page - 1), 0);
    assert_int_not_equal(status_of_reading(page), 0);
    assert_int_not_equal(status_of_reading(-1), 0);
}

/* What this writes to standard error, in memory that the next call uses again. */
static struct span logged(void (*write_lines)(void))
{
    static char text[64 * 1024];
    int ends[2], error = dup(STDERR_FILENO);
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    fflush(stderr);
    dup2(ends[1], STDERR_FILENO);
    write_lines();
    dup2(error, STDERR_FILENO);
    ssize_t len = read(ends[0], text, sizeof text);
    close(error);
    close(ends[0]);
    close(ends[1]);
    return (struct span){text, len > 0 ? (size_t)len : 0};
}

static size_t lines_written(void (*write_lines)(void))
{
    struct span text = logged(write_lines);
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '\n';
    return count;
}

static void write_what_needs_escapes(void)
{
    log_event(LOG_INFO, "escapes", LOG_TEXT("text", SPAN("a\"\\\n\r\t\0\x1f ~\x7f\xc3\xa9")));
}

static void log_escapes_all_but_printable_ascii(void **state)
{
    (void)state;
    struct span expected =
        SPAN("\"event\":\"escapes\",\"text\":\"a\\\"\\\\\\u000a\\u000d\\u0009\\u0000\\u001f ~"
             "\\u007f\\u00c3\\u00a9\"}\n");
    struct span line = logged(write_what_needs_escapes);
    assert_true(line.len > expected.len);
    assert_memory_equal(line.ptr + line.len - expected.len, expected.ptr, expected.len);
}

static void write_flood(void)
{
    for (int i = 0; i < 100000; i++)
        log_event_bounded(LOG_INFO, "flood", LOG_NUMBER("i", i));
}

static void tell_left_out(void)
{
    log_tell_left_out(true);
}

static void log_bounds_a_flood_and_tells(void **state)
{
    (void)state;
    size_t written = lines_written(write_flood);
    assert_in_range(written, LOG_BURST, LOG_BURST + 60 * LOG_PER_S); /* a slow machine's minute */
    assert_int_equal(lines_written(tell_left_out), 1);
    assert_int_equal(lines_written(tell_left_out), 0);
}

/* Words of eight bytes and what is left of them: each byte against each, at each place. */
static void span_eq_nocase_folds_letters_only(void **state)
{
    (void)state;
    enum { LEN = 11 };
    for (int place = 0; place < LEN; place++)
        for (int a = 0; a < 256; a++)
            for (int b = 0; b < 256; b++) {
                char left[LEN] = "Content-LEN", right[LEN] = "cONTENT-len";
                left[place] = (char)a;
                right[place] = (char)b;
                bool is_letter = (a | 0x20) >= 'a' && (a | 0x20) <= 'z';
                bool is_same = a == b || (is_letter && (a ^ b) == 0x20);
                assert_int_equal(
                    span_eq_nocase((struct span){left, LEN}, (struct span){right, LEN}), is_same);
            }
}

/* Every byte of a pool is given out once, and none stays behind. */
static void a_pool_gives_no_byte_twice(void **state)
{
    (void)state;
    enum { ID = 10, IDS = 3 * RNG_POOL_SIZE / ID };
    static const unsigned char nothing[RNG_POOL_SIZE];
    struct rng_pool pool = {.left = 0};
    unsigned char ids[IDS][ID];
    for (int i = 0; i < IDS; i++) {
        rng_take(&pool, ids[i], ID);
        assert_memory_equal(pool.bytes, nothing, RNG_POOL_SIZE - pool.left);
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(ids[i], ids[j], ID);
    }
    rng_take(&pool, (unsigned char[RNG_POOL_SIZE]){0}, RNG_POOL_SIZE);
    assert_int_equal(pool.left, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writer_keeps_whole_pieces_only),
        cmocka_unit_test(writer_writes_extreme_numbers),
        cmocka_unit_test(arena_refuses_what_does_not_fit),
        cmocka_unit_test(span_split_yields_every_part),
        cmocka_unit_test(secret_is_zeroed_and_writable),
        cmocka_unit_test(secret_has_a_fence_on_either_side),
        cmocka_unit_test(log_escapes_all_but_printable_ascii),
        cmocka_unit_test(log_bounds_a_flood_and_tells),
        cmocka_unit_test(span_eq_nocase_folds_letters_only),
        cmocka_unit_test(a_pool_gives_no_byte_twice),
        cmocka_unit_test(span_to_u64_has_no_silent_overflow),
    };
    return UNIT_RUN(tests);
}
