#pragma once

#include "base/err.h"
#include "store/event_row.h"
#include "store/store.h"

#include <sqlite3.h>

/* The events that a batch records, until they are inserted: one statement for all of a table, which
 * reads them from a table of no file (https://www.sqlite.org/vtab.html). A statement per row costs
 * twice as much: each would find the table's end anew. */

struct batch_rows {
    struct batch_table {
        struct batch_row {
            const struct op *op;
            uint64_t link;
        } rows[STORE_BATCH_MAX];
        size_t count;
        enum op_kind kind;
    } tables[EVENT_TABLES];
    uint64_t first; /* the lowest sequence of a row that waits, 0 when none does */
};

/* The connection gets a table `batch_NAME` for each event table. */
enum err batch_rows_register(struct batch_rows *rows, sqlite3 *db);

void batch_rows_clear(struct batch_rows *rows);
