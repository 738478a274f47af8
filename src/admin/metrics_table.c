#include "admin/metrics_page.h"

enum { LABELS_MAX = 160 };

/* ---- with labels ---- */

static void put_label(struct writer *out, const char *name, struct span value)
{
    if (out->len) writer_char(out, ',');
    writer_put(out, span_of(name));
    writer_lit(out, "=\"");
    writer_put(out, value); /* names of ours: nothing in them is escaped */
    writer_char(out, '"');
}

static struct span one_label(char memory[LABELS_MAX], const char *name, struct span value)
{
    struct writer out;
    writer_init(&out, memory, LABELS_MAX);
    put_label(&out, name, value);
    return writer_text(&out);
}

static void write_build(struct metrics_page *page, const struct metric *metric)
{
    char memory[LABELS_MAX];
    metrics_line(page, metric, "_info", one_label(memory, "version", SPAN(ADTALLY_VERSION)), 1);
}

static void write_requests_of(struct metrics_page *page, const struct metric *metric, size_t route)
{
    const uint64_t *counts = page->sample->api.routes[route].requests;
    for (unsigned i = 0; i < DISPOSITION_COUNT; i++) {
        char memory[LABELS_MAX];
        struct writer labels;
        if (!counts[i]) continue;
        writer_init(&labels, memory, sizeof memory);
        put_label(&labels, "route", api_route_name(route));
        put_label(&labels, "outcome", span_of(disposition_label(i)));
        metrics_line(page, metric, "_total", writer_text(&labels), (int64_t)counts[i]);
    }
}

static void write_requests(struct metrics_page *page, const struct metric *metric)
{
    for (size_t route = 0; route < API_ROUTES_COUNT; route++)
        write_requests_of(page, metric, route);
}

static void write_latency(struct metrics_page *page, const struct metric *metric)
{
    for (size_t route = 0; route < API_ROUTES_COUNT; route++) {
        const struct histogram *latency_us = &page->sample->api.routes[route].latency_us;
        char memory[LABELS_MAX];
        uint64_t count = 0;
        for (unsigned i = 0; i < METRICS_BUCKETS; i++)
            count += latency_us->buckets[i];
        if (count)
            metrics_line_histogram(page, metric, one_label(memory, "route", api_route_name(route)),
                                   latency_us, METRICS_TIME_SHIFT);
    }
}

static void write_http_refused(struct metrics_page *page, const struct metric *metric)
{
    const struct http_stats *http = &page->sample->api.http;
    const struct {
        struct span reason;
        uint64_t count;
    } rows[] = {{SPAN("framing"), http->refused_framing},
                {SPAN("no_room"), http->refused_large},
                {SPAN("timeout"), http->timeouts}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char memory[LABELS_MAX];
        metrics_line(page, metric, "_total", one_label(memory, "reason", rows[i].reason),
                     (int64_t)rows[i].count);
    }
}

static void write_index_entries(struct metrics_page *page, const struct metric *metric)
{
    const struct store_stats *store = &page->sample->ledger.store;
    char memory[LABELS_MAX];
    metrics_line(page, metric, "", one_label(memory, "index", SPAN("clicks")),
                 (int64_t)store->clicks_indexed);
    metrics_line(page, metric, "", one_label(memory, "index", SPAN("keys")),
                 (int64_t)store->keys_indexed);
}

/* ---- sinks: what adtally-sinks wrote, held against the sequences there are now ---- */

static uint64_t last_sequence(const struct metrics_sample *sample)
{
    uint64_t next = sample->ledger.store.sequence_next;
    return next ? next - 1 : 0;
}

typedef int64_t sink_value(const struct metrics_sample *sample, const struct sink_status *sink);

static void write_sinks(struct metrics_page *page, const struct metric *metric, sink_value *value)
{
    const char *suffix = metric->type == METRIC_COUNTER ? "_total" : "";
    for (unsigned i = 0; i < page->sample->sinks_count; i++) {
        const struct sink_status *sink = &page->sample->sinks[i];
        char memory[LABELS_MAX];
        metrics_line(page, metric, suffix, one_label(memory, "sink", span_of(sink->name)),
                     value(page->sample, sink));
    }
}

