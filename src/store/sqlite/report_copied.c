#include "store/sqlite/report.h"

#include <stdio.h>
#include <stdlib.h>

/* Reports of an engine that is no file: `log` is memory, and what the fold or a report reads next
 * is copied into it. So there is one way from rows to numbers, whatever engine the rows come from.
 */

enum { LIVE_MAX = 262144, COUNT_MAX = 1 << 20, PAGE_MIN = 256 };

#define IDS                                                                                        \
    "advertiser_id TEXT, publisher_id TEXT, campaign_id TEXT, product_id TEXT, placement TEXT"
#define EVENT "seq INTEGER PRIMARY KEY, recorded_at_ms INTEGER, "
#define PRICED EVENT IDS ", price TEXT, currency TEXT, pricing TEXT, flags INTEGER"

/* The columns of report_source.h. */
static const struct copied_table {
    const char *name, *columns;
} tables[REPORT_TABLES] = {
    [REPORT_IMPRESSIONS] = {"impression", PRICED},
    [REPORT_CLICKS] = {"click", PRICED},
    [REPORT_CONVERSIONS] = {"conversion", EVENT "click_seq INTEGER, currency TEXT,"
                                                " value_units INTEGER, value_nanos INTEGER"},
    [REPORT_FEEDBACKS] = {"feedback", EVENT "impression_seq INTEGER, feedback_type TEXT,"
                                            " feedback_text TEXT"},
    [REPORT_AD_FEEDBACKS] = {"ad_feedback",
                             EVENT IDS ", bid_id TEXT, sent_session_id TEXT,"
                                       " sentiment TEXT, reasons TEXT, comment TEXT"},
    [REPORT_VOTES] = {"vote", EVENT IDS ", poll_id INTEGER, option_id TEXT"},
    [REPORT_POLL_ROWS] = {"poll", "poll_id INTEGER PRIMARY KEY, question TEXT"},
    [REPORT_OPTIONS] = {"poll_option",
                        "poll_id INTEGER, position INTEGER, option_id TEXT, text TEXT,"
                        " PRIMARY KEY (poll_id, option_id)"},
    [REPORT_COUNTS] = {"poll_count", "poll_id INTEGER, option_id TEXT, votes INTEGER,"
                                     " PRIMARY KEY (poll_id, option_id)"},
};

static enum err make_table(struct report_db *db, const struct copied_table *table)
{
    char sql[320];
    snprintf(sql, sizeof sql, "CREATE TABLE log.%s (%s)", table->name, table->columns);
    return db_exec(db->db, sql);
}

static enum err attach(struct report_db *db)
{
    enum err err = db_attach_memory(db->db, "log");
    for (int i = 0; i < REPORT_TABLES && !err; i++)
        err = make_table(db, &tables[i]);
    db->has_flags = db->has_poll_counts = true;
    return err;
}

/* Rows on their way into `log`. */
struct copying {
    struct report_db *db;
    sqlite3_stmt *inserts[REPORT_TABLES];
};

