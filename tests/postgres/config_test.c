#include "base.h"

#include <stdio.h>
#include <time.h>

/* What is configured: over two stores of one database, as two nodes have it. */

static char url[URL_MAX];
static struct pg_store *one, *two;

static int open_two(void **state)
{
    base_new_database(url);
    one = base_open(url);
    two = base_open(url);
    return 0;
}

static int close_two(void **state)
{
    base_close(one);
    base_close(two);
    return 0;
}

static bool sees_change(struct pg_store *store)
{
    assert_int_equal(pg_copies_look(store), PG_FINE);
    return store->is_stale;
}

static enum outcome rotate(struct pg_store *store, int64_t now_ms, char kid[TOKEN_KID_LEN])
{
    struct op op = {.kind = OP_TOKEN_KEY_ROTATE};
    token_key_generate(&op.token_key, now_ms);
    memcpy(kid, op.token_key.kid, TOKEN_KID_LEN);
    assert_int_equal(pg_token_keys_apply(store, &op), PG_FINE);
    return op.outcome;
}

static enum outcome retire(struct pg_store *store, const char kid[TOKEN_KID_LEN])
{
    struct op op = {.kind = OP_TOKEN_KEY_RETIRE};
    memcpy(op.token_key.kid, kid, TOKEN_KID_LEN);
    assert_int_equal(pg_token_keys_apply(store, &op), PG_FINE);
    return op.outcome;
}

static void nodes_share_their_secrets(void **state)
{
    char kid[TOKEN_KID_LEN];
    assert_memory_equal(one->secrets, two->secrets, sizeof *one->secrets);
    assert_int_equal(one->secrets->token_keys_count, 1);
    int64_t later_ms = one->secrets->token_keys[0].created_at_ms + 1;
    assert_false(sees_change(two));
    assert_int_equal(rotate(one, later_ms, kid), OUTCOME_RECORDED);
    assert_int_equal(one->secrets->token_keys_count, 2);
    assert_memory_equal(one->secrets->token_keys[1].kid, kid, TOKEN_KID_LEN);
    assert_true(sees_change(two));
    assert_int_equal(pg_copies_load(two), PG_FINE);
    assert_false(sees_change(two));
    assert_memory_equal(one->secrets, two->secrets, sizeof *one->secrets);
}

static void the_key_that_mints_stays(void **state)
{
    char kid[TOKEN_KID_LEN], first[TOKEN_KID_LEN];
    memcpy(first, one->secrets->token_keys[0].kid, TOKEN_KID_LEN);
    assert_int_equal(retire(one, "nosuch00"), OUTCOME_NOT_FOUND);
    assert_int_equal(retire(one, first), OUTCOME_CONFLICT);
    rotate(two, one->secrets->token_keys[0].created_at_ms + 1, kid);
    assert_int_equal(retire(one, kid), OUTCOME_CONFLICT);
    assert_int_equal(retire(one, first), OUTCOME_RECORDED);
    assert_int_equal(retire(two, first), OUTCOME_NOT_FOUND);
    assert_int_equal(retire(two, kid), OUTCOME_CONFLICT);
    assert_int_equal(one->secrets->token_keys_count, 1);
}

static void token_keys_are_limited(void **state)
{
    char kid[TOKEN_KID_LEN];
    int64_t now_ms = one->secrets->token_keys[0].created_at_ms;
    for (int i = 1; i < TOKEN_KEYS_MAX; i++)
        assert_int_equal(rotate(i % 2 ? one : two, now_ms + i, kid), OUTCOME_RECORDED);
    assert_int_equal(rotate(one, now_ms + TOKEN_KEYS_MAX, kid), OUTCOME_LIMITED);
    assert_int_equal(pg_copies_load(one), PG_FINE);
    assert_int_equal(one->secrets->token_keys_count, TOKEN_KEYS_MAX);
}

static void damaged_secrets_are_not_taken(void **state)
{
    struct secrets before = *one->secrets;
    base_run(url, "UPDATE secret SET value = '\\x00' WHERE name = 'pepper'");
    assert_int_equal(pg_secrets_load(one), PG_REFUSED);
    assert_memory_equal(one->secrets, &before, sizeof before);
    base_run(url, "DELETE FROM secret WHERE name = 'pepper'");
    assert_int_equal(pg_secrets_load(one), PG_REFUSED);
}

