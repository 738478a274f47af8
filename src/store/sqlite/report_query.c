#include "base/assert.h"
#include "store/sqlite/report_sums.h"

/* Values come in as parameters alone: ?1 and ?2 are the range, ?3 the limit, the filters follow. */

enum { FIRST_FILTER = 4 };

const struct span report_kind_names[REPORT_KINDS] = {
    [REPORT_TRAFFIC] = SPAN_INIT("traffic"), [REPORT_MONEY] = SPAN_INIT("money"),
    [REPORT_REASONS] = SPAN_INIT("reasons"), [REPORT_COMMENTS] = SPAN_INIT("comments"),
    [REPORT_POLLS] = SPAN_INIT("polls"),
};

const struct span report_dimension_names[REPORT_DIMENSIONS] = {
    [REPORT_ADVERTISER] = SPAN_INIT("advertiser"),
    [REPORT_PUBLISHER] = SPAN_INIT("publisher"),
    [REPORT_CAMPAIGN] = SPAN_INIT("campaign"),
    [REPORT_PRODUCT] = SPAN_INIT("product"),
    [REPORT_PLACEMENT] = SPAN_INIT("placement"),
    [REPORT_DAY] = SPAN_INIT("day"),
    [REPORT_HOUR] = SPAN_INIT("hour"),
};

/* Of the rows of events. */
static const struct span columns[REPORT_IDS] = {
    [REPORT_ADVERTISER] = SPAN_INIT("advertiser_id"),
    [REPORT_PUBLISHER] = SPAN_INIT("publisher_id"),
    [REPORT_CAMPAIGN] = SPAN_INIT("campaign_id"),
    [REPORT_PRODUCT] = SPAN_INIT("product_id"),
    [REPORT_PLACEMENT] = SPAN_INIT("placement"),
};

void report_query_init(struct report_query *query)
{
    *query = (struct report_query){
        .kind = REPORT_TRAFFIC,
        .from_ms = INT64_MIN,
        .to_ms = INT64_MAX,
        .limit = REPORT_LIMIT,
    };
    zone_utc(&query->zone);
}

static bool has_period(const struct report_query *query)
{
    for (size_t i = 0; i < query->by_count; i++)
        if (query->by[i] >= REPORT_IDS) return true;
    return false;
}

static bool is_by_hour(const struct report_query *query)
{
    for (size_t i = 0; i < query->by_count; i++)
        if (query->by[i] == REPORT_HOUR) return true;
    return false;
}

static void put_period(struct writer *sql, const struct report_query *query)
{
    writer_put(sql, is_by_hour(query) ? SPAN("local_period(quarter, 1)")
                                      : SPAN("local_period(quarter, 0)"));
}

/* " AND d.campaign IN (?4, ?5)" for each dimension that is filtered. `events`: in their columns. */
static void put_filters(struct writer *sql, const struct report_query *query, const char *table,
                        bool events)
{
    for (int dimension = 0; dimension < REPORT_IDS; dimension++) {
        size_t count = 0;
        for (size_t i = 0; i < query->filters_count; i++) {
            if ((int)query->filters[i].dimension != dimension) continue;
            writer_put(sql, count++  ? SPAN(", ?")
                            : events ? SPAN(" AND coalesce(")
                                     : SPAN(" AND "));
            if (count == 1) {
                writer_put(sql, span_of(table));
                writer_char(sql, '.');
                writer_put(sql, events ? columns[dimension] : report_dimension_names[dimension]);
                writer_put(sql, events ? SPAN(", '') IN (?") : SPAN(" IN (?"));
            }
            writer_u64(sql, FIRST_FILTER + i);
        }
        if (count) writer_char(sql, ')');
    }
}

/* " d.campaign AS g0, period AS g1," */
static void put_groups(struct writer *sql, const struct report_query *query)
{
    for (size_t i = 0; i < query->by_count; i++) {
        if (query->by[i] < REPORT_IDS) {
            writer_lit(sql, " d.");
            writer_put(sql, report_dimension_names[query->by[i]]);
        } else {
            writer_lit(sql, " period");
        }
        writer_lit(sql, " AS g");
        writer_u64(sql, i);
        writer_char(sql, ',');
    }
}

/* "g0, g1, " */
static void put_names(struct writer *sql, const struct report_query *query)
{
    for (size_t i = 0; i < query->by_count; i++) {
        writer_char(sql, 'g');
        writer_u64(sql, i);
        writer_lit(sql, ", ");
    }
}

enum { MANY_NAMES = -2, NO_NAME = -1 };

