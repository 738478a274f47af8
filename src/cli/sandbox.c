#include "cli/sandbox.h"

#include <stddef.h>
#include <stdint.h>

#if ADTALLY_SANDBOX

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of kernels after Debian 12's headers. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (UINT64_C(1) << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (UINT64_C(1) << 15)
#endif

/* What SQLite, secrets.json and admin.sock need below the data directory. */
#define DATA_RIGHTS                                                                                \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR |  \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | \
     LANDLOCK_ACCESS_FS_TRUNCATE)

/* What a report's time zone is called there (admin/report_ask.c); a machine may have none. */
static const char *const zones_dir = "/usr/share/zoneinfo";

/* Every right that the kernel knows and so can take; 0: it has no Landlock. */
static uint64_t known_rights(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) return 0;
    uint64_t rights = LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1;
    if (version >= 2) rights |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3) rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
    if (version >= 5) rights |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
    return rights;
}

static enum err allow_below(int ruleset_fd, const char *path, uint64_t rights)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) return ERR_IO;
    const struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = fd};
    long failed = syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(fd);
    return failed ? ERR_IO : ERR_OK;
}

static enum err restrict_self(int ruleset_fd)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return ERR_IO;
    return syscall(SYS_landlock_restrict_self, ruleset_fd, 0) ? ERR_IO : ERR_OK;
}

/* `dir` NULL: nothing is allowed. */
static enum err restrict_files(const char *dir, const char *const *readable, size_t count)
{
    struct landlock_ruleset_attr attr = {.handled_access_fs = known_rights()};
    if (!attr.handled_access_fs) return ERR_NOT_FOUND;
    int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (fd < 0) return ERR_IO;
    enum err err = dir ? allow_below(fd, dir, DATA_RIGHTS & attr.handled_access_fs) : ERR_OK;
    if (dir) allow_below(fd, zones_dir, LANDLOCK_ACCESS_FS_READ_FILE);
    for (size_t i = 0; !err && i < count; i++)
        err = allow_below(fd, readable[i], LANDLOCK_ACCESS_FS_READ_FILE);
    if (!err) err = restrict_self(fd);
    close(fd);
    return err;
}

#else

static enum err restrict_files(const char *dir, const char *const *readable, size_t count)
{
    return ERR_NOT_FOUND;
}

#endif

enum err sandbox_no_files(void)
{
    return restrict_files(NULL, NULL, 0);
}

enum err sandbox_only_files_in(const char *dir, const char *const *readable, size_t count)
{
    return restrict_files(dir, readable, count);
}
