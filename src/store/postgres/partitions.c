#include "store/postgres/pg.h"
#include "store/postgres/result.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Of each table of events one partition a day, TABLE_YYYYMMDD (UTC), and TABLE_past for all that is
 * older than the oldest of them: imports, and what retention has left. */

enum { DAYS_AHEAD = 2, DAYS_MAX = 3660, NAME_MAX_SIZE = 64, SQL_SIZE = 512 };

static const int64_t DAY_MS = 24 * 60 * 60 * 1000LL;

static int64_t day_of(int64_t time_ms)
{
    int64_t day = time_ms / DAY_MS;
    return time_ms < day * DAY_MS ? day - 1 : day;
}

/* Partitions are made ahead by more than a day, so tomorrow's is there. */
int64_t pg_partition_time(int64_t recorded_at_ms, int64_t database_ms)
{
    int64_t end_ms = (day_of(database_ms) + DAYS_AHEAD) * DAY_MS;
    return recorded_at_ms < end_ms ? recorded_at_ms : end_ms - 1;
}

static void day_name(char name[NAME_MAX_SIZE], struct span table, int64_t day)
{
    time_t seconds = (time_t)(day * (DAY_MS / 1000));
    struct tm date;
    gmtime_r(&seconds, &date);
    snprintf(name, NAME_MAX_SIZE, "%.*s_%04d%02d%02d", SPAN_FMT(table), date.tm_year + 1900,
             date.tm_mon + 1, date.tm_mday);
}

static bool read_day(struct span text, int64_t *day)
{
    unsigned long long number;
    if (text.len != 8 || !span_to_u64(text, 99991231, &number)) return false;
    struct tm date = {
        .tm_year = (int)(number / 10000) - 1900,
        .tm_mon = (int)(number / 100 % 100) - 1,
        .tm_mday = (int)(number % 100),
    };
    *day = (int64_t)timegm(&date) / (DAY_MS / 1000);
    return true;
}

struct partitions {
    bool has_past;
    int count;              /* of days */
    int64_t oldest, newest; /* days, when there are some */
};

static void note(struct partitions *partitions, struct span name, struct span table)
{
    int64_t day;
    struct span rest = {name.ptr + table.len + 1, name.len - table.len - 1};
    if (name.len <= table.len) return;
    if (span_eq(rest, SPAN("past"))) partitions->has_past = true;
    if (!read_day(rest, &day)) return;
    if (!partitions->count || day < partitions->oldest) partitions->oldest = day;
    if (!partitions->count || day > partitions->newest) partitions->newest = day;
    partitions->count++;
}

static enum pg_failure look(struct pg_store *store, struct span table,
                            struct partitions *partitions)
{
    static const char sql[] =
        "SELECT child.relname FROM pg_inherits JOIN pg_class AS child"
        " ON child.oid = pg_inherits.inhrelid WHERE pg_inherits.inhparent = $1::regclass";
    PGresult *rows;
    *partitions = (struct partitions){.count = 0};
    pg_params_reset(&store->own_params, 1);
    pg_set_text(&store->own_params, 0, table);
    enum pg_failure failure = pg_run(&store->connection, sql, &store->own_params, &rows);
    if (failure) return failure;
    for (int row = 0; row < pg_rows(rows); row++)
        note(partitions, pg_get_text(rows, row, 0), table);
    PQclear(rows);
    return PG_FINE;
}

/* Each in a transaction of its own: it locks the table against writers while it is made, so it must
 * not wait for others while it holds such a lock. */
static enum pg_failure make(struct pg_store *store, const char *sql)
{
    struct pg_connection *connection = &store->connection;
    pg_send_text(connection, "BEGIN");
    pg_send_text(connection, "SELECT set_config('lock_timeout', '1000', true)");
    pg_send_text(connection, sql);
    pg_send_text(connection, "COMMIT");
    pg_flush(connection);
    return pg_finish(connection);
}

static enum pg_failure make_past(struct pg_store *store, struct span table, int64_t until_day)
{
    char sql[SQL_SIZE];
    snprintf(sql, sizeof sql,
             "CREATE TABLE IF NOT EXISTS %.*s_past PARTITION OF %.*s"
             " FOR VALUES FROM (MINVALUE) TO (%lld)",
             SPAN_FMT(table), SPAN_FMT(table), (long long)(until_day * DAY_MS));
    return make(store, sql);
}

static enum pg_failure make_day(struct pg_store *store, struct span table, int64_t day)
{
    char sql[SQL_SIZE], name[NAME_MAX_SIZE];
    day_name(name, table, day);
    snprintf(sql, sizeof sql,
             "CREATE TABLE IF NOT EXISTS %s PARTITION OF %.*s FOR VALUES FROM (%lld) TO (%lld)",
             name, SPAN_FMT(table), (long long)(day * DAY_MS), (long long)((day + 1) * DAY_MS));
    return make(store, sql);
}

