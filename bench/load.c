/* load --port P --connections N --seconds S [--rate R] --request SPEC...: one thread that keeps N
 * connections to 127.0.0.1 busy, and prints one JSON object (plan.h says what a SPEC is).
 *
 * Without --rate each connection sends its next request when it has its answer. With it, requests
 * are due at fixed moments, whatever the answers do: one that finds every connection busy waits,
 * and its latency counts from the moment it was due, so a stall is felt by all that it delayed.
 *
 * At the end nothing is cut off: what was sent is waited for, so the answers counted here are the
 * events recorded there. */

#include "frame.h"
#include "histogram.h"
#include "names.h"
#include "plan.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    ANSWER_MAX = 16 * 1024,
    CONNECTIONS_MAX = 10000,
    EVENTS_MAX = 256,
    STATUS_MAX = 600,
};

static const int64_t SECOND_NS = 1000000000;
static const int64_t DRAIN_NS = 10 * SECOND_NS;

struct conn {
    int fd;
    struct conn *next; /* in the list of idle ones */
    int64_t due_ns;    /* of the request under way; 0: none is */
    size_t answer_len;
    char answer[ANSWER_MAX];
};

struct load {
    struct plan plan;
    uint16_t port;
    double seconds, rate;
    int epoll_fd;
    struct conn *conns;
    struct conn *idle; /* the last one to become so sends next */
    size_t conns_count, idle_count, open_count;
    uint64_t sent, answered, broken;
    uint64_t by_status[STATUS_MAX];
    bool ran_out;
    int64_t start_ns, end_ns, last_ns;
    struct histogram latency;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

/* -- connections --------------------------------------------------------------------------- */

static void push_idle(struct load *load, struct conn *conn)
{
    conn->next = load->idle;
    load->idle = conn;
    load->idle_count++;
}

/* An idle one that the server closes is looked for: it is a failure, and rare. */
static void remove_idle(struct load *load, struct conn *conn)
{
    struct conn **at = &load->idle;
    while (*at != conn)
        at = &(*at)->next;
    *at = conn->next;
    load->idle_count--;
}

static void open_conn(struct load *load, struct conn *conn)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(load->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int yes = 1;
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (conn->fd < 0) die("socket");
    if (connect(conn->fd, (const struct sockaddr *)&to, sizeof to)) die("connect");
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event)) die("epoll_ctl");
    push_idle(load, conn);
}

static void break_conn(struct load *load, struct conn *conn)
{
    close(conn->fd);
    load->broken++;
    load->open_count--;
}

static void open_all(struct load *load)
{
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    load->conns = calloc(load->conns_count, sizeof *load->conns);
    if (load->epoll_fd < 0 || !load->conns) die("start");
    for (size_t i = 0; i < load->conns_count; i++)
        open_conn(load, &load->conns[i]);
    load->open_count = load->conns_count;
}

/* -- requests and answers ------------------------------------------------------------------ */

static int64_t next_due_ns(const struct load *load, int64_t now)
{
    if (load->rate <= 0) return now;
    return load->start_ns + (int64_t)((double)load->sent / load->rate * (double)SECOND_NS);
}

static void send_one(struct load *load, int64_t due_ns)
{
    char request[PLAN_REQUEST_MAX];
    size_t len = plan_next(&load->plan, request);
    if (len == 0) {
        load->ran_out = true;
        return;
    }
    struct conn *conn = load->idle;
    remove_idle(load, conn);
    conn->due_ns = due_ns;
    conn->answer_len = 0;
    load->sent++;
    /* One small request at a time always fits the socket's buffer. */
    if (send(conn->fd, request, len, MSG_NOSIGNAL) != (ssize_t)len) break_conn(load, conn);
}

static void send_due(struct load *load, int64_t now)
{
    while (load->idle_count > 0 && !load->ran_out && now < load->end_ns) {
        int64_t due_ns = next_due_ns(load, now);
        if (due_ns > now) return;
        send_one(load, due_ns);
    }
}

static void on_answer(struct load *load, struct conn *conn, int64_t now)
{
    int status = frame_status(conn->answer, conn->answer_len);
    if (status < STATUS_MAX) load->by_status[status]++;
    load->answered++;
    load->last_ns = now;
    histogram_add(&load->latency, (uint64_t)(now - conn->due_ns));
    conn->due_ns = 0;
    push_idle(load, conn);
}

