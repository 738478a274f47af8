#include "base/arena.h"
#include "base/clock.h"
#include "base/uninitialized.h"
#include "store/engine.h"
#include "store/sqlite/merge.h"

#include <stdio.h>
#include <stdlib.h>

/* What is recorded, followed. A call copies what it found, so that no transaction stays open while
 * somebody sends it. */

enum {
    SEQUENCES_PER_READ = 4096,
    EVENT_ROOM = ROW_TEXT_MAX + 64 * 1024, /* its text, and what is told beside it */
    TEXTS_MAX = 2 * EVENT_ROOM,            /* of one call */
    MOVED_CHECK_MS = 1000,
};

/* Columns of a table by their numbers; -1: it has none. */
struct feed_columns {
    int recorded_at, key, key_else, partner, campaign, link;
};

struct sqlite_feed {
    struct store_feed feed;
    struct merge merge;
    struct feed_columns columns[EVENT_TABLES];
    sqlite3_stmt *version;
    sqlite3_stmt *campaigns[EVENT_TABLES]; /* of what a row links to; NULL: it links to nothing */
    int64_t version_seen, last;
    int64_t moved_check_at_ms;
    struct arena arena;
    char *row, *texts;
};

static struct sqlite_feed *feed_of(struct store_feed *feed)
{
    return (struct sqlite_feed *)(void *)feed;
}

static int column_of(sqlite3_stmt *rows, const char *name)
{
    struct span asked = span_of(name);
    for (int i = 0; i < sqlite3_column_count(rows); i++)
        if (span_eq(span_of(sqlite3_column_name(rows, i)), asked)) return i;
    return -1;
}

static const char *key_column(enum op_kind kind)
{
    switch (kind) {
    case OP_CLICK:
    case OP_CONVERSION:
        return "click_id";
    case OP_SERVER_EVENT:
        return "tag_id";
    default:
        return "bid_id";
    }
}

static void find_columns(struct feed_columns *columns, enum op_kind kind, sqlite3_stmt *rows)
{
    *columns = (struct feed_columns){
        .recorded_at = column_of(rows, "recorded_at_ms"),
        .key = column_of(rows, key_column(kind)),
        .key_else = column_of(rows, "feedback_id"),
        .partner = column_of(rows, "partner_id"),
        .campaign = column_of(rows, "campaign_id"),
        .link = column_of(rows, kind == OP_FEEDBACK ? "impression_seq" : "click_seq"),
    };
}

static enum err add_tables(struct sqlite_feed *feed)
{
    static const char *const linked[EVENT_TABLES] = {
        [OP_CONVERSION] = "SELECT campaign_id FROM click WHERE seq = ?",
        [OP_FEEDBACK] = "SELECT campaign_id FROM impression WHERE seq = ?"};
    enum err err = db_prepare(feed->merge.db, &feed->version, "PRAGMA data_version");
    for (int i = 0; i < EVENT_TABLES && !err; i++) {
        err = merge_add(&feed->merge, (enum op_kind)i);
        if (!err && linked[i]) err = db_prepare(feed->merge.db, &feed->campaigns[i], linked[i]);
        if (!err) find_columns(&feed->columns[i], (enum op_kind)i, feed->merge.tables[i].rows);
    }
    return err;
}

static void close_feed(struct store_feed *base)
{
    struct sqlite_feed *feed = feed_of(base);
    for (int i = 0; i < EVENT_TABLES; i++)
        sqlite3_finalize(feed->campaigns[i]);
    sqlite3_finalize(feed->version);
    merge_close(&feed->merge);
    free(feed->row);
    free(feed->texts);
    free(feed);
}

static void write_receipt(const struct store_feed *base, uint64_t sequence, char *out)
{
    const struct sqlite_feed *feed = (const struct sqlite_feed *)(const void *)base;
    receipt_write(out, feed->merge.receipt_key, sequence);
}

static bool read_receipt(const struct store_feed *base, struct span receipt, uint64_t *out)
{
    const struct sqlite_feed *feed = (const struct sqlite_feed *)(const void *)base;
    return receipt_read(out, feed->merge.receipt_key, receipt);
}

/* A restore, or a file moved by hand, puts another database in the place of the one that is open.
 */