/* Another node may do the same just now: then it is there. */
static enum pg_failure or_another(const struct pg_connection *connection, enum pg_failure failure)
{
    bool is_there = strcmp(connection->sqlstate, "42P07") == 0 ||
                    strcmp(connection->sqlstate, "42P17") == 0; /* would overlap with it */
    return failure == PG_TAKEN || (failure && is_there) ? PG_FINE : failure;
}

static enum pg_failure make_ahead(struct pg_store *store, struct span table, int64_t today)
{
    struct partitions there;
    enum pg_failure failure = look(store, table, &there);
    int64_t next = there.count ? there.newest + 1 : today;
    if (today - next > DAYS_MAX) next = today - DAYS_MAX;
    if (!failure && !there.has_past)
        failure = or_another(&store->connection,
                             make_past(store, table, there.count ? there.oldest : today));
    for (; next <= today + DAYS_AHEAD && !failure; next++)
        failure = or_another(&store->connection, make_day(store, table, next));
    return failure;
}

/* CockroachDB has none (docs/scale.md). */
static enum pg_failure ask(struct pg_store *store, bool *has_partitions, int64_t *now_ms)
{
    static const char sql[] =
        "SELECT relkind = 'p', (extract(epoch from clock_timestamp()) * 1000)::bigint"
        " FROM pg_class WHERE oid = 'click'::regclass";
    PGresult *row;
    enum pg_failure failure = pg_run(&store->connection, sql, NULL, &row);
    if (failure) return failure;
    *has_partitions = pg_rows(row) == 1 && span_eq(pg_get_text(row, 0, 0), SPAN("t"));
    *now_ms = pg_rows(row) == 1 ? pg_get_i64(row, 0, 1) : 0;
    PQclear(row);
    return PG_FINE;
}

enum pg_failure pg_partitions_ahead(struct pg_store *store)
{
    bool has_partitions;
    int64_t now_ms;
    bool was_quiet = store->connection.is_quiet;
    enum pg_failure failure = ask(store, &has_partitions, &now_ms);
    store->connection.is_quiet = true; /* that another node was faster is no news */
    for (int kind = 0; kind < EVENT_TABLES && !failure && has_partitions; kind++)
        failure = make_ahead(store, event_table_name(kind), day_of(now_ms));
    store->connection.is_quiet = was_quiet;
    if (failure) pg_tell_trouble(&store->connection);
    return failure;
}

/* For who still has sums of what goes: reports. */
static void send_removed(struct pg_connection *connection, struct span table, int64_t end_day)
{
    char sql[SQL_SIZE];
    snprintf(sql, sizeof sql,
             "INSERT INTO removed SELECT '%.*s', max(seq) + 1 FROM %.*s WHERE recorded_at_ms < %lld"
             " HAVING max(seq) IS NOT NULL ON CONFLICT (name) DO UPDATE SET below_seq ="
             " greatest(removed.below_seq, excluded.below_seq)",
             SPAN_FMT(table), SPAN_FMT(table), (long long)(end_day * DAY_MS));
    pg_send_text(connection, sql);
}

/* What is dropped leaves no hole: all before is the past's, which is empty then. */
static enum pg_failure drop(struct pg_store *store, struct span table, int64_t day, int64_t end_day,
                            bool has_past)
{
    char sql[SQL_SIZE], name[NAME_MAX_SIZE];
    struct pg_connection *connection = &store->connection;
    pg_send_text(connection, "BEGIN");
    pg_send_text(connection, "SELECT set_config('lock_timeout', '1000', true)");
    send_removed(connection, table, end_day);
    for (; day < end_day; day++) {
        day_name(name, table, day);
        snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS %s", name);
        pg_send_text(connection, sql);
    }
    if (has_past) {
        snprintf(sql, sizeof sql, "DROP TABLE %.*s_past", SPAN_FMT(table));
        pg_send_text(connection, sql);
    }
    snprintf(sql, sizeof sql,
             "CREATE TABLE %.*s_past PARTITION OF %.*s FOR VALUES FROM (MINVALUE) TO (%lld)",
             SPAN_FMT(table), SPAN_FMT(table), (long long)(end_day * DAY_MS));
    pg_send_text(connection, sql);
    pg_send_text(connection, "COMMIT");
    pg_flush(connection);
    return pg_finish(connection);
}

/* A few days at a time: a table is locked meanwhile, and a pipeline holds so much. */
enum pg_failure pg_partitions_drop(struct pg_store *store, enum op_kind kind, int64_t before_ms,
                                   int64_t *dropped)
{
    enum { DAYS_AT_ONCE = 30 };
    struct span table = event_table_name(kind);
    struct partitions there;
    *dropped = 0;
    enum pg_failure failure = look(store, table, &there);
    int64_t end_day = day_of(before_ms);
    if (failure || !there.count || there.oldest >= end_day) return failure;
    if (end_day > there.oldest + DAYS_AT_ONCE) end_day = there.oldest + DAYS_AT_ONCE;
    if (end_day > there.newest) end_day = there.newest;
    failure = drop(store, table, there.oldest, end_day, there.has_past);
    if (!failure) *dropped = end_day - there.oldest;
    return failure;
}
