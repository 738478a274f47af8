#include "sim_disk.h"
#include "sim_internal.h"
#include "sim_node.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* The calls: paths, descriptors, faults, power. */

enum { FD_BASE = 1 << 20, FILES_MAX = 64, MAPS_MAX = 16, DEVICE = 0x51d };

enum call {
    CALL_READ = 1,
    CALL_WRITE = 2,
    CALL_OPEN = 4,
    CALL_CREATE = 8,
    CALL_RESIZE = 16,
    CALL_SYNC = 32,
    CALL_NAME = 64, /* rename, mkdir */
    CALL_REMOVE = 128,
    CALL_LOOK = 256, /* stat, list, map, chmod */
    CALL_CHANGES = CALL_WRITE | CALL_CREATE | CALL_RESIZE | CALL_SYNC | CALL_NAME | CALL_REMOVE,
};

static const struct {
    unsigned calls;
    int error;
} faults[SIM_FAULT_COUNT] = {
    [SIM_FAULT_EIO] = {CALL_CHANGES | CALL_READ | CALL_OPEN | CALL_LOOK, EIO},
    [SIM_FAULT_FULL] = {CALL_WRITE | CALL_CREATE | CALL_SYNC | CALL_NAME, ENOSPC},
    [SIM_FAULT_SHORT] = {CALL_WRITE, 0},
    [SIM_FAULT_EINTR] = {CALL_READ | CALL_WRITE | CALL_OPEN | CALL_CREATE | CALL_RESIZE | CALL_SYNC,
                         EINTR},
};

struct sim_file {
    int fd; /* 0: free */
    int node;
    int flags, lock;
    off_t position;
};

struct sim_map {
    void *address; /* NULL: free */
    int node, users;
    off_t offset;
};

static struct {
    pthread_mutex_t mutex;
    struct tree tree;
    struct sim_file files[FILES_MAX];
    struct sim_map maps[MAPS_MAX];
    int fd_next;
    bool is_formatted, is_cut, is_killed;
    uint64_t down_in; /* 0: never */
    bool goes_by_cut;
    enum sim_fault fault;
    uint64_t fail_at, failed; /* 0: never */
    bool fails_for_ever, failed_last, failed_sync;
    unsigned ignored_syncs;
    uint64_t room;
    struct sim_disk_stats stats;
} disk = {.mutex = PTHREAD_MUTEX_INITIALIZER};

struct sim_image {
    struct tree tree;
};

static void lock(void)
{
    pthread_mutex_lock(&disk.mutex);
}

static void unlock(void)
{
    pthread_mutex_unlock(&disk.mutex);
}

/* -- power and faults ---------------------------------------------------------------------- */

void sim_disk_format(uint64_t seed)
{
    sim_disk_free();
    lock();
    tree_init(&disk.tree);
    sim_seed(seed);
    disk.is_formatted = true;
    disk.fd_next = FD_BASE;
    unlock();
}

void sim_disk_free(void)
{
    lock();
    struct sim_disk_stats stats = disk.stats;
    tree_free(&disk.tree);
    memset(disk.files, 0, sizeof disk.files);
    disk.is_formatted = disk.is_cut = disk.is_killed = false;
    disk.down_in = disk.fail_at = disk.failed = disk.room = 0;
    disk.failed_sync = disk.failed_last = false;
    disk.ignored_syncs = 0;
    disk.stats = stats;
    unlock();
}

static void go_down_in(uint64_t changes, bool is_cut)
{
    lock();
    disk.down_in = changes;
    disk.goes_by_cut = is_cut;
    unlock();
}

void sim_disk_cut_in(uint64_t changes)
{
    go_down_in(changes, true);
}

void sim_disk_kill_in(uint64_t changes)
{
    go_down_in(changes, false);
}

static bool is_down(void)
{
    return disk.is_cut || disk.is_killed;
}

static void go_down(bool is_cut)
{
    if (is_down()) return;
    disk.is_cut = is_cut;
    disk.is_killed = !is_cut;
    disk.down_in = 0;
    disk.stats.cuts += is_cut;
    disk.stats.kills += !is_cut;
}

void sim_disk_cut(void)
{
    lock();
    go_down(true);
    unlock();
}

void sim_disk_kill(void)
{
    lock();
    go_down(false);
    unlock();
}

bool sim_disk_is_down(void)
{
    lock();
    bool down = is_down();
    unlock();
    return down;
}