static bool has_moved(struct sqlite_feed *feed)
{
    int moved = 0;
    int64_t now_ms = clock_mono_ms();
    if (now_ms < feed->moved_check_at_ms) return false;
    feed->moved_check_at_ms = now_ms + MOVED_CHECK_MS;
    int code = sqlite3_file_control(feed->merge.db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return code == SQLITE_OK && moved;
}

static enum err read_last(struct store_feed *base, uint64_t *last)
{
    struct sqlite_feed *feed = feed_of(base);
    if (has_moved(feed)) return ERR_FOREIGN;
    if (sqlite3_step(feed->version) != SQLITE_ROW) {
        sqlite3_reset(feed->version);
        return db_last_err(feed->merge.db);
    }
    int64_t version = sqlite3_column_int64(feed->version, 0);
    sqlite3_reset(feed->version);
    enum err err = ERR_OK;
    if (version != feed->version_seen) err = merge_last(&feed->merge, &feed->last);
    if (!err) feed->version_seen = version;
    *last = (uint64_t)feed->last;
    return err;
}

struct reading {
    struct sqlite_feed *feed;
    struct store_feed_event *events;
    size_t cap, count;
    int64_t at; /* the sequence of the last event that was taken */
};

static struct span text_of(struct reading *reading, sqlite3_stmt *rows, int column)
{
    struct span text = column < 0 ? SPAN_NONE : db_column_text(rows, column);
    return arena_copy(&reading->feed->arena, text);
}

static struct span campaign_of(struct reading *reading, const struct merge_table *table)
{
    const struct feed_columns *columns = &reading->feed->columns[table->kind];
    sqlite3_stmt *linked = reading->feed->campaigns[table->kind];
    if (!linked) return text_of(reading, table->rows, columns->campaign);
    sqlite3_bind_int64(linked, 1, sqlite3_column_int64(table->rows, columns->link));
    struct span campaign = SPAN_NONE;
    if (sqlite3_step(linked) == SQLITE_ROW) campaign = text_of(reading, linked, 0);
    sqlite3_reset(linked);
    return campaign;
}

/* ERR_FULL: there is no room for it in this call. */
static enum err take(void *arg, const struct merge_table *table)
{
    struct reading *reading = arg;
    struct arena *arena = &reading->feed->arena;
    const struct feed_columns *columns = &reading->feed->columns[table->kind];
    struct store_feed_event *event = &reading->events[reading->count];
    struct writer out;
    struct text_row row UNINITIALIZED;
    char receipt[RECEIPT_LEN];
    if (reading->count == reading->cap || arena_room(arena) < EVENT_ROOM) return ERR_FULL;
    *event = (struct store_feed_event){.table = table->kind,
                                       .sequence = (uint64_t)sqlite3_column_int64(table->rows, 0),
                                       .recorded_at_ms =
                                           sqlite3_column_int64(table->rows, columns->recorded_at)};
    receipt_write(receipt, reading->feed->merge.receipt_key, event->sequence);
    writer_init(&out, reading->feed->row, ROW_TEXT_MAX);
    merge_take(table, &row);
    row_text_ndjson(&out, table->name, (struct span){receipt, sizeof receipt}, &row);
    if (out.overflow) return ERR_CORRUPT_ROW;
    out.len--; /* the line feed */
    event->text = arena_copy(arena, writer_text(&out));
    event->receipt = arena_copy(arena, (struct span){receipt, sizeof receipt});
    event->key = text_of(reading, table->rows, columns->key);
    if (!event->key.ptr) event->key = text_of(reading, table->rows, columns->key_else);
    event->partner_id = text_of(reading, table->rows, columns->partner);
    event->campaign_id = campaign_of(reading, table);
    reading->count++;
    reading->at = (int64_t)event->sequence;
    return ERR_OK;
}

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static enum err read_events(struct store_feed *base, uint64_t *cursor, uint64_t to,
                            struct store_feed_event *events, size_t cap, size_t *count,
                            char problem[STORE_PROBLEM_MAX])
{
    struct sqlite_feed *feed = feed_of(base);
    struct reading reading = {feed, events, cap, 0, 0};
    uint64_t last = 0;
    problem[0] = '\0';
    feed->merge.problem = problem;
    arena_reset(&feed->arena);
    enum err err = read_last(base, &last);
    int64_t at = (int64_t)*cursor, end = (int64_t)(to < last ? to : last);
    while (!err && at < end) {
        int64_t part = min_of(end, at + SEQUENCES_PER_READ);
        err = merge_read(&feed->merge, at, part, take, &reading);
        at = err ? reading.at : part;
    }
    *count = reading.count;
    if (reading.count) {
        /* What is behind a damaged row or has no room is left for the next call. */
        *cursor = (uint64_t)(err ? reading.at : at);
        return ERR_OK;
    }
    if (!err) *cursor = (uint64_t)(at > (int64_t)*cursor ? at : (int64_t)*cursor);
    if (err && !problem[0])
        snprintf(problem, STORE_PROBLEM_MAX, "cannot read what was recorded: %s", err_text(err));
    return err;
}

static const struct feed_engine sqlite_feed_engine = {
    .close = close_feed,
    .read = read_events,
    .last = read_last,
    .receipt = write_receipt,
    .sequence = read_receipt,
};

enum err sqlite_feed_open(struct store_feed **out, const char *dir, char problem[STORE_PROBLEM_MAX])
{
    struct sqlite_feed *feed = calloc(1, sizeof *feed);
    *out = NULL;
    problem[0] = '\0';
    if (!feed) return ERR_NO_MEMORY;
    feed->feed.engine = &sqlite_feed_engine;
    enum err err = merge_open(&feed->merge, dir, problem);
    feed->row = malloc(ROW_TEXT_MAX);
    feed->texts = malloc(TEXTS_MAX);
    if (!err && !(feed->row && feed->texts)) err = ERR_NO_MEMORY;
    if (!err) err = add_tables(feed);
    if (!err) {
        arena_init(&feed->arena, feed->texts, TEXTS_MAX);
        *out = &feed->feed;
        return ERR_OK;
    }
    if (!problem[0])
        snprintf(problem, STORE_PROBLEM_MAX, "cannot read %.400s: %s", dir, err_text(err));
    close_feed(&feed->feed);
    return err;
}
