#pragma once

/* cmocka with what it expects included first, and a runner that names every table row. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define UNIT_RUN(tests) cmocka_run_group_tests((tests), NULL, NULL)

/* Runs `check` once per row of `rows`, an array of structs whose first member is
 * `const char *name`; the row reaches the check as *state. */
#define UNIT_RUN_ROWS(rows, check)                                                                 \
    unit_run_rows(#rows, (rows), sizeof(rows) / sizeof((rows)[0]), sizeof((rows)[0]), (check))

static inline int unit_run_rows(const char *group, const void *rows, size_t count, size_t size,
                                CMUnitTestFunction check)
{
    struct CMUnitTest *tests = calloc(count, sizeof *tests);
    for (size_t i = 0; i < count; i++) {
        char *row = (char *)(uintptr_t)rows + i * size;
        tests[i] = (struct CMUnitTest){*(const char **)row, check, NULL, NULL, row};
    }
    int failed = _cmocka_run_group_tests(group, tests, count, NULL, NULL);
    free(tests);
    return failed;
}
