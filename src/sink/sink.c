#include "sink/sink.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

enum { STATUS_MS = 1000, AGAIN_MS = 1000, TELL_MS = 60000 };

static const struct sink_driver *const drivers[SINK_TYPES] = {
    [SINK_HTTP] = &sink_http, [SINK_NATS] = &sink_nats, [SINK_KAFKA] = &sink_kafka};

void sink_tell(struct sink *sink, const char *problem)
{
    int64_t now_ms = clock_mono_ms();
    bool is_same = problem && strcmp(problem, sink->told) == 0;
    if (!problem && sink->told[0])
        log_event(LOG_INFO, "sink_recovered", LOG_TEXT("sink", span_of(sink->config->name)));
    if (problem && !(is_same && now_ms < sink->problem_told_at_ms + TELL_MS)) {
        log_event(LOG_WARN, "sink_failing", LOG_TEXT("sink", span_of(sink->config->name)),
                  LOG_TEXT("reason", span_of(problem)),
                  LOG_TEXT("consequence", SPAN("it is tried again; events wait in the database")));
        sink->problem_told_at_ms = now_ms;
    }
    snprintf(sink->told, sizeof sink->told, "%s", problem ? problem : "");
}

static void write_status(struct sink *sink)
{
    int64_t now_ms = clock_mono_ms();
    if (sink->told_at_ms && now_ms < sink->told_at_ms + STATUS_MS) return;
    sink->told_at_ms = now_ms;
    uint64_t last = 0;
    if (sink->feed && !store_feed_last(sink->feed, &last)) sink->status.last_sequence = last;
    sink->status.sequence = sink->state.sequence;
    sink->status.is_disabled = sink->state.is_disabled;
    sink->status.updated_at_ms = clock_wall_ms();
    sink_status_write(sink->dir_fd, &sink->status);
}

bool sink_rest(struct sink *sink, int64_t ms)
{
    write_status(sink);
    return worker_rest(&sink->worker, ms);
}

void sink_advance(struct sink *sink, uint64_t sequence)
{
    if (sequence == sink->state.sequence) return;
    sink->state.sequence = sequence;
    store_feed_receipt(sink->feed, sequence, sink->state.receipt);
    sink->is_uncommitted = true;
}

bool sink_commit(struct sink *sink, int64_t interval_ms)
{
    int64_t now_ms = clock_mono_ms();
    if (!sink->is_uncommitted || now_ms < sink->committed_at_ms + interval_ms) return true;
    sink->committed_at_ms = now_ms;
    if (state_write(&sink->state, sink->dir_fd, sink->config->name)) {
        sink->is_uncommitted = false;
        return true;
    }
    sink_tell(sink, "its cursor cannot be written: make room on the disk of the data directory");
    return false;
}

void sink_enable(struct sink *sink)
{
    sink->state.is_disabled = false;
    sink->is_uncommitted = true;
    sink->committed_at_ms = sink->told_at_ms = 0;
}

void sink_disable(struct sink *sink)
{
    sink->state.is_disabled = sink->is_uncommitted = true;
    sink->committed_at_ms = sink->told_at_ms = 0;         /* neither waits */
    wish_end(sink->dir_fd, sink->config->name, "enable"); /* of before */
    log_event(LOG_ERROR, "sink_disabled", LOG_TEXT("sink", span_of(sink->config->name)),
              LOG_TEXT("reason", SPAN("the receiver answers 410 Gone")),
              LOG_TEXT("advice", SPAN("correct its url, then adtally-sinks enable")));
}

static bool passes(const struct sink_config *config, const struct store_feed_event *event)
{
    return config->tables >> event->table & 1 &&
           (!config->partner.ptr || span_eq(config->partner, event->partner_id)) &&
           (!config->campaign.ptr || span_eq(config->campaign, event->campaign_id));
}

bool sink_read(struct sink *sink, uint64_t *cursor, size_t cap, size_t *count)
{
    char problem[STORE_PROBLEM_MAX];
    size_t found = 0;
    *count = 0;
    enum err err =
        store_feed_read(sink->feed, cursor, UINT64_MAX, sink->events, cap, &found, problem);
    if (err) sink_tell(sink, problem);
    for (size_t i = 0; i < found; i++)
        if (passes(sink->config, &sink->events[i])) sink->events[(*count)++] = sink->events[i];
    return !err;
}

/* Whether the cursor is one of this data: not of another directory, and not ahead of a backup that
 * was restored. */
static const char *check_cursor(struct sink *sink, uint64_t last)
{
    uint64_t named = 0;
    if (sink->state.sequence == 0) return NULL;
    if (!store_feed_sequence(sink->feed, span_of(sink->state.receipt), &named) ||
        named != sink->state.sequence)
        return "its cursor is of another data directory: remove sinks/NAME.cursor to send "
               "everything";
    if (named > last)
        return "its cursor is ahead of the data: was a backup restored? Remove sinks/NAME.cursor to"
               " send everything again";
    return NULL;
}

static bool open_feed(struct sink *sink)
{
    char problem[STORE_PROBLEM_MAX];
    uint64_t last = 0;
    if (store_feed_open(&sink->feed, sink->dir, sink->url, problem) ||
        store_feed_last(sink->feed, &last)) {
        sink_tell(sink, sink->feed ? "the database cannot be read" : problem);
        return false;
    }
    if (sink->state.is_new) {
        sink_advance(sink, sink->config->begins_now ? last : 0);
        store_feed_receipt(sink->feed, sink->state.sequence, sink->state.receipt);
        sink->state.is_new = false;
        sink->is_uncommitted = true;
    }
    const char *wrong = check_cursor(sink, last);
    if (wrong) sink_tell(sink, wrong);
    return !wrong && sink_commit(sink, 0);
}

static void follow(struct sink *sink)
{
    char problem[STATE_PROBLEM_MAX];
    if (!state_read(&sink->state, sink->dir_fd, sink->config->name, problem)) {
        sink_tell(sink, problem);
    } else if (open_feed(sink)) {
        sink->status.waiting = sink->state.waiting_count;
        sink->told_at_ms = 0;
        write_status(sink);
        if (sink->config->type == SINK_WEBHOOK)
            webhook_follow(sink);
        else
            batches_follow(sink, drivers[sink->config->type]);
        sink_commit(sink, 0);
    }
    store_feed_close(sink->feed);
    sink->feed = NULL;
}

void *sink_run(void *arg)
{
    struct sink *sink = arg;
    sink->status.dead_letters = dead_count(sink->dir_fd, sink->config->name);
    snprintf(sink->status.name, sizeof sink->status.name, "%s", sink->config->name);
    do {
        follow(sink);
        sink->told_at_ms = 0;
        write_status(sink);
        state_free(&sink->state);
    } while (sink_rest(sink, AGAIN_MS));
    return NULL;
}
