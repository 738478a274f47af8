#include "store/sqlite/report.h"

#include <stdio.h>

/* One way from rows to sums, for the steps that are kept, for what a report adds to them, and for
 * the recount that verify makes. */

enum { SQL_MAX = 2048 };

#define QUARTER(table) table ".recorded_at_ms / 900000"
#define AD(table)                                                                                  \
    "coalesce(" table ".advertiser_id, ''), coalesce(" table ".publisher_id, ''),"                 \
    " coalesce(" table ".campaign_id, ''), coalesce(" table ".product_id, ''),"                    \
    " coalesce(" table ".placement, '')"
#define PRICED(table)                                                                              \
    "CASE WHEN " table ".pricing IN ('cpm', 'cpc') THEN " table ".pricing ELSE '' END || ' ' ||"   \
    " coalesce(" table ".currency, '')"
#define IN_RANGE(table) table ".seq > ?1 AND " table ".seq <= ?2"
#define GROUPED " GROUP BY 1, 2, 3, 4, 5, 6, 7, 9"

#define INTO "INSERT INTO temp.part SELECT "

/* Whether the impression or click is flagged stands between the two halves. */
static const struct fold {
    const char *before, *after;
    const char *flagged; /* the row that `flags` is of; NULL: none has any */
} folds[] = {
    /* clang-format off */
    {INTO QUARTER("i") ", " AD("i") ", ",
     ", 1, " PRICED("i") ", count(*), amount_sum(amount_of_price(i.price))"
     " FROM log.impression AS i WHERE " IN_RANGE("i") GROUPED, "i"},
    {INTO QUARTER("c") ", " AD("c") ", ",
     ", 2, " PRICED("c") ", count(*), amount_sum(amount_of_price(c.price))"
     " FROM log.click AS c WHERE " IN_RANGE("c") GROUPED, "c"},
    {INTO QUARTER("v") ", " AD("c") ", ",
     ", 3, v.currency || ' ' || coalesce(c.currency, ''), count(*),"
     " amount_sum(amount_of(v.value_units, v.value_nanos))"
     " FROM log.conversion AS v LEFT JOIN log.click AS c ON c.seq = v.click_seq"
     " WHERE " IN_RANGE("v") GROUPED, "c"},
    {INTO QUARTER("f") ", " AD("i") ", ",
     ", 4, f.feedback_type, count(*), 0"
     " FROM log.feedback AS f LEFT JOIN log.impression AS i ON i.seq = f.impression_seq"
     " WHERE " IN_RANGE("f") GROUPED, "i"},
    {INTO QUARTER("f") ", " AD("f") ", ",
     ", 5, f.sentiment, sum(s.sign), 0"
     " FROM temp.signed AS s CROSS JOIN log.ad_feedback AS f ON f.seq = s.seq" GROUPED, NULL},
    {INTO QUARTER("f") ", " AD("f") ", ",
     ", 6, r.reason, sum(s.sign), 0"
     " FROM temp.signed AS s CROSS JOIN log.ad_feedback AS f ON f.seq = s.seq"
     " CROSS JOIN (SELECT DISTINCT f2.seq AS seq, e.value AS reason FROM temp.signed AS s2"
     " CROSS JOIN log.ad_feedback AS f2 ON f2.seq = s2.seq CROSS JOIN json_each(f2.reasons) AS e"
     " WHERE f2.reasons IS NOT NULL) AS r ON r.seq = s.seq" GROUPED, NULL},
    {INTO QUARTER("v") ", " AD("v") ", ",
     ", 7, v.poll_id || ' ' || v.option_id, count(*), 0"
     " FROM log.vote AS v WHERE " IN_RANGE("v") GROUPED, NULL},
    /* clang-format on */
};

static enum err run_in_range(struct report_db *db, const char *sql, int64_t after, int64_t last)
{
    sqlite3_stmt *statement = NULL;
    enum err err = db_prepare(db->db, &statement, sql);
    if (err) return err;
    if (sqlite3_bind_parameter_count(statement) == 2) {
        sqlite3_bind_int64(statement, 1, after);
        sqlite3_bind_int64(statement, 2, last);
    }
    err = db_run(statement);
    sqlite3_finalize(statement);
    return err;
}

/* A session's latest feedback on a bid is what it thinks: what it replaces counts backwards. */
static enum err fold_opinions(struct report_db *db, int64_t after, int64_t last)
{
    enum err err = run_in_range(db,
                                "INSERT INTO temp.latest SELECT max(seq), bid_key(bid_id)"
                                " FROM log.ad_feedback WHERE seq > ?1 AND seq <= ?2"
                                " GROUP BY publisher_id, sent_session_id, bid_id",
                                after, last);
    if (!err)
        err = db_exec(db->db, "INSERT INTO temp.signed SELECT seq, 1, bid FROM temp.latest;"
                              "INSERT INTO temp.signed SELECT o.seq, -1, o.bid"
                              " FROM temp.latest AS l"
                              " CROSS JOIN log.ad_feedback AS f ON f.seq = l.seq"
                              " CROSS JOIN main.agg_opinion AS o ON o.bid = l.bid"
                              " CROSS JOIN log.ad_feedback AS g ON g.seq = o.seq"
                              " WHERE g.publisher_id = f.publisher_id AND g.bid_id IS f.bid_id"
                              " AND g.sent_session_id = f.sent_session_id");
    return err;
}

enum err report_fold(struct report_db *db, int64_t after, int64_t last)
{
    char sql[SQL_MAX];
    enum err err = db_exec(db->db, "DELETE FROM temp.part; DELETE FROM temp.latest;"
                                   "DELETE FROM temp.signed");
    if (!err && db->log->load) err = db->log->load(db, after, last);
    if (!err) err = fold_opinions(db, after, last);
    for (size_t i = 0; i < sizeof folds / sizeof folds[0] && !err; i++) {
        const char *table = db->has_flags ? folds[i].flagged : NULL;
        snprintf(sql, sizeof sql, "%s%s%s%s%s", folds[i].before, table ? "coalesce(" : "",
                 table ? table : "0", table ? ".flags, 0) <> 0" : "", folds[i].after);
        err = run_in_range(db, sql, after, last);
    }
    return err;
}
