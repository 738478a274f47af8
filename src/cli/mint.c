#include "base/limits.h"
#include "cli/commands.h"
#include "cli/file.h"
#include "cli/json_file.h"
#include "cli/output.h"
#include "cli/reach.h"
#include "cli/say.h"

#include <stdlib.h>

/* adtally mint */

static const char before[] = "{\"command\":\"mint\",\"request\":";

static int mint(const struct target *target, struct span file, char *memory)
{
    struct writer request;
    struct reply reply;
    struct span text;
    writer_init(&request, memory, sizeof before + LIMIT_MINT_BODY + 1);
    writer_put(&request, span_of(before));
    if (!file_read(file, memory + request.len, LIMIT_MINT_BODY, &text) ||
        !json_file_check("mint", text))
        return EXIT_FAILED;
    writer_claim(&request, text.len);
    writer_char(&request, '}');
    int status = reach_call(&reply, target, false, writer_text(&request));
    if (status != EXIT_DONE) return status;
    bool ok = output_line(reply_raw(&reply, SPAN("answer")));
    reply_close(&reply);
    return ok ? EXIT_DONE : EXIT_FAILED;
}

int command_mint(struct args *args)
{
    struct target target = {0};
    struct flag flags[TARGET_FLAGS_COUNT];
    struct span file = SPAN("-");
    struct operands operands = {&file, 1, 0};
    target_flags(flags, &target);
    if (!args_read(args, "mint", flags, TARGET_FLAGS_COUNT, &operands)) return EXIT_USAGE;
    char *memory = malloc(sizeof before + LIMIT_MINT_BODY + 1);
    if (!memory) {
        say("there is not enough memory for this command");
        return EXIT_FAILED;
    }
    int status = mint(&target, file, memory);
    free(memory);
    return status;
}
