#pragma once

#include "store/store.h"

#include <sqlite3.h>

/* Every check of `adtally verify` that needs the database alone, which is in a transaction: a line
 * of the report for each finding. */
enum err verify_database(sqlite3 *db, struct writer *report, uint64_t *findings,
                         const struct store_progress *progress);
