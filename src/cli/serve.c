#include "admin/admin.h"
#include "admin/process.h"
#include "admin/reporter.h"
#include "admin/web.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/loops.h"
#include "cli/options.h"
#include "cli/reload.h"
#include "cli/retention.h"
#include "cli/sandbox.h"
#include "cli/say.h"
#include "cli/stop_signal.h"
#include "cli/traffic_files.h"
#include "cli/wiring.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The one place that wires the modules of a server. */

enum { DESCRIPTORS_PER_LOOP = 8, DESCRIPTORS_BESIDE = 64, LOOPS_DEFAULT_MAX = 64 };
enum { PATIENCE_MS = 5000, RETRY_MS = 5, READABLE_MAX = 1024 };

struct server {
    struct options options;
    struct traffic *traffic; /* until the api has it */
    struct listeners listeners, admin_listeners;
    struct loops *loops;
    struct wiring_stores stores; /* until the ledger has them */
    struct ledger *ledger;
    struct api *api;
    struct admin admin;
    struct admin_socket *socket;
    struct reporter *reporter;
    struct admin_web *web;
    struct process *process;
    struct retention *retention; /* NULL: everything is kept */
    struct reload reload;
};

static bool connects(const struct server *server)
{
    return server->options.store_url[0] != '\0';
}

static const char *url_of(const struct server *server)
{
    return connects(server) ? server->options.store_url : NULL;
}

static size_t loops_count(const struct options *options)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (options->threads > 0) return (size_t)options->threads;
    return cores < 1 ? 1 : cores > LOOPS_DEFAULT_MAX ? LOOPS_DEFAULT_MAX : (size_t)cores;
}

/* As many connections as there may be descriptors, when the system allows fewer than asked for. */
static int64_t connections_max(const struct options *options, size_t loops)
{
    struct rlimit limit;
    int64_t beside = DESCRIPTORS_BESIDE + DESCRIPTORS_PER_LOOP * (int64_t)loops;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return options->max_connections;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur == RLIM_INFINITY ||
        (rlim_t)(options->max_connections + beside) <= limit.rlim_cur)
        return options->max_connections;
    int64_t count = (int64_t)limit.rlim_cur - beside;
    if (count < (int64_t)loops) count = (int64_t)loops;
    log_event(LOG_WARN, "connections_limited", LOG_NUMBER("max_connections", count),
              LOG_TEXT("advice", SPAN("raise the limit of open files (ulimit -n)")));
    return count;
}

static struct http_options http_options_of(const struct options *options, size_t loops)
{
    struct http_options http;
    http_options_init(&http);
    http.conns_max =
        (uint32_t)((connections_max(options, loops) + (int64_t)loops - 1) / (int64_t)loops);
    http.head_max = (uint32_t)options->head_limit;
    http.target_max = (uint32_t)options->target_limit;
    http.headers_max = (uint32_t)options->headers_limit;
    wiring_live_http(&http, options);
    return http;
}

/* Each inherited socket needs a loop. False: said. */
static bool open_listeners(struct server *server, size_t *count)
{
    struct listeners *listeners = &server->listeners;
    if (!listeners_inherit(listeners)) return false;
    if (listeners->count == 0)
        return listeners_open(listeners, &server->options.listen, *count, "--listen");
    if (*count < listeners->count) *count = listeners->count;
    return listeners_share(listeners, *count);
}

/* Loops first: while the store is being opened, they say that it is. False: said. */
static bool start_loops(struct server *server)
{
    size_t count = loops_count(&server->options);
    if (!open_listeners(server, &count)) return false;
    struct http_options http = http_options_of(&server->options, count);
    enum err err = loops_start(&server->loops, &server->listeners, &http, server->options.sandbox);
    listeners_close(&server->listeners);
    if (err) say("cannot start %zu threads: %s; lower --threads", count, err_text(err));
    return !err;
}

/* Before the store is opened, which may take long: a wrong address is said at once. */
static bool listen_for_admin(struct server *server)
{
    const struct value_address *address = &server->options.admin_listen;
    if (!address->socket_len) return true;
    server->process = process_open(); /* before the sandbox */
    return listeners_open(&server->admin_listeners, address, 1, "--admin-listen");
}

static bool start_web(struct server *server)
{
    if (server->admin_listeners.count == 0) return true;
    int fd = server->admin_listeners.fds[0];
    server->admin_listeners.fds[0] = -1;
    enum err err = admin_web_start(&server->web, fd, &server->admin);
    if (err) say("cannot serve the admin pages: %s", err_text(err));
    return !err;
}

static bool start_admin(struct server *server)
{
    server->admin = (struct admin){.ledger = server->ledger,
                                   .api = server->api,
                                   .dir = server->options.data_path,
                                   .url = url_of(server),
                                   .process = server->process,
                                   .can_stream = true,
                                   .reload = reload_execute,
                                   .reload_owner = &server->reload,
                                   .listen_host = span_of(server->listeners.text)};
    enum err err = admin_socket_start(&server->socket, server->options.data_path, &server->admin);
    if (err)
        say("cannot make the socket %s/admin.sock for commands: %s: %s", server->options.data_path,
            err_text(err), err_advice(err));
    return !err && start_web(server);
}

static bool start_retention(struct server *server)
{
    int64_t keep_ms[EVENT_TABLES];
    if (!options_retention(&server->options, keep_ms)) return true;
    enum err err = retention_start(&server->retention, server->ledger, keep_ms);
    if (err) say("cannot start a thread for retention: %s", err_text(err));
    return !err;
}

/* Over a database each server that keeps sums reads every event: those do that people ask. */
static bool start_reporter(struct server *server)
{
    if (connects(server) && !server->web) return true;
    enum err err = reporter_start(&server->reporter, server->options.data_path, url_of(server),
                                  server->ledger);
    if (err) say("cannot start the thread that counts for reports: %s", err_text(err));
    return !err;
}

