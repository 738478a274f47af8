#include "base/log.h"
#include "store/keep.h"
#include "store/sqlite/sqlite.h"

#include <stdio.h>

/* Retention: rows that are old and that nothing needs any more are removed, the oldest first, a few
 * in each batch. Always a table's lowest sequences, all of them: so "below" says which are gone, a
 * scan knows where to begin counting, and an entry of an index can be told from a damaged row. */

/* Stored marks reach back further than those in memory. The one behind which the first younger one
 * stands: what was recorded before is as old as it says. Marks of the future are of a clock that
 * was wrong then. */
static enum err find_floor(struct sqlite_store *store, int64_t time_ms, uint64_t *floor)
{
    sqlite3_stmt *row = NULL;
    *floor = 0;
    enum err err = db_prepare(store->db, &row,
                              "SELECT coalesce(max(seq), 0) FROM age_mark WHERE time_ms <= ?1 AND"
                              " seq < coalesce((SELECT min(seq) FROM age_mark WHERE time_ms > ?1"
                              " AND time_ms <= ?2), 9223372036854775807)");
    if (err) return err;
    sqlite3_bind_int64(row, 1, time_ms);
    sqlite3_bind_int64(row, 2, store->ages.now_ms);
    if (sqlite3_step(row) == SQLITE_ROW)
        *floor = (uint64_t)sqlite3_column_int64(row, 0);
    else
        err = db_last_err(store->db);
    sqlite3_finalize(row);
    uint64_t remembered = ages_floor(&store->ages, time_ms);
    if (remembered > *floor) *floor = remembered;
    return err;
}

static enum err longest_ms(struct sqlite_store *store, const char *name, int64_t *ms)
{
    char sql[96];
    snprintf(sql, sizeof sql, "SELECT value FROM meta WHERE name = '%s'", name);
    return db_query_i64(store->db, sql, ms);
}

struct ages_kept {
    struct keep keep;
    int64_t click_ttl_ms, impression_ttl_ms;
};

static enum err find_ages(struct sqlite_store *store, const int64_t keep_ms[EVENT_TABLES],
                          struct ages_kept *ages)
{
    enum err err = longest_ms(store, "click_ttl_ms_max", &ages->click_ttl_ms);
    if (!err) err = longest_ms(store, "impression_ttl_ms_max", &ages->impression_ttl_ms);
    if (!err)
        ages->keep = keep_of(keep_ms, &store->options, ages->click_ttl_ms, ages->impression_ttl_ms);
    return err;
}

enum total sqlite_total_of_index(unsigned number)
{
    static const enum total totals[INDEX_NUMBERS + 1] = {
        [INDEX_CLICKS] = TOTAL_CLICK,
        [INDEX_CLICKS_OF_BIDS] = TOTAL_CLICK,
        [INDEX_CONVERSION_KEYS] = TOTAL_CONVERSION,
        [INDEX_COLLECT_KEYS] = TOTAL_SERVER_EVENT,
        [INDEX_IMPRESSIONS] = TOTAL_IMPRESSION,
        [INDEX_FEEDBACKS] = TOTAL_FEEDBACK,
        [INDEX_AD_FEEDBACKS] = TOTAL_AD_FEEDBACK,
        [INDEX_AD_FEEDBACKS_OF_BIDS] = TOTAL_AD_FEEDBACK,
        [INDEX_VOTES] = TOTAL_VOTE,
        [VOTE_COUNTS] = TOTAL_VOTE,
    };
    return totals[number];
}

/* Whatever the marks say: no row that an index may still lead to. */
static uint64_t below_indexes(struct sqlite_store *store, enum total which, uint64_t floor)
{
    for (unsigned i = 0; i < INDEX_NUMBERS; i++)
        if (sqlite_total_of_index(i) == which && sqlite_index(store, i)->floor < floor)
            floor = sqlite_index(store, i)->floor;
    return floor;
}

/* -- what was removed ---------------------------------------------------------------------- */

static bool total_of_name(struct span name, enum total *which)
{
    for (int i = 0; i < TOTAL_EVENTS_COUNT; i++) {
        if (!span_eq(name, totals_name((enum total)i))) continue;
        *which = (enum total)i;
        return true;
    }
    return false;
}

