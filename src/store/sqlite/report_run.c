#include "store/sqlite/report_sums.h"

#include "event/datetime.h"

#include <stdlib.h>
#include <string.h>

/* More than so many events are kept first, so that the next report need not read them again. */
enum {
    LIVE_MAX = REPORT_STEP,
    REFUSALS_MAX = 5,
    CURRENCY_MAX = 64,
    NANO_DIGITS = 9,
    PICO_DIGITS = 12,
    NANO_PICOS = 1000
};
static const int64_t PICOS_PER_UNIT = 1000000000000;

/* Of one currency: of ads with a price in it, and the value of conversions in it. */
struct money {
    char currency[CURRENCY_MAX];
    size_t currency_len;
    int64_t impressions, clicks, conversions;
    report_amount spend_pico, value_nano;
};

/* Of one group. */
struct sums {
    int64_t impressions, clicks, conversions, positive, negative;
    struct money *money;
    size_t money_count, money_cap;
};

static struct money *money_of(struct sums *sums, struct span currency)
{
    for (size_t i = 0; i < sums->money_count; i++) {
        struct money *money = &sums->money[i];
        if (span_eq((struct span){money->currency, money->currency_len}, currency)) return money;
    }
    if (sums->money_count == sums->money_cap) {
        size_t cap = sums->money_cap ? sums->money_cap * 2 : 16;
        struct money *grown = realloc(sums->money, cap * sizeof *grown);
        if (!grown) return NULL;
        sums->money = grown;
        sums->money_cap = cap;
    }
    struct money *money = &sums->money[sums->money_count++];
    *money = (struct money){.currency_len = currency.len};
    memcpy(money->currency, currency.ptr, currency.len);
    return money;
}

static bool add_priced(struct sums *sums, struct span label, int metric, int64_t count,
                       report_amount amount)
{
    struct span currency = label, pricing = span_split(&currency, ' ');
    if (!currency.ptr || !currency.len || currency.len > CURRENCY_MAX) return true;
    struct money *money = money_of(sums, currency);
    if (!money) return false;
    *(metric == METRIC_IMPRESSION ? &money->impressions : &money->clicks) += count;
    if (metric == METRIC_IMPRESSION && span_eq(pricing, SPAN("cpm"))) money->spend_pico += amount;
    if (metric == METRIC_CLICK && span_eq(pricing, SPAN("cpc")))
        money->spend_pico += amount * NANO_PICOS;
    return true;
}

static bool add_conversions(struct sums *sums, struct span label, int64_t count,
                            report_amount value)
{
    struct span priced_in = label, currency = span_split(&priced_in, ' ');
    struct money *money = currency.len <= CURRENCY_MAX ? money_of(sums, currency) : NULL;
    if (!money) return false;
    money->value_nano += value;
    if (!priced_in.ptr || !priced_in.len || priced_in.len > CURRENCY_MAX) return true;
    money = money_of(sums, priced_in);
    if (money) money->conversions += count;
    return money;
}

static bool add_sum(struct sums *sums, int metric, struct span label, int64_t count,
                    report_amount amount)
{
    switch (metric) {
    case METRIC_IMPRESSION:
        sums->impressions += count;
        return add_priced(sums, label, metric, count, amount);
    case METRIC_CLICK:
        sums->clicks += count;
        return add_priced(sums, label, metric, count, amount);
    case METRIC_CONVERSION:
        sums->conversions += count;
        return add_conversions(sums, label, count, amount);
    default:
        if (span_eq(label, SPAN("positive")) || span_eq(label, SPAN("thumbs_up")))
            sums->positive += count;
        else
            sums->negative += count;
        return true;
    }
}

static void add_traffic(struct report_table *table, const struct sums *sums)
{
    report_add_number(table, sums->impressions);
    report_add_number(table, sums->clicks);
    report_add_ratio(table, sums->clicks, sums->impressions);
    report_add_number(table, sums->conversions);
    report_add_ratio(table, sums->conversions, sums->clicks);
    report_add_number(table, sums->positive);
    report_add_number(table, sums->negative);
    report_add_ratio(table, sums->positive, sums->positive + sums->negative);
}

