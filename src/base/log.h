#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One JSON object a line on standard error: {"time":"...","level":"warn","event":"...",...}.
 * Control, non-ASCII, quote and backslash bytes of text fields are escaped, and a field is cut at
 * LOG_TEXT_MAX bytes. Secrets and tokens are never given to the log. Any thread.
 *
 * A reader that does not read makes nobody wait: a line that standard error (a pipe, a socket, a
 * terminal) does not take at once is lost, and the next one that it takes says how many were:
 * "lines_lost". */

enum log_level { LOG_INFO, LOG_WARN, LOG_ERROR };

enum { LOG_TEXT_MAX = 512 };

struct log_field {
    const char *name;
    struct span text; /* used when text.ptr is set, else number */
    int64_t number;
};

#define LOG_TEXT(name, span) ((struct log_field){(name), (span), 0})
#define LOG_NUMBER(name, value) ((struct log_field){(name), SPAN_NONE, (value)})

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count);

/* The same for what strangers can cause at will, so that a flood of it fills no disk: of each
 * thread LOG_BURST lines at once and LOG_PER_S a second; the rest is counted. */
enum { LOG_BURST = 100, LOG_PER_S = 5 };
void log_write_bounded(enum log_level level, const char *event, const struct log_field *fields,
                       size_t count);

/* To be called now and then by a thread that writes bounded lines, and at its end: tells how many
 * were left out since, at most once a second. */
void log_tell_left_out(bool is_end);

/* Lines that were not written since the start: nobody read, or left out and told. Any thread. */
uint64_t log_dropped(void);

#define LOG_FIELDS(...)                                                                            \
    (struct log_field[]){__VA_ARGS__},                                                             \
        sizeof((struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field)
#define log_event(level, event, ...) log_write((level), (event), LOG_FIELDS(__VA_ARGS__))
#define log_event_bounded(level, event, ...)                                                       \
    log_write_bounded((level), (event), LOG_FIELDS(__VA_ARGS__))
