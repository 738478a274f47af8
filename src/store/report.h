#pragma once

#include "base/err.h"
#include "event/zone.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the rows say, in sums: read beside the store, by connections of their own that never write
 * the events. Running aggregates up to a sequence are kept in DIR/reports.db, which may be removed
 * at any time; what was recorded since is added when a report is made (docs/decisions/0008). Every
 * function belongs to the thread that opened the connection. */

struct report_db;

/* Of the events of `dir`, or, where `url` is not NULL, of that PostgreSQL database: then `dir` has
 * the sums alone. `url` stays the caller's, `problem` as in store_open. A reports.db that cannot be
 * used, or not be written, costs time only. */
enum err report_open(struct report_db **out, const char *dir, const char *url,
                     char problem[STORE_PROBLEM_MAX]);
void report_close(struct report_db *db);

/* How many events the aggregates do not have yet; of a database a million at most is told. */
enum err report_behind(struct report_db *db, int64_t *events);

/* Adds the next `events` of them at most, in one transaction. ERR_BUSY: another process does, or
 * the file cannot be written. */
enum err report_catch_up(struct report_db *db, int64_t events);

enum report_kind {
    REPORT_TRAFFIC,
    REPORT_MONEY,
    REPORT_REASONS,
    REPORT_COMMENTS,
    REPORT_POLLS,
    REPORT_KINDS,
};

enum report_dimension {
    REPORT_ADVERTISER,
    REPORT_PUBLISHER,
    REPORT_CAMPAIGN,
    REPORT_PRODUCT,
    REPORT_PLACEMENT,
    REPORT_IDS, /* those above can be filtered by */
    REPORT_DAY = REPORT_IDS,
    REPORT_HOUR,
    REPORT_DIMENSIONS,
};

extern const struct span report_kind_names[REPORT_KINDS];
extern const struct span report_dimension_names[REPORT_DIMENSIONS];

enum { REPORT_FILTERS_MAX = 64, REPORT_QUARTER_MS = 15 * 60 * 1000, REPORT_LIMIT = 100 };

/* One that several filters name has to be one of their values. An empty value is: none. */
struct report_filter {
    enum report_dimension dimension;
    struct span value;
};

/* Aggregates are by quarters of an hour, so that every time zone's hours and days are made of whole
 * ones: a range begins and ends on a quarter. */
struct report_query {
    enum report_kind kind;
    enum report_dimension by[REPORT_DIMENSIONS]; /* each once at most, day or hour */
    size_t by_count;
    struct report_filter filters[REPORT_FILTERS_MAX];
    size_t filters_count;
    int64_t from_ms, to_ms; /* to_ms itself is not in it */
    struct zone zone;       /* of days and hours */
    bool exclude_flagged;
    int64_t limit; /* rows of REPORT_COMMENTS, the latest first */
};

void report_query_init(struct report_query *query); /* traffic, ungrouped, of all time, in UTC */

/* A table of texts. Numbers are decimal texts; a ratio without a denominator is absent. */
enum { REPORT_COLUMNS_MAX = 16, REPORT_ROWS_MAX = 1000000 };

enum report_column_type {
    REPORT_TEXT,
    REPORT_NUMBER,       /* a count or a ratio */
    REPORT_MONEY_AMOUNT, /* an exact decimal, or a ratio of such */
};

struct report_column {
    struct span name;
    enum report_column_type type;
};

struct report_table;

/* ERR_FULL: more than REPORT_ROWS_MAX rows. */
enum err report_run(struct report_db *db, const struct report_query *query,
                    struct report_table **out);
void report_table_free(struct report_table *table);
size_t report_columns(const struct report_table *table, const struct report_column **columns);
size_t report_rows(const struct report_table *table);
struct span report_cell(const struct report_table *table, size_t row, size_t column);
