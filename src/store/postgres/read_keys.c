#include "store/postgres/batch.h"

#include "base/assert.h"
#include "base/clock.h"
#include "store/postgres/result.h"

/* What the database has of the keys that a batch names: a statement for each kind of key that
 * occurs, all in one round trip. Every row is found by the whole key, or by the part that an index
 * begins with; how many there are of a key is bounded. Arrays are unnested in a list of columns,
 * side by side: from several in FROM each would be copied first. */

static const char clock_sql[] =
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, number FROM change"
    " WHERE id = 1";

static const char *const statements[KEY_TABLES] = {
    [KEY_CLICK] = "SELECT click_id, seq, bid_id, advertiser_id, expires_at_ms FROM click_key"
                  " WHERE click_id = ANY($1::text[])",
    [KEY_CONVERSION] =
        "SELECT k.click_id, k.partner_id, k.event_type, k.key, k.layer, k.seq"
        " FROM (SELECT unnest($1::text[]) AS click_id, unnest($2::text[]) AS partner_id,"
        " unnest($3::text[]) AS event_type, unnest($4::text[]) AS key,"
        " unnest($5::bigint[]) AS layer) AS n"
        " JOIN conversion_key k ON k.click_id = n.click_id AND k.partner_id = n.partner_id"
        " AND k.event_type = n.event_type AND k.layer = n.layer AND k.key = n.key",
    [KEY_BID] = "SELECT k.bid_id, k.kind, k.slot, k.seq, k.recorded_at_ms, k.detail"
                " FROM (SELECT unnest($1::text[]) AS bid_id, unnest($2::bigint[]) AS kind) AS n"
                " JOIN bid_key k ON k.bid_id = n.bid_id AND k.kind = n.kind",
    [KEY_EVENT] = "SELECT k.tag_id, k.partner_id, k.event_id, k.seq, k.recorded_at_ms"
                  " FROM (SELECT unnest($1::text[]) AS tag_id, unnest($2::text[]) AS partner_id,"
                  " unnest($3::text[]) AS event_id) AS n"
                  " JOIN event_key k ON k.tag_id = n.tag_id AND k.partner_id = n.partner_id"
                  " AND k.event_id = n.event_id",
    [KEY_SESSION] = "SELECT k.publisher_id, k.session_id, k.slot, k.recorded_at_ms"
                    " FROM (SELECT unnest($1::text[]) AS publisher_id,"
                    " unnest($2::text[]) AS session_id) AS n"
                    " JOIN session_key k ON k.publisher_id = n.publisher_id"
                    " AND k.session_id = n.session_id",
    [KEY_POLL] = "SELECT poll_id, option_id, sum(votes)::bigint FROM vote_count"
                 " WHERE poll_id = ANY($1::bigint[]) GROUP BY poll_id, option_id",
};

/* How many parts of a key are parameters, and whether its number is one behind them. */
static const struct {
    int parts;
    bool has_number;
    const char *types;
} shapes[KEY_TABLES] = {
    [KEY_CLICK] = {1, false, "t"},    [KEY_CONVERSION] = {4, true, "tttti"},
    [KEY_BID] = {1, true, "ti"},      [KEY_EVENT] = {3, false, "ttt"},
    [KEY_SESSION] = {2, false, "tt"}, [KEY_POLL] = {0, true, "i"},
};

/* -- asking -------------------------------------------------------------------------------- */

static void add_key(struct pg_params *params, const struct batch_key *key)
{
    int parts = shapes[key->table].parts;
    for (int i = 0; i < parts; i++)
        pg_add_text(params, i, key->parts[i]);
    if (shapes[key->table].has_number) pg_add_i64(params, parts, key->number);
}

static void ask(struct pg_store *store, enum key_table table)
{
    struct pg_batch *batch = store->batch;
    pg_params_reset_binary(&store->params, shapes[table].types);
    for (size_t i = 0; i < batch->keys_count; i++)
        if (batch->keys[i].table == table && batch->keys[i].is_wanted)
            add_key(&store->params, &batch->keys[i]);
    pg_send(&store->connection, statements[table], &store->params);
}

/* -- what is there ------------------------------------------------------------------------- */

static struct batch_key *key_of_row(struct pg_batch *batch, enum key_table table,
                                    const PGresult *result, int row)
{
    struct span parts[KEY_PARTS_MAX] = {SPAN_NONE};
    for (int i = 0; i < shapes[table].parts; i++)
        parts[i] = pg_get_text(result, row, i);
    bool has_number = shapes[table].has_number;
    int64_t number = has_number ? pg_get_i64(result, row, shapes[table].parts) : 0;
    return batch_find(batch, table, number, parts);
}

static void take_click(struct batch_key *key, const PGresult *result, int row)
{
    key->seq = (uint64_t)pg_get_i64(result, row, 1);
    key->click.bid_id = pg_get_text(result, row, 2);
    key->click.advertiser_id = pg_get_text(result, row, 3);
    key->click.expires_at_ms = pg_get_i64(result, row, 4);
}

static void take_event(struct batch_key *key, const PGresult *result, int row)
{
    key->seq = (uint64_t)pg_get_i64(result, row, 3);
    key->recorded_at_ms = pg_get_i64(result, row, 4);
}

/* An erased one has no detail: nobody's latest. */
static void take_rating(struct pg_batch *batch, struct span bid_id, int slot, uint64_t seq,
                        struct span detail)
{
    if (detail.len != RATING_DETAIL_LEN) return;
    const struct span parts[KEY_PARTS_MAX] = {bid_id, {detail.ptr, KEY_DIGEST_LEN}};
    struct batch_key *key = batch_find(batch, KEY_RATING, 0, parts);
    struct uuid id;
    if (!key || slot < key->rating.slot) return;
    if (!uuid_read(&id, (struct span){detail.ptr + 2 * KEY_DIGEST_LEN, UUID_TEXT_LEN})) return;
    key->seq = seq;
    key->rating.slot = slot;
    key->rating.digest = (struct span){detail.ptr + KEY_DIGEST_LEN, KEY_DIGEST_LEN};
    key->rating.id = id;
}

