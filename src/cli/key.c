#include "admin/key_texts.h"
#include "base/writer.h"
#include "cli/commands.h"
#include "cli/file.h"
#include "cli/output.h"
#include "cli/reach.h"
#include "cli/say.h"
#include "event/datetime.h"
#include "token/hash.h"
#include "json/write.h"

#include <stdio.h>

/* adtally key create | list | revoke */

enum { REQUEST_MAX = 16 * 1024, CREATE_FLAGS_COUNT = TARGET_FLAGS_COUNT + KEY_TEXTS_COUNT + 4 };

struct create {
    struct target target;
    struct span cls, expires, import;
    struct span texts[KEY_TEXTS_COUNT];
    bool json;
};

static bool read_create(struct create *create, struct args *args)
{
    struct flag flags[CREATE_FLAGS_COUNT];
    char names[KEY_TEXTS_COUNT][KEY_FLAG_MAX];
    struct flag *next = flags + TARGET_FLAGS_COUNT;
    struct operands none = {0};
    target_flags(flags, &create->target);
    for (enum key_text i = 0; i < KEY_TEXTS_COUNT; i++) {
        key_text_flag(names[i], i);
        *next++ = (struct flag){span_of(names[i]), &create->texts[i], NULL};
    }
    *next++ = (struct flag){SPAN("--class"), &create->cls, NULL};
    *next++ = (struct flag){SPAN("--expires"), &create->expires, NULL};
    *next++ = (struct flag){SPAN("--import"), &create->import, NULL};
    *next++ = (struct flag){SPAN("--json"), NULL, &create->json};
    return args_read(args, "key", flags, CREATE_FLAGS_COUNT, &none);
}

static bool check_create(const struct create *create)
{
    enum apikey_class cls;
    char problem[KEY_PROBLEM_MAX];
    int64_t ms;
    if (!create->cls.ptr || !apikey_class_of(create->cls, &cls)) {
        say("--class is one of partner, publisher, adserver, admin");
        return false;
    }
    if (!key_texts_check(problem, cls, create->texts, true)) {
        say("%s", problem);
        return false;
    }
    for (enum key_text i = 0; i < KEY_TEXTS_COUNT; i++)
        if (create->texts[i].ptr && !json_utf8_valid(create->texts[i])) {
            say("what a key is bound to has to be UTF-8");
            return false;
        }
    if (!create->expires.ptr || datetime_parse_rfc3339(&ms, create->expires)) return true;
    say("--expires takes a time like 2026-11-21T06:00:00Z (RFC 3339)");
    return false;
}

static void write_create(struct writer *request, const struct create *create, struct span secret)
{
    writer_char(request, '{');
    json_write_text_member(request, SPAN("command"), SPAN("key_create"));
    json_write_text_member(request, SPAN("class"), create->cls);
    for (enum key_text i = 0; i < KEY_TEXTS_COUNT; i++)
        json_write_text_member(request, key_text_name(i), create->texts[i]);
    json_write_text_member(request, SPAN("expires"), create->expires);
    json_write_text_member(request, SPAN("secret"), secret);
    writer_char(request, '}');
}

/* The id and the secret; of an imported key, whose secret is known, the id. */
static bool print_json(struct reply *reply)
{
    char memory[1024];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    writer_char(&out, '{');
    json_write_text_member(&out, SPAN("id"), reply_text(reply, SPAN("id")));
    json_write_text_member(&out, SPAN("secret"), reply_text(reply, SPAN("secret")));
    writer_char(&out, '}');
    bool ok = output_line(writer_text(&out));
    hash_wipe(memory, sizeof memory);
    return ok;
}

static int print_created(struct reply *reply, const struct create *create)
{
    struct span id = reply_text(reply, SPAN("id")), secret = reply_text(reply, SPAN("secret"));
    bool ok = create->json ? print_json(reply) : !secret.ptr || output_line(secret);
    if (!ok) {
        say("the secret of key %.*s is lost: revoke the key and make another", SPAN_FMT(id));
        return EXIT_FAILED;
    }
    say("%s %.*s key %.*s; %s", secret.ptr ? "made" : "imported", SPAN_FMT(create->cls),
        SPAN_FMT(id),
        secret.ptr ? "its secret is shown this once" : "its secret stays what it was");
    return EXIT_DONE;
}

