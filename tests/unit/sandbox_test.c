#include "unit.h"

#include "cli/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each attempt is made in a process of its own that has entered the sandbox, and in one that has
 * not, where it has to work: so that a refusal is the sandbox's. */

static int prepared_socket;
static char dir[] = "/tmp/adtally-sandbox-XXXXXX";

enum { WORKED = 0, KILLED = -1 }; /* else errno */

static int errno_unless(bool ok)
{
    return ok ? WORKED : errno;
}

static int try_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    return errno_unless(fd >= 0);
}

static const char *in_dir(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int read_passwd(void)
{
    return try_open("/etc/passwd", O_RDONLY);
}

static int write_elsewhere(void)
{
    return try_open("/tmp/adtally-sandbox-elsewhere", O_WRONLY | O_CREAT);
}

static int read_above(void)
{
    return try_open(in_dir("../../etc/passwd"), O_RDONLY);
}

static int follow_link(void)
{
    return try_open(in_dir("link"), O_RDONLY);
}

static int list_root(void)
{
    return try_open("/", O_RDONLY | O_DIRECTORY);
}

static int read_proc(void)
{
    return try_open("/proc/self/environ", O_RDONLY);
}

static int make_directory(void)
{
    return errno_unless(mkdir(in_dir("made"), 0700) == 0);
}

static int write_data(void)
{
    return try_open(in_dir("file"), O_RDWR | O_CREAT | O_TRUNC);
}

static int rename_data(void)
{
    int failed = try_open(in_dir("new"), O_WRONLY | O_CREAT);
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return failed ? failed : errno_unless(renameat(dir_fd, "new", dir_fd, "old") == 0);
}

static int remove_data(void)
{
    return errno_unless(unlink(in_dir("victim")) == 0);
}

static int run_program(void)
{
    execl("/bin/true", "true", (char *)NULL);
    return errno;
}

static int connect_out(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int failed = connect(prepared_socket, (struct sockaddr *)&address, sizeof address);
    return failed && errno != ECONNREFUSED ? errno : WORKED;
}

static int make_socket(void)
{
    return errno_unless(socket(AF_INET, SOCK_STREAM, 0) >= 0);
}

static int make_local_socket(void)
{
    return errno_unless(socket(AF_UNIX, SOCK_DGRAM, 0) >= 0);
}

static int trace(void)
{
    return errno_unless(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
}

static int make_process(void)
{
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    return errno_unless(pid > 0);
}

static int make_code(void)
{
    void *at =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return errno_unless(at != MAP_FAILED);
}

static int turn_into_code(void)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return errno_unless(mprotect(at, 4096, PROT_READ | PROT_EXEC) == 0);
}

static int kill_another(void)
{
    return errno_unless(kill(getppid(), 0) == 0);
}

static int become_nobody(void)
{
    return errno_unless(setuid(getuid()) == 0);
}

/* A kernel that knows no such call says ENOSYS, and no harm is done. */
static int make_call(long number)
{
    return syscall(number) >= 0 || errno == ENOSYS ? WORKED : errno;
}

static int skipped_by_a_tracer(void)
{
    return make_call(-1);
}

#ifdef __x86_64__
static int of_another_abi(void)
{
    const long x32 = 0x40000000;
    return make_call(x32 | SYS_getpid);
}
#endif

struct row {
    const char *name;
    int (*attempt)(void);
    int outcome; /* in the sandbox */
};

static const struct row rows[] = {
    {"a file elsewhere cannot be read", read_passwd, EACCES},
    {"a file elsewhere cannot be made", write_elsewhere, EACCES},
    {"no way leads out through ..", read_above, EACCES},
    {"nor through a symbolic link", follow_link, EACCES},
    {"a directory elsewhere cannot be listed", list_root, EACCES},
    {"/proc cannot be read", read_proc, EACCES},
    {"no directory is made", make_directory, EPERM},
    {"data can be written", write_data, WORKED},
    {"data can be renamed", rename_data, WORKED},
    {"data can be removed", remove_data, WORKED},
    {"execve kills", run_program, KILLED},
    {"connect kills", connect_out, KILLED},
    {"ptrace kills", trace, KILLED},
    {"no socket is made", make_socket, EPERM},
    {"nor a local one", make_local_socket, EPERM},
    {"no process is made", make_process, EPERM},
    {"no memory becomes code", make_code, EPERM},
    {"nor later", turn_into_code, EPERM},
    {"no process is signalled", kill_another, EPERM},
    {"no identity is changed", become_nobody, EPERM},
    {"a call that a tracer skips passes", skipped_by_a_tracer, WORKED},
#ifdef __x86_64__
    {"a call of another ABI kills", of_another_abi, KILLED},
#endif
};

static int enter(const char *data_dir)
{
    struct sandbox_files files = {.dir = data_dir};
    return sandbox_only_files_in(&files) || sandbox_calls(SANDBOX_SERVES);
}

/* What the attempt returns in a process of its own. */
static int outcome_of(int (*attempt)(void), bool is_sandboxed)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (is_sandboxed && (enter(dir))) _exit(255);
        _exit(attempt());
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGSYS);
        return KILLED;
    }
    return WEXITSTATUS(status);
}

static void attempt_is_decided(void **state)
{
    const struct row *row = *state;
    assert_int_equal(outcome_of(row->attempt, true), row->outcome);
}

