#include "cli/commands.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/reach.h"
#include "cli/say.h"
#include "store/store.h"

#include <stdio.h>

/* adtally backup | restore: a data directory and one file. */

enum { PATH_SIZE = 3072 };

typedef enum err copy_fn(const char *from, const char *to, const struct store_progress *progress,
                         char problem[STORE_PROBLEM_MAX]);

struct copy {
    const char *name;
    const char *over_database; /* what does it there */
    struct target target;
    struct options options;
    char file[PATH_SIZE];
};

/* A database has tools of its own, which know its replicas and its disk. */
static enum options_result refuse_database(const struct copy *copy)
{
    if (!copy->options.store_url[0]) return OPTIONS_OK;
    say("the events of %s are in a PostgreSQL database: %s", copy->options.data_path,
        copy->over_database);
    return OPTIONS_FAILED;
}

/* Exit status; anything but EXIT_DONE has been said. */
static int read_copy(struct copy *copy, struct args *args)
{
    struct flag flags[TARGET_FLAGS_COUNT];
    struct span file = SPAN_NONE;
    struct operands operands = {&file, 1, 0};
    target_flags(flags, &copy->target);
    if (!args_read(args, copy->name, flags, TARGET_FLAGS_COUNT, &operands)) return EXIT_USAGE;
    if (operands.count == 0 || file.len == 0) {
        say("which file? adtally %s FILE", copy->name);
        return EXIT_USAGE;
    }
    if ((size_t)snprintf(copy->file, sizeof copy->file, "%.*s", SPAN_FMT(file)) >=
        sizeof copy->file) {
        say("the name of the file is longer than %d bytes", PATH_SIZE - 1);
        return EXIT_USAGE;
    }
    enum options_result result = options_load_for(&copy->options, copy->target.data,
                                                  copy->target.store, copy->target.config);
    if (result == OPTIONS_OK) result = refuse_database(copy);
    if (result == OPTIONS_OK) return EXIT_DONE;
    options_free(&copy->options);
    return result == OPTIONS_BAD ? EXIT_USAGE : EXIT_FAILED;
}

static int run_copy(const struct copy *copy, copy_fn *run, const char *from, const char *to)
{
    char problem[STORE_PROBLEM_MAX];
    struct progress progress;
    struct store_progress watch = progress_begin(&progress, copy->name);
    enum err err = run(from, to, &watch, problem);
    progress_end(&progress);
    if (err) say("%s", problem);
    return err ? EXIT_FAILED : EXIT_DONE;
}

int command_backup(struct args *args)
{
    struct copy copy = {.name = "backup",
                        .over_database = "back it up with pg_dump --format=custom --file=FILE URL,"
                                         " or with pg_basebackup"};
    int status = read_copy(&copy, args);
    if (status != EXIT_DONE) return status;
    status = run_copy(&copy, store_backup, copy.options.data_path, copy.file);
    if (status == EXIT_DONE)
        say("%s holds all of %s, keys and secrets too: keep it as safe as that", copy.file,
            copy.options.data_path);
    options_free(&copy.options);
    return status;
}

int command_restore(struct args *args)
{
    struct copy copy = {.name = "restore",
                        .over_database = "restore a pg_dump of it into an empty one, with"
                                         " pg_restore --dbname=URL FILE"};
    int status = read_copy(&copy, args);
    if (status != EXIT_DONE) return status;
    status = run_copy(&copy, store_restore, copy.file, copy.options.data_path);
    if (status == EXIT_DONE)
        say("%s is what it was when %s was made; what was recorded since then is not in it",
            copy.options.data_path, copy.file);
    options_free(&copy.options);
    return status;
}
