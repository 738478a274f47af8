#pragma once

#include "base/span.h"
#include "store/event_row.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values of an answer. Texts stay the answer's. */

int pg_rows(const PGresult *result); /* 0 of none */
bool pg_is_null(const PGresult *result, int row, int column);
int64_t pg_get_i64(const PGresult *result, int row, int column);      /* NULL: 0 */
struct span pg_get_text(const PGresult *result, int row, int column); /* NULL: absent */

/* `count` columns from `first` on. */
void pg_get_cells(const PGresult *result, int row, int first, int count, struct row_cell cells[]);

/* A bytea of exactly `size` bytes; false: it is none. */
bool pg_get_bytes(const PGresult *result, int row, int column, void *bytes, size_t size);

/* How many rows a statement without answer changed. */
int64_t pg_changed(const PGresult *result);
