#include "cli/loops.h"

#include "base/assert.h"
#include "base/log.h"
#include "cli/sandbox.h"
#include "ev/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/* How long clients with an open connection have to be told that it closes. One that is closed while
 * its next request is under way would have to guess what became of it. */
enum { WIND_DOWN_MS = 1000 };

enum order { ORDER_NONE, ORDER_ACTIVATE, ORDER_CONFIGURE, ORDER_DRAIN };

/* While the store is being opened a server of its own answers; when the api is there, the api's
 * server takes over the same listening socket (a duplicate of the descriptor), so that there is no
 * moment without a listener and no request that begins with one handler and ends with another.
 * With a socket that is held for us there is nothing to answer: who connects waits. */
struct loop {
    pthread_t thread;
    struct ev_loop *ev;
    struct ev_wake wake;
    struct ev_hook hook;
    struct http_options http;
    struct http_server *starting, *serving;
    struct api_loop *api_loop;
    int fd; /* the listening socket, for the api's server; -1 when that has it */
    bool is_sandboxed;
    bool has_to_disconnect; /* the process may make connections, a loop has no use for them */
    bool is_held;           /* the listening socket: listeners.h */
    bool is_draining;
    int64_t drain_at_ms; /* 0: not winding down */

    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t obeyed;
    enum order order;
    struct api *api;
    struct http_options next_http;
    enum err err;
};

struct loops {
    size_t count;
    struct loop list[];
};

#define LOOP_OF(pointer, member)                                                                   \
    ((struct loop *)(void *)((char *)(pointer)-offsetof(struct loop, member)))

static enum err activate(struct loop *loop)
{
    if (loop->has_to_disconnect) (void)sandbox_no_connections(); /* serve tells of sandbox_calls */
    enum err err = api_loop_new(&loop->api_loop, loop->api, loop->ev);
    if (err) return err;
    api_loop_serve(loop->api_loop, &loop->http);
    err = http_server_new(&loop->serving, loop->ev, &loop->http);
    if (err) return err;
    http_server_drain(loop->starting);
    err = http_server_listen(loop->serving, loop->fd);
    if (!err) loop->fd = -1;
    return err;
}

static void configure(struct loop *loop)
{
    http_server_configure(loop->serving, &loop->next_http);
    api_loop_adopt(loop->api_loop);
}

static void drain(struct loop *loop)
{
    loop->is_draining = true;
    if (loop->serving)
        http_server_drain(loop->serving);
    else
        http_server_drain(loop->starting);
    ev_loop_again(loop->ev);
}

/* A held socket outlives us: nobody has to be turned away, only led to new connections. */
static void begin_to_drain(struct loop *loop)
{
    if (!loop->is_held || !loop->serving) {
        drain(loop);
        return;
    }
    http_server_wind_down(loop->serving);
    loop->drain_at_ms = ev_loop_now_ms(loop->ev) + WIND_DOWN_MS;
    ev_loop_again(loop->ev);
}

static bool has_wound_down(const struct loop *loop)
{
    return loop->drain_at_ms && !loop->is_draining &&
           (http_server_idle(loop->serving) || ev_loop_now_ms(loop->ev) >= loop->drain_at_ms);
}

static void on_order(struct ev_wake *wake)
{
    struct loop *loop = LOOP_OF(wake, wake);
    pthread_mutex_lock(&loop->mutex);
    if (loop->order == ORDER_ACTIVATE) loop->err = activate(loop);
    if (loop->order == ORDER_CONFIGURE) configure(loop);
    if (loop->order == ORDER_DRAIN) begin_to_drain(loop);
    loop->order = ORDER_NONE;
    pthread_cond_signal(&loop->obeyed);
    pthread_mutex_unlock(&loop->mutex);
}

static void end_when_idle(struct ev_hook *hook)
{
    struct loop *loop = LOOP_OF(hook, hook);
    if (has_wound_down(loop)) drain(loop);
    if (loop->is_draining && http_server_idle(loop->starting) &&
        (!loop->serving || http_server_idle(loop->serving)))
        ev_loop_stop(loop->ev);
}

static void note_http(const struct loop *loop)
{
    struct http_stats starting, stats;
    http_server_stats(loop->starting, &starting);
    http_server_stats(loop->serving, &stats);
    stats.conns_open += starting.conns_open;
    stats.conns_accepted += starting.conns_accepted;
    stats.refused_framing += starting.refused_framing;
    stats.timeouts += starting.timeouts;
    api_loop_note_http(loop->api_loop, &stats);
}

static void on_tick(struct ev_hook *hook)
{
    const struct loop *loop = LOOP_OF(hook, hook);
    if (loop->serving) note_http(loop);
    log_tell_left_out(false);
}

static void *run(void *arg)
{
    struct loop *loop = arg;
    if (loop->is_sandboxed) (void)sandbox_no_files(); /* serve tells when there is none */
    ev_loop_run(loop->ev);
    log_tell_left_out(true);
    return NULL;
}

