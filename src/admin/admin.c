#include "admin/command.h"

#include "base/rng.h"
#include "event/datetime.h"
#include "token/hash.h"
#include "json/write.h"

#include <stdio.h>
#include <stdlib.h>

/* Arena allocations are aligned: each text may take up to 16 bytes more than its length. */
enum { SCRATCH_ALIGN_MAX = 64 * 16 };

struct command {
    struct span name;
    void (*run)(struct admin_request *request, struct writer *answer);
};

static void reload(struct admin_request *request, struct writer *answer)
{
    const struct admin *admin = request->admin;
    if (admin->reload)
        admin->reload(admin->reload_owner, answer);
    else
        admin_fail(answer, "no server runs on this directory: it reads the file when it starts");
}

/* clang-format off */
static const struct command commands[] = {
    {SPAN_INIT("key_create"),       admin_key_create},
    {SPAN_INIT("key_list"),         admin_key_list},
    {SPAN_INIT("key_revoke"),       admin_key_revoke},
    {SPAN_INIT("token_key_list"),   admin_token_key_list},
    {SPAN_INIT("token_key_rotate"), admin_token_key_rotate},
    {SPAN_INIT("token_key_retire"), admin_token_key_retire},
    {SPAN_INIT("token_key_export"), admin_token_key_export},
    {SPAN_INIT("poll_put"),         admin_poll_put},
    {SPAN_INIT("poll_list"),        admin_poll_list},
    {SPAN_INIT("poll_withdraw"),    admin_poll_withdraw},
    {SPAN_INIT("mint"),             admin_mint},
    {SPAN_INIT("tail"),             admin_tail},
    {SPAN_INIT("import"),           admin_import},
    {SPAN_INIT("erase"),            admin_erase},
    {SPAN_INIT("reload"),           reload},
};
/* clang-format on */

void admin_fail(struct writer *answer, const char *sentence)
{
    writer_lit(answer, "{\"ok\":false");
    json_write_text_member(answer, SPAN("error"), span_of(sentence));
    writer_char(answer, '}');
}

void admin_fail_unavailable(struct writer *answer)
{
    admin_fail(answer, "the store cannot write now: see the server's log, make room on its disk, "
                       "then try again");
}

bool admin_text(struct admin_request *request, struct span name, struct span *out)
{
    const struct json_doc *doc = &request->doc;
    *out = SPAN_NONE;
    uint32_t value = json_member(doc, 0, name);
    if (!value || doc->tokens[value].type == JSON_NULL) return true;
    *out = json_string(doc, value, &request->arena);
    return out->ptr != NULL;
}

void admin_write_time(struct writer *answer, struct span name, int64_t ms)
{
    json_write_comma(answer);
    json_write_key(answer, name);
    writer_char(answer, '"');
    datetime_write(answer, ms);
    writer_char(answer, '"');
}

static void run_command(struct admin_request *request, struct writer *answer)
{
    struct span name;
    if (!admin_text(request, SPAN("command"), &name)) name = SPAN_NONE;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (!span_eq(name, commands[i].name)) continue;
        commands[i].run(request, answer);
        return;
    }
    admin_fail(answer, "the running server does not know this command: use the adtally of its "
                       "version");
}

static void read_and_run(struct admin *admin, struct span text, struct json_token *tokens,
                         uint32_t cap, void *scratch, struct writer *answer)
{
    struct admin_request request = {.admin = admin};
    uint64_t seed;
    rng_fill(&seed, sizeof seed);
    arena_init(&request.arena, scratch, text.len + SCRATCH_ALIGN_MAX);
    enum json_error error = json_parse(&request.doc, text, tokens, cap, seed);
    if (error) {
        char sentence[128];
        snprintf(sentence, sizeof sentence, "the command is no JSON: %s", json_error_text(error));
        admin_fail(answer, sentence);
    } else {
        run_command(&request, answer);
    }
}

void admin_execute(struct admin *admin, struct span request, struct writer *answer)
{
    size_t start = answer->len, scratch_size = request.len + SCRATCH_ALIGN_MAX;
    if (request.len > ADMIN_REQUEST_MAX) {
        admin_fail(answer, "the command is larger than 2 MiB");
        return;
    }
    uint32_t cap = (uint32_t)(request.len / 2 + 1);
    struct json_token *tokens = malloc(cap * sizeof *tokens);
    void *scratch = malloc(scratch_size);
    if (tokens && scratch)
        read_and_run(admin, request, tokens, cap, scratch, answer);
    else
        admin_fail(answer, "there is not enough memory for this command");
    if (scratch) hash_wipe(scratch, scratch_size); /* may hold a secret */
    free(scratch);
    free(tokens);
    if (!answer->overflow) return;
    answer->overflow = false;
    answer->len = start;
    admin_fail(answer, "the answer is too large");
}
