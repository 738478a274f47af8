#include "cli/complete.h"

#include "cli/options_table.h"

#include <string.h>

enum { GIVEN_MAX = 128 };

struct completion {
    FILE *out;
    struct span last, before; /* the word to complete, the one before it (absent: none) */
    struct span verb;         /* "create" of "key create"; absent: none yet */
    bool asks_value;          /* of the flag before; else for flags and operands */
    bool takes_value;         /* that flag does */
    bool applies;             /* a line of the usage: those that go on belong to it */
    bool has_continued;
    struct span given[GIVEN_MAX];
    size_t given_count;
};

static bool is_flag(struct span word)
{
    return span_starts_with(word, SPAN("--"));
}

static bool was_given(struct completion *completion, struct span word)
{
    for (size_t i = 0; i < completion->given_count; i++)
        if (span_eq(completion->given[i], word)) return true;
    if (completion->given_count < GIVEN_MAX) completion->given[completion->given_count++] = word;
    return false;
}

/* `word` has to live as long as the completion; `help` may be NULL. */
static void give(struct completion *completion, struct span word, const char *help)
{
    if (word.len == 0 || !span_starts_with(word, completion->last)) return;
    if (was_given(completion, word)) return;
    fprintf(completion->out, "%.*s%s%s\n", SPAN_FMT(word), help ? "\t" : "", help ? help : "");
}

static void give_special(struct completion *completion, struct span what)
{
    if (!was_given(completion, what)) fprintf(completion->out, "%.*s\n", SPAN_FMT(what));
}

static bool is_lower(struct span word)
{
    for (size_t i = 0; i < word.len; i++)
        if ((word.ptr[i] < 'a' || word.ptr[i] > 'z') && word.ptr[i] != '-' && word.ptr[i] != '_')
            return false;
    return word.len > 0;
}

static bool has_part(struct span value, struct span wanted)
{
    while (value.len > 0)
        if (span_eq(span_split(&value, '|'), wanted)) return true;
    return false;
}

/* "FILE|-", "DIR", "on|off": placeholders are upper case, values lower case. */
static void give_value(struct completion *completion, struct span value)
{
    if (has_part(value, SPAN("FILE"))) give_special(completion, SPAN(":files"));
    if (has_part(value, SPAN("DIR"))) give_special(completion, SPAN(":dirs"));
    while (value.len > 0) {
        struct span part = span_split(&value, '|');
        if (is_lower(part)) give(completion, part, NULL);
    }
}

/* The next word of a usage, without what says that it is optional or repeated. `ends`: nothing
 * belongs to it. */
static struct span next_word(struct span *line, bool *ends)
{
    struct span word = SPAN("");
    while (line->len > 0 && word.len == 0)
        word = span_split(line, ' ');
    *ends = false;
    while (word.len > 0 && word.ptr[0] == '[')
        word = (struct span){word.ptr + 1, word.len - 1};
    while (word.len > 0 && (word.ptr[word.len - 1] == ']' || word.ptr[word.len - 1] == '.')) {
        word.len--;
        *ends = true;
    }
    return word;
}

/* One flag of a usage, or one operand. */
static void offer(struct completion *completion, struct span word, struct span value)
{
    if (completion->asks_value) {
        if (value.len == 0 || !span_eq(word, completion->before)) return;
        completion->takes_value = true;
        give_value(completion, value);
    } else if (is_flag(word)) {
        give(completion, word, NULL);
    } else if (!is_lower(word) && !is_flag(completion->last)) { /* "each with" is prose */
        give_value(completion, word);
    }
}

static void read_flags(struct completion *completion, struct span line)
{
    bool ends;
    while (line.len > 0) {
        struct span word = next_word(&line, &ends), ahead = line, value = SPAN("");
        if (is_flag(word) && !ends) {
            value = next_word(&ahead, &ends);
            if (is_flag(value))
                value = SPAN("");
            else
                line = ahead;
        }
        offer(completion, word, value);
    }
}

