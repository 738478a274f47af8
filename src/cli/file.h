#pragma once

#include "base/span.h"

#include <stdbool.h>

/* Files that commands read. On false it has been said. */

/* "cannot read PATH: why; what to do", of an errno. */
void file_say_unreadable(struct span path, int code);

/* All of a file, of standard input for "-", into `memory`; false also when it is larger. */
bool file_read(struct span path, char *memory, size_t size, struct span *text);

/* The same without the line end that the file may have. */
bool file_read_line(struct span path, char *memory, size_t size, struct span *text);
