#pragma once

#include "admin/admin.h"
#include "admin/process.h"
#include "store/sinks.h"

#include <stdbool.h>

/* GET /metrics: one table of metrics, from which come the page and docs/metrics.md. */

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_INFO };

/* What a page is made from, read once. */
struct metrics_sample {
    struct api_stats api;
    struct ledger_stats ledger;
    struct process_stats process;
    uint64_t log_dropped;
    bool is_healthy;
    int64_t read_at_ms; /* wall clock */
    unsigned sinks_count;
    struct sink_status sinks[SINKS_MAX]; /* what adtally-sinks said last */
};

struct metrics_page {
    struct writer *out;
    const struct metrics_sample *sample;
    bool is_openmetrics; /* else the older text format of Prometheus, 0.0.4 */
};

struct metric {
    const char *name; /* without the _total of counters and the _info of infos */
    enum metric_type type;
    const char *unit; /* the end of its name, else NULL; of seconds the value is in microseconds */
    const char *labels; /* for the documentation, else NULL */
    const char *help;
    int64_t (*value)(const struct metrics_sample *sample); /* one sample without labels */
    void (*write)(struct metrics_page *page, const struct metric *metric); /* else */
};

extern const struct metric metrics_table[];
extern const size_t metrics_table_count;

void metrics_sample_read(struct metrics_sample *sample, struct admin *admin);
void metrics_page_write(struct metrics_page *page);

/* For write functions: a line `name labels value`; labels without braces, NULL: none. */
void metrics_line(struct metrics_page *page, const struct metric *metric, const char *suffix,
                  struct span labels, int64_t value);
void metrics_line_histogram(struct metrics_page *page, const struct metric *metric,
                            struct span labels, const struct histogram *histogram, unsigned shift);

/* The table as rows of Markdown, for docs/metrics.md. */
void metrics_write_markdown(struct writer *out);
