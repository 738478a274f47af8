#include "base/assert.h"
#include "store/poll_copy.h"
#include "store/postgres/pg.h"
#include "store/postgres/result.h"

#include <stdlib.h>

/* A node's copies of all polls. Votes are counted in the database alone. */
struct pg_polls {
    struct poll_copy *copies; /* all that were ever made, newest first */
    struct known {
        const struct poll *poll;
    } * now; /* by id, ascending */
    int count;
};

static struct pg_polls *polls_of(struct pg_store *store)
{
    if (!store->polls) store->polls = calloc(1, sizeof *store->polls);
    return store->polls;
}

void pg_polls_free(struct pg_store *store)
{
    if (!store->polls) return;
    poll_copy_free_all(store->polls->copies);
    free(store->polls->now);
    free(store->polls);
    store->polls = NULL;
}

static int compare_id(const void *id, const void *known)
{
    int64_t wanted = *(const int64_t *)id, there = ((const struct known *)known)->poll->id;
    return wanted < there ? -1 : wanted > there;
}

static const struct poll *find(const struct pg_polls *polls, int64_t id)
{
    const struct known *found =
        polls && polls->count
            ? bsearch(&id, polls->now, (size_t)polls->count, sizeof polls->now[0], compare_id)
            : NULL;
    return found ? found->poll : NULL;
}

const struct poll *pg_find_poll(const struct pg_store *store, int64_t id)
{
    return find(store->polls, id);
}

static bool is_same_text(struct span a, struct span b)
{
    return !a.ptr == !b.ptr && span_eq(a, b);
}

/* Changes are counted together, and copies stay until the end: only what differs is made anew. */
static bool is_same(const struct poll *a, const struct poll *b)
{
    if (a->options_count != b->options_count || a->withdrawn_at_ms != b->withdrawn_at_ms ||
        !is_same_text(a->question, b->question) || !is_same_text(a->cta_url, b->cta_url))
        return false;
    for (uint32_t i = 0; i < a->options_count; i++)
        if (!span_eq(a->options[i].id, b->options[i].id) ||
            !span_eq(a->options[i].text, b->options[i].text) || a->counts[i] != b->counts[i])
            return false;
    return true;
}

/* Rows of other tables, in the order of their polls: each cursor is moved past a poll's own. */
struct reading {
    PGresult *polls, *options, *counts;
    int option_at, count_at;
};

static bool is_row_of(const PGresult *rows, int row, int64_t id)
{
    return row < pg_rows(rows) && pg_get_i64(rows, row, 0) == id;
}

static bool is_row_before(const PGresult *rows, int row, int64_t id)
{
    return row < pg_rows(rows) && pg_get_i64(rows, row, 0) < id;
}

static void read_options(struct reading *reading, struct poll *poll)
{
    while (is_row_before(reading->options, reading->option_at, poll->id))
        reading->option_at++;
    for (; is_row_of(reading->options, reading->option_at, poll->id); reading->option_at++)
        if (poll->options_count < POLL_OPTIONS_MAX)
            poll->options[poll->options_count++] =
                (struct poll_option){pg_get_text(reading->options, reading->option_at, 1),
                                     pg_get_text(reading->options, reading->option_at, 2)};
}

static void read_counts(struct reading *reading, const struct poll *poll,
                        uint64_t counts[POLL_OPTIONS_MAX])
{
    while (is_row_before(reading->counts, reading->count_at, poll->id))
        reading->count_at++;
    for (; is_row_of(reading->counts, reading->count_at, poll->id); reading->count_at++) {
        int option = poll_find_option(poll, pg_get_text(reading->counts, reading->count_at, 1));
        if (option >= 0)
            counts[option] = (uint64_t)pg_get_i64(reading->counts, reading->count_at, 2);
    }
}

static const struct poll *read_poll(struct pg_polls *polls, struct reading *reading, int row)
{
    uint64_t counts[POLL_OPTIONS_MAX] = {0};
    struct poll poll = {
        .id = pg_get_i64(reading->polls, row, 0),
        .question = pg_get_text(reading->polls, row, 1),
        .cta_url = pg_get_text(reading->polls, row, 2),
        .withdrawn_at_ms = pg_get_i64(reading->polls, row, 3),
        .counts = counts,
    };
    read_options(reading, &poll);
    read_counts(reading, &poll, counts);
    const struct poll *old = find(polls, poll.id);
    if (old && is_same(old, &poll)) return old;
    struct poll_copy *copy = poll_copy_new(&poll, polls->copies);
    if (!copy) return NULL;
    polls->copies = copy;
    return &copy->poll;
}

