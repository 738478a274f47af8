#pragma once

#include "unit.h"

#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

/* A directory of a test's own, in TMPDIR or else where the system has them. */

enum { UNIT_DIR_MAX = 96 };

/* Its path is left in `dir`. */
static inline void unit_dir_make(char dir[UNIT_DIR_MAX], const char *name)
{
    const char *folder = getenv("TMPDIR");
    int length =
        snprintf(dir, UNIT_DIR_MAX, "%s/adtally-%s-XXXXXX", folder ? folder : P_tmpdir, name);
    if (length >= UNIT_DIR_MAX || !mkdtemp(dir)) fail_msg("cannot make %s", dir);
}

static inline int unit_remove_entry(const char *path, const struct stat *info, int type,
                                    struct FTW *walk)
{
    return remove(path);
}

static inline void unit_dir_remove(const char *dir)
{
    nftw(dir, unit_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}
