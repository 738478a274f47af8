#pragma once

#include "base/span.h"

#include <stddef.h>
#include <stdint.h>

/* One JSON object a line on standard error: {"time":"...","level":"warn","event":"...",...}.
 * Control, non-ASCII, quote and backslash bytes of text fields are escaped, and a field is cut at
 * LOG_TEXT_MAX bytes. Secrets and tokens are never given to the log. Any thread. */

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

#define log_event(level, event, ...)                                                               \
    log_write((level), (event), (struct log_field[]){__VA_ARGS__},                                 \
              sizeof((struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
