#include "cli/commands.h"
#include "cli/reach.h"
#include "cli/say.h"

#include <stdio.h>

/* adtally reload */

static bool print_each(struct reply *reply, struct span name, const char *what)
{
    const struct json_token *tokens = reply->doc.tokens;
    uint32_t list = json_member(&reply->doc, 0, name);
    if (!list || tokens[list].type != JSON_ARRAY) return false;
    for (uint32_t at = list + 1; at < tokens[list].end; at = tokens[at].end)
        printf("%s %.*s\n", what, SPAN_FMT(json_string(&reply->doc, at, &reply->arena)));
    return tokens[list].end > list + 1;
}

static int print(struct reply *reply)
{
    bool changed = print_each(reply, SPAN("changed"), "changed");
    bool waiting = print_each(reply, SPAN("waiting"), "restart to change");
    if (!changed && !waiting) puts("nothing has changed");
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

int command_reload(struct args *args)
{
    struct target target = {0};
    struct flag flags[TARGET_FLAGS_COUNT];
    struct operands none = {0};
    struct reply reply;
    target_flags(flags, &target);
    if (!args_read(args, "reload", flags, TARGET_FLAGS_COUNT, &none)) return EXIT_USAGE;
    int status = reach_call(&reply, &target, false, SPAN("{\"command\":\"reload\"}"));
    if (status != EXIT_DONE) return status;
    status = print(&reply);
    reply_close(&reply);
    return status;
}
