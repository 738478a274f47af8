#include "base/worker.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/reach.h"
#include "cli/say.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* adtally export: reads the store itself, running server or not. */

struct ask {
    struct target target;
    struct span format, since, table;
};

static bool read_ask(struct ask *ask, struct args *args, struct store_export *export)
{
    struct flag flags[TARGET_FLAGS_COUNT + 3];
    struct operands none = {0};
    target_flags(flags, &ask->target);
    flags[TARGET_FLAGS_COUNT] = (struct flag){SPAN("--format"), &ask->format, NULL};
    flags[TARGET_FLAGS_COUNT + 1] = (struct flag){SPAN("--since"), &ask->since, NULL};
    flags[TARGET_FLAGS_COUNT + 2] = (struct flag){SPAN("--table"), &ask->table, NULL};
    if (!args_read(args, "export", flags, TARGET_FLAGS_COUNT + 3, &none)) return false;
    export->format = span_eq(ask->format, SPAN("csv")) ? STORE_CSV : STORE_NDJSON;
    export->since = ask->since;
    export->table = ask->table;
    if (export->format == STORE_NDJSON && !span_eq(ask->format, SPAN("ndjson"))) {
        say("--format is ndjson or csv");
        return false;
    }
    if (export->format == STORE_NDJSON || ask->table.ptr) return true;
    say("a CSV file has the columns of one table: name it with --table");
    return false;
}

static bool put_text(void *arg, struct span text)
{
    return fwrite(text.ptr, 1, text.len, stdout) == text.len;
}

static int run_export(struct store_export *export)
{
    char problem[STORE_PROBLEM_MAX];
    struct progress progress;
    export->on_text = put_text;
    export->progress = progress_begin(&progress, "export");
    enum err err = store_export(export, problem);
    int code = errno;
    progress_end(&progress);
    if (!err && fflush(stdout) != 0) code = errno;
    if (ferror(stdout)) {
        say("cannot write to standard output: %s", strerror(code));
        return EXIT_FAILED;
    }
    if (err) say("%s", problem);
    return err ? EXIT_FAILED : EXIT_DONE;
}

int command_export(struct args *args)
{
    struct ask ask = {0};
    struct options options;
    struct store_export export = {0};
    worker_goes_last();
    if (!read_ask(&ask, args, &export)) return EXIT_USAGE;
    enum options_result result =
        options_load_for(&options, ask.target.data, ask.target.store, ask.target.config);
    export.dir = options.data_path;
    export.url = options.store_url[0] ? options.store_url : NULL;
    int status = result == OPTIONS_OK    ? run_export(&export)
                 : result == OPTIONS_BAD ? EXIT_USAGE
                                         : EXIT_FAILED;
    options_free(&options);
    return status;
}
