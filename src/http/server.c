#include "http/conn.h"

#include "base/assert.h"
#include "base/log.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* So that a flood of connections leaves the open ones their turn. */
enum { ACCEPTS_PER_TURN_MAX = 64 };

void http_options_init(struct http_options *options)
{
    *options = (struct http_options){
        .arena_size = 256 * 1024,
        .conns_max = 10000,
        .large_count = 4,
        .large_arena_size = 4 * 1024 * 1024,
        .head_max = LIMIT_HEAD,
        .target_max = LIMIT_TARGET,
        .headers_max = LIMIT_HEADERS_COUNT,
        .body_max = LIMIT_MINT_BODY,
        .head_timeout_ms = 10 * 1000,
        .body_timeout_ms = 10 * 1000,
        .idle_timeout_ms = 75 * 1000,
        .write_timeout_ms = 60 * 1000,
    };
}

static void set_nodelay(int fd)
{
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void adopt(struct http_server *server, int fd, const struct sockaddr_storage *from)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    if (from->ss_family == AF_INET || from->ss_family == AF_INET6) {
        peer = *from;
        set_nodelay(fd);
    }
    struct http_conn *conn = http_slab_take(server);
    ASSERT(conn);
    if (http_conn_start(conn, fd, &peer) == ERR_OK) server->stats.conns_accepted++;
}

static void stop_accepting(struct http_server *server)
{
    if (!server->is_accepting) return;
    for (size_t i = 0; i < server->listeners_count; i++)
        ev_watch_remove(server->loop, &server->listeners[i].watch);
    server->is_accepting = false;
}

/* Tried again on every tick: a listener that the loop cannot watch now is no reason to end. */
static void start_accepting(struct http_server *server)
{
    if (server->is_accepting || server->listeners_count == 0) return;
    size_t added = 0;
    while (added < server->listeners_count &&
           ev_watch_add(server->loop, &server->listeners[added].watch, true) == ERR_OK)
        added++;
    server->is_accepting = added == server->listeners_count;
    while (!server->is_accepting && added > 0)
        ev_watch_remove(server->loop, &server->listeners[--added].watch);
}

static bool is_full(const struct http_server *server)
{
    return server->stats.conns_open == server->options.conns_max;
}

static bool has_room(const struct http_server *server)
{
    return !is_full(server) || http_waiting_longest(server);
}

/* Who keeps us waiting for a second gives its place to who comes: else a crowd that does nothing
 * would keep everybody out for as long as it likes. */
static bool make_room(struct http_server *server)
{
    if (!is_full(server)) return true;
    struct http_conn *conn = http_waiting_longest(server);
    if (conn) http_conn_yield(conn);
    return !is_full(server);
}

/* No descriptor or memory for another connection: wait for the tick rather than spin. */
static void on_accept_exhausted(struct http_server *server, int error)
{
    if (!server->has_no_descriptors)
        log_event_bounded(LOG_WARN, "accept_paused", LOG_NUMBER("errno", error),
                          LOG_TEXT("advice", SPAN("raise the limit of open files (ulimit -n), or "
                                                  "lower max_connections")));
    server->has_no_descriptors = true;
    stop_accepting(server);
}

/* Whether there may be more to accept. */
static bool accept_one(struct http_server *server, int listener_fd)
{
    struct sockaddr_storage from = {0};
    socklen_t from_size = sizeof from;
    int fd =
        accept4(listener_fd, (struct sockaddr *)&from, &from_size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        server->has_no_descriptors = false;
        adopt(server, fd, &from);
        return true;
    }
    switch (errno) {
    case EAGAIN:
        return false;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        on_accept_exhausted(server, errno);
        return false;
    default: /* that connection's own trouble: it went away in the queue (accept(2)) */
        return true;
    }
}

static void accept_some(struct http_server *server, int listener_fd, unsigned count)
{
    if (!make_room(server))
        return; /* for one: whether there are more is for the next turn to see */
    while (count-- > 0 && !is_full(server))
        if (!accept_one(server, listener_fd)) break;
}

static void on_listener_ready(struct ev_watch *watch, unsigned ready)
{
    struct http_listener *listener = (struct http_listener *)watch;
    struct http_server *server = listener->server;
    accept_some(server, watch->fd, ACCEPTS_PER_TURN_MAX);
    if (!has_room(server)) stop_accepting(server);
}

static void sweep_deadlines(struct http_server *server)
{
    int64_t now_ms = ev_loop_now_ms(server->loop);
    for (uint32_t slot = 0; slot < server->slots_used; slot++)
        if (server->deadlines_ms[slot] <= now_ms) http_conn_on_deadline(&server->conns[slot]);
}

