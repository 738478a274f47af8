#include "cli/commands.h"
#include "cli/file.h"
#include "cli/json_file.h"
#include "cli/output.h"
#include "cli/reach.h"
#include "cli/say.h"
#include "json/write.h"

#include <stdlib.h>

/* adtally poll put | list | withdraw */

enum { POLL_FILE_MAX = 64 * 1024, REQUEST_MAX = POLL_FILE_MAX + 128 };

struct ask {
    struct target target;
    struct span operand; /* FILE or ID */
    bool json;           /* what they print is JSON anyway */
};

static bool read_ask(struct ask *ask, struct args *args, bool takes_operand, const char *which)
{
    struct flag flags[TARGET_FLAGS_COUNT + 1];
    struct operands operands = {&ask->operand, takes_operand, 0};
    target_flags(flags, &ask->target);
    flags[TARGET_FLAGS_COUNT] = (struct flag){SPAN("--json"), NULL, &ask->json};
    if (!args_read(args, "poll", flags, TARGET_FLAGS_COUNT + 1, &operands)) return false;
    if (operands.count == takes_operand) return true;
    say("%s", which);
    return false;
}

/* Sends a request and prints a member of the answer, or nothing. */
static int call(const struct ask *ask, bool create, const struct writer *request, struct span print)
{
    struct reply reply;
    int status = reach_call(&reply, &ask->target, create, writer_text(request));
    if (status != EXIT_DONE) return status;
    bool ok = !print.ptr || output_line(reply_raw(&reply, print));
    reply_close(&reply);
    return ok ? EXIT_DONE : EXIT_FAILED;
}

static int put(struct args *args)
{
    struct ask ask = {0};
    struct span text;
    struct writer request;
    static char memory[REQUEST_MAX];
    if (!read_ask(&ask, args, true, "which poll? name a file, or - for standard input"))
        return EXIT_USAGE;
    writer_init(&request, memory, sizeof memory);
    writer_lit(&request, "{\"command\":\"poll_put\",\"poll\":");
    if (!file_read(ask.operand, memory + request.len, POLL_FILE_MAX, &text) ||
        !json_file_check("poll", text))
        return EXIT_FAILED;
    writer_claim(&request, text.len);
    writer_char(&request, '}');
    return call(&ask, true, &request, SPAN("poll"));
}

static int list(struct args *args)
{
    struct ask ask = {0};
    struct writer request;
    char memory[64];
    if (!read_ask(&ask, args, false, "")) return EXIT_USAGE;
    writer_init(&request, memory, sizeof memory);
    writer_lit(&request, "{\"command\":\"poll_list\"}");
    return call(&ask, false, &request, SPAN("polls"));
}

static int withdraw(struct args *args)
{
    struct ask ask = {0};
    struct writer request;
    unsigned long long id;
    char memory[128];
    if (!read_ask(&ask, args, true, "which poll? name its ID; poll list shows them"))
        return EXIT_USAGE;
    if (!span_to_u64(ask.operand, INT64_MAX, &id)) {
        say("an ID is a whole number; poll list shows them");
        return EXIT_USAGE;
    }
    writer_init(&request, memory, sizeof memory);
    writer_lit(&request, "{\"command\":\"poll_withdraw\"");
    json_write_number_member(&request, SPAN("sponsored_poll_id"), (int64_t)id);
    writer_char(&request, '}');
    int status = call(&ask, false, &request, SPAN_NONE);
    if (status == EXIT_DONE) say("withdrew poll %llu: its tokens are no longer valid", id);
    return status;
}

int command_poll(struct args *args)
{
    struct span name = args_take_verb(args);
    if (span_eq(name, SPAN("put"))) return put(args);
    if (span_eq(name, SPAN("list"))) return list(args);
    if (span_eq(name, SPAN("withdraw"))) return withdraw(args);
    args_say_verbs(name, "poll", "put, list or withdraw");
    return EXIT_USAGE;
}
