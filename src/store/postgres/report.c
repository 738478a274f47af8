#include "store/checksum.h"
#include "store/postgres/merge.h"
#include "store/postgres/pg.h"
#include "store/postgres/result.h"
#include "store/report_source.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What reports read of the database: ranges of sequences, each by the index of `seq`. Sums are made
 * where they are kept (store/sqlite/report_copied.c), since grouping a few thousand events of as
 * many ads would cost the database more than it would spare the way. */

/* A server's other pages wait for the first. */
enum { CONNECT_MS = 5 * 1000, TIMEOUT_MS = 60 * 1000 };
enum { CELLS_MAX = 16, EVENT_CELLS = 5, IMPRESSION_CELLS = 11 };

struct pg_source {
    struct report_source source;
    struct pg_connection connection;
    struct pg_params params;
};

static struct pg_source *source_of(struct report_source *source)
{
    return (struct pg_source *)(void *)source;
}

static void close_source(struct report_source *base)
{
    struct pg_source *source = source_of(base);
    pg_disconnect(&source->connection);
    pg_params_fini(&source->params);
    free(source);
}

#define IDS(t)                                                                                     \
    t ".advertiser_id, " t ".publisher_id, " t ".campaign_id, " t ".product_id, " t ".placement"
#define PRICED(t)                                                                                  \
    "SELECT " t ".seq, " t ".recorded_at_ms, " IDS(t) ", " t ".price, " t ".currency, " t          \
                                                      ".pricing, " t ".flags FROM "
#define RATED                                                                                      \
    "SELECT f.seq, f.recorded_at_ms, " IDS("f") ", f.bid_id, f.sent_session_id, f.sentiment,"      \
                                                " f.reasons, f.comment FROM ad_feedback AS f"
#define IN_RANGE "seq > $1::bigint AND seq <= $2::bigint"
/* Of earlier and, as lanes have sequences of their own, of later ones. */
#define BESIDE_RANGE "(seq <= $1::bigint OR seq > $2::bigint)"

static const struct read {
    enum report_rows table;
    const char *sql;
} event_reads[] = {
    {REPORT_IMPRESSIONS, PRICED("i") "impression AS i WHERE " IN_RANGE},
    {REPORT_CLICKS, PRICED("c") "click AS c WHERE " IN_RANGE},
    {REPORT_CONVERSIONS, "SELECT seq, recorded_at_ms, click_seq, currency, value_units, value_nanos"
                         " FROM conversion WHERE " IN_RANGE},
    {REPORT_CLICKS,
     PRICED("c") "click AS c WHERE " BESIDE_RANGE
                 " AND seq IN (SELECT click_seq FROM conversion WHERE " IN_RANGE ")"},
    {REPORT_FEEDBACKS, "SELECT seq, recorded_at_ms, impression_seq, feedback_type, NULL::text"
                       " FROM feedback WHERE " IN_RANGE},
    {REPORT_IMPRESSIONS, PRICED("i") "impression AS i WHERE " BESIDE_RANGE
                                     " AND seq IN (SELECT impression_seq FROM feedback"
                                     " WHERE " IN_RANGE ")"},
    {REPORT_AD_FEEDBACKS, RATED " WHERE " IN_RANGE},
    {REPORT_VOTES, "SELECT seq, recorded_at_ms, " IDS("v") ", poll_id, option_id"
                                                           " FROM vote AS v WHERE " IN_RANGE},
};

static const struct read poll_reads[] = {
    {REPORT_POLL_ROWS, "SELECT poll_id, question FROM poll"},
    {REPORT_OPTIONS, "SELECT poll_id, position, option_id, text FROM poll_option"},
    {REPORT_COUNTS, "SELECT poll_id, option_id, votes FROM poll_count"},
};

/* $1 to $5: ids, $6: from, $7: to (not in it), $8: flagged are left out, $9: before, $10: limit. */
enum { FILTERED_PARAMS = 10 };
#define FITS(t, column, n)                                                                         \
    " AND ($" n "::text[] IS NULL OR coalesce(" t "." column ", '') = ANY ($" n "::text[]))"
#define FITTING(t)                                                                                 \
    FITS(t, "advertiser_id", "1")                                                                  \
    FITS(t, "publisher_id", "2")                                                                   \
    FITS(t, "campaign_id", "3") FITS(t, "product_id", "4") FITS(t, "placement", "5")
