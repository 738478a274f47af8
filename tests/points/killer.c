/* killer CONTROL COMMAND...: runs COMMAND, counts the system calls that change files or answer
 * somebody, and ends it with SIGKILL, all of its threads, just before the N-th of them.
 *
 * The command is the program as it was built: a seccomp filter stops it at these calls and no
 * others, and ptrace tells us here. CONTROL is a file of struct control, shared with whoever runs
 * us; they reset `count` and set `kill_at` while the command runs, so counting can begin anywhere.
 *
 * SIGTERM goes to the command, and SIGUSR1 kills it. Exit status: the command's, 137 when it was
 * killed. */

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_KILLED = 137, EXIT_UNABLE = 125, PATH_CHARS = 128 };

struct control {
    uint64_t kill_at; /* 0: never */
    uint64_t count;   /* calls since it was last reset */
    char call[32];    /* the call that it was killed before */
    char path[PATH_CHARS];
};

/* What a call is about: its file is an open descriptor, or named. */
enum about { ABOUT_FD, ABOUT_NAME };

struct call {
    int number;
    enum about about;
    int creates; /* counts only with O_CREAT in this argument; 0: counts always */
    const char *name;
};

#define CALL(name, about, creates)                                                                 \
    {                                                                                              \
        SYS_##name, about, creates, #name                                                          \
    }

/* clang-format off */
static const struct call calls[] = {
    CALL(write, ABOUT_FD, 0),
    CALL(writev, ABOUT_FD, 0),
    CALL(pwrite64, ABOUT_FD, 0),
    CALL(pwritev, ABOUT_FD, 0),
    CALL(pwritev2, ABOUT_FD, 0),
    CALL(sendto, ABOUT_FD, 0),
    CALL(sendmsg, ABOUT_FD, 0),
    CALL(fsync, ABOUT_FD, 0),
    CALL(fdatasync, ABOUT_FD, 0),
    CALL(sync_file_range, ABOUT_FD, 0),
    CALL(ftruncate, ABOUT_FD, 0),
    CALL(fallocate, ABOUT_FD, 0),
    CALL(bind, ABOUT_FD, 0), /* makes the file of a unix socket */
    CALL(truncate, ABOUT_NAME, 0),
    CALL(renameat, ABOUT_NAME, 0),
    CALL(renameat2, ABOUT_NAME, 0),
    CALL(linkat, ABOUT_NAME, 0),
    CALL(unlinkat, ABOUT_NAME, 0),
    CALL(mkdirat, ABOUT_NAME, 0),
    CALL(openat, ABOUT_NAME, 2),
#ifdef SYS_open /* newer architectures have the ...at calls only */
    CALL(rename, ABOUT_NAME, 0),
    CALL(link, ABOUT_NAME, 0),
    CALL(unlink, ABOUT_NAME, 0),
    CALL(rmdir, ABOUT_NAME, 0),
    CALL(mkdir, ABOUT_NAME, 0),
    CALL(creat, ABOUT_NAME, 0),
    CALL(open, ABOUT_NAME, 1),
#endif
};
/* clang-format on */
enum { CALLS = sizeof calls / sizeof calls[0], INSTRUCTIONS_PER_CALL = 5 };

static struct control *control;
static volatile pid_t command; /* 0: none */

static _Noreturn void fail(const char *what)
{
    perror(what);
    _exit(EXIT_UNABLE);
}

/* Numbers are compared without their architecture: the command is built for this one. */
static size_t write_filter(struct sock_filter *out)
{
    const uint32_t number_at = offsetof(struct seccomp_data, nr);
    size_t at = 0;
    for (size_t i = 0; i < CALLS; i++) {
        uint32_t number = (uint32_t)calls[i].number;
        uint32_t flags_at =
            (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (size_t)calls[i].creates);
        out[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number_at);
        if (!calls[i].creates) {
            out[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
        } else {
            out[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3);
            out[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, flags_at);
            out[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_CREAT, 0, 1);
        }
        out[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    }
    out[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    return at;
}

static _Noreturn void run_command(char *const arguments[])
{
    struct sock_filter filter[CALLS * INSTRUCTIONS_PER_CALL + 1];
    struct sock_fprog program = {(unsigned short)write_filter(filter), filter};
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) fail("ptrace");
    raise(SIGSTOP); /* a filter without its tracer would fail the calls instead */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("no_new_privs");
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) fail("seccomp");
    execvp(arguments[0], arguments);
    fail(arguments[0]);
}

static void read_file_of(char path[PATH_CHARS], pid_t thread, const struct call *call,
                         uint64_t argument)
{
    char link[64];
    path[0] = '\0';
    if (call->about != ABOUT_FD) return;
    snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)thread, (int)argument);
    ssize_t len = readlink(link, path, PATH_CHARS - 1);
    path[len > 0 ? len : 0] = '\0';
}

/* The thread is stopped before a call. Wakes of our own threads change no file. */
static void on_call(pid_t thread)
{
    struct __ptrace_syscall_info info;
    char path[PATH_CHARS];
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, (void *)sizeof info, &info) <= 0) return;
    const struct call *call = calls;
    while (call < calls + CALLS && (uint64_t)call->number != info.seccomp.nr)
        call++;
    if (call == calls + CALLS) return;
    read_file_of(path, thread, call, info.seccomp.args[0]);
    if (strncmp(path, "anon_inode:", strlen("anon_inode:")) == 0) return;
    if (++control->count != control->kill_at) return;
    snprintf(control->call, sizeof control->call, "%s", call->name);
    memcpy(control->path, path, sizeof control->path);
    kill(command, SIGKILL);
}

/* The signal to go on with; new threads begin with a stop of ptrace's own. */
static int on_stop(pid_t thread, int status)
{
    int number = WSTOPSIG(status), event = status >> 16;
    if (event == PTRACE_EVENT_SECCOMP) on_call(thread);
    return event || number == SIGSTOP || number == SIGTRAP ? 0 : number;
}

static int trace(void)
{
    for (;;) {
        int status;
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0 && errno == EINTR) continue;
        if (thread < 0) fail("waitpid");
        if (WIFSTOPPED(status))
            ptrace(PTRACE_CONT, thread, NULL, (void *)(intptr_t)on_stop(thread, status));
        else if (thread == command)
            return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_KILLED;
    }
}

static void on_signal(int number)
{
    int code = errno;
    kill(command, number == SIGUSR1 ? SIGKILL : number);
    errno = code;
}

static void pass_signals_on(void)
{
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
}

static struct control *open_control(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) fail(path);
    void *memory = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) fail(path);
    close(fd);
    return memory;
}

int main(int count, char *arguments[])
{
    const long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                         PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL;
    int status;
    if (count < 3) return EXIT_UNABLE;
    control = open_control(arguments[1]);
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) run_command(&arguments[2]);
    command = child;
    pass_signals_on();
    if (waitpid(command, &status, __WALL) != command || !WIFSTOPPED(status)) return EXIT_UNABLE;
    if (ptrace(PTRACE_SETOPTIONS, command, NULL, (void *)options) != 0) fail("ptrace");
    if (ptrace(PTRACE_CONT, command, NULL, NULL) != 0) fail("ptrace");
    return trace();
}
