#pragma once

#include "base/err.h"
#include "base/span.h"
#include "store/checksum.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/* A thin layer over one SQLite connection: spans in and out, and enum err for SQLite's result
 * codes.
 *
 * Debian 12's SQLite has the WAL-reset corruption bug (fixed upstream in 3.51.3), which needs two
 * connections that write or checkpoint at once. So the store's one connection writes and
 * checkpoints, for the life of the process; every other one is opened by db_open_readonly, which
 * switches checkpointing off. */

enum { DB_BUSY_TIMEOUT_MS = 2000 };

/* Once per process, before anything else of SQLite's; again does nothing. */
void db_start(void);

enum err db_open(sqlite3 **out, const char *path, bool create);
enum err db_open_readonly(sqlite3 **out, const char *path);

/* access(2): SQLite tells a file that is not there, or not ours to read, from no other failure to
 * open it. ERR_NOT_FOUND, ERR_DENIED, else ERR_IO. */
enum err db_check_access(const char *path, int mode);

/* A file of its own that is made of others, which it reads as attached databases: read-only, and as
 * little checkpointed as by db_open_readonly. Its pages have checksums (page_sums.h): damage is
 * ERR_CORRUPT, but for who says that it may be read. */
enum err db_open_derived(sqlite3 **out, const char *path); /* or ":memory:" */
void db_read_damaged(sqlite3 *db, bool is_on);
enum err db_attach_readonly(sqlite3 *db, const char *path, const char *name);
enum err db_attach_derived(sqlite3 *db, const char *path, const char *name);
enum err db_attach_memory(sqlite3 *db, const char *name); /* empty, to be written */

/* Every connection has the SQL function row_checksum(table, column, ...): what UPDATEs use. */

/* What SQLite's (extended) result code means to us. */
enum err db_err(int code);
enum err db_last_err(sqlite3 *db);

enum err db_exec(sqlite3 *db, const char *sql);
enum err db_prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql);

/* Runs a prepared statement that returns no rows, and resets it. */
enum err db_run(sqlite3_stmt *statement);

/* The first column of the first row. ERR_NOT_FOUND: no row. */
enum err db_query_i64(sqlite3 *db, const char *sql, int64_t *out);
enum err db_query_text(sqlite3 *db, const char *sql, char *out, size_t size);

/* Parameters in order. Text is borrowed until the statement is reset. */
struct db_binder {
    sqlite3_stmt *statement;
    int next;          /* 1-based */
    uint64_t checksum; /* of what was bound so far */
};
void db_bind_text(struct db_binder *binder, struct span text); /* absent: NULL */
void db_bind_i64(struct db_binder *binder, int64_t value);
void db_bind_time(struct db_binder *binder, int64_t ms); /* 0: NULL */
void db_bind_blob(struct db_binder *binder, const void *bytes, size_t size);

/* A new row: db_row, then every column in the table's order, then the checksum, which db_insert
 * binds and runs the statement. */
struct db_binder db_row(sqlite3_stmt *statement, struct span table);
void db_bind_checksum(struct db_binder *row);
enum err db_insert(struct db_binder *row);

/* Valid until the statement moves on; NULL is absent. */
struct span db_column_text(sqlite3_stmt *statement, int column);

/* Whether all columns of a row of `table`, which stand from column `first` of the result on, fit
 * their checksum, which is the last. */
bool db_is_whole(sqlite3_stmt *row, int first, struct span table);
