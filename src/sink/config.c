#include "sink/config.h"

#include "cli/file.h"
#include "cli/say.h"
#include "cli/value.h"
#include "store/op.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_SIZE_MAX = 64 * 1024, FILE_PATH_SIZE = 4096 };

const struct span sink_type_names[SINK_TYPES] = {SPAN_INIT("http"), SPAN_INIT("webhook"),
                                                 SPAN_INIT("nats"), SPAN_INIT("kafka")};

enum {
    FOR_HTTP = 1 << SINK_HTTP,
    FOR_WEBHOOK = 1 << SINK_WEBHOOK,
    FOR_NATS = 1 << SINK_NATS,
    FOR_KAFKA = 1 << SINK_KAFKA,
    FOR_ALL = FOR_HTTP | FOR_WEBHOOK | FOR_NATS | FOR_KAFKA,
    FOR_CURL = FOR_HTTP | FOR_WEBHOOK,
};

enum value_type { TEXT, COUNT, DURATION, TYPE, TABLES, BEGIN, RETRY };

/* A row an option: the types of sinks that have it, where it goes, and what it may be. */
static const struct sink_option {
    struct span name;
    unsigned types, required;
    enum value_type value;
    size_t offset;
    int64_t min, max;
} options[] = {
#define PLACE(member) offsetof(struct sink_config, member)
    {SPAN_INIT("type"), FOR_ALL, FOR_ALL, TYPE, PLACE(type), 0, 0},
    {SPAN_INIT("url"), FOR_ALL, FOR_ALL, TEXT, PLACE(url), 0, 0},
    {SPAN_INIT("tables"), FOR_ALL, 0, TABLES, PLACE(tables), 0, 0},
    {SPAN_INIT("partner"), FOR_ALL, 0, TEXT, PLACE(partner), 0, 0},
    {SPAN_INIT("campaign"), FOR_ALL, 0, TEXT, PLACE(campaign), 0, 0},
    {SPAN_INIT("begin"), FOR_ALL, 0, BEGIN, PLACE(begins_now), 0, 0},
    {SPAN_INIT("batch"), FOR_ALL & ~FOR_WEBHOOK, 0, COUNT, PLACE(batch), 1, SINK_BATCH_MAX},
    {SPAN_INIT("timeout"), FOR_ALL, 0, DURATION, PLACE(timeout_ms), 100, 300000},
    {SPAN_INIT("topic"), FOR_KAFKA, 0, TEXT, PLACE(topic), 0, 0},
    {SPAN_INIT("properties_file"), FOR_KAFKA, 0, TEXT, PLACE(properties_file), 0, 0},
    {SPAN_INIT("subject"), FOR_NATS, 0, TEXT, PLACE(subject), 0, 0},
    {SPAN_INIT("stream"), FOR_NATS, 0, TEXT, PLACE(stream), 0, 0},
    {SPAN_INIT("credentials_file"), FOR_NATS, 0, TEXT, PLACE(credentials_file), 0, 0},
    {SPAN_INIT("user"), FOR_NATS, 0, TEXT, PLACE(user), 0, 0},
    {SPAN_INIT("password_file"), FOR_NATS, 0, TEXT, PLACE(password_file), 0, 0},
    {SPAN_INIT("ca_file"), FOR_CURL | FOR_NATS, 0, TEXT, PLACE(ca_file), 0, 0},
    {SPAN_INIT("headers_file"), FOR_CURL, 0, TEXT, PLACE(headers_file), 0, 0},
    {SPAN_INIT("secret_file"), FOR_WEBHOOK, FOR_WEBHOOK, TEXT, PLACE(secret_file), 0, 0},
    {SPAN_INIT("concurrency"), FOR_WEBHOOK, 0, COUNT, PLACE(concurrency), 1, 64},
    {SPAN_INIT("waiting_max"), FOR_WEBHOOK, 0, COUNT, PLACE(waiting_max), 1, SINK_WAITING_MAX},
    {SPAN_INIT("retry"), FOR_WEBHOOK, 0, RETRY, PLACE(retry_ms), 0, 0},
#undef PLACE
};
enum { OPTIONS_COUNT = sizeof options / sizeof options[0] };

static const int64_t retry_default_ms[] = {5000,    30000,    120000,  600000,
                                           3600000, 21600000, 86400000};

static void config_init(struct sink_config *sink, struct span name, unsigned line)
{
    *sink = (struct sink_config){.line = line,
                                 .type = -1,
                                 .tables = (1u << EVENT_TABLES) - 1,
                                 .topic = SPAN("adtally"),
                                 .subject = SPAN("adtally"),
                                 .batch = 500,
                                 .concurrency = 8,
                                 .waiting_max = 1000,
                                 .timeout_ms = 10000};
    snprintf(sink->name, sizeof sink->name, "%.*s", SPAN_FMT(name));
    sink->retries_count = sizeof retry_default_ms / sizeof retry_default_ms[0];
    memcpy(sink->retry_ms, retry_default_ms, sizeof retry_default_ms);
}

