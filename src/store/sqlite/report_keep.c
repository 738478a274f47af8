#include "store/sqlite/report_sums.h"

#include <stdlib.h>

/* What was folded, into what is kept: by ad, by each name alone and by none, of quarters, hours and
 * days. Where a report needs no more than that, it need not add up thousands of ads. */

enum { PARTS_FIRST = 1024, FIRST_NAME = 1, FLAGGED = FIRST_NAME + REPORT_IDS };

/* A row of temp.part, with numbers for texts. */
struct part {
    int64_t quarter;
    struct report_ads ads;
    uint32_t kind;
    int64_t count;
    report_amount amount;
};

struct step {
    struct report_db *db;
    sqlite3_stmt *read, *write, *remove;
    struct part *parts;
    size_t count, cap;
    struct report_sums quarter, hour, day, kept, merged;
    struct report_bytes packed;
};

/* Which row of agg. */
struct place {
    int by;
    int64_t unit, quarter, chunk;
};

static int compare_parts(const void *a, const void *b)
{
    int64_t left = ((const struct part *)a)->quarter, right = ((const struct part *)b)->quarter;
    return (left > right) - (left < right);
}

static enum err read_part(struct step *step, struct report_ids *ids, sqlite3_stmt *row)
{
    struct span names[REPORT_IDS];
    if (!report_grow((void **)&step->parts, &step->cap, step->count + 1, PARTS_FIRST,
                     sizeof *step->parts))
        return ERR_NO_MEMORY;
    struct part *part = &step->parts[step->count++];
    for (int i = 0; i < REPORT_IDS; i++)
        names[i] = db_column_text(row, FIRST_NAME + i);
    part->quarter = sqlite3_column_int64(row, 0);
    part->count = sqlite3_column_int64(row, FLAGGED + 3);
    part->amount = report_amount_column(row, FLAGGED + 4);
    enum err err = report_ids_ad(ids, names, &part->ads);
    return err ? err
               : report_ids_kind(ids, sqlite3_column_int64(row, FLAGGED + 1),
                                 sqlite3_column_int64(row, FLAGGED),
                                 db_column_text(row, FLAGGED + 2), &part->kind);
}

static enum err read_parts(struct step *step)
{
    struct report_ids ids;
    sqlite3_stmt *rows = NULL;
    int code = SQLITE_DONE;
    enum err err = report_ids_begin(&ids, step->db);
    if (!err)
        err = db_prepare(step->db->db, &rows,
                         "SELECT quarter, advertiser, publisher, campaign, product, placement,"
                         " flagged, metric, label, count, amount FROM temp.part");
    while (!err && (code = sqlite3_step(rows)) == SQLITE_ROW)
        err = read_part(step, &ids, rows);
    if (!err && code != SQLITE_DONE) err = db_last_err(step->db->db);
    sqlite3_finalize(rows);
    report_ids_end(&ids);
    if (step->count) qsort(step->parts, step->count, sizeof *step->parts, compare_parts);
    return err;
}

static void bind_place(struct db_binder *row, const struct place *place)
{
    db_bind_i64(row, place->by);
    db_bind_i64(row, place->unit);
    db_bind_i64(row, place->quarter);
    db_bind_i64(row, place->chunk);
}

/* What the row has so far. */
static enum err read_kept(struct step *step, const struct place *place)
{
    struct db_binder key = db_row(step->read, SPAN_NONE);
    struct report_packed packed;
    struct report_sum sum;
    bind_place(&key, place);
    step->kept.count = 0;
    int code = sqlite3_step(step->read);
    enum err err = code == SQLITE_ROW || code == SQLITE_DONE ? ERR_OK : db_last_err(step->db->db);
    if (code == SQLITE_ROW) {
        report_packed_begin(&packed, db_column_text(step->read, 0), place->chunk);
        while (!err && report_packed_next(&packed, &sum))
            err = report_sums_add(&step->kept, &sum, 1);
        if (!err && packed.rest.len) err = ERR_CORRUPT;
    }
    sqlite3_reset(step->read);
    return err;
}

/* A row without sums goes: a recount would not have it. */
static enum err write_kept(struct step *step, const struct place *place)
{
    bool is_empty = step->merged.count == 0;
    struct db_binder row = db_row(is_empty ? step->remove : step->write, SPAN("agg"));
    bind_place(&row, place);
    if (is_empty) return db_run(step->remove);
    enum err err = report_pack(&step->packed, step->merged.sums, step->merged.count);
    if (err) return err;
    db_bind_blob(&row, step->packed.bytes, step->packed.len);
    return db_insert(&row);
}

