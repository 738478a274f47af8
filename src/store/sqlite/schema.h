#pragma once

#include "base/err.h"

#include <sqlite3.h>

/* The tables that users query with SQL: docs/schema.md describes every column. */

enum {
    SCHEMA_APPLICATION_ID = 0x41445459, /* "ADTY" in the file's header */
    SCHEMA_VERSION = 1,
};

/* Makes the tables in an empty database; does nothing in one of ours. ERR_FOREIGN: somebody else's,
 * or a newer adtally's. */
enum err schema_apply(sqlite3 *db);

/* ERR_OK: ours and of this version. Reads only. */
enum err schema_check(sqlite3 *db);
