#include "store/sqlite/verify.h"
#include "event/amount.h"
#include "store/engine.h"
#include "store/promise.h"
#include "store/sqlite/db.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/secrets.h"
#include "store/sqlite/verify_logs.h"
#include "store/sqlite/wal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { ROWS_NAMED_MAX = 20 };

#define SHORTEST(name) "(SELECT value FROM meta WHERE name = '" name "')"

/* Rows recorded, less those that retention removed, less those that are there; rows that are there
 * although it removed them. */
#define MISSING(table)                                                                             \
    "abs(t." table " - (SELECT rows FROM removed WHERE name = '" table                             \
    "') - (SELECT count(*) FROM " table ")) + "
#define RETURNED(table)                                                                            \
    "(SELECT count(*) FROM " table                                                                 \
    " WHERE seq < (SELECT below_seq FROM removed WHERE name = '" table "')) + "

/* Of what only this engine has. */
static const struct promise promises[] = {
    /* A wall clock may have been set between two of them: then the marks tell what has passed. */
    {"server events counted twice within the dedup window",
     "SELECT count(*) FROM (SELECT seq, lag(seq) OVER copies AS first_seq, recorded_at_ms -"
     " lag(recorded_at_ms) OVER copies AS gap_ms FROM server_event WHERE event_id IS NOT NULL"
     " WINDOW copies AS (PARTITION BY partner_id, tag_id, event_id ORDER BY seq)) AS pair"
     " JOIN meta ON meta.name = 'collect_dedup_window_ms_min' WHERE gap_ms < meta.value AND"
     " coalesce((SELECT max(time_ms) FROM age_mark WHERE age_mark.seq <= pair.seq) -"
     " (SELECT min(time_ms) FROM age_mark WHERE age_mark.seq > first_seq), 0) < meta.value"},
    {"impressions counted twice for one bid",
     "SELECT count(*) FROM (SELECT recorded_at_ms - lag(recorded_at_ms) OVER (PARTITION BY bid_id"
     " ORDER BY seq) AS gap_ms FROM impression) WHERE gap_ms < " SHORTEST("impression_ttl_ms_min")},
    {"clicks past 100 of one bid",
     "SELECT count(*) FROM (SELECT recorded_at_ms - lag(recorded_at_ms, 100) OVER (PARTITION BY"
     " bid_id ORDER BY seq) AS gap_ms FROM click WHERE bid_id IS NOT NULL) WHERE gap_ms <"
     " " SHORTEST("impression_ttl_ms_min")},
    {"ad feedbacks past 100 of one bid",
     "SELECT count(*) FROM (SELECT recorded_at_ms - lag(recorded_at_ms, 100) OVER (PARTITION BY"
     " bid_id ORDER BY seq) AS gap_ms FROM ad_feedback) WHERE gap_ms <"
     " " SHORTEST("impression_ttl_ms_min")},
    {"rows more or less than were recorded",
     "SELECT " MISSING("click") MISSING("conversion") MISSING("server_event") MISSING("impression")
         MISSING("feedback") MISSING("ad_feedback")
             MISSING("vote") "abs(t.poll - (SELECT count(*) FROM poll)) + abs(t.poll_option - "
                             "(SELECT count(*)"
                             " FROM poll_option)) + abs(t.api_key - (SELECT count(*) FROM "
                             "api_key)) FROM total AS t"},
    {"sequences without an event",
     "SELECT abs(last_seq - coalesce((SELECT value FROM meta WHERE name = 'sequences_unused'), 0) -"
     " click - conversion - server_event - impression - feedback - ad_feedback - vote) FROM total"},
    {"rows missing in total or meta",
     "SELECT abs(7 - (SELECT count(*) FROM total) - (SELECT count(*) FROM meta WHERE name <>"
     " 'sequences_unused'))"},
    {"rows missing in removed", "SELECT abs(7 - (SELECT count(*) FROM removed))"},
    {"rows that were removed",
     "SELECT " RETURNED("click") RETURNED("conversion") RETURNED("server_event")
         RETURNED("impression") RETURNED("feedback") RETURNED("ad_feedback") RETURNED("vote") "0"},
    {"rows of poll_count more or less than were recorded",
     "SELECT abs((SELECT value FROM meta WHERE name = 'poll_counts') -"
     " (SELECT count(*) FROM poll_count))"},
};

