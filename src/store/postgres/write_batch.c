#include "store/postgres/batch.h"

#include "base/assert.h"
#include "base/writer.h"

#include <stdlib.h>
#include <string.h>

/* What a batch decided, as one transaction in one round trip. Keys are inserted plainly: one that
 * somebody else took meanwhile fails all of it, and the batch is done again. */

static const struct {
    const char *sql, *types;
} inserts[KEY_TABLES] = {
    [KEY_CLICK] = {"INSERT INTO click_key (click_id, seq, bid_id, advertiser_id, expires_at_ms)"
                   " SELECT unnest($1::text[]), unnest($2::bigint[]), unnest($3::text[]),"
                   " unnest($4::text[]), unnest($5::bigint[])",
                   "titti"},
    [KEY_CONVERSION] = {"INSERT INTO conversion_key (click_id, partner_id, event_type, key, layer,"
                        " seq, expires_at_ms) SELECT unnest($1::text[]), unnest($2::text[]),"
                        " unnest($3::text[]), unnest($4::text[]), unnest($5::bigint[]),"
                        " unnest($6::bigint[]), unnest($7::bigint[])",
                        "ttttiii"},
    [KEY_BID] = {"INSERT INTO bid_key (bid_id, kind, slot, seq, recorded_at_ms, detail)"
                 " SELECT unnest($1::text[]), unnest($2::bigint[]), unnest($3::bigint[]),"
                 " unnest($4::bigint[]), unnest($5::bigint[]), unnest($6::text[])",
                 "tiiiit"},
    [KEY_EVENT] = {"INSERT INTO event_key (tag_id, partner_id, event_id, seq, recorded_at_ms)"
                   " SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::text[]),"
                   " unnest($4::bigint[]), unnest($5::bigint[])",
                   "tttii"},
    [KEY_SESSION] = {"INSERT INTO session_key (publisher_id, session_id, slot, recorded_at_ms)"
                     " SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::bigint[]),"
                     " unnest($4::bigint[])",
                     "ttii"},
    [KEY_POLL] = {"INSERT INTO vote_count (poll_id, option_id, slot, votes)"
                  " SELECT unnest($1::bigint[]), unnest($2::text[]), unnest($3::bigint[]),"
                  " unnest($4::bigint[])"
                  " ON CONFLICT (poll_id, option_id, slot)"
                  " DO UPDATE SET votes = vote_count.votes + excluded.votes",
                  "itii"},
};

/* Keys whose window has passed; whoever put in another one meanwhile wins. */
static const char delete_events_sql[] =
    "DELETE FROM event_key k USING (SELECT unnest($1::text[]) AS tag_id,"
    " unnest($2::text[]) AS partner_id, unnest($3::text[]) AS event_id,"
    " unnest($4::bigint[]) AS seq) AS n WHERE k.tag_id = n.tag_id"
    " AND k.partner_id = n.partner_id AND k.event_id = n.event_id AND k.seq = n.seq";

/* Times that no minute counts any more, so that a session has a bounded number of them. */
static const char delete_sessions_sql[] =
    "DELETE FROM session_key k USING (SELECT unnest($1::text[]) AS publisher_id,"
    " unnest($2::text[]) AS session_id, unnest($3::bigint[]) AS slot) AS n"
    " WHERE k.publisher_id = n.publisher_id AND k.session_id = n.session_id AND k.slot = n.slot";

/* Votes are for polls as they are: one that is changed waits for them, or they see it and are
 * decided again (PG_FENCED_STATE). */
static const char hold_polls_sql[] =
    "SELECT 1 / count(*) FROM (SELECT number FROM change WHERE id = 1 AND number = $1 FOR SHARE)"
    " AS held";

/* What lanes write at the same time has rows of its own, mostly. */
enum { VOTE_SLOTS = 16 };

/* -- rows of keys -------------------------------------------------------------------------- */

