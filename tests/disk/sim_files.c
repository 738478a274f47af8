#include "sim_disk.h"
#include "sim_internal.h"
#include "sim_node.h"
#include "sim_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* The calls: paths, descriptors, bytes, names, locks. */

/* -- paths and descriptors ----------------------------------------------------------------- */

bool sim_is_path(const char *path)
{
    size_t len = sizeof SIM_DISK_ROOT - 1;
    return sim_disk.is_formatted && strncmp(path, SIM_DISK_ROOT, len) == 0 &&
           (path[len] == '/' || path[len] == '\0');
}

bool sim_is_fd(int fd)
{
    return fd >= FD_BASE;
}

static struct node *node_at(int node)
{
    return sim_disk.tree.nodes[node];
}

static struct sim_file *file_of(int fd)
{
    for (size_t i = 0; i < FILES_MAX; i++)
        if (sim_disk.files[i].fd == fd) return &sim_disk.files[i];
    return NULL;
}

/* Where a path leads: the directory of its last part, that part, and its node or SIM_NO_NODE. */
struct place {
    int directory, node;
    char name[SIM_NAME_MAX];
};

static int step(int directory, const char *name)
{
    if (strcmp(name, ".") == 0) return directory;
    if (strcmp(name, "..") == 0) return node_at(directory)->parent;
    return side_find(&node_at(directory)->seen, name);
}

static int find(int dir_fd, const char *path, struct place *place)
{
    struct sim_file *start = path[0] == '/' ? NULL : file_of(dir_fd);
    if (path[0] != '/' && !start) return -EBADF;
    if (path[0] == '/') path += sizeof SIM_DISK_ROOT - 1;
    *place = (struct place){.node = start ? start->node : 0};
    for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
        size_t len = strcspn(path, "/");
        if (len >= SIM_NAME_MAX) return -ENAMETOOLONG;
        if (place->node == SIM_NO_NODE) return -ENOENT;
        if (!node_at(place->node)->is_dir) return -ENOTDIR;
        place->directory = place->node;
        memcpy(place->name, path, len);
        place->name[len] = '\0';
        place->node = step(place->directory, place->name);
        path += len;
    }
    return 0;
}

static int new_file(int node, int flags)
{
    struct sim_file *file = file_of(0);
    if (!file) return -EMFILE;
    *file =
        (struct sim_file){.fd = sim_disk.fd_next++, .node = node, .flags = flags, .lock = LOCK_UN};
    return file->fd;
}

static int open_locked(int dir_fd, const char *path, int flags, mode_t mode)
{
    struct place place;
    int error = find(dir_fd, path, &place);
    if (error) return error;
    bool creates = place.node == SIM_NO_NODE && (flags & O_CREAT);
    struct sim_fate fate = sim_begin(creates ? CALL_CREATE : CALL_OPEN);
    if (fate.error && !(creates && fate.half_done)) return fate.error;
    if (place.node == SIM_NO_NODE && !creates) return -ENOENT;
    if (!creates && (flags & O_CREAT) && (flags & O_EXCL)) return -EEXIST;
    if (creates) {
        place.node = tree_add(&sim_disk.tree, false, mode, place.directory);
        tree_name(&sim_disk.tree, place.directory, place.name, place.node);
    }
    if (fate.error) return fate.error;
    bool is_dir = node_at(place.node)->is_dir;
    if (!is_dir && (flags & O_DIRECTORY)) return -ENOTDIR;
    if (is_dir && (flags & O_ACCMODE) != O_RDONLY) return -EISDIR;
    if (flags & O_TRUNC) tree_resize(&sim_disk.tree, place.node, 0);
    return new_file(place.node, flags);
}

int sim_open(int dir_fd, const char *path, int flags, mode_t mode)
{
    sim_lock();
    int fd = open_locked(dir_fd, path, flags, mode);
    sim_unlock();
    return fd;
}

int sim_close(int fd)
{
    sim_lock();
    struct sim_file *file = file_of(fd);
    if (file) *file = (struct sim_file){0};
    sim_unlock();
    return file ? 0 : -EBADF;
}

/* -- bytes --------------------------------------------------------------------------------- */

static ssize_t read_locked(const struct sim_file *file, void *bytes, size_t size, off_t offset)
{
    struct sim_fate fate = sim_begin(CALL_READ);
    if (fate.error) return fate.error;
    const struct blob *blob = &node_at(file->node)->seen.blob;
    if ((size_t)offset >= blob->size) return 0;
    if (size > blob->size - (size_t)offset) size = blob->size - (size_t)offset;
    memcpy(bytes, blob->bytes + offset, size);
    return (ssize_t)size;
}