static enum outcome create(struct pg_store *store, const char *id, uint8_t hash, int64_t at_ms)
{
    struct op op = {.kind = OP_KEY_CREATE,
                    .key = {.id = span_of(id),
                            .cls = APIKEY_PARTNER,
                            .label = SPAN("a \"label\""),
                            .partner_id = SPAN("p1"),
                            .created_at_ms = at_ms}};
    memset(op.key.hash, hash, sizeof op.key.hash);
    assert_int_equal(pg_keys_apply(store, &op), PG_FINE);
    return op.outcome;
}

static enum outcome revoke(struct pg_store *store, const char *id, int64_t at_ms)
{
    struct op op = {.kind = OP_KEY_REVOKE, .key_id = span_of(id), .received_at_ms = at_ms};
    assert_int_equal(pg_keys_apply(store, &op), PG_FINE);
    return op.outcome;
}

static void write_key(const struct api_key *key, void *arg)
{
    char *out = (char *)arg + strlen(arg);
    snprintf(out, 256, "%.*s %.*s %.*s %d %d %lld;", SPAN_FMT(key->id), SPAN_FMT(key->label),
             SPAN_FMT(key->partner_id), key->publisher_id.ptr != NULL, key->hash[31],
             (long long)key->revoked_at_ms);
}

static void keys_are_of_all_nodes(void **state)
{
    char text[1024] = "";
    assert_int_equal(create(one, "k2", 7, 20), OUTCOME_RECORDED);
    assert_int_equal(create(two, "k2", 8, 21), OUTCOME_CONFLICT);
    assert_int_equal(create(two, "k3", 7, 22), OUTCOME_CONFLICT); /* the same secret */
    assert_int_equal(create(two, "k1", 9, 23), OUTCOME_RECORDED);
    assert_int_equal(revoke(one, "k9", 30), OUTCOME_NOT_FOUND);
    assert_true(sees_change(one));
    assert_int_equal(revoke(one, "k1", 31), OUTCOME_RECORDED);
    assert_int_equal(revoke(two, "k1", 32), OUTCOME_RECORDED);
    assert_int_equal(pg_each_key(&two->store, write_key, text), ERR_OK);
    assert_string_equal(text, "k2 a \"label\" p1 0 7 0;k1 a \"label\" p1 0 9 31;");
}

static enum outcome put(struct pg_store *store, const char *options, const uint64_t *counts)
{
    struct op op = {.kind = OP_POLL_PUT,
                    .received_at_ms = 5,
                    .poll = {.id = 7, .question = SPAN("Which {one}?"), .counts = counts}};
    for (; *options; options++)
        op.poll.options[op.poll.options_count++] =
            (struct poll_option){{options, 1}, SPAN("a \"text\", so")};
    assert_int_equal(pg_polls_apply(store, &op), PG_FINE);
    return op.outcome;
}

static enum outcome withdraw(struct pg_store *store, int64_t id, int64_t at_ms)
{
    struct op op = {.kind = OP_POLL_WITHDRAW, .received_at_ms = at_ms, .poll = {.id = id}};
    assert_int_equal(pg_polls_apply(store, &op), PG_FINE);
    return op.outcome;
}

/* The options of a node's copy of the poll. */
static const char *copy_of(struct pg_store *store)
{
    static char text[64];
    const struct poll *poll = pg_find_poll(store, 7);
    if (!poll) return "none";
    text[0] = '\0';
    for (uint32_t i = 0; i < poll->options_count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s%d ",
                 SPAN_FMT(poll->options[i].id), (int)poll->counts[i]);
    return text;
}