/* eCPM is of a thousand impressions. */
static void add_money(struct report_table *table, const struct money *money)
{
    report_amount spend = money->spend_pico;
    report_add_cell(table, (struct span){money->currency, money->currency_len});
    report_add_number(table, money->impressions);
    report_add_number(table, money->clicks);
    report_add_number(table, money->conversions);
    report_add_amount(table, spend, PICO_DIGITS);
    report_add_amount(table, money->value_nano, NANO_DIGITS);
    report_add_ratio(table, spend, money->impressions * (report_amount)(PICOS_PER_UNIT / 1000));
    report_add_ratio(table, spend, money->clicks * (report_amount)PICOS_PER_UNIT);
    report_add_ratio(table, spend, money->conversions * (report_amount)PICOS_PER_UNIT);
    report_add_ratio(table, money->value_nano * NANO_PICOS, spend);
}

static int compare_money(const void *a, const void *b)
{
    const struct money *left = a, *right = b;
    size_t len =
        left->currency_len < right->currency_len ? left->currency_len : right->currency_len;
    int order = memcmp(left->currency, right->currency, len);
    return order ? order : left->currency_len < right->currency_len ? -1 : 1;
}

struct group {
    struct report_table *table;
    const struct report_query *query;
    struct sums sums;
    struct span names[REPORT_DIMENSIONS];
    char *text; /* of the names */
    size_t text_cap;
    bool is_open;
};

static void add_names(const struct group *group)
{
    for (size_t i = 0; i < group->query->by_count; i++)
        report_add_cell(group->table, group->names[i]);
}

static void end_group(struct group *group)
{
    struct sums *sums = &group->sums;
    if (!group->is_open) return;
    if (group->query->kind == REPORT_TRAFFIC) {
        add_names(group);
        add_traffic(group->table, sums);
    } else if (sums->money_count) {
        qsort(sums->money, sums->money_count, sizeof *sums->money, compare_money);
        for (size_t i = 0; i < sums->money_count; i++) {
            add_names(group);
            add_money(group->table, &sums->money[i]);
        }
    }
    *sums = (struct sums){.money = sums->money, .money_cap = sums->money_cap};
    group->is_open = false;
}

static bool is_same_group(const struct group *group, sqlite3_stmt *row)
{
    for (size_t i = 0; i < group->query->by_count; i++)
        if (!span_eq(group->names[i], db_column_text(row, (int)i))) return false;
    return group->is_open;
}

/* The names outlive the row that they come from. */
static bool begin_group(struct group *group, sqlite3_stmt *row)
{
    size_t len = 0;
    for (size_t i = 0; i < group->query->by_count; i++)
        len += db_column_text(row, (int)i).len;
    if (len > group->text_cap) {
        char *grown = realloc(group->text, len * 2);
        if (!grown) return false;
        group->text = grown;
        group->text_cap = len * 2;
    }
    len = 0;
    for (size_t i = 0; i < group->query->by_count; i++) {
        struct span name = db_column_text(row, (int)i);
        group->names[i] = (struct span){group->text ? group->text + len : "", name.len};
        if (group->text && name.len) memcpy(group->text + len, name.ptr, name.len);
        len += name.len;
    }
    group->is_open = true;
    return true;
}

static bool on_sum_row(struct group *group, sqlite3_stmt *row)
{
    int first = (int)group->query->by_count;
    if (!is_same_group(group, row)) {
        end_group(group);
        if (!begin_group(group, row)) return false;
    }
    return add_sum(&group->sums, sqlite3_column_int(row, first), db_column_text(row, first + 1),
                   sqlite3_column_int64(row, first + 2), report_amount_column(row, first + 3));
}

/* Nothing recorded is one row of zeros, where nothing is grouped. */
static enum err read_sums(struct group *group, sqlite3_stmt *rows, struct report_db *db)
{
    enum err err = ERR_OK;
    int code = SQLITE_DONE;
    group->is_open = group->query->by_count == 0;
    while (!err && (code = sqlite3_step(rows)) == SQLITE_ROW)
        if (!on_sum_row(group, rows)) err = ERR_NO_MEMORY;
    if (!err && code != SQLITE_DONE) err = db_last_err(db->db);
    if (!err) end_group(group);
    free(group->sums.money);
    free(group->text);
    return err;
}

static void add_groups(struct report_table *table, const struct report_query *query)
{
    for (size_t i = 0; i < query->by_count; i++)
        report_add_column(table, report_dimension_names[query->by[i]], REPORT_TEXT);
}