static void take_bid(struct pg_batch *batch, struct batch_key *key, const PGresult *result, int row)
{
    int slot = (int)pg_get_i64(result, row, 2);
    uint64_t seq = (uint64_t)pg_get_i64(result, row, 3);
    if (key->number == OP_AD_FEEDBACK)
        take_rating(batch, key->parts[0], slot, seq, pg_get_text(result, row, 5));
    if (key->seq && slot < key->count) return;
    key->seq = seq;
    key->count = slot;
    key->recorded_at_ms = pg_get_i64(result, row, 4);
}

static void take_session(struct batch_key *key, const PGresult *result, int row)
{
    int64_t slot = pg_get_i64(result, row, 2);
    if (slot <= key->session.slot - WINDOW_EVENTS_MAX) return;
    if (slot > key->session.slot) key->session.slot = slot;
    key->session.times_ms[slot % WINDOW_EVENTS_MAX] = pg_get_i64(result, row, 3);
}

static void take_votes(struct batch_key *key, const PGresult *result, int row)
{
    int option =
        key->poll.poll ? poll_find_option(key->poll.poll, pg_get_text(result, row, 1)) : -1;
    if (option >= 0) key->poll.votes[option] += (uint64_t)pg_get_i64(result, row, 2);
}

static void take_row(struct pg_batch *batch, struct batch_key *key, const PGresult *result, int row)
{
    switch (key->table) {
    case KEY_CLICK:
        take_click(key, result, row);
        break;
    case KEY_CONVERSION:
        key->seq = (uint64_t)pg_get_i64(result, row, 5);
        break;
    case KEY_BID:
        take_bid(batch, key, result, row);
        break;
    case KEY_EVENT:
        take_event(key, result, row);
        break;
    case KEY_SESSION:
        take_session(key, result, row);
        break;
    default:
        ASSERT(key->table == KEY_POLL);
        take_votes(key, result, row);
        break;
    }
}

static void take_rows(struct pg_batch *batch, enum key_table table, const PGresult *result)
{
    for (int row = 0; row < pg_rows(result); row++) {
        struct batch_key *key = key_of_row(batch, table, result, row);
        if (key) take_row(batch, key, result, row);
    }
}

/* Polls as this node knows them, with what was counted elsewhere. */
static void take_polls(struct pg_store *store)
{
    struct pg_batch *batch = store->batch;
    for (size_t i = 0; i < batch->keys_count; i++) {
        struct batch_key *key = &batch->keys[i];
        if (key->table != KEY_POLL) continue;
        const struct poll *poll = pg_find_poll(store, key->number);
        if (!poll || poll->withdrawn_at_ms) continue;
        key->poll.poll = poll;
        for (uint32_t at = 0; at < poll->options_count; at++)
            key->poll.votes[at] = poll->counts ? poll->counts[at] : 0;
    }
}

/* How long an op waited is told by this machine's clock, when it was by the database's. A clock
 * that was set meanwhile makes nothing older than this. */
enum { WAIT_MS_MAX = 60 * 1000 };

static void take_time(struct pg_store *store)
{
    struct pg_batch *batch = store->batch;
    int64_t now_ms = clock_wall_ms();
    for (size_t i = 0; i < batch->count; i++) {
        int64_t waited_ms = now_ms - batch->ops[i].op->received_at_ms;
        if (waited_ms < 0) waited_ms = 0;
        if (waited_ms > WAIT_MS_MAX) waited_ms = WAIT_MS_MAX;
        batch->ops[i].time_ms = store->database_ms - waited_ms;
    }
}

static PGresult *keep_result(struct pg_store *store)
{
    struct pg_batch *batch = store->batch;
    PGresult *result = pg_result(&store->connection);
    ASSERT(batch->results_count < BATCH_RESULTS_MAX);
    if (result) batch->results[batch->results_count++] = result;
    return result;
}

/* Polls that changed are loaded before votes are decided. */
static enum pg_failure take_change(struct pg_store *store, int64_t change)
{
    struct pg_batch *batch = store->batch;
    if (change != store->change) store->is_stale = true;
    if (!batch->wanted[KEY_POLL] || change == batch->polls_change) return PG_FINE;
    enum pg_failure failure = pg_polls_load(store);
    if (!failure) batch->polls_change = change;
    return failure;
}

enum pg_failure batch_read(struct pg_store *store)
{
    struct pg_batch *batch = store->batch;
    struct pg_connection *connection = &store->connection;
    const PGresult *results[KEY_TABLES] = {NULL};
    pg_send(connection, clock_sql, NULL);
    for (int table = 0; table < KEY_TABLES; table++)
        if (batch->wanted[table]) ask(store, (enum key_table)table);
    pg_flush(connection);
    const PGresult *clock = keep_result(store);
    for (int table = 0; table < KEY_TABLES; table++)
        if (batch->wanted[table]) results[table] = keep_result(store);
    enum pg_failure failure = pg_finish(connection);
    if (failure) return failure;
    store->database_ms = pg_get_i64(clock, 0, 0);
    take_time(store);
    failure = take_change(store, pg_get_i64(clock, 0, 1));
    if (failure) return failure;
    take_polls(store);
    for (int table = 0; table < KEY_TABLES; table++)
        take_rows(batch, (enum key_table)table, results[table]);
    return PG_FINE;
}
