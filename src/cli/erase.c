#include "base/rng.h"
#include "base/writer.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/reach.h"
#include "cli/say.h"
#include "store/store.h"
#include "json/write.h"

#include <stdio.h>

/* adtally erase: finds the rows of a person itself, and has the one that writes change them. */

enum { REQUEST_MAX = 8 * 1024, ANSWER_MAX = 1024 };

struct erasing {
    struct target target;
    struct span user_id, session_id;
    bool json;
    struct reach reach;
    uint8_t key[ERASE_KEY_SIZE];
    uint64_t found[EVENT_TABLES], erased[EVENT_TABLES];
    bool is_said; /* what went wrong */
};

static bool read_ask(struct erasing *erasing, struct args *args)
{
    struct flag flags[TARGET_FLAGS_COUNT + 3];
    struct operands none = {0};
    target_flags(flags, &erasing->target);
    flags[TARGET_FLAGS_COUNT] = (struct flag){SPAN("--user-id"), &erasing->user_id, NULL};
    flags[TARGET_FLAGS_COUNT + 1] = (struct flag){SPAN("--session-id"), &erasing->session_id, NULL};
    flags[TARGET_FLAGS_COUNT + 2] = (struct flag){SPAN("--json"), NULL, &erasing->json};
    if (!args_read(args, "erase", flags, TARGET_FLAGS_COUNT + 3, &none)) return false;
    if (erasing->user_id.len) return true;
    say("whose data? adtally erase --user-id U");
    return false;
}

static void write_request(struct writer *request, const struct erasing *erasing, enum op_kind table,
                          const uint64_t *rows, uint32_t count)
{
    writer_lit(request, "{\"command\":\"erase\"");
    json_write_text_member(request, SPAN("table"), event_table_name(table));
    writer_lit(request, ",\"key\":\"");
    writer_hex(request, erasing->key, sizeof erasing->key);
    writer_lit(request, "\",\"rows\":[");
    for (uint32_t i = 0; i < count; i++) {
        json_write_comma(request);
        writer_u64(request, rows[i]);
    }
    writer_put(request, count ? SPAN("]}") : SPAN("],\"last\":true}"));
}

static bool send_rows(struct erasing *erasing, enum op_kind table, const uint64_t *rows,
                      uint32_t count)
{
    char memory[REQUEST_MAX];
    struct writer request;
    struct reply reply;
    unsigned long long erased = 0;
    writer_init(&request, memory, sizeof memory);
    write_request(&request, erasing, table, rows, count);
    erasing->is_said = reach_send(&erasing->reach, &reply, writer_text(&request)) != EXIT_DONE;
    if (erasing->is_said) return false;
    span_to_u64(reply_raw(&reply, SPAN("erased")), ERASE_ROWS_MAX, &erased);
    reply_close(&reply);
    erasing->found[table] += count;
    erasing->erased[table] += erased;
    return true;
}

static bool on_rows(void *arg, enum op_kind table, const uint64_t *rows, uint32_t count)
{
    return send_rows(arg, table, rows, count);
}

/* The WAL is emptied after the first is answered, so before the second is. */
static bool empty_wal(struct erasing *erasing)
{
    bool is_answered = send_rows(erasing, OP_CLICK, NULL, 0);
    return is_answered && send_rows(erasing, OP_CLICK, NULL, 0);
}

static bool find_and_erase(struct erasing *erasing)
{
    struct progress progress;
    const char *url = erasing->reach.options->store_url;
    const struct store_person person = {
        .dir = erasing->reach.options->data_path,
        .url = url[0] ? url : NULL,
        .user_id = erasing->user_id,
        .session_id = erasing->session_id,
        .on_rows = on_rows,
        .arg = erasing,
        .progress = progress_begin(&progress, "erase"),
    };
    enum err err = store_find_person(&person);
    progress_end(&progress);
    if (err && !erasing->is_said) say("cannot read %s: %s", person.dir, err_text(err));
    return !err && empty_wal(erasing);
}

static bool print_json(const struct erasing *erasing)
{
    char memory[ANSWER_MAX];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    writer_lit(&out, "{\"rows\":{");
    for (int i = 0; i < EVENT_TABLES; i++)
        json_write_number_member(&out, event_table_name(i), (int64_t)erasing->erased[i]);
    writer_lit(&out, "}}");
    return output_line(writer_text(&out));
}

static bool print_text(const struct erasing *erasing)
{
    uint64_t all = 0;
    for (int i = 0; i < EVENT_TABLES; i++) {
        if (erasing->erased[i])
            printf("%-12.*s %llu\n", SPAN_FMT(event_table_name(i)),
                   (unsigned long long)erasing->erased[i]);
        all += erasing->erased[i];
    }
    printf("erased from %llu rows\n", (unsigned long long)all);
    return fflush(stdout) == 0;
}

/* A row that was found and could not be changed is damaged, or was removed meanwhile. */
static bool are_all_erased(const struct erasing *erasing)
{
    for (int i = 0; i < EVENT_TABLES; i++)
        if (erasing->erased[i] < erasing->found[i]) {
            say("%llu rows of %.*s were found and could not be erased: see adtally verify, then try"
                " again",
                (unsigned long long)(erasing->found[i] - erasing->erased[i]),
                SPAN_FMT(event_table_name(i)));
            return false;
        }
    return true;
}

int command_erase(struct args *args)
{
    struct erasing erasing = {0};
    if (!read_ask(&erasing, args)) return EXIT_USAGE;
    int status = reach_open(&erasing.reach, &erasing.target, false);
    if (status != EXIT_DONE) return status;
    rng_fill(erasing.key, sizeof erasing.key);
    bool ok = find_and_erase(&erasing);
    reach_close(&erasing.reach);
    bool is_printed = erasing.json ? print_json(&erasing) : print_text(&erasing);
    return ok && are_all_erased(&erasing) && is_printed ? EXIT_DONE : EXIT_FAILED;
}
