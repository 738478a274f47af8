#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>

/* The embedded scripts, as far as they are taken apart. */

/* Takes the next statement off a script, without its semicolon, into `sql`. False: no more. */
bool pg_next_statement(struct span *script, char sql[], size_t size);

void pg_strip_partitions(char *sql);
