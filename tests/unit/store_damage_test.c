#include "ops.h"
#include "unit.h"

#include "base/clock.h"
#include "log_files.h"
#include "store/sqlite/db.h"
#include "store/store.h"
#include "store_bench.h"

/* What the store does with rows that somebody or something changed behind its back, and what verify
 * says of them. Damage by the byte is tests/corruption's. */

static struct op an_event(struct span event_id)
{
    return event_op(SPAN("tag"), event_id, now_ms);
}

static struct op an_impression(struct span bid)
{
    return impression_op(bid, now_ms);
}

static struct op a_feedback(struct span bid)
{
    return feedback_op(bid, SPAN("positive"), now_ms);
}

static struct op a_rating(struct span bid)
{
    return ad_feedback_op(bid, SPAN("session"), SPAN("negative"), now_ms);
}

static struct op a_click(struct span bid)
{
    return click_op(bid, now_ms);
}

static struct op poll_op(void)
{
    return (struct op){.kind = OP_POLL_PUT,
                       .received_at_ms = now_ms,
                       .poll = {.id = 7,
                                .question = SPAN("Which?"),
                                .options = {{{"a", 1}, {"A", 1}}, {{"b", 1}, {"B", 1}}},
                                .options_count = 2}};
}

static struct op a_vote(struct span bid)
{
    return (struct op){.kind = OP_VOTE,
                       .received_at_ms = now_ms,
                       .vote = {.ad = ad_of(bid), .poll_id = 7, .option_id = SPAN("a")}};
}

static void record(struct bench *bench, struct op op)
{
    assert_int_equal(apply_one(bench, &op), OUTCOME_RECORDED);
}

static void record_one_of_each(struct bench *bench)
{
    record(bench, an_event(SPAN("e1")));
    record(bench, an_impression(SPAN("bid")));
    record(bench, a_feedback(SPAN("bid")));
    record(bench, a_rating(SPAN("bid")));
    record(bench, a_click(SPAN("bid")));
    record(bench, poll_op());
    record(bench, a_vote(SPAN("bid")));
}

static void change(struct bench *bench, const char *sql)
{
    char path[128];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/adtally.db", bench->dir);
    assert_int_equal(db_open(&db, path, false), ERR_OK);
    enum err err = db_exec(db, sql);
    if (err) print_error("%s: %s\n", sql, sqlite3_errmsg(db));
    assert_int_equal(err, ERR_OK);
    sqlite3_close(db);
}

/* -- while it serves ----------------------------------------------------------------------- */

struct change_row {
    const char *name;
    const char *sql;
    struct op (*op)(struct span text); /* needs the row */
    struct span text;
    bool is_read_at_start; /* it may be of the last minute of a session */
};

static const struct change_row changes[] = {
    {"a server event's name", "UPDATE server_event SET event_name = 'other'", an_event,
     SPAN_INIT("e1")},
    {"a server event's time", "UPDATE server_event SET recorded_at_ms = recorded_at_ms + 1",
     an_event, SPAN_INIT("e1")},
    {"no server event", "DELETE FROM server_event WHERE seq = 1", an_event, SPAN_INIT("e1")},
    {"an impression's bid", "UPDATE impression SET bid_id = 'bad'", an_impression,
     SPAN_INIT("bid")},
    {"an impression that feedback needs", "UPDATE impression SET price = '1'", a_feedback,
     SPAN_INIT("bid")},
    {"a feedback's bid", "UPDATE feedback SET bid_id = 'bad'", a_feedback, SPAN_INIT("bid")},
    {"no feedback", "DELETE FROM feedback", a_feedback, SPAN_INIT("bid")},
    {"an ad feedback's reasons", "UPDATE ad_feedback SET reasons = '[]'", a_rating,
     SPAN_INIT("bid"), true},
    {"an ad feedback's session", "UPDATE ad_feedback SET sent_session_id = 'x'", a_rating,
     SPAN_INIT("bid"), true},
    {"a click's bid", "UPDATE click SET bid_id = 'bad'", a_click, SPAN_INIT("bid")},
    {"a vote's bid", "UPDATE vote SET bid_id = 'bad'", a_vote, SPAN_INIT("bid")},
};

/* What a duplicate is told comes from the index, and the row's key says that it is the one: what
 * else stands in it makes no difference. */
static const struct change_row harmless_changes[] = {
    {"an impression's user, to a duplicate", "UPDATE impression SET user_id = ''", an_impression,
     SPAN_INIT("bid")},
    {"a feedback's type, to a duplicate", "UPDATE feedback SET feedback_type = 'negative'",
     a_feedback, SPAN_INIT("bid")},
    {"a vote's option, to a duplicate", "UPDATE vote SET option_id = 'b'", a_vote,
     SPAN_INIT("bid")},
};

