#include "store/sqlite/db.h"

#include "base/assert.h"
#include "base/writer.h"
#include "store/sqlite/page_sums.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { URI_MAX = 2048 };

enum err db_err(int code)
{
    switch (code) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return ERR_OK;
    case SQLITE_IOERR_FSYNC:
    case SQLITE_IOERR_DIR_FSYNC:
        return ERR_SYNC_FAILED;
    case SQLITE_IOERR_NOMEM:
        return ERR_NO_MEMORY;
    default:
        break;
    }
    switch (code & 0xff) {
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_NOMEM:
        return ERR_NO_MEMORY;
    case SQLITE_NOTADB:
        return ERR_FOREIGN;
    case SQLITE_CORRUPT:
    case SQLITE_CONSTRAINT:
        return ERR_CORRUPT;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return ERR_DENIED;
    default:
        return ERR_IO;
    }
}

enum err db_last_err(sqlite3 *db)
{
    return db_err(sqlite3_extended_errcode(db));
}

static enum checksum_type type_of(int sqlite_type)
{
    switch (sqlite_type) {
    case SQLITE_NULL:
        return CHECKSUM_NULL;
    case SQLITE_TEXT:
        return CHECKSUM_TEXT;
    case SQLITE_BLOB:
        return CHECKSUM_BLOB;
    default:
        return CHECKSUM_OTHER;
    }
}

static uint64_t add_value(uint64_t checksum, sqlite3_value *value)
{
    int type = sqlite3_value_type(value);
    if (type == SQLITE_INTEGER) return checksum_add_i64(checksum, sqlite3_value_int64(value));
    const void *bytes = sqlite3_value_blob(value);
    return checksum_add(checksum, type_of(type), bytes, (size_t)sqlite3_value_bytes(value));
}

static void on_row_checksum(sqlite3_context *call, int count, sqlite3_value **values)
{
    uint64_t checksum = 0; /* the table's name is a part like the others */
    for (int i = 0; i < count; i++)
        checksum = add_value(checksum, values[i]);
    sqlite3_result_int64(call, (int64_t)checksum);
}

/* Nobody asks for SQLite's memory statistics, and they cost a mutex for every allocation. */
void db_start(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    page_sums_register();
}