static enum err prepare(struct copying *copying, enum report_rows table, int count)
{
    char sql[160];
    int len =
        snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO log.%s VALUES (?", tables[table].name);
    for (int i = 1; i < count; i++)
        len += snprintf(sql + len, sizeof sql - (size_t)len, ",?");
    snprintf(sql + len, sizeof sql - (size_t)len, ")");
    return db_prepare(copying->db->db, &copying->inserts[table], sql);
}

static enum err take(void *arg, enum report_rows table, const struct row_cell cells[], int count)
{
    struct copying *copying = arg;
    enum err err = copying->inserts[table] ? ERR_OK : prepare(copying, table, count);
    if (err) return err;
    struct db_binder binder = {copying->inserts[table], 1, 0};
    for (int i = 0; i < count; i++)
        if (cells[i].is_text)
            db_bind_text(&binder, cells[i].text);
        else
            db_bind_i64(&binder, cells[i].number);
    return db_run(copying->inserts[table]);
}

static struct report_taker begin_copying(struct copying *copying, struct report_db *db)
{
    *copying = (struct copying){.db = db};
    return (struct report_taker){take, copying};
}

static void end_copying(struct copying *copying)
{
    for (int i = 0; i < REPORT_TABLES; i++)
        sqlite3_finalize(copying->inserts[i]);
}

static enum err empty_log(struct report_db *db)
{
    char sql[64];
    enum err err = ERR_OK;
    for (int i = 0; i < REPORT_TABLES && !err; i++) {
        snprintf(sql, sizeof sql, "DELETE FROM log.%s", tables[i].name);
        err = db_exec(db->db, sql);
    }
    return err;
}

static enum err last(struct report_db *db, int64_t *sequence)
{
    return db->source->engine->last(db->source, sequence);
}

static enum err behind(struct report_db *db, int64_t position, int64_t *events)
{
    int64_t end = position;
    enum err err = last(db, &end);
    return err ? err : db->source->engine->count(db->source, position, end, COUNT_MAX, events);
}

static enum err step(struct report_db *db, int64_t position, int64_t events, int64_t *end)
{
    int64_t final = position;
    *end = position;
    enum err err = last(db, &final);
    return err ? err : db->source->engine->step(db->source, position, final, events, end);
}

static enum err row(struct report_db *db, int64_t sequence, int64_t *row)
{
    return db->source->engine->row(db->source, sequence, row);
}

static enum err removed(struct report_db *db, int64_t *below_sequence)
{
    return db->source->engine->removed(db->source, below_sequence);
}

/* What is not final yet is counted as well: it is there, and the sums end before it. */
static enum err begin(struct report_db *db, int64_t *last)
{
    *last = INT64_MAX;
    return db->source->engine->begin(db->source);
}

static void end(struct report_db *db)
{
    db->source->engine->end(db->source);
}

struct sequences {
    int64_t *values;
    size_t count, cap;
};

static bool add(struct sequences *sequences, int64_t value)
{
    if (sequences->count == sequences->cap) {
        size_t cap = sequences->cap ? 2 * sequences->cap : 1024;
        int64_t *grown = realloc(sequences->values, cap * sizeof *grown);
        if (!grown) return false;
        sequences->values = grown;
        sequences->cap = cap;
    }
    sequences->values[sequences->count++] = value;
    return true;
}

/* What sessions thought before of the bids that are rated now: fold_opinions asks whose it is. */
static enum err find_opinions(struct report_db *db, struct sequences *found)
{
    sqlite3_stmt *rows = NULL;
    enum err err = db_prepare(db->db, &rows,
                              "SELECT DISTINCT o.seq FROM log.ad_feedback AS f CROSS JOIN"
                              " main.agg_opinion AS o ON o.bid = bid_key(f.bid_id)");
    int code = SQLITE_DONE;
    while (!err && (code = sqlite3_step(rows)) == SQLITE_ROW)
        if (!add(found, sqlite3_column_int64(rows, 0))) err = ERR_NO_MEMORY;
    if (!err && code != SQLITE_DONE) err = db_last_err(db->db);
    sqlite3_finalize(rows);
    return err;
}

static enum err copy_opinions(struct report_db *db, const struct report_taker *taker)
{
    struct sequences found = {0};
    enum err err = find_opinions(db, &found);
    if (!err && found.count)
        err = db->source->engine->opinions(db->source, found.values, found.count, taker);
    free(found.values);
    return err;
}

static enum err load(struct report_db *db, int64_t after, int64_t last)
{
    struct copying copying;
    struct report_taker taker = begin_copying(&copying, db);
    enum err err = empty_log(db);
    if (!err) err = db->source->engine->events(db->source, after, last, &taker);
    if (!err) err = copy_opinions(db, &taker);
    end_copying(&copying);
    return err;
}

static enum err load_polls(struct report_db *db)
{
    struct copying copying;
    struct report_taker taker = begin_copying(&copying, db);
    enum err err = db->source->engine->polls(db->source, &taker);
    end_copying(&copying);
    return err;
}

/* How many of the ad-feedback that was copied count, and where the next page ends. */
static enum err look_at_page(struct report_db *db, int64_t *fitting, int64_t *rows, int64_t *before)
{
    static const char count_sql[] = "SELECT count(*) FROM log.ad_feedback";
    static const char before_sql[] = "SELECT coalesce(min(seq), 0) FROM log.ad_feedback";
    static const char fitting_sql[] = "SELECT count(*) FROM log.ad_feedback AS f"
                                      " WHERE " REPORT_IS_OPINION;
    enum err err = db_query_i64(db->db, fitting_sql, fitting);
    if (!err) err = db_query_i64(db->db, count_sql, rows);
    return err ? err : db_query_i64(db->db, before_sql, before);
}

/* Only here it is known which are replaced by later ones: page by page, until there are enough. */
static enum err copy_ad_texts(struct report_db *db, const struct report_query *query,
                              const struct report_taker *taker)
{
    int64_t page = query->limit > PAGE_MIN ? query->limit : PAGE_MIN;
    int64_t before = INT64_MAX, fitting = 0, rows = 0, were = -1;
    enum err err = ERR_OK;
    while (!err && fitting < query->limit && (were < 0 || rows == were + page)) {
        were = rows;
        err = db->source->engine->ad_texts(db->source, query, before, page, taker);
        if (!err) err = look_at_page(db, &fitting, &rows, &before);
    }
    return err;
}

static enum err load_comments(struct report_db *db, const struct report_query *query)
{
    struct copying copying;
    struct report_taker taker = begin_copying(&copying, db);
    enum err err = empty_log(db);
    if (!err) err = db->source->engine->texts(db->source, query, &taker);
    if (!err) err = copy_ad_texts(db, query, &taker);
    end_copying(&copying);
    return err;
}

static enum err load_erased(struct report_db *db)
{
    struct copying copying;
    struct report_taker taker = begin_copying(&copying, db);
    enum err err = empty_log(db);
    if (!err) err = db->source->engine->erased(db->source, &taker);
    end_copying(&copying);
    return err;
}

const struct report_log report_copied_log = {
    .attach = attach,
    .last = last,
    .behind = behind,
    .step = step,
    .row = row,
    .removed = removed,
    .begin = begin,
    .end = end,
    .load = load,
    .load_polls = load_polls,
    .load_comments = load_comments,
    .load_erased = load_erased,
    .live_max = LIVE_MAX,
};
