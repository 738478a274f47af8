#include "base/assert.h"
#include "store/sqlite/report_sums.h"

#include <stdlib.h>

/* What a report reads of the kept sums: for each period the rows of the largest units that lie in
 * it, added up by group, into temp.found. */

enum { CELLS_FIRST = 1024, NUMBERS_FIRST = 4096, NO_GROUP = 0, NO_SLOT = 0 };

/* The sum of a group (a text of its names) and of what is counted there (a text of metric and
 * label). */
struct cell {
    uint64_t key; /* group << 32 | slot, which count from 1; 0: it is free */
    int64_t count;
    report_amount amount;
};

struct gather {
    struct report_db *db;
    const struct report_query *query;
    int by;           /* what the rows are by */
    int64_t from, to; /* quarters */
    bool has_period, is_hour;
    sqlite3_stmt *read, *write;
    struct report_texts groups, labels;
    uint32_t *group_of, *slot_of; /* by ad and by kind */
    size_t ads_cap, kinds_cap;
    bool *is_chunk_read;
    size_t chunks_cap;
    struct cell *cells;
    size_t cells_count, cells_cap;
    struct report_bytes key;
    struct {
        int64_t unit, begin, end, period;
    } piece; /* of time, that is read next; without end: none is */
};

/* -- cells --------------------------------------------------------------------------------- */

static struct cell *look_up(struct cell *cells, size_t cap, uint64_t key)
{
    size_t at = (size_t)((key * 0x9e3779b97f4a7c15U) >> 32) & (cap - 1);
    while (cells[at].key && cells[at].key != key)
        at = (at + 1) & (cap - 1);
    return &cells[at];
}

/* Half of them stay free. */
static bool grow_cells(struct gather *gather)
{
    size_t cap = gather->cells_cap ? gather->cells_cap * 2 : CELLS_FIRST;
    struct cell *cells = calloc(cap, sizeof *cells);
    if (!cells) return false;
    for (size_t i = 0; i < gather->cells_cap; i++)
        if (gather->cells[i].key) *look_up(cells, cap, gather->cells[i].key) = gather->cells[i];
    free(gather->cells);
    gather->cells = cells;
    gather->cells_cap = cap;
    return true;
}

static enum err add_cell(struct gather *gather, uint64_t key, const struct report_sum *sum)
{
    if (gather->cells_count * 2 >= gather->cells_cap && !grow_cells(gather)) return ERR_NO_MEMORY;
    struct cell *cell = look_up(gather->cells, gather->cells_cap, key);
    if (!cell->key) gather->cells_count++;
    cell->key = key;
    cell->count += sum->count;
    cell->amount += sum->amount;
    return ERR_OK;
}

static struct span take_text(struct span *rest)
{
    return span_split(rest, '\0');
}

static enum err write_cell(struct gather *gather, const struct cell *cell)
{
    struct span names = report_texts_get(&gather->groups, (uint32_t)(cell->key >> 32) - 1);
    struct span label = report_texts_get(&gather->labels, (uint32_t)cell->key - 1);
    struct db_binder row = db_row(gather->write, SPAN_NONE);
    db_bind_i64(&row, gather->piece.period);
    for (int i = 0; i < REPORT_IDS; i++)
        db_bind_text(&row, take_text(&names));
    db_bind_i64(&row, take_text(&label).ptr[0] - '0');
    db_bind_text(&row, take_text(&label));
    db_bind_i64(&row, cell->count);
    report_amount_bind(row.statement, row.next, cell->amount);
    return db_run(gather->write);
}

static enum err write_cells(struct gather *gather)
{
    enum err err = ERR_OK;
    for (size_t i = 0; i < gather->cells_cap && gather->cells_count && !err; i++) {
        if (!gather->cells[i].key) continue;
        err = write_cell(gather, &gather->cells[i]);
        gather->cells[i] = (struct cell){0};
        gather->cells_count--;
    }
    return err;
}

/* -- rows ---------------------------------------------------------------------------------- */

static enum err add_packed(struct gather *gather, struct span bytes, int64_t chunk)
{
    struct report_packed packed;
    struct report_sum sum;
    enum err err = ERR_OK;
    report_packed_begin(&packed, bytes, chunk);
    while (!err && report_packed_next(&packed, &sum)) {
        uint32_t ad = report_key_ad(sum.key), kind = report_key_kind(sum.key);
        if (ad >= gather->ads_cap || kind >= gather->kinds_cap) continue;
        uint32_t group = gather->group_of[ad], slot = gather->slot_of[kind];
        if (group != NO_GROUP && slot != NO_SLOT)
            err = add_cell(gather, report_key(group, slot), &sum);
    }
    return err ? err : packed.rest.len ? ERR_CORRUPT : ERR_OK;
}

