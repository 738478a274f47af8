#include "base/assert.h"
#include "cli/options_table.h"
#include "cli/say.h"
#include "event/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *place_of(struct options *options, const struct option *option)
{
    return (char *)options + option->offset;
}

static bool set_number(struct options *options, const struct option *option, struct span value)
{
    bool (*parse)(int64_t *, struct span) = option->type == OPTION_DURATION ? value_duration
                                            : option->type == OPTION_SIZE   ? value_size
                                                                            : value_count;
    int64_t number;
    if (!parse(&number, value) || number < option->min || number > option->max) return false;
    *(int64_t *)place_of(options, option) = number;
    return true;
}

static bool set_networks(struct options *options, struct span value)
{
    options->trusted_proxies_count = 0;
    while (value.ptr) {
        struct span text = span_trim(span_split(&value, ','));
        size_t *count = &options->trusted_proxies_count;
        if (*count == API_PROXIES_MAX) return false;
        if (!api_network_parse(&options->trusted_proxies[(*count)++], text)) return false;
    }
    return true;
}

static bool set_url(struct options *options, struct span value)
{
    options->public_url = value;
    return text_is_landing_url(value) && !memchr(value.ptr, '?', value.len) &&
           !memchr(value.ptr, '#', value.len);
}

static bool set_client_address(struct options *options, struct span value)
{
    options->client_address_full = span_eq(value, SPAN("full"));
    return options->client_address_full || span_eq(value, SPAN("masked"));
}

static bool set_switch(struct options *options, const struct option *option, struct span value)
{
    bool is_on = span_eq(value, SPAN("on"));
    *(bool *)place_of(options, option) = is_on;
    return is_on || span_eq(value, SPAN("off"));
}

/* A path: one with a NUL in it would name another file. */
static bool set_text(struct options *options, const struct option *option, struct span value)
{
    *(struct span *)place_of(options, option) = value;
    return value.len > 0 && !memchr(value.ptr, '\0', value.len);
}

/* What of a URL can be told without libpq; white space would end it in other places. */
static bool is_store_url(struct span value)
{
    bool is_url = span_starts_with(value, SPAN("postgresql://")) ||
                  span_starts_with(value, SPAN("postgres://"));
    for (size_t i = 0; i < value.len; i++)
        is_url = is_url && (unsigned char)value.ptr[i] > 0x20 && value.ptr[i] != 0x7f;
    return is_url && value.len < OPTIONS_STORE_MAX;
}

static bool set_store(struct options *options, struct span value)
{
    options->store = value;
    return span_eq(value, SPAN("sqlite")) || is_store_url(value);
}

static bool set_value(struct options *options, const struct option *option, struct span value)
{
    switch (option->type) {
    case OPTION_COUNT:
    case OPTION_DURATION:
    case OPTION_SIZE:
        return set_number(options, option, value);
    case OPTION_TEXT:
        return set_text(options, option, value);
    case OPTION_ADDRESS:
        return value_address(place_of(options, option), value);
    case OPTION_STORE:
        return set_store(options, value);
    case OPTION_URL:
        return set_url(options, value);
    case OPTION_NETWORKS:
        return set_networks(options, value);
    case OPTION_CLIENT_ADDRESS:
        return set_client_address(options, value);
    case OPTION_SWITCH:
        return set_switch(options, option, value);
    }
    ASSERT(false);
    return false;
}

bool options_set_row(struct options *options, const struct option *option, struct span value,
                     char problem[OPTIONS_PROBLEM_MAX])
{
    if (set_value(options, option, value)) return true;
    snprintf(problem, OPTIONS_PROBLEM_MAX, "takes %s", option->wants);
    return false;
}

bool options_set(struct options *options, struct span name, struct span value,
                 char problem[OPTIONS_PROBLEM_MAX])
{
    const struct option *option = options_find(name);
    ASSERT(option);
    return options_set_row(options, option, value, problem);
}

void options_init(struct options *options)
{
    char problem[OPTIONS_PROBLEM_MAX];
    *options = (struct options){0};
    for (int kind = 0; kind < EVENT_TABLES; kind++)
        options->retention_of_ms[kind] = -1;
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const struct option *option = &options_table[i];
        bool ok = !option->preset.ptr || options_set_row(options, option, option->preset, problem);
        ASSERT(ok);
    }
}

static bool same_networks(const struct options *one, const struct options *other)
{
    size_t count = one->trusted_proxies_count;
    return count == other->trusted_proxies_count &&
           memcmp(one->trusted_proxies, other->trusted_proxies,
                  count * sizeof one->trusted_proxies[0]) == 0;
}

static bool same_address(const struct value_address *one, const struct value_address *other)
{
    char texts[2][VALUE_ADDRESS_TEXT_MAX];
    value_address_write(texts[0], one);
    value_address_write(texts[1], other);
    return one->any == other->any && strcmp(texts[0], texts[1]) == 0;
}

