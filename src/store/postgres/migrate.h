#pragma once

#include <stddef.h>

/* The embedded scripts, as far as they are taken apart. */

/* The next statement of a script, without its semicolon, into `sql`; what follows it, or NULL: no
 * more. */
const char *pg_next_statement(const char *script, char sql[], size_t size);

void pg_strip_partitions(char *sql);