static enum err run_sums(struct report_db *db, const struct report_query *query,
                         struct report_table *table, sqlite3_stmt *rows)
{
    struct group group = {.table = table, .query = query};
    if (query->kind == REPORT_TRAFFIC) {
        report_add_column(table, SPAN("impressions"), REPORT_NUMBER);
        report_add_column(table, SPAN("clicks"), REPORT_NUMBER);
        report_add_column(table, SPAN("ctr"), REPORT_NUMBER);
        report_add_column(table, SPAN("conversions"), REPORT_NUMBER);
        report_add_column(table, SPAN("conversion_rate"), REPORT_NUMBER);
        report_add_column(table, SPAN("positive"), REPORT_NUMBER);
        report_add_column(table, SPAN("negative"), REPORT_NUMBER);
        report_add_column(table, SPAN("positive_share"), REPORT_NUMBER);
    } else {
        report_add_column(table, SPAN("currency"), REPORT_TEXT);
        report_add_column(table, SPAN("impressions"), REPORT_NUMBER);
        report_add_column(table, SPAN("clicks"), REPORT_NUMBER);
        report_add_column(table, SPAN("conversions"), REPORT_NUMBER);
        report_add_column(table, SPAN("spend"), REPORT_MONEY_AMOUNT);
        report_add_column(table, SPAN("value"), REPORT_MONEY_AMOUNT);
        report_add_column(table, SPAN("ecpm"), REPORT_MONEY_AMOUNT);
        report_add_column(table, SPAN("cpc"), REPORT_MONEY_AMOUNT);
        report_add_column(table, SPAN("cpa"), REPORT_MONEY_AMOUNT);
        report_add_column(table, SPAN("roas"), REPORT_NUMBER);
    }
    return read_sums(&group, rows, db);
}

typedef void on_row_fn(struct report_table *table, const struct report_query *query,
                       sqlite3_stmt *row);

static void on_reason_row(struct report_table *table, const struct report_query *query,
                          sqlite3_stmt *row)
{
    int first = (int)query->by_count;
    for (int i = 0; i <= first; i++)
        report_add_cell(table, db_column_text(row, i));
    report_add_number(table, sqlite3_column_int64(row, first + 1));
}

static void on_poll_row(struct report_table *table, const struct report_query *query,
                        sqlite3_stmt *row)
{
    int first = (int)query->by_count;
    for (int i = 0; i < first; i++)
        report_add_cell(table, db_column_text(row, i));
    report_add_number(table, sqlite3_column_int64(row, first));
    for (int i = first + 1; i < first + 4; i++)
        report_add_cell(table, db_column_text(row, i));
    report_add_number(table, sqlite3_column_int64(row, first + 4));
    report_add_ratio(table, sqlite3_column_int64(row, first + 4),
                     sqlite3_column_int64(row, first + 5));
}

static void on_comment_row(struct report_table *table, const struct report_query *query,
                           sqlite3_stmt *row)
{
    char memory[64];
    struct writer time;
    writer_init(&time, memory, sizeof memory);
    datetime_write(&time, sqlite3_column_int64(row, 1));
    report_add_cell(table, writer_text(&time));
    for (int i = 2; i < 9; i++)
        report_add_cell(table, db_column_text(row, i));
}

static enum err run_rows(struct report_db *db, const struct report_query *query,
                         struct report_table *table, sqlite3_stmt *rows, on_row_fn *on_row)
{
    int code;
    while ((code = sqlite3_step(rows)) == SQLITE_ROW)
        on_row(table, query, rows);
    return code == SQLITE_DONE ? ERR_OK : db_last_err(db->db);
}

static void add_reason_columns(struct report_table *table)
{
    report_add_column(table, SPAN("reason"), REPORT_TEXT);
    report_add_column(table, SPAN("count"), REPORT_NUMBER);
}

static void add_poll_columns(struct report_table *table)
{
    report_add_column(table, SPAN("poll"), REPORT_NUMBER);
    report_add_column(table, SPAN("question"), REPORT_TEXT);
    report_add_column(table, SPAN("option"), REPORT_TEXT);
    report_add_column(table, SPAN("text"), REPORT_TEXT);
    report_add_column(table, SPAN("votes"), REPORT_NUMBER);
    report_add_column(table, SPAN("share"), REPORT_NUMBER);
}

static void add_comment_columns(struct report_table *table)
{
    report_add_column(table, SPAN("time"), REPORT_TEXT);
    for (int i = 0; i < REPORT_IDS; i++)
        report_add_column(table, report_dimension_names[i], REPORT_TEXT);
    report_add_column(table, SPAN("sentiment"), REPORT_TEXT);
    report_add_column(table, SPAN("comment"), REPORT_TEXT);
}

