#include "admin/import.h"
#include "base/writer.h"
#include "cli/commands.h"
#include "cli/file.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/reach.h"
#include "cli/say.h"
#include "json/write.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* adtally import: every line of the file is read and checked before the first is sent. What other
 * rows refer to goes first, whatever its place in the file. */

enum { ROWS_TEXT_MAX = 1024 * 1024, REQUEST_MAX = ROWS_TEXT_MAX + IMPORT_LINE_MAX + 64 };
enum { PROBLEMS_MAX = 10, ROUNDS = 2, PATH_SIZE = 4096, ANSWER_MAX = 4096, LETTERS = 128 };

struct importing {
    struct target target;
    struct span file;
    bool json;
    char path[PATH_SIZE];
    FILE *in;
    char *line; /* getline's */
    size_t line_size;
    uint64_t line_number, bytes, bytes_all;
    uint8_t *tables; /* of each line; IMPORT_TABLES: a blank one */
    size_t tables_cap;
    struct reach reach;
    struct writer request;
    char *request_memory;
    uint64_t batch_lines[IMPORT_ROWS_MAX]; /* their numbers */
    uint8_t batch_tables[IMPORT_ROWS_MAX];
    size_t batch_count;
    uint64_t counts[IMPORT_TABLES][LETTERS];
    uint64_t passed_line; /* the first whose click is not there */
    struct progress progress;
};

static bool read_ask(struct importing *importing, struct args *args)
{
    struct flag flags[TARGET_FLAGS_COUNT + 1];
    struct operands operands = {&importing->file, 1, 0};
    target_flags(flags, &importing->target);
    flags[TARGET_FLAGS_COUNT] = (struct flag){SPAN("--json"), NULL, &importing->json};
    if (!args_read(args, "import", flags, TARGET_FLAGS_COUNT + 1, &operands)) return false;
    size_t size = sizeof importing->path;
    if (operands.count == 1 && !span_eq(importing->file, SPAN("-")) &&
        (size_t)snprintf(importing->path, size, "%.*s", SPAN_FMT(importing->file)) < size)
        return true;
    say("which file? adtally import FILE; it is read more than once, so it cannot be a pipe");
    return false;
}

/* The next line without its end; absent at the end of the file. */
static struct span next_line(struct importing *importing)
{
    ssize_t len = getline(&importing->line, &importing->line_size, importing->in);
    if (len < 0) return SPAN_NONE;
    importing->line_number++;
    importing->bytes += (uint64_t)len;
    progress_show(&importing->progress, importing->bytes, importing->bytes_all);
    return span_trim((struct span){importing->line, (size_t)len});
}

static bool start_over(struct importing *importing)
{
    importing->line_number = 0;
    if (fseeko(importing->in, 0, SEEK_SET) == 0) return true;
    say("%s is read more than once, so it cannot be a pipe", importing->path);
    return false;
}

static bool has_read_all(const struct importing *importing)
{
    if (!ferror(importing->in)) return true;
    file_say_unreadable(importing->file, errno);
    return false;
}

/* -- checking ------------------------------------------------------------------------------ */

static bool note_table(struct importing *importing, enum import_table table)
{
    if (importing->line_number > importing->tables_cap) {
        size_t cap = importing->tables_cap ? importing->tables_cap * 2 : 4096;
        uint8_t *grown = realloc(importing->tables, cap);
        if (!grown) {
            say("there is not enough memory for so many lines: import the file in parts");
            return false;
        }
        importing->tables = grown;
        importing->tables_cap = cap;
    }
    importing->tables[importing->line_number - 1] = (uint8_t)table;
    return true;
}

static bool check_file(struct importing *importing)
{
    unsigned problems = 0;
    struct span line;
    while (problems < PROBLEMS_MAX && (line = next_line(importing)).ptr) {
        char problem[IMPORT_PROBLEM_MAX];
        enum import_table table = IMPORT_TABLES;
        if (line.len && !import_check(&table, line, problem)) {
            say("%s:%llu: %s", importing->path, (unsigned long long)importing->line_number,
                problem);
            problems++;
        }
        if (!note_table(importing, table)) return false;
    }
    if (problems) say("nothing was imported: correct these lines, then do it again");
    return problems == 0 && has_read_all(importing);
}

