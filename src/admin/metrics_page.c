#include "admin/metrics_page.h"

#include "admin/web_pages.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

/* The two formats differ in three things: what a counter is called in the lines about it, units,
 * and the end. */

static const char *const types[] = {[METRIC_COUNTER] = "counter",
                                    [METRIC_GAUGE] = "gauge",
                                    [METRIC_HISTOGRAM] = "histogram",
                                    [METRIC_INFO] = "info"};

static const char *suffix_of(const struct metric *metric)
{
    return metric->type == METRIC_COUNTER ? "_total" : metric->type == METRIC_INFO ? "_info" : "";
}

static bool is_seconds(const struct metric *metric)
{
    return metric->unit && strcmp(metric->unit, "seconds") == 0;
}

static void write_value(struct writer *out, const struct metric *metric, int64_t value)
{
    char text[32];
    if (!is_seconds(metric)) {
        writer_i64(out, value);
        return;
    }
    snprintf(text, sizeof text, "%lld.%06lld", (long long)(value / 1000000),
             (long long)(value % 1000000));
    writer_put(out, span_of(text));
}

static void write_name(struct writer *out, const struct metric *metric, const char *suffix,
                       struct span labels)
{
    writer_put(out, span_of(metric->name));
    writer_put(out, span_of(suffix));
    if (!labels.len) return;
    writer_char(out, '{');
    writer_put(out, labels);
    writer_char(out, '}');
}

void metrics_line(struct metrics_page *page, const struct metric *metric, const char *suffix,
                  struct span labels, int64_t value)
{
    write_name(page->out, metric, suffix, labels);
    writer_char(page->out, ' ');
    write_value(page->out, metric, value);
    writer_char(page->out, '\n');
}

static void write_bucket(struct metrics_page *page, const struct metric *metric, struct span labels,
                         unsigned bucket, unsigned shift, uint64_t count)
{
    struct writer *out = page->out;
    writer_put(out, span_of(metric->name));
    writer_lit(out, "_bucket{");
    writer_put(out, labels);
    if (labels.len) writer_char(out, ',');
    writer_lit(out, "le=\"");
    if (bucket + 1 == METRICS_BUCKETS)
        writer_lit(out, "+Inf");
    else
        write_value(out, metric, INT64_C(1) << (bucket + shift));
    /* What is counted is a float too in OpenMetrics. */
    if (bucket + 1 < METRICS_BUCKETS && !is_seconds(metric)) writer_lit(out, ".0");
    writer_lit(out, "\"} ");
    writer_u64(out, count);
    writer_char(out, '\n');
}

void metrics_line_histogram(struct metrics_page *page, const struct metric *metric,
                            struct span labels, const struct histogram *histogram, unsigned shift)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
        count += histogram->buckets[i];
        write_bucket(page, metric, labels, i, shift, count);
    }
    metrics_line(page, metric, "_sum", labels, (int64_t)histogram->sum);
    write_name(page->out, metric, "_count", labels);
    writer_char(page->out, ' ');
    writer_u64(page->out, count);
    writer_char(page->out, '\n');
}

/* "# TYPE name text" */
static void write_about(struct metrics_page *page, const struct metric *metric, const char *what,
                        const char *text)
{
    struct writer *out = page->out;
    writer_lit(out, "# ");
    writer_put(out, span_of(what));
    writer_char(out, ' ');
    writer_put(out, span_of(metric->name));
    if (!page->is_openmetrics) writer_put(out, span_of(suffix_of(metric)));
    writer_char(out, ' ');
    writer_put(out, span_of(text));
    writer_char(out, '\n');
}

static const char *type_of(const struct metrics_page *page, const struct metric *metric)
{
    bool is_unknown = metric->type == METRIC_INFO && !page->is_openmetrics;
    return types[is_unknown ? METRIC_GAUGE : metric->type];
}

static void write_metric(struct metrics_page *page, const struct metric *metric)
{
    write_about(page, metric, "TYPE", type_of(page, metric));
    if (metric->unit && page->is_openmetrics) write_about(page, metric, "UNIT", metric->unit);
    write_about(page, metric, "HELP", metric->help);
    if (metric->value)
        metrics_line(page, metric, suffix_of(metric), SPAN_NONE, metric->value(page->sample));
    else
        metric->write(page, metric);
}

void metrics_page_write(struct metrics_page *page)
{
    for (size_t i = 0; i < metrics_table_count; i++)
        write_metric(page, &metrics_table[i]);
    if (page->is_openmetrics) writer_lit(page->out, "# EOF\n");
}

void metrics_sample_read(struct metrics_sample *sample, struct admin *admin)
{
    api_stats_read(admin->api, &sample->api);
    ledger_stats(admin->ledger, &sample->ledger);
    process_read(admin->process, &sample->process);
    sample->log_dropped = log_dropped();
    sample->is_healthy = ledger_is_healthy(admin->ledger);
    sample->read_at_ms = clock_wall_ms();
    sample->sinks_count = sink_statuses_read(admin->dir, sample->sinks);
}

/* OpenMetrics unless what asks names only the older format, as promtool's users do. */
static bool wants_openmetrics(const struct http_request *http)
{
    struct span accept = SPAN_NONE;
    bool has_text = false;
    if (http_request_header(http, SPAN("accept"), &accept) != 1) return true;
    while (accept.ptr) {
        struct span kind = span_split(&accept, ',');
        kind = span_trim(span_split(&kind, ';'));
        if (span_eq_nocase(kind, SPAN("application/openmetrics-text"))) return true;
        has_text |= span_eq_nocase(kind, SPAN("text/plain"));
    }
    return !has_text;
}

void metrics_handle(struct web_request *request)
{
    struct metrics_sample sample;
    struct writer out;
    struct metrics_page page = {
        .out = &out, .sample = &sample, .is_openmetrics = wants_openmetrics(request->http)};
    metrics_sample_read(&sample, request->admin);
    web_writer(request, &out);
    metrics_page_write(&page);
    web_respond(request, 200,
                page.is_openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                    : "text/plain; version=0.0.4; charset=utf-8",
                writer_text(&out));
}

void metrics_write_markdown(struct writer *out)
{
    writer_lit(out, "| metric | type | labels | what it is |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < metrics_table_count; i++) {
        const struct metric *metric = &metrics_table[i];
        writer_lit(out, "| `");
        writer_put(out, span_of(metric->name));
        writer_put(out, span_of(suffix_of(metric)));
        writer_lit(out, "` | ");
        writer_put(out, span_of(types[metric->type]));
        writer_lit(out, " | ");
        writer_put(out, span_of(metric->labels ? metric->labels : ""));
        writer_lit(out, " | ");
        writer_put(out, span_of(metric->help));
        writer_lit(out, " |\n");
    }
}