#define SINK_VALUE(name, expression)                                                               \
    static int64_t name(const struct metrics_sample *sample, const struct sink_status *sink)       \
    {                                                                                              \
        return (int64_t)(expression);                                                              \
    }                                                                                              \
    static void write_##name(struct metrics_page *page, const struct metric *metric)               \
    {                                                                                              \
        write_sinks(page, metric, name);                                                           \
    }

SINK_VALUE(sink_lag, sink_lag_events(sink, last_sequence(sample)))
SINK_VALUE(sink_lag_time, sink_lag_ms(sink, last_sequence(sample), sample->read_at_ms) * 1000)
SINK_VALUE(sink_sent, sink->sent)
SINK_VALUE(sink_failed, sink->failed)
SINK_VALUE(sink_dead_letters, sink->dead_letters)
SINK_VALUE(sink_disabled, sink->is_disabled)

static void write_batch_size(struct metrics_page *page, const struct metric *metric)
{
    metrics_line_histogram(page, metric, SPAN_NONE, &page->sample->ledger.batch_size,
                           METRICS_COUNT_SHIFT);
}

static void write_batch_time(struct metrics_page *page, const struct metric *metric)
{
    metrics_line_histogram(page, metric, SPAN_NONE, &page->sample->ledger.batch_us,
                           METRICS_TIME_SHIFT);
}

static void write_commit_time(struct metrics_page *page, const struct metric *metric)
{
    metrics_line_histogram(page, metric, SPAN_NONE, &page->sample->ledger.commit_us,
                           METRICS_TIME_SHIFT);
}

/* ---- one number ---- */

#define VALUE(name, expression)                                                                    \
    static int64_t name(const struct metrics_sample *sample)                                       \
    {                                                                                              \
        return (int64_t)(expression);                                                              \
    }

VALUE(connections, sample->api.http.conns_open)
VALUE(connections_accepted, sample->api.http.conns_accepted)
VALUE(healthy, sample->is_healthy)
VALUE(operations, sample->ledger.ops)
VALUE(batches_failed, sample->ledger.batches_failed)
VALUE(queue_length, sample->ledger.queue_length)
VALUE(queue_refused, sample->ledger.queue_full)
VALUE(index_bytes, sample->ledger.store.index_bytes)
VALUE(wal_bytes, sample->ledger.store.wal_bytes)
VALUE(rebuild_time, sample->ledger.store.rebuild_ms * 1000)
VALUE(rebuild_rows, sample->ledger.store.rebuilt_count)
VALUE(log_lines_dropped, sample->log_dropped)
VALUE(cpu_time, sample->process.cpu_us)
VALUE(resident_bytes, sample->process.resident_bytes)
VALUE(virtual_bytes, sample->process.virtual_bytes)
VALUE(open_fds, sample->process.open_fds)
VALUE(max_fds, sample->process.max_fds)
VALUE(started_at, sample->process.started_at_ms * 1000)

