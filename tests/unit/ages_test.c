#include "unit.h"

#include "random.h"
#include "store/sqlite/sqlite.h"

/* A floor that is too young would forget a key that still counts. */

enum { EVENTS = 20000, TTL_MS = 600000 };

static int64_t recorded_at_ms[EVENTS]; /* by sequence */

static bool note(struct ages *ages, int64_t now_ms, uint64_t sequence)
{
    static const struct totals totals;
    ages->now_ms = now_ms;
    return ages_note(ages, sequence, &totals);
}

static void check_floor(const struct ages *ages, uint64_t count, int64_t now_ms)
{
    int64_t oldest_ms = now_ms - TTL_MS;
    uint64_t floor = ages_floor(ages, oldest_ms);
    assert_true(floor <= count);
    for (uint64_t sequence = floor > 64 ? floor - 64 : 0; sequence < floor; sequence++)
        assert_true(recorded_at_ms[sequence] <= oldest_ms);
}

static void nothing_below_the_floor_is_young(void **state)
{
    struct ages ages;
    int64_t now_ms = 1000000;
    (void)state;
    uint64_t seed = random_seed("nothing_below_the_floor_is_young");
    ages_init(&ages, TTL_MS);
    for (uint64_t sequence = 0; sequence < EVENTS; sequence++) {
        now_ms += (int64_t)random_below(&seed, 400);
        note(&ages, now_ms, sequence);
        recorded_at_ms[sequence] = now_ms;
        check_floor(&ages, sequence, now_ms);
    }
}

static void floor_follows_within_one_interval(void **state)
{
    struct ages ages;
    int64_t now_ms = 1000000;
    (void)state;
    ages_init(&ages, TTL_MS);
    for (uint64_t sequence = 0; sequence < EVENTS; sequence++, now_ms += 100)
        note(&ages, now_ms, sequence);
    uint64_t left = EVENTS - ages_floor(&ages, now_ms - TTL_MS);
    uint64_t expected = (uint64_t)(TTL_MS / 100);
    assert_in_range(left, expected, expected + (uint64_t)(ages.interval_ms / 100) + 1);
}

static void nothing_noted_is_floor_0(void **state)
{
    struct ages ages;
    (void)state;
    ages_init(&ages, TTL_MS);
    assert_int_equal(ages_floor(&ages, INT64_MAX), 0);
    assert_true(note(&ages, 5000, 7));
    assert_false(note(&ages, 5000 + ages.interval_ms - 1, 8));
    assert_int_equal(ages_floor(&ages, 4999), 0);
    assert_int_equal(ages_floor(&ages, 5000), 7);
}

static void row_of_a_clock_set_back_was_recorded_before_the_next_mark(void **state)
{
    struct ages ages;
    (void)state;
    ages_init(&ages, TTL_MS);
    assert_int_equal(ages_recorded_by_ms(&ages, 3, 1234), 1234);
    note(&ages, 100000, 5);
    assert_int_equal(ages_recorded_by_ms(&ages, 3, 1234), 1234);
    assert_int_equal(ages_recorded_by_ms(&ages, 5, 99500), 99500); /* loops differ a little */
    assert_int_equal(ages_recorded_by_ms(&ages, 5, 1234), 100000 + ages.interval_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_below_the_floor_is_young),
        cmocka_unit_test(floor_follows_within_one_interval),
        cmocka_unit_test(nothing_noted_is_floor_0),
        cmocka_unit_test(row_of_a_clock_set_back_was_recorded_before_the_next_mark),
    };
    return UNIT_RUN(tests);
}
