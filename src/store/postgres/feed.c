#include "base/arena.h"
#include "base/limits.h"
#include "base/uninitialized.h"
#include "event/uuid.h"
#include "store/engine.h"
#include "store/postgres/merge.h"
#include "store/postgres/result.h"

#include <stdio.h>
#include <stdlib.h>

/* What servers record, followed: as sqlite/feed.c. */

enum {
    EVENT_ROOM = ROW_TEXT_MAX + 64 * 1024,
    LINKS_MAX = 512, /* of a call, of each kind */
    CAMPAIGNS_ROOM = 2 * LINKS_MAX * (LIMIT_ID + 16),
    TEXTS_MAX = 2 * EVENT_ROOM + CAMPAIGNS_ROOM,
};

/* An event whose campaign is that of the row that it points at. */
struct link {
    struct store_feed_event *event;
    int64_t seq;
    bool is_found;
};

struct links {
    struct link at[LINKS_MAX];
    int count;
};

struct pg_feed {
    struct store_feed feed;
    struct pg_merge merge;
    struct links clicks, impressions; /* of the call under way */
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

/* -- campaigns of what was linked ----------------------------------------------------------- */

#define NEAR                                                                                       \
    " AND t.recorded_at_ms >= n.about_ms - 86400000 AND t.recorded_at_ms < n.about_ms + 86400000"

/* An index of sequences is each day's own, so a row is looked for where it has to be: a click's id
 * says when it was made, a bid's key when its impression was. What is not there (imported, of a
 * clock that was wrong, of a bid that is forgotten) is looked for in all days. OFFSET 0: first the
 * key, then the day. */
struct linked {
    const char *near, *anywhere;
};

static const struct linked linked_clicks = {
    "SELECT n.at, t.campaign_id FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])"
    " AS n (at, seq, about_ms) JOIN click t ON t.seq = n.seq" NEAR,
    "SELECT n.at, t.campaign_id FROM unnest($1::bigint[], $2::bigint[]) AS n (at, seq)"
    " JOIN click t ON t.seq = n.seq",
};

static const struct linked linked_impressions = {
    "SELECT n.at, t.campaign_id FROM (SELECT n.at, n.seq, k.recorded_at_ms AS about_ms"
    " FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS n (at, seq, bid_id)"
    " JOIN bid_key k ON k.bid_id = n.bid_id AND k.kind = 3 AND k.slot = 0 OFFSET 0) AS n"
    " JOIN impression t ON t.seq = n.seq" NEAR,
    "SELECT n.at, t.campaign_id FROM unnest($1::bigint[], $2::bigint[]) AS n (at, seq)"
    " JOIN impression t ON t.seq = n.seq",
};
_Static_assert(OP_IMPRESSION == 3, "kind of bid_key");

static struct links *links_of(struct pg_feed *feed, enum op_kind kind)
{
    if (kind == OP_CONVERSION) return &feed->clicks;
    return kind == OP_FEEDBACK ? &feed->impressions : NULL;
}

static void note_link(struct pg_feed *feed, struct store_feed_event *event,
                      const struct pg_merge_row *row)
{
    struct links *links = links_of(feed, row->kind);
    if (!links) return;
    int column =
        PQfnumber(row->result, row->kind == OP_CONVERSION ? "click_seq" : "impression_seq");
    links->at[links->count++] =
        (struct link){.event = event, .seq = pg_get_i64(row->result, row->at, column)};
}

static void add_near(struct pg_params *params, const struct store_feed_event *event)
{
    struct uuid id;
    if (event->table == OP_FEEDBACK)
        pg_add_text(params, 2, event->key);
    else
        pg_add_i64(params, 2, uuid_read(&id, event->key) ? uuid_v7_ms(&id) : 0);
}

/* False: none is left to be found. */
static bool ask_for(struct pg_params *params, const struct links *links, bool is_near)
{
    bool is_any = false;
    pg_params_reset(params, is_near ? 3 : 2);
    for (int i = 0; i < links->count; i++) {
        if (links->at[i].is_found) continue;
        pg_add_i64(params, 0, i);
        pg_add_i64(params, 1, links->at[i].seq);
        if (is_near) add_near(params, links->at[i].event);
        is_any = true;
    }
    return is_any;
}

static void take_campaigns(struct pg_feed *feed, struct links *links, const PGresult *rows)
{
    for (int row = 0; row < pg_rows(rows); row++) {
        struct link *link = &links->at[pg_get_i64(rows, row, 0)];
        link->event->campaign_id = arena_copy(&feed->arena, pg_get_text(rows, row, 1));
        link->is_found = true;
    }
}

static enum pg_failure find_campaigns(struct pg_feed *feed, struct links *links,
                                      const struct linked *linked)
{
    enum pg_failure failure = PG_FINE;
    for (int is_near = 1; is_near >= 0 && !failure; is_near--) {
        PGresult *rows;
        if (!ask_for(&feed->merge.params, links, is_near)) break;
        failure = pg_run(&feed->merge.connection, is_near ? linked->near : linked->anywhere,
                         &feed->merge.params, &rows);
        if (failure) break;
        take_campaigns(feed, links, rows);
        PQclear(rows);
    }
    return failure;
}

static enum err resolve_links(struct pg_feed *feed)
{
    enum pg_failure failure = find_campaigns(feed, &feed->clicks, &linked_clicks);
    if (!failure) failure = find_campaigns(feed, &feed->impressions, &linked_impressions);
    return pg_merge_fail(&feed->merge, failure);
}

/* -- events -------------------------------------------------------------------------------- */

static bool has_room(struct reading *reading, enum op_kind kind)
{
    const struct links *links = links_of(reading->feed, kind);
    return reading->count < reading->cap &&
           arena_room(&reading->feed->arena) >= EVENT_ROOM + CAMPAIGNS_ROOM &&
           (!links || links->count < LINKS_MAX);
}

/* ERR_FULL: there is no room for it in this call. */
static enum err take(void *arg, const struct pg_merge_row *row)
{
    struct reading *reading = arg;
    struct arena *arena = &reading->feed->arena;
    struct writer text;
    char receipt[RECEIPT_LEN];
    if (!has_room(reading, row->kind)) return ERR_FULL;
    uint64_t sequence = (uint64_t)pg_get_i64(row->result, row->at, 0);
    write_receipt(&reading->feed->feed, sequence, receipt);
    if (!write_text(reading, row, (struct span){receipt, sizeof receipt}, &text))
        return ERR_CORRUPT_ROW;
    struct store_feed_event *event = &reading->events[reading->count++];
    *event = (struct store_feed_event){
        .table = row->kind,
        .sequence = sequence,
        .recorded_at_ms =
            pg_get_i64(row->result, row->at, PQfnumber(row->result, "recorded_at_ms")),
        .text = arena_copy(arena, writer_text(&text)),
        .receipt = arena_copy(arena, (struct span){receipt, sizeof receipt}),
        .key = arena_copy(arena, key_of(row)),
        .partner_id = arena_copy(arena, cell_of(row, "partner_id")),
        .campaign_id = arena_copy(arena, cell_of(row, "campaign_id")),
    };
    note_link(reading->feed, event, row);
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
    feed->clicks.count = feed->impressions.count = 0;
    enum err err = pg_merge_last(&feed->merge, &last);
    uint64_t end = to < last ? to : last;
    while (!err && at < end && reading.count < cap)
        err = pg_merge_read(&feed->merge, &at, end, take, &reading);
    enum err link_err = reading.count ? resolve_links(feed) : ERR_OK;
    *count = link_err ? 0 : reading.count;
    if (link_err) return link_err;
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
