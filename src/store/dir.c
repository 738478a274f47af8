#include "store/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char dir_new_name[] = "copy.db";

enum { LOCK_WAIT_MS = 50 };

static enum err errno_err(int code)
{
    switch (code) {
    case ENOENT:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    default:
        return ERR_IO;
    }
}

static enum err refuse(char *problem, enum err err, const char *path, const char *why)
{
    snprintf(problem, STORE_PROBLEM_MAX, "%s %s", path, why);
    return err;
}

/* What to do about a directory that cannot be made or opened. */
static const char *advice_of(int code)
{
    switch (code) {
    case ENOENT:
        return ": see whether the path is right, or make the directory it is in";
    case EACCES:
    case EPERM:
        return ": run it as the user that owns the directory, or name another";
    case ENOSPC:
    case EDQUOT:
        return ": make room on its disk";
    case ENOTDIR:
        return ": name a directory, which may be new";
    default:
        return "";
    }
}

static enum err refuse_errno(char *problem, const char *what, const char *path)
{
    enum err err = errno_err(errno);
    snprintf(problem, STORE_PROBLEM_MAX, "cannot %s the data directory %s: %s%s", what, path,
             strerror(errno), advice_of(errno));
    return err;
}

static enum err open_directory(struct dir *dir, const char *path, bool create, char *problem)
{
    if (create && mkdir(path, 0700) != 0 && errno != EEXIST)
        return refuse_errno(problem, "make", path);
    dir->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir->fd >= 0 ? ERR_OK : refuse_errno(problem, "open", path);
}

/* Names that may stand in a directory that is about to become ours: what a run leaves that died
 * while it made the database, and what an operator puts there beforehand. */
