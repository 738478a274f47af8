#include "log_files.h"
#include "ops.h"
#include "unit.h"

#include "base/clock.h"
#include "store/store.h"
#include "store_bench.h"

/* What a start makes of the logs of the indexes: the same answers with them, without them, and with
 * those of another moment or another copy of the database. */

static struct op vote_op(struct span bid, struct span option)
{
    return (struct op){.kind = OP_VOTE,
                       .received_at_ms = now_ms,
                       .vote = {.ad = ad_of(bid), .poll_id = 7, .option_id = option}};
}

static struct op rating_op(struct span bid)
{
    return ad_feedback_op(bid, SPAN("session"), SPAN("negative"), now_ms);
}

static struct op poll_op(void)
{
    return (struct op){.kind = OP_POLL_PUT,
                       .received_at_ms = now_ms,
                       .poll = {.id = 7,
                                .question = SPAN("Which?"),
                                .options = {{SPAN("a"), SPAN("A")}, {SPAN("b"), SPAN("B")}},
                                .options_count = 2}};
}

static void expect(struct bench *bench, struct op op, enum outcome outcome)
{
    assert_int_equal(apply_one(bench, &op), outcome);
}

static struct span name(char text[32], const char *prefix, int number)
{
    snprintf(text, 32, "%s-%d", prefix, number);
    return span_of(text);
}

static void record_impressions(struct bench *bench, const char *prefix, int count)
{
    char text[32];
    for (int i = 0; i < count; i++)
        expect(bench, impression_op(name(text, prefix, i), now_ms), OUTCOME_RECORDED);
}

static void expect_duplicates(struct bench *bench, const char *prefix, int count)
{
    char text[32];
    for (int i = 0; i < count; i++)
        expect(bench, impression_op(name(text, prefix, i), now_ms), OUTCOME_DUPLICATE);
}

static uint64_t rows_read(const struct bench *bench)
{
    struct store_stats stats;
    store_stats(bench->store, &stats);
    return stats.rebuilt_count;
}

static void a_start_reads_no_row_that_the_logs_cover(void **state)
{
    struct bench *bench = *state;
    record_impressions(bench, "a", 50);
    reopen_store(bench);
    assert_int_equal(rows_read(bench), 0);
    expect_duplicates(bench, "a", 50);
    store_close(bench->store);
    log_files_remove(bench->dir);
    open_store(bench);
    assert_int_equal(rows_read(bench), 50);
    expect_duplicates(bench, "a", 50);
    reopen_store(bench); /* they were written anew */
    assert_int_equal(rows_read(bench), 0);
    expect_duplicates(bench, "a", 50);
}

/* What a kill leaves: logs that end earlier. */
static void a_start_reads_on_where_the_logs_end(void **state)
{
    struct bench *bench = *state;
    struct log_files logs = {.count = 0};
    record_impressions(bench, "a", 20);
    reopen_store(bench);
    log_files_take(&logs, bench->dir);
    record_impressions(bench, "b", 10);
    store_close(bench->store);
    log_files_put(&logs, bench->dir);
    open_store(bench);
    assert_int_equal(rows_read(bench), 10);
    expect_duplicates(bench, "a", 20);
    expect_duplicates(bench, "b", 10);
    log_files_free(&logs);
}

static void check_votes(struct bench *bench, uint64_t a, uint64_t b)
{
    struct op results = {.kind = OP_POLL_RESULTS, .vote = {.poll_id = 7}};
    assert_int_equal(apply_one(bench, &results), OUTCOME_RECORDED);
    assert_int_equal(results.vote.results.votes[0], a);
    assert_int_equal(results.vote.results.votes[1], b);
}

static void votes_are_counted_with_and_without_the_log(void **state)
{
    struct bench *bench = *state;
    expect(bench, poll_op(), OUTCOME_RECORDED);
    expect(bench, vote_op(SPAN("1"), SPAN("a")), OUTCOME_RECORDED);
    expect(bench, vote_op(SPAN("2"), SPAN("b")), OUTCOME_RECORDED);
    expect(bench, vote_op(SPAN("3"), SPAN("b")), OUTCOME_RECORDED);
    struct op turned = poll_op(); /* an option keeps its votes in another place */
    turned.poll.options[0] = (struct poll_option){SPAN("b"), SPAN("B")};
    turned.poll.options[1] = (struct poll_option){SPAN("a"), SPAN("A")};
    expect(bench, turned, OUTCOME_RECORDED);
    reopen_store(bench);
    assert_int_equal(rows_read(bench), 0);
    check_votes(bench, 2, 1);
    expect(bench, vote_op(SPAN("4"), SPAN("a")), OUTCOME_RECORDED);
    reopen_store(bench);
    check_votes(bench, 2, 2);
    expect(bench, vote_op(SPAN("2"), SPAN("a")), OUTCOME_DUPLICATE);
    store_close(bench->store);
    log_files_remove(bench->dir);
    open_store(bench);
    assert_int_equal(rows_read(bench), 4);
    check_votes(bench, 2, 2);
    expect(bench, vote_op(SPAN("2"), SPAN("a")), OUTCOME_DUPLICATE);
}

