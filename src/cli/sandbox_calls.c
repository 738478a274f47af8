#include "cli/sandbox.h"

#if ADTALLY_SANDBOX

#include "base/assert.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined __x86_64__
enum { ARCHITECTURE = (int)AUDIT_ARCH_X86_64, OTHER_ABI = 0x40000000 }; /* x32 */
#else
enum { ARCHITECTURE = (int)AUDIT_ARCH_AARCH64, OTHER_ABI = INT32_MAX };
#endif

static const int allowed[] = {
    /* connections, wakeups */
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_epoll_ctl,
    SYS_recvfrom,
    SYS_sendto,
    SYS_sendmsg,
    SYS_accept4,
    SYS_setsockopt,
    SYS_shutdown,
    SYS_read,
    SYS_write,
    SYS_ppoll,
    SYS_close,
    SYS_fcntl,
    SYS_eventfd2,
    /* threads, time, memory, randomness */
    SYS_futex,
    SYS_sched_yield,
    SYS_setpriority, /* of a thread that was made a moment ago: it takes less */
    SYS_sched_getaffinity,
    SYS_exit,
    SYS_exit_group,
    SYS_restart_syscall,
    SYS_rt_sigreturn,
    SYS_rt_sigprocmask,
    SYS_rt_sigaction,
    SYS_getpid,
    SYS_gettid,
    SYS_clock_gettime,
    SYS_gettimeofday,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_mlock,
    SYS_sysinfo,
    SYS_getrandom,
    /* a thread that was made a moment ago may still begin */
    SYS_set_robust_list,
    SYS_rseq,
    /* the store: SQLite's files, secrets.json, admin.sock */
    SYS_pread64,
    SYS_pwrite64,
    SYS_readv,
    SYS_writev,
    SYS_lseek,
    SYS_fdatasync,
    SYS_fsync,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_openat,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_statfs, /* how much room there is */
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_getcwd,
    SYS_unlinkat,
    SYS_renameat,
    SYS_renameat2,
    SYS_fchmod,
    SYS_fchown,
    SYS_geteuid,
    SYS_flock,
    SYS_getdents64, /* of /proc/self/fd, which was opened before */
#ifdef SYS_open     /* which newer architectures have only with a directory */
    SYS_epoll_wait,
    SYS_poll,
    SYS_time,
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_unlink,
    SYS_rename,
#endif
};

/* What libpq and the resolver call besides, to connect. */
static const int connecting[] = {
    SYS_connect,    SYS_bind, /* of the socket that tells the resolver which addresses there are */
    SYS_getsockopt, SYS_getsockname, SYS_getpeername, SYS_recvmsg, SYS_sendmmsg, SYS_getuid,
    SYS_getgid,     SYS_getegid,     SYS_uname,       SYS_seccomp, /* a loop's, which gives
                                                                      connections up */
};

/* Nothing of ours comes near these: whoever calls one is not us any more. */
static const int fatal[] = {
    SYS_execve,
    SYS_execveat,
    SYS_connect, /* unless it was allowed before */
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_io_uring_setup,
    SYS_bpf,
    SYS_userfaultfd,
    SYS_perf_event_open,
    SYS_open_by_handle_at,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
    SYS_init_module,
    SYS_finit_module,
    SYS_kexec_load,
    SYS_keyctl,
    SYS_add_key,
#ifdef SYS_fork
    SYS_fork,
    SYS_vfork,
#endif
};

enum {
    ALLOWED = sizeof allowed / sizeof allowed[0],
    FATAL = sizeof fatal / sizeof fatal[0],
    CONNECTING = sizeof connecting / sizeof connecting[0],
    STEPS_MAX = 2 * (ALLOWED + CONNECTING + FATAL) + 64,
};

struct filter {
    struct sock_filter steps[STEPS_MAX];
    unsigned short count;
};

static const uint32_t NO_CALL = UINT32_MAX; /* what a tracer leaves of a call that it skips */

static void add(struct filter *filter, uint16_t code, uint32_t value, uint8_t if_true,
                uint8_t if_false)
{
    ASSERT(filter->count < STEPS_MAX);
    filter->steps[filter->count++] = (struct sock_filter){code, if_true, if_false, value};
}

