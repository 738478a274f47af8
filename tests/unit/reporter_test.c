#include "unit.h"

#include "admin/reporter.h"

/* How much of the machine the sums for reports may have. */

static const struct rest {
    const char *name;
    int64_t took_ms, cpu_ms, behind, rest_ms;
} rests[] = {
    {"nearly done", 170, 170, 20000, 9 * 170},
    {"behind", 170, 170, 65536, 3 * 170},
    {"far behind", 170, 170, 262144, 170},
    {"a step that had a processor nearly for itself", 255, 170, 262144, 170},
    {"a step that had to wait for one", 256, 170, 262144, 39 * 170},
    {"a step that had to wait long, and is not punished for it", 5000, 170, 20000, 39 * 170},
    {"a short step, of which nothing can be told", 19, 1, 20000, 9},
    {"the shortest rest", 1, 1, 262144, 5},
};

static void a_step_is_rested_from(void **state)
{
    const struct rest *row = *state;
    assert_int_equal(reporter_rest_ms(row->took_ms, row->cpu_ms, row->behind), row->rest_ms);
}

int main(void)
{
    return UNIT_RUN_ROWS(rests, a_step_is_rested_from);
}