static void on_readable(struct load *load, struct conn *conn)
{
    size_t size;
    ssize_t got = recv(conn->fd, conn->answer + conn->answer_len,
                       sizeof conn->answer - conn->answer_len, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0 || conn->due_ns == 0) {
        if (conn->due_ns == 0) remove_idle(load, conn);
        break_conn(load, conn);
        return;
    }
    conn->answer_len += (size_t)got;
    if (frame_find(conn->answer, conn->answer_len, &size) == FRAME_COMPLETE)
        on_answer(load, conn, now_ns());
}

/* -- the run ------------------------------------------------------------------------------- */

static bool is_over(const struct load *load, int64_t now)
{
    size_t under_way = load->open_count - load->idle_count;
    bool is_sending = now < load->end_ns && !load->ran_out;
    return load->open_count == 0 || now > load->end_ns + DRAIN_NS ||
           (!is_sending && under_way == 0);
}

static void wait_for_events(struct load *load, int64_t now)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t until = load->idle_count > 0 && !load->ran_out ? next_due_ns(load, now) : load->end_ns;
    if (now >= load->end_ns) until = now + SECOND_NS;
    int64_t wait_ns = until > now ? until - now : 0;
    const struct timespec timeout = {wait_ns / SECOND_NS, wait_ns % SECOND_NS};
    int count = epoll_pwait2(load->epoll_fd, events, EVENTS_MAX, &timeout, NULL);
    if (count < 0 && errno != EINTR) die("epoll_pwait2");
    for (int i = 0; i < count; i++)
        on_readable(load, events[i].data.ptr);
}

static void run(struct load *load)
{
    int64_t now = load->start_ns = now_ns();
    load->end_ns = now + (int64_t)(load->seconds * (double)SECOND_NS);
    send_due(load, now);
    while (!is_over(load, now)) {
        wait_for_events(load, now);
        now = now_ns();
        send_due(load, now);
    }
}

static void report(const struct load *load)
{
    struct rusage used;
    const double us = 1e-3;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"requests\":%lu,\"unanswered\":%lu,\"broken\":%lu,\"duration_us\":%.0f,"
           "\"load_cpu_us\":%ld",
           load->answered, load->sent - load->answered, load->broken,
           (double)(load->last_ns - load->start_ns) * us,
           (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 + used.ru_utime.tv_usec +
               used.ru_stime.tv_usec);
    printf(",\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,\"status\":{",
           (double)histogram_at(&load->latency, 0.5) * us,
           (double)histogram_at(&load->latency, 0.99) * us,
           (double)histogram_at(&load->latency, 0.999) * us, (double)load->latency.max * us);
    const char *comma = "";
    for (int i = 0; i < STATUS_MAX; i++) {
        if (load->by_status[i] == 0) continue;
        printf("%s\"%d\":%lu", comma, i, load->by_status[i]);
        comma = ",";
    }
    puts("}}");
}

/* Requests come last: a template needs to know how many keys there are. */
static bool take_option(struct load *load, int option, const char *value)
{
    switch (option) {
    case 'p':
        load->port = (uint16_t)strtoul(value, NULL, 10);
        return true;
    case 'c':
        load->conns_count = strtoul(value, NULL, 10);
        return true;
    case 's':
        load->seconds = strtod(value, NULL);
        return true;
    case 'r':
        load->rate = strtod(value, NULL);
        return true;
    case 'k':
        load->plan.keys = strtoul(value, NULL, 10);
        return true;
    case 'e':
        load->plan.epoch_ms = strtol(value, NULL, 10);
        return true;
    case 'f':
        load->plan.first = load->plan.random = strtoul(value, NULL, 10);
        return true;
    case 'q':
        return plan_add(&load->plan, value);
    default:
        return false;
    }
}

static bool parse(struct load *load, int count, char **arguments)
{
    static const struct option options[] = {
        {"port", 1, NULL, 'p'},  {"connections", 1, NULL, 'c'}, {"seconds", 1, NULL, 's'},
        {"rate", 1, NULL, 'r'},  {"keys", 1, NULL, 'k'},        {"epoch-ms", 1, NULL, 'e'},
        {"first", 1, NULL, 'f'}, {"request", 1, NULL, 'q'},     {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        if (!take_option(load, option, optarg)) return false;
    }
    return optind == count && load->port && load->seconds > 0 && load->plan.sources_count > 0 &&
           load->conns_count > 0 && load->conns_count <= CONNECTIONS_MAX;
}

int main(int count, char **arguments)
{
    static struct load load;
    if (!parse(&load, count, arguments)) {
        fputs("usage: load --port P --connections N --seconds S [--rate R]\n"
              "            [--keys N --epoch-ms T --first F] --request SPEC...\n",
              stderr);
        return 2;
    }
    open_all(&load);
    run(&load);
    report(&load);
    return 0;
}
