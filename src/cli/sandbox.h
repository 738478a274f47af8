#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* What a server gives away of its rights once it has what it needs, so that whoever takes it over
 * finds little to take: no program is started, no connection made, no file seen but the data.
 * There is no way back. docs/decisions/0005-sandbox.md says why it is as it is.
 *
 *              files (Landlock)            system calls (seccomp), of the whole process
 *     loops    none, from their start      a list, once everything is open: the rest fails with
 *     others   the data directory's,       EPERM; execve, connect, ptrace and their like end the
 *              once the store is open;     process
 *              to read, what else is named
 *
 * Over PostgreSQL connections are made again after a failure: with SANDBOX_CONNECTS the process may
 * connect, and its loops give that up for themselves.
 *
 * ERR_NOT_FOUND: this kernel, or this build (a sanitizer's), has it not. */

/* Files, and directories for what is below them. */
enum { SANDBOX_READABLE_MAX = 24, SANDBOX_PATH_MAX = 1024 };
struct sandbox_files {
    const char *dir; /* the data directory, to write, too */
    size_t readable_count;
    char readable[SANDBOX_READABLE_MAX][SANDBOX_PATH_MAX];
};

/* One more; what is not there, or does not fit, is left out. */
void sandbox_let_read(struct sandbox_files *files, const char *path);

/* What looking up a host's name and a certificate takes. */
void sandbox_let_resolve(struct sandbox_files *files);

/* The calling thread, and those that it starts from here on. */
enum err sandbox_no_files(void);
enum err sandbox_only_files_in(const struct sandbox_files *files);

/* All threads. */
enum sandbox_network { SANDBOX_SERVES, SANDBOX_CONNECTS };
enum err sandbox_calls(enum sandbox_network network);

/* The calling thread, after sandbox_calls(SANDBOX_CONNECTS). */
enum err sandbox_no_connections(void);
