#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/reach.h"
#include "cli/say.h"
#include "store/store.h"

#include <stdio.h>

/* adtally copy: a data directory into a database of PostgreSQL. */

enum { TEXT_MAX = 1024 };

struct ask {
    char from[TEXT_MAX], to[TEXT_MAX];
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
    if (is_url(from)) {
        say("copy fills a database from a data directory, and not the other way");
        return false;
    }
    if (!from.len || !is_url(to)) {
        say("copy needs --from DIR and --to postgresql://...");
        return false;
    }
    if (from.len >= TEXT_MAX || to.len >= TEXT_MAX) {
        say("--from and --to are at most %d bytes", TEXT_MAX - 1);
        return false;
    }
    snprintf(ask->from, sizeof ask->from, "%.*s", SPAN_FMT(from));
    snprintf(ask->to, sizeof ask->to, "%.*s", SPAN_FMT(to));
    return true;
}

int command_copy(struct args *args)
{
    struct ask ask;
    char problem[STORE_PROBLEM_MAX];
    struct progress progress;
    if (!read_ask(&ask, args)) return EXIT_USAGE;
    if (!reach_act_as_owner(ask.from, problem)) {
        say("%s", problem);
        return EXIT_FAILED;
    }
    struct store_copy copy = {
        .dir = ask.from, .url = ask.to, .progress = progress_begin(&progress, "copy")};
    enum err err = store_copy(&copy, problem);
    progress_end(&progress);
    if (err) {
        say("%s", problem);
        return EXIT_FAILED;
    }
    printf("copied %llu events\n", (unsigned long long)copy.events);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}
