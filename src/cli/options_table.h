#pragma once

#include "cli/options.h"

/* Shared by the files of the options, by nobody else. */

enum option_type {
    OPTION_TEXT,
    OPTION_COUNT,
    OPTION_DURATION,
    OPTION_SIZE,
    OPTION_ADDRESS,
    OPTION_STORE,
    OPTION_URL,
    OPTION_NETWORKS,
    OPTION_CLIENT_ADDRESS,
    OPTION_SWITCH,
};

struct option {
    struct span name;
    struct span preset;    /* the default as text; absent: none */
    const char *preset_is; /* the default in words where there is no text for it, else NULL */
    const char *wants;     /* what a value looks like: "a duration of 1s to 3650d" */
    const char *help;
    int64_t min, max; /* of numbers, in milliseconds or bytes where that is what they are */
    size_t offset;    /* of its value in struct options */
    enum option_type type;
    bool flag_only; /* not in the file */
    bool is_live;   /* a reload changes it */
};

enum { OPTIONS_COUNT = 37 };
extern const struct option options_table[OPTIONS_COUNT];

_Static_assert(OPTIONS_COUNT <= 64, "given_by_flag has a bit for each");

/* NULL: there is none of this name. `name` is spelled as in the file. */
const struct option *options_find(struct span name);

bool options_set_row(struct options *options, const struct option *option, struct span value,
                     char problem[OPTIONS_PROBLEM_MAX]);

/* "--click-ttl", NUL-terminated. */
enum { OPTIONS_FLAG_MAX = 32 };
void options_flag(char out[OPTIONS_FLAG_MAX], const struct option *option);

/* Whether an option has the same value in both. */
bool options_same(const struct options *one, const struct options *other,
                  const struct option *option);

/* The configuration file: --config, or DIR/adtally.conf when there is one. */
enum options_result options_read_file(struct options *options);
