#pragma once

#include "base/err.h"
#include "store/store.h"

#include <stdbool.h>

/* The data directory: DIR/adtally.db (and -wal, -shm), DIR/index-NAME.NUMBER, DIR/secrets.json,
 * DIR/lock, DIR/admin.sock.
 * One process at a time: whoever holds the lock on DIR/lock, where it wrote its process id. */

struct dir {
    int fd;      /* the directory */
    int lock_fd; /* holds the lock while open */
    bool is_new; /* holds no database yet */
    char db_path[512];
};

/* Opens, makes (when `create`) and locks it; who has the lock is waited for 50 ms. On failure
 * `problem` says what to do. */
enum err dir_open(struct dir *dir, const char *path, bool create, char problem[STORE_PROBLEM_MAX]);

/* The same for who makes a data set of an empty directory in parts, under the name `dir_new_name`,
 * which takes its own when all of it is there; what an earlier run has left of it is taken up.
 * Until then dir_open refuses the directory. */
extern const char dir_new_name[];
enum err dir_open_new(struct dir *dir, const char *path, char problem[STORE_PROBLEM_MAX]);

/* The same for a store that is elsewhere: whatever the directory holds, one process has it. */
enum err dir_hold(struct dir *dir, const char *path, bool create, char problem[STORE_PROBLEM_MAX]);
void dir_close(struct dir *dir);

/* A WAL or a journal without its database would be taken for that of one that is put there. */
bool dir_has_leftovers(const struct dir *dir);
