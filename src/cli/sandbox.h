#pragma once

#include "base/err.h"

#include <stddef.h>

/* What a server gives away of its rights once it has what it needs, so that whoever takes it over
 * finds little to take: no program is started, no connection made, no file seen but the data.
 * There is no way back. docs/decisions/0005-sandbox.md says why it is as it is.
 *
 *              files (Landlock)            system calls (seccomp), of the whole process
 *     loops    none, from their start      a list, once everything is open: the rest fails with
 *     others   the data directory's,       EPERM; execve, connect, ptrace and their like end the
 *              once the store is open;     process
 *              to read, `readable`: files, and
 *              directories with all below
 *
 * ERR_NOT_FOUND: this kernel, or this build (a sanitizer's), has it not. */

/* The calling thread, and those that it starts from here on. */
enum err sandbox_no_files(void);
enum err sandbox_only_files_in(const char *dir, const char *const *readable, size_t count);

/* All threads. */
enum err sandbox_calls(void);