static void put_sql(struct writer *sql, const struct report_query *query,
                    const struct report_db *db)
{
    if (query->kind == REPORT_TRAFFIC || query->kind == REPORT_MONEY)
        report_sums_sql(sql, query, true);
    else if (query->kind == REPORT_REASONS)
        report_sums_sql(sql, query, false);
    else if (query->kind == REPORT_POLLS)
        report_polls_sql(sql, query, db->has_poll_counts);
    else
        report_comments_sql(sql, query, db->has_flags);
}

static enum err fill(struct report_db *db, const struct report_query *query,
                     struct report_table *table, sqlite3_stmt *rows)
{
    switch (query->kind) {
    case REPORT_REASONS:
        add_groups(table, query);
        add_reason_columns(table);
        return run_rows(db, query, table, rows, on_reason_row);
    case REPORT_POLLS:
        add_groups(table, query);
        add_poll_columns(table);
        return run_rows(db, query, table, rows, on_poll_row);
    case REPORT_COMMENTS:
        add_comment_columns(table);
        return run_rows(db, query, table, rows, on_comment_row);
    default:
        add_groups(table, query);
        return run_sums(db, query, table, rows);
    }
}

static enum err query_table(struct report_db *db, const struct report_query *query,
                            struct report_table *table)
{
    char memory[REPORT_SQL_MAX];
    struct writer sql;
    sqlite3_stmt *rows = NULL;
    writer_init(&sql, memory, sizeof memory);
    put_sql(&sql, query, db);
    enum err err = query->kind == REPORT_COMMENTS ? ERR_OK : report_gather(db, query);
    if (!err) err = report_prepare(db, query, &sql, &rows);
    if (!err) err = fill(db, query, table, rows);
    sqlite3_finalize(rows);
    return err ? err : report_table_err(table);
}

static enum err load(struct report_db *db, const struct report_query *query)
{
    const struct report_log *log = db->log;
    if (query->kind == REPORT_POLLS && log->load_polls) return log->load_polls(db);
    if (query->kind == REPORT_COMMENTS && log->load_comments) return log->load_comments(db, query);
    return ERR_OK;
}

/* One snapshot of both files: what is kept first, so that the log has it all. */
static enum err run_in_snapshot(struct report_db *db, const struct report_query *query,
                                struct report_table *table)
{
    int64_t position = 0, last = 0;
    enum err err = db_exec(db->db, "BEGIN");
    if (!err) err = report_position(db, &position);
    if (!err) err = db->log->begin(db, &last);
    if (!err) err = report_fold(db, position, last);
    db->zone = &query->zone;
    db->period.is_set = false;
    if (!err) err = load(db, query);
    if (!err) err = query_table(db, query, table);
    if (db->log->end) db->log->end(db);
    if (!sqlite3_get_autocommit(db->db)) db_exec(db->db, "COMMIT");
    return err;
}

/* Who else counts holds the file for a step at a time: a report waits for its turn, not for all
 * that is to be counted. */
static enum err catch_up(struct report_db *db)
{
    int64_t behind = 0;
    enum err err = report_behind(db, &behind);
    for (int refused = 0; !err && behind > LIVE_MAX;) {
        err = report_catch_up(db, REPORT_STEP);
        refused = err == ERR_BUSY ? refused + 1 : 0;
        bool is_read_only = sqlite3_db_readonly(db->db, "main");
        if (refused == REFUSALS_MAX || (refused > 0 && is_read_only))
            return behind > db->log->live_max ? ERR_BUSY : ERR_OK;
        if (!err || err == ERR_BUSY) err = report_behind(db, &behind);
    }
    return err;
}

static enum err run_once(struct report_db *db, const struct report_query *query,
                         struct report_table **out)
{
    *out = report_table_new();
    if (!*out) return ERR_NO_MEMORY;
    enum err err = catch_up(db);
    if (!err) err = run_in_snapshot(db, query, *out);
    if (err) report_table_free(*out);
    return err;
}

/* Sums that are not of this log, or damaged, are made again. */
enum err report_run(struct report_db *db, const struct report_query *query,
                    struct report_table **out)
{
    enum err err = run_once(db, query, out);
    if (err != ERR_CORRUPT) return err;
    err = report_make_anew(db);
    return err ? err : run_once(db, query, out);
}