static int compare_spans(struct span a, struct span b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
    if (order) return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

static int compare_numbers(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

/* Everybody takes keys in the same order, so that nobody waits in a circle. */
static int compare_rows(const void *left, const void *right)
{
    const struct key_row *a = left, *b = right;
    int order = compare_numbers(a->key->table, b->key->table);
    for (int i = 0; i < KEY_PARTS_MAX && !order; i++)
        order = compare_spans(a->key->parts[i], b->key->parts[i]);
    if (!order) order = compare_numbers(a->key->number, b->key->number);
    return order ? order : compare_numbers(a->slot, b->slot);
}

static int add_parts(struct pg_params *params, const struct batch_key *key, int parts)
{
    for (int i = 0; i < parts; i++)
        pg_add_text(params, i, key->parts[i]);
    return parts;
}

static void add_click(struct pg_params *params, const struct key_row *row)
{
    const struct batch_key *key = row->key;
    int at = add_parts(params, key, 1);
    pg_add_i64(params, at++, (int64_t)row->op->op->sequence);
    pg_add_text(params, at++, key->click.bid_id);
    pg_add_text(params, at++, key->click.advertiser_id);
    pg_add_i64(params, at, key->click.expires_at_ms);
}

static void add_conversion(struct pg_params *params, const struct key_row *row)
{
    int at = add_parts(params, row->key, 4);
    pg_add_i64(params, at++, row->key->number);
    pg_add_i64(params, at++, (int64_t)row->op->op->sequence);
    pg_add_i64(params, at, row->op->click->click.expires_at_ms);
}

static struct span bid_detail(const struct key_row *row, char text[RATING_DETAIL_LEN])
{
    const struct op *op = row->op->op;
    if (op->kind == OP_VOTE) return op->vote.option_id;
    if (op->kind != OP_AD_FEEDBACK) return SPAN_NONE;
    batch_rating_detail(row->op, text);
    return (struct span){text, RATING_DETAIL_LEN};
}

static void add_bid(struct pg_params *params, const struct key_row *row)
{
    char text[RATING_DETAIL_LEN];
    int64_t happened_at_ms = row->op->op->happened_at_ms;
    int at = add_parts(params, row->key, 1);
    pg_add_i64(params, at++, row->key->number);
    pg_add_i64(params, at++, row->slot);
    pg_add_i64(params, at++, (int64_t)row->op->op->sequence);
    pg_add_i64(params, at++, happened_at_ms ? happened_at_ms : row->op->time_ms);
    pg_add_text(params, at, bid_detail(row, text));
}

static void add_event(struct pg_params *params, const struct key_row *row)
{
    int at = add_parts(params, row->key, 3);
    pg_add_i64(params, at++, (int64_t)row->op->op->sequence);
    pg_add_i64(params, at, row->op->time_ms);
}

static void add_session(struct pg_params *params, const struct key_row *row)
{
    int at = add_parts(params, row->key, 2);
    pg_add_i64(params, at++, row->slot);
    pg_add_i64(params, at, row->op->time_ms);
}

static void add_votes(struct pg_store *store, const struct key_row *row)
{
    const struct batch_key *key = row->key;
    pg_add_i64(&store->params, 0, key->number);
    pg_add_text(&store->params, 1, key->poll.poll->options[row->slot].id);
    pg_add_i64(&store->params, 2, store->lane.id % VOTE_SLOTS);
    pg_add_i64(&store->params, 3, (int64_t)key->poll.added[row->slot]);
}

static void add_row(struct pg_store *store, const struct key_row *row)
{
    struct pg_params *params = &store->params;
    switch (row->key->table) {
    case KEY_CLICK:
        add_click(params, row);
        break;
    case KEY_CONVERSION:
        add_conversion(params, row);
        break;
    case KEY_BID:
        add_bid(params, row);
        break;
    case KEY_EVENT:
        add_event(params, row);
        break;
    case KEY_SESSION:
        add_session(params, row);
        break;
    default:
        ASSERT(row->key->table == KEY_POLL);
        add_votes(store, row);
        break;
    }
}

static void send_deleted_events(struct pg_store *store, const struct key_row *rows, size_t count)
{
    struct pg_params *params = &store->params;
    uint32_t deleted = 0;
    pg_params_reset_binary(params, "ttti");
    for (size_t i = 0; i < count; i++) {
        if (!rows[i].key->replaced_seq) continue;
        add_parts(params, rows[i].key, 3);
        pg_add_i64(params, 3, (int64_t)rows[i].key->replaced_seq);
        deleted++;
    }
    if (deleted) pg_send(&store->connection, delete_events_sql, params);
}

static void send_deleted_sessions(struct pg_store *store, const struct key_row *rows, size_t count)
{
    struct pg_params *params = &store->params;
    uint32_t deleted = 0;
    pg_params_reset_binary(params, "tti");
    for (size_t i = 0; i < count; i++) {
        if (rows[i].slot <= WINDOW_EVENTS_MAX) continue;
        add_parts(params, rows[i].key, 2);
        pg_add_i64(params, 2, rows[i].slot - WINDOW_EVENTS_MAX);
        deleted++;
    }
    if (deleted) pg_send(&store->connection, delete_sessions_sql, params);
}

static void send_polls_held(struct pg_store *store)
{
    pg_params_reset(&store->params, 1);
    pg_set_i64(&store->params, 0, store->batch->polls_change);
    pg_send(&store->connection, hold_polls_sql, &store->params);
}

/* All rows of one table. */
static void send_rows(struct pg_store *store, const struct key_row *rows, size_t count)
{
    enum key_table table = rows[0].key->table;
    if (table == KEY_EVENT) send_deleted_events(store, rows, count);
    if (table == KEY_SESSION) send_deleted_sessions(store, rows, count);
    if (table == KEY_POLL) send_polls_held(store);
    pg_params_reset_binary(&store->params, inserts[table].types);
    for (size_t i = 0; i < count; i++)
        add_row(store, &rows[i]);
    pg_send(&store->connection, inserts[table].sql, &store->params);
}

/* One for each option that got votes. */
static void add_vote_rows(struct pg_batch *batch)
{
    for (size_t i = 0; i < batch->keys_count; i++) {
        const struct batch_key *key = &batch->keys[i];
        if (key->table != KEY_POLL) continue;
        for (int option = 0; option < POLL_OPTIONS_MAX; option++)
            if (key->poll.added[option]) batch_add_row(batch, key, NULL, option);
    }
}

static void send_keys(struct pg_store *store)
{
    struct pg_batch *batch = store->batch;
    add_vote_rows(batch);
    qsort(batch->rows, batch->rows_count, sizeof batch->rows[0], compare_rows);
    for (size_t first = 0, end; first < batch->rows_count; first = end) {
        enum key_table table = batch->rows[first].key->table;
        for (end = first; end < batch->rows_count && batch->rows[end].key->table == table;)
            end++;
        send_rows(store, &batch->rows[first], end - first);
    }
}

/* -- rows of events ------------------------------------------------------------------------ */

/* INSERT INTO click SELECT unnest($1::bigint[]),unnest($2::text[]),...: types as rows have them. */
static void make_insert(struct pg_batch *batch, enum op_kind kind)
{
    struct writer sql;
    struct event_row row;
    struct batch_insert *insert = &batch->inserts[kind];
    struct op empty = {.kind = kind};
    if (kind == OP_SERVER_EVENT) empty.server_event.has_view_time = true; /* a number, then */
    event_row_fill(&row, &empty, 0);
    writer_init(&sql, insert->sql, INSERT_SQL_MAX);
    writer_lit(&sql, "INSERT INTO ");
    writer_put(&sql, event_table_name(kind));
    writer_lit(&sql, " SELECT ");
    for (int i = 0; i < row.count; i++) {
        if (i) writer_char(&sql, ',');
        writer_lit(&sql, "unnest($");
        writer_i64(&sql, i + 1);
        writer_put(&sql, row.cells[i].is_text ? SPAN("::text[])") : SPAN("::bigint[])"));
        insert->types[i] = row.cells[i].is_text ? 't' : 'i';
    }
    insert->types[row.count] = '\0';
    writer_char(&sql, '\0');
    ASSERT(!sql.overflow);
}

static const struct batch_insert *insert_of(struct pg_batch *batch, enum op_kind kind)
{
    if (!batch->inserts[kind].sql[0]) make_insert(batch, kind);
    return &batch->inserts[kind];
}

/* Rows lie in partitions by their time, and there is none for every time. */
static void fill_row(const struct pg_store *store, struct event_row *row, const struct batch_op *op)
{
    int64_t recorded_at_ms =
        op->op->happened_at_ms ? op->op->happened_at_ms : op->op->received_at_ms;
    int64_t time_ms = pg_partition_time(recorded_at_ms, store->database_ms);
    if (time_ms == recorded_at_ms) {
        event_row_fill(row, op->op, op->link);
        return;
    }
    struct op clamped = *op->op;
    clamped.happened_at_ms = time_ms;
    event_row_fill(row, &clamped, op->link);
}

static void add_event_row(struct pg_store *store, const struct batch_op *op)
{
    struct event_row row;
    fill_row(store, &row, op);
    for (int i = 0; i < row.count; i++)
        if (row.cells[i].is_text)
            pg_add_text(&store->params, i, row.cells[i].text);
        else
            pg_add_i64(&store->params, i, row.cells[i].number);
}

static void send_events(struct pg_store *store, enum op_kind kind)
{
    struct pg_batch *batch = store->batch;
    const struct batch_insert *insert = insert_of(batch, kind);
    size_t count = 0;
    pg_params_reset_binary(&store->params, insert->types);
    for (size_t i = 0; i < batch->recorded_count; i++) {
        if (batch->recorded[i]->op->kind != kind) continue;
        add_event_row(store, batch->recorded[i]);
        count++;
    }
    if (count) pg_send(&store->connection, insert->sql, &store->params);
}

/* -- the transaction ----------------------------------------------------------------------- */

static const char begin_sql[] = "BEGIN", commit_sql[] = "COMMIT";

enum pg_failure batch_write(struct pg_store *store)
{
    struct pg_connection *connection = &store->connection;
    pg_send(connection, begin_sql, NULL);
    pg_lane_send_advance(store, (uint32_t)store->batch->recorded_count);
    send_keys(store);
    for (int kind = 0; kind < EVENT_TABLES; kind++)
        send_events(store, (enum op_kind)kind);
    pg_send(connection, commit_sql, NULL);
    pg_flush(connection);
    return pg_finish(connection); /* nobody reads the answers */
}
