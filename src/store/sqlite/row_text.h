#pragma once

#include "base/span.h"
#include "base/writer.h"

#include <sqlite3.h>

/* A row as text, for `adtally export`: every column but the checksum, which is the last. */

/* Longer is no row of ours. */
enum { ROW_TEXT_MAX = 2 * 1024 * 1024 };

/* {"table":"click","receipt":"...","seq":1,...} and a line feed; NULL columns are left out, and
 * columns that hold JSON stand as what they are. `receipt` absent: without. */
void row_text_ndjson(struct writer *out, struct span table, struct span receipt, sqlite3_stmt *row);

/* RFC 4180 with line feeds: NULL is nothing, the empty text is "". */
void row_text_csv_head(struct writer *out, bool has_receipt, sqlite3_stmt *row);
void row_text_csv(struct writer *out, struct span receipt, sqlite3_stmt *row);
