#pragma once

#include "base/writer.h"
#include "store/report.h"
#include "store/report_source.h"
#include "store/sqlite/db.h"

#include <stdbool.h>
#include <stdint.h>

/* Reports, inside of store/sqlite only. One connection: `main` is reports.db (or memory, where that
 * cannot be used), `log` the events, and `temp` holds what a step or a report folds. */
struct report_db {
    sqlite3 *db;
    const struct report_log *log;
    char log_path[512];                /* report_file_log's */
    struct report_source *source;      /* report_copied_log's */
    bool has_flags;                    /* the log tells flagged traffic */
    bool has_removed, has_poll_counts; /* the log has these tables */
    int64_t removed_below;             /* retention took rows with lower sequences; 0: none */
    const struct zone *zone;           /* of the report that is made */
    struct report_period {
        int64_t quarter, period;
        bool is_hour, is_set;
    } period; /* the last one that was asked for */
};

/* What `log` is: the file adtally.db, attached (report_file.c), or memory, into which the rows that
 * are needed are copied from another engine (report_copied.c). What is NULL is nothing to do. */
struct report_log {
    enum err (*attach)(struct report_db *db);

    /* Everything up to it is final: sums may be kept of it. */
    enum err (*last)(struct report_db *db, int64_t *sequence);

    /* How many events stand behind `position`, and where the next `events` of them end. */
    enum err (*behind)(struct report_db *db, int64_t position, int64_t *events);
    enum err (*step)(struct report_db *db, int64_t position, int64_t events, int64_t *end);

    /* A checksum of what that event never loses, erased or not; as it was when there is none. */
    enum err (*row)(struct report_db *db, int64_t sequence, int64_t *row);
    enum err (*removed)(struct report_db *db, int64_t *below_sequence);

    /* Between the two, all is of one moment; up to *last there may be events. After what `main` has
     * was read, so that the log has all of it. */
    enum err (*begin)(struct report_db *db, int64_t *last);
    void (*end)(struct report_db *db);

    /* What is read next is there. */
    enum err (*load)(struct report_db *db, int64_t after, int64_t last);
    enum err (*load_polls)(struct report_db *db);
    enum err (*load_comments)(struct report_db *db, const struct report_query *query);
    enum err (*load_erased)(struct report_db *db);

    int64_t live_max; /* so many events at most are counted by a report itself */
};

extern const struct report_log report_file_log, report_copied_log;

/* Whether a row of ad-feedback, f, is what its session thinks now. */
#define REPORT_IS_OPINION                                                                          \
    "(f.seq IN (SELECT seq FROM temp.latest) OR EXISTS (SELECT 1 FROM"                             \
    " main.agg_opinion AS o WHERE o.bid = bid_key(f.bid_id) AND o.seq = f.seq AND"                 \
    " o.seq NOT IN (SELECT seq FROM temp.signed WHERE sign < 0)))"

/* What is counted, in the order of no importance: numbers of `agg`. */
enum report_metric {
    METRIC_IMPRESSION = 1, /* label: pricing, space, currency; amount: prices */
    METRIC_CLICK,          /* the same */
    METRIC_CONVERSION,  /* label: currency, space, currency of the click's price; amount: values */
    METRIC_FEEDBACK,    /* label: "positive", "negative" */
    METRIC_AD_FEEDBACK, /* label: "thumbs_up", "thumbs_down"; a session's latest alone */
    METRIC_REASON,      /* label: the reason */
    METRIC_VOTE,        /* label: poll, space, option */
};

/* report_amount.c: exact sums. Amounts in SQL are billionths: an INTEGER, or, past its range, a
 * BLOB of 16 bytes. */
__extension__ typedef __int128 report_amount;
enum err report_amount_register(sqlite3 *db);
report_amount report_amount_column(sqlite3_stmt *row, int column);
void report_amount_bind(sqlite3_stmt *statement, int parameter, report_amount value);

/* value / 10^digits, exact, with two decimals at least. */
void report_amount_write(struct writer *out, report_amount value, int digits);

/* dividend / divisor (> 0) with six decimals, half to even. */
void report_ratio_write(struct writer *out, report_amount dividend, report_amount divisor);

/* report_fold.c: events of (after, last] into temp.part, counted; opinions that others replaced are
 * taken back. What is in temp.part already goes. */
enum err report_fold(struct report_db *db, int64_t after, int64_t last);

/* report_keep.c: temp.part into main. Inside of a transaction. */
enum err report_keep(struct report_db *db);

/* report_gather.c: what a query asks of main, into temp.found: a row for each group of names,
 * period and label. Inside of a transaction. */
enum err report_gather(struct report_db *db, const struct report_query *query);

/* The day or hour of a zone that a quarter is in, as a number in the order of time. */
int64_t report_period(const struct zone *zone, int64_t quarter, bool is_hour);

/* report_open.c. ERR_CORRUPT: what main has is not of this log, it begins again. */
enum err report_position(struct report_db *db, int64_t *sequence); /* what main has */

/* report_open without a file, for a recount. */
enum err report_open_in_memory(struct report_db **out, const char *dir, const char *url,
                               char problem[STORE_PROBLEM_MAX]);

/* Empties main, whatever is in it; memory becomes main where the file cannot be written. */
enum err report_make_anew(struct report_db *db);

/* report_table.c. Cells come row by row; a failure to add one is kept and told at the end. */
struct report_table *report_table_new(void);
void report_add_column(struct report_table *table, struct span name, enum report_column_type type);
void report_add_cell(struct report_table *table, struct span text); /* absent: none */
void report_add_number(struct report_table *table, int64_t number);
void report_add_amount(struct report_table *table, report_amount value, int digits);
void report_add_ratio(struct report_table *table, report_amount dividend, report_amount divisor);
enum err report_table_err(const struct report_table *table);

/* report_query.c: what a query asks, as SQL. */
enum { REPORT_SQL_MAX = 16 * 1024 };
void report_sums_sql(struct writer *sql, const struct report_query *query, bool has_metric);
void report_polls_sql(struct writer *sql, const struct report_query *query, bool has_counts);
void report_comments_sql(struct writer *sql, const struct report_query *query, bool has_flags);
void report_ads_sql(struct writer *sql, const struct report_query *query);
void report_kinds_sql(struct writer *sql, const struct report_query *query);
int report_names_of(const struct report_query *query); /* of the sums that are read */
void report_quarters_of(const struct report_query *query, int64_t *from, int64_t *to);
enum err report_prepare(struct report_db *db, const struct report_query *query,
                        const struct writer *sql, sqlite3_stmt **out);