/* All of them or none. */
static bool take(struct pg_polls *polls, struct reading *reading)
{
    int count = pg_rows(reading->polls);
    struct known *now = calloc((size_t)count + 1, sizeof *now);
    bool is_done = now != NULL;
    for (int row = 0; row < count && is_done; row++) {
        now[row].poll = read_poll(polls, reading, row);
        is_done = now[row].poll != NULL;
    }
    if (!is_done) {
        free(now);
        return false;
    }
    free(polls->now);
    polls->now = now;
    polls->count = count;
    return true;
}

enum pg_failure pg_polls_load(struct pg_store *store)
{
    struct pg_connection *connection = &store->connection;
    struct pg_polls *polls = polls_of(store);
    if (!polls) return PG_REFUSED;
    pg_send(connection, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ", NULL);
    pg_send(connection,
            "SELECT poll_id, question, cta_url, withdrawn_at_ms FROM poll ORDER BY poll_id", NULL);
    pg_send(connection,
            "SELECT poll_id, option_id, text FROM poll_option ORDER BY poll_id,"
            " position",
            NULL);
    pg_send(connection, "SELECT poll_id, option_id, votes FROM poll_count ORDER BY poll_id", NULL);
    pg_send(connection, "COMMIT", NULL);
    pg_flush(connection);
    pg_skip(connection);
    struct reading reading = {.polls = pg_result(connection)};
    reading.options = pg_result(connection);
    reading.counts = pg_result(connection);
    enum pg_failure failure = pg_finish(connection);
    if (!failure && !take(polls, &reading)) failure = PG_REFUSED;
    PQclear(reading.polls);
    PQclear(reading.options);
    PQclear(reading.counts);
    return failure;
}

enum err pg_each_poll(struct store *base, store_on_poll *on_poll, void *arg)
{
    const struct pg_polls *polls = pg_of(base)->polls;
    for (int i = 0; polls && i < polls->count; i++)
        on_poll(polls->now[i].poll, arg);
    return ERR_OK;
}

static void add_option_ids(struct pg_params *params, int at, const struct poll *poll)
{
    for (uint32_t i = 0; i < poll->options_count; i++)
        pg_add_text(params, at, poll->options[i].id);
}

/* Begins the transaction, whose lock keeps other puts away. Votes that were counted elsewhere are
 * lost only when the put does not say them anew. */
static enum pg_failure begin_put(struct pg_store *store, const struct poll *poll, bool *loses)
{
    static const char sql[] =
        "SELECT (SELECT count(*) FROM vote_count WHERE poll_id = $1 AND votes > 0"
        " AND NOT (option_id = ANY ($2::text[])))"
        " + (SELECT count(*) FROM poll_count WHERE poll_id = $1 AND votes > 0"
        " AND NOT (option_id = ANY ($2::text[])) AND $3::bigint = 0)";
    struct pg_connection *connection = &store->connection;
    pg_params_reset(&store->own_params, 3);
    pg_set_i64(&store->own_params, 0, poll->id);
    add_option_ids(&store->own_params, 1, poll);
    pg_set_i64(&store->own_params, 2, poll->counts != NULL);
    pg_send(connection, "BEGIN", NULL);
    pg_send(connection, PG_COUNT_CHANGE, NULL);
    pg_send(connection, sql, &store->own_params);
    pg_flush(connection);
    pg_skip(connection);
    pg_skip(connection);
    PGresult *lost = pg_result(connection);
    enum pg_failure failure = pg_finish(connection);
    *loses = !failure && pg_get_i64(lost, 0, 0) > 0;
    PQclear(lost);
    return failure;
}

static void send_poll(struct pg_store *store, const struct poll *poll, int64_t now_ms)
{
    static const char insert[] =
        "INSERT INTO poll (poll_id, question, cta_url, updated_at_ms, withdrawn_at_ms)"
        " VALUES ($1, $2, $3, $4, NULL) ON CONFLICT (poll_id) DO UPDATE SET"
        " question = excluded.question, cta_url = excluded.cta_url,"
        " updated_at_ms = excluded.updated_at_ms, withdrawn_at_ms = NULL";
    struct pg_params *params = &store->own_params;
    pg_params_reset(params, 4);
    pg_set_i64(params, 0, poll->id);
    pg_set_text(params, 1, poll->question);
    pg_set_text(params, 2, poll->cta_url);
    pg_set_i64(params, 3, now_ms);
    pg_send(&store->connection, insert, params);
}

static void send_options(struct pg_store *store, const struct poll *poll)
{
    struct pg_params *params = &store->own_params;
    pg_params_reset(params, 1);
    pg_set_i64(params, 0, poll->id);
    pg_send(&store->connection, "DELETE FROM poll_option WHERE poll_id = $1", params);
    pg_params_reset(params, 4);
    pg_set_i64(params, 0, poll->id);
    add_option_ids(params, 2, poll);
    for (uint32_t i = 0; i < poll->options_count; i++) {
        pg_add_i64(params, 1, i);
        pg_add_text(params, 3, poll->options[i].text);
    }
    pg_send(&store->connection,
            "INSERT INTO poll_option (poll_id, position, option_id, text) SELECT $1::bigint, *"
            " FROM unnest($2::bigint[], $3::text[], $4::text[])",
            params);
}

/* What was counted elsewhere takes the place of what was said of it before: an import that is done
 * twice counts once. Of an option that is gone nothing stays. */
static void send_counts(struct pg_store *store, const struct poll *poll)
{
    struct pg_params *params = &store->own_params;
    pg_params_reset(params, 2);
    pg_set_i64(params, 0, poll->id);
    if (!poll->counts) add_option_ids(params, 1, poll);
    pg_send(&store->connection,
            "DELETE FROM poll_count WHERE poll_id = $1 AND NOT (option_id = ANY ($2::text[]))",
            params);
    if (!poll->counts) return;
    pg_params_reset(params, 3);
    pg_set_i64(params, 0, poll->id);
    add_option_ids(params, 1, poll);
    for (uint32_t i = 0; i < poll->options_count; i++)
        pg_add_i64(params, 2, (int64_t)poll->counts[i]);
    pg_send(&store->connection,
            "INSERT INTO poll_count (poll_id, option_id, votes) SELECT $1::bigint, *"
            " FROM unnest($2::text[], $3::bigint[])",
            params);
}

static enum pg_failure put(struct pg_store *store, struct op *op)
{
    bool loses;
    ASSERT(op->poll.options_count <= POLL_OPTIONS_MAX);
    enum pg_failure failure = begin_put(store, &op->poll, &loses);
    if (failure) return failure;
    if (loses) {
        op->outcome = OUTCOME_CONFLICT;
        return pg_run(&store->connection, "ROLLBACK", NULL, NULL);
    }
    op->poll.withdrawn_at_ms = 0;
    send_poll(store, &op->poll, op->received_at_ms);
    send_options(store, &op->poll);
    send_counts(store, &op->poll);
    pg_send(&store->connection, "COMMIT", NULL);
    pg_flush(&store->connection);
    failure = pg_finish(&store->connection);
    if (!failure) op->outcome = OUTCOME_RECORDED;
    return failure;
}

static enum pg_failure withdraw(struct pg_store *store, struct op *op)
{
    static const char sql[] = "UPDATE poll SET withdrawn_at_ms ="
                              " coalesce(withdrawn_at_ms, $2::bigint) WHERE poll_id = $1";
    int64_t changed;
    pg_params_reset(&store->own_params, 2);
    pg_set_i64(&store->own_params, 0, op->poll.id);
    pg_set_i64(&store->own_params, 1, op->received_at_ms);
    enum pg_failure failure = pg_change(store, sql, &changed);
    if (!failure) op->outcome = changed ? OUTCOME_RECORDED : OUTCOME_NOT_FOUND;
    return failure;
}

enum pg_failure pg_polls_apply(struct pg_store *store, struct op *op)
{
    op->outcome = OUTCOME_UNAVAILABLE;
    enum pg_failure failure = op->kind == OP_POLL_PUT ? put(store, op) : withdraw(store, op);
    if (failure && op->outcome == OUTCOME_CONFLICT)
        return PG_FINE; /* it did not happen either way */
    if (failure || op->outcome != OUTCOME_RECORDED) return failure;
    if (pg_polls_load(store)) store->is_stale = true;
    return PG_FINE;
}
