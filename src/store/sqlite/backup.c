#include "base/secret.h"
#include "store/dir.h"
#include "store/engine.h"
#include "store/sqlite/db.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/secrets.h"
#include "store/sqlite/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A backup is the database, page by page as of one moment, and secrets.json in a table more. Each
 * is made under another name and takes its own when it is whole and on stable storage. */

enum { PAGES_PER_STEP = 2048, PATH_SIZE = 4096 };

static const char secrets_table[] = "CREATE TABLE backup_secrets (json BLOB NOT NULL)";

static enum err refuse(char *problem, enum err err, const char *path, const char *why)
{
    if (!problem[0]) snprintf(problem, STORE_PROBLEM_MAX, "%.400s %s", path, why);
    return err;
}

static enum err say(char *problem, enum err err, const char *what, const char *path)
{
    if (err && !problem[0])
        snprintf(problem, STORE_PROBLEM_MAX, "cannot %s %.400s: %s: %s", what, path, err_text(err),
                 err_advice(err));
    return err;
}

/* All pages that `from` sees. It is in a transaction, so a server that writes meanwhile does not
 * make the copy begin anew; it keeps the WAL from starting over until the copy is done. */
static enum err copy_pages(sqlite3 *to, sqlite3 *from, const struct store_progress *progress)
{
    sqlite3_backup *copy = sqlite3_backup_init(to, "main", from, "main");
    if (!copy) return db_last_err(to);
    int code;
    while ((code = sqlite3_backup_step(copy, PAGES_PER_STEP)) == SQLITE_OK) {
        int of = sqlite3_backup_pagecount(copy);
        if (progress->on)
            progress->on(progress->arg, (uint64_t)(of - sqlite3_backup_remaining(copy)),
                         (uint64_t)of);
    }
    int end_code = sqlite3_backup_finish(copy);
    return db_err(code == SQLITE_DONE ? end_code : code);
}

static void write_parent(char out[PATH_SIZE], const char *path)
{
    const char *slash = strrchr(path, '/');
    int len = !slash ? 1 : slash == path ? 1 : (int)(slash - path);
    snprintf(out, PATH_SIZE, "%.*s", len, slash ? path : ".");
}

/* A new database at `path` that nobody else knows yet; a part of one that is left there goes. */
static enum err open_new(sqlite3 **out, const char *path)
{
    char journal[PATH_SIZE + 16], parent[PATH_SIZE];
    snprintf(journal, sizeof journal, "%s-journal", path);
    unlink(journal);
    write_parent(parent, path);
    enum err err = db_check_access(parent, W_OK | X_OK);
    if (err) return err;
    if (unlink(path) != 0 && errno != ENOENT) return ERR_DENIED;
    return db_open(out, path, true);
}

static enum err sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) return ERR_IO;
    enum err err = fsync(fd) == 0 ? ERR_OK : ERR_SYNC_FAILED;
    close(fd);
    return err;
}

static enum err sync_parent(const char *path)
{
    char parent[PATH_SIZE];
    write_parent(parent, path);
    return sync_path(parent, O_RDONLY | O_DIRECTORY);
}

static enum err take_name(const char *made, const char *path)
{
    enum err err = sync_path(made, O_RDONLY);
    if (err) return err;
    return rename(made, path) == 0 ? sync_parent(path) : ERR_IO;
}

/* -- backup -------------------------------------------------------------------------------- */

static enum err insert_secrets(sqlite3 *db, struct span text)
{
    sqlite3_stmt *insert = NULL;
    enum err err = db_prepare(db, &insert, "INSERT INTO backup_secrets VALUES (?)");
    if (err) return err;
    struct db_binder row = {insert, 1, 0};
    db_bind_blob(&row, text.ptr, text.len);
    err = db_run(insert);
    sqlite3_finalize(insert);
    return err;
}

static enum err add_secrets(sqlite3 *db, const char *dir)
{
    struct span text;
    char *memory = secret_new(SECRETS_TEXT_MAX);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err err = !memory ? ERR_NO_MEMORY : fd < 0 ? ERR_NOT_FOUND : ERR_OK;
    if (!err) err = secrets_read_text(&text, memory, fd);
    if (!err) err = db_exec(db, "BEGIN");
    if (!err) err = db_exec(db, secrets_table);
    if (!err) err = insert_secrets(db, text);
    if (!err) err = db_exec(db, "COMMIT");
    if (fd >= 0) close(fd);
    secret_free(memory, SECRETS_TEXT_MAX);
    return err;
}

