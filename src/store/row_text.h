#pragma once

#include "base/span.h"
#include "base/writer.h"
#include "store/event_row.h"

/* A row as text, for `adtally export`, of whichever engine: every column but the checksum. */

struct text_row {
    int count;
    struct span names[ROW_CELLS_MAX];
    struct row_cell cells[ROW_CELLS_MAX];
};

/* A column; one that is not there is NULL. */
const struct row_cell *text_row_cell(const struct text_row *row, const char *name);

/* Longer is no row of ours. */
enum { ROW_TEXT_MAX = 2 * 1024 * 1024 };

/* {"table":"click","receipt":"...","seq":1,...} and a line feed; NULL columns are left out, and
 * columns that hold JSON stand as what they are. `receipt` absent: without. */
void row_text_ndjson(struct writer *out, struct span table, struct span receipt,
                     const struct text_row *row);

/* RFC 4180 with line feeds: NULL is nothing, the empty text is "". */
void row_text_csv_head(struct writer *out, bool has_receipt, const struct text_row *row);
void row_text_csv(struct writer *out, struct span receipt, const struct text_row *row);
