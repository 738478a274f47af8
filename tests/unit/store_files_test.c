#include "ops.h"
#include "unit.h"

#include "base/clock.h"
#include "store/sqlite/sqlite.h"
#include "store/sqlite/wal.h"
#include "store/store.h"
#include "store_bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The embedded store and its files: who may open them, what they are when a batch has failed, and
 * what is none of its own. */

/* A batch of events, and a click before them or not, that fails when a file has `size` bytes. */
static void fail_batch(struct bench *bench, size_t size, bool has_click)
{
    enum { OPS = 200 };
    static struct op ops[OPS];
    struct op *batch[OPS];
    for (int i = 0; i < OPS; i++) {
        ops[i] = event_op(SPAN("tag"), SPAN_NONE, now_ms);
        batch[i] = &ops[i];
    }
    if (has_click) ops[0] = click_op(SPAN("bid"), now_ms);
    refuse_writes(bench, size);
    assert_int_not_equal(store_apply(bench->store, batch, OPS), ERR_OK);
    allow_writes(bench);
}

/* Where the second one ends there goes on what is left of the first one, with the same pages. */
static void wal_that_two_failed_batches_left_is_not_damaged(void **state)
{
    enum { FRAME = 24 + 4096 };
    struct bench *bench = *state;
    char path[128];
    struct stat wal;
    struct wal_damage damage;
    struct op first = click_op(SPAN("bid"), now_ms);
    assert_int_equal(apply_one(bench, &first), OUTCOME_RECORDED);
    snprintf(path, sizeof path, "%s/adtally.db-wal", bench->dir);
    assert_int_equal(stat(path, &wal), 0);
    fail_batch(bench, (size_t)wal.st_size + 6 * FRAME, true);
    fail_batch(bench, (size_t)wal.st_size + 3 * FRAME, false);
    snprintf(path, sizeof path, "%s/adtally.db", bench->dir);
    assert_int_equal(wal_check(path, &damage), ERR_OK);
    assert_false(damage.is_found);
}

/* A batch that fails inside a frame's header leaves its page and commit before what the one that
 * failed before it wrote there: here at the first of several frames, with a commit of its own. */
static void wal_whose_torn_header_ends_a_transaction_is_not_damaged(void **state)
{
    struct bench *bench = *state;
    char path[128];
    struct stat wal;
    struct wal_damage damage;
    const uint8_t other[] = {0, 0, 0, 2, 0, 0, 0, 9};
    struct op first = click_op(SPAN("bid"), now_ms), second = click_op(SPAN("bid"), now_ms);
    assert_int_equal(apply_one(bench, &first), OUTCOME_RECORDED);
    snprintf(path, sizeof path, "%s/adtally.db-wal", bench->dir);
    assert_int_equal(stat(path, &wal), 0);
    assert_int_equal(apply_one(bench, &second), OUTCOME_RECORDED);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, other, sizeof other, wal.st_size), sizeof other);
    close(fd);
    snprintf(path, sizeof path, "%s/adtally.db", bench->dir);
    assert_int_equal(wal_check(path, &damage), ERR_OK);
    assert_false(damage.is_found);
}