static enum err write_backup(sqlite3 *from, const char *dir, const char *made,
                             const struct store_progress *progress)
{
    sqlite3 *to = NULL;
    enum err err = open_new(&to, made);
    if (!err) err = copy_pages(to, from, progress);
    /* One file: a copy of a database with a WAL would make itself one. */
    if (!err) err = db_exec(to, "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL");
    if (!err) err = add_secrets(to, dir);
    sqlite3_close(to);
    return err;
}

/* A snapshot: what is recorded from here on is not in the backup. */
static enum err open_source(sqlite3 **db, const char *path)
{
    int64_t last_seq;
    enum err err = db_open_readonly(db, path);
    if (!err) err = db_exec(*db, "BEGIN");
    if (!err) err = schema_check(*db);
    return err ? err : db_query_i64(*db, "SELECT last_seq FROM total", &last_seq);
}

enum err sqlite_store_backup(const char *dir, const char *file,
                             const struct store_progress *progress, char problem[STORE_PROBLEM_MAX])
{
    char path[512], made[PATH_SIZE];
    struct stat found;
    sqlite3 *from = NULL;
    db_start();
    problem[0] = '\0';
    if ((size_t)snprintf(path, sizeof path, "%s/adtally.db", dir) >= sizeof path ||
        (size_t)snprintf(made, sizeof made, "%s.new", file) >= sizeof made)
        return say(problem, ERR_IO, "use the path", file);
    if (stat(file, &found) == 0)
        return refuse(problem, ERR_BUSY, file, "exists: name a file that does not");
    enum err err = say(problem, open_source(&from, path), "read", path);
    if (!err) {
        err = say(problem, write_backup(from, dir, made, progress), "write", made);
        if (!err) err = say(problem, take_name(made, file), "write", file);
        if (err) unlink(made);
    }
    sqlite3_close(from);
    return err;
}

/* -- restore ------------------------------------------------------------------------------- */

/* The first line of what is wrong. */
static enum err check_backup(sqlite3 *db, const char *file, const struct store_progress *progress,
                             char *problem)
{
    char memory[4096];
    struct writer report;
    uint64_t findings = 0;
    writer_init(&report, memory, sizeof memory);
    enum err err = verify_database(db, &report, &findings, progress);
    struct span lines = writer_text(&report);
    if (err || findings == 0) return err;
    snprintf(problem, STORE_PROBLEM_MAX, "%.200s is damaged: %.*s", file,
             SPAN_FMT(span_split(&lines, '\n')));
    return ERR_CORRUPT;
}

static enum err put_secrets(sqlite3 *db, int dir_fd)
{
    sqlite3_stmt *row = NULL;
    enum err err = db_prepare(db, &row, "SELECT json FROM backup_secrets");
    if (err) return err;
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW)
        err = secrets_put_text(db_column_text(row, 0), dir_fd);
    else
        err = code == SQLITE_DONE ? ERR_CORRUPT : db_last_err(db);
    sqlite3_finalize(row);
    return err;
}

static enum err write_database(sqlite3 *from, const char *made,
                               const struct store_progress *progress)
{
    sqlite3 *to = NULL;
    enum err err = open_new(&to, made);
    if (!err) err = copy_pages(to, from, progress);
    if (!err)
        err = db_exec(to, "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
                          "DROP TABLE backup_secrets");
    sqlite3_close(to);
    return err;
}

static enum err restore_into(sqlite3 *from, const struct dir *dir,
                             const struct store_progress *progress)
{
    char made[sizeof dir->db_path + 8];
    snprintf(made, sizeof made, "%s.new", dir->db_path);
    enum err err = write_database(from, made, progress);
    if (!err) err = put_secrets(from, dir->fd);
    if (!err) err = take_name(made, dir->db_path);
    if (err) unlink(made);
    return err;
}

enum err sqlite_store_restore(const char *file, const char *path,
                              const struct store_progress *progress,
                              char problem[STORE_PROBLEM_MAX])
{
    sqlite3 *from = NULL;
    struct dir dir = {.fd = -1, .lock_fd = -1};
    db_start();
    problem[0] = '\0';
    enum err err = db_open_readonly(&from, file);
    if (!err) err = db_exec(from, "BEGIN");
    if (!err) err = check_backup(from, file, progress, problem);
    say(problem, err, "use the backup", file);
    if (!err) err = dir_open(&dir, path, true, problem);
    if (!err && (!dir.is_new || dir_has_leftovers(&dir)))
        err = refuse(problem, ERR_BUSY, path,
                     "holds a database already: name an empty or new directory");
    if (!err) err = say(problem, restore_into(from, &dir, progress), "restore into", path);
    dir_close(&dir);
    sqlite3_close(from);
    return err;
}
