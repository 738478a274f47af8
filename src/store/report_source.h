#pragma once

#include "base/err.h"
#include "store/event_row.h"
#include "store/report.h"

#include <stdint.h>

/* Rows for reports, out of an engine that is no file of SQLite's: what is asked for is copied
 * beside the sums, and folded there like rows of a file
 * (docs/decisions/0015-reports-over-postgres.md). */

/* Tables, each with these columns, in this order. Ids: advertiser_id, publisher_id, campaign_id,
 * product_id, placement. */
enum report_rows {
    REPORT_IMPRESSIONS,  /* seq, recorded_at_ms, ids, price, currency, pricing, flags */
    REPORT_CLICKS,       /* the same */
    REPORT_CONVERSIONS,  /* seq, recorded_at_ms, click_seq, currency, value_units, value_nanos */
    REPORT_FEEDBACKS,    /* seq, recorded_at_ms, impression_seq, feedback_type, feedback_text */
    REPORT_AD_FEEDBACKS, /* seq, recorded_at_ms, ids, bid_id, sent_session_id, sentiment, reasons,
                            comment */
    REPORT_VOTES,        /* seq, recorded_at_ms, ids, poll_id, option_id */
    REPORT_POLL_ROWS,    /* poll_id, question */
    REPORT_OPTIONS,      /* poll_id, position, option_id, text */
    REPORT_COUNTS,       /* poll_id, option_id, votes: counted elsewhere */
    REPORT_TABLES,
};

/* Takes one row; texts are borrowed for the call. A row may come twice. */
struct report_taker {
    enum err (*take)(void *arg, enum report_rows table, const struct row_cell cells[], int count);
    void *arg;
};

struct report_source;
struct report_source_engine {
    void (*close)(struct report_source *source);

    /* Up to here everything is final: no smaller sequence will come any more. Never less than
     * before. */
    enum err (*last)(struct report_source *source, int64_t *last);

    /* Events of (after, last] that reports count, `max` at most. */
    enum err (*count)(struct report_source *source, int64_t after, int64_t last, int64_t max,
                      int64_t *events);

    /* The sequence of an event: of no table are more than `events` in (after, end]. `after`: there
     * is none up to `last`. */
    enum err (*step)(struct report_source *source, int64_t after, int64_t last, int64_t events,
                     int64_t *end);

    /* As report_row and report_read_removed in sqlite/report.h. */
    enum err (*row)(struct report_source *source, int64_t sequence, int64_t *row);
    enum err (*removed)(struct report_source *source, int64_t *below);

    /* All reads between the two are of one moment. */
    enum err (*begin)(struct report_source *source);
    void (*end)(struct report_source *source);

    /* Events of (after, last], and the clicks and impressions that they belong to. */
    enum err (*events)(struct report_source *source, int64_t after, int64_t last,
                       const struct report_taker *taker);

    /* Ad-feedback of these sequences. */
    enum err (*opinions)(struct report_source *source, const int64_t *sequences, size_t count,
                         const struct report_taker *taker);
    enum err (*polls)(struct report_source *source, const struct report_taker *taker);

    /* The latest feedback with a text that fits the query, and ad-feedback with one: `limit` at
     * most, with sequences below `before`. */
    enum err (*texts)(struct report_source *source, const struct report_query *query,
                      const struct report_taker *taker);
    enum err (*ad_texts)(struct report_source *source, const struct report_query *query,
                         int64_t before, int64_t limit, const struct report_taker *taker);

    /* One ad-feedback whose session an erasure renamed, if there is one. */
    enum err (*erased)(struct report_source *source, const struct report_taker *taker);
};

struct report_source {
    const struct report_source_engine *engine;
};

/* store/postgres. `problem` as in store_open; `url` stays the caller's. */
enum err pg_report_source_open(struct report_source **out, const char *url,
                               char problem[STORE_PROBLEM_MAX]);
