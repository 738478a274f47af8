#include "cli/reach.h"

#include "base/clock.h"
#include "base/rng.h"
#include "cli/options.h"
#include "cli/say.h"
#include "cli/wiring.h"
#include "token/hash.h"

#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A server that is starting holds the directory before it listens, one that stops holds it a moment
 * longer; past this it is something else. */
enum { PATIENCE_MS = 5000, RETRY_MS = 50, TOKENS_MAX = 1 << 20 };

void target_flags(struct flag flags[TARGET_FLAGS_COUNT], struct target *target)
{
    flags[0] = (struct flag){SPAN("--data"), &target->data, NULL};
    flags[1] = (struct flag){SPAN("--store"), &target->store, NULL};
    flags[2] = (struct flag){SPAN("--config"), &target->config, NULL};
}

/* Root would leave files behind that the user who serves cannot open. False: `problem` says why. */
static bool act_as_owner(const char *dir, char problem[STORE_PROBLEM_MAX])
{
    struct stat found;
    if (geteuid() != 0 || stat(dir, &found) != 0 || found.st_uid == 0) return true;
    if (setgroups(0, NULL) == 0 && setresgid(found.st_gid, found.st_gid, found.st_gid) == 0 &&
        setresuid(found.st_uid, found.st_uid, found.st_uid) == 0)
        return true;
    snprintf(problem, STORE_PROBLEM_MAX,
             "cannot act as the owner of %.400s: run the command as "
             "that user",
             dir);
    return false;
}

static enum err execute_here(const struct options *options, bool create, struct span request,
                             struct writer *answer, char problem[STORE_PROBLEM_MAX])
{
    char host[VALUE_ADDRESS_TEXT_MAX];
    struct admin admin = {0};
    struct store *store;
    if (!act_as_owner(options->data_path, problem)) return ERR_DENIED;
    enum err err = wiring_open(options, create, &store, problem);
    if (!err) err = wiring_start(options, store, &admin.ledger, &admin.api, problem);
    if (err) return err;
    value_address_write(host, &options->listen);
    admin.listen_host = span_of(host);
    admin_execute(&admin, request, answer);
    api_free(admin.api);
    ledger_stop(admin.ledger);
    return ERR_OK;
}

static void say_socket_err(const struct options *options, enum err err)
{
    if (err == ERR_DENIED)
        say("the server of %s does not let this user in: run the command as the user that runs it",
            options->data_path);
    else
        say("the server of %s ended, or did not answer in a minute: see whether the command was "
            "done before you try again",
            options->data_path);
}

/* One attempt. ERR_BUSY: somebody holds the directory and does not listen (yet). Other errors have
 * been said. */
static enum err attempt(const struct options *options, bool create, struct span request,
                        struct writer *answer, char problem[STORE_PROBLEM_MAX])
{
    enum err err = admin_socket_call(options->data_path, request, answer);
    if (!err) return ERR_OK;
    if (err == ERR_BUSY) {
        snprintf(problem, STORE_PROBLEM_MAX, "the server of %.400s has too many commands to do",
                 options->data_path);
        return ERR_BUSY;
    }
    if (err != ERR_NOT_FOUND) {
        say_socket_err(options, err);
        return err;
    }
    err = execute_here(options, create, request, answer, problem);
    if (err && err != ERR_BUSY) say("%s", problem);
    return err;
}

static bool exchange(const struct options *options, bool create, struct span request,
                     struct writer *answer)
{
    const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
    int64_t deadline_ms = clock_mono_ms() + PATIENCE_MS;
    char problem[STORE_PROBLEM_MAX];
    for (;;) {
        enum err err = attempt(options, create, request, answer, problem);
        if (!err) return true;
        if (err != ERR_BUSY) return false;
        if (clock_mono_ms() >= deadline_ms) {
            say("%s", problem);
            return false;
        }
        nanosleep(&pause, NULL);
    }
}

static bool parse(struct reply *reply, struct span text)
{
    uint64_t seed;
    uint32_t cap = text.len / 2 + 1 < TOKENS_MAX ? (uint32_t)(text.len / 2 + 1) : TOKENS_MAX;
    rng_fill(&seed, sizeof seed);
    reply->tokens = malloc(cap * sizeof *reply->tokens);
    reply->unescaped = malloc(reply->size);
    if (!reply->tokens || !reply->unescaped) return false;
    arena_init(&reply->arena, reply->unescaped, reply->size);
    return json_parse(&reply->doc, text, reply->tokens, cap, seed) == JSON_OK;
}

/* What the command answered. A refusal that has an answer of its own (mint) is said with it. */
static int judge(struct reply *reply)
{
    if (span_eq(reply_raw(reply, SPAN("ok")), SPAN("true"))) return EXIT_DONE;
    struct span error = reply_text(reply, SPAN("error"));
    struct span answer = reply_raw(reply, SPAN("answer"));
    if (!error.ptr)
        error = SPAN("the server's answer cannot be read: use the adtally of its version");
    say("%.*s%s%.*s", SPAN_FMT(error), answer.ptr ? ": " : "", SPAN_FMT(answer));
    return EXIT_FAILED;
}

static int call(struct reply *reply, const struct options *options, bool create,
                struct span request)
{
    struct writer answer;
    reply->size = ADMIN_ANSWER_MAX;
    reply->memory = malloc(reply->size);
    if (!reply->memory) {
        say("there is not enough memory for this command");
        return EXIT_FAILED;
    }
    writer_init(&answer, reply->memory, reply->size);
    if (!exchange(options, create, request, &answer)) return EXIT_FAILED;
    reply->size = answer.len + 1024; /* all that was used, and room to align texts in */
    if (reply->size > ADMIN_ANSWER_MAX) reply->size = ADMIN_ANSWER_MAX;
    if (parse(reply, writer_text(&answer))) return judge(reply);
    say("the server's answer cannot be read: use the adtally of its version");
    return EXIT_FAILED;
}

int reach_call(struct reply *reply, const struct target *target, bool create, struct span request)
{
    struct options options;
    *reply = (struct reply){0};
    enum options_result result =
        options_load_for(&options, target->data, target->store, target->config);
    int status = result == OPTIONS_OK    ? call(reply, &options, create, request)
                 : result == OPTIONS_BAD ? EXIT_USAGE
                                         : EXIT_FAILED;
    options_free(&options);
    if (status != EXIT_DONE) reply_close(reply);
    return status;
}

void reply_close(struct reply *reply)
{
    if (reply->memory) hash_wipe(reply->memory, reply->size);
    if (reply->unescaped) hash_wipe(reply->unescaped, reply->size);
    free(reply->memory);
    free(reply->unescaped);
    free(reply->tokens);
    *reply = (struct reply){0};
}

struct span reply_raw(const struct reply *reply, struct span name)
{
    uint32_t token = json_member(&reply->doc, 0, name);
    return token ? json_raw(&reply->doc, token) : SPAN_NONE;
}

struct span reply_text(struct reply *reply, struct span name)
{
    uint32_t token = json_member(&reply->doc, 0, name);
    return token ? json_string(&reply->doc, token, &reply->arena) : SPAN_NONE;
}