static void polls_are_of_all_nodes(void **state)
{
    assert_string_equal(copy_of(one), "none");
    assert_int_equal(put(one, "ba", NULL), OUTCOME_RECORDED);
    assert_string_equal(copy_of(one), "b0 a0 ");
    assert_string_equal(copy_of(two), "none");
    assert_true(sees_change(two));
    assert_int_equal(pg_copies_load(two), PG_FINE);
    const struct poll *poll = pg_find_poll(two, 7);
    assert_string_equal(copy_of(two), "b0 a0 ");
    assert_true(span_eq(poll->question, SPAN("Which {one}?")));
    assert_true(span_eq(poll->options[1].text, SPAN("a \"text\", so")));
    assert_null(poll->cta_url.ptr);
    assert_null(pg_find_poll(two, 6));
    assert_int_equal(pg_copies_load(two), PG_FINE);
    assert_ptr_equal(pg_find_poll(two, 7), poll); /* nothing changed: no other copy is made */
}

static void options_with_votes_stay(void **state)
{
    put(one, "abc", NULL);
    base_run(url, "INSERT INTO vote_count VALUES (7, 'b', 3, 1)");
    assert_int_equal(put(two, "ac", NULL), OUTCOME_CONFLICT);
    assert_int_equal(put(two, "ab", NULL), OUTCOME_RECORDED);
    assert_string_equal(copy_of(two), "a0 b0 ");
    assert_int_equal(base_number(url, "SELECT count(*) FROM poll_option"), 2);
}

static void counts_from_elsewhere_are_replaced(void **state)
{
    assert_int_equal(put(one, "ab", (uint64_t[POLL_OPTIONS_MAX]){3, 4}), OUTCOME_RECORDED);
    assert_int_equal(put(two, "ab", (uint64_t[POLL_OPTIONS_MAX]){3, 5}), OUTCOME_RECORDED);
    assert_string_equal(copy_of(two), "a3 b5 ");
    assert_int_equal(put(one, "b", NULL), OUTCOME_CONFLICT);
    assert_int_equal(put(one, "bca", NULL), OUTCOME_RECORDED);
    assert_string_equal(copy_of(one), "b5 c0 a3 ");
    assert_int_equal(put(one, "cb", (uint64_t[POLL_OPTIONS_MAX]){1, 2}), OUTCOME_RECORDED);
    assert_string_equal(copy_of(one), "c1 b2 ");
}

static void withdrawn_polls_say_since_when(void **state)
{
    assert_int_equal(withdraw(one, 7, 1), OUTCOME_NOT_FOUND);
    put(one, "ab", NULL);
    assert_int_equal(withdraw(one, 7, 9), OUTCOME_RECORDED);
    assert_int_equal(withdraw(one, 7, 10), OUTCOME_RECORDED);
    assert_int_equal(pg_find_poll(one, 7)->withdrawn_at_ms, 9);
    put(two, "ab", NULL);
    assert_int_equal(pg_find_poll(two, 7)->withdrawn_at_ms, 0);
}

static void nothing_is_said_of_what_was_lost(void **state)
{
    base_terminate(url, one);
    struct op op = {.kind = OP_KEY_REVOKE, .key_id = SPAN("k1")};
    assert_int_equal(pg_keys_apply(one, &op), PG_UNREACHABLE);
    assert_int_equal(op.outcome, OUTCOME_UNAVAILABLE);
    pg_disconnect(&one->connection);
    op = (struct op){.kind = OP_POLL_WITHDRAW, .poll = {.id = 7}};
    assert_int_equal(pg_polls_apply(one, &op), PG_UNREACHABLE);
    assert_int_equal(op.outcome, OUTCOME_UNAVAILABLE);
    assert_int_equal(pg_connect(&one->connection), PG_FINE);
}

static const int64_t DAY_MS = 24 * 60 * 60 * 1000LL;

static int64_t database_ms(void)
{
    return base_number(url, "SELECT (extract(epoch from clock_timestamp()) * 1000)::bigint");
}

/* A feedback of that time, for which there has to be a partition. */
static void insert_at(int64_t time_ms)
{
    char sql[192];
    snprintf(sql, sizeof sql, "INSERT INTO feedback VALUES (1, %lld, 'b', 1, 'like', NULL, 0)",
             (long long)time_ms);
    base_run(url, sql);
}