static void second_opener_is_told_who_holds_it(void **state)
{
    struct bench *bench = *state;
    struct store *second = NULL;
    char problem[STORE_PROBLEM_MAX] = "", pid[32];
    assert_int_equal(store_open(&second, &bench->options, problem), ERR_BUSY);
    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    assert_non_null(strstr(problem, pid));
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void foreign_directories_are_refused(void **state)
{
    struct bench *bench = *state;
    struct store *store = NULL;
    char problem[STORE_PROBLEM_MAX], other[UNIT_DIR_MAX];
    unit_dir_make(other, "foreign");
    struct store_options options = bench->options;
    options.dir = other;
    options.create = false;
    assert_int_equal(store_open(&store, &options, problem), ERR_NOT_FOUND);
    options.create = true;
    write_file(other, "letter.txt", "dear reader");
    assert_int_equal(store_open(&store, &options, problem), ERR_FOREIGN);
    write_file(other, "adtally.db", "this is no database, however long it may be");
    assert_int_not_equal(store_open(&store, &options, problem), ERR_OK);
    unit_dir_remove(other);
    assert_null(store);
}

static void damaged_database_is_refused(void **state)
{
    struct bench *bench = *state;
    char problem[STORE_PROBLEM_MAX] = "";
    store_close(bench->store);
    bench->store = NULL;
    write_file(bench->dir, "adtally.db",
               "this is no database, however long it may be; really not,"
               " not even when it is longer than a header of 100 bytes");
    assert_int_equal(store_open(&bench->store, &bench->options, problem), ERR_FOREIGN);
    assert_non_null(strstr(problem, "adtally.db"));
}

/* As after a COMMIT that failed when its frames were written: the file holds a row that the store
 * does not know, and a new connection shows it. */
static void new_connection_that_shows_more_ends_the_service(void **state)
{
    struct bench *bench = *state;
    struct sqlite_store *store = (struct sqlite_store *)bench->store;
    struct op first = event_op(SPAN("t"), SPAN("first"), now_ms);
    struct op next = event_op(SPAN("t"), SPAN("next"), now_ms), *ops[] = {&next};
    assert_int_equal(apply_one(bench, &first), OUTCOME_RECORDED);
    store->sequence_next--;
    store->totals.rows[TOTAL_SERVER_EVENT]--;
    statements_finalize(store);
    sqlite3_close(store->db);
    store->db = NULL;
    assert_int_equal(store_apply(bench->store, ops, 1), ERR_SYNC_FAILED);
    assert_int_equal(next.outcome, OUTCOME_UNAVAILABLE);
}

static void token_keys_of_a_failed_batch_stay(void **state)
{
    struct bench *bench = *state;
    static char params[64 * 1024];
    memset(params, ' ', sizeof params);
    struct op rotate = {.kind = OP_TOKEN_KEY_ROTATE,
                        .received_at_ms = now_ms,
                        .token_key = {.kid = "newkid00", .created_at_ms = now_ms}};
    struct op large = event_op(SPAN("t"), SPAN_NONE, now_ms);
    large.server_event.params = (struct span){params, sizeof params};
    struct op *batch[] = {&rotate, &large};
    refuse_writes(bench, 16 * 1024); /* room for the secrets, not for the event */
    assert_int_not_equal(store_apply(bench->store, batch, 2), ERR_OK);
    allow_writes(bench);
    assert_int_equal(rotate.outcome, OUTCOME_UNAVAILABLE);
    assert_int_equal(store_secrets(bench->store)->token_keys_count, 1);
    reopen_store(bench);
    assert_int_equal(store_secrets(bench->store)->token_keys_count, 1);
    assert_int_equal(store_apply(bench->store, batch, 2), ERR_OK);
    assert_int_equal(rotate.outcome, OUTCOME_RECORDED);
    assert_int_equal(store_secrets(bench->store)->token_keys_count, 2);
}

static void secrets_are_readable_by_their_owner_alone(void **state)
{
    struct bench *bench = *state;
    char path[128];
    struct stat file;
    snprintf(path, sizeof path, "%s/secrets.json", bench->dir);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0400);
}

/* Such a database is what a failed copy leaves, and its WAL what can still be saved. */
static void verifying_an_empty_database_leaves_its_wal(void **state)
{
    struct bench *bench = *state;
    char path[128], memory[4096];
    struct writer report;
    uint64_t findings;
    struct stat file;
    store_close(bench->store);
    bench->store = NULL;
    writer_init(&report, memory, sizeof memory);
    for (off_t size = 0; size <= 1; size++) {
        snprintf(path, sizeof path, "%s/adtally.db", bench->dir);
        assert_int_equal(truncate(path, size), 0);
        snprintf(path, sizeof path, "%s/adtally.db-wal", bench->dir);
        FILE *wal = fopen(path, "w");
        assert_non_null(wal);
        fputs("events", wal);
        fclose(wal);
        assert_int_equal(store_verify(bench->dir, &report, &findings), ERR_FOREIGN);
        assert_int_equal(stat(path, &file), 0);
        assert_int_equal(file.st_size, sizeof "events" - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_CASE(wal_that_two_failed_batches_left_is_not_damaged),
        STORE_CASE(wal_whose_torn_header_ends_a_transaction_is_not_damaged),
        STORE_CASE(second_opener_is_told_who_holds_it),
        STORE_CASE(foreign_directories_are_refused),
        STORE_CASE(damaged_database_is_refused),
        STORE_CASE(new_connection_that_shows_more_ends_the_service),
        STORE_CASE(token_keys_of_a_failed_batch_stay),
        STORE_CASE(secrets_are_readable_by_their_owner_alone),
        STORE_CASE(verifying_an_empty_database_leaves_its_wal),
    };
    hash_start();
    now_ms = clock_wall_ms();
    return UNIT_RUN(tests);
}
