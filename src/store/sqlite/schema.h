#pragma once

#include "base/err.h"
#include "base/span.h"

#include <sqlite3.h>

/* The tables that users query with SQL: docs/schema.md describes every column. */

enum {
    SCHEMA_APPLICATION_ID = 0x41445459, /* "ADTY" in the file's header */
    SCHEMA_VERSION = 3,                 /* 2: without removed, poll_count; 1: without checksums */
    SCHEMA_VERSION_UPGRADED = 2,        /* what schema_apply makes SCHEMA_VERSION of */
};

/* Makes the tables in an empty database, and those that an older version of ours has not.
 * ERR_FOREIGN: somebody else's, or another version's. ERR_CORRUPT: the tables are not as we made
 * them. */
enum err schema_apply(sqlite3 *db);

/* ERR_OK: ours, of this version, every table as we made it. Reads only. */
enum err schema_check(sqlite3 *db);

enum { SCHEMA_TABLES_COUNT = 15 };
struct schema_table {
    struct span name;
    const char *sql;
};
extern const struct schema_table schema_tables[SCHEMA_TABLES_COUNT];