static void partitions_are_made_ahead(void **state)
{
    static const char count[] = "SELECT count(*) FROM pg_inherits WHERE inhparent IN"
                                " (SELECT oid FROM pg_class WHERE relkind = 'p')";
    assert_int_equal(pg_partitions_ahead(one), PG_FINE);
    int64_t now_ms = database_ms(), partitions = base_number(url, count);
    assert_int_equal(partitions, 7 * 4);
    assert_int_equal(pg_partitions_ahead(two), PG_FINE);
    assert_int_equal(base_number(url, count), partitions);
    insert_at(0);
    insert_at(-DAY_MS);
    insert_at(now_ms);
    insert_at(now_ms + DAY_MS);
    insert_at(pg_partition_time(now_ms + 90 * DAY_MS, now_ms));
    insert_at(pg_partition_time(INT64_MAX, now_ms));
    assert_int_equal(pg_partition_time(now_ms, now_ms), now_ms);
    assert_int_equal(pg_partition_time(5, now_ms), 5);
}

/* A node that was away for a week leaves no hole. */
static void partitions_follow_each_other(void **state)
{
    char name[16], sql[256];
    int64_t day = database_ms() / DAY_MS - 7;
    time_t seconds = (time_t)(day * 86400);
    strftime(name, sizeof name, "%Y%m%d", gmtime(&seconds));
    snprintf(sql, sizeof sql,
             "CREATE TABLE feedback_%s PARTITION OF feedback FOR VALUES FROM (%lld) TO (%lld)",
             name, (long long)(day * DAY_MS), (long long)((day + 1) * DAY_MS));
    base_run(url, sql);
    assert_int_equal(pg_partitions_ahead(one), PG_FINE);
    for (int64_t ago = 0; ago < 12; ago++)
        insert_at((day + 7 - ago) * DAY_MS);
    int64_t dropped;
    snprintf(sql, sizeof sql, "SELECT max(seq) + 1 FROM feedback WHERE recorded_at_ms < %lld",
             (long long)((day + 3) * DAY_MS));
    int64_t below = base_number(url, sql);
    assert_int_equal(pg_partitions_drop(one, OP_FEEDBACK, (day + 3) * DAY_MS + 5, &dropped),
                     PG_FINE);
    assert_int_equal(dropped, 3);
    assert_int_equal(base_number(url, "SELECT count(*) FROM feedback"), 5);
    assert_true(below > 0);
    assert_int_equal(base_number(url, "SELECT below_seq FROM removed WHERE name = 'feedback'"),
                     below);
    insert_at((day + 1) * DAY_MS);
    insert_at(0);
    assert_int_equal(pg_partitions_drop(one, OP_FEEDBACK, INT64_MAX / 2, &dropped), PG_FINE);
    assert_int_equal(pg_partitions_ahead(one), PG_FINE);
    insert_at(database_ms());
    insert_at((day + 5) * DAY_MS);
}

static void sweep_step(struct pg_store *store)
{
    store->sweep_at_ms = 0;
    pg_sweep(store, 1);
}

static void sweep(struct pg_store *store)
{
    store->database_ms = database_ms();
    for (int i = 0; i < 60; i++)
        sweep_step(store);
}

/* Every second row is old: seq says which. */
static void keys_that_are_needed_stay(void **state)
{
    char sql[768];
    long long now_ms = database_ms(), old_ms = now_ms - 2 * 60 * 60 * 1000LL;
    snprintf(sql, sizeof sql,
             "INSERT INTO click_key SELECT 'c' || i, i, NULL, NULL, CASE WHEN i %% 2 = 0 THEN %lld"
             " ELSE %lld END FROM generate_series(1, 5000) AS i;"
             "INSERT INTO conversion_key SELECT 'c', 'p', 't', i %% 2, 'k' || i, i, CASE WHEN"
             " i %% 2 = 0 THEN %lld ELSE %lld END FROM generate_series(1, 5000) AS i",
             old_ms, now_ms, old_ms, now_ms);
    base_run(url, sql);
    snprintf(sql, sizeof sql,
             "INSERT INTO event_key SELECT 't' || i %% 3, 'p', 'e' || i, i, CASE WHEN i %% 2 = 0"
             " THEN %lld ELSE %lld END FROM generate_series(1, 5000) AS i",
             old_ms - (long long)one->options.collect_dedup_window_ms, old_ms);
    base_run(url, sql);
    sweep(one);
    static const char *const tables[] = {"click_key", "conversion_key", "event_key"};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[i]);
        assert_int_equal(base_number(url, sql), 2500);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s WHERE seq %% 2 = 0", tables[i]);
        assert_int_equal(base_number(url, sql), 0);
    }
}