enum { PROMISES_COUNT = sizeof promises / sizeof promises[0] };

/* Rows are what takes long; the last tenth is for the queries behind them. */
enum { ROWS_PER_LOOK = 16384 };
struct watch {
    const struct store_progress *progress;
    uint64_t rows, rows_max;
};

static void pass_row(struct watch *watch)
{
    if (++watch->rows % ROWS_PER_LOOK || !watch->progress->on) return;
    uint64_t all = watch->rows_max > watch->rows ? watch->rows_max : watch->rows;
    watch->progress->on(watch->progress->arg, watch->rows, all + all / 9);
}

static enum err check_file(sqlite3 *db, struct writer *report, uint64_t *findings)
{
    sqlite3_stmt *row = NULL;
    int code = SQLITE_DONE;
    enum err err = db_prepare(db, &row, "PRAGMA integrity_check(20)");
    while (!err && (code = sqlite3_step(row)) == SQLITE_ROW) {
        struct span line = db_column_text(row, 0);
        if (span_eq(line, SPAN("ok"))) continue;
        ++*findings;
        writer_lit(report, "file: ");
        writer_put(report, line);
        writer_char(report, '\n');
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(db);
    sqlite3_finalize(row);
    return err;
}

static enum err check_amounts(sqlite3 *db, struct writer *report, uint64_t *findings)
{
    sqlite3_stmt *row = NULL;
    int64_t wrong = 0;
    int code = SQLITE_DONE;
    enum err err = db_prepare(db, &row,
                              "SELECT conversion_value, value_units, value_nanos FROM"
                              " conversion");
    while (!err && (code = sqlite3_step(row)) == SQLITE_ROW) {
        struct amount amount;
        bool same = amount_parse(&amount, db_column_text(row, 0)) &&
                    amount.units == sqlite3_column_int64(row, 1) &&
                    amount.nanos == sqlite3_column_int64(row, 2);
        wrong += !same;
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(db);
    sqlite3_finalize(row);
    promise_report(report, findings, "conversions whose amount differs from its text", wrong);
    return err;
}

static void name_row(struct writer *report, struct span table, sqlite3_stmt *row)
{
    writer_lit(report, "row of ");
    writer_put(report, table);
    if (sqlite3_column_type(row, 0) == SQLITE_INTEGER) {
        writer_char(report, ' ');
        writer_i64(report, sqlite3_column_int64(row, 0));
    }
    writer_lit(report, " differs from its checksum\n");
}

/* Every row has to fit its checksum; the first that do not are named. */
static enum err check_rows(sqlite3 *db, const struct schema_table *table, struct writer *report,
                           uint64_t *findings, struct watch *watch)
{
    char sql[64];
    sqlite3_stmt *row = NULL;
    int64_t wrong = 0;
    int code = SQLITE_DONE;
    snprintf(sql, sizeof sql, "SELECT * FROM %.*s", SPAN_FMT(table->name));
    enum err err = db_prepare(db, &row, sql);
    while (!err && (code = sqlite3_step(row)) == SQLITE_ROW) {
        pass_row(watch);
        if (db_is_whole(row, 0, table->name)) continue;
        if (++wrong <= ROWS_NAMED_MAX) name_row(report, table->name, row);
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(db);
    sqlite3_finalize(row);
    if (wrong > ROWS_NAMED_MAX)
        promise_report(report, findings, "rows differ from their checksum", wrong);
    else
        *findings += (uint64_t)wrong;
    return err;
}

static enum err check_promises(sqlite3 *db, const struct promise list[], size_t list_count,
                               struct writer *report, uint64_t *findings)
{
    for (size_t i = 0; i < list_count; i++) {
        int64_t count;
        enum err err = db_query_i64(db, list[i].sql, &count);
        if (err) return err;
        promise_report(report, findings, list[i].text, count);
    }
    return ERR_OK;
}

/* A server that writes meanwhile can look like damage, but not in the same frame twice: what was
 * read too early is there the next time, and a WAL that started over has another salt. */
static enum err check_wal(const char *path, struct writer *report, uint64_t *findings)
{
    struct wal_damage first, again;
    enum err err = wal_check(path, &first);
    if (!err && first.is_found) {
        err = wal_check(path, &again);
        first.is_found = again.is_found && again.frame == first.frame && again.salt == first.salt;
    }
    if (err || !first.is_found) return err;
    ++*findings;
    writer_lit(report, "adtally.db-wal: events behind frame ");
    writer_i64(report, first.frame);
    writer_lit(report, ", which is damaged, would be lost at the next start\n");
    return ERR_OK;
}

static void report_secrets(struct writer *report, uint64_t *findings, enum err err)
{
    ++*findings;
    writer_lit(report, "secrets.json: ");
    writer_put(report, span_of(err_text(err)));
    writer_char(report, '\n');
}

/* The logs of the indexes have keys that only the secrets tell. */
static enum err check_secrets_and_logs(sqlite3 *db, const char *dir, struct writer *report,
                                       uint64_t *findings)
{
    struct secrets secrets;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err err = fd >= 0 ? secrets_read(&secrets, fd) : ERR_NOT_FOUND;
    if (err) report_secrets(report, findings, err);
    err = err ? ERR_OK : verify_logs(db, fd, &secrets, report, findings);
    hash_wipe(&secrets, sizeof secrets);
    if (fd >= 0) close(fd);
    return err;
}

static enum err check_all_rows(sqlite3 *db, struct writer *report, uint64_t *findings,
                               const struct store_progress *progress)
{
    int64_t rows = 0;
    db_query_i64(db, "SELECT last_seq FROM total", &rows); /* an estimate: damage is found below */
    struct watch watch = {progress, 0, rows > 0 ? (uint64_t)rows : 0};
    enum err err = ERR_OK;
    for (int i = 0; i < SCHEMA_TABLES_COUNT && !err; i++)
        err = check_rows(db, &schema_tables[i], report, findings, &watch);
    return err;
}

enum err verify_database(sqlite3 *db, struct writer *report, uint64_t *findings,
                         const struct store_progress *progress)
{
    enum err err = schema_check(db);
    if (!err) err = check_file(db, report, findings);
    if (!err) err = check_all_rows(db, report, findings, progress);
    if (!err) err = check_promises(db, store_promises, store_promises_count, report, findings);
    if (!err) err = check_promises(db, promises, PROMISES_COUNT, report, findings);
    if (!err) err = check_amounts(db, report, findings);
    return err;
}

static enum err check(const char *dir, struct writer *report, uint64_t *findings,
                      const struct store_progress *progress)
{
    char path[512];
    sqlite3 *db = NULL;
    if ((size_t)snprintf(path, sizeof path, "%s/adtally.db", dir) >= sizeof path) return ERR_IO;
    enum err err = db_check_access(path, R_OK);
    if (!err) err = check_wal(path, report, findings);
    if (!err) err = db_open_readonly(&db, path);
    if (!err) err = db_exec(db, "BEGIN"); /* one snapshot for all checks */
    if (!err) err = verify_database(db, report, findings, progress);
    if (!err) err = check_secrets_and_logs(db, dir, report, findings);
    sqlite3_close(db);
    return err;
}

enum err sqlite_store_verify(const struct store_verify *verify, struct writer *report,
                             uint64_t *findings, char problem[STORE_PROBLEM_MAX])
{
    db_start();
    enum err err = check(verify->dir, report, findings, &verify->progress);
    if (err)
        snprintf(problem, STORE_PROBLEM_MAX, "cannot verify %.400s: %s: %s", verify->dir,
                 err == ERR_NOT_FOUND ? "it is no adtally data directory" : err_text(err),
                 err_advice(err));
    return err;
}