void sim_disk_restart(void)
{
    struct damage_done done = {0};
    lock();
    if (disk.is_cut) tree_damage(&disk.tree, &done);
    if (disk.is_killed) tree_evict(&disk.tree);
    disk.stats.kept += done.kept;
    disk.stats.lost += done.lost;
    disk.stats.torn += done.torn;
    disk.stats.garbage += done.garbage;
    disk.is_cut = disk.is_killed = false;
    unlock();
}

void sim_disk_fail(enum sim_fault fault, uint64_t at, bool for_ever)
{
    lock();
    disk.fault = fault;
    disk.fail_at = at;
    disk.fails_for_ever = for_ever;
    disk.failed = 0;
    disk.failed_last = disk.failed_sync = false;
    unlock();
}

uint64_t sim_disk_failed(void)
{
    lock();
    uint64_t failed = disk.failed;
    unlock();
    return failed;
}

bool sim_disk_failed_sync(void)
{
    lock();
    bool failed = disk.failed_sync;
    unlock();
    return failed;
}

void sim_disk_set_room(uint64_t bytes)
{
    lock();
    disk.room = bytes;
    unlock();
}

void sim_disk_ignore_syncs(unsigned which)
{
    lock();
    disk.ignored_syncs = which;
    unlock();
}

void sim_disk_stats(struct sim_disk_stats *out)
{
    lock();
    *out = disk.stats;
    unlock();
}

struct sim_image *sim_disk_save(void)
{
    struct sim_image *image = sim_alloc(NULL, sizeof *image);
    lock();
    tree_copy(&image->tree, &disk.tree);
    unlock();
    return image;
}

void sim_disk_load(const struct sim_image *image)
{
    lock();
    tree_free(&disk.tree);
    tree_copy(&disk.tree, &image->tree);
    unlock();
}

void sim_image_free(struct sim_image *image)
{
    tree_free(&image->tree);
    free(image);
}

static bool fault_strikes(unsigned call)
{
    if (disk.fail_at == 0 || !(call & faults[disk.fault].calls)) return false;
    if (disk.fail_at > 1) {
        disk.fail_at--;
        return false;
    }
    bool spared = disk.fault == SIM_FAULT_EINTR && disk.failed_last; /* else it would never end */
    disk.failed_last = !spared;
    if (spared) return false;
    if (!disk.fails_for_ever) disk.fail_at = 0;
    disk.failed++;
    disk.failed_sync |= call == CALL_SYNC;
    return true;
}

/* What becomes of a call before it does anything. */
struct fate {
    int error;      /* 0, or -errno */
    bool half_done; /* the error comes while it is being done */
    bool is_short;
};

static struct fate begin(unsigned call)
{
    if (is_down()) return (struct fate){.error = -EIO};
    disk.stats.calls++;
    disk.stats.syncs += call == CALL_SYNC;
    if (fault_strikes(call)) {
        int error = faults[disk.fault].error;
        return (struct fate){-error, error == EIO, error == 0};
    }
    if (!(call & CALL_CHANGES)) return (struct fate){0};
    disk.stats.changes++;
    if (disk.down_in == 0 || --disk.down_in > 0) return (struct fate){0};
    go_down(disk.goes_by_cut);
    return (struct fate){.error = -EIO, .half_done = true};
}

static bool has_room(uint64_t more)
{
    return disk.room == 0 || more == 0 || tree_size(&disk.tree) + more <= disk.room;
}

/* -- paths and descriptors ----------------------------------------------------------------- */

bool sim_is_path(const char *path)
{
    size_t len = sizeof SIM_DISK_ROOT - 1;
    return disk.is_formatted && strncmp(path, SIM_DISK_ROOT, len) == 0 &&
           (path[len] == '/' || path[len] == '\0');
}

bool sim_is_fd(int fd)
{
    return fd >= FD_BASE;
}

static struct node *node_at(int node)
{
    return disk.tree.nodes[node];
}

static struct sim_file *file_of(int fd)
{
    for (size_t i = 0; i < FILES_MAX; i++)
        if (disk.files[i].fd == fd) return &disk.files[i];
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
    *file = (struct sim_file){.fd = disk.fd_next++, .node = node, .flags = flags, .lock = LOCK_UN};
    return file->fd;
}

