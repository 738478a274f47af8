#include "cli/listeners.h"

#include "base/assert.h"
#include "cli/say.h"
#include "ev/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_INHERITED_FD = 3 };

static enum err listen_on(const struct value_address *address, bool reuseport, int *fd)
{
    return ev_listen_tcp((const struct sockaddr *)&address->socket, address->socket_len, reuseport,
                         fd);
}

static bool read_address(int fd, struct value_address *address)
{
    address->socket_len = sizeof address->socket;
    return getsockname(fd, (struct sockaddr *)&address->socket, &address->socket_len) == 0;
}

/* With SO_REUSEPORT a second adtally would share the port in silence and take half of the
 * connections. A socket without it is refused when anybody listens there, so one is opened first,
 * and closed; it also finds the port when any will do. */
static enum err probe(struct value_address *address)
{
    int fd;
    enum err err = listen_on(address, false, &fd);
    if (err) return err;
    if (!read_address(fd, address)) err = ERR_IO;
    close(fd);
    return err;
}

static void say_why(const char *address, enum err err, const char *flag)
{
    if (err == ERR_FULL) {
        say("cannot listen on %s: no file descriptors left; raise the limit (ulimit -n) or lower "
            "--threads",
            address);
        return;
    }
    say("cannot listen on %s: %s with %s", address,
        err == ERR_BUSY        ? "address in use; choose another"
        : err == ERR_NOT_FOUND ? "this machine has no such address; choose another"
        : err == ERR_DENIED    ? "permission denied; choose a port from 1024"
                               : "the system refuses; choose another address",
        flag);
}

/* ":8080" is every address, IPv4 through IPv6; a machine without IPv6 has IPv4 alone. */
static enum err probe_any(struct value_address *address)
{
    enum err err = probe(address);
    if (err != ERR_IO || !address->any) return err;
    struct sockaddr_in6 v6;
    memcpy(&v6, &address->socket, sizeof v6);
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = v6.sin6_port};
    memcpy(&address->socket, &v4, sizeof v4);
    address->socket_len = sizeof v4;
    return probe(address);
}

bool listeners_open(struct listeners *listeners, const struct value_address *wanted, size_t count,
                    const char *flag)
{
    struct value_address address = *wanted;
    ASSERT(count > 0 && count <= LISTENERS_MAX);
    listeners->count = 0;
    enum err err = probe_any(&address);
    while (!err && listeners->count < count) {
        err = listen_on(&address, true, &listeners->fds[listeners->count]);
        if (!err) listeners->count++;
    }
    value_address_write(listeners->text, &address);
    if (!err) return true;
    say_why(listeners->text, err, flag);
    listeners_close(listeners);
    return false;
}

/* How many there are for this process, and not for one that it descends from. */
static size_t inherited_count(void)
{
    unsigned long long pid, count;
    const char *pid_text = getenv("LISTEN_PID"), *count_text = getenv("LISTEN_FDS");
    if (!pid_text || !count_text || !span_to_u64(span_of(pid_text), INT32_MAX, &pid) ||
        (pid_t)pid != getpid() || !span_to_u64(span_of(count_text), INT32_MAX, &count))
        return 0;
    return (size_t)count;
}

/* A TCP socket that listens, made as ours are. */
static bool adopt(int fd, struct value_address *address)
{
    int is_listening = 0;
    socklen_t size = sizeof is_listening;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) || !is_listening)
        return false;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
        return false;
    return read_address(fd, address) &&
           (address->socket.ss_family == AF_INET || address->socket.ss_family == AF_INET6);
}

bool listeners_inherit(struct listeners *listeners)
{
    size_t count = inherited_count();
    *listeners = (struct listeners){.is_held = count > 0};
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (count > LISTENERS_MAX) {
        say("the service manager hands over %zu sockets; %d is the most", count, LISTENERS_MAX);
        return false;
    }
    for (; listeners->count < count; listeners->count++) {
        struct value_address address;
        int fd = FIRST_INHERITED_FD + (int)listeners->count;
        if (!adopt(fd, &address)) {
            say("descriptor %d, which the service manager hands over, is no TCP socket that "
                "listens: see ListenStream= of the socket unit",
                fd);
            return false;
        }
        listeners->fds[listeners->count] = fd;
        if (listeners->count == 0) value_address_write(listeners->text, &address);
    }
    return true;
}

bool listeners_share(struct listeners *listeners, size_t count)
{
    ASSERT(listeners->count > 0 && count <= LISTENERS_MAX);
    for (size_t given = listeners->count; listeners->count < count; listeners->count++) {
        int fd = fcntl(listeners->fds[listeners->count % given], F_DUPFD_CLOEXEC, 0);
        if (fd < 0) {
            say("cannot share the socket of %s: %s", listeners->text, strerror(errno));
            return false;
        }
        listeners->fds[listeners->count] = fd;
    }
    return true;
}

void listeners_close(struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++)
        if (listeners->fds[i] >= 0) close(listeners->fds[i]);
    listeners->count = 0;
}