static void load(struct filter *filter, size_t offset)
{
    add(filter, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void load_argument(struct filter *filter, size_t number)
{
    load(filter,
         offsetof(struct seccomp_data, args) + number * sizeof(uint64_t)); /* its low half */
}

static void end_with(struct filter *filter, uint32_t action)
{
    add(filter, BPF_RET | BPF_K, action, 0, 0);
}

static void end_calls_with(struct filter *filter, const int *calls, size_t count, uint32_t action)
{
    for (size_t i = 0; i < count; i++) {
        add(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i], 0, 1);
        end_with(filter, action);
    }
}

/* Calls of another architecture would have other numbers. */
static void end_foreign_calls(struct filter *filter)
{
    load(filter, offsetof(struct seccomp_data, arch));
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)ARCHITECTURE, 1, 0);
    end_with(filter, SECCOMP_RET_KILL_PROCESS);
    load(filter, offsetof(struct seccomp_data, nr));
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, NO_CALL, 0, 1);
    end_with(filter, SECCOMP_RET_ALLOW);
    add(filter, BPF_JMP | BPF_JGE | BPF_K, (uint32_t)OTHER_ABI, 0, 1);
    end_with(filter, SECCOMP_RET_KILL_PROCESS);
}

/* Memory is never code. */
static void allow_without_code(struct filter *filter, int call)
{
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 4);
    load_argument(filter, 2);
    add(filter, BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1);
    end_with(filter, SECCOMP_RET_ERRNO | EPERM);
    end_with(filter, SECCOMP_RET_ALLOW);
}

/* The one call with just this argument. */
static void allow_with(struct filter *filter, int call, size_t number, int argument)
{
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 4);
    load_argument(filter, number);
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)argument, 0, 1);
    end_with(filter, SECCOMP_RET_ALLOW);
    load(filter, offsetof(struct seccomp_data, nr));
}

/* NETLINK: the resolver asks which addresses there are. */
static void allow_connections(struct filter *filter)
{
    end_calls_with(filter, connecting, CONNECTING, SECCOMP_RET_ALLOW);
    allow_with(filter, SYS_socket, 0, AF_INET);
    allow_with(filter, SYS_socket, 0, AF_INET6);
    allow_with(filter, SYS_socket, 0, AF_UNIX);
    allow_with(filter, SYS_socket, 0, AF_NETLINK);
    allow_with(filter, SYS_ioctl, 1, FIONREAD);
}

/* The only process to end is this one (abort). */
static void allow_own_end(struct filter *filter)
{
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 3);
    load_argument(filter, 0);
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 0, 1);
    end_with(filter, SECCOMP_RET_ALLOW);
}

static enum err enter(const struct filter *filter, unsigned flags)
{
    struct sock_fprog program = {.len = filter->count,
                                 .filter = (struct sock_filter *)(uintptr_t)filter->steps};
    long refused = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    return refused ? ERR_NOT_FOUND : ERR_OK;
}

enum err sandbox_calls(enum sandbox_network network)
{
    struct filter filter = {.count = 0};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return ERR_NOT_FOUND;
    end_foreign_calls(&filter);
    end_calls_with(&filter, allowed, ALLOWED, SECCOMP_RET_ALLOW);
    if (network == SANDBOX_CONNECTS) allow_connections(&filter);
    end_calls_with(&filter, fatal, FATAL, SECCOMP_RET_KILL_PROCESS);
    allow_without_code(&filter, SYS_mmap);
    allow_without_code(&filter, SYS_mprotect);
    allow_own_end(&filter); /* the last one: it loads something else */
    end_with(&filter, SECCOMP_RET_ERRNO | EPERM);
    return enter(&filter, SECCOMP_FILTER_FLAG_TSYNC); /* the threads that run already too */
}

/* On top of the other: the stricter answer counts. */
enum err sandbox_no_connections(void)
{
    static const int fatal_here[] = {SYS_connect}, refused[] = {SYS_socket, SYS_bind};
    struct filter filter = {.count = 0};
    load(&filter, offsetof(struct seccomp_data, nr));
    end_calls_with(&filter, fatal_here, 1, SECCOMP_RET_KILL_PROCESS);
    end_calls_with(&filter, refused, 2, SECCOMP_RET_ERRNO | EPERM);
    end_with(&filter, SECCOMP_RET_ALLOW);
    return enter(&filter, 0);
}

#else

enum err sandbox_calls(enum sandbox_network network)
{
    return ERR_NOT_FOUND;
}

enum err sandbox_no_connections(void)
{
    return ERR_NOT_FOUND;
}

#endif
