#include "base.h"

#include "base/clock.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

/* Sequences, the watermark, and what became of a COMMIT. `row` stands for a table of events: it has
 * no key, so that whatever is written twice is there twice. */

static char url[URL_MAX];

static int new_database(void **state)
{
    base_new_database(url);
    base_close(base_open(url));
    base_run(url, "CREATE TABLE row (seq bigint NOT NULL, batch bigint NOT NULL)");
    return 0;
}

/* A batch of `count` rows, all called `batch`. */
static void send_batch(struct pg_store *store, uint32_t count, int64_t batch)
{
    struct pg_connection *connection = &store->connection;
    pg_send(connection, "BEGIN", NULL);
    pg_lane_send_advance(store, count);
    pg_params_reset(&store->params, 2);
    for (uint32_t i = 0; i < count; i++) {
        pg_add_i64(&store->params, 0, (int64_t)store->lane.next_seq + i);
        pg_add_i64(&store->params, 1, batch);
    }
    pg_send(connection, "INSERT INTO row SELECT * FROM unnest($1::bigint[], $2::bigint[])",
            &store->params);
    pg_send(connection, "COMMIT", NULL);
    pg_flush(connection);
}

/* Of so many batches one does not get its answer, from then on: the connection is given up once the
 * COMMIT is on its way. */
static _Thread_local unsigned drop_one_of, drops;

static enum pg_failure write_batch(struct pg_store *store, uint32_t count, int64_t batch)
{
    send_batch(store, count, batch);
    if (drop_one_of && ++drops % drop_one_of == 0) {
        (void)poll(NULL, 0, (int)(drops % 7) * 4);
        pg_disconnect(&store->connection);
    }
    enum pg_failure failure = pg_finish(&store->connection);
    if (!failure) pg_lane_advanced(store, count);
    return failure;
}

/* As the engine does it: whatever happens, the batch is written once. `believes`: a lost answer is
 * taken for "it did not happen", which is what must not be done. */
static atomic_int lost_stood, lost_did_not;

static void write_surely(struct pg_store *store, uint32_t count, int64_t batch, bool believes)
{
    for (;;) {
        bool stands = false;
        enum pg_failure failure = pg_connect(&store->connection);
        if (!failure) failure = pg_lane_reserve(store, count);
        if (failure) {
            (void)poll(NULL, 0, 2);
            continue;
        }
        failure = write_batch(store, count, batch);
        if (!failure) return;
        while (failure == PG_UNREACHABLE && !believes) {
            failure = pg_connect(&store->connection);
            if (!failure) failure = pg_lane_resolve(store, &stands);
            if (failure) (void)poll(NULL, 0, 2);
            if (failure != PG_FINE) failure = PG_UNREACHABLE;
            if (!failure) ++*(stands ? &lost_stood : &lost_did_not);
        }
        if (stands) return;
    }
}

static void sequences_go_on(void **state)
{
    struct pg_store *store = base_open(url);
    uint64_t seen = 0;
    for (int64_t batch = 0; batch < 20; batch++) {
        assert_int_equal(pg_lane_reserve(store, 1024), PG_FINE);
        assert_true(store->lane.next_seq > seen);
        seen = store->lane.next_seq + 1023;
        assert_int_equal(write_batch(store, 1024, batch), PG_FINE);
    }
    assert_int_equal(base_number(url, "SELECT count(DISTINCT seq) FROM row"), 20 * 1024);
    base_close(store);
    assert_int_equal(base_number(url, "SELECT count(*) FROM lane"), 0);
}

static uint64_t watermark(struct pg_store *store)
{
    uint64_t below = 0;
    assert_int_equal(pg_watermark(&store->connection, &below), PG_FINE);
    return below;
}

