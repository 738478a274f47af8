#include "admin/admin.h"
#include "admin/socket_io.h"
#include "admin/socket_path.h"
#include "admin/socket_tail.h"
#include "base/clock.h"
#include "base/log.h"
#include "ev/listen.h"
#include "token/hash.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* One client at a time, each with a deadline: commands are rare and short, and only the owner of
 * the data directory can connect. */

enum { CLIENT_TIMEOUT_MS = 5000, DRAIN_MS = 1000, ACCEPT_PAUSE_MS = 100 };

struct admin_socket {
    pthread_t thread;
    struct admin *admin;
    struct socket_path path;
    int listen_fd;
    int stop_fd;               /* an eventfd, readable from admin_socket_stop on */
    int64_t drain_deadline_ms; /* 0: not draining */
    struct socket_tails tails;
    char *request_memory;
    char *answer_memory;
};

static void start_draining(struct admin_socket *socket)
{
    if (!socket->drain_deadline_ms) socket->drain_deadline_ms = clock_mono_ms() + DRAIN_MS;
}

/* A client that is still sending when the server is told to stop has until the end of the drain. */
static enum err read_request(struct admin_socket *socket, int fd, struct writer *request)
{
    int64_t deadline_ms = clock_mono_ms() + CLIENT_TIMEOUT_MS;
    if (!socket->drain_deadline_ms) {
        enum err err = socket_read_all(fd, socket->stop_fd, deadline_ms, request);
        if (err != ERR_BUSY || clock_mono_ms() >= deadline_ms) return err;
        start_draining(socket);
    }
    return socket_read_all(fd, -1, socket->drain_deadline_ms, request);
}

static void answer_client(struct admin_socket *socket, int fd)
{
    struct writer request, answer;
    writer_init(&request, socket->request_memory, ADMIN_REQUEST_MAX);
    writer_init(&answer, socket->answer_memory, ADMIN_ANSWER_MAX);
    enum err err = read_request(socket, fd, &request);
    if (!err && request.len == 0) return; /* only looked whether we are here */
    if (err == ERR_FULL)
        writer_lit(&answer, "{\"ok\":false,\"error\":\"the command is too large\"}");
    if (!err) admin_execute(socket->admin, writer_text(&request), &answer);
    /* A command that was done is answered even while the server stops. */
    err = socket_write_all(fd, -1, clock_mono_ms() + CLIENT_TIMEOUT_MS, writer_text(&answer));
    if (err)
        log_event(LOG_WARN, "admin_answer_lost", LOG_TEXT("reason", span_of(err_text(err))),
                  LOG_TEXT("advice", SPAN("see whether the command was done before it is tried "
                                          "again")));
    hash_wipe(request.base, request.len);
    hash_wipe(answer.base, answer.len);
}

/* A command may have opened a stream, which then has the connection. */
static void close_client(struct admin_socket *socket, int fd)
{
    struct tail_watcher *opened = socket->admin->opened;
    socket->admin->opened = NULL;
    if (opened)
        socket_tails_add(&socket->tails, socket->admin->api, fd, opened);
    else
        close(fd);
}

/* False: there was nobody, or no descriptor for them. */
static bool accept_one(struct admin_socket *socket)
{
    int fd = accept4(socket->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return errno == EINTR || errno == ECONNABORTED;
    answer_client(socket, fd);
    close_client(socket, fd);
    return true;
}

/* Who connected is answered, and who comes now is refused, which tells them that nothing of theirs
 * was done: so a command never has to guess. After shutdown, accept still gives out those who
 * wait. */
static void drain(struct admin_socket *socket)
{
    start_draining(socket);
    unlink(socket->path.text);
    shutdown(socket->listen_fd, SHUT_RD);
    while (accept_one(socket))
        continue;
    socket_tails_close(&socket->tails, socket->admin->api);
}

static void *serve(void *arg)
{
    struct admin_socket *socket = arg;
    for (;;) {
        struct pollfd fds[] = {{socket->listen_fd, POLLIN, 0}, {socket->stop_fd, POLLIN, 0}};
        int count = poll(fds, 2, socket->tails.count ? SOCKET_TAIL_PAUSE_MS : -1);
        if (count < 0) continue;
        if (fds[1].revents) break;
        socket_tails_pump(&socket->tails, socket->admin->api);
        if (count == 0) continue;
        /* Without a pause a process out of descriptors would spin here. */
        if (!accept_one(socket)) poll(&fds[1], 1, ACCEPT_PAUSE_MS);
    }
    drain(socket);
    return NULL;
}

static void release(struct admin_socket *socket)
{
    if (socket->listen_fd >= 0) {
        close(socket->listen_fd);
        unlink(socket->path.text);
    }
    if (socket->stop_fd >= 0) close(socket->stop_fd);
    socket_path_close(&socket->path);
    free(socket->request_memory);
    free(socket->answer_memory);
    free(socket);
}

static enum err prepare(struct admin_socket *socket, const char *dir)
{
    socket->request_memory = malloc(ADMIN_REQUEST_MAX);
    socket->answer_memory = malloc(ADMIN_ANSWER_MAX);
    if (!socket->request_memory || !socket->answer_memory) return ERR_NO_MEMORY;
    socket->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (socket->stop_fd < 0) return ERR_IO;
    enum err err = socket_path_open(&socket->path, dir);
    /* Replaces a dead server's: the lock of the directory says that no other one is alive. */
    return err ? err : ev_listen_unix(socket->path.text, &socket->listen_fd);
}

enum err admin_socket_start(struct admin_socket **out, const char *dir, struct admin *admin)
{
    struct admin_socket *socket = calloc(1, sizeof *socket);
    if (!socket) return ERR_NO_MEMORY;
    *socket =
        (struct admin_socket){.admin = admin, .listen_fd = -1, .stop_fd = -1, .path.dir_fd = -1};
    enum err err = prepare(socket, dir);
    if (!err && pthread_create(&socket->thread, NULL, serve, socket) != 0) err = ERR_NO_MEMORY;
    if (err) {
        release(socket);
        return err;
    }
    *out = socket;
    return ERR_OK;
}

void admin_socket_stop(struct admin_socket *socket)
{
    uint64_t one = 1;
    ssize_t put = write(socket->stop_fd, &one, sizeof one);
    (void)put; /* an eventfd at 0 takes it */
    pthread_join(socket->thread, NULL);
    release(socket);
}
