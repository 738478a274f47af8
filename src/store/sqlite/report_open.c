#include "store/sqlite/report.h"

#include "token/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* reports.db: made of the events, so whatever is wrong with it, it is made again. */

enum {
    REPORTS_APPLICATION_ID = 0x41445452,
    REPORTS_VERSION = 5,
    TABLES_COUNT = 5,
    PATH_MAX_LEN = 512
};

#define AD_TEXTS                                                                                   \
    "advertiser TEXT NOT NULL, publisher TEXT NOT NULL, campaign TEXT NOT NULL,"                   \
    " product TEXT NOT NULL, placement TEXT NOT NULL"

/* A journal that is deleted, not a WAL: several processes write here, by turns, and Debian 12's
 * SQLite wants one writer to a WAL (db.h). */
static const char *const make_tables =
    "CREATE TABLE agg_ad (ad INTEGER PRIMARY KEY, names INTEGER NOT NULL, " AD_TEXTS ","
    " checksum INTEGER NOT NULL,"
    " UNIQUE (names, campaign, advertiser, publisher, product, placement)) STRICT;"
    "CREATE TABLE agg_kind (kind INTEGER PRIMARY KEY, metric INTEGER NOT NULL,"
    " flagged INTEGER NOT NULL, label TEXT NOT NULL, checksum INTEGER NOT NULL,"
    " UNIQUE (metric, flagged, label)) STRICT;"
    "CREATE TABLE agg (names INTEGER NOT NULL, unit INTEGER NOT NULL, quarter INTEGER NOT NULL,"
    " chunk INTEGER NOT NULL, sums BLOB NOT NULL, checksum INTEGER NOT NULL,"
    " PRIMARY KEY (names, unit, quarter, chunk)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE agg_opinion (bid INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " checksum INTEGER NOT NULL, PRIMARY KEY (bid, seq)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE agg_state (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL,"
    " row INTEGER NOT NULL, has_flags INTEGER NOT NULL, checksum INTEGER NOT NULL) STRICT;";

static const char *const make_temporary =
    "CREATE TABLE temp.part (quarter INTEGER, " AD_TEXTS
    ", flagged INTEGER, metric INTEGER, label TEXT, count INTEGER, amount);"
    "CREATE TABLE temp.found (period INTEGER, " AD_TEXTS ", metric INTEGER, label TEXT, n, a);"
    "CREATE TABLE temp.latest (seq INTEGER PRIMARY KEY, bid INTEGER);"
    "CREATE TABLE temp.signed (seq INTEGER PRIMARY KEY, sign INTEGER, bid INTEGER)";

/* bid_key(bid): leads to the opinions of a bid. Whose they are only the rows tell, so that erasing
 * a person there takes them out of here. */
static void on_bid_key(sqlite3_context *call, int count, sqlite3_value **values)
{
    static const uint8_t no_key[HASH_FINGERPRINT_KEY_SIZE];
    const void *bid = sqlite3_value_blob(values[0]);
    size_t len = (size_t)sqlite3_value_bytes(values[0]);
    sqlite3_result_int64(call, (int64_t)hash_fingerprint(no_key, bid ? bid : "", len));
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

enum { QUARTER_S = REPORT_QUARTER_MS / 1000, HOUR_S = 60 * 60, DAY_S = 24 * HOUR_S };

/* As a number, in the order of time: the day since 1970; or when the hour began, and its offset in
 * the last eight bits, since an hour that a clock shows twice is two. */
int64_t report_period(const struct zone *zone, int64_t quarter, bool is_hour)
{
    int64_t instant_s = quarter * QUARTER_S;
    int32_t offset_s = zone_offset(zone, instant_s);
    int64_t local_s = instant_s + offset_s;
    if (!is_hour) return floor_div(local_s, DAY_S);
    int64_t begin_s = floor_div(local_s, HOUR_S) * HOUR_S - offset_s;
    return begin_s * 256 + (floor_div(offset_s, QUARTER_S) + 128);
}

/* local_period(quarter, is_hour): rows come by time, so the last answer mostly fits. */
static void on_local_period(sqlite3_context *call, int count, sqlite3_value **values)
{
    struct report_db *db = sqlite3_user_data(call);
    struct report_period *last = &db->period;
    int64_t quarter = sqlite3_value_int64(values[0]);
    bool is_hour = sqlite3_value_int(values[1]) != 0;
    if (!last->is_set || quarter != last->quarter || is_hour != last->is_hour)
        *last = (struct report_period){quarter, report_period(db->zone, quarter, is_hour), is_hour,
                                       true};
    sqlite3_result_int64(call, last->period);
}

/* period_text(period, is_hour) */
static void on_period_text(sqlite3_context *call, int count, sqlite3_value **values)
{
    char text[64];
    int64_t period = sqlite3_value_int64(values[0]);
    bool is_hour = sqlite3_value_int(values[1]) != 0;
    int64_t offset_s = is_hour ? ((period & 255) - 128) * QUARTER_S : 0;
    int64_t local_s = is_hour ? floor_div(period, 256) + offset_s : period * DAY_S;
    struct zone_date date = zone_date_of(floor_div(local_s, DAY_S));
    int len =
        snprintf(text, sizeof text, "%04lld-%02d-%02d", (long long)date.year, date.month, date.day);
    int hour = (int)((local_s - floor_div(local_s, DAY_S) * DAY_S) / HOUR_S);
    int minutes = (int)(offset_s < 0 ? -offset_s : offset_s) / 60;
    if (is_hour)
        len += snprintf(text + len, sizeof text - (size_t)len, "T%02d:00%c%02d:%02d", hour,
                        offset_s < 0 ? '-' : '+', minutes / 60, minutes % 60);
    sqlite3_result_text(call, text, len, SQLITE_TRANSIENT);
}

static enum err register_functions(struct report_db *db)
{
    enum { FLAGS = SQLITE_UTF8 | SQLITE_DIRECTONLY };
    int code = sqlite3_create_function_v2(db->db, "bid_key", 1, FLAGS | SQLITE_DETERMINISTIC, NULL,
                                          on_bid_key, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_create_function_v2(db->db, "local_period", 2, FLAGS, db, on_local_period,
                                          NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_create_function_v2(db->db, "period_text", 2, FLAGS, NULL, on_period_text,
                                          NULL, NULL, NULL);
    return code == SQLITE_OK ? report_amount_register(db->db) : db_err(code);
}

static enum err put_state(struct report_db *db, int64_t sequence, int64_t row)
{
    sqlite3_stmt *statement = NULL;
    enum err err = db_prepare(db->db, &statement,
                              "INSERT OR REPLACE INTO main.agg_state VALUES (1, ?1, ?2, ?3,"
                              " row_checksum('agg_state', 1, ?1, ?2, ?3))");
    if (err) return err;
    sqlite3_bind_int64(statement, 1, sequence);
    sqlite3_bind_int64(statement, 2, row);
    sqlite3_bind_int64(statement, 3, db->has_flags);
    err = db_run(statement);
    sqlite3_finalize(statement);
    return err;
}

static enum err end_transaction(struct report_db *db, enum err err)
{
    if (!err) err = db_exec(db->db, "COMMIT");
    if (err && !sqlite3_get_autocommit(db->db)) db_exec(db->db, "ROLLBACK");
    return err;
}

/* Nothing is counted yet. */
static enum err make_empty(struct report_db *db)
{
    char marks[128];
    snprintf(marks, sizeof marks, "PRAGMA main.application_id = %d; PRAGMA main.user_version = %d",
             REPORTS_APPLICATION_ID, REPORTS_VERSION);
    int64_t version = 0;
    enum err err = db_exec(db->db, "BEGIN IMMEDIATE");
    if (err) return err;
    err = db_query_i64(db->db, "PRAGMA main.user_version", &version);
    if (!err && version != REPORTS_VERSION) {
        err = db_exec(db->db, make_tables);
        if (!err) err = db_exec(db->db, marks);
        if (!err) err = put_state(db, 0, 0);
    }
    return end_transaction(db, err);
}

/* Whatever the file holds goes, by SQLite's own means: who has it open sees an empty one. */
static enum err wipe_file(struct report_db *db)
{
    db_read_damaged(db->db, true);
    sqlite3_db_config(db->db, SQLITE_DBCONFIG_RESET_DATABASE, 1, NULL);
    enum err err = db_exec(db->db, "VACUUM main");
    sqlite3_db_config(db->db, SQLITE_DBCONFIG_RESET_DATABASE, 0, NULL);
    db_read_damaged(db->db, false);
    return err;
}

static enum err empty_file(struct report_db *db)
{
    enum err err = wipe_file(db);
    return err ? err : make_empty(db);
}

static enum err check_kept(struct report_db *db)
{
    int64_t application = 0, version = 0, tables = 0;
    enum err err = db_query_i64(db->db, "PRAGMA main.application_id", &application);
    if (!err) err = db_query_i64(db->db, "PRAGMA main.user_version", &version);
    if (err) return err;
    if (application == 0 && version == 0) return make_empty(db);
    if (application != REPORTS_APPLICATION_ID || version != REPORTS_VERSION) return ERR_FOREIGN;
    err = db_query_i64(db->db,
                       "SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name IN"
                       " ('agg', 'agg_ad', 'agg_kind', 'agg_opinion', 'agg_state')",
                       &tables);
    return err ? err : tables == TABLES_COUNT ? ERR_OK : ERR_CORRUPT;
}

/* Before anything is attached to it: a statement reads the schemas of all. */
static enum err open_readable(struct report_db *db, const char *path)
{
    int64_t count = 0;
    enum err err = db_open_derived(&db->db, path);
    if (!err) err = db_query_i64(db->db, "SELECT count(*) FROM main.sqlite_schema", &count);
    return err == ERR_CORRUPT || err == ERR_FOREIGN ? wipe_file(db) : err;
}

/* `path` is reports.db's, or memory's. */
static enum err open_main(struct report_db *db, const char *path)
{
    enum err err = open_readable(db, path);
    if (!err) err = register_functions(db);
    if (!err) err = db->log->attach(db);
    if (!err) err = db_exec(db->db, make_temporary);
    return err;
}

static void close_main(struct report_db *db)
{
    sqlite3_close(db->db);
    db->db = NULL;
}

static enum err open_kept(struct report_db *db, const char *path)
{
    enum err err = open_main(db, path);
    if (err) return err;
    err = db_exec(db->db, "PRAGMA main.journal_mode = DELETE; PRAGMA main.synchronous = FULL;"
                          "PRAGMA main.cache_size = -32768");
    if (!err) err = check_kept(db);
    if (err == ERR_CORRUPT || err == ERR_FOREIGN) err = empty_file(db);
    return err;
}

static enum err open_memory(struct report_db *db)
{
    close_main(db);
    enum err err = open_main(db, ":memory:");
    return err ? err : make_empty(db);
}

enum err report_make_anew(struct report_db *db)
{
    enum err err = empty_file(db);
    return err ? open_memory(db) : ERR_OK;
}

static enum err say(char *problem, enum err err, const char *dir)
{
    if (err)
        snprintf(problem, STORE_PROBLEM_MAX, "cannot read the events in %s: %s: %s", dir,
                 err == ERR_NOT_FOUND ? "it is no adtally data directory" : err_text(err),
                 err_advice(err));
    return err;
}

/* First: nothing is made in a directory that is none of ours. */
static enum err find_file(struct report_db *db, const char *dir, char *problem)
{
    sqlite3 *log = NULL;
    db->log = &report_file_log;
    size_t len = (size_t)snprintf(db->log_path, sizeof db->log_path, "%s/adtally.db", dir);
    if (len >= sizeof db->log_path) return say(problem, ERR_IO, dir);
    enum err err = db_open_readonly(&log, db->log_path);
    sqlite3_close(log);
    return say(problem, err, dir);
}

static enum err find_log(struct report_db *db, const char *dir, const char *url, char *problem)
{
    if (!url) return find_file(db, dir, problem);
    db->log = &report_copied_log;
    return pg_report_source_open(&db->source, url, problem);
}

/* What cannot be written is of use only where a report may count all that it does not have. */
static bool is_of_use(const struct report_db *db)
{
    return !db->source || !sqlite3_db_readonly(db->db, "main");
}

static enum err open_file(struct report_db *db, const char *dir)
{
    char path[PATH_MAX_LEN];
    if ((size_t)snprintf(path, sizeof path, "%s/reports.db", dir) >= sizeof path) return ERR_IO;
    enum err err = open_kept(db, path);
    return err || !is_of_use(db) ? open_memory(db) : ERR_OK;
}

static enum err open_with(struct report_db **out, const char *dir, const char *url, char *problem,
                          bool in_memory)
{
    db_start();
    struct report_db *db = calloc(1, sizeof *db);
    if (!db) return say(problem, ERR_NO_MEMORY, dir);
    enum err err = find_log(db, dir, url, problem);
    if (!err) err = say(problem, in_memory ? open_memory(db) : open_file(db, dir), dir);
    if (err)
        report_close(db);
    else
        *out = db;
    return err;
}

enum err report_open(struct report_db **out, const char *dir, const char *url,
                     char problem[STORE_PROBLEM_MAX])
{
    return open_with(out, dir, url, problem, false);
}

enum err report_open_in_memory(struct report_db **out, const char *dir, const char *url,
                               char problem[STORE_PROBLEM_MAX])
{
    return open_with(out, dir, url, problem, true);
}

void report_close(struct report_db *db)
{
    close_main(db);
    if (db->source) db->source->engine->close(db->source);
    free(db);
}

/* Sums of another moment's file say nothing of this one. */
static enum err begin_again(struct report_db *db)
{
    enum err err = db_exec(db->db, "DELETE FROM main.agg; DELETE FROM main.agg_ad;"
                                   "DELETE FROM main.agg_kind; DELETE FROM main.agg_opinion");
    return err ? err : put_state(db, 0, 0);
}

static enum err read_state(struct report_db *db, int64_t *sequence, int64_t *row, bool *is_ours)
{
    sqlite3_stmt *state = NULL;
    enum err err = db_prepare(db->db, &state, "SELECT * FROM main.agg_state WHERE id = 1");
    if (err) return err;
    int code = sqlite3_step(state);
    *is_ours = code == SQLITE_ROW && db_is_whole(state, 0, SPAN("agg_state")) &&
               sqlite3_column_int(state, 3) == db->has_flags;
    if (code == SQLITE_ROW) {
        *sequence = sqlite3_column_int64(state, 1);
        *row = sqlite3_column_int64(state, 2);
    } else if (code != SQLITE_DONE) {
        err = db_last_err(db->db);
    }
    sqlite3_finalize(state);
    return err;
}

/* ERR_CORRUPT: what is kept is not of this log. */
enum err report_position(struct report_db *db, int64_t *sequence)
{
    int64_t kept_row = 0, row = 0, last = 0;
    bool is_ours = false;
    *sequence = 0;
    enum err err = read_state(db, sequence, &kept_row, &is_ours);
    if (!err) err = db->log->last(db, &last);
    if (err) return err;
    if (!is_ours || *sequence > last) return ERR_CORRUPT;
    err = db->log->row(db, *sequence, &row);
    if (!err) err = db->log->removed(db, &db->removed_below);
    bool is_removed = row == 0 && *sequence < db->removed_below;
    return err ? err : row == kept_row || is_removed ? ERR_OK : ERR_CORRUPT;
}

enum err report_behind(struct report_db *db, int64_t *events)
{
    int64_t position = 0;
    enum err err = db_exec(db->db, "BEGIN");
    if (!err) err = report_position(db, &position);
    if (err == ERR_CORRUPT) {
        position = 0;
        err = ERR_OK;
    }
    if (!err) err = db->log->behind(db, position, events);
    return end_transaction(db, err);
}

static enum err add_events(struct report_db *db, int64_t events)
{
    int64_t position = 0, last = 0, row = 0;
    enum err err = report_position(db, &position);
    if (err == ERR_CORRUPT) {
        position = 0;
        err = begin_again(db);
    }
    if (!err) err = db->log->step(db, position, events, &last);
    if (err || position == last) return err;
    err = report_fold(db, position, last);
    if (!err) err = report_keep(db);
    if (!err) err = db->log->row(db, last, &row);
    return err ? err : put_state(db, last, row);
}

/* It was not the events that are damaged. */
static bool are_sums_damaged(struct report_db *db)
{
    int64_t found = 0;
    enum err err = db_query_i64(
        db->db, "SELECT quick_check <> 'ok' FROM pragma_quick_check(1, 'main')", &found);
    return err == ERR_CORRUPT || (!err && found);
}

enum err report_catch_up(struct report_db *db, int64_t events)
{
    if (sqlite3_db_readonly(db->db, "main")) return ERR_BUSY;
    enum err err = db_exec(db->db, "BEGIN IMMEDIATE");
    if (!err) err = end_transaction(db, add_events(db, events));
    return err == ERR_CORRUPT && are_sums_damaged(db) ? empty_file(db) : err;
}
