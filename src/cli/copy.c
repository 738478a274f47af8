#include "cli/commands.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/reach.h"
#include "cli/say.h"
#include "cli/wiring.h"
#include "store/store.h"

#include <stdio.h>

/* adtally copy: a data directory into a database of PostgreSQL, and the way back. */

enum { TEXT_MAX = 1024 };

struct ask {
    char dir[TEXT_MAX], url[TEXT_MAX];
    bool is_from_database;
};

static bool is_url(struct span text)
{
    return span_starts_with(text, SPAN("postgresql://")) ||
           span_starts_with(text, SPAN("postgres://"));
}

static bool read_ask(struct ask *ask, struct args *args)
{
    struct span from = SPAN_NONE, to = SPAN_NONE;
    const struct flag flags[] = {{SPAN("--from"), &from, NULL}, {SPAN("--to"), &to, NULL}};
    struct operands none = {0};
    if (!args_read(args, "copy", flags, 2, &none)) return false;
    if (!from.len || !to.len || is_url(from) == is_url(to)) {
        say("copy needs --from DIR and --to postgresql://..., or the other way round");
        return false;
    }
    if (from.len >= TEXT_MAX || to.len >= TEXT_MAX) {
        say("--from and --to are at most %d bytes", TEXT_MAX - 1);
        return false;
    }
    ask->is_from_database = is_url(from);
    struct span dir = ask->is_from_database ? to : from, url = ask->is_from_database ? from : to;
    snprintf(ask->dir, sizeof ask->dir, "%.*s", SPAN_FMT(dir));
    snprintf(ask->url, sizeof ask->url, "%.*s", SPAN_FMT(url));
    return true;
}

static int run_copy(struct store_copy *copy)
{
    char problem[STORE_PROBLEM_MAX];
    struct progress progress;
    copy->progress = progress_begin(&progress, "copy");
    enum err err = reach_act_as_owner(copy->dir, problem) ? store_copy(copy, problem) : ERR_DENIED;
    progress_end(&progress);
    if (err) {
        say("%s", problem);
        return EXIT_FAILED;
    }
    printf("copied %llu events\n", (unsigned long long)copy->events);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* DIR/adtally.conf, where there is one, has the times to live of the servers. */
static int fill_directory(struct store_copy *copy)
{
    struct options options;
    enum options_result result =
        options_load_for(&options, span_of(copy->dir), SPAN_NONE, SPAN_NONE);
    copy->options = wiring_store_options(&options, true);
    int status = result == OPTIONS_OK    ? run_copy(copy)
                 : result == OPTIONS_BAD ? EXIT_USAGE
                                         : EXIT_FAILED;
    options_free(&options);
    return status;
}

int command_copy(struct args *args)
{
    struct ask ask;
    if (!read_ask(&ask, args)) return EXIT_USAGE;
    struct store_copy copy = {
        .dir = ask.dir, .url = ask.url, .is_from_database = ask.is_from_database};
    return ask.is_from_database ? fill_directory(&copy) : run_copy(&copy);
}
