#include "base/clock.h"
#include "base/log.h"
#include "cli/args.h"
#include "cli/options.h"
#include "cli/program.h"
#include "cli/reach.h"
#include "cli/say.h"
#include "sink/sink.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* adtally-sinks: sends what adtally records to where else it is wanted. A process of its own, so
 * that the server keeps a sandbox without outbound connections. */

enum { PATH_SIZE = 1024 };

struct ask {
    char data[PATH_SIZE], config[PATH_SIZE], store[OPTIONS_STORE_MAX];
    struct span name;
    bool is_json;
};

/* What the server of the directory is told in its configuration, or is told here. */
static bool find_store(struct ask *ask, struct span data, struct span store)
{
    struct options options;
    bool is_good = options_load_for(&options, data, store, SPAN_NONE) == OPTIONS_OK;
    if (is_good) snprintf(ask->store, sizeof ask->store, "%s", options.store_url);
    options_free(&options);
    return is_good;
}

static const char *url_of(const struct ask *ask)
{
    return ask->store[0] ? ask->store : NULL;
}

static bool read_ask(struct ask *ask, struct args *args, const char *command, bool wants_name)
{
    char problem[STORE_PROBLEM_MAX];
    struct span data = SPAN_NONE, config = SPAN_NONE, store = SPAN_NONE;
    const struct flag flags[] = {{SPAN("--data"), &data, NULL},
                                 {SPAN("--config"), &config, NULL},
                                 {SPAN("--store"), &store, NULL},
                                 {SPAN("--json"), NULL, &ask->is_json}};
    struct operands operands = {.list = &ask->name, .cap = wants_name};
    size_t flags_count = strcmp(command, "status") == 0 ? 4 : 3; /* --json */
    if (!args_read(args, command, flags, flags_count, &operands)) return false;
    if (!data.ptr) {
        say("--data is missing: name the data directory of adtally, --data DIR");
        return false;
    }
    if (wants_name && !sink_name_is_good(ask->name)) {
        say("%s needs the NAME of a sink; adtally-sinks status shows them", command);
        return false;
    }
    int len = snprintf(ask->data, sizeof ask->data, "%.*s", SPAN_FMT(data));
    int config_len =
        config.ptr ? snprintf(ask->config, sizeof ask->config, "%.*s", SPAN_FMT(config))
                   : snprintf(ask->config, sizeof ask->config, "%.*s/sinks.conf", SPAN_FMT(data));
    if (len >= PATH_SIZE || config_len >= PATH_SIZE) {
        say("a path is longer than %d bytes", PATH_SIZE - 1);
        return false;
    }
    if (reach_act_as_owner(ask->data, problem)) return find_store(ask, data, store);
    say("%s", problem);
    return false;
}

/* DIR/sinks; -1: said. */
static int open_dir(const struct ask *ask, bool create)
{
    char path[PATH_SIZE + 8];
    snprintf(path, sizeof path, "%s/sinks", ask->data);
    if (create && mkdir(path, 0700) != 0 && errno != EEXIST) {
        say("cannot make %s: %s; see whether DIR is right, and who owns it", path, strerror(errno));
        return -1;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        say("no adtally-sinks has run for %s: see whether the path is right, or start "
            "adtally-sinks "
            "run",
            ask->data);
    else if (fd < 0)
        say("cannot open %s: %s; run it as the user that owns it", path, strerror(errno));
    return fd;
}

/* Held while it is open; -1: said. */
static int take_lock(int dir_fd)
{
    int fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
    if (fd >= 0)
        say("another adtally-sinks runs for this data directory: stop it first");
    else
        say("cannot make sinks/lock: %s; see who owns the directory, and whether its disk has room",
            strerror(errno));
    if (fd >= 0) close(fd);
    return -1;
}

static bool is_running(int dir_fd)
{
    int fd = openat(dir_fd, "lock", O_RDWR | O_CLOEXEC);
    bool is_held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0;
    if (fd >= 0) close(fd);
    return is_held;
}

/* ---- run ---- */

/* What is said of sinks that are configured no more would be believed for ever. */
static void forget_others(const struct ask *ask, int dir_fd, const struct sinks_config *config)
{
    struct sink_status statuses[SINKS_MAX];
    unsigned count = sink_statuses_read(ask->data, statuses);
    for (unsigned i = 0; i < count; i++) {
        char file[SINK_NAME_MAX + 16];
        if (config_find(config, span_of(statuses[i].name))) continue;
        snprintf(file, sizeof file, "%.*s.status", SINK_NAME_MAX, statuses[i].name);
        unlinkat(dir_fd, file, 0);
    }
}

static sigset_t own_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    return signals;
}

/* Reload, or end. */
static bool wait_for_reload(void)
{
    sigset_t signals = own_signals();
    int number;
    while (sigwait(&signals, &number) != 0)
        continue;
    if (number == SIGHUP) return true;
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL); /* a second one ends it at once */
    return false;
}

