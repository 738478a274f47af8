#include "admin/report_write.h"
#include "base/worker.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/reach.h"
#include "cli/say.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* adtally report: reads the store itself, running server or not. */

static bool print(void *arg, struct span text)
{
    return fwrite(text.ptr, 1, text.len, stdout) == text.len;
}

static int print_table(const struct report_table *table, enum report_format format)
{
    enum err err = report_write(table, format, print, NULL);
    if (!err && fflush(stdout) == 0) return EXIT_DONE;
    if (err == ERR_NO_MEMORY)
        say("there is not enough memory for this report");
    else
        say("cannot write to standard output: %s", strerror(errno));
    return EXIT_FAILED;
}

static void say_err(enum err err, const char *dir)
{
    if (err == ERR_FULL)
        say("the report has more than %d rows: ask for fewer columns with --by, or for a part with "
            "--from, --to or --campaign",
            REPORT_ROWS_MAX);
    else
        say("cannot make the report of %s: %s%s", dir, err_text(err),
            err == ERR_CORRUPT ? "; adtally verify tells more" : "");
}

static int run(const struct report_ask *ask, const char *dir, const char *url)
{
    char problem[STORE_PROBLEM_MAX];
    struct report_db *db;
    struct report_table *table;
    if (report_open(&db, dir, url, problem) != ERR_OK) {
        say("%s", problem);
        return EXIT_FAILED;
    }
    enum err err = report_run(db, &ask->query, &table);
    report_close(db);
    if (err) {
        say_err(err, dir);
        return EXIT_FAILED;
    }
    int status = print_table(table, ask->format);
    report_table_free(table);
    return status;
}

/* The flags of every command; false: it is none of them. */
static bool take_target(struct target *target, struct span name, struct span value)
{
    struct flag flags[TARGET_FLAGS_COUNT];
    target_flags(flags, target);
    for (size_t i = 0; i < TARGET_FLAGS_COUNT; i++)
        if (span_eq(flags[i].name, name)) {
            *flags[i].value = value;
            return true;
        }
    return false;
}

/* --json, --csv and --exclude-flagged have no value. */
static bool take_switch(struct report_ask *ask, struct span name)
{
    if (span_eq(name, SPAN("--json")))
        ask->format = REPORT_FORMAT_JSON;
    else if (span_eq(name, SPAN("--csv")))
        ask->format = REPORT_FORMAT_CSV;
    else if (span_eq(name, SPAN("--exclude-flagged")))
        ask->query.exclude_flagged = true;
    else
        return false;
    return true;
}

static bool take_flag(struct args *args, struct report_ask *ask, struct target *target,
                      struct arg *arg, char problem[REPORT_PROBLEM_MAX])
{
    if (!arg->value.ptr && take_switch(ask, arg->text)) return true;
    if (arg->text.len < 3 || !span_starts_with(arg->text, SPAN("--"))) {
        snprintf(problem, REPORT_PROBLEM_MAX, "unknown option \"%.*s\"; see adtally help report",
                 (int)(arg->text.len < 64 ? arg->text.len : 64), arg->text.ptr);
        return false;
    }
    problem[0] = 0; /* a missing value is said where it is missed */
    if (!args_value(args, arg, "report")) return false;
    if (take_target(target, arg->text, arg->value)) return true;
    struct span name = {arg->text.ptr + 2, arg->text.len - 2};
    return report_ask_set(ask, name, arg->value, problem);
}

/* What is wrong with a parameter begins with its name, which is a flag here. */
static void say_problem(const char *problem)
{
    static const char *const names[] = {"by ",     "from ",           "to ", "tz ", "limit ",
                                        "format ", "exclude-flagged "};
    bool is_flag = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        is_flag = is_flag || strncmp(problem, names[i], strlen(names[i])) == 0;
    say("%s%s", is_flag ? "--" : "", problem);
}

static bool read_args(struct args *args, struct report_ask *ask, struct target *target,
                      char problem[REPORT_PROBLEM_MAX])
{
    struct arg arg;
    enum arg_kind kind;
    bool has_kind = false;
    report_ask_init(ask);
    while ((kind = args_next(args, &arg)) != ARG_END) {
        if (kind == ARG_FLAG) {
            if (!take_flag(args, ask, target, &arg, problem)) return false;
            continue;
        }
        if (has_kind || !report_ask_kind(ask, arg.text, problem)) {
            if (has_kind)
                snprintf(problem, REPORT_PROBLEM_MAX,
                         "one report at a time: traffic, money, reasons, comments or polls");
            return false;
        }
        has_kind = true;
    }
    return report_ask_finish(ask, problem);
}

static int load_and_run(const struct report_ask *ask, const struct target *target)
{
    struct options options;
    enum options_result result =
        options_load_for(&options, target->data, target->store, target->config);
    const char *url = options.store_url[0] ? options.store_url : NULL;
    int status = result == OPTIONS_OK    ? run(ask, options.data_path, url)
                 : result == OPTIONS_BAD ? EXIT_USAGE
                                         : EXIT_FAILED;
    options_free(&options);
    return status;
}

int command_report(struct args *args)
{
    struct target target = {0};
    char problem[REPORT_PROBLEM_MAX];
    struct report_ask *ask = malloc(sizeof *ask);
    worker_goes_last();
    if (!ask) {
        say("there is not enough memory for this command");
        return EXIT_FAILED;
    }
    int status = EXIT_USAGE;
    if (read_args(args, ask, &target, problem))
        status = load_and_run(ask, &target);
    else if (problem[0])
        say_problem(problem);
    free(ask);
    return status;
}