static enum err open_with(sqlite3 **out, const char *path, int flags, const char *vfs)
{
    *out = NULL;
    int code = sqlite3_open_v2(path, out, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, vfs);
    if (code != SQLITE_OK) {
        enum err err = *out ? db_last_err(*out) : ERR_NO_MEMORY;
        sqlite3_close(*out);
        *out = NULL;
        return err;
    }
    sqlite3_busy_timeout(*out, DB_BUSY_TIMEOUT_MS);
    sqlite3_db_config(*out, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(*out, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0, NULL);
    sqlite3_db_config(*out, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(*out, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(*out, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    code = sqlite3_create_function_v2(*out, "row_checksum", -1,
                                      SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL,
                                      on_row_checksum, NULL, NULL, NULL);
    return code == SQLITE_OK ? ERR_OK : db_last_err(*out);
}

enum err db_open(sqlite3 **out, const char *path, bool create)
{
    return open_with(out, path, SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0), NULL);
}

/* To SQLite a file of one byte is empty as well. */
static bool is_empty(const char *path)
{
    struct stat file;
    return stat(path, &file) == 0 && file.st_size <= 1;
}

enum err db_check_access(const char *path, int mode)
{
    if (access(path, mode) == 0) return ERR_OK;
    return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND
           : errno == EACCES || errno == EROFS ? ERR_DENIED
                                               : ERR_IO;
}

/* SQLite deletes the WAL of an empty database, also for who only reads: it may be all that is left.
 */
enum err db_open_readonly(sqlite3 **out, const char *path)
{
    *out = NULL;
    if (is_empty(path)) return ERR_FOREIGN;
    enum err err = db_check_access(path, R_OK);
    if (!err) err = open_with(out, path, SQLITE_OPEN_READONLY, NULL);
    if (err) return err;
    sqlite3_db_config(*out, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return db_exec(*out, "PRAGMA cell_size_check = 1; PRAGMA mmap_size = 0;"
                         "PRAGMA wal_autocheckpoint = 0; PRAGMA query_only = 1");
}

/* What has a meaning in the path of a URI. */
static bool write_uri(char out[URI_MAX], const char *path, struct span parameters)
{
    struct writer uri;
    writer_init(&uri, out, URI_MAX - 1);
    writer_lit(&uri, "file:");
    for (; *path; path++)
        if (strchr("%?#", *path)) {
            writer_char(&uri, '%');
            writer_hex(&uri, path, 1);
        } else {
            writer_char(&uri, *path);
        }
    writer_put(&uri, parameters);
    out[uri.len] = 0;
    return !uri.overflow;
}

static enum err attach(sqlite3 *db, const char *uri, const char *name)
{
    sqlite3_stmt *statement = NULL;
    enum err err = db_prepare(db, &statement, "ATTACH ?1 AS ?2");
    if (err) return err;
    sqlite3_bind_text(statement, 1, uri, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, name, -1, SQLITE_STATIC);
    err = db_run(statement);
    sqlite3_finalize(statement);
    return err;
}

enum err db_open_derived(sqlite3 **out, const char *path)
{
    enum { FLAGS = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI };
    char uri[URI_MAX];
    int room = PAGE_SUMS_SIZE;
    *out = NULL;
    if (!write_uri(uri, path, SPAN("?mode=rwc&" PAGE_SUMS_URI))) return ERR_IO;
    enum err err = open_with(out, uri, FLAGS, PAGE_SUMS_VFS);
    if (err) return err;
    sqlite3_file_control(*out, "main", SQLITE_FCNTL_RESERVE_BYTES, &room);
    sqlite3_db_config(*out, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return db_exec(*out, "PRAGMA wal_autocheckpoint = 0; PRAGMA cell_size_check = 1;"
                         "PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY");
}

void db_read_damaged(sqlite3 *db, bool is_on)
{
    sqlite3_file_control(db, "main", PAGE_SUMS_LENIENT, &is_on);
}

enum err db_attach_readonly(sqlite3 *db, const char *path, const char *name)
{
    char uri[URI_MAX];
    if (is_empty(path)) return ERR_FOREIGN;
    if (!write_uri(uri, path, SPAN("?mode=ro"))) return ERR_IO;
    return attach(db, uri, name);
}

enum err db_attach_memory(sqlite3 *db, const char *name)
{
    return attach(db, ":memory:", name);
}

enum err db_attach_derived(sqlite3 *db, const char *path, const char *name)
{
    char uri[URI_MAX];
    if (is_empty(path)) return ERR_FOREIGN;
    if (!write_uri(uri, path, SPAN("?mode=ro&" PAGE_SUMS_URI))) return ERR_IO;
    return attach(db, uri, name);
}

enum err db_exec(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? ERR_OK : db_last_err(db);
}

enum err db_prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql)
{
    int code = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    return code == SQLITE_OK ? ERR_OK : db_last_err(db);
}

enum err db_run(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    enum err err = code == SQLITE_DONE ? ERR_OK : db_last_err(sqlite3_db_handle(statement));
    sqlite3_reset(statement);
    return err;
}

/* The statement stands at its first row, and is to be finalized in any case. */
static enum err query(sqlite3 *db, const char *sql, sqlite3_stmt **statement)
{
    *statement = NULL;
    enum err err = db_prepare(db, statement, sql);
    if (err) return err;
    int code = sqlite3_step(*statement);
    if (code == SQLITE_ROW) return ERR_OK;
    return code == SQLITE_DONE ? ERR_NOT_FOUND : db_last_err(db);
}

enum err db_query_i64(sqlite3 *db, const char *sql, int64_t *out)
{
    sqlite3_stmt *statement;
    enum err err = query(db, sql, &statement);
    if (!err) *out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return err;
}

enum err db_query_text(sqlite3 *db, const char *sql, char *out, size_t size)
{
    sqlite3_stmt *statement;
    enum err err = query(db, sql, &statement);
    if (!err) snprintf(out, size, "%.*s", SPAN_FMT(db_column_text(statement, 0)));
    sqlite3_finalize(statement);
    return err;
}

void db_bind_text(struct db_binder *binder, struct span text)
{
    int code = text.ptr ? sqlite3_bind_text(binder->statement, binder->next, text.ptr,
                                            (int)text.len, SQLITE_STATIC)
                        : sqlite3_bind_null(binder->statement, binder->next);
    ASSERT(code == SQLITE_OK);
    binder->next++;
    binder->checksum = checksum_add(binder->checksum, text.ptr ? CHECKSUM_TEXT : CHECKSUM_NULL,
                                    text.ptr, text.len);
}

void db_bind_i64(struct db_binder *binder, int64_t value)
{
    int code = sqlite3_bind_int64(binder->statement, binder->next++, value);
    ASSERT(code == SQLITE_OK);
    binder->checksum = checksum_add_i64(binder->checksum, value);
}

void db_bind_time(struct db_binder *binder, int64_t ms)
{
    if (ms)
        db_bind_i64(binder, ms);
    else
        db_bind_text(binder, SPAN_NONE);
}

void db_bind_blob(struct db_binder *binder, const void *bytes, size_t size)
{
    int code =
        sqlite3_bind_blob(binder->statement, binder->next++, bytes, (int)size, SQLITE_STATIC);
    ASSERT(code == SQLITE_OK);
    binder->checksum = checksum_add(binder->checksum, CHECKSUM_BLOB, bytes, size);
}

struct db_binder db_row(sqlite3_stmt *statement, struct span table)
{
    return (struct db_binder){statement, 1, checksum_start(table)};
}

void db_bind_checksum(struct db_binder *row)
{
    db_bind_i64(row, (int64_t)row->checksum);
}

enum err db_insert(struct db_binder *row)
{
    db_bind_checksum(row);
    return db_run(row->statement);
}

/* As a blob, which is the same bytes: as text, SQLite would copy each value to end it with a NUL.
 */
struct span db_column_text(sqlite3_stmt *statement, int column)
{
    const char *bytes = sqlite3_column_blob(statement, column);
    if (bytes) return (struct span){bytes, (size_t)sqlite3_column_bytes(statement, column)};
    return sqlite3_column_type(statement, column) == SQLITE_NULL ? SPAN_NONE : SPAN("");
}

static uint64_t add_column(uint64_t checksum, sqlite3_stmt *row, int column)
{
    int type = sqlite3_column_type(row, column);
    if (type == SQLITE_INTEGER)
        return checksum_add_i64(checksum, sqlite3_column_int64(row, column));
    struct span bytes = db_column_text(row, column);
    return checksum_add(checksum, type_of(type), bytes.ptr, bytes.len);
}

bool db_is_whole(sqlite3_stmt *row, int first, struct span table)
{
    int last = sqlite3_column_count(row) - 1;
    uint64_t checksum = checksum_start(table);
    for (int column = first; column < last; column++)
        checksum = add_column(checksum, row, column);
    return sqlite3_column_type(row, last) == SQLITE_INTEGER &&
           (uint64_t)sqlite3_column_int64(row, last) == checksum;
}
