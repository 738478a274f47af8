/* floor PORT LOOPS: the kernel's share of any HTTP server's work. Finds where a request ends and
 * answers 204; checks and keeps nothing. Prints "ready" and runs until it is killed. */

#include "frame.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX = 4096, EVENTS_MAX = 256, LOOPS_MAX = 256, BACKLOG = 1024 };

struct conn {
    int fd;
    size_t len;
    char request[REQUEST_MAX];
};

struct loop {
    int epoll_fd, listen_fd;
};

static const char ANSWER[] = "HTTP/1.1 204 No Content\r\n\r\n";

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(int epoll_fd, int fd, void *who)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = who};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

static void accept_one(struct loop *loop)
{
    const int yes = 1;
    int fd = accept4(loop->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct conn *conn = fd < 0 ? NULL : calloc(1, sizeof *conn);
    if (!conn) return;
    conn->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    watch(loop->epoll_fd, fd, conn);
}

static void on_readable(struct conn *conn)
{
    size_t size;
    ssize_t got = recv(conn->fd, conn->request + conn->len, REQUEST_MAX - conn->len, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got > 0) conn->len += (size_t)got;
    if (got > 0 && frame_find(conn->request, conn->len, &size) == FRAME_INCOMPLETE) return;
    if (got > 0 && send(conn->fd, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL) > 0) {
        conn->len = 0;
        return;
    }
    close(conn->fd);
    free(conn);
}

static void *run_loop(void *arg)
{
    struct loop *loop = arg;
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int count = epoll_wait(loop->epoll_fd, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                on_readable(events[i].data.ptr);
            else
                accept_one(loop);
        }
    }
    return NULL;
}

static void start_loop(struct loop *loop, uint16_t port)
{
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int yes = 1;
    pthread_t thread;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (loop->epoll_fd < 0 || loop->listen_fd < 0) die("start");
    setsockopt(loop->listen_fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
    if (bind(loop->listen_fd, (const struct sockaddr *)&at, sizeof at)) die("bind");
    if (listen(loop->listen_fd, BACKLOG)) die("listen");
    watch(loop->epoll_fd, loop->listen_fd, NULL);
    if (pthread_create(&thread, NULL, run_loop, loop)) die("thread");
}

int main(int count, char **arguments)
{
    static struct loop loops[LOOPS_MAX];
    const unsigned long loops_count = count == 3 ? strtoul(arguments[2], NULL, 10) : 0;
    if (loops_count < 1 || loops_count > LOOPS_MAX) {
        fputs("usage: floor PORT LOOPS\n", stderr);
        return 2;
    }
    for (unsigned long i = 0; i < loops_count; i++)
        start_loop(&loops[i], (uint16_t)strtoul(arguments[1], NULL, 10));
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}
