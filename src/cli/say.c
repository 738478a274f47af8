#include "cli/say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static _Thread_local struct {
    char *text; /* NULL: standard error */
    size_t size;
} kept;

void say_into(char *text, size_t size)
{
    if (text) text[0] = '\0';
    kept.text = text;
    kept.size = size;
}

/* clang-tidy 14 knows va_start only in the first file of a run. */
void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (kept.text) {
        vsnprintf(kept.text, kept.size, format, arguments); /* NOLINT(*-valist.Uninitialized) */
    } else {
        flockfile(stderr);
        fprintf(stderr, "%s: ", program_invocation_short_name);
        vfprintf(stderr, format, arguments); /* NOLINT(clang-analyzer-valist.Uninitialized) */
        fputc('\n', stderr);
        funlockfile(stderr);
    }
    va_end(arguments);
}