static int find_in(struct span name, const struct span *names, int count)
{
    for (int i = 0; i < count; i++)
        if (span_eq(name, names[i])) return i;
    return -1;
}

static bool read_tables(uint32_t *out, struct span text)
{
    *out = 0;
    while (text.ptr) {
        struct span name = span_trim(span_split(&text, ','));
        int kind = 0;
        while (kind < EVENT_TABLES && !span_eq(name, event_table_name((enum op_kind)kind)))
            kind++;
        if (kind == EVENT_TABLES) return false;
        *out |= 1u << kind;
    }
    return true;
}

static bool read_retry(struct sink_config *sink, struct span text)
{
    sink->retries_count = 0;
    while (text.ptr) {
        struct span pause = span_trim(span_split(&text, ','));
        if (sink->retries_count == SINK_RETRIES_MAX ||
            !value_duration(&sink->retry_ms[sink->retries_count++], pause))
            return false;
    }
    return true;
}

/* What is wrong with the value, as the end of a sentence; NULL: nothing. */
static const char *set_value(struct sink_config *sink, const struct sink_option *option,
                             struct span value)
{
    void *place = (char *)sink + option->offset;
    int64_t number = 0;
    bool is_good = value.len > 0;
    switch (option->value) {
    case TEXT:
        *(struct span *)place = value;
        return is_good ? NULL : "needs a value";
    case TYPE:
        sink->type = find_in(value, sink_type_names, SINK_TYPES);
        return sink->type >= 0 ? NULL : "is http, webhook, nats or kafka";
    case TABLES:
        return read_tables(&sink->tables, value)
                   ? NULL
                   : "is a list, with commas, of click, conversion, server_event, impression,"
                     " feedback, ad_feedback and vote";
    case BEGIN:
        sink->begins_now = span_eq(value, SPAN("now"));
        return sink->begins_now || span_eq(value, SPAN("first")) ? NULL : "is first or now";
    case RETRY:
        return read_retry(sink, value) ? NULL
                                       : "is a list of at most 16 durations, like 5s, 2m, 1h";
    case COUNT:
        is_good = value_count(&number, value);
        break;
    case DURATION:
        is_good = value_duration(&number, value);
        break;
    }
    *(int64_t *)place = number;
    if (is_good && number >= option->min && number <= option->max) return NULL;
    return option->value == COUNT ? "is a number that is too small, too large, or none"
                                  : "is a duration from 100ms to 5m, like 10s";
}

struct reading {
    struct sinks_config *config;
    const char *path;
    unsigned line;
    unsigned lines[OPTIONS_COUNT]; /* of the section's options; 0: not given */
};

static bool begins_with_any(struct span url, const char *const *schemes)
{
    for (; *schemes; schemes++)
        if (span_starts_with(url, span_of(*schemes))) return true;
    return false;
}

static bool url_is_good(const struct sink_config *sink)
{
    static const char *const http[] = {"https://", "http://", NULL};
    static const char *const nats[] = {"tls://", "nats://", NULL};
    if (sink->type == SINK_KAFKA) return !memmem(sink->url.ptr, sink->url.len, "://", 3);
    return begins_with_any(sink->url, sink->type == SINK_NATS ? nats : http);
}

static const char *url_forms[SINK_TYPES] = {[SINK_HTTP] = "https://host/path or http://host/path",
                                            [SINK_WEBHOOK] =
                                                "https://host/path or http://host/path",
                                            [SINK_NATS] = "tls://host:4222 or nats://host:4222",
                                            [SINK_KAFKA] = "host:9092, or several with commas"};

/* A section is whole: whether everything in it belongs there, and all that has to be is. */
static bool check_section(const struct reading *reading)
{
    if (reading->config->count == 0) return true;
    const struct sink_config *sink = &reading->config->sinks[reading->config->count - 1];
    if (sink->type < 0) {
        say("%s:%u: [%s] needs a line `type = http`, webhook, nats or kafka", reading->path,
            sink->line, sink->name);
        return false;
    }
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        unsigned line = reading->lines[i];
        if (line && !(options[i].types >> sink->type & 1)) {
            say("%s:%u: %.*s is no option of a sink of type %.*s", reading->path, line,
                SPAN_FMT(options[i].name), SPAN_FMT(sink_type_names[sink->type]));
            return false;
        }
        if (!line && (options[i].required >> sink->type & 1)) {
            say("%s:%u: [%s] needs a line `%.*s = ...`", reading->path, sink->line, sink->name,
                SPAN_FMT(options[i].name));
            return false;
        }
    }
    if (url_is_good(sink)) return true;
    say("%s:%u: url of [%s] is %s", reading->path, sink->line, sink->name, url_forms[sink->type]);
    return false;
}