static void give_order(struct loop *loop, enum order order)
{
    pthread_mutex_lock(&loop->mutex);
    ASSERT(loop->order == ORDER_NONE);
    loop->order = order;
    pthread_mutex_unlock(&loop->mutex);
    ev_wake_ring(&loop->wake);
}

static enum err wait_until_obeyed(struct loop *loop)
{
    pthread_mutex_lock(&loop->mutex);
    while (loop->order != ORDER_NONE)
        pthread_cond_wait(&loop->obeyed, &loop->mutex);
    enum err err = loop->err;
    pthread_mutex_unlock(&loop->mutex);
    return err;
}

static enum err start_server(struct loop *loop, int *listener)
{
    struct http_options http = loop->http;
    api_starting_serve(&http);
    enum err err = http_server_new(&loop->starting, loop->ev, &http);
    if (err) return err;
    if (loop->is_held) {
        loop->fd = *listener;
        *listener = -1;
        return ERR_OK;
    }
    loop->fd = fcntl(*listener, F_DUPFD_CLOEXEC, 0);
    if (loop->fd < 0) return errno == EMFILE || errno == ENFILE ? ERR_FULL : ERR_IO;
    err = http_server_listen(loop->starting, *listener);
    if (!err) *listener = -1;
    return err;
}

/* Everything of a loop but its thread; what was made is freed by loop_free. */
static enum err prepare(struct loop *loop, const struct http_options *http, int *listener)
{
    loop->http = *http;
    enum err err = ev_loop_new(&loop->ev);
    if (err) return err;
    err = ev_wake_open(loop->ev, &loop->wake, on_order);
    if (err) {
        ev_loop_free(loop->ev);
        loop->ev = NULL;
        return err;
    }
    err = start_server(loop, listener);
    loop->hook = (struct ev_hook){.on_turn_end = end_when_idle, .on_tick = on_tick};
    ev_hook_add(loop->ev, &loop->hook);
    return err;
}

static void loop_free(struct loop *loop)
{
    if (loop->serving) http_server_free(loop->serving);
    if (loop->starting) http_server_free(loop->starting);
    api_loop_free(loop->api_loop);
    if (loop->fd >= 0) close(loop->fd);
    if (loop->ev) {
        ev_hook_remove(loop->ev, &loop->hook);
        ev_wake_close(loop->ev, &loop->wake);
        ev_loop_free(loop->ev);
    }
    pthread_mutex_destroy(&loop->mutex);
    pthread_cond_destroy(&loop->obeyed);
}

static enum err start_one(struct loop *loop, const struct http_options *http, int *listener)
{
    loop->fd = -1;
    pthread_mutex_init(&loop->mutex, NULL);
    pthread_cond_init(&loop->obeyed, NULL);
    enum err err = prepare(loop, http, listener);
    if (!err && pthread_create(&loop->thread, NULL, run, loop) != 0) err = ERR_NO_MEMORY;
    if (err) loop_free(loop);
    return err;
}

enum err loops_start(struct loops **out, struct listeners *listeners,
                     const struct http_options *http, bool is_sandboxed)
{
    struct loops *loops = calloc(1, sizeof *loops + listeners->count * sizeof loops->list[0]);
    enum err err = loops ? ERR_OK : ERR_NO_MEMORY;
    while (!err && loops->count < listeners->count) {
        loops->list[loops->count].is_sandboxed = is_sandboxed;
        loops->list[loops->count].is_held = listeners->is_held;
        err = start_one(&loops->list[loops->count], http, &listeners->fds[loops->count]);
        if (!err) loops->count++;
    }
    if (!err) *out = loops;
    if (err && loops) {
        loops_drain(loops);
        loops_free(loops);
    }
    return err;
}

enum err loops_activate(struct loops *loops, struct api *api, bool process_connects)
{
    enum err err = ERR_OK;
    for (size_t i = 0; i < loops->count; i++) {
        struct loop *loop = &loops->list[i];
        loop->api = api;
        loop->has_to_disconnect = process_connects && loop->is_sandboxed;
        give_order(loop, ORDER_ACTIVATE);
    }
    for (size_t i = 0; i < loops->count; i++) {
        enum err one = wait_until_obeyed(&loops->list[i]);
        if (one) err = one;
    }
    return err;
}

void loops_configure(struct loops *loops, const struct http_options *http)
{
    for (size_t i = 0; i < loops->count; i++) {
        loops->list[i].next_http = *http;
        give_order(&loops->list[i], ORDER_CONFIGURE);
    }
    for (size_t i = 0; i < loops->count; i++)
        (void)wait_until_obeyed(&loops->list[i]);
}

void loops_drain(struct loops *loops)
{
    for (size_t i = 0; i < loops->count; i++)
        give_order(&loops->list[i], ORDER_DRAIN);
    for (size_t i = 0; i < loops->count; i++)
        pthread_join(loops->list[i].thread, NULL);
}

void loops_free(struct loops *loops)
{
    for (size_t i = 0; i < loops->count; i++)
        loop_free(&loops->list[i]);
    free(loops);
}
