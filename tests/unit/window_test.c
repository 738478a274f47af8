#include "unit.h"

#include "store/window.h"

static const int64_t START_MS = 1000000;

static int64_t record(struct window *window, uint64_t key, int64_t now_ms)
{
    int64_t wait_ms = window_check(window, key, now_ms);
    if (!wait_ms) assert_true(window_note(window, key, now_ms));
    return wait_ms;
}

static void thirty_first_is_refused_until_the_first_has_aged(void **state)
{
    (void)state;
    struct window *window = window_new(WINDOW_MS);
    for (int i = 0; i < WINDOW_EVENTS_MAX; i++)
        assert_int_equal(record(window, 7, START_MS + i * 100), 0);
    int64_t last_ms = START_MS + (WINDOW_EVENTS_MAX - 1) * 100;
    assert_int_equal(record(window, 7, last_ms), START_MS + WINDOW_MS - last_ms);
    assert_int_equal(record(window, 7, START_MS + WINDOW_MS - 1), 1);
    assert_int_equal(record(window, 7, START_MS + WINDOW_MS), 0);
    assert_int_equal(record(window, 7, START_MS + WINDOW_MS), 100);
    window_free(window);
}

static void one_every_two_seconds_is_never_refused(void **state)
{
    (void)state;
    struct window *window = window_new(WINDOW_MS);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(record(window, 7, START_MS + i * 2000), 0);
    window_free(window);
}

static void no_window_of_a_minute_holds_more_than_thirty(void **state)
{
    (void)state;
    enum { TRIES = 200000 };
    static int64_t recorded_ms[TRIES];
    struct window *window = window_new(WINDOW_MS);
    uint32_t random = 12345;
    int64_t now_ms = START_MS;
    size_t count = 0;
    for (int i = 0; i < TRIES; i++) {
        random = random * 1664525 + 1013904223;
        now_ms += random >> 22; /* up to a second */
        if (record(window, 7, now_ms) == 0) recorded_ms[count++] = now_ms;
        if (count > WINDOW_EVENTS_MAX)
            assert_true(recorded_ms[count - 1] - recorded_ms[count - 1 - WINDOW_EVENTS_MAX] >=
                        WINDOW_MS);
    }
    assert_true(count > 10000);
    window_free(window);
}

static void sessions_do_not_touch_each_other(void **state)
{
    (void)state;
    struct window *window = window_new(WINDOW_MS);
    for (uint64_t session = 1; session <= 1000; session++)
        for (int i = 0; i < WINDOW_EVENTS_MAX; i++)
            assert_int_equal(record(window, session * 0x9e3779b97f4a7c15ULL, START_MS), 0);
    assert_int_not_equal(record(window, 0x9e3779b97f4a7c15ULL, START_MS), 0);
    window_free(window);
}

static void full_ring_refuses_everybody_until_it_has_aged(void **state)
{
    (void)state;
    struct window *window = window_new(WINDOW_MS);
    for (uint64_t i = 1; i <= WINDOW_RING_MAX; i++)
        assert_int_equal(record(window, i * 0x9e3779b97f4a7c15ULL, START_MS), 0);
    assert_int_equal(record(window, 5, START_MS + 1), WINDOW_MS - 1);
    assert_int_equal(record(window, 5, START_MS + WINDOW_MS), 0);
    window_free(window);
}

static void what_is_taken_back_did_not_happen(void **state)
{
    (void)state;
    struct window *window = window_new(WINDOW_MS);
    for (int i = 0; i < 20; i++)
        record(window, 7, START_MS);
    for (int round = 0; round < 100; round++) {
        uint64_t mark = window_mark(window);
        for (int i = 0; i < 10; i++)
            assert_int_equal(record(window, 7, START_MS + round), 0);
        record(window, 8, START_MS + round);
        assert_int_not_equal(record(window, 7, START_MS + round), 0);
        window_take_back(window, mark);
    }
    for (int i = 0; i < WINDOW_EVENTS_MAX; i++)
        assert_int_equal(record(window, 8, START_MS + 100), 0);
    window_free(window);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thirty_first_is_refused_until_the_first_has_aged),
        cmocka_unit_test(one_every_two_seconds_is_never_refused),
        cmocka_unit_test(no_window_of_a_minute_holds_more_than_thirty),
        cmocka_unit_test(sessions_do_not_touch_each_other),
        cmocka_unit_test(full_ring_refuses_everybody_until_it_has_aged),
        cmocka_unit_test(what_is_taken_back_did_not_happen),
    };
    return UNIT_RUN(tests);
}