#define LATEST                                                                                     \
    " AND f.recorded_at_ms >= $6::bigint AND f.recorded_at_ms < $7::bigint"                        \
    " AND f.seq < $9::bigint ORDER BY f.seq DESC LIMIT $10::bigint"

static const char texts_sql[] =
    "SELECT f.seq, f.recorded_at_ms, f.impression_seq, f.feedback_type, f.feedback_text,"
    " i.seq, i.recorded_at_ms, " IDS(
        "i") ", i.price, i.currency, i.pricing, i.flags"
             " FROM feedback AS f LEFT JOIN impression AS i ON i.seq = f.impression_seq"
             " WHERE f.feedback_text IS NOT NULL AND ($8::bigint = 0 OR coalesce(i.flags, 0) = "
             "0)" FITTING("i") LATEST;
static const char ad_texts_sql[] =
    RATED " WHERE f.comment IS NOT NULL AND $8::bigint IS NOT NULL" FITTING("f") LATEST;

static enum err failed(struct pg_source *source, enum pg_failure failure)
{
    return failure && source->params.is_out_of_memory ? ERR_NO_MEMORY : pg_err(failure);
}

static enum err take(const struct report_taker *taker, enum report_rows table,
                     const PGresult *result, int row, int first, int count)
{
    struct row_cell cells[CELLS_MAX];
    pg_get_cells(result, row, first, count, cells);
    return taker->take(taker->arg, table, cells, count);
}

static enum err take_all(const struct report_taker *taker, enum report_rows table,
                         const PGresult *result)
{
    enum err err = ERR_OK;
    for (int row = 0; row < pg_rows(result) && !err; row++)
        err = take(taker, table, result, row, 0, PQnfields(result));
    return err;
}

/* In one round trip. */
static enum err read_all(struct pg_source *source, const struct read reads[], size_t count,
                         const struct pg_params *params, const struct report_taker *taker)
{
    enum err err = ERR_OK;
    for (size_t i = 0; i < count; i++)
        pg_send(&source->connection, reads[i].sql, params);
    pg_flush(&source->connection);
    for (size_t i = 0; i < count; i++) {
        PGresult *result = pg_result(&source->connection);
        if (!err) err = take_all(taker, reads[i].table, result);
        PQclear(result);
    }
    enum pg_failure failure = pg_finish(&source->connection);
    return err ? err : failed(source, failure);
}

static void set_range(struct pg_source *source, int64_t after, int64_t last, int more)
{
    pg_params_reset(&source->params, 2 + more);
    pg_set_i64(&source->params, 0, after);
    pg_set_i64(&source->params, 1, last);
}

/* Not in the middle of a transaction: a connection that is lost is made anew. */
static enum err query_i64(struct pg_source *source, const char *sql, const struct pg_params *params,
                          int64_t *value)
{
    PGresult *row;
    enum pg_failure failure = pg_connect(&source->connection);
    if (!failure) failure = pg_run(&source->connection, sql, params, &row);
    if (failure) return failed(source, failure);
    *value = pg_rows(row) ? pg_get_i64(row, 0, 0) : 0;
    PQclear(row);
    return ERR_OK;
}

static enum err read_last(struct report_source *base, int64_t *last)
{
    struct pg_source *source = source_of(base);
    uint64_t below = 1;
    enum pg_failure failure = pg_connect(&source->connection);
    if (!failure) failure = pg_watermark(&source->connection, &below);
    *last = (int64_t)below - 1;
    return failed(source, failure);
}

/* What is asked of each table that has events for reports. */
#define OF_EACH(part, between)                                                                     \
    part("impression") between part("click") between part("conversion") between part("feedback")   \
        between part("ad_feedback") between part("vote")

static enum err count_events(struct report_source *base, int64_t after, int64_t last, int64_t max,
                             int64_t *events)
{
#define COUNTED(table)                                                                             \
    "(SELECT count(*) FROM (SELECT 1 FROM " table " WHERE " IN_RANGE " LIMIT $3::bigint) AS n)"
    static const char sql[] = "SELECT least($3::bigint, " OF_EACH(COUNTED, " + ") ")";
    struct pg_source *source = source_of(base);
    set_range(source, after, last, 1);
    pg_set_i64(&source->params, 2, max);
    return query_i64(source, sql, &source->params, events);
}

