#include "api/tail.h"
#include "admin/admin.h"
#include "base/rng.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/reach.h"
#include "cli/say.h"
#include "json/write.h"

#include <stdio.h>

/* adtally tail: what the requests to a running server became, as they come. */

enum { REQUEST_MAX = 8 * 1024, TOKENS_MAX = 64, TIME_START = 11, TIME_LEN = 12 };

_Static_assert(REQUEST_MAX >= TAIL_FIELDS_COUNT * 6 * LIMIT_ID + 256, "every filter fits");

struct follow {
    struct target target;
    struct span texts[TAIL_FIELDS_COUNT];
    bool json;
    bool is_accepted; /* the first line, which answers the command, has come */
    int status;
};

/* "14:25:01.123 POST /v1/api/conversion 200 recorded receipt=0123 partner=acme 412us" */
static const struct span shown[] = {
    SPAN_INIT("method"),    SPAN_INIT("route"),    SPAN_INIT("status"),       SPAN_INIT("outcome"),
    SPAN_INIT("reason"),    SPAN_INIT("receipt"),  SPAN_INIT("duplicate_of"), SPAN_INIT("partner"),
    SPAN_INIT("publisher"), SPAN_INIT("campaign"), SPAN_INIT("advertiser"),   SPAN_INIT("key"),
    SPAN_INIT("client")};
enum { SHOWN_COUNT = sizeof shown / sizeof shown[0], SHOWN_BARE = 5 };

/* As it stands in the JSON, without quotes: what is escaped there may not reach a terminal. */
static struct span raw_text(const struct json_doc *doc, struct span name)
{
    uint32_t token = json_member(doc, 0, name);
    if (!token) return SPAN_NONE;
    return (struct span){doc->text.ptr + doc->tokens[token].start, doc->tokens[token].len};
}

static void print_fields(const struct json_doc *doc)
{
    struct span time = raw_text(doc, SPAN("time"));
    if (time.len > TIME_START + TIME_LEN) printf("%.*s", (int)TIME_LEN, time.ptr + TIME_START);
    for (size_t i = 0; i < SHOWN_COUNT; i++) {
        struct span text = raw_text(doc, shown[i]);
        if (!text.ptr) continue;
        if (i < SHOWN_BARE)
            printf(" %.*s", SPAN_FMT(text));
        else
            printf(" %.*s=%.*s", SPAN_FMT(shown[i]), SPAN_FMT(text));
    }
    printf(" %.*sus\n", SPAN_FMT(raw_text(doc, SPAN("us"))));
}

static bool print_line(struct span line, const struct follow *follow)
{
    struct json_token tokens[TOKENS_MAX];
    struct json_doc doc;
    uint64_t seed;
    rng_fill(&seed, sizeof seed);
    if (json_parse(&doc, line, tokens, TOKENS_MAX, seed)) return true;
    struct span dropped = raw_text(&doc, SPAN("dropped"));
    if (follow->json)
        printf("%.*s\n", SPAN_FMT(line));
    else if (dropped.ptr)
        say("%.*s requests are not shown: they came faster than this could read",
            SPAN_FMT(dropped));
    else
        print_fields(&doc);
    return fflush(stdout) == 0;
}

/* {"ok":true}, or why not. */
static bool take_verdict(struct span line, struct follow *follow)
{
    struct json_token tokens[TOKENS_MAX];
    struct json_doc doc;
    follow->is_accepted = span_eq(line, SPAN("{\"ok\":true}"));
    if (follow->is_accepted) return true;
    bool can_read = json_parse(&doc, line, tokens, TOKENS_MAX, 1) == JSON_OK;
    struct span error = can_read ? raw_text(&doc, SPAN("error")) : SPAN_NONE;
    if (!error.ptr)
        error = SPAN("the server's answer cannot be read: use the adtally of its version");
    say("%.*s", SPAN_FMT(error));
    follow->status = EXIT_FAILED;
    return false;
}

static bool on_line(struct span line, void *arg)
{
    struct follow *follow = arg;
    return follow->is_accepted ? print_line(line, follow) : take_verdict(line, follow);
}

static void say_err(const struct options *options, enum err err)
{
    if (err == ERR_NOT_FOUND)
        say("no server runs on %s: tail shows the requests of a running one; see adtally help "
            "serve",
            options->data_path);
    else if (err == ERR_DENIED)
        say("the server of %s does not let this user in: run the command as the user that runs it",
            options->data_path);
    else
        say("the connection to the server of %s broke: %s", options->data_path, err_text(err));
}

static int follow_server(struct follow *follow, const struct options *options)
{
    char memory[REQUEST_MAX];
    struct writer request;
    writer_init(&request, memory, sizeof memory);
    writer_lit(&request, "{\"command\":\"tail\"");
    for (enum tail_field i = 0; i < TAIL_FIELDS_COUNT; i++)
        json_write_text_member(&request, tail_field_name(i), follow->texts[i]);
    writer_char(&request, '}');
    if (request.overflow) {
        say("what tail filters by is too long");
        return EXIT_USAGE;
    }
    enum err err = admin_socket_follow(options->data_path, writer_text(&request), on_line, follow);
    if (err) {
        say_err(options, err);
        return EXIT_FAILED;
    }
    if (follow->status == EXIT_DONE && !ferror(stdout)) say("the server ended");
    return follow->status;
}

int command_tail(struct args *args)
{
    struct follow follow = {.status = EXIT_DONE};
    struct flag flags[TARGET_FLAGS_COUNT + TAIL_FIELDS_COUNT + 1];
    struct operands none = {0};
    size_t count = TARGET_FLAGS_COUNT;
    struct options options;
    target_flags(flags, &follow.target);
    flags[count++] = (struct flag){SPAN("--route"), &follow.texts[TAIL_ROUTE], NULL};
    flags[count++] = (struct flag){SPAN("--outcome"), &follow.texts[TAIL_OUTCOME], NULL};
    flags[count++] = (struct flag){SPAN("--partner"), &follow.texts[TAIL_PARTNER], NULL};
    flags[count++] = (struct flag){SPAN("--campaign"), &follow.texts[TAIL_CAMPAIGN], NULL};
    flags[count++] = (struct flag){SPAN("--json"), NULL, &follow.json};
    if (!args_read(args, "tail", flags, count, &none)) return EXIT_USAGE;
    enum options_result result =
        options_load_for(&options, follow.target.data, follow.target.store, follow.target.config);
    int status = result == OPTIONS_OK    ? follow_server(&follow, &options)
                 : result == OPTIONS_BAD ? EXIT_USAGE
                                         : EXIT_FAILED;
    options_free(&options);
    return status;
}