/* The one dimension that groups and filters name, if it is no more than one. */
static int only_name(const struct report_query *query)
{
    int only = NO_NAME;
    for (size_t i = 0; i < query->by_count + query->filters_count; i++) {
        int name = (int)(i < query->by_count ? query->by[i]
                                             : query->filters[i - query->by_count].dimension);
        if (name >= REPORT_IDS || name == only) continue;
        if (only != NO_NAME) return MANY_NAMES;
        only = name;
    }
    return only;
}

int report_names_of(const struct report_query *query)
{
    int only = only_name(query);
    return only == MANY_NAMES ? REPORT_BY_ALL : only == NO_NAME ? REPORT_BY_NONE : only;
}

/* ad and its names, of the sums that are read. */
void report_ads_sql(struct writer *sql, const struct report_query *query)
{
    writer_lit(sql, "SELECT ad, advertiser, publisher, campaign, product, placement"
                    " FROM main.agg_ad AS d WHERE names = ");
    writer_i64(sql, report_names_of(query));
    put_filters(sql, query, "d", false);
}

/* What is counted, by what the report tells. */
static struct span metrics_of(const struct report_query *query)
{
    static const struct span metrics[REPORT_KINDS] = {
        [REPORT_TRAFFIC] = SPAN_INIT("1, 2, 3, 4, 5"),
        [REPORT_MONEY] = SPAN_INIT("1, 2, 3"),
        [REPORT_REASONS] = SPAN_INIT("6"),
        [REPORT_COMMENTS] = SPAN_INIT("NULL"),
        [REPORT_POLLS] = SPAN_INIT("7"),
    };
    return metrics[query->kind];
}

static void put_metrics(struct writer *sql, const struct report_query *query)
{
    writer_lit(sql, " WHERE metric IN (");
    writer_put(sql, metrics_of(query));
    writer_char(sql, ')');
    if (query->exclude_flagged) writer_lit(sql, " AND flagged = 0");
}

/* kind, metric, label. */
void report_kinds_sql(struct writer *sql, const struct report_query *query)
{
    writer_lit(sql, "SELECT kind, metric, label FROM main.agg_kind");
    put_metrics(sql, query);
}

/* Sums that are kept, as report_gather found them. */
static void put_kept(struct writer *sql, const struct report_query *query)
{
    writer_lit(sql, "SELECT");
    put_groups(sql, query);
    writer_lit(sql, " metric, label, n, a FROM temp.found AS d");
}

/* What was recorded since. */
static void put_part(struct writer *sql, const struct report_query *query)
{
    writer_lit(sql, " UNION ALL SELECT");
    put_groups(sql, query);
    writer_lit(sql, " metric, label, count, amount FROM (SELECT *");
    if (has_period(query)) {
        writer_lit(sql, ", ");
        put_period(sql, query);
        writer_lit(sql, " AS period");
    }
    writer_lit(sql, " FROM temp.part) AS d");
    put_metrics(sql, query);
    writer_lit(sql, " AND quarter >= ?1 AND quarter < ?2");
    put_filters(sql, query, "d", false);
}

/* The same, as they are told: "g0, period_text(g1, 1), " */
static void put_texts(struct writer *sql, const struct report_query *query)
{
    for (size_t i = 0; i < query->by_count; i++) {
        bool is_period = query->by[i] >= REPORT_IDS;
        writer_put(sql, is_period ? SPAN("period_text(g") : SPAN("g"));
        writer_u64(sql, i);
        if (is_period) writer_put(sql, is_by_hour(query) ? SPAN(", 1)") : SPAN(", 0)"));
        writer_lit(sql, ", ");
    }
}

static void put_sums(struct writer *sql, const struct report_query *query, bool has_metric)
{
    if (has_metric) writer_lit(sql, "metric, ");
    writer_lit(sql, "label, sum(n) AS n, amount_sum(a) AS a FROM (");
    put_kept(sql, query);
    put_part(sql, query);
    writer_lit(sql, ") GROUP BY ");
    put_names(sql, query);
    if (has_metric) writer_lit(sql, "metric, ");
    writer_lit(sql, "label HAVING sum(n) <> 0");
}

/* g0, g1, ..., metric (if asked for), label, n, a; in the order of the groups. */
void report_sums_sql(struct writer *sql, const struct report_query *query, bool has_metric)
{
    writer_lit(sql, "SELECT ");
    put_texts(sql, query);
    put_sums(sql, query, has_metric);
    writer_lit(sql, " ORDER BY ");
    put_names(sql, query);
    writer_put(sql, has_metric ? SPAN("metric, label") : SPAN("n DESC, label"));
}

/* Votes that were counted elsewhere have no ad, no time and no row. */
static bool is_of_all(const struct report_query *query)
{
    return !query->by_count && !query->filters_count && query->from_ms == INT64_MIN &&
           query->to_ms == INT64_MAX;
}

/* g0, ..., poll, question, option, text, votes, votes of the poll. Polls without votes are told
 * where nothing is grouped. */
