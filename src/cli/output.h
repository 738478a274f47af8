#pragma once

#include "cli/reach.h"

#include <stdbool.h>
#include <stddef.h>

/* What commands print on standard output. */

/* The text and a line feed. False: it could not be written, which has been said. */
bool output_line(struct span text);

/* An array of objects as a table: a column per member, of which those that no row has are left
 * out. */
struct column {
    struct span member, heading;
};
bool output_table(struct reply *reply, struct span array, const struct column *columns,
                  size_t columns_count);
