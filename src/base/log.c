#include "base/log.h"

#include "base/clock.h"
#include "base/writer.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    LOG_LINE_MAX = 4096, /* a pipe takes this much whole, or says that it would block (PIPE_BUF) */
    LOST_LEN = 40,       /* ,"lines_lost":9223372036854775807}\n */
    INTERVAL_MS = 1000 / LOG_PER_S,
    TELL_MS = 1000,
};

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

static void write_field(struct writer *out, const struct log_field *field)
{
    size_t before = out->len;
    writer_lit(out, ",\"");
    writer_put(out, span_of(field->name));
    writer_lit(out, "\":");
    if (field->text.ptr) {
        writer_char(out, '"');
        write_escaped(out, field->text);
        writer_char(out, '"');
    } else {
        writer_i64(out, field->number);
    }
    if (out->overflow) out->len = before; /* left out, never half of it */
}

static bool takes_a_line(void)
{
    struct pollfd error = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&error, 1, 0) == 1 && error.revents & POLLOUT;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t dropped; /* under the mutex */

/* One at a time: what poll promises holds for one line, which is no longer than a pipe's page. */
static void send_line(struct writer *out)
{
    static int64_t lost;
    pthread_mutex_lock(&mutex);
    if (takes_a_line()) {
        out->cap += LOST_LEN;
        out->overflow = false;
        if (lost) write_field(out, &LOG_NUMBER("lines_lost", lost));
        writer_lit(out, "}\n");
        ssize_t ignored = write(STDERR_FILENO, out->base, out->len); /* nowhere to complain */
        (void)ignored;
        lost = 0;
    } else {
        lost++;
        dropped++;
    }
    pthread_mutex_unlock(&mutex);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
    static const char *const levels[] = {"info", "warn", "error"};
    char line[LOG_LINE_MAX];
    struct writer out;
    writer_init(&out, line, sizeof line - LOST_LEN);
    writer_lit(&out, "{\"time\":\"");
    write_time(&out);
    writer_lit(&out, "\",\"level\":\"");
    writer_put(&out, span_of(levels[level]));
    writer_lit(&out, "\",\"event\":\"");
    writer_put(&out, span_of(event));
    writer_char(&out, '"');
    for (size_t i = 0; i < count && !out.overflow; i++)
        write_field(&out, &fields[i]);
    send_line(&out);
}

/* A thread's allowance: `next_ms` is when it would be whole again (GCRA). */
static _Thread_local struct {
    int64_t next_ms, told_ms;
    int64_t left_out;
} allowance;

static bool take_allowance(int64_t now_ms)
{
    if (allowance.next_ms < now_ms) allowance.next_ms = now_ms;
    if (allowance.next_ms - now_ms > (LOG_BURST - 1) * INTERVAL_MS) return false;
    allowance.next_ms += INTERVAL_MS;
    return true;
}

void log_write_bounded(enum log_level level, const char *event, const struct log_field *fields,
                       size_t count)
{
    if (take_allowance(clock_mono_ms()))
        log_write(level, event, fields, count);
    else
        allowance.left_out++;
}

void log_tell_left_out(bool is_end)
{
    if (!allowance.left_out) return;
    int64_t now_ms = clock_mono_ms();
    if (!is_end && now_ms - allowance.told_ms < TELL_MS) return;
    log_event(LOG_WARN, "lines_left_out", LOG_NUMBER("count", allowance.left_out));
    pthread_mutex_lock(&mutex);
    dropped += (uint64_t)allowance.left_out;
    pthread_mutex_unlock(&mutex);
    allowance.left_out = 0;
    allowance.told_ms = now_ms;
}

uint64_t log_dropped(void)
{
    pthread_mutex_lock(&mutex);
    uint64_t count = dropped;
    pthread_mutex_unlock(&mutex);
    return count;
}