void report_polls_sql(struct writer *sql, const struct report_query *query, bool has_counts)
{
    struct span votes = has_counts && is_of_all(query)
                            ? SPAN("coalesce(n, 0) + coalesce((SELECT votes FROM log.poll_count AS"
                                   " c WHERE c.poll_id = p.poll_id AND c.option_id ="
                                   " o.option_id), 0)")
                            : SPAN("coalesce(n, 0)");
    writer_lit(sql, "SELECT ");
    put_texts(sql, query);
    writer_lit(sql, "p.poll_id, p.question, o.option_id, o.text, ");
    writer_put(sql, votes);
    writer_lit(sql, ", sum(");
    writer_put(sql, votes);
    writer_lit(sql, ") OVER (PARTITION BY ");
    put_names(sql, query);
    writer_lit(sql, "p.poll_id) FROM log.poll AS p JOIN log.poll_option AS o"
                    " ON o.poll_id = p.poll_id");
    writer_put(sql, query->by_count ? SPAN(" JOIN (SELECT ") : SPAN(" LEFT JOIN (SELECT "));
    put_names(sql, query);
    put_sums(sql, query, false);
    writer_lit(sql, ") AS s ON s.label = p.poll_id || ' ' || o.option_id ORDER BY ");
    put_names(sql, query);
    writer_lit(sql, "p.poll_id, o.position");
}

static void put_comments(struct writer *sql, const struct report_query *query, const char *select,
                         const char *facts)
{
    writer_put(sql, span_of(select));
    writer_lit(sql, ".recorded_at_ms >= ?1 AND f.recorded_at_ms < ?2");
    put_filters(sql, query, facts, true);
}

/* seq, time, five ids, sentiment, text; the latest first. */
void report_comments_sql(struct writer *sql, const struct report_query *query, bool has_flags)
{
#define FACTS(t)                                                                                   \
    t ".advertiser_id, " t ".publisher_id, " t ".campaign_id, " t ".product_id, " t ".placement"
    writer_lit(sql, "SELECT * FROM (SELECT * FROM (");
    put_comments(sql, query,
                 "SELECT f.seq AS seq, f.recorded_at_ms, " FACTS(
                     "i") ", f.feedback_type, f.feedback_text FROM log.feedback AS f"
                          " LEFT JOIN log.impression AS i ON i.seq = f.impression_seq"
                          " WHERE f.feedback_text IS NOT NULL AND f",
                 "i");
    if (query->exclude_flagged && has_flags) writer_lit(sql, " AND coalesce(i.flags, 0) = 0");
    writer_lit(sql, " ORDER BY f.seq DESC LIMIT ?3) UNION ALL SELECT * FROM (");
    put_comments(sql, query,
                 "SELECT f.seq AS seq, f.recorded_at_ms, " FACTS(
                     "f") ", CASE f.sentiment WHEN 'thumbs_up' THEN 'positive' ELSE 'negative' END,"
                          " f.comment FROM log.ad_feedback AS f WHERE f.comment IS NOT NULL"
                          " AND " REPORT_IS_OPINION " AND f",
                 "f");
    writer_lit(sql, " ORDER BY f.seq DESC LIMIT ?3)) ORDER BY seq DESC LIMIT ?3");
}

static int64_t ceil_quarter(int64_t ms)
{
    return ms / REPORT_QUARTER_MS + (ms % REPORT_QUARTER_MS > 0);
}

void report_quarters_of(const struct report_query *query, int64_t *from, int64_t *to)
{
    *from = ceil_quarter(query->from_ms);
    *to = ceil_quarter(query->to_ms);
}

static void bind_values(sqlite3_stmt *statement, const struct report_query *query)
{
    bool in_ms = query->kind == REPORT_COMMENTS;
    int64_t from, to;
    report_quarters_of(query, &from, &to);
    sqlite3_bind_int64(statement, 1, in_ms ? query->from_ms : from);
    sqlite3_bind_int64(statement, 2, in_ms ? query->to_ms : to);
    if (in_ms) sqlite3_bind_int64(statement, 3, query->limit);
    for (size_t i = 0; i < query->filters_count; i++) {
        struct span value = query->filters[i].value;
        sqlite3_bind_text(statement, FIRST_FILTER + (int)i, value.len ? value.ptr : "",
                          (int)value.len, SQLITE_STATIC);
    }
}

enum err report_prepare(struct report_db *db, const struct report_query *query,
                        const struct writer *sql, sqlite3_stmt **out)
{
    ASSERT(!sql->overflow);
    int code = sqlite3_prepare_v3(db->db, sql->base, (int)sql->len, 0, out, NULL);
    if (code != SQLITE_OK) return db_last_err(db->db);
    bind_values(*out, query);
    return ERR_OK;
}