bool options_same(const struct options *one, const struct options *other,
                  const struct option *option)
{
    const char *a = (const char *)one + option->offset, *b = (const char *)other + option->offset;
    switch (option->type) {
    case OPTION_COUNT:
    case OPTION_DURATION:
    case OPTION_SIZE:
        return *(const int64_t *)(const void *)a == *(const int64_t *)(const void *)b;
    case OPTION_TEXT:
    case OPTION_STORE:
    case OPTION_URL:
        return span_eq(*(const struct span *)(const void *)a,
                       *(const struct span *)(const void *)b);
    case OPTION_ADDRESS:
        return same_address((const void *)a, (const void *)b);
    case OPTION_NETWORKS:
        return same_networks(one, other);
    case OPTION_CLIENT_ADDRESS:
        return one->client_address_full == other->client_address_full;
    case OPTION_SWITCH:
        return *(const bool *)a == *(const bool *)b;
    }
    ASSERT(false);
    return false;
}

bool options_retention(const struct options *options, int64_t keep_ms[EVENT_TABLES])
{
    bool is_some_removed = false;
    for (int kind = 0; kind < EVENT_TABLES; kind++) {
        int64_t ms = options->retention_of_ms[kind];
        if (ms < 0) ms = options->retention_ms;
        keep_ms[kind] = ms ? ms : RETAIN_FOR_EVER;
        is_some_removed |= ms && kind != OP_VOTE;
    }
    return is_some_removed;
}

void options_free(struct options *options)
{
    free(options->file);
    options->file = NULL;
}

/* "--click-ttl" is "click_ttl"; a flag with underscores is none of ours. */
static const struct option *find_flag(struct span flag)
{
    char name[64];
    if (flag.len < 3 || flag.len >= sizeof name || memchr(flag.ptr, '_', flag.len)) return NULL;
    if (!span_starts_with(flag, SPAN("--"))) return NULL;
    for (size_t i = 2; i < flag.len; i++)
        name[i - 2] = flag.ptr[i] == '-' ? '_' : flag.ptr[i];
    return options_find((struct span){name, flag.len - 2});
}

static bool set_flag(struct options *options, struct args *args, struct arg *arg)
{
    char problem[OPTIONS_PROBLEM_MAX];
    const struct option *option = find_flag(arg->text);
    if (!option) {
        say("unknown option \"%.*s\"; see adtally help serve", SPAN_FMT(arg->text));
        return false;
    }
    if (!args_value(args, arg, "serve")) return false;
    options->given_by_flag |= UINT64_C(1) << (option - options_table);
    if (options_set_row(options, option, arg->value, problem)) return true;
    say("%.*s %s", SPAN_FMT(arg->text), problem);
    return false;
}

static bool read_flags(struct options *options, struct args *args)
{
    struct arg arg;
    enum arg_kind kind;
    while ((kind = args_next(args, &arg)) != ARG_END) {
        if (kind == ARG_OPERAND) {
            say("unknown argument \"%.*s\"; see adtally help serve", SPAN_FMT(arg.text));
            return false;
        }
        if (!set_flag(options, args, &arg)) return false;
    }
    return true;
}

static bool check_relations(const struct options *options)
{
    if (options->target_limit <= options->head_limit) return true;
    say("target_limit is larger than head_limit, which it is part of: lower it or raise "
        "head_limit");
    return false;
}

static bool take_data_path(struct options *options)
{
    struct span data = options->data;
    if (!data.ptr) {
        say("--data is missing: name the data directory, --data DIR");
        return false;
    }
    if (data.len >= sizeof options->data_path) {
        say("the path of the data directory is longer than 511 bytes");
        return false;
    }
    memcpy(options->data_path, data.ptr, data.len);
    options->data_path[data.len] = '\0';
    return true;
}

static void take_store_url(struct options *options)
{
    struct span url = options->store;
    options->store_url[0] = '\0';
    if (span_eq(url, SPAN("sqlite"))) return;
    memcpy(options->store_url, url.ptr, url.len);
    options->store_url[url.len] = '\0';
}

static enum options_result finish(struct options *options)
{
    enum options_result result = options_read_file(options);
    if (result) return result;
    take_store_url(options);
    return take_data_path(options) && check_relations(options) ? OPTIONS_OK : OPTIONS_BAD;
}

enum options_result options_load(struct options *options, struct args *args)
{
    options_init(options);
    return read_flags(options, args) ? finish(options) : OPTIONS_BAD;
}

static bool set_given(struct options *options, const char *name, struct span value)
{
    char problem[OPTIONS_PROBLEM_MAX];
    const struct option *option = options_find(span_of(name));
    if (!value.ptr) return true;
    options->given_by_flag |= UINT64_C(1) << (option - options_table);
    if (options_set_row(options, option, value, problem)) return true;
    say("--%s %s", name, problem);
    return false;
}

enum options_result options_load_for(struct options *options, struct span data, struct span store,
                                     struct span config)
{
    options_init(options);
    bool ok = set_given(options, "data", data) && set_given(options, "store", store) &&
              set_given(options, "config", config);
    return ok ? finish(options) : OPTIONS_BAD;
}