/* Sums of ads that are not asked for are not even read. */
static enum err read_piece(struct gather *gather)
{
    int code;
    enum err err = ERR_OK;
    struct db_binder range = db_row(gather->read, SPAN_NONE);
    db_bind_i64(&range, gather->by);
    db_bind_i64(&range, gather->piece.unit);
    db_bind_i64(&range, gather->piece.begin);
    db_bind_i64(&range, gather->piece.end);
    while ((code = sqlite3_step(gather->read)) == SQLITE_ROW && !err) {
        int64_t chunk = sqlite3_column_int64(gather->read, 0);
        if (chunk >= 0 && (size_t)chunk < gather->chunks_cap && gather->is_chunk_read[chunk])
            err = add_packed(gather, db_column_text(gather->read, 1), chunk);
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(gather->db->db);
    sqlite3_reset(gather->read);
    return err;
}

/* -- time ---------------------------------------------------------------------------------- */

static int64_t period_at(const struct gather *gather, int64_t quarter)
{
    if (!gather->has_period) return 0;
    return report_period(&gather->query->zone, quarter, gather->is_hour);
}

/* A unit that is all in the range, and in one period. */
static bool is_whole(const struct gather *gather, int64_t begin, int64_t unit)
{
    if (begin < gather->from || begin + unit > gather->to) return false;
    for (int64_t i = 1; i < unit && gather->has_period; i++)
        if (period_at(gather, begin + i) != period_at(gather, begin)) return false;
    return true;
}

/* Units one after the other are read at once. */
static enum err put_unit(struct gather *gather, int64_t begin, int64_t unit)
{
    int64_t period = period_at(gather, begin);
    bool has_piece = gather->piece.end != gather->piece.begin;
    bool is_same = has_piece && gather->piece.period == period;
    if (is_same && gather->piece.unit == unit && gather->piece.end == begin) {
        gather->piece.end += unit;
        return ERR_OK;
    }
    enum err err = has_piece ? read_piece(gather) : ERR_OK;
    if (!err && !is_same) err = write_cells(gather);
    gather->piece.unit = unit;
    gather->piece.begin = begin;
    gather->piece.end = begin + unit;
    gather->piece.period = period;
    return err;
}

static enum err put_hour(struct gather *gather, int64_t hour)
{
    enum err err = ERR_OK;
    if (is_whole(gather, hour, REPORT_HOURS)) return put_unit(gather, hour, REPORT_HOURS);
    for (int64_t i = hour; i < hour + REPORT_HOURS && !err; i++)
        if (is_whole(gather, i, REPORT_QUARTER)) err = put_unit(gather, i, REPORT_QUARTER);
    return err;
}

static enum err put_day(struct gather *gather, int64_t day)
{
    enum err err = ERR_OK;
    if (is_whole(gather, day, REPORT_DAYS)) return put_unit(gather, day, REPORT_DAYS);
    for (int64_t hour = day; hour < day + REPORT_DAYS && !err; hour += REPORT_HOURS)
        err = put_hour(gather, hour);
    return err;
}

/* Of the days that have something. */
static enum err put_days(struct gather *gather)
{
    sqlite3_stmt *days = NULL;
    int code = SQLITE_DONE;
    enum err err = db_prepare(gather->db->db, &days,
                              "SELECT DISTINCT quarter FROM main.agg WHERE names = ?1 AND unit = ?2"
                              " AND quarter > ?3 AND quarter < ?4 ORDER BY quarter");
    if (err) return err;
    sqlite3_bind_int64(days, 1, REPORT_BY_NONE);
    sqlite3_bind_int64(days, 2, REPORT_DAYS);
    sqlite3_bind_int64(days, 3, gather->from - REPORT_DAYS);
    sqlite3_bind_int64(days, 4, gather->to);
    while (!err && (code = sqlite3_step(days)) == SQLITE_ROW)
        err = put_day(gather, sqlite3_column_int64(days, 0));
    if (!err && code != SQLITE_DONE) err = db_last_err(gather->db->db);
    sqlite3_finalize(days);
    if (!err && gather->piece.end != gather->piece.begin) err = read_piece(gather);
    return err ? err : write_cells(gather);
}

/* -- what is asked for --------------------------------------------------------------------- */

static bool is_grouped(const struct report_query *query, int name)
{
    for (size_t i = 0; i < query->by_count; i++)
        if ((int)query->by[i] == name) return true;
    return false;
}

static enum err add_ad(struct gather *gather, sqlite3_stmt *row)
{
    struct span names[REPORT_IDS];
    uint32_t group;
    bool is_new;
    size_t ad = (size_t)sqlite3_column_int64(row, 0);
    for (int i = 0; i < REPORT_IDS; i++)
        names[i] = is_grouped(gather->query, i) ? db_column_text(row, i + 1) : SPAN("");
    if (!report_join(&gather->key, names, REPORT_IDS) ||
        !report_grow((void **)&gather->group_of, &gather->ads_cap, ad + 1, NUMBERS_FIRST,
                     sizeof *gather->group_of) ||
        !report_grow((void **)&gather->is_chunk_read, &gather->chunks_cap, ad / REPORT_CHUNK + 1,
                     NUMBERS_FIRST, sizeof *gather->is_chunk_read))
        return ERR_NO_MEMORY;
    enum err err = report_texts_find(
        &gather->groups, (struct span){gather->key.bytes, gather->key.len}, &group, &is_new);
    if (err) return err;
    gather->group_of[ad] = group + 1;
    gather->is_chunk_read[ad / REPORT_CHUNK] = true;
    return ERR_OK;
}

static enum err add_kind(struct gather *gather, sqlite3_stmt *row)
{
    uint32_t slot;
    bool is_new;
    size_t kind = (size_t)sqlite3_column_int64(row, 0);
    char metric = (char)('0' + sqlite3_column_int(row, 1));
    const struct span texts[] = {{&metric, 1}, db_column_text(row, 2)};
    if (!report_join(&gather->key, texts, 2) ||
        !report_grow((void **)&gather->slot_of, &gather->kinds_cap, kind + 1, NUMBERS_FIRST,
                     sizeof *gather->slot_of))
        return ERR_NO_MEMORY;
    enum err err = report_texts_find(
        &gather->labels, (struct span){gather->key.bytes, gather->key.len}, &slot, &is_new);
    if (!err) gather->slot_of[kind] = slot + 1;
    return err;
}

typedef void put_sql_fn(struct writer *sql, const struct report_query *query);
typedef enum err add_row_fn(struct gather *gather, sqlite3_stmt *row);

static enum err read_rows(struct gather *gather, put_sql_fn *put_sql, add_row_fn *add_row)
{
    char memory[REPORT_SQL_MAX];
    struct writer sql;
    sqlite3_stmt *rows = NULL;
    int code = SQLITE_DONE;
    writer_init(&sql, memory, sizeof memory);
    put_sql(&sql, gather->query);
    enum err err = report_prepare(gather->db, gather->query, &sql, &rows);
    while (!err && (code = sqlite3_step(rows)) == SQLITE_ROW)
        err = add_row(gather, rows);
    if (!err && code != SQLITE_DONE) err = db_last_err(gather->db->db);
    sqlite3_finalize(rows);
    return err;
}

static enum err prepare(struct gather *gather)
{
    enum err err = db_exec(gather->db->db, "DELETE FROM temp.found");
    if (!err)
        err = db_prepare(gather->db->db, &gather->read,
                         "SELECT chunk, sums FROM main.agg WHERE names = ? AND unit = ?"
                         " AND quarter >= ? AND quarter < ?");
    if (!err)
        err = db_prepare(gather->db->db, &gather->write,
                         "INSERT INTO temp.found VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    return err;
}

static void gather_fini(struct gather *gather)
{
    sqlite3_finalize(gather->read);
    sqlite3_finalize(gather->write);
    report_texts_free(&gather->groups);
    report_texts_free(&gather->labels);
    free(gather->group_of);
    free(gather->slot_of);
    free(gather->is_chunk_read);
    free(gather->cells);
    free(gather->key.bytes);
}

enum err report_gather(struct report_db *db, const struct report_query *query)
{
    struct gather gather = {.db = db, .query = query, .by = report_names_of(query)};
    report_quarters_of(query, &gather.from, &gather.to);
    gather.is_hour = is_grouped(query, REPORT_HOUR);
    gather.has_period = gather.is_hour || is_grouped(query, REPORT_DAY);
    enum err err = prepare(&gather);
    if (!err) err = read_rows(&gather, report_ads_sql, add_ad);
    if (!err) err = read_rows(&gather, report_kinds_sql, add_kind);
    if (!err) err = put_days(&gather);
    gather_fini(&gather);
    return err;
}
