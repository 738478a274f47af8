#pragma once

/* cmocka with what it expects included first, and a runner that names every table row. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

/* TAP allows a program one plan, so a program with several tables adds them up, rows of static
 * storage each, and runs all of them as one group. */
enum { UNIT_CASES_MAX = 2048 };

static struct CMUnitTest unit_cases[UNIT_CASES_MAX];
static size_t unit_cases_count;

static inline void unit_add(const char *name, CMUnitTestFunction check, void *row)
{
    if (unit_cases_count == UNIT_CASES_MAX) abort();
    unit_cases[unit_cases_count++] = (struct CMUnitTest){name, check, NULL, NULL, row};
}

static inline void unit_add_rows(const void *rows, size_t count, size_t size,
                                 CMUnitTestFunction check)
{
    for (size_t i = 0; i < count; i++) {
        char *row = (char *)(uintptr_t)rows + i * size;
        const char *name;
        memcpy(&name, row, sizeof name);
        unit_add(name, check, row);
    }
}

#define UNIT_ADD(check) unit_add(#check, (check), NULL)
#define UNIT_ADD_ROWS(rows, check)                                                                 \
    unit_add_rows((rows), sizeof(rows) / sizeof((rows)[0]), sizeof((rows)[0]), (check))
#define UNIT_RUN_ADDED(group)                                                                      \
    (_cmocka_run_group_tests((group), unit_cases, unit_cases_count, NULL, NULL) != 0)
