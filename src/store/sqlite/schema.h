#pragma once

#include "base/err.h"
#include "base/span.h"

#include <sqlite3.h>

/* The tables that users query with SQL: docs/schema.md describes every column. */

enum {
    SCHEMA_APPLICATION_ID = 0x41445459, /* "ADTY" in the file's header */
    SCHEMA_VERSION = 3, /* 1: rows without checksums; 2: clicks and impressions without flags, no
                           tables `removed` and `poll_count` */
};

/* Makes the tables in an empty database; in one of version 2 those that it has not, and those of
 * clicks and impressions anew; does nothing in one of ours. ERR_FOREIGN: somebody else's, or
 * another version's. ERR_CORRUPT: the tables are not as we made them. */
enum err schema_apply(sqlite3 *db);

/* ERR_OK: ours, of this version, every table as we made it. Reads only. */
enum err schema_check(sqlite3 *db);

enum { SCHEMA_TABLES_COUNT = 15 };
struct schema_table {
    struct span name;
    const char *sql;
};
extern const struct schema_table schema_tables[SCHEMA_TABLES_COUNT];
