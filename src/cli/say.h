#pragma once

/* What every command says and ends with. */

enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* "adtally: ..." and a line feed on standard error. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
