#include "sim_internal.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utime.h>

/* The C library's file calls, in the program itself, so that the dynamic linker takes them for all
 * of the process: what is not on the simulated disk goes to the kernel as it came.
 *
 * Named by their symbols, since headers rename them (open is open64 where files are large).
 * NOLINT: clang-tidy 14 knows va_start only in the first file of a run. */

#define SYMBOL(name) __asm__(name)

static long answer(long result)
{
    if (result >= 0) return result;
    errno = (int)-result;
    return -1;
}

/* The one that would have been called without us. */
static void find_real(const char *name, void *function, size_t size)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    memcpy(function, &found, size);
}

static bool is_ours(int dir_fd, const char *path)
{
    return path[0] == '/' ? sim_is_path(path) : sim_is_fd(dir_fd);
}

/* -- opening ------------------------------------------------------------------------------- */

int on_openat(int dir_fd, const char *path, int flags, ...) SYMBOL("openat64");
int on_openat(int dir_fd, const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; /* NOLINT */
    va_end(rest);
    if (is_ours(dir_fd, path)) return (int)answer(sim_open(dir_fd, path, flags, mode));
    return (int)syscall(SYS_openat, dir_fd, path, flags | O_LARGEFILE, mode);
}

int on_open(const char *path, int flags, ...) SYMBOL("open64");
int on_open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; /* NOLINT */
    va_end(rest);
    return on_openat(AT_FDCWD, path, flags, mode);
}

int on_close(int fd) SYMBOL("close");
int on_close(int fd)
{
    if (sim_is_fd(fd)) return (int)answer(sim_close(fd));
    return (int)syscall(SYS_close, fd);
}

int on_fcntl(int fd, int command, ...) SYMBOL("fcntl64");
int on_fcntl(int fd, int command, ...)
{
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *); /* NOLINT */
    va_end(rest);
    if (!sim_is_fd(fd)) return (int)syscall(SYS_fcntl, fd, command, argument);
    if (command == F_GETLK) ((struct flock *)argument)->l_type = F_UNLCK;
    return 0; /* record locks never meet another process's */
}

int on_flock(int fd, int operation) SYMBOL("flock");
int on_flock(int fd, int operation)
{
    if (sim_is_fd(fd)) return (int)answer(sim_flock(fd, operation));
    return (int)syscall(SYS_flock, fd, operation);
}

/* -- bytes --------------------------------------------------------------------------------- */

ssize_t on_read(int fd, void *bytes, size_t size) SYMBOL("read");
ssize_t on_read(int fd, void *bytes, size_t size)
{
    if (sim_is_fd(fd)) return answer(sim_read(fd, bytes, size));
    return syscall(SYS_read, fd, bytes, size);
}

ssize_t on_write(int fd, const void *bytes, size_t size) SYMBOL("write");
ssize_t on_write(int fd, const void *bytes, size_t size)
{
    if (sim_is_fd(fd)) return answer(sim_write(fd, bytes, size));
    return syscall(SYS_write, fd, bytes, size);
}

ssize_t on_pread(int fd, void *bytes, size_t size, off_t offset) SYMBOL("pread64");
ssize_t on_pread(int fd, void *bytes, size_t size, off_t offset)
{
    if (sim_is_fd(fd)) return answer(sim_pread(fd, bytes, size, offset));
    return syscall(SYS_pread64, fd, bytes, size, offset);
}

ssize_t on_pwrite(int fd, const void *bytes, size_t size, off_t offset) SYMBOL("pwrite64");
ssize_t on_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (sim_is_fd(fd)) return answer(sim_pwrite(fd, bytes, size, offset));
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

int on_ftruncate(int fd, off_t size) SYMBOL("ftruncate64");
int on_ftruncate(int fd, off_t size)
{
    if (sim_is_fd(fd)) return (int)answer(sim_resize(fd, size));
    return (int)syscall(SYS_ftruncate, fd, size);
}

int on_fsync(int fd) SYMBOL("fsync");
int on_fsync(int fd)
{
    if (sim_is_fd(fd)) return (int)answer(sim_sync(fd));
    return (int)syscall(SYS_fsync, fd);
}

int on_fdatasync(int fd) SYMBOL("fdatasync");
int on_fdatasync(int fd)
{
    if (sim_is_fd(fd)) return (int)answer(sim_sync(fd));
    return (int)syscall(SYS_fdatasync, fd);
}

void *on_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
    SYMBOL("mmap64");
void *on_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    void *address;
    if (!sim_is_fd(fd))
        return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset); /* NOLINT */
    return answer(sim_map(fd, size, offset, &address)) == 0 ? address : MAP_FAILED;
}

int on_munmap(void *at, size_t size) SYMBOL("munmap");
int on_munmap(void *at, size_t size)
{
    if (sim_unmap(at)) return 0;
    return (int)syscall(SYS_munmap, at, size);
}

/* -- names --------------------------------------------------------------------------------- */

int on_unlinkat(int dir_fd, const char *path, int flags) SYMBOL("unlinkat");
int on_unlinkat(int dir_fd, const char *path, int flags)
{
    if (is_ours(dir_fd, path)) return (int)answer(sim_unlink(dir_fd, path, flags & AT_REMOVEDIR));
    return (int)syscall(SYS_unlinkat, dir_fd, path, flags);
}

