#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A library for LD_PRELOAD that makes the N-th I/O operation or allocation of a program fail.
 *
 * The test writes `struct control` into a file that both have mapped, and reads there what
 * happened. The file is mapped before main, from the path in ADTALLY_FAULTS; without it nothing
 * ever fails. Operations are counted only while their bit is in `mask`, across all threads. */

/* clang-format off */
#define OPERATIONS(X)                                                                              \
    X(open) X(read) X(pread) X(write) X(pwrite) X(fsync) X(fdatasync) X(ftruncate) X(rename)       \
    X(unlink) X(mkdir) X(map_file)                                                                 \
    X(socket) X(eventfd) X(epoll_create) X(accept) X(watch) X(epoll_wait) X(poll) X(recv) X(send)  \
    X(sendmsg)                                                                                     \
    X(malloc) X(calloc) X(realloc) X(posix_memalign) X(map) X(thread)
/* clang-format on */

enum operation {
#define X(name) OP_##name,
    OPERATIONS(X)
#undef X
};

/* The names in the order of their bits: tests/faults/injection.py reads them here. */
extern const char fault_operations[];
const char fault_operations[] =
#define X(name) #name " "
    OPERATIONS(X);
#undef X

struct control {
    _Atomic uint64_t mask;    /* bit 1 << enum operation: counted, and failed when it is its turn */
    _Atomic int64_t first;    /* the number of the first that fails, from 1; 0: none */
    _Atomic int64_t times;    /* how many fail from there on */
    _Atomic int32_t error;    /* an errno; 0: half of the bytes are moved */
    _Atomic int32_t torn;     /* a failing write has written half of its bytes before */
    _Atomic int64_t seen;     /* how many came since `mask` was set */
    _Atomic int64_t failed;   /* how many of them failed */
    _Atomic int32_t last;     /* the last that failed: enum operation */
    _Atomic uint32_t percent; /* of those that would fail, chosen by their number and `seed` */
    _Atomic uint64_t seed;
};

static struct control *control;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

