#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* The file calls on the disk, as sim_calls.c hands them on. Negative results are -errno. `dir_fd`
 * is only looked at for relative paths. */

bool sim_is_path(const char *path);
bool sim_is_fd(int fd);

int sim_open(int dir_fd, const char *path, int flags, mode_t mode);
int sim_close(int fd);
ssize_t sim_read(int fd, void *bytes, size_t size);
ssize_t sim_write(int fd, const void *bytes, size_t size);
ssize_t sim_pread(int fd, void *bytes, size_t size, off_t offset);
ssize_t sim_pwrite(int fd, const void *bytes, size_t size, off_t offset);
int sim_resize(int fd, off_t size);
int sim_sync(int fd);
int sim_unlink(int dir_fd, const char *path, bool is_dir);
int sim_rename(int dir_fd, const char *from, const char *to);
int sim_mkdir(const char *path, mode_t mode);
int sim_stat(int dir_fd, const char *path, struct stat *out);
int sim_fstat(int fd, struct stat *out);
int sim_flock(int fd, int operation);
int sim_chmod(int fd, mode_t mode);

/* The names of a directory one by one; 0 past the last, else its length. */
int sim_list(int fd, unsigned at, char name[256]);

/* Shared memory of a file, apart from its bytes; garbage after a power cut. */
int sim_map(int fd, size_t size, off_t offset, void **out);
bool sim_unmap(void *address); /* false: not one of ours */
