#include "complain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct findings findings;

bool complain(const char *format, ...)
{
    if (findings.first[0]) return false;
    va_list rest;
    va_start(rest, format);
    /* clang-tidy 14 knows va_start only in the first file of a run. */
    vsnprintf(findings.first, sizeof findings.first, format, rest); /* NOLINT */
    va_end(rest);
    return false;
}

bool has_complaint(void)
{
    return findings.first[0] != '\0';
}

void forget_complaints(void)
{
    memset(&findings, 0, sizeof findings);
}