/* What stands behind the command's name. False: it is of other verbs than the one that is there. */
static bool read_verbs(struct completion *completion, struct span rest)
{
    bool ends;
    struct span ahead = rest, verbs = next_word(&ahead, &ends), first = verbs;
    if (ends || is_flag(verbs) || !is_lower(span_split(&first, '|'))) {
        read_flags(completion, rest); /* a command without verbs */
        return true;
    }
    if (!completion->verb.ptr && !completion->asks_value) give_value(completion, verbs);
    if (!completion->verb.ptr || !has_part(verbs, completion->verb)) return false;
    read_flags(completion, ahead);
    return true;
}

/* A line that begins with a space goes on for those above it, up to the last such one. */
static void read_line(struct completion *completion, struct span line)
{
    bool ends, continues = line.len > 0 && line.ptr[0] == ' ';
    if (continues && completion->applies) read_flags(completion, line);
    if (completion->has_continued) completion->applies = false;
    completion->has_continued = continues;
    if (continues) return;
    (void)next_word(&line, &ends); /* the command */
    completion->applies |= read_verbs(completion, line);
}

static void read_usage(struct completion *completion, const char *usage)
{
    struct span rest = span_of(usage);
    while (rest.len > 0)
        read_line(completion, span_split(&rest, '\n'));
}

static bool is_data(const struct option *option)
{
    return span_eq(option->name, SPAN("data"));
}

static void give_option_value(struct completion *completion, const struct option *option)
{
    completion->takes_value = true;
    switch (option->type) {
    case OPTION_SWITCH:
        give_value(completion, SPAN("on|off"));
        break;
    case OPTION_CLIENT_ADDRESS:
        give_value(completion, SPAN("masked|full"));
        break;
    case OPTION_STORE:
        give_value(completion, option->preset);
        break;
    case OPTION_TEXT:
        give_special(completion, is_data(option) ? SPAN(":dirs") : SPAN(":files"));
        break;
    default: /* numbers and addresses are their owner's */
        break;
    }
}

/* All options are serve's; the other commands take three of them. */
static void give_options(struct completion *completion, bool all)
{
    static char flags[OPTIONS_COUNT][OPTIONS_FLAG_MAX];
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const struct option *option = &options_table[i];
        bool is_common = option->flag_only || option->type == OPTION_STORE || is_data(option);
        if (!all && !is_common) continue;
        options_flag(flags[i], option);
        if (!completion->asks_value)
            give(completion, span_of(flags[i]), option->help);
        else if (span_eq(completion->before, span_of(flags[i])))
            give_option_value(completion, option);
    }
}

static void give_commands(struct completion *completion, const struct commands *commands)
{
    for (size_t i = 0; i < commands->count; i++)
        give(completion, span_of(commands->list[i].name), commands->list[i].help);
}

static const struct command *find(const struct commands *commands, const char *name)
{
    for (size_t i = 0; i < commands->count; i++)
        if (strcmp(commands->list[i].name, name) == 0) return &commands->list[i];
    return NULL;
}

static void offer_all(struct completion *completion, const struct command *command)
{
    bool is_serve = strcmp(command->name, "serve") == 0;
    if (!is_serve) read_usage(completion, command->usage);
    give_options(completion, is_serve);
}

static void complete_command(struct completion *completion, const struct command *command)
{
    completion->asks_value = completion->before.ptr && is_flag(completion->before);
    if (completion->asks_value) offer_all(completion, command);
    if (completion->takes_value) return;
    completion->asks_value = false;
    offer_all(completion, command);
}

void complete_print(FILE *out, const struct commands *commands, char **words, int words_count)
{
    struct completion completion = {.out = out};
    completion.last = words_count > 0 ? span_of(words[words_count - 1]) : SPAN("");
    if (words_count < 2) {
        give_commands(&completion, commands);
        give(&completion, SPAN("help"), "tells more of a command");
        return;
    }
    completion.before = words_count > 2 ? span_of(words[words_count - 2]) : SPAN_NONE;
    if (words_count > 2 && words[1][0] != '-') completion.verb = span_of(words[1]);
    const struct command *command = find(commands, words[0]);
    if (strcmp(words[0], "help") == 0)
        give_commands(&completion, commands);
    else if (command)
        complete_command(&completion, command);
}