static int send_create(const struct create *create, struct span secret)
{
    char memory[REQUEST_MAX];
    struct writer request;
    struct reply reply;
    writer_init(&request, memory, sizeof memory);
    write_create(&request, create, secret);
    int status = EXIT_USAGE;
    if (request.overflow)
        say("the command is too long");
    else
        status = reach_call(&reply, &create->target, true, writer_text(&request));
    hash_wipe(memory, sizeof memory);
    if (status != EXIT_DONE) return status;
    status = print_created(&reply, create);
    reply_close(&reply);
    return status;
}

static bool read_import(const struct create *create, char *memory, size_t size, struct span *secret)
{
    if (!file_read_line(create->import, memory, size, secret)) return false;
    if (apikey_importable(*secret)) return true;
    say("%.*s: a secret to import is 16 to 256 visible ASCII characters, alone in its file",
        SPAN_FMT(create->import));
    return false;
}

static int run_create(struct args *args)
{
    struct create create = {0};
    char imported[APIKEY_SECRET_MAX + 2]; /* and a line end */
    struct span secret = SPAN_NONE;
    if (!read_create(&create, args) || !check_create(&create)) return EXIT_USAGE;
    int status = EXIT_FAILED;
    if (!create.import.ptr || read_import(&create, imported, sizeof imported, &secret))
        status = send_create(&create, secret);
    hash_wipe(imported, sizeof imported);
    return status;
}

static const struct column columns[] = {
    {SPAN_INIT("id"), SPAN_INIT("ID")},
    {SPAN_INIT("class"), SPAN_INIT("CLASS")},
    {SPAN_INIT("label"), SPAN_INIT("LABEL")},
    {SPAN_INIT("partner_id"), SPAN_INIT("PARTNER")},
    {SPAN_INIT("publisher_id"), SPAN_INIT("PUBLISHER")},
    {SPAN_INIT("advertiser_id"), SPAN_INIT("ADVERTISER")},
    {SPAN_INIT("tag_id"), SPAN_INIT("TAG")},
    {SPAN_INIT("created_at"), SPAN_INIT("CREATED")},
    {SPAN_INIT("expires_at"), SPAN_INIT("EXPIRES")},
    {SPAN_INIT("revoked_at"), SPAN_INIT("REVOKED")},
};

static int run_list(struct args *args)
{
    struct target target = {0};
    struct flag flags[TARGET_FLAGS_COUNT + 1];
    struct operands none = {0};
    struct reply reply;
    bool json = false;
    target_flags(flags, &target);
    flags[TARGET_FLAGS_COUNT] = (struct flag){SPAN("--json"), NULL, &json};
    if (!args_read(args, "key", flags, TARGET_FLAGS_COUNT + 1, &none)) return EXIT_USAGE;
    int status = reach_call(&reply, &target, false, SPAN("{\"command\":\"key_list\"}"));
    if (status != EXIT_DONE) return status;
    bool ok = json ? output_line(reply_raw(&reply, SPAN("keys")))
                   : output_table(&reply, SPAN("keys"), columns, sizeof columns / sizeof *columns);
    reply_close(&reply);
    return ok ? EXIT_DONE : EXIT_FAILED;
}

static int run_revoke(struct args *args)
{
    struct target target = {0};
    struct flag flags[TARGET_FLAGS_COUNT];
    struct span id = SPAN_NONE;
    struct operands operands = {&id, 1, 0};
    struct reply reply;
    char memory[REQUEST_MAX];
    struct writer request;
    target_flags(flags, &target);
    if (!args_read(args, "key", flags, TARGET_FLAGS_COUNT, &operands)) return EXIT_USAGE;
    if (operands.count == 0) {
        say("which key? adtally key revoke ID; key list shows the ids");
        return EXIT_USAGE;
    }
    writer_init(&request, memory, sizeof memory);
    writer_lit(&request, "{\"command\":\"key_revoke\"");
    json_write_text_member(&request, SPAN("id"), id);
    writer_char(&request, '}');
    int status = reach_call(&reply, &target, false, writer_text(&request));
    if (status != EXIT_DONE) return status;
    say("revoked key %.*s", SPAN_FMT(id));
    reply_close(&reply);
    return EXIT_DONE;
}

int command_key(struct args *args)
{
    struct span verb = args_take_verb(args);
    if (span_eq(verb, SPAN("create"))) return run_create(args);
    if (span_eq(verb, SPAN("list"))) return run_list(args);
    if (span_eq(verb, SPAN("revoke"))) return run_revoke(args);
    args_say_verbs(verb, "key", "create, list or revoke");
    return EXIT_USAGE;
}