/* -- sending ------------------------------------------------------------------------------- */

/* What cannot be; the rest is counted. */
static const char *problem_of(enum import_table table, char letter)
{
    switch (letter) {
    case IMPORT_CONFLICT:
        return table == IMPORT_POLL
                   ? "an option that has votes is missing from this poll"
                   : "the click lives longer than click_ttl from now: raise click_ttl";
    case IMPORT_NO_BID:
        return "the click of this conversion has no bid";
    case IMPORT_NO_POLL:
        return "there is no such poll, or it has no such option, or it is withdrawn";
    case IMPORT_UNAVAILABLE:
        return "the store could not write: see the server's log";
    default:
        return NULL;
    }
}

static bool take_outcomes(struct importing *importing, struct span outcomes)
{
    if (outcomes.len != importing->batch_count) return false;
    bool ok = true;
    for (size_t i = 0; i < importing->batch_count; i++) {
        char letter = outcomes.ptr[i];
        enum import_table table = importing->batch_tables[i];
        const char *problem = problem_of(table, letter);
        importing->counts[table][letter & (LETTERS - 1)]++;
        if (letter == IMPORT_NO_CLICK && !importing->passed_line)
            importing->passed_line = importing->batch_lines[i];
        if (problem && ok)
            say("%s:%llu: %s", importing->path, (unsigned long long)importing->batch_lines[i],
                problem);
        ok = ok && !problem;
    }
    if (!ok) say("the import stopped here: do it again from the start, nothing counts twice");
    return ok;
}

static void begin_batch(struct importing *importing)
{
    importing->batch_count = 0;
    writer_init(&importing->request, importing->request_memory, REQUEST_MAX);
    writer_lit(&importing->request, "{\"command\":\"import\",\"rows\":[");
}

static bool send_batch(struct importing *importing)
{
    struct reply reply;
    if (importing->batch_count == 0) return true;
    writer_lit(&importing->request, "]}");
    int status = reach_send(&importing->reach, &reply, writer_text(&importing->request));
    if (status != EXIT_DONE) return false;
    bool ok = take_outcomes(importing, reply_text(&reply, SPAN("outcomes")));
    reply_close(&reply);
    begin_batch(importing);
    return ok;
}

static bool add_line(struct importing *importing, struct span line, enum import_table table)
{
    json_write_comma(&importing->request);
    writer_put(&importing->request, line);
    importing->batch_lines[importing->batch_count] = importing->line_number;
    importing->batch_tables[importing->batch_count++] = (uint8_t)table;
    bool is_full =
        importing->batch_count == IMPORT_ROWS_MAX || importing->request.len > ROWS_TEXT_MAX;
    return !is_full || send_batch(importing);
}

static bool is_of_round(enum import_table table, int round)
{
    bool refers = table == IMPORT_CONVERSION || table == IMPORT_VOTE;
    return table != IMPORT_TABLES && refers == (round == 1);
}

static bool send_round(struct importing *importing, int round)
{
    struct span line;
    if (!start_over(importing)) return false;
    begin_batch(importing);
    while ((line = next_line(importing)).ptr) {
        if (importing->line_number > importing->tables_cap) break; /* grew meanwhile */
        enum import_table table = importing->tables[importing->line_number - 1];
        if (is_of_round(table, round) && !add_line(importing, line, table)) return false;
    }
    return has_read_all(importing) && send_batch(importing);
}

/* -- what became of it --------------------------------------------------------------------- */

static const struct outcome_text {
    char letter;
    struct span name;
} outcome_texts[] = {
    {IMPORT_RECORDED, SPAN_INIT("recorded")},       {IMPORT_DUPLICATE, SPAN_INIT("duplicate")},
    {IMPORT_PASSED, SPAN_INIT("too_old")},          {IMPORT_NO_CLICK, SPAN_INIT("without_click")},
    {IMPORT_LIMITED, SPAN_INIT("past_100_clicks")},
};
enum { OUTCOME_TEXTS_COUNT = sizeof outcome_texts / sizeof outcome_texts[0] };

