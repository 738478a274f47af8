#include "unit.h"

#include "ledger/limiter.h"

static const int64_t SECOND_US = 1000000;

static void second_worth_passes_at_once_and_then_one_per_interval(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(5, 1000);
    int64_t now_us = 77 * SECOND_US;
    for (int i = 0; i < 5; i++)
        assert_int_equal(limiter_take(limiter, SPAN("key"), now_us), 0);
    assert_int_equal(limiter_take(limiter, SPAN("key"), now_us), 200);
    assert_int_equal(limiter_take(limiter, SPAN("key"), now_us + 199000), 1);
    assert_int_equal(limiter_take(limiter, SPAN("key"), now_us + 200000), 0);
    assert_int_equal(limiter_take(limiter, SPAN("key"), now_us + 200000), 200);
    limiter_free(limiter);
}

static void refused_requests_cost_nothing(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(1, 1000);
    assert_int_equal(limiter_take(limiter, SPAN("key"), SECOND_US), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_not_equal(limiter_take(limiter, SPAN("key"), SECOND_US + i), 0);
    assert_int_equal(limiter_take(limiter, SPAN("key"), 2 * SECOND_US), 0);
    limiter_free(limiter);
}

static void steady_rate_is_never_refused(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(10, 1000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(limiter_take(limiter, SPAN("key"), SECOND_US + i * SECOND_US / 10), 0);
    limiter_free(limiter);
}

static void another_rate_holds_at_once(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(1, 1000);
    assert_int_equal(limiter_take(limiter, SPAN("key"), SECOND_US), 0);
    assert_int_equal(limiter_take(limiter, SPAN("key"), SECOND_US), 1000);
    limiter_set_rate(limiter, 10);
    assert_int_equal(limiter_take(limiter, SPAN("key"), SECOND_US), 100);
    assert_int_equal(limiter_take(limiter, SPAN("key"), SECOND_US + 100000), 0);
    limiter_set_rate(limiter, 1);
    assert_int_equal(limiter_take(limiter, SPAN("other"), SECOND_US), 0);
    assert_int_equal(limiter_take(limiter, SPAN("other"), SECOND_US), 1000);
    limiter_free(limiter);
}

static void what_others_let_through_is_taken_off(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(5, 1000);
    int64_t now_us = 77 * SECOND_US;
    limiter_charge(limiter, SPAN("key"), 4, now_us);
    assert_int_equal(limiter_take(limiter, SPAN("key"), now_us), 0);
    assert_int_equal(limiter_take(limiter, SPAN("key"), now_us), 200);
    limiter_charge(limiter, SPAN("key"), 10, now_us); /* two seconds more than there are */
    assert_int_equal(limiter_take(limiter, SPAN("key"), now_us + 2 * SECOND_US), 200);
    assert_int_equal(limiter_take(limiter, SPAN("key"), now_us + 2200000), 0);
    limiter_charge(limiter, SPAN("key"), UINT64_MAX, now_us);
    assert_int_equal(limiter_take(limiter, SPAN("key"), now_us + 60 * SECOND_US), 0);
    assert_int_equal(limiter_take(limiter, SPAN("other"), now_us), 0);
    limiter_free(limiter);
}

static void uses_are_counted_once_and_refusals_never(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(3, 1000);
    assert_true(limiter_count_uses(limiter));
    for (int i = 0; i < 10; i++)
        limiter_take(limiter, SPAN("key"), SECOND_US);
    assert_int_equal(limiter_take_uses(limiter, SPAN("key")), 3);
    assert_int_equal(limiter_take_uses(limiter, SPAN("key")), 0);
    assert_int_equal(limiter_take_uses(limiter, SPAN("other")), 0);
    limiter_free(limiter);
}

static void keys_do_not_touch_each_other(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(1, 1000);
    assert_int_equal(limiter_take(limiter, SPAN("a"), SECOND_US), 0);
    assert_int_equal(limiter_take(limiter, SPAN("b"), SECOND_US), 0);
    assert_int_not_equal(limiter_take(limiter, SPAN("a"), SECOND_US), 0);
    limiter_free(limiter);
}

static void flood_of_keys_stays_in_bounded_memory(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(1, 64);
    for (uint32_t i = 0; i < 100000; i++) {
        struct span key = {(const char *)&i, sizeof i};
        limiter_take(limiter, key, SECOND_US + i);
    }
    limiter_free(limiter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(second_worth_passes_at_once_and_then_one_per_interval),
        cmocka_unit_test(refused_requests_cost_nothing),
        cmocka_unit_test(steady_rate_is_never_refused),
        cmocka_unit_test(another_rate_holds_at_once),
        cmocka_unit_test(what_others_let_through_is_taken_off),
        cmocka_unit_test(uses_are_counted_once_and_refusals_never),
        cmocka_unit_test(keys_do_not_touch_each_other),
        cmocka_unit_test(flood_of_keys_stays_in_bounded_memory),
    };
    return UNIT_RUN(tests);
}