/* A failing write may have written all, nothing or a beginning. */
static ssize_t write_locked(const struct sim_file *file, const void *bytes, size_t size,
                            off_t offset)
{
    size_t end = (size_t)offset + size, now = node_at(file->node)->seen.blob.size;
    struct sim_fate fate = sim_begin(CALL_WRITE);
    if (fate.error && !fate.half_done) return fate.error;
    if (!sim_has_room(end > now ? end - now : 0)) return -ENOSPC;
    if (fate.is_short && size > 1) size /= 2;
    if (fate.error) size = sim_roll(3) ? sim_roll(size + 1) : size * sim_roll(2);
    tree_write(&sim_disk.tree, file->node, (size_t)offset, bytes, size);
    return fate.error ? fate.error : (ssize_t)size;
}

/* `position` is the file's own, or one of the caller. */
static ssize_t transfer(int fd, void *to, const void *from, size_t size, const off_t *position)
{
    ssize_t done = -EBADF;
    sim_lock();
    struct sim_file *file = file_of(fd);
    if (file) {
        off_t at = position ? *position : file->position;
        done = to ? read_locked(file, to, size, at) : write_locked(file, from, size, at);
        if (!position && done > 0) file->position += done;
    }
    sim_unlock();
    return done;
}

ssize_t sim_read(int fd, void *bytes, size_t size)
{
    return transfer(fd, bytes, NULL, size, NULL);
}

ssize_t sim_write(int fd, const void *bytes, size_t size)
{
    return transfer(fd, NULL, bytes, size, NULL);
}

ssize_t sim_pread(int fd, void *bytes, size_t size, off_t offset)
{
    return transfer(fd, bytes, NULL, size, &offset);
}

ssize_t sim_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return transfer(fd, NULL, bytes, size, &offset);
}

static int resize_locked(int node, size_t size)
{
    size_t now = node_at(node)->seen.blob.size;
    struct sim_fate fate = sim_begin(CALL_RESIZE);
    if (fate.error && !fate.half_done) return fate.error;
    if (!sim_has_room(size > now ? size - now : 0)) return -ENOSPC;
    if (!fate.error || sim_roll(2)) tree_resize(&sim_disk.tree, node, size);
    return fate.error;
}

int sim_resize(int fd, off_t size)
{
    sim_lock();
    struct sim_file *file = file_of(fd);
    int error = file ? resize_locked(file->node, (size_t)size) : -EBADF;
    sim_unlock();
    return error;
}

static int sync_locked(int node)
{
    unsigned kind = node_at(node)->is_dir ? SIM_SYNC_DIRECTORIES : SIM_SYNC_FILES;
    struct sim_fate fate = sim_begin(CALL_SYNC);
    if (fate.error) {
        if (!sim_is_down() && fate.error != -EINTR) tree_sync_badly(&sim_disk.tree, node);
        return fate.error;
    }
    if (!(sim_disk.ignored_syncs & kind)) tree_sync(&sim_disk.tree, node);
    return 0;
}

int sim_sync(int fd)
{
    sim_lock();
    struct sim_file *file = file_of(fd);
    int error = file ? sync_locked(file->node) : -EBADF;
    sim_unlock();
    return error;
}

/* -- names --------------------------------------------------------------------------------- */

static int unlink_locked(int dir_fd, const char *path, bool is_dir)
{
    struct place place;
    int error = find(dir_fd, path, &place);
    if (error) return error;
    struct sim_fate fate = sim_begin(CALL_REMOVE);
    if (fate.error && !fate.half_done) return fate.error;
    if (place.node == SIM_NO_NODE) return -ENOENT;
    if (node_at(place.node)->is_dir != is_dir) return is_dir ? -ENOTDIR : -EISDIR;
    if (is_dir && node_at(place.node)->seen.count) return -ENOTEMPTY;
    if (!fate.error || sim_roll(2))
        tree_name(&sim_disk.tree, place.directory, place.name, SIM_NO_NODE);
    return fate.error;
}

int sim_unlink(int dir_fd, const char *path, bool is_dir)
{
    sim_lock();
    int error = unlink_locked(dir_fd, path, is_dir);
    sim_unlock();
    return error;
}

static int rename_locked(int dir_fd, const char *from, const char *to)
{
    struct place old, new;
    int error = find(dir_fd, from, &old);
    if (!error) error = find(dir_fd, to, &new);
    if (error) return error;
    struct sim_fate fate = sim_begin(CALL_NAME);
    if (fate.error && !fate.half_done) return fate.error;
    if (old.node == SIM_NO_NODE) return -ENOENT;
    if (old.directory != new.directory) return -EXDEV;
    if (!fate.error || sim_roll(2))
        tree_rename(&sim_disk.tree, old.directory, old.name, new.name, old.node);
    return fate.error;
}

int sim_rename(int dir_fd, const char *from, const char *to)
{
    sim_lock();
    int error = rename_locked(dir_fd, from, to);
    sim_unlock();
    return error;
}