enum err removed_read_from(sqlite3 *db, struct removed *removed)
{
    sqlite3_stmt *row = NULL;
    int code = SQLITE_DONE, rows = 0;
    enum total which;
    *removed = (struct removed){{0}, {0}};
    enum err err = db_prepare(db, &row, "SELECT * FROM removed");
    for (; !err && (code = sqlite3_step(row)) == SQLITE_ROW; rows++) {
        if (!db_is_whole(row, 0, SPAN("removed")) || !total_of_name(db_column_text(row, 0), &which))
            err = report_corrupt_row(SPAN("removed"), 0);
        else
            removed->rows[which] = sqlite3_column_int64(row, 1),
            removed->below[which] = (uint64_t)sqlite3_column_int64(row, 2);
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(db);
    sqlite3_finalize(row);
    return err || rows == TOTAL_EVENTS_COUNT ? err : report_corrupt_row(SPAN("removed"), 0);
}

enum err removed_read(struct sqlite_store *store)
{
    return removed_read_from(store->db, &store->removed);
}

int64_t removed_or_below(const struct sqlite_store *store, enum total which,
                         const struct age_mark *mark)
{
    int64_t removed = store->removed.rows[which], below = mark->totals.rows[which];
    return removed > below ? removed : below;
}

static enum err write_removed(struct sqlite_store *store, enum total which)
{
    sqlite3_stmt *statement = NULL;
    enum err err =
        db_prepare(store->db, &statement, "INSERT OR REPLACE INTO removed VALUES (?,?,?,?)");
    if (err) return err;
    struct db_binder row = db_row(statement, SPAN("removed"));
    db_bind_text(&row, totals_name(which));
    db_bind_i64(&row, store->removed.rows[which]);
    db_bind_i64(&row, (int64_t)store->removed.below[which]);
    err = db_insert(&row);
    sqlite3_finalize(statement);
    return err;
}

/* -- removing ------------------------------------------------------------------------------ */

/* The last of the next rows below the floor, at most `count` of them; 0: there is none. */
static enum err find_last(struct sqlite_store *store, struct span table, uint64_t floor,
                          uint32_t count, int64_t *last)
{
    char sql[160];
    snprintf(sql, sizeof sql,
             "SELECT coalesce(max(seq), 0) FROM (SELECT seq FROM %.*s WHERE seq < %lld"
             " ORDER BY seq LIMIT %u)",
             SPAN_FMT(table), (long long)floor, count);
    return db_query_i64(store->db, sql, last);
}

static enum err remove_up_to(struct sqlite_store *store, enum total which, int64_t last,
                             uint32_t *removed_count)
{
    char sql[96];
    snprintf(sql, sizeof sql, "DELETE FROM %.*s WHERE seq <= %lld", SPAN_FMT(totals_name(which)),
             (long long)last);
    enum err err = db_exec(store->db, sql);
    if (err) return err;
    int count = sqlite3_changes(store->db);
    *removed_count += (uint32_t)count;
    store->removed.rows[which] += count;
    store->removed.below[which] = (uint64_t)last + 1;
    return write_removed(store, which);
}

/* Rows of `others` belong to rows that are `ttl_ms` older at most. The first that is left of them
 * may be as old as any, and not known to be: nothing was recorded since. */
static enum err keep_subjects(struct sqlite_store *store, enum total others, int64_t ttl_ms,
                              int64_t *time_ms)
{
    char sql[128];
    int64_t first_ms = 0;
    snprintf(sql, sizeof sql, "SELECT recorded_at_ms FROM %.*s ORDER BY seq LIMIT 1",
             SPAN_FMT(totals_name(others)));
    enum err err = db_query_i64(store->db, sql, &first_ms);
    if (err) return err == ERR_NOT_FOUND ? ERR_OK : err;
    int64_t bound_ms = first_ms - FLOOR_MARGIN_MS - ttl_ms;
    if (bound_ms < *time_ms) *time_ms = bound_ms;
    return ERR_OK;
}

static enum err find_time(struct sqlite_store *store, enum total which,
                          const struct ages_kept *ages, int64_t *time_ms)
{
    *time_ms = store->ages.now_ms - FLOOR_MARGIN_MS - ages->keep.kept_ms[which];
    if (which == TOTAL_CLICK)
        return keep_subjects(store, TOTAL_CONVERSION, ages->click_ttl_ms, time_ms);
    if (which == TOTAL_IMPRESSION)
        return keep_subjects(store, TOTAL_FEEDBACK, ages->impression_ttl_ms, time_ms);
    return ERR_OK;
}

static enum err remove_some(struct sqlite_store *store, enum total which,
                            const struct ages_kept *ages, struct retain *retain)
{
    uint64_t floor;
    int64_t last, time_ms;
    uint32_t room = retain->rows_max - retain->removed_count;
    if (ages->keep.kept_ms[which] == RETAIN_FOR_EVER || room == 0) return ERR_OK;
    enum err err = find_time(store, which, ages, &time_ms);
    if (!err) err = find_floor(store, time_ms, &floor);
    if (err) return err;
    floor = below_indexes(store, which, floor);
    if (floor <= store->removed.below[which]) return ERR_OK;
    err = find_last(store, totals_name(which), floor, room, &last);
    if (err || last == 0) return err;
    return remove_up_to(store, which, last, &retain->removed_count);
}

/* What points at others goes before them. */
enum err retain_apply(struct sqlite_store *store, struct op *op)
{
    static const enum total order[] = {TOTAL_CONVERSION, TOTAL_CLICK,       TOTAL_FEEDBACK,
                                       TOTAL_IMPRESSION, TOTAL_AD_FEEDBACK, TOTAL_SERVER_EVENT};
    struct ages_kept ages;
    op->retain.removed_count = 0;
    enum err err = find_ages(store, op->retain.keep_ms, &ages);
    for (size_t i = 0; i < sizeof order / sizeof order[0] && !err; i++)
        err = remove_some(store, order[i], &ages, &op->retain);
    op->outcome = OUTCOME_RECORDED;
    return err;
}
