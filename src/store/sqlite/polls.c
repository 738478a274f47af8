#include "base/arena.h"
#include "base/assert.h"
#include "store/poll_copy.h"
#include "store/sqlite/sqlite.h"

#include <stdlib.h>
#include <string.h>

/* Polls and their votes. */

struct live_poll {
    struct live_poll *next;
    struct poll_copy *snapshot;
    uint64_t votes[POLL_OPTIONS_MAX];
};

static struct live_poll *find_poll(const struct sqlite_store *store, int64_t id)
{
    struct live_poll *at = store->polls;
    while (at && at->snapshot->poll.id != id)
        at = at->next;
    return at;
}

struct index_key polls_option_key(int64_t poll_id, struct span option_id)
{
    uint64_t checksum = checksum_add_i64(checksum_start(SPAN("poll_option")), poll_id);
    return (struct index_key){
        {checksum_add(checksum, CHECKSUM_TEXT, option_id.ptr, option_id.len)}};
}

/* Numbers of the options that both have, in the new one's order. */
static void carry(uint64_t to[POLL_OPTIONS_MAX], const struct poll *poll,
                  const uint64_t from[POLL_OPTIONS_MAX], const struct poll *old)
{
    uint64_t carried[POLL_OPTIONS_MAX] = {0};
    for (uint32_t i = 0; i < old->options_count; i++) {
        int at = poll_find_option(poll, old->options[i].id);
        if (at >= 0) carried[at] = from[i];
    }
    memcpy(to, carried, sizeof carried);
}

static enum err show(struct sqlite_store *store, const struct poll *poll)
{
    struct poll_copy *snapshot = poll_copy_new(poll, store->poll_snapshots);
    struct live_poll *live = find_poll(store, poll->id);
    if (!snapshot) return ERR_NO_MEMORY;
    store->poll_snapshots = snapshot;
    if (live) {
        const struct poll *old = &live->snapshot->poll;
        carry(live->votes, &snapshot->poll, live->votes, old);
        if (!poll->counts) carry(snapshot->counts, &snapshot->poll, old->counts, old);
    } else {
        live = calloc(1, sizeof *live);
        if (!live) return ERR_NO_MEMORY;
        live->next = store->polls;
        store->polls = live;
    }
    live->snapshot = snapshot;
    return ERR_OK;
}

static bool would_lose_votes(const struct live_poll *live, const struct poll *poll)
{
    const struct poll *old = &live->snapshot->poll;
    for (uint32_t i = 0; i < old->options_count; i++)
        if ((live->votes[i] || (old->counts[i] && !poll->counts)) &&
            poll_find_option(poll, old->options[i].id) < 0)
            return true;
    return false;
}

/* With its options; nothing when there is none. */
static enum err delete_poll(struct sqlite_store *store, int64_t id)
{
    int64_t *rows = store->totals.rows;
    struct db_binder row = {store->statements[SQL_DELETE_POLL], 1, 0};
    db_bind_i64(&row, id);
    enum err err = db_run(row.statement);
    rows[TOTAL_POLL] -= sqlite3_changes(store->db);
    row = (struct db_binder){store->statements[SQL_DELETE_POLL_OPTIONS], 1, 0};
    db_bind_i64(&row, id);
    if (!err) err = db_run(row.statement);
    rows[TOTAL_POLL_OPTION] -= sqlite3_changes(store->db);
    return err;
}

static enum err insert_poll(struct sqlite_store *store, const struct poll *poll, int64_t now_ms)
{
    int64_t *rows = store->totals.rows;
    enum err err = delete_poll(store, poll->id);
    struct db_binder row = db_row(store->statements[SQL_INSERT_POLL], SPAN("poll"));
    db_bind_i64(&row, poll->id);
    db_bind_text(&row, poll->question);
    db_bind_text(&row, poll->cta_url);
    db_bind_i64(&row, now_ms);
    db_bind_time(&row, 0);
    if (!err) err = db_insert(&row);
    for (uint32_t i = 0; i < poll->options_count && !err; i++) {
        row = db_row(store->statements[SQL_INSERT_POLL_OPTION], SPAN("poll_option"));
        db_bind_i64(&row, poll->id);
        db_bind_i64(&row, i);
        db_bind_text(&row, poll->options[i].id);
        db_bind_text(&row, poll->options[i].text);
        err = db_insert(&row);
    }
    rows[TOTAL_POLL]++;
    rows[TOTAL_POLL_OPTION] += poll->options_count;
    return err;
}

