#include "store/engine.h"
#include "store/sqlite/report_sums.h"

#include <stdio.h>
#include <sys/stat.h>

/* What reports.db keeps, against a recount in memory. A file of another moment of the log is no
 * finding: the next report begins it again. */

enum { PATH_MAX_LEN = 512 };

#define OPINIONS(schema) "SELECT bid, seq FROM " schema ".agg_opinion WHERE NOT " REPORT_IS_ERASED
#define MISSED(a, b) "(SELECT count(*) FROM (" a " EXCEPT " b "))"

static const char *const count_opinions = "SELECT " MISSED(OPINIONS("main"), OPINIONS("kept")) //
    " + " MISSED(OPINIONS("kept"), OPINIONS("main"));

static const char *const count_damaged =
    "SELECT (SELECT count(*) FROM kept.agg WHERE checksum IS NOT row_checksum('agg', names, unit,"
    " quarter, chunk, sums))"
    " + (SELECT count(*) FROM kept.agg_ad WHERE checksum IS NOT row_checksum('agg_ad', ad, names,"
    " advertiser, publisher, campaign, product, placement))"
    " + (SELECT count(*) FROM kept.agg_kind WHERE checksum IS NOT row_checksum('agg_kind', kind,"
    " metric, flagged, label))"
    " + (SELECT count(*) FROM kept.agg_opinion WHERE checksum IS NOT row_checksum('agg_opinion',"
    " bid, seq))"
    " + (SELECT count(*) FROM kept.agg_state WHERE checksum IS NOT row_checksum('agg_state', id,"
    " seq, row, has_flags))";

static const char *const advice = "; remove the file, it is made again";

static void tell(struct writer *report, uint64_t *findings, const char *text, int64_t count)
{
    if (!count) return;
    *findings += (uint64_t)count;
    writer_lit(report, "reports.db: ");
    writer_i64(report, count);
    writer_char(report, ' ');
    writer_put(report, span_of(text));
    writer_put(report, span_of(advice));
    writer_char(report, '\n');
}

static enum err count(struct report_db *db, const char *sql, const char *text,
                      struct writer *report, uint64_t *findings)
{
    int64_t found = 0;
    enum err err = db_query_i64(db->db, sql, &found);
    if (!err) tell(report, findings, text, found);
    return err;
}

/* In steps, so that memory holds the sums of all rows, not the rows. */
static enum err recount(struct report_db *db, int64_t sequence)
{
    int64_t after = 0;
    enum err err = ERR_OK;
    while (!err && after < sequence) {
        int64_t last = sequence;
        err = db->log->step(db, after, REPORT_STEP, &last);
        if (last > sequence || last == after) last = sequence;
        if (!err) err = report_fold(db, after, last);
        if (!err) err = report_keep(db);
        after = last;
    }
    return err;
}

/* After rows were removed, sums may be more than what a recount finds, and never less. */
static enum err compare(struct report_db *db, int64_t sequence, struct writer *report,
                        uint64_t *findings)
{
    int64_t differing = 0, opinions = 0;
    bool is_removed = db->removed_below > 0;
    enum err err = recount(db, sequence);
    if (!err && db->log->load_erased) err = db->log->load_erased(db);
    if (!err) err = report_compare(db, is_removed, &differing);
    if (!err && !is_removed) err = db_query_i64(db->db, count_opinions, &opinions);
    if (!err) tell(report, findings, "sums differ from a recount", differing + opinions);
    return err;
}

static enum err check_kept(struct report_db *db, struct writer *report, uint64_t *findings)
{
    int64_t sequence = 0, kept_row = 0, has_flags = 0, row = 0, last = 0;
    enum err err = count(db, count_damaged, "rows differ from their checksum", report, findings);
    if (!err) err = db_query_i64(db->db, "SELECT seq FROM kept.agg_state", &sequence);
    if (!err) err = db_query_i64(db->db, "SELECT row FROM kept.agg_state", &kept_row);
    if (!err) err = db_query_i64(db->db, "SELECT has_flags FROM kept.agg_state", &has_flags);
    if (!err) err = db->log->last(db, &last);
    if (!err) err = db->log->row(db, sequence, &row);
    if (!err) err = db->log->removed(db, &db->removed_below);
    bool is_row = row == kept_row || (row == 0 && sequence < db->removed_below);
    bool is_of_log = sequence <= last && is_row && has_flags == db->has_flags;
    return err || !is_of_log ? err : compare(db, sequence, report, findings);
}

static enum err check_in_snapshot(struct report_db *db, const char *path, struct writer *report,
                                  uint64_t *findings)
{
    enum err err = db_attach_derived(db->db, path, "kept");
    if (!err) err = db_exec(db->db, "BEGIN");
    if (!err) err = check_kept(db, report, findings);
    if (!sqlite3_get_autocommit(db->db)) db_exec(db->db, "ROLLBACK");
    bool is_damaged = err == ERR_CORRUPT || err == ERR_FOREIGN || err == ERR_NOT_FOUND ||
                      (err == ERR_IO && *findings == 0);
    if (is_damaged) tell(report, findings, "damage: it cannot be read", 1);
    return is_damaged ? ERR_OK : err;
}

/* Who wrote was killed in the middle: what undoes it has to write. */
static void undo_half_step(const char *dir, const char *url)
{
    char problem[STORE_PROBLEM_MAX];
    struct report_db *db;
    if (report_open(&db, dir, url, problem) == ERR_OK) report_close(db);
}

static enum err check_once(const char *dir, const char *url, struct writer *report,
                           uint64_t *findings, char *problem)
{
    char path[PATH_MAX_LEN];
    struct report_db *db;
    snprintf(path, sizeof path, "%s/reports.db", dir);
    enum err err = report_open_in_memory(&db, dir, url, problem);
    if (err) return err;
    err = check_in_snapshot(db, path, report, findings);
    if (err)
        snprintf(problem, STORE_PROBLEM_MAX, "cannot recount %.400s: %s: %s", path, err_text(err),
                 err_advice(err));
    report_close(db);
    return err;
}

/* No reports.db: nothing to find. */
static bool has_sums(const char *dir)
{
    char path[PATH_MAX_LEN];
    struct stat file;
    return (size_t)snprintf(path, sizeof path, "%s/reports.db", dir) < sizeof path &&
           stat(path, &file) == 0 && file.st_size > 0;
}

enum err report_verify(const char *dir, const char *url, struct writer *report, uint64_t *findings,
                       char problem[STORE_PROBLEM_MAX])
{
    db_start();
    if (!has_sums(dir)) return ERR_OK;
    enum err err = check_once(dir, url, report, findings, problem);
    if (err != ERR_DENIED) return err;
    undo_half_step(dir, url);
    err = check_once(dir, url, report, findings, problem);
    return err == ERR_DENIED ? ERR_OK : err; /* it cannot be read here, so no report uses it */
}