static void check_change(const struct change_row *row, bool restarts, enum outcome expected)
{
    void *bench_state = NULL;
    set_up(&bench_state);
    struct bench *bench = bench_state;
    record_one_of_each(bench);
    record(bench, an_event(SPAN("last")));
    if (restarts) store_close(bench->store);
    change(bench, row->sql);
    if (restarts) open_store(bench);
    struct op needs_it = row->op(row->text), before = an_event(SPAN("e2")),
              after = an_event(SPAN("e3"));
    struct op *ops[] = {&before, &needs_it, &after};
    assert_int_equal(store_apply(bench->store, ops, 3), ERR_OK);
    assert_int_equal(needs_it.outcome, expected);
    assert_int_equal(before.outcome, OUTCOME_RECORDED);
    assert_int_equal(after.outcome, OUTCOME_RECORDED);
    assert_int_equal(after.sequence, before.sequence + 1);
    tear_down(&bench_state);
}

static void changed_row_fails_its_op_alone(void **state)
{
    check_change(*state, false, OUTCOME_UNAVAILABLE);
}

/* The logs of the indexes have its key, so that the start reads no rows. */
static void changed_row_fails_its_op_alone_after_a_start(void **state)
{
    const struct change_row *row = *state;
    if (!row->is_read_at_start) check_change(row, true, OUTCOME_UNAVAILABLE);
}

static void change_beside_the_key_leaves_a_duplicate_one(void **state)
{
    check_change(*state, false, OUTCOME_DUPLICATE);
}

/* -- at start ------------------------------------------------------------------------------ */

struct start_row {
    const char *name;
    const char *sql;
    enum err err;
};

static const struct start_row starts[] = {
    {"a changed row", "UPDATE click SET route = 'click'", ERR_CORRUPT_ROW},
    {"a row of another sequence", "UPDATE vote SET seq = seq + 1", ERR_CORRUPT_ROW},
    {"a row that is gone", "DELETE FROM impression", ERR_CORRUPT},
    {"the youngest row gone", "DELETE FROM vote", ERR_CORRUPT},
    {"a row too many",
     "INSERT INTO feedback VALUES (99, 1, 'b', 1, 'positive', NULL,"
     " row_checksum('feedback', 99, 1, 'b', 1, 'positive', NULL))",
     ERR_CORRUPT},
    {"no totals", "DELETE FROM total", ERR_CORRUPT_ROW},
    {"other totals", "UPDATE total SET vote = vote + 1", ERR_CORRUPT_ROW},
    {"a poll's question", "UPDATE poll SET question = 'Who?'", ERR_CORRUPT_ROW},
    {"a poll without an option", "DELETE FROM poll_option WHERE option_id = 'b'", ERR_CORRUPT},
    {"an age mark's time", "UPDATE age_mark SET time_ms = 1", ERR_CORRUPT_ROW},
    {"a key", "UPDATE api_key SET label = 'other'", ERR_CORRUPT_ROW},
    {"a key that is gone", "DELETE FROM api_key", ERR_CORRUPT},
    {"no rows of removed", "DELETE FROM removed WHERE name = 'vote'", ERR_CORRUPT_ROW},
    {"a removed row's number", "UPDATE removed SET rows = rows + 1", ERR_CORRUPT_ROW},
    {"a count that is too many",
     "INSERT INTO poll_count VALUES (7, 'a', 1, row_checksum('poll_count', 7, 'a', 1))",
     ERR_CORRUPT_ROW},
    {"the version before", "PRAGMA user_version = 1", ERR_FOREIGN},
};

static void start_refuses_with_a_sentence(void **state)
{
    const struct start_row *row = *state;
    char problem[STORE_PROBLEM_MAX] = "";
    void *bench_state = NULL;
    set_up(&bench_state);
    struct bench *bench = bench_state;
    record_one_of_each(bench);
    record(bench, (struct op){.kind = OP_KEY_CREATE,
                              .key = {.id = SPAN("abcdefghijkl"),
                                      .cls = APIKEY_PARTNER,
                                      .label = SPAN("l"),
                                      .partner_id = SPAN("p")}});
    reopen_store(bench);
    store_close(bench->store);
    bench->store = NULL;
    change(bench, row->sql);
    log_files_remove(bench->dir); /* the rows are read */
    assert_int_equal(store_open(&bench->store, &bench->options, problem), row->err);
    assert_null(bench->store);
    assert_non_null(strstr(problem, bench->dir));
    tear_down(&bench_state);
}

/* -- verify -------------------------------------------------------------------------------- */

struct promise_row {
    const char *name; /* what verify says */
    const char *sql;
};