/* What was counted elsewhere takes the place of what was said of it before: an import that is done
 * twice counts once. */
static enum err put_counts(struct sqlite_store *store, const struct poll *poll)
{
    sqlite3_stmt *statement = store->statements[SQL_DELETE_POLL_COUNTS];
    if (!poll->counts) return ERR_OK;
    struct db_binder row = {statement, 1, 0};
    db_bind_i64(&row, poll->id);
    enum err err = db_run(statement);
    store->poll_counts -= sqlite3_changes(store->db);
    for (uint32_t i = 0; i < poll->options_count && !err; i++) {
        row = db_row(store->statements[SQL_INSERT_POLL_COUNT], SPAN("poll_count"));
        db_bind_i64(&row, poll->id);
        db_bind_text(&row, poll->options[i].id);
        db_bind_i64(&row, (int64_t)poll->counts[i]);
        err = db_insert(&row);
    }
    store->poll_counts += poll->options_count;
    statement = store->statements[SQL_PUT_POLL_COUNTS];
    row = (struct db_binder){statement, 1, 0};
    db_bind_i64(&row, store->poll_counts);
    return err ? err : db_run(statement);
}

static enum err put_poll(struct sqlite_store *store, struct op *op)
{
    ASSERT(op->poll.options_count <= POLL_OPTIONS_MAX);
    struct live_poll *live = find_poll(store, op->poll.id);
    op->outcome = OUTCOME_CONFLICT;
    if (live && would_lose_votes(live, &op->poll)) return ERR_OK;
    op->poll.withdrawn_at_ms = 0;
    store->polls_changed = true;
    enum err err = insert_poll(store, &op->poll, op->received_at_ms);
    if (!err) err = put_counts(store, &op->poll);
    if (!err) err = show(store, &op->poll);
    op->outcome = OUTCOME_RECORDED;
    return err;
}

static enum err withdraw_poll(struct sqlite_store *store, struct op *op)
{
    struct live_poll *live = find_poll(store, op->poll.id);
    op->outcome = OUTCOME_NOT_FOUND;
    if (!live) return ERR_OK;
    struct poll poll = live->snapshot->poll;
    if (!poll.withdrawn_at_ms) poll.withdrawn_at_ms = op->received_at_ms;
    struct db_binder row = {store->statements[SQL_WITHDRAW_POLL], 1, 0};
    db_bind_i64(&row, poll.withdrawn_at_ms);
    db_bind_i64(&row, poll.id);
    store->polls_changed = true;
    enum err err = db_run(row.statement);
    if (!err) err = show(store, &poll);
    op->outcome = OUTCOME_RECORDED;
    return err;
}

static void copy_results(struct vote *vote, const struct live_poll *live)
{
    vote->results.poll = &live->snapshot->poll;
    for (int i = 0; i < POLL_OPTIONS_MAX; i++)
        vote->results.votes[i] = live->votes[i] + live->snapshot->counts[i];
}

static enum err record_new_vote(struct sqlite_store *store, struct op *op,
                                const struct op_keys *keys, struct live_poll *live, int option)
{
    uint64_t sequence = store->sequence_next;
    batch_rows_add(store, op, sequence, 0);
    enum err err = undoable_add(store, &store->votes, &keys->bid, INDEX_VALUE(sequence, 0));
    if (err) return err;
    struct index_key option_name = polls_option_key(op->vote.poll_id, op->vote.option_id);
    undoable_count(store, &live->votes[option], &option_name, sequence);
    copy_results(&op->vote, live);
    store->sequence_next++;
    op->sequence = sequence;
    op->outcome = OUTCOME_RECORDED;
    return ERR_OK;
}

static enum err record_vote(struct sqlite_store *store, struct op *op, const struct op_keys *keys,
                            struct live_poll *live)
{
    uint64_t holder;
    int option = poll_find_option(&live->snapshot->poll, op->vote.option_id);
    op->outcome = OUTCOME_BAD_OPTION;
    if (option < 0) return ERR_OK;
    enum err err = dedup_find_by_bid(store, &store->votes, SQL_VOTE_BID, &keys->bid,
                                     op->vote.ad.bid_id, &holder);
    if (err) return err;
    if (!holder) return record_new_vote(store, op, keys, live, option);
    op->outcome = OUTCOME_DUPLICATE;
    op->sequence = holder;
    return ERR_OK;
}