static int open_locked(int dir_fd, const char *path, int flags, mode_t mode)
{
    struct place place;
    int error = find(dir_fd, path, &place);
    if (error) return error;
    bool creates = place.node == SIM_NO_NODE && (flags & O_CREAT);
    struct fate fate = begin(creates ? CALL_CREATE : CALL_OPEN);
    if (fate.error && !(creates && fate.half_done)) return fate.error;
    if (place.node == SIM_NO_NODE && !creates) return -ENOENT;
    if (!creates && (flags & O_CREAT) && (flags & O_EXCL)) return -EEXIST;
    if (creates) {
        place.node = tree_add(&disk.tree, false, mode, place.directory);
        tree_name(&disk.tree, place.directory, place.name, place.node);
    }
    if (fate.error) return fate.error;
    bool is_dir = node_at(place.node)->is_dir;
    if (!is_dir && (flags & O_DIRECTORY)) return -ENOTDIR;
    if (is_dir && (flags & O_ACCMODE) != O_RDONLY) return -EISDIR;
    if (flags & O_TRUNC) tree_resize(&disk.tree, place.node, 0);
    return new_file(place.node, flags);
}

int sim_open(int dir_fd, const char *path, int flags, mode_t mode)
{
    lock();
    int fd = open_locked(dir_fd, path, flags, mode);
    unlock();
    return fd;
}

int sim_close(int fd)
{
    lock();
    struct sim_file *file = file_of(fd);
    if (file) *file = (struct sim_file){0};
    unlock();
    return file ? 0 : -EBADF;
}

/* -- bytes --------------------------------------------------------------------------------- */

static ssize_t read_locked(const struct sim_file *file, void *bytes, size_t size, off_t offset)
{
    struct fate fate = begin(CALL_READ);
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
    struct fate fate = begin(CALL_WRITE);
    if (fate.error && !fate.half_done) return fate.error;
    if (!has_room(end > now ? end - now : 0)) return -ENOSPC;
    if (fate.is_short && size > 1) size /= 2;
    if (fate.error) size = sim_roll(3) ? sim_roll(size + 1) : size * sim_roll(2);
    tree_write(&disk.tree, file->node, (size_t)offset, bytes, size);
    return fate.error ? fate.error : (ssize_t)size;
}

/* `position` is the file's own, or one of the caller. */
static ssize_t transfer(int fd, void *to, const void *from, size_t size, const off_t *position)
{
    ssize_t done = -EBADF;
    lock();
    struct sim_file *file = file_of(fd);
    if (file) {
        off_t at = position ? *position : file->position;
        done = to ? read_locked(file, to, size, at) : write_locked(file, from, size, at);
        if (!position && done > 0) file->position += done;
    }
    unlock();
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
    struct fate fate = begin(CALL_RESIZE);
    if (fate.error && !fate.half_done) return fate.error;
    if (!has_room(size > now ? size - now : 0)) return -ENOSPC;
    if (!fate.error || sim_roll(2)) tree_resize(&disk.tree, node, size);
    return fate.error;
}

int sim_resize(int fd, off_t size)
{
    lock();
    struct sim_file *file = file_of(fd);
    int error = file ? resize_locked(file->node, (size_t)size) : -EBADF;
    unlock();
    return error;
}

static int sync_locked(int node)
{
    unsigned kind = node_at(node)->is_dir ? SIM_SYNC_DIRECTORIES : SIM_SYNC_FILES;
    struct fate fate = begin(CALL_SYNC);
    if (fate.error) {
        if (!is_down() && fate.error != -EINTR) tree_sync_badly(&disk.tree, node);
        return fate.error;
    }
    if (!(disk.ignored_syncs & kind)) tree_sync(&disk.tree, node);
    return 0;
}

int sim_sync(int fd)
{
    lock();
    struct sim_file *file = file_of(fd);
    int error = file ? sync_locked(file->node) : -EBADF;
    unlock();
    return error;
}

/* -- names --------------------------------------------------------------------------------- */

static int unlink_locked(int dir_fd, const char *path, bool is_dir)
{
    struct place place;
    int error = find(dir_fd, path, &place);
    if (error) return error;
    struct fate fate = begin(CALL_REMOVE);
    if (fate.error && !fate.half_done) return fate.error;
    if (place.node == SIM_NO_NODE) return -ENOENT;
    if (node_at(place.node)->is_dir != is_dir) return is_dir ? -ENOTDIR : -EISDIR;
    if (is_dir && node_at(place.node)->seen.count) return -ENOTEMPTY;
    if (!fate.error || sim_roll(2)) tree_name(&disk.tree, place.directory, place.name, SIM_NO_NODE);
    return fate.error;
}

int sim_unlink(int dir_fd, const char *path, bool is_dir)
{
    lock();
    int error = unlink_locked(dir_fd, path, is_dir);
    unlock();
    return error;
}

