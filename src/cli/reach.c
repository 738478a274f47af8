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

bool reach_act_as_owner(const char *dir, char problem[STORE_PROBLEM_MAX])
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

static enum err open_here(struct admin *admin, char host[VALUE_ADDRESS_TEXT_MAX],
                          const struct options *options, bool create,
                          char problem[STORE_PROBLEM_MAX])
{
    struct wiring_stores stores;
    *admin = (struct admin){.dir = options->data_path};
    if (!reach_act_as_owner(options->data_path, problem)) return ERR_DENIED;
    enum err err = wiring_open(options, create, 1, &stores, problem);
    if (!err) err = wiring_start(options, &stores, &admin->ledger, &admin->api, problem);
    if (err) return err;
    value_address_write(host, &options->listen);
    admin->listen_host = span_of(host);
    return ERR_OK;
}

static void close_here(struct admin *admin)
{
    ledger_stop(admin->ledger);
    api_free(admin->api);
}

static enum err execute_here(const struct options *options, bool create, struct span request,
                             struct writer *answer, char problem[STORE_PROBLEM_MAX])
{
    char host[VALUE_ADDRESS_TEXT_MAX];
    struct admin admin;
    enum err err = open_here(&admin, host, options, create, problem);
    if (err) return err;
    admin_execute(&admin, request, answer);
    close_here(&admin);
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

static bool make_room(struct reply *reply, struct writer *answer)
{
    reply->size = ADMIN_ANSWER_MAX;
    reply->memory = malloc(reply->size);
    if (!reply->memory) {
        say("there is not enough memory for this command");
        return false;
    }
    writer_init(answer, reply->memory, reply->size);
    return true;
}

static int read_answer(struct reply *reply, const struct writer *answer)
{
    reply->size = answer->len + 1024; /* all that was used, and room to align texts in */
    if (reply->size > ADMIN_ANSWER_MAX) reply->size = ADMIN_ANSWER_MAX;
    if (parse(reply, writer_text(answer))) return judge(reply);
    say("the server's answer cannot be read: use the adtally of its version");
    return EXIT_FAILED;
}

static int call(struct reply *reply, const struct options *options, bool create,
                struct span request)
{
    struct writer answer;
    if (!make_room(reply, &answer)) return EXIT_FAILED;
    if (!exchange(options, create, request, &answer)) return EXIT_FAILED;
    return read_answer(reply, &answer);
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

/* A server that is starting or stopping holds the directory for a moment and does not listen. */
static int open_when_free(struct reach *reach, bool create)
{
    const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
    int64_t deadline_ms = clock_mono_ms() + PATIENCE_MS;
    char problem[STORE_PROBLEM_MAX];
    for (;;) {
        if (admin_socket_is_served(reach->options->data_path)) return EXIT_DONE;
        enum err err = open_here(&reach->admin, reach->host, reach->options, create, problem);
        reach->is_own = err == ERR_OK;
        if (!err) return EXIT_DONE;
        if (err != ERR_BUSY || clock_mono_ms() >= deadline_ms) {
            say("%s", problem);
            return EXIT_FAILED;
        }
        nanosleep(&pause, NULL);
    }
}

int reach_open(struct reach *reach, const struct target *target, bool create)
{
    *reach = (struct reach){.options = calloc(1, sizeof *reach->options)};
    if (!reach->options) {
        say("there is not enough memory for this command");
        return EXIT_FAILED;
    }
    enum options_result result =
        options_load_for(reach->options, target->data, target->store, target->config);
    int status = result == OPTIONS_OK    ? open_when_free(reach, create)
                 : result == OPTIONS_BAD ? EXIT_USAGE
                                         : EXIT_FAILED;
    if (status != EXIT_DONE) reach_close(reach);
    return status;
}

int reach_send(struct reach *reach, struct reply *reply, struct span request)
{
    struct writer answer;
    enum err err = ERR_OK;
    *reply = (struct reply){0};
    int status = make_room(reply, &answer) ? EXIT_DONE : EXIT_FAILED;
    if (status == EXIT_DONE && reach->is_own)
        admin_execute(&reach->admin, request, &answer);
    else if (status == EXIT_DONE)
        err = admin_socket_call(reach->options->data_path, request, &answer);
    if (err) {
        say_socket_err(reach->options, err);
        status = EXIT_FAILED;
    }
    if (status == EXIT_DONE) status = read_answer(reply, &answer);
    if (status != EXIT_DONE) reply_close(reply);
    return status;
}

void reach_close(struct reach *reach)
{
    if (reach->is_own) close_here(&reach->admin);
    if (reach->options) options_free(reach->options);
    free(reach->options);
    *reach = (struct reach){0};
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
