#include "cli/commands.h"
#include "cli/output.h"
#include "cli/reach.h"
#include "cli/say.h"
#include "json/write.h"

/* adtally token-key list | rotate | retire | export */

enum { REQUEST_MAX = 16 * 1024, FLAGS_COUNT = TARGET_FLAGS_COUNT + 1 };

struct ask {
    struct target target;
    struct span kid;
    bool json;
};

/* Reads the command line; `takes_kid`: exactly one operand. */
static bool read_ask(struct ask *ask, struct args *args, bool takes_kid)
{
    struct flag flags[FLAGS_COUNT];
    struct operands operands = {&ask->kid, takes_kid, 0};
    target_flags(flags, &ask->target);
    flags[TARGET_FLAGS_COUNT] = (struct flag){SPAN("--json"), NULL, &ask->json};
    if (!args_read(args, "token-key", flags, FLAGS_COUNT, &operands)) return false;
    if (operands.count == takes_kid) return true;
    say("which token key? name its KID; token-key list shows them");
    return false;
}

static int call(struct reply *reply, const struct ask *ask, struct span command)
{
    char memory[REQUEST_MAX];
    struct writer request;
    writer_init(&request, memory, sizeof memory);
    writer_char(&request, '{');
    json_write_text_member(&request, SPAN("command"), command);
    json_write_text_member(&request, SPAN("kid"), ask->kid);
    writer_char(&request, '}');
    return reach_call(reply, &ask->target, false, writer_text(&request));
}

static const struct column columns[] = {
    {SPAN_INIT("kid"), SPAN_INIT("KID")},
    {SPAN_INIT("created_at"), SPAN_INIT("CREATED")},
    {SPAN_INIT("newest"), SPAN_INIT("MINTS")},
};

static bool print_list(struct reply *reply, const struct ask *ask)
{
    if (ask->json) return output_line(reply_raw(reply, SPAN("token_keys")));
    return output_table(reply, SPAN("token_keys"), columns, sizeof columns / sizeof columns[0]);
}

static bool print_rotated(struct reply *reply, const struct ask *ask)
{
    char memory[128];
    struct writer out;
    struct span kid = reply_text(reply, SPAN("kid"));
    writer_init(&out, memory, sizeof memory);
    writer_char(&out, '{');
    json_write_text_member(&out, SPAN("kid"), kid);
    writer_char(&out, '}');
    return output_line(ask->json ? writer_text(&out) : kid);
}

static bool print_retired(struct reply *reply, const struct ask *ask)
{
    say("retired token key %.*s: its tokens are no longer accepted", SPAN_FMT(ask->kid));
    return true;
}

static bool print_exported(struct reply *reply, const struct ask *ask)
{
    return output_line(ask->json ? reply_raw(reply, SPAN("key")) : reply_text(reply, SPAN("key")));
}

struct verb {
    struct span name, command;
    bool takes_kid;
    bool (*print)(struct reply *reply, const struct ask *ask);
};

/* clang-format off */
static const struct verb verbs[] = {
    {SPAN_INIT("list"),   SPAN_INIT("token_key_list"),   false, print_list},
    {SPAN_INIT("rotate"), SPAN_INIT("token_key_rotate"), false, print_rotated},
    {SPAN_INIT("retire"), SPAN_INIT("token_key_retire"), true,  print_retired},
    {SPAN_INIT("export"), SPAN_INIT("token_key_export"), true,  print_exported},
};
/* clang-format on */

static int run_verb(const struct verb *verb, struct args *args)
{
    struct ask ask = {0};
    struct reply reply;
    if (!read_ask(&ask, args, verb->takes_kid)) return EXIT_USAGE;
    int status = call(&reply, &ask, verb->command);
    if (status != EXIT_DONE) return status;
    bool ok = verb->print(&reply, &ask);
    reply_close(&reply);
    return ok ? EXIT_DONE : EXIT_FAILED;
}

int command_token_key(struct args *args)
{
    struct span name = args_take_verb(args);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (span_eq(name, verbs[i].name)) return run_verb(&verbs[i], args);
    args_say_verbs(name, "token-key", "list, rotate, retire or export");
    return EXIT_USAGE;
}