/* What a bid did is known as long as its impression; that it voted, for ever. */
static void bids_are_forgotten_but_not_their_votes(void **state)
{
    char sql[512];
    long long ttl_ms = one->options.impression_ttl_ms, now_ms = database_ms();
    snprintf(
        sql, sizeof sql,
        "INSERT INTO bid_key SELECT 'b' || i / 14, i / 2 %% 7, i %% 2, i, CASE WHEN i %% 2 = 0 THEN"
        " %lld ELSE %lld END FROM generate_series(0, 13999) AS i",
        now_ms - ttl_ms - 2 * 60 * 60 * 1000LL, now_ms - ttl_ms + 60 * 1000LL);
    base_run(url, sql);
    sweep(one);
    assert_int_equal(base_number(url, "SELECT count(*) FROM bid_key WHERE kind = 6"), 2000);
    assert_int_equal(base_number(url, "SELECT count(*) FROM bid_key WHERE kind <> 6"), 6000);
    assert_int_equal(base_number(url, "SELECT count(*) FROM bid_key WHERE kind <> 6 AND"
                                      " seq % 2 = 0"),
                     0);
}

/* However many keys one tag, click or bid has. */
static void a_step_of_the_sweep_is_small(void **state)
{
    enum { ROWS = 20000, STEP = 1000 };
#define ROWS_OF " FROM generate_series(1, 20000) i"
    static const char fills[] =
        "INSERT INTO event_key SELECT 't', 'p', 'e' || i, i, 1" ROWS_OF ";"
        "INSERT INTO session_key SELECT 'p', 's', i, 1" ROWS_OF ";"
        "INSERT INTO conversion_key SELECT 'c', 'p', 't', 0, 'k' || i, i, 1" ROWS_OF ";"
        "INSERT INTO bid_key SELECT 'b', 2, i, i, 1" ROWS_OF ";"
        "INSERT INTO click_key SELECT 'c' || i, i, NULL, NULL, 1" ROWS_OF;
    static const char all[] =
        "SELECT (SELECT count(*) FROM event_key) + (SELECT count(*) FROM session_key)"
        " + (SELECT count(*) FROM conversion_key) + (SELECT count(*) FROM bid_key)"
        " + (SELECT count(*) FROM click_key)";
    base_run(url, fills);
    one->database_ms = database_ms();
    int64_t left = base_number(url, all);
    assert_int_equal(left, 5 * ROWS);
    for (int steps = 0; left > 0; steps++) {
        assert_true(steps < 2 * 5 * ROWS / STEP);
        sweep_step(one);
        int64_t now = base_number(url, all);
        assert_true(left - now <= STEP);
        left = now;
    }
}

static void add(const char *name, CMUnitTestFunction check)
{
    unit_cases[unit_cases_count++] = (struct CMUnitTest){name, check, open_two, close_two, NULL};
}
#define ADD(check) add(#check, (check))

int main(void)
{
    ADD(nodes_share_their_secrets);
    ADD(the_key_that_mints_stays);
    ADD(token_keys_are_limited);
    ADD(damaged_secrets_are_not_taken);
    ADD(keys_are_of_all_nodes);
    ADD(polls_are_of_all_nodes);
    ADD(options_with_votes_stay);
    ADD(counts_from_elsewhere_are_replaced);
    ADD(withdrawn_polls_say_since_when);
    ADD(nothing_is_said_of_what_was_lost);
    ADD(partitions_are_made_ahead);
    ADD(partitions_follow_each_other);
    ADD(keys_that_are_needed_stay);
    ADD(bids_are_forgotten_but_not_their_votes);
    ADD(a_step_of_the_sweep_is_small);
    return UNIT_RUN_ADDED("postgres_config");
}