#define COPY(table, what)                                                                          \
    "CREATE TEMP TABLE t AS SELECT * FROM " table ";UPDATE t SET " what ";INSERT INTO " table      \
    " SELECT * FROM t"
#define HUNDRED_OF(table)                                                                          \
    "CREATE TEMP TABLE t AS SELECT * FROM " table ";WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL"  \
    " SELECT i + 1 FROM n WHERE i < 100) INSERT INTO t SELECT t.* FROM t, n;"                      \
    "UPDATE t SET seq = seq + rowid * 100;INSERT INTO " table " SELECT * FROM t"

static const struct promise_row promises[] = {
    {"row of click", "UPDATE click SET route = 'click'"},
    {"sequences used by more than one event",
     "UPDATE click SET seq = (SELECT seq FROM impression)"},
    {"click ids recorded more than once", COPY("click", "seq = seq + 100")},
    {"server events counted twice within the dedup window",
     COPY("server_event", "seq = seq + 100, recorded_at_ms = recorded_at_ms + 1000")},
    {"impressions counted twice for one bid", COPY("impression", "seq = seq + 100")},
    {"impressions with more than one feedback", COPY("feedback", "seq = seq + 100")},
    {"feedback without its impression", "DELETE FROM impression"},
    {"bids with more than one vote", COPY("vote", "seq = seq + 100")},
    {"votes for an option that its poll does not have", "UPDATE vote SET option_id = 'c'"},
    {"votes in a poll that is not there", "DELETE FROM poll"},
    {"options without their poll", "DELETE FROM poll"},
    {"polls without one to 20 options", "DELETE FROM poll_option"},
    {"clicks past 100 of one bid", HUNDRED_OF("click")},
    {"ad feedbacks past 100 of one bid", HUNDRED_OF("ad_feedback")},
    {"rows more or less than were recorded", "DELETE FROM vote"},
    {"sequences without an event", "UPDATE total SET last_seq = last_seq + 1"},
    {"sequences without an event",
     "INSERT INTO meta VALUES ('sequences_unused', 1, row_checksum('meta', 'sequences_unused',"
     " 1))"},
    {"rows missing in total or meta", "DELETE FROM meta WHERE name = 'probe'"},
    {"rows missing in removed", "DELETE FROM removed WHERE name = 'vote'"},
    {"rows that were removed",
     "UPDATE removed SET below_seq = 99, checksum = row_checksum('removed', name, rows, 99)"},
    {"rows of poll_count more or less than were recorded",
     "INSERT INTO poll_count VALUES (7, 'a', 1, row_checksum('poll_count', 7, 'a', 1))"},
    {"index-bids: 1 entries differ from their rows",
     "UPDATE feedback SET bid_id = 'b', checksum = row_checksum('feedback', seq, recorded_at_ms,"
     " 'b', impression_seq, feedback_type, feedback_text)"},
    {"index-clicks: 2 entries differ from their rows", "DELETE FROM click"},
    {"index-bids: 1 rows more or less than entries", COPY("feedback", "seq = 1")},
    {"index-votes: 1 entries differ from their rows",
     "UPDATE vote SET option_id = 'b' WHERE seq = (SELECT min(seq) FROM vote)"},
};

static void verify_says_which_promise_is_broken(void **state)
{
    const struct promise_row *row = *state;
    char memory[8192];
    struct writer report;
    uint64_t findings = 0;
    void *bench_state = NULL;
    set_up(&bench_state);
    struct bench *bench = bench_state;
    record_one_of_each(bench);
    record(bench, an_event(SPAN("last")));
    reopen_store(bench); /* the logs of the indexes are written */
    assert_int_equal(count_findings(bench), 0);
    change(bench, row->sql);
    writer_init(&report, memory, sizeof memory - 1);
    assert_int_equal(store_verify(bench->dir, &report, &findings), ERR_OK);
    assert_true(findings > 0);
    memory[report.len] = '\0';
    if (!strstr(memory, row->name)) print_error("verify says only: %s\n", memory);
    assert_non_null(strstr(memory, row->name));
    tear_down(&bench_state);
}

int main(void)
{
    now_ms = clock_wall_ms();
    hash_start();
    UNIT_ADD_ROWS(changes, changed_row_fails_its_op_alone);
    UNIT_ADD_ROWS(changes, changed_row_fails_its_op_alone_after_a_start);
    UNIT_ADD_ROWS(harmless_changes, change_beside_the_key_leaves_a_duplicate_one);
    UNIT_ADD_ROWS(starts, start_refuses_with_a_sentence);
    UNIT_ADD_ROWS(promises, verify_says_which_promise_is_broken);
    return UNIT_RUN_ADDED("store_damage");
}