#define REAL(name) real_##name
#define FIND(name)                                                                                 \
    do {                                                                                           \
        if (!REAL(name)) *(void **)(&REAL(name)) = dlsym(RTLD_NEXT, #name);                        \
    } while (0)

/* splitmix64: the same numbers fail whenever the seed is the same. */
static uint64_t mix(uint64_t value)
{
    value += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static bool is_turn(enum operation operation)
{
    if (!control || !(atomic_load(&control->mask) & UINT64_C(1) << operation)) return false;
    int64_t number = atomic_fetch_add(&control->seen, 1) + 1, first = atomic_load(&control->first);
    if (!first || number < first || number - first >= atomic_load(&control->times)) return false;
    if (mix((uint64_t)number + atomic_load(&control->seed)) % 100 >= atomic_load(&control->percent))
        return false;
    atomic_fetch_add(&control->failed, 1);
    atomic_store(&control->last, (int32_t)operation);
    return true;
}

static bool fails(enum operation operation)
{
    if (!is_turn(operation)) return false;
    errno = atomic_load(&control->error);
    return true;
}

/* Half of the bytes, but some: what moves nothing would mean the end of the file. */
static size_t half(size_t size)
{
    return size > 1 ? size / 2 : size;
}

static bool is_file(int fd)
{
    struct stat found;
    return control && fd > STDERR_FILENO && fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
}

/* A transfer that may be short: true when it fails, else *size is what to move. */
static bool fails_moving(enum operation operation, size_t *size)
{
    if (!is_turn(operation)) return false;
    errno = atomic_load(&control->error);
    if (errno) return true;
    *size = half(*size);
    return false;
}

static bool is_torn(void)
{
    return atomic_load(&control->torn) != 0;
}

/* -- allocations ------------------------------------------------------------------------------ */

void *malloc(size_t size)
{
    return fails(OP_malloc) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(OP_calloc) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return fails(OP_realloc) ? NULL : __libc_realloc(memory, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    if (fails(OP_posix_memalign)) return ENOMEM;
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}

static void *(*REAL(mmap64))(void *, size_t, int, int, int, off64_t);

void *mmap64(void *at, size_t size, int protection, int flags, int fd, off64_t offset)
{
    FIND(mmap64);
    if (fails(fd >= 0 ? OP_map_file : OP_map)) return MAP_FAILED;
    return REAL(mmap64)(at, size, protection, flags, fd, offset);
}

static int (*REAL(pthread_create))(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *arg)
{
    FIND(pthread_create);
    if (fails(OP_thread)) return EAGAIN;
    return REAL(pthread_create)(thread, attributes, run, arg);
}

/* -- files ------------------------------------------------------------------------------------ */

static int (*REAL(openat64))(int, const char *, int, ...);

static int open_in(int dir_fd, const char *path, int flags, mode_t mode)
{
    FIND(openat64);
    if (fails(OP_open)) return -1;
    return REAL(openat64)(dir_fd, path, flags, mode);
}

static mode_t mode_of(int flags, va_list arguments)
{
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the caller began it */
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_in(AT_FDCWD, path, flags, mode);
}

int openat64(int dir_fd, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_in(dir_fd, path, flags, mode);
}

extern int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
    return open_in(AT_FDCWD, path, flags, 0);
}

extern int __openat64_2(int dir_fd, const char *path, int flags);
int __openat64_2(int dir_fd, const char *path, int flags)
{
    return open_in(dir_fd, path, flags, 0);
}

static ssize_t (*REAL(read))(int, void *, size_t);

ssize_t read(int fd, void *bytes, size_t size)
{
    FIND(read);
    if (is_file(fd) && fails_moving(OP_read, &size)) return -1;
    return REAL(read)(fd, bytes, size);
}

extern ssize_t __read_chk(int fd, void *bytes, size_t size, size_t room);
ssize_t __read_chk(int fd, void *bytes, size_t size, size_t room)
{
    return size <= room ? read(fd, bytes, size) : (abort(), -1);
}

static ssize_t (*REAL(pread64))(int, void *, size_t, off64_t);

ssize_t pread64(int fd, void *bytes, size_t size, off64_t at)
{
    FIND(pread64);
    if (is_file(fd) && fails_moving(OP_pread, &size)) return -1;
    return REAL(pread64)(fd, bytes, size, at);
}

extern ssize_t __pread64_chk(int fd, void *bytes, size_t size, off64_t at, size_t room);
ssize_t __pread64_chk(int fd, void *bytes, size_t size, off64_t at, size_t room)
{
    return size <= room ? pread64(fd, bytes, size, at) : (abort(), -1);
}

static ssize_t (*REAL(write))(int, const void *, size_t);

ssize_t write(int fd, const void *bytes, size_t size)
{
    FIND(write);
    if (is_file(fd) && fails_moving(OP_write, &size)) {
        int error = errno;
        if (is_torn()) (void)!REAL(write)(fd, bytes, half(size));
        errno = error;
        return -1;
    }
    return REAL(write)(fd, bytes, size);
}

static ssize_t (*REAL(pwrite64))(int, const void *, size_t, off64_t);

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    FIND(pwrite64);
    if (is_file(fd) && fails_moving(OP_pwrite, &size)) {
        int error = errno;
        if (is_torn()) (void)!REAL(pwrite64)(fd, bytes, half(size), at);
        errno = error;
        return -1;
    }
    return REAL(pwrite64)(fd, bytes, size, at);
}

#define PLAIN(result, name, operation, parameters, arguments)                                      \
    static result(*REAL(name)) parameters;                                                         \
    result name parameters                                                                         \
    {                                                                                              \
        FIND(name);                                                                                \
        return fails(OP_##operation) ? -1 : REAL(name) arguments;                                  \
    }

PLAIN(int, fsync, fsync, (int fd), (fd))
PLAIN(int, fdatasync, fdatasync, (int fd), (fd))
PLAIN(int, ftruncate64, ftruncate, (int fd, off64_t size), (fd, size))
PLAIN(int, renameat, rename, (int from_fd, const char *from, int to_fd, const char *to),
      (from_fd, from, to_fd, to))
PLAIN(int, unlink, unlink, (const char *path), (path))
PLAIN(int, unlinkat, unlink, (int dir_fd, const char *path, int flags), (dir_fd, path, flags))
PLAIN(int, mkdir, mkdir, (const char *path, mode_t mode), (path, mode))

/* -- sockets and the loop --------------------------------------------------------------------- */

PLAIN(int, socket, socket, (int domain, int type, int protocol), (domain, type, protocol))
PLAIN(int, eventfd, eventfd, (unsigned value, int flags), (value, flags))
PLAIN(int, epoll_create1, epoll_create, (int flags), (flags))
PLAIN(int, accept4, accept, (int fd, __SOCKADDR_ARG peer, socklen_t *size, int flags),
      (fd, peer, size, flags))
PLAIN(int, epoll_wait, epoll_wait, (int fd, struct epoll_event *events, int count, int wait_ms),
      (fd, events, count, wait_ms))

static int (*REAL(epoll_ctl))(int, int, int, struct epoll_event *);

/* Only adding can fail in a process that gives the right descriptors. */
int epoll_ctl(int epoll_fd, int what, int fd, struct epoll_event *event)
{
    FIND(epoll_ctl);
    if (what == EPOLL_CTL_ADD && fails(OP_watch)) return -1;
    return REAL(epoll_ctl)(epoll_fd, what, fd, event);
}

struct pollfd;
static int (*REAL(poll))(struct pollfd *, unsigned long, int);

extern int poll(struct pollfd *fds, unsigned long count, int wait_ms);
int poll(struct pollfd *fds, unsigned long count, int wait_ms)
{
    FIND(poll);
    return fails(OP_poll) ? -1 : REAL(poll)(fds, count, wait_ms);
}

extern int __poll_chk(struct pollfd *fds, unsigned long count, int wait_ms, size_t room);
int __poll_chk(struct pollfd *fds, unsigned long count, int wait_ms, size_t room)
{
    return poll(fds, count, wait_ms);
}

static ssize_t (*REAL(recv))(int, void *, size_t, int);

ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
    FIND(recv);
    return fails_moving(OP_recv, &size) ? -1 : REAL(recv)(fd, bytes, size, flags);
}

extern ssize_t __recv_chk(int fd, void *bytes, size_t size, size_t room, int flags);
ssize_t __recv_chk(int fd, void *bytes, size_t size, size_t room, int flags)
{
    return size <= room ? recv(fd, bytes, size, flags) : (abort(), -1);
}

static ssize_t (*REAL(send))(int, const void *, size_t, int);

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    FIND(send);
    return fails_moving(OP_send, &size) ? -1 : REAL(send)(fd, bytes, size, flags);
}

static ssize_t (*REAL(sendmsg))(int, const struct msghdr *, int);

/* Short: the first half of the first part that has bytes. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    FIND(sendmsg);
    if (!is_turn(OP_sendmsg)) return REAL(sendmsg)(fd, message, flags);
    errno = atomic_load(&control->error);
    if (errno) return -1;
    size_t at = 0;
    while (at + 1 < message->msg_iovlen && message->msg_iov[at].iov_len == 0)
        at++;
    const struct iovec *part = &message->msg_iov[at];
    return send(fd, part->iov_base, half(part->iov_len), flags);
}

/* -- before main ------------------------------------------------------------------------------ */

__attribute__((constructor)) static void map_control(void)
{
    const char *path = getenv("ADTALLY_FAULTS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at = fd < 0 ? MAP_FAILED
                      : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0) close(fd);
    if (path && at == MAP_FAILED) {
        perror(path);
        _exit(99);
    }
    if (path) control = at;
}
