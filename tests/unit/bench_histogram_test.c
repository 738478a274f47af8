#include "../../bench/histogram.h"

#include "unit.h"

#include <string.h>

static struct histogram histogram;

static void add_range(uint64_t from, uint64_t to)
{
    memset(&histogram, 0, sizeof histogram);
    for (uint64_t value = from; value <= to; value++)
        histogram_add(&histogram, value);
}

/* A percentile may be above the exact one by a bucket's width: 1/128. */
static void assert_near(uint64_t got, uint64_t exact)
{
    assert_in_range(got, exact, exact + exact / 128);
}

static void test_nothing_is_zero(void **state)
{
    (void)state;
    memset(&histogram, 0, sizeof histogram);
    assert_int_equal(histogram_at(&histogram, 0.99), 0);
}

static void test_small_values_are_exact(void **state)
{
    (void)state;
    add_range(1, 100);
    assert_int_equal(histogram_at(&histogram, 0.5), 50);
    assert_int_equal(histogram_at(&histogram, 0.99), 99);
    assert_int_equal(histogram_at(&histogram, 1), 100);
}

static void test_percentiles_are_near(void **state)
{
    (void)state;
    add_range(1, 100000);
    assert_near(histogram_at(&histogram, 0.5), 50000);
    assert_near(histogram_at(&histogram, 0.99), 99000);
    assert_near(histogram_at(&histogram, 0.999), 99900);
    assert_int_equal(histogram_at(&histogram, 1), 100000);
}

static void test_each_value_is_near(void **state)
{
    (void)state;
    for (int bit = 0; bit < 64; bit++) {
        for (uint64_t value = (1ULL << bit) - 1; value <= (1ULL << bit); value++) {
            memset(&histogram, 0, sizeof histogram);
            histogram_add(&histogram, value);
            histogram_add(&histogram, UINT64_MAX);
            assert_near(histogram_at(&histogram, 0.5), value);
        }
    }
}

/* One stall in a thousand shows at p99.9 and not before. */
static void test_a_stall_is_seen_where_it_is(void **state)
{
    (void)state;
    add_range(1, 998);
    histogram_add(&histogram, 5000000);
    histogram_add(&histogram, 5000000);
    assert_near(histogram_at(&histogram, 0.99), 990);
    assert_near(histogram_at(&histogram, 0.999), 5000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_zero),
        cmocka_unit_test(test_small_values_are_exact),
        cmocka_unit_test(test_percentiles_are_near),
        cmocka_unit_test(test_each_value_is_near),
        cmocka_unit_test(test_a_stall_is_seen_where_it_is),
    };
    return UNIT_RUN(tests);
}
