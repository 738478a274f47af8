#pragma once

#include "base/span.h"

#include <stdbool.h>

/* Whether a text that becomes part of a larger document is one JSON document by itself; when not,
 * it has been said of what `command` was given. */
bool json_file_check(const char *command, struct span text);
