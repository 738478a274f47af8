#pragma once

#include "store/op.h"

/* An event as the row that it becomes. */

enum { ROW_CELLS_MAX = 26 };

struct event_row {
    struct row_cell {
        bool is_text;
        struct span text; /* absent: NULL */
        int64_t number;
    } cells[ROW_CELLS_MAX];
    int count;
    uint64_t checksum;        /* of the cells so far */
    char uuid[UUID_TEXT_LEN]; /* what one cell points at */
};

/* All columns in the table's order, the checksum last. `link`: the sequence of the click that a
 * conversion names, or of the impression that a feedback does. Texts stay the op's. */
void event_row_fill(struct event_row *row, const struct op *op, uint64_t link);