static void an_open_lease_holds_the_watermark(void **state)
{
    struct pg_store *slow = base_open(url), *quick = base_open(url);
    assert_int_equal(pg_lane_reserve(slow, 10), PG_FINE);
    uint64_t first = slow->lane.next_seq;
    assert_int_equal(pg_lane_reserve(quick, 10), PG_FINE);
    assert_int_equal(write_batch(quick, 10, 1), PG_FINE);
    assert_int_equal(watermark(quick), first);
    assert_int_equal(write_batch(slow, 10, 2), PG_FINE);
    assert_int_equal(watermark(quick), first + 10);
    (void)poll(NULL, 0, 1100);
    assert_true(watermark(quick) > quick->lane.next_seq); /* idle leases are closed */
    assert_int_equal(write_batch(slow, 1, 3), PG_AGAIN);
    assert_int_equal(pg_lane_reserve(slow, 1), PG_FINE);
    assert_true(slow->lane.next_seq >= quick->lane.lease_end);
    assert_int_equal(write_batch(slow, 1, 3), PG_FINE);
    base_close(slow);
    base_close(quick);
}

/* A lane that dies keeps nobody waiting, nor does one that records a little at a time. */
static void leases_do_not_last(void **state)
{
    struct pg_store *trickle = base_open(url), *dead = base_open(url), *reader = base_open(url);
    assert_int_equal(pg_lane_reserve(dead, 1), PG_FINE);
    pg_disconnect(&dead->connection);
    int64_t start_ms = clock_mono_ms();
    uint64_t last = 0;
    for (int64_t batch = 0; clock_mono_ms() - start_ms < 2500; batch++) {
        assert_int_equal(pg_lane_reserve(trickle, 1), PG_FINE);
        last = trickle->lane.next_seq;
        assert_int_equal(write_batch(trickle, 1, batch), PG_FINE);
        (void)poll(NULL, 0, 50);
        (void)watermark(reader);
    }
    assert_true(watermark(reader) + 4096 > last);
    assert_true(watermark(reader) > dead->lane.lease_end);
    base_close(trickle);
    base_close(dead);
    base_close(reader);
}

/* The transaction is still on its way when the lane has given its connection up. */
static void a_late_transaction_is_fenced_off(void **state)
{
    struct pg_store *store = base_open(url), *late = base_open(url);
    bool stands = true;
    assert_int_equal(pg_lane_reserve(store, 5), PG_FINE);
    struct pg_lane own = late->lane;
    late->lane = store->lane;
    assert_int_equal(pg_lane_resolve(store, &stands), PG_FINE);
    assert_false(stands);
    assert_int_equal(write_batch(late, 5, 1), PG_AGAIN);
    assert_int_equal(base_number(url, "SELECT count(*) FROM row"), 0);
    late->lane = own;
    base_close(store);
    base_close(late);
}

struct resolver {
    struct pg_store *store;
    pthread_t thread;
    atomic_bool is_done;
    bool stands;
    enum pg_failure failure;
};

static void *resolve(void *arg)
{
    struct resolver *resolver = arg;
    resolver->failure = pg_lane_resolve(resolver->store, &resolver->stands);
    resolver->is_done = true;
    return NULL;
}

/* Its COMMIT comes while the lane asks. */
static void a_living_transaction_is_waited_for(void **state)
{
    struct pg_store *store = base_open(url), *old = base_open(url);
    assert_int_equal(pg_lane_reserve(store, 5), PG_FINE);
    struct pg_lane own = old->lane;
    old->lane = store->lane;
    pg_send(&old->connection, "BEGIN", NULL);
    pg_lane_send_advance(old, 5);
    pg_flush(&old->connection);
    assert_int_equal(pg_finish(&old->connection), PG_FINE);
    struct resolver resolver = {.store = store};
    pthread_create(&resolver.thread, NULL, resolve, &resolver);
    (void)poll(NULL, 0, 300);
    assert_false(resolver.is_done);
    assert_int_equal(pg_run(&old->connection, "COMMIT", NULL, NULL), PG_FINE);
    pthread_join(resolver.thread, NULL);
    assert_int_equal(resolver.failure, PG_FINE);
    assert_true(resolver.stands);
    assert_int_equal(store->lane.next_seq, old->lane.next_seq + 5);
    old->lane = own;
    base_close(store);
    base_close(old);
}

