#include "unit.h"

#include "base/rng.h"
#include "store/sqlite/db.h"
#include "store/sqlite/schema.h"
#include "store/store.h"
#include "store_bench.h"
#include "token/hash.h"

/* A data directory of version 2, whose clicks and impressions had no flags and from which nothing
 * was ever removed, is used as it is. */

#define AD                                                                                         \
    "bid_id, advertiser_id, publisher_id, campaign_id, product_id, creative_id, user_id,"          \
    " session_id, placement, price, currency, pricing"
#define CLICK                                                                                      \
    "seq, click_id, recorded_at_ms, " AD ", landing_url, client_address, user_agent, route,"       \
    " expires_at_ms"
#define IMPRESSION "seq, recorded_at_ms, " AD ", client_address, user_agent, route"

static void run_sql(sqlite3 *db, const char *sql)
{
    enum err err = db_exec(db, sql);
    if (err) print_error("%s: %s\n", sql, sqlite3_errmsg(db));
    assert_int_equal(err, ERR_OK);
}

static sqlite3 *open_db(const struct bench *bench)
{
    char path[128];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/adtally.db", bench->dir);
    assert_int_equal(db_open(&db, path, false), ERR_OK);
    return db;
}

/* The table as version 2 made it: our text of today without the column. */
static void take_flags_from(sqlite3 *db, const char *table, const char *columns)
{
    static const char column[] = "  flags INTEGER NOT NULL,", inner[] = " flags INTEGER NOT NULL,";
    char sql[2048] = "", text[2048];
    for (int i = 0; i < SCHEMA_TABLES_COUNT; i++)
        if (span_eq(schema_tables[i].name, span_of(table)))
            snprintf(sql, sizeof sql, "%s", schema_tables[i].sql);
    char *at = strstr(sql, column);
    size_t len = at ? sizeof column - 1 : sizeof inner - 1;
    if (!at) at = strstr(sql, inner);
    assert_non_null(at);
    memmove(at, at + len, strlen(at + len) + 1);
    snprintf(text, sizeof text, "ALTER TABLE %s RENAME TO old", table);
    run_sql(db, text);
    run_sql(db, sql);
    snprintf(text, sizeof text,
             "INSERT INTO %s SELECT %s, row_checksum('%s', %s) FROM old; DROP TABLE old", table,
             columns, table, columns);
    run_sql(db, text);
}

static void make_version_2(struct bench *bench)
{
    store_close(bench->store);
    bench->store = NULL;
    sqlite3 *db = open_db(bench);
    take_flags_from(db, "click", CLICK);
    take_flags_from(db, "impression", IMPRESSION);
    run_sql(db, "DROP TABLE removed; DROP TABLE poll_count; PRAGMA user_version = 2;"
                "DELETE FROM meta WHERE name IN"
                " ('click_ttl_ms_max', 'impression_ttl_ms_max', 'poll_counts')");
    sqlite3_close(db);
}

static struct op impression_op(struct span bid)
{
    return (struct op){.kind = OP_IMPRESSION,
                       .received_at_ms = now_ms,
                       .impression = {.ad = {.bid_id = bid, .publisher_id = SPAN("pub")},
                                      .visitor = {.user_agent = SPAN("Mozilla/5.0"), .flags = 1},
                                      .route = SPAN("view")}};
}

static struct op click_op(struct span bid, struct uuid *id)
{
    uint8_t random[10];
    rng_fill(random, sizeof random);
    *id = uuid_make_v7(now_ms, random);
    return (struct op){.kind = OP_CLICK,
                       .received_at_ms = now_ms,
                       .click = {.id = *id,
                                 .expires_at_ms = now_ms + 1000,
                                 .ad = {.bid_id = bid, .publisher_id = SPAN("pub")},
                                 .landing_url = SPAN("https://shop.example/"),
                                 .route = SPAN("redirect")}};
}

static struct op conversion_op(struct span click_id)
{
    return (struct op){.kind = OP_CONVERSION,
                       .received_at_ms = now_ms,
                       .conversion = {.sender = {.partner_id = SPAN("p"),
                                                 .api_key_id = SPAN("k"),
                                                 .api_key_label = SPAN("l")},
                                      .click_id = click_id,
                                      .event_type = SPAN("purchase"),
                                      .order_id = SPAN("o"),
                                      .check_order = true,
                                      .conversion_time = SPAN("2026-01-01T00:00:00Z"),
                                      .conversion_value = SPAN("1"),
                                      .value = {.units = 1},
                                      .currency = SPAN("EUR"),
                                      .channel = SPAN("server")}};
}

static void fill(struct bench *bench, struct uuid *click_id)
{
    for (int i = 0; i < 20; i++) {
        char bid[16];
        snprintf(bid, sizeof bid, "bid-%d", i);
        struct op seen = impression_op(span_of(bid)), click = click_op(span_of(bid), click_id);
        assert_int_equal(apply_one(bench, &seen), OUTCOME_RECORDED);
        assert_int_equal(apply_one(bench, &click), OUTCOME_RECORDED);
    }
}

static void version_2_is_written_once_more(void **state)
{
    struct bench *bench = *state;
    struct uuid id;
    char text[UUID_TEXT_LEN];
    int64_t count;
    fill(bench, &id);
    make_version_2(bench);
    open_store(bench);
    struct op again = impression_op(SPAN("bid-0"));
    assert_int_equal(apply_one(bench, &again), OUTCOME_DUPLICATE);
    uuid_write(text, &id);
    struct op conversion = conversion_op((struct span){text, sizeof text});
    assert_int_equal(apply_one(bench, &conversion), OUTCOME_RECORDED);
    reopen_store(bench);
    assert_int_equal(apply_one(bench, &conversion), OUTCOME_DUPLICATE);
    assert_int_equal(count_findings(bench), 0);
    store_close(bench->store);
    bench->store = NULL;
    sqlite3 *db = open_db(bench);
    assert_int_equal(db_query_i64(db,
                                  "SELECT count(*) FROM impression JOIN click USING (bid_id) WHERE"
                                  " click.flags = 0 AND impression.flags = 0 AND"
                                  " impression.user_agent = 'Mozilla/5.0'",
                                  &count),
                     ERR_OK);
    assert_int_equal(count, 20);
    sqlite3_close(db);
}

/* The new checksum must not vouch for what the old one disowned. */
static void damage_of_version_2_is_not_written_off(void **state)
{
    struct bench *bench = *state;
    struct uuid id;
    char problem[STORE_PROBLEM_MAX] = "";
    int64_t version;
    fill(bench, &id);
    make_version_2(bench);
    sqlite3 *db = open_db(bench);
    run_sql(db, "UPDATE impression SET route = 'ack' WHERE bid_id = 'bid-7'");
    sqlite3_close(db);
    assert_int_equal(store_open(&bench->store, &bench->options, problem), ERR_CORRUPT);
    assert_non_null(strstr(problem, "restore a backup"));
    bench->store = NULL;
    db = open_db(bench);
    assert_int_equal(db_query_i64(db, "PRAGMA user_version", &version), ERR_OK);
    assert_int_equal(version, 2);
    run_sql(db, "SELECT checksum FROM click; SELECT checksum FROM impression");
    sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_CASE(version_2_is_written_once_more),
        STORE_CASE(damage_of_version_2_is_not_written_off),
    };
    hash_start();
    now_ms = clock_wall_ms();
    return UNIT_RUN(tests);
}