static void block_signals(void)
{
    sigset_t signals = own_signals();
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

struct serving {
    const struct ask *ask;
    int dir_fd;
    struct sinks_config config;
    struct sink *sinks;
    unsigned started;
};

static bool start_sinks(struct serving *serving)
{
    const struct sinks_config *config = &serving->config;
    bool is_good = (serving->sinks = calloc(config->count, sizeof *serving->sinks));
    for (; is_good && serving->started < config->count; serving->started += is_good) {
        struct sink *sink = &serving->sinks[serving->started];
        sink->config = &config->sinks[serving->started];
        sink->dir = serving->ask->data;
        sink->url = url_of(serving->ask);
        sink->dir_fd = serving->dir_fd;
        is_good = worker_start(&sink->worker, sink_run, sink);
    }
    if (is_good)
        log_event(LOG_INFO, "sinks_started", LOG_NUMBER("sinks", (int64_t)serving->started));
    else
        say("there is no memory, or no thread, for %u sinks: give it more, or leave some out",
            config->count);
    return is_good;
}

static void stop_sinks(struct serving *serving)
{
    for (unsigned i = 0; i < serving->started; i++)
        worker_ask(&serving->sinks[i].worker);
    for (unsigned i = 0; i < serving->started; i++)
        worker_stop(&serving->sinks[i].worker);
    free(serving->sinks);
    serving->sinks = NULL;
    serving->started = 0;
}

static bool read_config(struct sinks_config *config, const struct ask *ask)
{
    if (!config_read(config, ask->config)) return false;
    if (config->count == 0)
        say("%s names no sink: a section [NAME] is one; see adtally-sinks help check", ask->config);
    return config->count > 0;
}

/* The old ones end before the new ones begin: two of a name would share its files. */
static bool reload(struct serving *serving)
{
    static struct sinks_config config;
    if (!read_config(&config, serving->ask)) {
        config_free(&config);
        log_event(LOG_ERROR, "reload_failed", LOG_TEXT("file", span_of(serving->ask->config)),
                  LOG_TEXT("advice", SPAN("correct it as standard error says, and reload again; "
                                          "the sinks go on as they were")));
        return true;
    }
    stop_sinks(serving);
    config_free(&serving->config);
    serving->config = config;
    forget_others(serving->ask, serving->dir_fd, &serving->config);
    return start_sinks(serving);
}

static int serve(struct serving *serving)
{
    bool is_good = start_sinks(serving);
    while (is_good && wait_for_reload())
        is_good = reload(serving);
    stop_sinks(serving);
    return is_good ? EXIT_DONE : EXIT_FAILED;
}

static int run_configured(struct serving *serving)
{
    int dir_fd = serving->dir_fd = open_dir(serving->ask, true);
    int lock_fd = dir_fd >= 0 ? take_lock(dir_fd) : -1;
    if (lock_fd < 0) {
        if (dir_fd >= 0) close(dir_fd);
        return EXIT_FAILED;
    }
    block_signals();
    forget_others(serving->ask, dir_fd, &serving->config);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int status = serve(serving);
    curl_global_cleanup();
    close(lock_fd);
    close(dir_fd);
    return status;
}

static int command_run(struct args *args)
{
    static struct serving serving;
    struct ask ask = {0};
    if (!read_ask(&ask, args, "run", false)) return EXIT_USAGE;
    serving.ask = &ask;
    int status = read_config(&serving.config, &ask) ? run_configured(&serving) : EXIT_USAGE;
    config_free(&serving.config);
    serving.ask = NULL;
    return status;
}

static int command_check(struct args *args)
{
    static struct sinks_config config;
    struct ask ask = {0};
    if (!read_ask(&ask, args, "check", false)) return EXIT_USAGE;
    bool is_good =
        config_read(&config, ask.config) && config_files_are_readable(&config, ask.config);
    for (unsigned i = 0; i < config.count && is_good; i++)
        printf("%s: %.*s\n", config.sinks[i].name, SPAN_FMT(sink_type_names[config.sinks[i].type]));
    config_free(&config);
    return is_good ? EXIT_DONE : EXIT_USAGE;
}

/* ---- status ---- */

/* The last sequence there is; what the sinks saw last when the database cannot be read. */
static uint64_t last_sequence(const struct ask *ask, const struct sink_status *statuses,
                              unsigned count)
{
    char problem[STORE_PROBLEM_MAX];
    struct store_feed *feed = NULL;
    uint64_t last = 0;
    if (!store_feed_open(&feed, ask->data, url_of(ask), problem))
        store_feed_last(feed, &last);
    else
        say("%s; how far a sink is behind is what it last saw itself", problem);
    store_feed_close(feed);
    for (unsigned i = 0; i < count; i++)
        if (statuses[i].last_sequence > last) last = statuses[i].last_sequence;
    return last;
}

static void print_status(const struct sink_status *status, uint64_t last, int64_t now_ms)
{
    int64_t lag_ms = sink_lag_ms(status, last, now_ms);
    printf("%-16s %8" PRIu64 " %10" PRId64 ".%" PRId64 " %10" PRIu64 " %10" PRIu64 " %8" PRIu64
           " %8" PRIu64 "%s\n",
           status->name, sink_lag_events(status, last), lag_ms / 1000, lag_ms % 1000 / 100,
           status->sequence, status->sent, status->waiting, status->dead_letters,
           status->is_disabled ? " disabled" : "");
}

static void print_json(const struct sink_status *status, uint64_t last, int64_t now_ms)
{
    int64_t lag_ms = sink_lag_ms(status, last, now_ms);
    printf("{\"name\":\"%s\",\"lag_events\":%" PRIu64 ",\"lag_seconds\":%" PRId64 ".%" PRId64
           ",\"sequence\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"failed\":%" PRIu64
           ",\"waiting\":%" PRIu64 ",\"dead_letters\":%" PRIu64 ",\"disabled\":%s}\n",
           status->name, sink_lag_events(status, last), lag_ms / 1000, lag_ms % 1000 / 100,
           status->sequence, status->sent, status->failed, status->waiting, status->dead_letters,
           status->is_disabled ? "true" : "false");
}

static int command_status(struct args *args)
{
    struct ask ask = {0};
    struct sink_status statuses[SINKS_MAX];
    if (!read_ask(&ask, args, "status", false)) return EXIT_USAGE;
    int dir_fd = open_dir(&ask, false);
    if (dir_fd < 0) return EXIT_FAILED;
    unsigned count = sink_statuses_read(ask.data, statuses);
    uint64_t last = last_sequence(&ask, statuses, count);
    if (!ask.is_json)
        printf("%-16s %8s %12s %10s %10s %8s %8s\n", "sink", "behind", "seconds", "sequence",
               "sent", "waiting", "dead");
    for (unsigned i = 0; i < count; i++)
        (ask.is_json ? print_json : print_status)(&statuses[i], last, clock_wall_ms());
    if (!is_running(dir_fd)) say("no adtally-sinks is running for %s", ask.data);
    close(dir_fd);
    return EXIT_DONE;
}

/* ---- replay, enable ---- */

static int make_wish(struct args *args, const char *kind)
{
    struct ask ask = {0};
    struct sink_status status;
    char name[SINK_NAME_MAX + 1];
    if (!read_ask(&ask, args, kind, true)) return EXIT_USAGE;
    snprintf(name, sizeof name, "%.*s", SPAN_FMT(ask.name));
    int dir_fd = open_dir(&ask, false);
    if (dir_fd < 0) return EXIT_FAILED;
    int result = EXIT_FAILED;
    if (!sink_status_read(dir_fd, name, &status))
        say("no sink is called \"%s\"; adtally-sinks status shows them", name);
    else if (!wish_make(dir_fd, name, kind))
        say("cannot write to %s/sinks: %s", ask.data, strerror(errno));
    else
        result = EXIT_DONE;
    if (!result) {
        printf("%s: %s; %" PRIu64 " dead letters\n", kind, name, dead_count(dir_fd, name));
        if (!is_running(dir_fd)) say("no adtally-sinks is running: it is done when one is started");
    }
    close(dir_fd);
    return result;
}

static int command_replay(struct args *args)
{
    return make_wish(args, "replay");
}

static int command_enable(struct args *args)
{
    return make_wish(args, "enable");
}

/* ---- */

/* clang-format off */
static const struct command commands[] = {
    {"run", command_run,
     "run --data DIR [--config FILE]\n",
     "send what is recorded, until SIGTERM",
     "It runs beside the server, or without one, and goes on where it was. SIGHUP takes the\n"
     "configuration file anew.\n\n"
     "  adtally-sinks run --data data"},
    {"check", command_check,
     "check --data DIR [--config FILE]\n",
     "whether the configuration is good, and its sinks",
     "The configuration is DIR/sinks.conf unless --config names another. A section is a sink:\n\n"
     "  [lake]\n"
     "  type = http\n"
     "  url = https://collector.example/events\n\n"
     "  adtally-sinks check --data data"},
    {"status", command_status,
     "status [--json] --data DIR\n",
     "how far each sink is: what it is behind, has sent, waits for",
     "A sink that is behind and stays there has said why in the log of adtally-sinks run.\n\n"
     "  adtally-sinks status --data data"},
    {"replay", command_replay,
     "replay NAME --data DIR\n",
     "send the dead letters of a webhook again",
     "What a receiver refused for as long as `retry` says is a dead letter. Each is sent again, as\n"
     "new; what is refused again comes back.\n\n"
     "  adtally-sinks replay partner-acme --data data"},
    {"enable", command_enable,
     "enable NAME --data DIR\n",
     "go on with a sink whose receiver answered 410 Gone",
     "410 means that nobody wants it any more: the sink stops, and its events wait.\n\n"
     "  adtally-sinks enable partner-acme --data data"},
};
/* clang-format on */

static const struct program program = {
    .name = "adtally-sinks",
    .what = "sends what adtally records to where else it is wanted",
    .commands = {commands, sizeof commands / sizeof commands[0]},
    .foot =
        "The configuration is DIR/sinks.conf unless --config names another; man adtally-sinks has\n"
        "all of it.",
};

int main(int argc, char **argv)
{
    return program_run(&program, argc, argv);
}
