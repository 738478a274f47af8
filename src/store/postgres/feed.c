#include "base/arena.h"
#include "base/uninitialized.h"
#include "store/engine.h"
#include "store/postgres/merge.h"
#include "store/postgres/result.h"

#include <stdio.h>
#include <stdlib.h>

/* What servers record, followed: as sqlite/feed.c. */

enum { EVENT_ROOM = ROW_TEXT_MAX + 64 * 1024, TEXTS_MAX = 2 * EVENT_ROOM };

struct pg_feed {
    struct store_feed feed;
    struct pg_merge merge;
    struct arena arena;
    char *row, *texts;
};

static struct pg_feed *feed_of(struct store_feed *feed)
{
    return (struct pg_feed *)(void *)feed;
}

static void close_feed(struct store_feed *base)
{
    struct pg_feed *feed = feed_of(base);
    pg_merge_close(&feed->merge);
    free(feed->row);
    free(feed->texts);
    free(feed);
}

static void write_receipt(const struct store_feed *base, uint64_t sequence, char *out)
{
    const struct pg_feed *feed = (const struct pg_feed *)(const void *)base;
    receipt_write(out, feed->merge.receipt_key, sequence);
}

static bool read_receipt(const struct store_feed *base, struct span receipt, uint64_t *out)
{
    const struct pg_feed *feed = (const struct pg_feed *)(const void *)base;
    return receipt_read(out, feed->merge.receipt_key, receipt);
}

static enum err read_last(struct store_feed *base, uint64_t *last)
{
    char problem[STORE_PROBLEM_MAX];
    feed_of(base)->merge.problem = problem;
    return pg_merge_last(&feed_of(base)->merge, last);
}

struct reading {
    struct pg_feed *feed;
    struct store_feed_event *events;
    size_t cap, count;
    uint64_t at; /* the sequence of the last event that was taken */
};

static struct span cell_of(const struct pg_merge_row *row, const char *name)
{
    int column = PQfnumber(row->result, name);
    return column < 0 ? SPAN_NONE : pg_get_text(row->result, row->at, column);
}

static struct span key_of(const struct pg_merge_row *row)
{
    if (row->kind == OP_CLICK || row->kind == OP_CONVERSION) return cell_of(row, "click_id");
    if (row->kind == OP_SERVER_EVENT) return cell_of(row, "tag_id");
    struct span bid_id = cell_of(row, "bid_id");
    return bid_id.ptr ? bid_id : cell_of(row, "feedback_id");
}

static struct span campaign_of(const struct pg_merge_row *row)
{
    bool is_linked = PQnfields(row->result) > row->columns;
    return is_linked ? pg_get_text(row->result, row->at, row->columns)
                     : cell_of(row, "campaign_id");
}

static bool write_text(struct reading *reading, const struct pg_merge_row *row, struct span receipt,
                       struct writer *out)
{
    struct text_row cells UNINITIALIZED;
    pg_take_row(row->result, row->at, row->columns, &cells);
    writer_init(out, reading->feed->row, ROW_TEXT_MAX);
    row_text_ndjson(out, event_table_name(row->kind), receipt, &cells);
    if (!out->overflow) out->len--; /* the line feed */
    return !out->overflow;
}

/* ERR_FULL: there is no room for it in this call. */
static enum err take(void *arg, const struct pg_merge_row *row)
{
    struct reading *reading = arg;
    struct arena *arena = &reading->feed->arena;
    struct writer text;
    char receipt[RECEIPT_LEN];
    if (reading->count == reading->cap || arena_room(arena) < EVENT_ROOM) return ERR_FULL;
    uint64_t sequence = (uint64_t)pg_get_i64(row->result, row->at, 0);
    write_receipt(&reading->feed->feed, sequence, receipt);
    if (!write_text(reading, row, (struct span){receipt, sizeof receipt}, &text))
        return ERR_CORRUPT_ROW;
    reading->events[reading->count++] = (struct store_feed_event){
        .table = row->kind,
        .sequence = sequence,
        .recorded_at_ms =
            pg_get_i64(row->result, row->at, PQfnumber(row->result, "recorded_at_ms")),
        .text = arena_copy(arena, writer_text(&text)),
        .receipt = arena_copy(arena, (struct span){receipt, sizeof receipt}),
        .key = arena_copy(arena, key_of(row)),
        .partner_id = arena_copy(arena, cell_of(row, "partner_id")),
        .campaign_id = arena_copy(arena, campaign_of(row)),
    };
    reading->at = sequence;
    return ERR_OK;
}

static enum err read_events(struct store_feed *base, uint64_t *cursor, uint64_t to,
                            struct store_feed_event *events, size_t cap, size_t *count,
                            char problem[STORE_PROBLEM_MAX])
{
    struct pg_feed *feed = feed_of(base);
    struct reading reading = {feed, events, cap, 0, 0};
    uint64_t last = 0, at = *cursor;
    problem[0] = '\0';
    feed->merge.problem = problem;
    arena_reset(&feed->arena);
    enum err err = pg_merge_last(&feed->merge, &last);
    uint64_t end = to < last ? to : last;
    while (!err && at < end && reading.count < cap)
        err = pg_merge_read(&feed->merge, &at, end, take, &reading);
    *count = reading.count;
    if (reading.count) {
        /* What is behind a damaged row or has no room is left for the next call. */
        *cursor = err ? reading.at : at;
        return ERR_OK;
    }
    if (!err && at > *cursor) *cursor = at;
    if (err && !problem[0])
        snprintf(problem, STORE_PROBLEM_MAX, "cannot read what was recorded: %s", err_text(err));
    return err;
}

static const struct feed_engine pg_feed_engine = {
    .close = close_feed,
    .read = read_events,
    .last = read_last,
    .receipt = write_receipt,
    .sequence = read_receipt,
};

enum err pg_feed_open(struct store_feed **out, const char *url, char problem[STORE_PROBLEM_MAX])
{
    struct pg_feed *feed = calloc(1, sizeof *feed);
    *out = NULL;
    problem[0] = '\0';
    if (!feed) return ERR_NO_MEMORY;
    feed->feed.engine = &pg_feed_engine;
    enum err err = pg_merge_open(&feed->merge, url, problem);
    feed->merge.wants_links = true;
    for (int i = 0; i < EVENT_TABLES; i++)
        feed->merge.is_asked[i] = true;
    feed->row = malloc(ROW_TEXT_MAX);
    feed->texts = malloc(TEXTS_MAX);
    if (!err && !(feed->row && feed->texts)) err = ERR_NO_MEMORY;
    if (err) {
        close_feed(&feed->feed);
        return err;
    }
    arena_init(&feed->arena, feed->texts, TEXTS_MAX);
    *out = &feed->feed;
    return ERR_OK;
}
