#include "base/log.h"

#include "base/writer.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LOG_LINE_MAX = 4096 };

static void write_escaped(struct writer *out, struct span text)
{
    size_t len = text.len < LOG_TEXT_MAX ? text.len : LOG_TEXT_MAX;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\') {
            writer_char(out, '\\');
            writer_char(out, (char)c);
        } else if (c < 0x20 || c >= 0x7f) {
            writer_lit(out, "\\u00");
            writer_hex(out, &c, 1);
        } else {
            writer_char(out, (char)c);
        }
    }
}

static void write_time(struct writer *out)
{
    struct timespec now;
    struct tm utc;
    char text[40];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    len += (size_t)snprintf(text + len, sizeof text - len, ".%03dZ", (int)(now.tv_nsec / 1000000));
    writer_put(out, (struct span){text, len});
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
    static const char *const levels[] = {"info", "warn", "error"};
    char line[LOG_LINE_MAX];
    struct writer out;
    writer_init(&out, line, sizeof line - 2); /* "}\n" always fits */
    writer_lit(&out, "{\"time\":\"");
    write_time(&out);
    writer_lit(&out, "\",\"level\":\"");
    writer_put(&out, span_of(levels[level]));
    writer_lit(&out, "\",\"event\":\"");
    writer_put(&out, span_of(event));
    writer_char(&out, '"');
    for (size_t i = 0; i < count; i++) {
        size_t before = out.len;
        writer_lit(&out, ",\"");
        writer_put(&out, span_of(fields[i].name));
        writer_lit(&out, "\":");
        if (fields[i].text.ptr) {
            writer_char(&out, '"');
            write_escaped(&out, fields[i].text);
            writer_char(&out, '"');
        } else {
            writer_i64(&out, fields[i].number);
        }
        if (out.overflow) { /* leave out a field that does not fit, never half of one */
            out.len = before;
            break;
        }
    }
    line[out.len++] = '}';
    line[out.len++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, out.len); /* there is nowhere left to complain */
    (void)ignored;
}