static int rename_locked(int dir_fd, const char *from, const char *to)
{
    struct place old, new;
    int error = find(dir_fd, from, &old);
    if (!error) error = find(dir_fd, to, &new);
    if (error) return error;
    struct fate fate = begin(CALL_NAME);
    if (fate.error && !fate.half_done) return fate.error;
    if (old.node == SIM_NO_NODE) return -ENOENT;
    if (old.directory != new.directory) return -EXDEV;
    if (!fate.error || sim_roll(2))
        tree_rename(&disk.tree, old.directory, old.name, new.name, old.node);
    return fate.error;
}

int sim_rename(int dir_fd, const char *from, const char *to)
{
    lock();
    int error = rename_locked(dir_fd, from, to);
    unlock();
    return error;
}

static int mkdir_locked(const char *path, mode_t mode)
{
    struct place place;
    int error = find(-1, path, &place);
    if (error) return error;
    struct fate fate = begin(CALL_NAME);
    if (fate.error && !fate.half_done) return fate.error;
    if (place.node != SIM_NO_NODE) return -EEXIST;
    int node = tree_add(&disk.tree, true, mode, place.directory);
    if (!fate.error || sim_roll(2)) tree_name(&disk.tree, place.directory, place.name, node);
    return fate.error;
}

int sim_mkdir(const char *path, mode_t mode)
{
    lock();
    int error = mkdir_locked(path, mode);
    unlock();
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
    lock();
    int error = find(dir_fd, path, &place);
    if (!error) error = begin(CALL_LOOK).error;
    if (!error && place.node == SIM_NO_NODE) error = -ENOENT;
    if (!error) describe(place.node, out);
    unlock();
    return error;
}

int sim_fstat(int fd, struct stat *out)
{
    lock();
    struct sim_file *file = file_of(fd);
    int error = file ? begin(CALL_LOOK).error : -EBADF;
    if (!error) describe(file->node, out);
    unlock();
    return error;
}

int sim_chmod(int fd, mode_t mode)
{
    lock();
    struct sim_file *file = file_of(fd);
    int error = file ? begin(CALL_LOOK).error : -EBADF;
    if (!error) node_at(file->node)->mode = mode & 07777;
    unlock();
    return error;
}

int sim_list(int fd, unsigned at, char name[256])
{
    int len = 0;
    lock();
    struct sim_file *file = file_of(fd);
    int error = file ? begin(CALL_LOOK).error : -EBADF;
    if (!error && at < node_at(file->node)->seen.count) {
        strcpy(name, node_at(file->node)->seen.entries[at].name);
        len = (int)strlen(name);
    }
    unlock();
    return error ? error : len;
}

/* -- locks and shared memory --------------------------------------------------------------- */

static bool is_locked_by_other(const struct sim_file *self, int kind)
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        const struct sim_file *file = &disk.files[i];
        if (!file->fd || file == self || file->node != self->node || file->lock == LOCK_UN)
            continue;
        if (kind == LOCK_EX || file->lock == LOCK_EX) return true;
    }
    return false;
}

int sim_flock(int fd, int operation)
{
    int kind = operation & ~LOCK_NB;
    lock();
    struct sim_file *file = file_of(fd);
    int error = file ? 0 : -EBADF;
    if (!error && kind != LOCK_UN && is_locked_by_other(file, kind)) error = -EWOULDBLOCK;
    if (!error) file->lock = kind;
    unlock();
    return error;
}

static struct sim_map *map_of(int node, off_t offset)
{
    for (size_t i = 0; i < MAPS_MAX; i++)
        if (disk.maps[i].address && disk.maps[i].node == node && disk.maps[i].offset == offset)
            return &disk.maps[i];
    return NULL;
}

static struct sim_map *map_at(const void *address)
{
    for (size_t i = 0; i < MAPS_MAX; i++)
        if (disk.maps[i].address == address) return &disk.maps[i];
    return NULL;
}

static int map_locked(const struct sim_file *file, size_t size, off_t offset, void **out)
{
    struct fate fate = begin(CALL_LOOK);
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
    lock();
    struct sim_file *file = file_of(fd);
    int error = file ? map_locked(file, size, offset, out) : -EBADF;
    unlock();
    return error;
}

bool sim_unmap(void *address)
{
    lock();
    struct sim_map *map = address ? map_at(address) : NULL;
    if (map && --map->users == 0) {
        free(map->address);
        *map = (struct sim_map){0};
    }
    unlock();
    return map != NULL;
}
