#pragma once

#include <stddef.h>

/* What every command says and ends with. */

enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* "adtally: ..." and a line feed on standard error. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What this thread says from here on goes into `text`, the last sentence alone, without the prefix;
 * NULL: to standard error again. */
void say_into(char *text, size_t size);