static bool activate(struct server *server)
{
    enum err err = loops_activate(server->loops, server->api, connects(server));
    if (err)
        say("cannot serve: %s: %s", err_text(err), err_advice(err));
    else
        reload_begin(&server->reload, server->api, server->loops);
    return !err;
}

static bool say_ready(const struct server *server)
{
    bool has_web = server->web != NULL;
    printf("adtally " ADTALLY_VERSION " ready: http://%s, data %s%s%s\n", server->listeners.text,
           server->options.data_path, has_web ? ", admin http://" : "",
           has_web ? server->admin_listeners.text : "");
    fflush(stdout); /* whoever reads it may have gone: no reason to end */
    return true;
}

/* The order of the end: first the answers, then what makes them. */
static void stop(struct server *server)
{
    reload_end(&server->reload);
    loops_drain(server->loops);
    if (server->reporter) reporter_stop(server->reporter);
    if (server->socket) admin_socket_stop(server->socket);
    if (server->web) admin_web_stop(server->web);
    process_close(server->process);
    listeners_close(&server->admin_listeners);
    if (server->retention) retention_stop(server->retention);
    if (server->ledger) ledger_stop(server->ledger);
    loops_free(server->loops);
    if (server->api) api_free(server->api);
}

/* A command holds the directory for a moment, and a server that was told to stop until it is done:
 * neither is a reason not to start. One that serves, or holds it for longer, is. */
static enum err open_when_free(struct server *server, char problem[STORE_PROBLEM_MAX])
{
    const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
    int64_t deadline_ms = clock_mono_ms() + PATIENCE_MS;
    for (;;) {
        enum err err =
            wiring_open(&server->options, true, (uint32_t)server->options.store_connections,
                        &server->stores, problem);
        if (err != ERR_BUSY || clock_mono_ms() >= deadline_ms ||
            admin_socket_is_served(server->options.data_path))
            return err;
        nanosleep(&pause, NULL);
    }
}

static void warn_unless_taken(enum err err, struct span what)
{
    if (err)
        log_event(LOG_WARN, "sandbox_incomplete", LOG_TEXT("missing", what),
                  LOG_TEXT("consequence", SPAN("the server runs without it; a newer kernel has it, "
                                               "unless a container withholds it")));
}

/* What a reload needs to read the file again: its directory, since an editor puts a new file in its
 * place; of a device (/dev/null) itself. False: none is named. */
static bool find_readable(char out[READABLE_MAX], struct span path)
{
    struct stat status;
    if (!path.ptr || snprintf(out, READABLE_MAX, "%.*s", SPAN_FMT(path)) >= READABLE_MAX)
        return false;
    if (stat(out, &status) == 0 && !S_ISREG(status.st_mode)) return true;
    char *slash = strrchr(out, '/');
    if (slash)
        slash[slash == out] = '\0';
    else
        snprintf(out, READABLE_MAX, ".");
    return true;
}

static void let_read(const char *path, void *arg)
{
    sandbox_let_read(arg, path);
}

/* Between the two halves of opening: the store has its files, and no thread runs yet that would
 * keep the right to others. */
static void leave_other_files(const struct server *server)
{
    const struct options *options = &server->options;
    const struct span named[] = {options->config, options->bot_patterns,
                                 options->datacenter_ranges};
    struct sandbox_files files = {.dir = options->data_path};
    char path[READABLE_MAX];
    if (!options->sandbox) return;
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        if (find_readable(path, named[i])) sandbox_let_read(&files, path);
    if (connects(server)) {
        sandbox_let_resolve(&files);
        store_each_file(options->store_url, let_read, &files);
    }
    warn_unless_taken(sandbox_only_files_in(&files), SPAN("Landlock"));
}

/* Before the first request that the api looks at. */
static bool leave_other_calls(const struct server *server)
{
    enum sandbox_network network = connects(server) ? SANDBOX_CONNECTS : SANDBOX_SERVES;
    if (server->options.sandbox) warn_unless_taken(sandbox_calls(network), SPAN("seccomp"));
    return true;
}

static bool open_store(struct server *server)
{
    char problem[STORE_PROBLEM_MAX];
    enum err err = open_when_free(server, problem);
    if (!err) {
        leave_other_files(server);
        err =
            wiring_start(&server->options, &server->stores, &server->ledger, &server->api, problem);
    }
    if (err) say("%s", problem);
    return !err;
}

static bool tell_traffic(struct server *server)
{
    server->traffic = api_use_traffic(server->api, server->traffic);
    return true;
}

static int run(struct server *server)
{
    if (!start_loops(server)) return EXIT_FAILED;
    bool ok = listen_for_admin(server) && open_store(server);
    if (ok) stop_signal_defer();
    ok = ok && tell_traffic(server) && start_admin(server) && start_reporter(server) &&
         start_retention(server) && leave_other_calls(server) && activate(server) &&
         say_ready(server);
    while (ok && stop_signal_wait() == STOP_SIGNAL_RELOAD)
        reload_run(&server->reload);
    stop(server);
    return ok ? EXIT_DONE : EXIT_FAILED;
}

int command_serve(struct args *args)
{
    struct server server = {0};
    reload_init(&server.reload, args, &server.options);
    enum options_result result = options_load(&server.options, args);
    if (result == OPTIONS_OK) result = traffic_files_load(&server.traffic, &server.options);
    stop_signal_install();
    int status = result == OPTIONS_OK    ? run(&server)
                 : result == OPTIONS_BAD ? EXIT_USAGE
                                         : EXIT_FAILED;
    traffic_free(server.traffic);
    reload_fini(&server.reload);
    options_free(&server.options);
    return status;
}
