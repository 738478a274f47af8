#include "cli/sandbox.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

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

static enum err allow(int ruleset_fd, const struct sandbox_files *files, uint64_t known)
{
    enum err err = allow_below(ruleset_fd, files->dir, DATA_RIGHTS & known);
    allow_below(ruleset_fd, zones_dir, LANDLOCK_ACCESS_FS_READ_FILE);
    for (size_t i = 0; i < files->readable_count; i++)
        allow_below(ruleset_fd, files->readable[i], LANDLOCK_ACCESS_FS_READ_FILE);
    return err;
}

/* `files` NULL: nothing is allowed. */
static enum err restrict_files(const struct sandbox_files *files)
{
    struct landlock_ruleset_attr attr = {.handled_access_fs = known_rights()};
    if (!attr.handled_access_fs) return ERR_NOT_FOUND;
    int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (fd < 0) return ERR_IO;
    enum err err = files ? allow(fd, files, attr.handled_access_fs) : ERR_OK;
    if (!err) err = restrict_self(fd);
    close(fd);
    return err;
}

#else

static enum err restrict_files(const struct sandbox_files *files)
{
    return ERR_NOT_FOUND;
}

#endif

void sandbox_let_read(struct sandbox_files *files, const char *path)
{
    if (files->readable_count == SANDBOX_READABLE_MAX) return;
    char *to = files->readable[files->readable_count];
    int len = snprintf(to, SANDBOX_PATH_MAX, "%s", path);
    if (len > 0 && len < SANDBOX_PATH_MAX) files->readable_count++;
}

/* Directories, since all of these are replaced while a server runs. */
void sandbox_let_resolve(struct sandbox_files *files)
{
    static const char *const paths[] = {
        "/etc", /* resolv.conf, hosts, nsswitch.conf, passwd, ssl */
        "/run/systemd/resolve",
        "/run/resolvconf",
        "/run/NetworkManager",
        "/usr/share/ca-certificates",
        "/usr/local/share/ca-certificates",
        "/usr/lib/ssl",
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        sandbox_let_read(files, paths[i]);
}

enum err sandbox_no_files(void)
{
    return restrict_files(NULL);
}

enum err sandbox_only_files_in(const struct sandbox_files *files)
{
    return restrict_files(files);
}