static void a_question_may_be_asked_again(void **state)
{
    struct pg_store *store = base_open(url);
    struct pg_lane before;
    bool stands;
    assert_int_equal(pg_lane_reserve(store, 5), PG_FINE);
    before = store->lane;
    assert_int_equal(write_batch(store, 5, 1), PG_FINE);
    for (int i = 0; i < 3; i++) { /* its answers are lost: the lane knows what it knew before */
        store->lane = before;
        assert_int_equal(pg_lane_resolve(store, &stands), PG_FINE);
        assert_true(stands);
    }
    before = store->lane;
    for (int i = 0; i < 3; i++) {
        store->lane = before;
        assert_int_equal(pg_lane_resolve(store, &stands), PG_FINE);
        assert_false(stands);
    }
    base_close(store);
}

static void a_lane_that_was_removed_takes_another(void **state)
{
    struct pg_store *store = base_open(url);
    bool stands;
    int64_t id = store->lane.id;
    base_run(url, "DELETE FROM lane");
    assert_int_equal(pg_lane_resolve(store, &stands), PG_REFUSED);
    assert_int_not_equal(store->lane.id, id);
    base_run(url, "DELETE FROM lane");
    assert_int_equal(pg_lane_reserve(store, 3), PG_FINE);
    assert_int_equal(write_batch(store, 3, 1), PG_FINE);
    base_close(store);
}

/* Many lanes record, backends are ended all the while, and one reads on behind the watermark. */
enum { WRITERS = 4, BATCHES = 250, BATCH_ROWS = 3, READS_MAX = 20000 };

struct storm {
    struct writer_thread {
        pthread_t thread;
        struct storm *storm;
        struct pg_store *store;
    } writers[WRITERS];
    pthread_t killer, reader;
    atomic_bool is_over;
    atomic_int batch;
    int kills;
    uint64_t reads[READS_MAX];
    int64_t counts[READS_MAX];
    int reads_count;
};

static void *storm_write(void *arg)
{
    struct writer_thread *writer = arg;
    drop_one_of = 10;
    for (int i = 0; i < BATCHES; i++)
        write_surely(writer->store, BATCH_ROWS, ++writer->storm->batch, false);
    return NULL;
}

static void *storm_kill(void *arg)
{
    static const char sql[] =
        "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE"
        " datname = current_database() AND application_name = 'adtally' AND pid <> pg_backend_pid()"
        " ORDER BY random() LIMIT 1) AS victim";
    struct storm *storm = arg;
    while (!storm->is_over) {
        storm->kills += (int)base_number(url, sql);
        (void)poll(NULL, 0, 15);
    }
    return NULL;
}

/* By a connection that is not ended. */
static void *storm_read(void *arg)
{
    struct storm *storm = arg;
    char own[URL_MAX + 32];
    snprintf(own, sizeof own, "%s?application_name=reader", url);
    struct pg_store *store = base_new(own);
    assert_int_equal(pg_connect(&store->connection), PG_FINE);
    while (!storm->is_over && storm->reads_count < READS_MAX) {
        PGresult *row;
        uint64_t below = watermark(store);
        pg_params_reset(&store->params, 1);
        pg_set_i64(&store->params, 0, (int64_t)below);
        assert_int_equal(pg_run(&store->connection, "SELECT count(*) FROM row WHERE seq < $1",
                                &store->params, &row),
                         PG_FINE);
        storm->reads[storm->reads_count] = below;
        storm->counts[storm->reads_count++] = pg_get_i64(row, 0, 0);
        PQclear(row);
        (void)poll(NULL, 0, 5);
    }
    base_close(store);
    return NULL;
}

