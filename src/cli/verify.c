#include "base/worker.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/reach.h"
#include "cli/say.h"
#include "store/store.h"
#include "json/write.h"

#include <stdio.h>
#include <stdlib.h>

/* adtally verify: reads the store itself, running server or not. */

enum { REPORT_MAX = 64 * 1024, JSON_MAX = 2 * REPORT_MAX + 1024 };

static bool print_json(struct span report, char *memory)
{
    struct writer out;
    writer_init(&out, memory, JSON_MAX);
    writer_put(&out, report.len ? SPAN("{\"ok\":false,") : SPAN("{\"ok\":true,"));
    json_write_key(&out, SPAN("findings"));
    writer_char(&out, '[');
    while (report.len > 0) {
        json_write_comma(&out);
        json_write_string(&out, span_split(&report, '\n'));
    }
    writer_lit(&out, "]}");
    return output_line(writer_text(&out));
}

static bool print_text(struct span report, const struct store_verify *verify)
{
    if (report.len > 0) {
        report.len--; /* its last line feed */
        return output_line(report);
    }
    printf("verify: ok, every promise holds in %s%s\n", verify->url ? "the database of " : "",
           verify->dir);
    return fflush(stdout) == 0;
}

static int verify(struct store_verify *verify, bool json, char *memory)
{
    char problem[STORE_PROBLEM_MAX];
    struct writer report;
    uint64_t findings;
    writer_init(&report, memory, REPORT_MAX);
    struct progress progress;
    verify->progress = progress_begin(&progress, "verify");
    enum err err = store_verify_watched(verify, &report, &findings, problem);
    progress_end(&progress);
    if (err) {
        say("%s", problem);
        return EXIT_FAILED;
    }
    struct span text = writer_text(&report);
    bool ok = json ? print_json(text, memory + REPORT_MAX) : print_text(text, verify);
    return ok && findings == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int load_and_verify(const struct target *target, bool json, char *memory)
{
    struct options options;
    enum options_result result =
        options_load_for(&options, target->data, target->store, target->config);
    struct store_verify ask = {.dir = options.data_path,
                               .url = options.store_url[0] ? options.store_url : NULL};
    int status = result == OPTIONS_OK    ? verify(&ask, json, memory)
                 : result == OPTIONS_BAD ? EXIT_USAGE
                                         : EXIT_FAILED;
    options_free(&options);
    return status;
}

int command_verify(struct args *args)
{
    struct target target = {0};
    struct flag flags[TARGET_FLAGS_COUNT + 1];
    struct operands none = {0};
    bool json = false;
    worker_goes_last();
    target_flags(flags, &target);
    flags[TARGET_FLAGS_COUNT] = (struct flag){SPAN("--json"), NULL, &json};
    if (!args_read(args, "verify", flags, TARGET_FLAGS_COUNT + 1, &none)) return EXIT_USAGE;
    char *memory = malloc(REPORT_MAX + JSON_MAX);
    int status = memory ? load_and_verify(&target, json, memory) : EXIT_FAILED;
    if (!memory) say("there is not enough memory for this command");
    free(memory);
    return status;
}