/* Where the first table has more, or where the last one ends. */
static enum err find_step(struct report_source *base, int64_t after, int64_t last, int64_t events,
                          int64_t *end)
{
#define NTH(table)                                                                                 \
    "(SELECT seq FROM " table " WHERE " IN_RANGE " ORDER BY seq LIMIT 1 OFFSET $3::bigint - 1)"
#define NEWEST(table) "(SELECT max(seq) FROM " table " WHERE " IN_RANGE ")"
    static const char sql[] = "SELECT coalesce(least(" OF_EACH(NTH, ", ") "), greatest(" OF_EACH(
        NEWEST, ", ") "), $1::bigint)";
    struct pg_source *source = source_of(base);
    set_range(source, after, last, 1);
    pg_set_i64(&source->params, 2, events);
    return query_i64(source, sql, &source->params, end);
}

/* The same checksum as of a data file: a copy's sums are its own. */
static enum err read_row(struct report_source *base, int64_t sequence, int64_t *checksum)
{
#define ROW(table, ids) "SELECT recorded_at_ms, " ids " FROM " table " WHERE seq = $1::bigint"
    static const char *const reads[EVENT_TABLES] = {
        [OP_CLICK] = ROW("click", "click_id"),
        [OP_CONVERSION] = ROW("conversion", "click_id, event_id, idempotency_key"),
        [OP_SERVER_EVENT] = ROW("server_event", "event_id"),
        [OP_IMPRESSION] = ROW("impression", "bid_id"),
        [OP_FEEDBACK] = ROW("feedback", "bid_id"),
        [OP_AD_FEEDBACK] = ROW("ad_feedback", "feedback_id"),
        [OP_VOTE] = ROW("vote", "bid_id"),
    };
    struct pg_source *source = source_of(base);
    enum pg_failure failure = pg_connect(&source->connection);
    if (failure) return failed(source, failure);
    pg_params_reset(&source->params, 1);
    pg_set_i64(&source->params, 0, sequence);
    for (int kind = 0; kind < EVENT_TABLES; kind++)
        pg_send(&source->connection, reads[kind], &source->params);
    pg_flush(&source->connection);
    for (int kind = 0; kind < EVENT_TABLES; kind++) {
        PGresult *result = pg_result(&source->connection);
        uint64_t found = checksum_start(event_table_name(kind));
        for (int i = 0; pg_rows(result) && i < PQnfields(result); i++)
            found = pg_checksum_column(found, result, 0, i);
        if (pg_rows(result)) *checksum = (int64_t)found;
        PQclear(result);
    }
    return failed(source, pg_finish(&source->connection));
}

static enum err read_removed(struct report_source *base, int64_t *below)
{
    return query_i64(source_of(base), "SELECT coalesce(max(below_seq), 0) FROM removed", NULL,
                     below);
}