static bool begin_section(struct reading *reading, struct span line)
{
    struct span name = span_trim((struct span){line.ptr + 1, line.len - 2});
    if (line.ptr[line.len - 1] != ']' || !sink_name_is_good(name)) {
        say("%s:%u: a section is [NAME], of at most %d letters, digits, - and _", reading->path,
            reading->line, SINK_NAME_MAX);
        return false;
    }
    if (!check_section(reading)) return false;
    const struct sink_config *before = config_find(reading->config, name);
    if (before || reading->config->count == SINKS_MAX) {
        if (before)
            say("%s:%u: [%s] stands in line %u already", reading->path, reading->line, before->name,
                before->line);
        else
            say("%s:%u: there are more than %d sinks", reading->path, reading->line, SINKS_MAX);
        return false;
    }
    config_init(&reading->config->sinks[reading->config->count++], name, reading->line);
    memset(reading->lines, 0, sizeof reading->lines);
    return true;
}

static bool set_line(struct reading *reading, struct span name, struct span value)
{
    size_t row = 0;
    if (reading->config->count == 0) {
        say("%s:%u: a section has to begin first: [NAME]", reading->path, reading->line);
        return false;
    }
    while (row < OPTIONS_COUNT && !span_eq(name, options[row].name))
        row++;
    if (row == OPTIONS_COUNT) {
        say("%s:%u: unknown option \"%.*s\"; see man adtally-sinks", reading->path, reading->line,
            SPAN_FMT(name));
        return false;
    }
    if (reading->lines[row]) {
        say("%s:%u: %.*s stands in line %u already: leave one of them out", reading->path,
            reading->line, SPAN_FMT(name), reading->lines[row]);
        return false;
    }
    reading->lines[row] = reading->line;
    const char *wrong =
        set_value(&reading->config->sinks[reading->config->count - 1], &options[row], value);
    if (wrong) say("%s:%u: %.*s %s", reading->path, reading->line, SPAN_FMT(name), wrong);
    return !wrong;
}

static struct span without_comment(struct span line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.ptr[i] == '#' && (i == 0 || line.ptr[i - 1] == ' ' || line.ptr[i - 1] == '\t'))
            line.len = i;
    return span_trim(line);
}

static bool read_line(struct reading *reading, struct span line)
{
    line = without_comment(line);
    if (line.len == 0) return true;
    if (line.ptr[0] == '[') return begin_section(reading, line);
    struct span name = span_trim(span_split(&line, '='));
    if (line.ptr) return set_line(reading, name, span_trim(line));
    say("%s:%u: a line is [NAME] or `name = value`, or begins with #", reading->path,
        reading->line);
    return false;
}

bool config_read_text(struct sinks_config *out, const char *path, struct span text)
{
    struct reading reading = {.config = out, .path = path};
    out->count = 0;
    while (text.ptr) {
        reading.line++;
        if (!read_line(&reading, span_split(&text, '\n'))) return false;
    }
    return check_section(&reading);
}

bool config_read(struct sinks_config *out, const char *path)
{
    struct span text;
    *out = (struct sinks_config){.memory = malloc(FILE_SIZE_MAX)};
    if (!out->memory) {
        say("there is no memory: give it more");
        return false;
    }
    return file_read(span_of(path), out->memory, FILE_SIZE_MAX, &text) &&
           config_read_text(out, path, text);
}

static bool names_a_file(const struct sink_option *option)
{
    static const char end[] = "_file";
    size_t len = sizeof end - 1;
    return option->name.len > len &&
           memcmp(option->name.ptr + option->name.len - len, end, len) == 0;
}

static bool file_is_readable(const struct sink_config *sink, const struct sink_option *option,
                             const char *path)
{
    char text[FILE_PATH_SIZE];
    struct span file = *(const struct span *)((const char *)sink + option->offset);
    if (!file.ptr) return true;
    snprintf(text, sizeof text, "%.*s", SPAN_FMT(file));
    if (access(text, R_OK) == 0) return true;
    say("%s:%u: %.*s of [%s] cannot be read: %s: %s; make it, for the user that runs adtally-sinks",
        path, sink->line, SPAN_FMT(option->name), sink->name, text, strerror(errno));
    return false;
}

bool config_files_are_readable(const struct sinks_config *config, const char *path)
{
    for (unsigned i = 0; i < config->count; i++)
        for (size_t row = 0; row < OPTIONS_COUNT; row++)
            if (names_a_file(&options[row]) &&
                !file_is_readable(&config->sinks[i], &options[row], path))
                return false;
    return true;
}

void config_free(struct sinks_config *config)
{
    free(config->memory);
    config->memory = NULL;
}

const struct sink_config *config_find(const struct sinks_config *config, struct span name)
{
    for (unsigned i = 0; i < config->count; i++)
        if (span_eq(name, span_of(config->sinks[i].name))) return &config->sinks[i];
    return NULL;
}