static void on_tick(struct ev_hook *hook)
{
    struct http_server *server = (struct http_server *)hook;
    http_date_update(server);
    sweep_deadlines(server);
    if (has_room(server)) start_accepting(server);
}

static void on_turn_end(struct ev_hook *hook)
{
    struct http_server *server = (struct http_server *)hook;
    struct http_conn *conn = server->resumed, *next;
    server->resumed = NULL;
    server->resumed_end = &server->resumed;
    server->has_handled_large = false;
    for (; conn; conn = next) {
        next = conn->next;
        conn->is_queued = false;
        http_conn_drive(conn);
    }
    /* A slot became free: there may be somebody in the kernel's queue. Out of descriptors, the tick
     * is early enough. */
    if (!is_full(server) && !server->has_no_descriptors) start_accepting(server);
}

static bool is_usable(const struct http_options *options)
{
    return options->handler && options->conns_max > 0 && options->headers_max > 0 &&
           options->head_max > 0 && options->body_max >= LIMIT_BODY;
}

enum err http_server_new(struct http_server **out, struct ev_loop *loop,
                         const struct http_options *options)
{
    ASSERT(is_usable(options));
    struct http_server *server = calloc(1, sizeof *server);
    if (!server) return ERR_NO_MEMORY;
    server->loop = loop;
    server->options = *options;
    server->limits =
        (struct http_limits){options->head_max, options->target_max, options->headers_max};
    enum err err = http_slab_init(server);
    if (err) {
        http_slab_fini(server);
        free(server);
        return err;
    }
    server->resumed_end = &server->resumed;
    http_date_update(server);
    server->hook = (struct ev_hook){.on_turn_end = on_turn_end, .on_tick = on_tick};
    ev_hook_add(loop, &server->hook);
    *out = server;
    return ERR_OK;
}

void http_server_configure(struct http_server *server, const struct http_options *options)
{
    server->options.head_timeout_ms = options->head_timeout_ms;
    server->options.body_timeout_ms = options->body_timeout_ms;
    server->options.idle_timeout_ms = options->idle_timeout_ms;
    server->options.write_timeout_ms = options->write_timeout_ms;
    server->options.hides_failures = options->hides_failures;
}

enum err http_server_listen(struct http_server *server, int fd)
{
    ASSERT(!server->is_draining);
    if (server->listeners_count == HTTP_LISTENERS_MAX) return ERR_FULL;
    stop_accepting(server);
    struct http_listener *listener = &server->listeners[server->listeners_count++];
    *listener = (struct http_listener){{fd, on_listener_ready}, server};
    start_accepting(server);
    if (server->is_accepting) return ERR_OK;
    server->listeners_count--;
    start_accepting(server);
    return ERR_FULL;
}

static void close_listeners(struct http_server *server)
{
    stop_accepting(server);
    for (size_t i = 0; i < server->listeners_count; i++)
        close(server->listeners[i].watch.fd);
    server->listeners_count = 0;
}

static void drain_conn(struct http_conn *conn)
{
    if (conn->state == HTTP_CONN_STREAMING) {
        http_stream_end(conn);
        http_stream_close(&conn->request);
    }
    if (conn->state != HTTP_CONN_IDLE) return;
    if (!conn->has_received) {
        http_conn_set_deadline(conn, ev_loop_now_ms(conn->server->loop) + HTTP_DRAIN_MS);
        return;
    }
    conn->is_readable = true; /* one last look; http_conn_drive closes it when there is nothing */
    http_conn_drive(conn);
}

void http_server_drain(struct http_server *server)
{
    if (server->is_draining) return;
    server->is_draining = server->is_winding_down = true;
    for (size_t i = 0; i < server->listeners_count; i++)
        accept_some(server, server->listeners[i].watch.fd, server->options.conns_max);
    close_listeners(server);
    for (uint32_t slot = 0; slot < server->slots_used; slot++)
        drain_conn(&server->conns[slot]);
}

void http_server_wind_down(struct http_server *server)
{
    server->is_winding_down = true;
}

bool http_server_idle(const struct http_server *server)
{
    return server->stats.conns_open == 0;
}

void http_server_free(struct http_server *server)
{
    if (!server) return;
    close_listeners(server);
    for (uint32_t slot = 0; slot < server->slots_used; slot++) {
        struct http_conn *conn = &server->conns[slot];
        ASSERT(conn->state != HTTP_CONN_HANDLING);
        conn->is_queued = false;
        if (conn->state != HTTP_CONN_FREE) http_conn_close(conn);
    }
    ev_hook_remove(server->loop, &server->hook);
    http_slab_fini(server);
    free(server);
}

void http_server_stats(const struct http_server *server, struct http_stats *out)
{
    *out = server->stats;
}