/* clang-format off */
const struct metric metrics_table[] = {
    {"adtally_build", METRIC_INFO, NULL, "version", "The running program.", .write = write_build},
    {"adtally_healthy", METRIC_GAUGE, NULL, NULL,
     "1 while the store takes writes, 0 while it refuses them.", healthy},
    {"adtally_requests", METRIC_COUNTER, NULL, "route, outcome",
     "Requests answered, by what became of them: recorded, duplicate, answered (nothing to record), capped and unrecorded (redirected without click id), or the reason of the refusal.",
     .write = write_requests},
    {"adtally_request_duration_seconds", METRIC_HISTOGRAM, "seconds", "route",
     "From the complete request to its answer.", .write = write_latency},
    {"adtally_http_refused", METRIC_COUNTER, NULL, "reason",
     "Requests that reached no route: malformed or too large, no room for a large body, too slow.",
     .write = write_http_refused},
    {"adtally_connections", METRIC_GAUGE, NULL, NULL, "Open connections of the public listener.",
     connections},
    {"adtally_connections_accepted", METRIC_COUNTER, NULL, NULL,
     "Connections of the public listener since the start.", connections_accepted},
    {"adtally_operations", METRIC_COUNTER, NULL, NULL,
     "Operations that the ledger decided, commands included.", operations},
    {"adtally_batch_size", METRIC_HISTOGRAM, NULL, NULL, "Operations made durable by one commit.",
     .write = write_batch_size},
    {"adtally_batch_duration_seconds", METRIC_HISTOGRAM, "seconds", NULL,
     "Deciding a batch and making it durable.", .write = write_batch_time},
    {"adtally_commit_duration_seconds", METRIC_HISTOGRAM, "seconds", NULL,
     "Of that, writing the log of the database and syncing it to the disk.",
     .write = write_commit_time},
    {"adtally_batches_failed", METRIC_COUNTER, NULL, NULL,
     "Batches that were taken back; their requests were refused as unavailable.", batches_failed},
    {"adtally_queue_length", METRIC_GAUGE, NULL, NULL, "Operations that wait for the ledger now.",
     queue_length},
    {"adtally_queue_refused", METRIC_COUNTER, NULL, NULL,
     "Operations refused since the queue was full.", queue_refused},
    {"adtally_index_entries", METRIC_GAUGE, NULL, "index",
     "What is remembered in memory: clicks, and the keys of everything else that counts once.",
     .write = write_index_entries},
    {"adtally_index_bytes", METRIC_GAUGE, "bytes", NULL, "Memory of these indexes.", index_bytes},
    {"adtally_wal_bytes", METRIC_GAUGE, "bytes", NULL,
     "The database's log that was not yet moved into it; grows while a reader holds it.", wal_bytes},
    {"adtally_rebuild_duration_seconds", METRIC_GAUGE, "seconds", NULL,
     "What the last start took to fill the indexes.", rebuild_time},
    {"adtally_rebuild_rows", METRIC_GAUGE, NULL, NULL, "Rows that it read for that.", rebuild_rows},
    {"adtally_log_lines_dropped", METRIC_COUNTER, NULL, NULL,
     "Lines of the log that were not written: nobody read, or too many a second.",
     log_lines_dropped},
    {"adtally_sink_lag_events", METRIC_GAUGE, NULL, "sink",
     "Events recorded and not yet acknowledged by the sink; those its filters leave out count until they were looked at.",
     .write = write_sink_lag},
    {"adtally_sink_lag_seconds", METRIC_GAUGE, "seconds", "sink",
     "Since when the oldest of them waits.", .write = write_sink_lag_time},
    {"adtally_sink_sent", METRIC_COUNTER, NULL, "sink",
     "Events that the sink acknowledged since adtally-sinks started.", .write = write_sink_sent},
    {"adtally_sink_failed", METRIC_COUNTER, NULL, "sink",
     "Attempts that failed since then; they are made again.", .write = write_sink_failed},
    {"adtally_sink_dead_letters", METRIC_GAUGE, NULL, "sink",
     "Events that a webhook was not able to deliver, kept for `adtally-sinks replay`.",
     .write = write_sink_dead_letters},
    {"adtally_sink_disabled", METRIC_GAUGE, NULL, "sink",
     "1 after the receiver answered 410 Gone.", .write = write_sink_disabled},
    {"process_cpu_seconds", METRIC_COUNTER, "seconds", NULL, "Processor time used.", cpu_time},
    {"process_resident_memory_bytes", METRIC_GAUGE, "bytes", NULL, "Memory in use.",
     resident_bytes},
    {"process_virtual_memory_bytes", METRIC_GAUGE, "bytes", NULL,
     "Address space, most of it reserved and never touched.", virtual_bytes},
    {"process_open_fds", METRIC_GAUGE, NULL, NULL, "Open file descriptors.", open_fds},
    {"process_max_fds", METRIC_GAUGE, NULL, NULL, "The most there may be.", max_fds},
    {"process_start_time_seconds", METRIC_GAUGE, "seconds", NULL, "When it started, Unix time.",
     started_at},
};
/* clang-format on */

const size_t metrics_table_count = sizeof metrics_table / sizeof metrics_table[0];