/* Of the reads so many were not final. */
static int count_late(const struct storm *storm)
{
    int late = 0;
    for (int i = 0; i < storm->reads_count; i += 7) {
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM row WHERE seq < %llu",
                 (unsigned long long)storm->reads[i]);
        late += base_number(url, sql) != storm->counts[i];
    }
    return late;
}

static void run_storm(struct storm *storm)
{
    for (int i = 0; i < WRITERS; i++) {
        struct writer_thread *writer = &storm->writers[i];
        *writer = (struct writer_thread){.storm = storm, .store = base_open(url)};
        pthread_create(&writer->thread, NULL, storm_write, writer);
    }
    pthread_create(&storm->killer, NULL, storm_kill, storm);
    pthread_create(&storm->reader, NULL, storm_read, storm);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(storm->writers[i].thread, NULL);
    storm->is_over = true;
    pthread_join(storm->killer, NULL);
    pthread_join(storm->reader, NULL);
    for (int i = 0; i < WRITERS; i++)
        base_close(storm->writers[i].store);
}

static const char twice[] =
    "SELECT count(*) FROM (SELECT batch FROM row GROUP BY batch HAVING count(*) <> 3) AS wrong";

static void every_batch_stands_once(void **state)
{
    struct storm *storm = calloc(1, sizeof *storm);
    run_storm(storm);
    assert_true(storm->kills > 20);
    assert_true(lost_stood > 0 && lost_did_not > 0);
    assert_int_equal(base_number(url, twice), 0);
    assert_int_equal(base_number(url, "SELECT count(DISTINCT batch) FROM row"), WRITERS * BATCHES);
    assert_int_equal(base_number(url, "SELECT count(*) - count(DISTINCT seq) FROM row"), 0);
    assert_true(storm->reads_count > 20);
    assert_int_equal(count_late(storm), 0);
    free(storm);
}

/* The oracle: who takes a lost answer for a failure writes some batch twice. The answer is dropped
 * here, since no kill hits that moment for sure. */
static void believing_is_noticed(void **state)
{
    struct pg_store *store = base_open(url);
    assert_int_equal(pg_lane_reserve(store, BATCH_ROWS), PG_FINE);
    send_batch(store, BATCH_ROWS, 1);
    (void)poll(NULL, 0, 300);
    pg_disconnect(&store->connection);
    assert_int_equal(pg_finish(&store->connection), PG_UNREACHABLE);
    write_surely(store, BATCH_ROWS, 1, true);
    assert_int_equal(base_number(url, twice), 1);
    base_close(store);
}

/* The other oracle: with the counter's next number for a watermark a read is not final. */
static void reading_past_the_watermark_is_noticed(void **state)
{
    struct storm *storm = calloc(1, sizeof *storm);
    struct pg_store *store = base_open(url);
    assert_int_equal(pg_lane_reserve(store, 1), PG_FINE);
    storm->reads[0] = (uint64_t)base_number(url, "SELECT next_seq FROM counter");
    storm->counts[0] = base_number(url, "SELECT count(*) FROM row");
    storm->reads_count = 1;
    assert_int_equal(write_batch(store, 1, 1), PG_FINE);
    assert_int_equal(count_late(storm), 1);
    base_close(store);
    free(storm);
}

static void add(const char *name, CMUnitTestFunction check)
{
    unit_cases[unit_cases_count++] = (struct CMUnitTest){name, check, new_database, NULL, NULL};
}
#define ADD(check) add(#check, (check))

int main(void)
{
    ADD(sequences_go_on);
    ADD(an_open_lease_holds_the_watermark);
    ADD(leases_do_not_last);
    ADD(a_late_transaction_is_fenced_off);
    ADD(a_living_transaction_is_waited_for);
    ADD(a_question_may_be_asked_again);
    ADD(a_lane_that_was_removed_takes_another);
    ADD(every_batch_stands_once);
    ADD(believing_is_noticed);
    ADD(reading_past_the_watermark_is_noticed);
    return UNIT_RUN_ADDED("postgres_lanes");
}