enum err polls_apply(struct sqlite_store *store, struct op *op, const struct op_keys *keys)
{
    if (op->kind == OP_POLL_PUT) return put_poll(store, op);
    if (op->kind == OP_POLL_WITHDRAW) return withdraw_poll(store, op);
    struct live_poll *live = find_poll(store, op->vote.poll_id);
    op->outcome = OUTCOME_NOT_FOUND;
    if (!live || live->snapshot->poll.withdrawn_at_ms) return ERR_OK;
    if (op->kind == OP_VOTE) return record_vote(store, op, keys, live);
    copy_results(&op->vote, live);
    op->outcome = OUTCOME_RECORDED;
    return ERR_OK;
}

/* A damaged page can show one row twice and hide another, and all of them are whole. */
static enum err read_options(struct sqlite_store *store, struct poll *poll, struct arena *arena)
{
    sqlite3_stmt *row = NULL;
    enum err err = db_prepare(store->db, &row,
                              "SELECT option_id, text, * FROM poll_option WHERE"
                              " poll_id = ? ORDER BY position");
    if (err) return err;
    sqlite3_bind_int64(row, 1, poll->id);
    int code = SQLITE_DONE;
    while (!err && (code = sqlite3_step(row)) == SQLITE_ROW) {
        bool is_shown_twice = poll_find_option(poll, db_column_text(row, 0)) >= 0;
        if (!db_is_whole(row, 2, SPAN("poll_option")) || is_shown_twice ||
            poll->options_count == POLL_OPTIONS_MAX)
            err = report_corrupt_row(SPAN("poll_option"), poll->id);
        else
            poll->options[poll->options_count++] =
                (struct poll_option){arena_copy(arena, db_column_text(row, 0)),
                                     arena_copy(arena, db_column_text(row, 1))};
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(store->db);
    sqlite3_finalize(row);
    return err;
}

static enum err read_counts(struct sqlite_store *store, const struct poll *poll,
                            uint64_t counts[POLL_OPTIONS_MAX], int64_t *rows)
{
    sqlite3_stmt *row = NULL;
    enum err err =
        db_prepare(store->db, &row, "SELECT option_id, votes, * FROM poll_count WHERE poll_id = ?");
    if (err) return err;
    sqlite3_bind_int64(row, 1, poll->id);
    int code = SQLITE_DONE;
    while (!err && (code = sqlite3_step(row)) == SQLITE_ROW) {
        int option = poll_find_option(poll, db_column_text(row, 0));
        if (!db_is_whole(row, 2, SPAN("poll_count")))
            err = report_corrupt_row(SPAN("poll_count"), poll->id);
        else if (option >= 0)
            counts[option] = (uint64_t)sqlite3_column_int64(row, 1);
        ++*rows;
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(store->db);
    sqlite3_finalize(row);
    return err;
}

static enum err read_poll(struct sqlite_store *store, sqlite3_stmt *row, int64_t *options,
                          int64_t *counts_rows)
{
    bool is_shown_twice = find_poll(store, sqlite3_column_int64(row, 0)) != NULL;
    if (!db_is_whole(row, 4, SPAN("poll")) || is_shown_twice)
        return report_corrupt_row(SPAN("poll"), sqlite3_column_int64(row, 0));
    _Alignas(16) char memory[POLL_OPTIONS_MAX * 8 * 1024];
    struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    struct poll poll = {
        .id = sqlite3_column_int64(row, 0),
        .question = db_column_text(row, 1),
        .cta_url = db_column_text(row, 2),
        .withdrawn_at_ms = sqlite3_column_int64(row, 3),
    };
    enum err err = read_options(store, &poll, &arena);
    *options += poll.options_count;
    uint64_t counts[POLL_OPTIONS_MAX] = {0};
    if (!err) err = read_counts(store, &poll, counts, counts_rows);
    poll.counts = counts;
    return err ? err : show(store, &poll);
}

enum err polls_load(struct sqlite_store *store)
{
    sqlite3_stmt *row = NULL;
    enum err err = db_prepare(store->db, &row,
                              "SELECT poll_id, question, cta_url, withdrawn_at_ms, *"
                              " FROM poll ORDER BY poll_id");
    int code = SQLITE_DONE;
    int64_t polls = 0, options = 0, counts = 0;
    if (!err)
        err = db_query_i64(store->db, "SELECT value FROM meta WHERE name = 'poll_counts'",
                           &store->poll_counts);
    for (; !err && (code = sqlite3_step(row)) == SQLITE_ROW; polls++)
        err = read_poll(store, row, &options, &counts);
    if (!err && code != SQLITE_DONE) err = db_last_err(store->db);
    sqlite3_finalize(row);
    if (!err) err = totals_expect(store, TOTAL_POLL, polls);
    if (!err && counts != store->poll_counts) err = report_corrupt_row(SPAN("poll_count"), 0);
    return err ? err : totals_expect(store, TOTAL_POLL_OPTION, options);
}

static uint64_t *votes_of(const struct sqlite_store *store, int64_t poll_id, struct span option_id)
{
    struct live_poll *live = find_poll(store, poll_id);
    int option = live ? poll_find_option(&live->snapshot->poll, option_id) : -1;
    return option >= 0 ? &live->votes[option] : NULL;
}

bool polls_count_vote(struct sqlite_store *store, int64_t poll_id, struct span option_id,
                      uint64_t sequence)
{
    uint64_t *votes = votes_of(store, poll_id, option_id);
    struct index_key name = polls_option_key(poll_id, option_id);
    if (votes) undoable_count(store, votes, &name, sequence);
    return votes != NULL;
}

static void take_votes(struct live_poll *live, const struct index *counts)
{
    const struct poll *poll = &live->snapshot->poll;
    for (uint32_t i = 0; i < poll->options_count; i++) {
        struct index_cursor cursor;
        struct index_key key = polls_option_key(poll->id, poll->options[i].id);
        live->votes[i] = INDEX_SEQUENCE(index_first(counts, &key, &cursor));
    }
}

/* Two options of one name are told by the total as well. */
bool polls_take_votes(struct sqlite_store *store, const struct index *counts, int64_t total)
{
    uint64_t votes = 0;
    for (struct live_poll *live = store->polls; live; live = live->next) {
        take_votes(live, counts);
        for (uint32_t i = 0; i < live->snapshot->poll.options_count; i++)
            votes += live->votes[i];
    }
    if (votes == (uint64_t)total) return true;
    for (struct live_poll *live = store->polls; live; live = live->next)
        memset(live->votes, 0, sizeof live->votes);
    return false;
}

static enum err count_votes(struct sqlite_store *store)
{
    sqlite3_stmt *row = NULL;
    enum err err = db_prepare(store->db, &row, "SELECT poll_id, option_id, * FROM vote");
    int code = SQLITE_DONE;
    while (!err && (code = sqlite3_step(row)) == SQLITE_ROW) {
        uint64_t *votes = votes_of(store, sqlite3_column_int64(row, 0), db_column_text(row, 1));
        if (votes && db_is_whole(row, 2, SPAN("vote")))
            ++*votes;
        else
            err = report_corrupt_row(SPAN("vote"), sqlite3_column_int64(row, 2));
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(store->db);
    sqlite3_finalize(row);
    return err;
}

static void forget_polls(struct sqlite_store *store)
{
    for (struct live_poll *live = store->polls, *next; live; live = next) {
        next = live->next;
        free(live);
    }
    store->polls = NULL;
}

/* A failed batch held a put or a withdrawal, which is rare: everything is read again. The snapshots
 * stay, as always. */
enum err polls_reload(struct sqlite_store *store)
{
    forget_polls(store);
    enum err err = polls_load(store);
    if (!err) err = count_votes(store);
    store->polls_changed = err != ERR_OK; /* try again before the next batch */
    return err;
}

enum err sqlite_each_poll(struct store *base, store_on_poll *on_poll, void *arg)
{
    for (struct live_poll *live = sqlite_of(base)->polls; live; live = live->next)
        on_poll(&live->snapshot->poll, arg);
    return ERR_OK;
}

void polls_free(struct sqlite_store *store)
{
    forget_polls(store);
    poll_copy_free_all(store->poll_snapshots);
}
