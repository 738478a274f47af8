#include "cli/options_table.h"
#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* `name = value` lines; blank lines, and comments from a # that begins a line or follows white
 * space. */

enum { FILE_SIZE_MAX = 64 * 1024, PATH_SIZE = 1024 };

static struct span without_comment(struct span line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.ptr[i] == '#' && (i == 0 || line.ptr[i - 1] == ' ' || line.ptr[i - 1] == '\t'))
            line.len = i;
    return span_trim(line);
}

struct place {
    const char *path;
    unsigned line;
};

static bool set_line(struct options *options, const struct place *at, struct span name,
                     struct span value, unsigned lines[OPTIONS_COUNT])
{
    char problem[OPTIONS_PROBLEM_MAX];
    const struct option *option = options_find(name);
    if (!option || option->flag_only) {
        say("%s:%u: unknown option \"%.*s\"; see adtally help serve", at->path, at->line,
            SPAN_FMT(name));
        return false;
    }
    size_t row = (size_t)(option - options_table);
    if (lines[row]) {
        say("%s:%u: %.*s stands in line %u already: leave one of them out", at->path, at->line,
            SPAN_FMT(name), lines[row]);
        return false;
    }
    lines[row] = at->line;
    /* A value that a flag replaces is checked all the same, and not kept. */
    struct options ignored;
    bool by_flag = options->given_by_flag >> row & 1;
    if (options_set_row(by_flag ? &ignored : options, option, value, problem)) return true;
    say("%s:%u: %.*s %s", at->path, at->line, SPAN_FMT(name), problem);
    return false;
}

bool options_read_text(struct options *options, const char *path, struct span text)
{
    unsigned lines[OPTIONS_COUNT] = {0};
    struct place at = {path, 0};
    while (text.ptr) {
        struct span value = without_comment(span_split(&text, '\n'));
        at.line++;
        if (value.len == 0) continue;
        struct span name = span_trim(span_split(&value, '='));
        if (!value.ptr) {
            say("%s:%u: a line is `name = value`, or begins with #", path, at.line);
            return false;
        }
        if (!set_line(options, &at, name, span_trim(value), lines)) return false;
    }
    return true;
}

static bool read_all(int fd, char *memory, size_t *len)
{
    *len = 0;
    for (;;) {
        ssize_t got = read(fd, memory + *len, FILE_SIZE_MAX + 1 - *len);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got == 0;
        *len += (size_t)got;
        if (*len > FILE_SIZE_MAX) return true;
    }
}

static enum options_result read_open_file(struct options *options, const char *path, int fd)
{
    size_t len;
    options->file = malloc(FILE_SIZE_MAX + 1);
    if (!options->file || !read_all(fd, options->file, &len)) {
        say("cannot read the configuration file %s: %s", path, strerror(errno));
        return OPTIONS_FAILED;
    }
    if (len > FILE_SIZE_MAX) {
        say("the configuration file %s is larger than 64 KiB", path);
        return OPTIONS_BAD;
    }
    struct span text = {options->file, len};
    return options_read_text(options, path, text) ? OPTIONS_OK : OPTIONS_BAD;
}

enum options_result options_read_file(struct options *options)
{
    char path[PATH_SIZE];
    bool required = options->config.ptr != NULL;
    if (!required && !options->data.ptr) return OPTIONS_OK;
    struct span base = required ? options->config : options->data;
    int len = snprintf(path, sizeof path, required ? "%.*s" : "%.*s/adtally.conf", SPAN_FMT(base));
    if (len < 0 || (size_t)len >= sizeof path) {
        say("the path of the configuration file is longer than 1023 bytes");
        return OPTIONS_BAD;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && !required && (errno == ENOENT || errno == ENOTDIR)) return OPTIONS_OK;
    if (fd < 0) {
        say("cannot open the configuration file %s: %s; %s", path, strerror(errno),
            errno == EACCES ? "run it as the user that owns it" : "see whether the path is right");
        return OPTIONS_FAILED;
    }
    enum options_result result = read_open_file(options, path, fd);
    close(fd);
    return result;
}