int on_unlink(const char *path) SYMBOL("unlink");
int on_unlink(const char *path)
{
    return on_unlinkat(AT_FDCWD, path, 0);
}

int on_rmdir(const char *path) SYMBOL("rmdir");
int on_rmdir(const char *path)
{
    return on_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int on_renameat(int from_fd, const char *from, int to_fd, const char *to) SYMBOL("renameat");
int on_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    if (is_ours(from_fd, from)) return (int)answer(sim_rename(from_fd, from, to));
    return (int)syscall(SYS_renameat, from_fd, from, to_fd, to);
}

int on_mkdir(const char *path, mode_t mode) SYMBOL("mkdir");
int on_mkdir(const char *path, mode_t mode)
{
    if (sim_is_path(path)) return (int)answer(sim_mkdir(path, mode));
    return (int)syscall(SYS_mkdir, path, mode);
}

int on_fstatat(int dir_fd, const char *path, struct stat *out, int flags) SYMBOL("fstatat64");
int on_fstatat(int dir_fd, const char *path, struct stat *out, int flags)
{
    if (is_ours(dir_fd, path)) return (int)answer(sim_stat(dir_fd, path, out));
    return (int)syscall(SYS_newfstatat, dir_fd, path, out, flags);
}

int on_stat(const char *path, struct stat *out) SYMBOL("stat64");
int on_stat(const char *path, struct stat *out)
{
    return on_fstatat(AT_FDCWD, path, out, 0);
}

int on_lstat(const char *path, struct stat *out) SYMBOL("lstat64");
int on_lstat(const char *path, struct stat *out)
{
    return on_fstatat(AT_FDCWD, path, out, AT_SYMLINK_NOFOLLOW);
}

int on_fstat(int fd, struct stat *out) SYMBOL("fstat64");
int on_fstat(int fd, struct stat *out)
{
    if (sim_is_fd(fd)) return (int)answer(sim_fstat(fd, out));
    return (int)syscall(SYS_fstat, fd, out);
}

int on_access(const char *path, int mode) SYMBOL("access");
int on_access(const char *path, int mode)
{
    struct stat file;
    if (sim_is_path(path)) return (int)answer(sim_stat(-1, path, &file));
    return (int)syscall(SYS_access, path, mode);
}

ssize_t on_readlink(const char *path, char *out, size_t size) SYMBOL("readlink");
ssize_t on_readlink(const char *path, char *out, size_t size)
{
    if (sim_is_path(path)) return answer(-EINVAL); /* there are no links */
    return syscall(SYS_readlink, path, out, size);
}

int on_fchmod(int fd, mode_t mode) SYMBOL("fchmod");
int on_fchmod(int fd, mode_t mode)
{
    if (sim_is_fd(fd)) return (int)answer(sim_chmod(fd, mode));
    return (int)syscall(SYS_fchmod, fd, mode);
}

int on_fchown(int fd, uid_t user, gid_t group) SYMBOL("fchown");
int on_fchown(int fd, uid_t user, gid_t group)
{
    if (sim_is_fd(fd)) return 0;
    return (int)syscall(SYS_fchown, fd, user, group);
}

/* -- lists of names: ours are told by their address ---------------------------------------- */

struct list {
    int fd;
    unsigned at;
    struct dirent entry;
};

enum { LISTS = 4 };
static struct list lists[LISTS];

static struct list *list_of(const DIR *directory)
{
    uintptr_t first = (uintptr_t)lists, at = (uintptr_t)directory;
    return at >= first && at < first + sizeof lists ? &lists[(at - first) / sizeof lists[0]] : NULL;
}

DIR *on_fdopendir(int fd) SYMBOL("fdopendir");
DIR *on_fdopendir(int fd)
{
    static DIR *(*real)(int fd);
    if (!sim_is_fd(fd)) {
        find_real("fdopendir", &real, sizeof real);
        return real(fd);
    }
    for (size_t i = 0; i < LISTS; i++)
        if (lists[i].fd == 0) {
            lists[i] = (struct list){.fd = fd};
            return (DIR *)&lists[i];
        }
    errno = ENOMEM;
    return NULL;
}

struct dirent *on_readdir(DIR *directory) SYMBOL("readdir64");
struct dirent *on_readdir(DIR *directory)
{
    static struct dirent *(*real)(DIR * directory);
    struct list *list = list_of(directory);
    if (!list) {
        find_real("readdir64", &real, sizeof real);
        return real(directory);
    }
    return answer(sim_list(list->fd, list->at++, list->entry.d_name)) > 0 ? &list->entry : NULL;
}

int on_closedir(DIR *directory) SYMBOL("closedir");
int on_closedir(DIR *directory)
{
    static int (*real)(DIR * directory);
    struct list *list = list_of(directory);
    if (!list) {
        find_real("closedir", &real, sizeof real);
        return real(directory);
    }
    int fd = list->fd;
    list->fd = 0;
    return on_close(fd);
}
