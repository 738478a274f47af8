#include "cli/traffic_files.h"

#include "base/embedded.h"
#include "cli/file.h"
#include "cli/say.h"

#include <stdlib.h>

/* Of the build: etc/bots.txt alone. */
extern const struct embedded bots_files[];

/* One of the two files. */
struct source {
    bool (*read)(struct traffic *traffic, struct span text, uint32_t *line);
    size_t size_max;
    const char *wants;
};

static const struct source bots = {traffic_read_bots, TRAFFIC_BOTS_TEXT_MAX,
                                   "a pattern of 2 to 128 characters"};
static const struct source networks = {traffic_read_networks, TRAFFIC_NETWORKS_TEXT_MAX,
                                       "an address or a network, such as 203.0.113.0/24"};

static enum options_result parse(struct traffic *traffic, const struct source *source,
                                 struct span text, struct span path)
{
    uint32_t line;
    if (source->read(traffic, text, &line)) return OPTIONS_OK;
    if (line)
        say("%.*s:%u: a line is %s", SPAN_FMT(path), line, source->wants);
    else
        say("cannot read %.*s: out of memory", SPAN_FMT(path));
    return line ? OPTIONS_BAD : OPTIONS_FAILED;
}

static enum options_result read_path(struct traffic *traffic, const struct source *source,
                                     struct span path)
{
    struct span text;
    char *memory = malloc(source->size_max);
    if (!memory) {
        say("cannot read %.*s: out of memory", SPAN_FMT(path));
        return OPTIONS_FAILED;
    }
    enum options_result result = file_read(path, memory, source->size_max, &text)
                                     ? parse(traffic, source, text, path)
                                     : OPTIONS_FAILED;
    free(memory);
    return result;
}

static enum options_result load(struct traffic *traffic, const struct options *options)
{
    enum options_result result =
        options->bot_patterns.ptr
            ? read_path(traffic, &bots, options->bot_patterns)
            : parse(traffic, &bots, bots_files[0].body, bots_files[0].address);
    if (result != OPTIONS_OK || !options->datacenter_ranges.ptr) return result;
    return read_path(traffic, &networks, options->datacenter_ranges);
}

enum options_result traffic_files_load(struct traffic **out, const struct options *options)
{
    *out = traffic_new();
    if (!*out) {
        say("cannot read the lists of robots and data centres: out of memory");
        return OPTIONS_FAILED;
    }
    enum options_result result = load(*out, options);
    if (result == OPTIONS_OK) return result;
    traffic_free(*out);
    *out = NULL;
    return result;
}
