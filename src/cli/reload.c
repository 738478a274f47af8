#include "cli/reload.h"

#include "base/log.h"
#include "cli/options_table.h"
#include "cli/say.h"
#include "cli/traffic_files.h"
#include "cli/wiring.h"
#include "json/write.h"

#include <stdio.h>
#include <string.h>

enum { PROBLEM_MAX = 512 };

struct result {
    uint64_t changed, waiting; /* bits of rows of the table; waiting: for a restart */
    char problem[PROBLEM_MAX]; /* why nothing was done; else empty */
};

void reload_init(struct reload *reload, const struct args *args, const struct options *started)
{
    *reload = (struct reload){.args = *args, .started = started, .is_over = true};
    pthread_mutex_init(&reload->mutex, NULL);
}

void reload_fini(struct reload *reload)
{
    options_free(&reload->current);
    pthread_mutex_destroy(&reload->mutex);
}

void reload_begin(struct reload *reload, struct api *api, struct loops *loops)
{
    pthread_mutex_lock(&reload->mutex);
    reload->current = *reload->started;
    reload->current.file = NULL; /* its texts are those of `started` */
    reload->api = api;
    reload->loops = loops;
    reload->is_over = false;
    pthread_mutex_unlock(&reload->mutex);
}

void reload_end(struct reload *reload)
{
    pthread_mutex_lock(&reload->mutex);
    reload->is_over = true;
    pthread_mutex_unlock(&reload->mutex);
}

static void set_problem(struct result *result, const char *problem)
{
    snprintf(result->problem, sizeof result->problem, "%s", problem);
}

static bool read_again(struct options *next, const struct reload *reload, struct result *result)
{
    struct args args = reload->args;
    say_into(result->problem, sizeof result->problem);
    enum options_result read = options_load(next, &args);
    say_into(NULL, 0);
    if (read == OPTIONS_OK) return true;
    options_free(next);
    return false;
}

static bool reads_other_paths(const struct reload *reload, const struct options *next)
{
    return !span_eq(reload->started->bot_patterns, next->bot_patterns) ||
           !span_eq(reload->started->datacenter_ranges, next->datacenter_ranges);
}

static bool read_lists(struct traffic **out, const struct options *next,
                       const struct reload *reload, struct result *result)
{
    say_into(result->problem, sizeof result->problem);
    enum options_result read = traffic_files_load(out, next);
    say_into(NULL, 0);
    if (read == OPTIONS_OK) return true;
    if (read == OPTIONS_FAILED && next->sandbox && reads_other_paths(reload, next)) {
        size_t len = strlen(result->problem);
        snprintf(result->problem + len, sizeof result->problem - len,
                 "; with the sandbox on, a file in another directory than at the start needs a "
                 "restart");
    }
    return false;
}

static void set_changed(struct result *result, struct span name)
{
    result->changed |= UINT64_C(1) << (options_find(name) - options_table);
}

/* The same path, another file. */
static void compare_lists(struct result *result, const struct traffic *now,
                          const struct traffic *before)
{
    if (!traffic_same_bots(now, before)) set_changed(result, SPAN("bot_patterns"));
    if (!traffic_same_networks(now, before)) set_changed(result, SPAN("datacenter_ranges"));
}

static void compare(struct result *result, const struct reload *reload, const struct options *next)
{
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const struct option *option = &options_table[i];
        const struct options *before = option->is_live ? &reload->current : reload->started;
        if (options_same(before, next, option)) continue;
        *(option->is_live ? &result->changed : &result->waiting) |= UINT64_C(1) << i;
    }
}

/* Takes `lists` over; false: it is still the caller's. */
static bool apply(struct reload *reload, const struct options *next, struct traffic *lists,
                  struct result *result)
{
    struct api_options api_options = wiring_api_options(next);
    struct http_options http;
    enum err err = api_configure(reload->api, &api_options);
    if (err) {
        set_problem(result, "there is not enough memory for the new options");
        return false;
    }
    struct traffic *before = api_use_traffic(reload->api, lists);
    http_options_init(&http);
    wiring_live_http(&http, next);
    loops_configure(reload->loops, &http); /* waits: from here on no loop goes by `before` */
    compare_lists(result, lists, before);
    traffic_free(before);
    return true;
}

static void run(struct reload *reload, struct result *result)
{
    struct options next;
    struct traffic *lists = NULL;
    if (reload->is_over) {
        set_problem(result, "the server is starting or stopping");
        return;
    }
    if (!read_again(&next, reload, result)) return;
    compare(result, reload, &next);
    if (!read_lists(&lists, &next, reload, result) || !apply(reload, &next, lists, result)) {
        traffic_free(lists);
        options_free(&next);
        return;
    }
    options_free(&reload->current);
    reload->current = next;
}

static void log_rows(enum log_level level, const char *event, uint64_t rows, const char *advice)
{
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        if (rows >> i & 1)
            log_event(level, event, LOG_TEXT("option", options_table[i].name),
                      LOG_TEXT("advice", span_of(advice)));
}

static void log_result(const struct result *result)
{
    if (result->problem[0]) {
        log_event(LOG_ERROR, "reload_failed", LOG_TEXT("problem", span_of(result->problem)),
                  LOG_TEXT("advice", SPAN("every option is what it was: correct the file, then "
                                          "reload again")));
        return;
    }
    log_rows(LOG_INFO, "option_changed", result->changed, "holds from now on");
    log_rows(LOG_WARN, "option_waits", result->waiting, "restart to change it");
    log_event(LOG_INFO, "reloaded", LOG_NUMBER("changed", __builtin_popcountll(result->changed)),
              LOG_NUMBER("waiting", __builtin_popcountll(result->waiting)));
}

static void run_and_log(struct reload *reload, struct result *result)
{
    *result = (struct result){0};
    pthread_mutex_lock(&reload->mutex);
    run(reload, result);
    log_result(result);
    pthread_mutex_unlock(&reload->mutex);
}

void reload_run(struct reload *reload)
{
    struct result result;
    run_and_log(reload, &result);
}

static void write_rows(struct writer *answer, struct span name, uint64_t rows)
{
    json_write_comma(answer);
    json_write_key(answer, name);
    writer_char(answer, '[');
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        if (!(rows >> i & 1)) continue;
        json_write_comma(answer);
        json_write_string(answer, options_table[i].name);
    }
    writer_char(answer, ']');
}

void reload_execute(void *owner, struct writer *answer)
{
    struct result result;
    run_and_log(owner, &result);
    if (result.problem[0]) {
        char sentence[PROBLEM_MAX + 64];
        snprintf(sentence, sizeof sentence, "%s; nothing has changed", result.problem);
        writer_lit(answer, "{\"ok\":false");
        json_write_text_member(answer, SPAN("error"), span_of(sentence));
    } else {
        writer_lit(answer, "{\"ok\":true");
        write_rows(answer, SPAN("changed"), result.changed);
        write_rows(answer, SPAN("waiting"), result.waiting);
    }
    writer_char(answer, '}');
}