static int mkdir_locked(const char *path, mode_t mode)
{
    struct place place;
    int error = find(-1, path, &place);
    if (error) return error;
    struct sim_fate fate = sim_begin(CALL_NAME);
    if (fate.error && !fate.half_done) return fate.error;
    if (place.node != SIM_NO_NODE) return -EEXIST;
    int node = tree_add(&sim_disk.tree, true, mode, place.directory);
    if (!fate.error || sim_roll(2)) tree_name(&sim_disk.tree, place.directory, place.name, node);
    return fate.error;
}

int sim_mkdir(const char *path, mode_t mode)
{
    sim_lock();
    int error = mkdir_locked(path, mode);
    sim_unlock();
    return error;
}

static void describe(int at, struct stat *out)
{
    const struct node *node = node_at(at);
    *out = (struct stat){
        .st_dev = DEVICE,
        .st_ino = (ino_t)at + 1,
        .st_mode = node->mode | (mode_t)(node->is_dir ? S_IFDIR : S_IFREG),
        .st_nlink = 1,
        .st_uid = geteuid(),
        .st_gid = getegid(),
        .st_size = (off_t)node->seen.blob.size,
        .st_blksize = 4096,
    };
}

int sim_stat(int dir_fd, const char *path, struct stat *out)
{
    struct place place;
    sim_lock();
    int error = find(dir_fd, path, &place);
    if (!error) error = sim_begin(CALL_LOOK).error;
    if (!error && place.node == SIM_NO_NODE) error = -ENOENT;
    if (!error) describe(place.node, out);
    sim_unlock();
    return error;
}

int sim_fstat(int fd, struct stat *out)
{
    sim_lock();
    struct sim_file *file = file_of(fd);
    int error = file ? sim_begin(CALL_LOOK).error : -EBADF;
    if (!error) describe(file->node, out);
    sim_unlock();
    return error;
}

int sim_chmod(int fd, mode_t mode)
{
    sim_lock();
    struct sim_file *file = file_of(fd);
    int error = file ? sim_begin(CALL_LOOK).error : -EBADF;
    if (!error) node_at(file->node)->mode = mode & 07777;
    sim_unlock();
    return error;
}

int sim_list(int fd, unsigned at, char name[256])
{
    int len = 0;
    sim_lock();
    struct sim_file *file = file_of(fd);
    int error = file ? sim_begin(CALL_LOOK).error : -EBADF;
    if (!error && at < node_at(file->node)->seen.count) {
        strcpy(name, node_at(file->node)->seen.entries[at].name);
        len = (int)strlen(name);
    }
    sim_unlock();
    return error ? error : len;
}

/* -- locks and shared memory --------------------------------------------------------------- */

static bool is_locked_by_other(const struct sim_file *self, int kind)
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        const struct sim_file *file = &sim_disk.files[i];
        if (!file->fd || file == self || file->node != self->node || file->lock == LOCK_UN)
            continue;
        if (kind == LOCK_EX || file->lock == LOCK_EX) return true;
    }
    return false;
}

int sim_flock(int fd, int operation)
{
    int kind = operation & ~LOCK_NB;
    sim_lock();
    struct sim_file *file = file_of(fd);
    int error = file ? 0 : -EBADF;
    if (!error && kind != LOCK_UN && is_locked_by_other(file, kind)) error = -EWOULDBLOCK;
    if (!error) file->lock = kind;
    sim_unlock();
    return error;
}

static struct sim_map *map_of(int node, off_t offset)
{
    for (size_t i = 0; i < MAPS_MAX; i++)
        if (sim_disk.maps[i].address && sim_disk.maps[i].node == node &&
            sim_disk.maps[i].offset == offset)
            return &sim_disk.maps[i];
    return NULL;
}

static struct sim_map *map_at(const void *address)
{
    for (size_t i = 0; i < MAPS_MAX; i++)
        if (sim_disk.maps[i].address == address) return &sim_disk.maps[i];
    return NULL;
}

static int map_locked(const struct sim_file *file, size_t size, off_t offset, void **out)
{
    struct sim_fate fate = sim_begin(CALL_LOOK);
    if (fate.error) return -ENOMEM;
    struct sim_map *map = map_of(file->node, offset);
    if (!map) {
        map = map_at(NULL);
        if (!map) return -ENOMEM;
        *map = (struct sim_map){sim_alloc(NULL, size), file->node, 0, offset};
        memset(map->address, 0, size);
        node_at(file->node)->is_mapped = true;
    }
    map->users++;
    *out = map->address;
    return 0;
}

int sim_map(int fd, size_t size, off_t offset, void **out)
{
    sim_lock();
    struct sim_file *file = file_of(fd);
    int error = file ? map_locked(file, size, offset, out) : -EBADF;
    sim_unlock();
    return error;
}

bool sim_unmap(void *address)
{
    sim_lock();
    struct sim_map *map = address ? map_at(address) : NULL;
    if (map && --map->users == 0) {
        free(map->address);
        *map = (struct sim_map){0};
    }
    sim_unlock();
    return map != NULL;
}