static bool may_stand_in_new(const char *name)
{
    static const char *const names[] = {".",
                                        "..",
                                        "lock",
                                        "admin.sock",
                                        "adtally.conf",
                                        "adtally.db",
                                        "adtally.db-journal",
                                        "adtally.db-wal",
                                        "adtally.db-shm",
                                        "adtally.db.new",
                                        "adtally.db.new-journal",
                                        "copy.db",
                                        "copy.db-journal",
                                        "copy.db-wal",
                                        "copy.db-shm",
                                        "secrets.json",
                                        "secrets.json.new",
                                        "sinks",
                                        "sinks.conf",
                                        "lost+found"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return strncmp(name, "index-", sizeof "index-" - 1) == 0; /* of a database that was removed */
}

static bool holds_other_files(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    if (!list) {
        if (fd >= 0) close(fd);
        return true;
    }
    bool found = false;
    for (struct dirent *entry = readdir(list); entry && !found; entry = readdir(list))
        found = !may_stand_in_new(entry->d_name);
    closedir(list);
    return found;
}

bool dir_has_leftovers(const struct dir *dir)
{
    static const char *const names[] = {"adtally.db-wal", "adtally.db-journal"};
    struct stat found;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (fstatat(dir->fd, names[i], &found, 0) == 0) return true;
    return false;
}

/* What a directory is opened for. */
enum use { USE_EXISTING, USE_OR_CREATE, USE_NEW };

static enum err check_content(struct dir *dir, const char *path, enum use use, char *problem)
{
    struct stat file;
    bool create = use != USE_EXISTING;
    dir->is_new = fstatat(dir->fd, "adtally.db", &file, 0) != 0 || file.st_size == 0;
    if (use == USE_NEW && (!dir->is_new || dir_has_leftovers(dir)))
        return refuse(problem, ERR_BUSY, path,
                      "holds a database already: name an empty or new directory");
    if (use != USE_NEW && fstatat(dir->fd, dir_new_name, &file, 0) == 0)
        return refuse(problem, ERR_FOREIGN, path,
                      "was not filled to the end by adtally copy: run that again, then this");
    if (!dir->is_new) return ERR_OK;
    if (!create)
        return refuse(
            problem, ERR_NOT_FOUND, path,
            "is no adtally data directory (it has no adtally.db): see whether the path is "
            "right; adtally serve or key create make a new one");
    if (holds_other_files(dir->fd))
        return refuse(problem, ERR_FOREIGN, path,
                      "holds other files and no adtally.db: name an empty or new directory");
    return ERR_OK;
}

static void say_holder(int lock_fd, const char *path, char *problem)
{
    char pid[16] = "";
    ssize_t len = pread(lock_fd, pid, sizeof pid - 1, 0);
    size_t digits = len > 0 ? strspn(pid, "0123456789") : 0;
    pid[digits] = '\0';
    snprintf(problem, STORE_PROBLEM_MAX,
             "the data directory %s is in use by process %s: stop it, or name another directory",
             path, digits ? pid : "(unknown)");
}

/* Looks again and again for a moment: where commands follow each other, the next one has the lock a
 * few milliseconds after the last. */
static bool lock_soon(int fd)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited_ms++) {
        if (waited_ms == LOCK_WAIT_MS) return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

static enum err take_lock(struct dir *dir, const char *path, char *problem)
{
    dir->lock_fd = openat(dir->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (dir->lock_fd < 0) return refuse_errno(problem, "write in", path);
    if (!lock_soon(dir->lock_fd)) {
        say_holder(dir->lock_fd, path, problem);
        return ERR_BUSY;
    }
    char pid[16];
    int len = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    bool written =
        ftruncate(dir->lock_fd, 0) == 0 && pwrite(dir->lock_fd, pid, (size_t)len, 0) == len;
    (void)written; /* the lock holds without the name, on a full disk too */
    return ERR_OK;
}

/* What looks foreign, or like nothing, may be a directory that another process is just making: then
 * it holds the lock. */
static enum err unless_held(struct dir *dir, const char *path, enum err err, char *problem)
{
    int fd = openat(dir->fd, "lock", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err;
    if (flock(fd, LOCK_SH | LOCK_NB) != 0) {
        say_holder(fd, path, problem);
        err = ERR_BUSY;
    }
    close(fd);
    return err;
}

/* A new directory's own entry, in the one above it. */
static bool sync_parent(const struct dir *dir)
{
    int fd = openat(dir->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno == EACCES; /* not ours to sync: whoever made DIR there has to */
    bool synced = fsync(fd) == 0;
    close(fd);
    return synced;
}

static enum err open_for(struct dir *dir, const char *path, enum use use, char *problem)
{
    bool create = use != USE_EXISTING;
    *dir = (struct dir){.fd = -1, .lock_fd = -1};
    if ((size_t)snprintf(dir->db_path, sizeof dir->db_path, "%s/adtally.db", path) >=
        sizeof dir->db_path)
        return refuse(problem, ERR_IO, "the data directory's path", "is longer than 500 bytes");
    enum err err = open_directory(dir, path, create, problem);
    if (!err) {
        err = check_content(dir, path, use, problem);
        if (err) err = unless_held(dir, path, err, problem);
    }
    if (!err) err = take_lock(dir, path, problem);
    /* Once more: whoever had the lock until now may have made the directory theirs, and its secrets
     * must not be made twice. */
    if (!err) err = check_content(dir, path, use, problem);
    if (!err && dir->is_new && !sync_parent(dir))
        err = refuse(problem, ERR_SYNC_FAILED, path, "could not be made durable: check the disk");
    if (err) dir_close(dir);
    return err;
}

enum err dir_open(struct dir *dir, const char *path, bool create, char problem[STORE_PROBLEM_MAX])
{
    return open_for(dir, path, create ? USE_OR_CREATE : USE_EXISTING, problem);
}

enum err dir_open_new(struct dir *dir, const char *path, char problem[STORE_PROBLEM_MAX])
{
    return open_for(dir, path, USE_NEW, problem);
}

enum err dir_hold(struct dir *dir, const char *path, bool create, char problem[STORE_PROBLEM_MAX])
{
    *dir = (struct dir){.fd = -1, .lock_fd = -1};
    enum err err = open_directory(dir, path, create, problem);
    if (!err) err = take_lock(dir, path, problem);
    if (err) dir_close(dir);
    return err;
}

void dir_close(struct dir *dir)
{
    if (dir->lock_fd >= 0) close(dir->lock_fd);
    if (dir->fd >= 0) close(dir->fd);
    dir->fd = dir->lock_fd = -1;
}