static uint64_t count_of(const struct importing *importing, int table, size_t outcome)
{
    return importing->counts[table][(unsigned char)outcome_texts[outcome].letter];
}

static bool print_json(const struct importing *importing)
{
    char memory[ANSWER_MAX];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    writer_char(&out, '{');
    for (int table = 0; table < IMPORT_TABLES; table++) {
        json_write_comma(&out);
        json_write_key(&out, import_table_name((enum import_table)table));
        writer_char(&out, '{');
        for (size_t i = 0; i < OUTCOME_TEXTS_COUNT; i++)
            json_write_number_member(&out, outcome_texts[i].name,
                                     (int64_t)count_of(importing, table, i));
        writer_char(&out, '}');
    }
    writer_char(&out, '}');
    return output_line(writer_text(&out));
}

static bool print_text(const struct importing *importing)
{
    for (int table = 0; table < IMPORT_TABLES; table++) {
        bool is_named = false;
        for (size_t i = 0; i < OUTCOME_TEXTS_COUNT; i++) {
            uint64_t count = count_of(importing, table, i);
            if (!count) continue;
            if (!is_named) printf("%.*s:", SPAN_FMT(import_table_name((enum import_table)table)));
            printf("%s %llu %.*s", is_named ? "," : "", (unsigned long long)count,
                   SPAN_FMT(outcome_texts[i].name));
            is_named = true;
        }
        if (is_named) putchar('\n');
    }
    return fflush(stdout) == 0;
}

static void warn_of_clicks(const struct importing *importing)
{
    uint64_t count = importing->counts[IMPORT_CONVERSION][IMPORT_NO_CLICK];
    if (count)
        say("%llu conversions were left out, their clicks are unknown or have ended; the first is"
            " %s:%llu",
            (unsigned long long)count, importing->path, (unsigned long long)importing->passed_line);
}

/* -- the whole ----------------------------------------------------------------------------- */

static bool open_file(struct importing *importing)
{
    importing->in = fopen(importing->path, "re");
    if (!importing->in) {
        file_say_unreadable(importing->file, errno);
        return false;
    }
    if (fseeko(importing->in, 0, SEEK_END) == 0) {
        off_t size = ftello(importing->in);
        importing->bytes_all = (uint64_t)(size > 0 ? size : 0) * (1 + ROUNDS);
    }
    return start_over(importing);
}

static int send_all(struct importing *importing)
{
    int status = reach_open(&importing->reach, &importing->target, true);
    if (status != EXIT_DONE) return status;
    bool ok = true;
    for (int round = 0; round < ROUNDS && ok; round++)
        ok = send_round(importing, round);
    reach_close(&importing->reach);
    return ok ? EXIT_DONE : EXIT_FAILED;
}

static int run_import(struct importing *importing)
{
    importing->request_memory = malloc(REQUEST_MAX);
    if (!importing->request_memory) {
        say("there is not enough memory for this command");
        return EXIT_FAILED;
    }
    progress_begin(&importing->progress, "import");
    int status = EXIT_FAILED;
    if (open_file(importing) && check_file(importing)) status = send_all(importing);
    progress_end(&importing->progress);
    if (status != EXIT_DONE) return status;
    warn_of_clicks(importing);
    bool is_printed = importing->json ? print_json(importing) : print_text(importing);
    return is_printed ? EXIT_DONE : EXIT_FAILED;
}

int command_import(struct args *args)
{
    static struct importing importing; /* large */
    if (!read_ask(&importing, args)) return EXIT_USAGE;
    int status = run_import(&importing);
    if (importing.in) fclose(importing.in);
    if (importing.request_memory) hash_wipe(importing.request_memory, REQUEST_MAX);
    if (importing.line) hash_wipe(importing.line, importing.line_size);
    free(importing.request_memory);
    free(importing.line);
    free(importing.tables);
    return status;
}