static void attempt_works_outside(void **state)
{
    const struct row *row = *state;
    rmdir(in_dir("made"));
    close(open(in_dir("victim"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(outcome_of(row->attempt, false), WORKED);
    rmdir(in_dir("made"));
    unlink("/tmp/adtally-sandbox-elsewhere");
    close(open(in_dir("victim"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

/* A thread that runs already when the filter comes is under it too. */
static int other_thread_pipe[2];

static void *make_socket_when_told(void *arg)
{
    char byte;
    if (read(other_thread_pipe[0], &byte, 1) != 1) return NULL;
    *(int *)arg = make_socket();
    return NULL;
}

static int from_another_thread(void)
{
    int outcome = WORKED;
    pthread_t thread;
    if (pipe2(other_thread_pipe, O_CLOEXEC) ||
        pthread_create(&thread, NULL, make_socket_when_told, &outcome) ||
        sandbox_calls(SANDBOX_SERVES) || write(other_thread_pipe[1], "", 1) != 1 ||
        pthread_join(thread, NULL))
        return 255;
    return outcome;
}

static void every_thread_is_under_it(void **state)
{
    (void)state;
    assert_int_equal(outcome_of(from_another_thread, false), EPERM);
}

static int without_files(void)
{
    if (sandbox_no_files()) return 255;
    return try_open(in_dir("file"), O_RDWR | O_CREAT);
}

static void a_loop_has_no_files_at_all(void **state)
{
    (void)state;
    assert_int_equal(outcome_of(without_files, false), EACCES);
}

static enum err only_reading_dir(void)
{
    struct sandbox_files files = {.dir = "/proc/self"};
    sandbox_let_read(&files, dir);
    sandbox_let_read(&files, "/dev/null");
    return sandbox_only_files_in(&files);
}

/* Where the configuration is: a file is read, and nothing more. */
static int with_config_dir(void)
{
    if (only_reading_dir()) return 255;
    if (try_open(in_dir("old"), O_RDONLY)) return 254;
    return try_open("/etc/passwd", O_RDONLY);
}

static int write_config(void)
{
    if (only_reading_dir()) return 255;
    if (try_open(in_dir("old"), O_RDONLY)) return 254;
    return try_open(in_dir("old"), O_WRONLY);
}

static int list_config_dir(void)
{
    if (only_reading_dir()) return 255;
    return try_open(dir, O_RDONLY | O_DIRECTORY);
}

static int read_one_device(void)
{
    if (only_reading_dir()) return 255;
    if (try_open("/dev/null", O_RDONLY)) return 254;
    return try_open("/dev/zero", O_RDONLY);
}

static void the_configuration_can_be_read(void **state)
{
    (void)state;
    close(open(in_dir("old"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(outcome_of(with_config_dir, false), EACCES);
    assert_int_equal(outcome_of(write_config, false), EACCES);
    assert_int_equal(outcome_of(read_one_device, false), EACCES);
    assert_int_equal(outcome_of(list_config_dir, false), EACCES);
}

/* What a server over PostgreSQL may, and its loops may not. */
static int enter_to_connect(void)
{
    struct sandbox_files files = {.dir = dir};
    sandbox_let_resolve(&files);
    return sandbox_only_files_in(&files) || sandbox_calls(SANDBOX_CONNECTS) ? 255 : 0;
}

static int resolve_and_connect(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int failed = enter_to_connect();
    if (failed) return failed;
    if (getaddrinfo("localhost", "9", &hints, &found)) return 254;
    int fd = socket(found->ai_family, found->ai_socktype, 0);
    if (fd < 0) return errno;
    return connect(fd, found->ai_addr, found->ai_addrlen) && errno != ECONNREFUSED ? errno : WORKED;
}

static int make_packet_socket(void)
{
    int failed = enter_to_connect();
    return failed ? failed : errno_unless(socket(AF_PACKET, SOCK_RAW, 0) >= 0);
}

static int connect_from_loop(void)
{
    int failed = enter_to_connect();
    return failed || sandbox_no_connections() ? 255 : connect_out();
}

static int make_socket_in_loop(void)
{
    int failed = enter_to_connect();
    return failed || sandbox_no_connections() ? 255 : make_socket();
}

static int serve_in_loop(void)
{
    int failed = enter_to_connect();
    return failed || sandbox_no_connections() ? 255 : write_data();
}

static void only_who_has_to_connects(void **state)
{
    (void)state;
    assert_int_equal(outcome_of(resolve_and_connect, false), WORKED);
    assert_int_equal(outcome_of(make_packet_socket, false), EPERM);
    assert_int_equal(outcome_of(connect_from_loop, false), KILLED);
    assert_int_equal(outcome_of(make_socket_in_loop, false), EPERM);
    assert_int_equal(outcome_of(serve_in_loop, false), WORKED);
}

/* A bug still ends in SIGABRT, which the log of the service manager names. */
static int abort_here(void)
{
    abort();
}

static void a_bug_aborts(void **state)
{
    (void)state;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        if (sandbox_calls(SANDBOX_SERVES)) _exit(255);
        abort_here();
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static bool has_both(void)
{
    pid_t pid = fork();
    int status;
    if (pid == 0) _exit(enter("/tmp"));
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void remove_files(void)
{
    static const char *const names[] = {"link", "file", "new", "old", "victim"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(in_dir(names[i]));
    rmdir(dir);
}

int main(void)
{
    if (!has_both()) {
        puts("1..0 # SKIP no sandbox in this build, or in this kernel");
        return 0;
    }
    if (!mkdtemp(dir) || symlink("/etc/passwd", in_dir("link")) != 0) return 1;
    prepared_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    UNIT_ADD_ROWS(rows, attempt_works_outside);
    UNIT_ADD_ROWS(rows, attempt_is_decided);
    UNIT_ADD(every_thread_is_under_it);
    UNIT_ADD(a_loop_has_no_files_at_all);
    UNIT_ADD(the_configuration_can_be_read);
    UNIT_ADD(only_who_has_to_connects);
    UNIT_ADD(a_bug_aborts);
    int failed = UNIT_RUN_ADDED("sandbox");
    remove_files();
    return failed;
}