static void a_session_s_minute_outlives_a_start(void **state)
{
    struct bench *bench = *state;
    char text[32];
    for (int i = 0; i < 30; i++)
        expect(bench, rating_op(name(text, "bid", i)), OUTCOME_RECORDED);
    reopen_store(bench);
    assert_int_equal(rows_read(bench), 0);
    expect(bench, rating_op(SPAN("one more")), OUTCOME_LIMITED);
}

/* -- copies -------------------------------------------------------------------------------- */

struct copy {
    char *bytes;
    size_t size;
};

static void take_database(const struct bench *bench, struct copy *copy)
{
    char path[128];
    snprintf(path, sizeof path, "%s/adtally.db", bench->dir);
    FILE *in = fopen(path, "rb");
    copy->bytes = malloc(LOG_FILE_MAX);
    copy->size = fread(copy->bytes, 1, LOG_FILE_MAX, in);
    fclose(in);
}

static void put_database(const struct bench *bench, const struct copy *copy)
{
    char path[128];
    snprintf(path, sizeof path, "%s/adtally.db", bench->dir);
    FILE *out = fopen(path, "wb");
    assert_int_equal(fwrite(copy->bytes, 1, copy->size, out), copy->size);
    fclose(out);
    snprintf(path, sizeof path, "%s/adtally.db-wal", bench->dir);
    unlink(path);
}

/* A backup of the database comes back beside logs that went on, and goes on otherwise. */
static void logs_of_another_copy_are_not_used(void **state)
{
    struct bench *bench = *state;
    struct copy backup;
    struct log_files logs = {.count = 0};
    record_impressions(bench, "common", 20);
    store_close(bench->store);
    take_database(bench, &backup);
    open_store(bench);
    record_impressions(bench, "first", 20);
    store_close(bench->store);
    log_files_take(&logs, bench->dir);

    put_database(bench, &backup); /* the logs are ahead of it */
    open_store(bench);
    assert_int_equal(rows_read(bench), 20);
    expect_duplicates(bench, "common", 20);
    record_impressions(bench, "second", 30);
    store_close(bench->store);

    log_files_put(&logs, bench->dir); /* it has as many rows as they say, but others */
    open_store(bench);
    assert_int_equal(rows_read(bench), 50);
    expect_duplicates(bench, "common", 20);
    expect_duplicates(bench, "second", 30);
    record_impressions(bench, "first", 20);
    assert_int_equal(count_findings(bench), 0);
    log_files_free(&logs);
    free(backup.bytes);
}

static void logs_of_another_directory_are_not_used(void **state)
{
    struct bench *bench = *state;
    struct log_files logs = {.count = 0};
    void *other_state = NULL;
    set_up(&other_state);
    struct bench *other = other_state;
    record_impressions(other, "other", 20);
    store_close(other->store);
    other->store = NULL;
    log_files_take(&logs, other->dir);
    record_impressions(bench, "own", 20);
    store_close(bench->store);
    log_files_put(&logs, bench->dir);
    open_store(bench);
    assert_int_equal(rows_read(bench), 20);
    expect_duplicates(bench, "own", 20);
    log_files_free(&logs);
    tear_down(&other_state);
}

/* A window that is longer than before needs keys that the logs may not have any more. */
static void a_longer_window_is_served(void **state)
{
    struct bench *bench = *state;
    record_impressions(bench, "a", 5);
    store_close(bench->store);
    bench->options.impression_ttl_ms *= 2;
    open_store(bench);
    expect_duplicates(bench, "a", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_CASE(a_start_reads_no_row_that_the_logs_cover),
        STORE_CASE(a_start_reads_on_where_the_logs_end),
        STORE_CASE(votes_are_counted_with_and_without_the_log),
        STORE_CASE(a_session_s_minute_outlives_a_start),
        STORE_CASE(logs_of_another_copy_are_not_used),
        STORE_CASE(logs_of_another_directory_are_not_used),
        STORE_CASE(a_longer_window_is_served),
    };
    now_ms = clock_wall_ms();
    hash_start();
    return UNIT_RUN(tests);
}
