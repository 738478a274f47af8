#include "base/log.h"
#include "store/sqlite/sqlite.h"

#include <string.h>

/* How many rows there must be: what a damaged page hides has no checksum that could miss it. One
 * row of its own, rewritten by each batch that adds rows, in the batch's transaction. */

enum { TOTALS_ID = 1 };

static const struct span names[TOTALS_COUNT] = {
    [TOTAL_CLICK] = SPAN_INIT("click"),
    [TOTAL_CONVERSION] = SPAN_INIT("conversion"),
    [TOTAL_SERVER_EVENT] = SPAN_INIT("server_event"),
    [TOTAL_IMPRESSION] = SPAN_INIT("impression"),
    [TOTAL_FEEDBACK] = SPAN_INIT("feedback"),
    [TOTAL_AD_FEEDBACK] = SPAN_INIT("ad_feedback"),
    [TOTAL_VOTE] = SPAN_INIT("vote"),
    [TOTAL_POLL] = SPAN_INIT("poll"),
    [TOTAL_POLL_OPTION] = SPAN_INIT("poll_option"),
    [TOTAL_API_KEY] = SPAN_INIT("api_key"),
};

struct span totals_name(enum total which)
{
    return names[which];
}

void totals_note_recorded(struct totals *totals, enum op_kind kind)
{
    static const enum total of_kind[] = {
        [OP_CLICK] = TOTAL_CLICK,
        [OP_CONVERSION] = TOTAL_CONVERSION,
        [OP_SERVER_EVENT] = TOTAL_SERVER_EVENT,
        [OP_IMPRESSION] = TOTAL_IMPRESSION,
        [OP_FEEDBACK] = TOTAL_FEEDBACK,
        [OP_AD_FEEDBACK] = TOTAL_AD_FEEDBACK,
        [OP_VOTE] = TOTAL_VOTE,
    };
    if (kind <= OP_VOTE) totals->rows[of_kind[kind]]++;
}

void totals_bind(struct db_binder *row, const struct totals *totals, int count)
{
    for (int i = 0; i < count; i++)
        db_bind_i64(row, totals->rows[i]);
}

enum err totals_write(struct sqlite_store *store)
{
    struct db_binder row = db_row(store->statements[SQL_PUT_TOTALS], SPAN("total"));
    db_bind_i64(&row, TOTALS_ID);
    db_bind_i64(&row, (int64_t)store->sequence_next - 1);
    totals_bind(&row, &store->totals, TOTALS_COUNT);
    return db_insert(&row);
}

void totals_column(struct totals *totals, sqlite3_stmt *row, int first, int count)
{
    for (int i = 0; i < count; i++)
        totals->rows[i] = sqlite3_column_int64(row, first + i);
}

static enum err read_row(struct sqlite_store *store, struct totals *totals, uint64_t *sequence_next)
{
    sqlite3_stmt *row = NULL;
    enum err err = db_prepare(store->db, &row, "SELECT * FROM total WHERE id = 1");
    if (err) return err;
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW && db_is_whole(row, 0, SPAN("total"))) {
        *sequence_next = (uint64_t)sqlite3_column_int64(row, 1) + 1;
        totals_column(totals, row, 2, TOTALS_COUNT);
    } else {
        err = code == SQLITE_ROW || code == SQLITE_DONE ? report_corrupt_row(SPAN("total"), 1)
                                                        : db_err(code);
    }
    sqlite3_finalize(row);
    return err;
}

enum err totals_read(struct sqlite_store *store)
{
    return read_row(store, &store->totals, &store->sequence_next);
}

enum err totals_are_same(struct sqlite_store *store, bool *same)
{
    struct totals totals = {{0}};
    uint64_t sequence_next = 0;
    enum err err = read_row(store, &totals, &sequence_next);
    *same = !err && sequence_next == store->sequence_next &&
            memcmp(&totals, &store->totals, sizeof totals) == 0;
    return err;
}

enum err totals_expect(const struct sqlite_store *store, enum total which, int64_t rows)
{
    if (rows == store->totals.rows[which]) return ERR_OK;
    log_event(LOG_ERROR, "rows_missing", LOG_TEXT("table", names[which]),
              LOG_NUMBER("recorded", store->totals.rows[which]), LOG_NUMBER("found", rows),
              LOG_TEXT("advice", SPAN("run adtally verify")));
    return ERR_CORRUPT;
}