/* The database takes its picture with the first read. */
static enum err begin(struct report_source *base)
{
    struct pg_source *source = source_of(base);
    enum pg_failure failure = pg_connect(&source->connection);
    if (!failure)
        failure =
            pg_run_text(&source->connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    return failed(source, failure);
}

static void end(struct report_source *base)
{
    struct pg_connection *connection = &source_of(base)->connection;
    if (connection->conn && PQtransactionStatus(connection->conn) != PQTRANS_IDLE)
        (void)pg_run_text(connection, "COMMIT");
}

static enum err read_events(struct report_source *base, int64_t after, int64_t last,
                            const struct report_taker *taker)
{
    struct pg_source *source = source_of(base);
    set_range(source, after, last, 0);
    return read_all(source, event_reads, sizeof event_reads / sizeof event_reads[0],
                    &source->params, taker);
}

static enum err read_opinions(struct report_source *base, const int64_t *sequences, size_t count,
                              const struct report_taker *taker)
{
    static const struct read reads[] = {
        {REPORT_AD_FEEDBACKS, RATED " WHERE f.seq = ANY ($1::bigint[])"}};
    struct pg_source *source = source_of(base);
    pg_params_reset(&source->params, 1);
    for (size_t i = 0; i < count; i++)
        pg_add_i64(&source->params, 0, sequences[i]);
    return read_all(source, reads, 1, &source->params, taker);
}

static enum err read_polls(struct report_source *base, const struct report_taker *taker)
{
    return read_all(source_of(base), poll_reads, sizeof poll_reads / sizeof poll_reads[0], NULL,
                    taker);
}

/* A name that no text of the database can be fits none. */
static void add_filter(struct pg_params *params, int at, struct span value)
{
    bool is_text = json_utf8_valid(value) && !(value.len && memchr(value.ptr, '\0', value.len));
    if (is_text) pg_add_text(params, at, value.ptr ? value : SPAN(""));
}

static void set_filters(struct pg_source *source, const struct report_query *query, int64_t before,
                        int64_t limit)
{
    struct pg_params *params = &source->params;
    bool is_filtered[REPORT_IDS] = {false};
    pg_params_reset(params, FILTERED_PARAMS);
    for (size_t i = 0; i < query->filters_count; i++) {
        is_filtered[query->filters[i].dimension] = true;
        add_filter(params, (int)query->filters[i].dimension, query->filters[i].value);
    }
    for (int i = 0; i < REPORT_IDS; i++)
        if (!is_filtered[i]) pg_set_null(params, i);
    pg_set_i64(params, 5, query->from_ms);
    pg_set_i64(params, 6, query->to_ms);
    pg_set_i64(params, 7, query->exclude_flagged);
    pg_set_i64(params, 8, before);
    pg_set_i64(params, 9, limit);
}

/* With the impression that a feedback belongs to, if there is one. */
static enum err take_texts(const struct report_taker *taker, const PGresult *result)
{
    enum err err = ERR_OK;
    for (int row = 0; row < pg_rows(result) && !err; row++) {
        err = take(taker, REPORT_FEEDBACKS, result, row, 0, EVENT_CELLS);
        if (!err && !pg_is_null(result, row, EVENT_CELLS))
            err = take(taker, REPORT_IMPRESSIONS, result, row, EVENT_CELLS, IMPRESSION_CELLS);
    }
    return err;
}

static enum err read_texts(struct report_source *base, const struct report_query *query,
                           const struct report_taker *taker)
{
    struct pg_source *source = source_of(base);
    PGresult *result;
    set_filters(source, query, INT64_MAX, query->limit);
    enum pg_failure failure = pg_run(&source->connection, texts_sql, &source->params, &result);
    if (failure) return failed(source, failure);
    enum err err = take_texts(taker, result);
    PQclear(result);
    return err;
}

static enum err read_ad_texts(struct report_source *base, const struct report_query *query,
                              int64_t before, int64_t limit, const struct report_taker *taker)
{
    static const struct read reads[] = {{REPORT_AD_FEEDBACKS, ad_texts_sql}};
    struct pg_source *source = source_of(base);
    set_filters(source, query, before, limit);
    return read_all(source, reads, 1, &source->params, taker);
}

static enum err read_erased(struct report_source *base, const struct report_taker *taker)
{
    static const struct read reads[] = {
        {REPORT_AD_FEEDBACKS, RATED " WHERE f.sent_session_id LIKE 'erased:%' LIMIT 1"}};
    return read_all(source_of(base), reads, 1, NULL, taker);
}

static const struct report_source_engine pg_source_engine = {
    .close = close_source,
    .last = read_last,
    .count = count_events,
    .step = find_step,
    .row = read_row,
    .removed = read_removed,
    .begin = begin,
    .end = end,
    .events = read_events,
    .opinions = read_opinions,
    .polls = read_polls,
    .texts = read_texts,
    .ad_texts = read_ad_texts,
    .erased = read_erased,
};

/* A snapshot waits for the sums that are made meanwhile. A table that is not there: the database is
 * of an older adtally, or of none. */
static enum pg_failure set_up(struct pg_source *source)
{
    enum pg_failure failure = pg_connect(&source->connection);
    if (!failure)
        failure =
            pg_run_text(&source->connection,
                        "SELECT set_config('idle_in_transaction_session_timeout', '0', false),"
                        " set_config('statement_timeout', '45000', false)");
    source->connection.timeout_ms = TIMEOUT_MS;
    if (!failure) failure = pg_run(&source->connection, "SELECT count(*) FROM removed", NULL, NULL);
    return failure;
}

enum err pg_report_source_open(struct report_source **out, const char *url,
                               char problem[STORE_PROBLEM_MAX])
{
    struct pg_source *source = calloc(1, sizeof *source);
    if (!source) {
        snprintf(problem, STORE_PROBLEM_MAX, "there is not enough memory for a report");
        return ERR_NO_MEMORY;
    }
    source->source.engine = &pg_source_engine;
    source->connection =
        (struct pg_connection){.url = url, .timeout_ms = CONNECT_MS, .is_quiet = true};
    enum pg_failure failure = set_up(source);
    if (!failure) {
        *out = &source->source;
        return ERR_OK;
    }
    enum err err = pg_read_problem(&source->connection, failure, problem);
    close_source(&source->source);
    return err;
}