/* Settled sums of one unit, into as many rows as they have chunks. */
static enum err keep_sums(struct step *step, struct place place, const struct report_sums *sums)
{
    enum err err = ERR_OK;
    for (size_t begin = 0, end = 0; begin < sums->count && !err; begin = end) {
        place.chunk = report_key_ad(sums->sums[begin].key) / REPORT_CHUNK;
        while (end < sums->count &&
               report_key_ad(sums->sums[end].key) / REPORT_CHUNK == place.chunk)
            end++;
        err = read_kept(step, &place);
        if (!err)
            err = report_sums_merge(&step->merged, &step->kept,
                                    &(struct report_sums){sums->sums + begin, end - begin, 0});
        if (!err) err = write_kept(step, &place);
    }
    return err;
}

/* What was gathered of a unit is kept, and handed on to the one that it is in. */
static enum err end_unit(struct step *step, struct place place, struct report_sums *sums,
                         struct report_sums *into)
{
    report_sums_settle(sums);
    enum err err = keep_sums(step, place, sums);
    if (!err && into) err = report_sums_add(into, sums->sums, sums->count);
    sums->count = 0;
    return err;
}

static int64_t begin_of(int64_t quarter, int64_t unit)
{
    return (quarter < 0 ? quarter - unit + 1 : quarter) / unit * unit;
}

/* The parts come by time: a unit ends where the next part is not in it. */
static enum err end_units(struct step *step, int by, size_t i)
{
    int64_t quarter = step->parts[i].quarter, hour = begin_of(quarter, REPORT_HOURS);
    int64_t day = begin_of(quarter, REPORT_DAYS);
    bool is_last = i + 1 == step->count;
    int64_t next = is_last ? 0 : step->parts[i + 1].quarter;
    if (!is_last && next == quarter) return ERR_OK;
    enum err err =
        end_unit(step, (struct place){by, REPORT_QUARTER, quarter, 0}, &step->quarter, &step->hour);
    if (!err && (is_last || begin_of(next, REPORT_HOURS) != hour))
        err = end_unit(step, (struct place){by, REPORT_HOURS, hour, 0}, &step->hour, &step->day);
    if (!err && (is_last || begin_of(next, REPORT_DAYS) != day))
        err = end_unit(step, (struct place){by, REPORT_DAYS, day, 0}, &step->day, NULL);
    return err;
}

static enum err keep_by(struct step *step, int by)
{
    enum err err = ERR_OK;
    for (size_t i = 0; i < step->count && !err; i++) {
        const struct part *part = &step->parts[i];
        struct report_sum sum = {report_key(part->ads.by[by], part->kind), part->count,
                                 part->amount};
        err = report_sums_add(&step->quarter, &sum, 1);
        if (!err) err = end_units(step, by, i);
    }
    return err;
}

static enum err keep_opinions(struct report_db *db)
{
    return db_exec(db->db, "DELETE FROM main.agg_opinion WHERE (bid, seq) IN"
                           " (SELECT bid, seq FROM temp.signed WHERE sign < 0);"
                           "INSERT INTO main.agg_opinion SELECT bid, seq,"
                           " row_checksum('agg_opinion', bid, seq) FROM temp.latest");
}

#define OF_PLACE "names = ? AND unit = ? AND quarter = ? AND chunk = ?"

static enum err prepare(struct step *step)
{
    sqlite3 *db = step->db->db;
    enum err err = db_prepare(db, &step->read, "SELECT sums FROM main.agg WHERE " OF_PLACE);
    if (!err) err = db_prepare(db, &step->remove, "DELETE FROM main.agg WHERE " OF_PLACE);
    if (!err)
        err = db_prepare(db, &step->write,
                         "INSERT OR REPLACE INTO main.agg VALUES (?, ?, ?, ?, ?, ?)");
    return err;
}

static void step_fini(struct step *step)
{
    sqlite3_finalize(step->read);
    sqlite3_finalize(step->write);
    sqlite3_finalize(step->remove);
    free(step->parts);
    report_sums_free(&step->quarter);
    report_sums_free(&step->hour);
    report_sums_free(&step->day);
    report_sums_free(&step->kept);
    report_sums_free(&step->merged);
    free(step->packed.bytes);
}

enum err report_keep(struct report_db *db)
{
    struct step step = {.db = db};
    enum err err = prepare(&step);
    if (!err) err = read_parts(&step);
    for (int by = 0; by < REPORT_NAMES && !err; by++)
        err = keep_by(&step, by);
    if (!err) err = keep_opinions(db);
    step_fini(&step);
    return err;
}
