#include "event/amount.h"
#include "store/engine.h"
#include "store/postgres/merge.h"
#include "store/postgres/pg.h"
#include "store/postgres/result.h"
#include "store/promise.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* adtally verify over a database: every row fits its checksum, and rows, keys and counts say the
 * same. Each check is one statement, so of one moment, beside servers that write. */

enum { ROWS_PER_READ = 8192, ROWS_NAMED_MAX = 20 };
enum { CONNECT_MS = 30 * 1000, TIMEOUT_MS = 24 * 60 * 60 * 1000 };

/* As bid_key.kind has them. */
#define KIND_CLICK "0"
#define KIND_IMPRESSION "3"
#define KIND_FEEDBACK "4"
#define KIND_AD_FEEDBACK "5"
#define KIND_VOTE "6"
static_assert(OP_CLICK == 0 && OP_IMPRESSION == 3 && OP_FEEDBACK == 4 && OP_AD_FEEDBACK == 5 &&
                  OP_VOTE == 6,
              "kinds of bid_key");

#define NOW_MS "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

/* What retention has dropped is missed by nobody. */
#define IS_KEPT(key, table)                                                                        \
    key ".seq >= coalesce((SELECT below_seq FROM removed WHERE name = '" table "'), 0)"
#define KEYS_WITHOUT(key, table, same)                                                             \
    "SELECT count(*) FROM " key                                                                    \
    " AS k WHERE " IS_KEPT("k", table) " AND NOT EXISTS"                                           \
                                       " (SELECT 1 FROM " table                                    \
                                       " AS e WHERE e.seq = k.seq AND " same ")"
#define BID_KEYS_WITHOUT(kind, table)                                                              \
    "(SELECT count(*) FROM bid_key AS k WHERE k.kind = " kind                                      \
    " AND " IS_KEPT("k", table) " AND NOT EXISTS (SELECT 1 FROM " table                            \
                                " AS e WHERE e.seq = k.seq AND e.bid_id = k.bid_id))"
#define WITHOUT_BID_KEY(kind, table)                                                               \
    "(SELECT count(*) FROM " table " AS e WHERE e.bid_id IS NOT NULL AND NOT EXISTS (SELECT 1"     \
    " FROM bid_key AS k WHERE k.bid_id = e.bid_id AND k.kind = " kind "))"

/* Of what only this engine has. */
static const struct promise promises[] = {
    {"events with a sequence that no server was given",
     "SELECT count(*) FROM " PROMISE_SEQUENCES
     " WHERE seq >= (SELECT next_seq FROM counter WHERE id = 1)"},
    {"leases of sequences that overlap",
     "SELECT count(*) FROM lane AS a JOIN lane AS b ON a.lane_id < b.lane_id AND a.next_seq <"
     " b.lease_end AND b.next_seq < a.lease_end AND a.next_seq < a.lease_end AND b.next_seq <"
     " b.lease_end"},
    {"secrets that are missing",
     "SELECT 3 - count(*) FROM secret WHERE name IN ('pepper', 'receipt', 'click_signing')"},
    {"clicks that can be converted, without their key",
     "SELECT count(*) FROM click AS c WHERE c.expires_at_ms > " NOW_MS " AND NOT EXISTS (SELECT 1"
     " FROM click_key AS k WHERE k.click_id = c.click_id AND k.seq = c.seq)"},
    {"keys of clicks without their click",
     KEYS_WITHOUT("click_key", "click", "e.click_id = k.click_id")},
    {"conversions without their key",
     "SELECT count(*) FROM conversion AS v JOIN click_key AS c ON c.click_id = v.click_id AND"
     " c.expires_at_ms > " NOW_MS " WHERE coalesce(v.idempotency_key, v.event_id) IS NOT NULL AND"
     " NOT EXISTS (SELECT 1 FROM conversion_key AS k WHERE k.click_id = v.click_id AND"
     " k.partner_id = v.partner_id AND k.event_type = v.event_type AND k.seq = v.seq)"},
    {"keys of conversions without their conversion",
     KEYS_WITHOUT("conversion_key", "conversion",
                  "e.click_id = k.click_id AND e.partner_id = k.partner_id AND e.event_type ="
                  " k.event_type")},
    {"keys of server events without their event",
     KEYS_WITHOUT("event_key", "server_event",
                  "e.tag_id = k.tag_id AND e.partner_id = k.partner_id AND e.event_id ="
                  " k.event_id")},
    {"votes counted otherwise than they are recorded",
     "SELECT coalesce(sum(abs(coalesce(v.n, 0) - coalesce(c.n, 0))), 0)::bigint FROM (SELECT"
     " poll_id, option_id, sum(votes) AS n FROM vote_count GROUP BY 1, 2) AS c FULL JOIN (SELECT"
     " poll_id, option_id, count(*) AS n FROM vote GROUP BY 1, 2) AS v ON v.poll_id = c.poll_id AND"
     " v.option_id = c.option_id"},
    /* clang-format off */
    {"events of bids without the bid's key",
     "SELECT " WITHOUT_BID_KEY(KIND_CLICK, "click")
     " + " WITHOUT_BID_KEY(KIND_IMPRESSION, "impression")
     " + " WITHOUT_BID_KEY(KIND_FEEDBACK, "feedback")
     " + " WITHOUT_BID_KEY(KIND_AD_FEEDBACK, "ad_feedback")
     " + " WITHOUT_BID_KEY(KIND_VOTE, "vote")},
    {"keys of bids without their event",
     "SELECT " BID_KEYS_WITHOUT(KIND_CLICK, "click")
     " + " BID_KEYS_WITHOUT(KIND_IMPRESSION, "impression")
     " + " BID_KEYS_WITHOUT(KIND_FEEDBACK, "feedback")
     " + " BID_KEYS_WITHOUT(KIND_AD_FEEDBACK, "ad_feedback")
     " + " BID_KEYS_WITHOUT(KIND_VOTE, "vote")},
    /* clang-format on */
};

struct verifying {
    struct pg_connection connection;
    struct pg_params params;
    struct writer *report;
    uint64_t *findings;
    const struct store_progress *progress;
    int64_t last;  /* sequence: an estimate of what there is to read */
    uint64_t done; /* of `last` in each table */
};

static void report_line(struct verifying *verifying, const char *text, int64_t count)
{
    promise_report(verifying->report, verifying->findings, text, count);
}

static enum pg_failure query(struct verifying *verifying, const char *sql, int64_t *value)
{
    PGresult *row;
    enum pg_failure failure = pg_run(&verifying->connection, sql, NULL, &row);
    if (failure) return failure;
    *value = pg_get_i64(row, 0, 0);
    PQclear(row);
    return PG_FINE;
}

static void name_row(struct verifying *verifying, enum op_kind kind, int64_t sequence)
{
    writer_lit(verifying->report, "row of ");
    writer_put(verifying->report, event_table_name(kind));
    writer_char(verifying->report, ' ');
    writer_i64(verifying->report, sequence);
    writer_lit(verifying->report, " differs from its checksum\n");
}

static bool is_amount_right(const PGresult *rows, int row)
{
    struct amount amount;
    return amount_parse(&amount, pg_get_text(rows, row, PQfnumber(rows, "conversion_value"))) &&
           amount.units == pg_get_i64(rows, row, PQfnumber(rows, "value_units")) &&
           amount.nanos == pg_get_i64(rows, row, PQfnumber(rows, "value_nanos"));
}

struct wrong {
    int64_t rows, amounts;
};

/* *after: moves behind the last row; unmoved: there is none any more. */
static enum pg_failure check_some(struct verifying *verifying, enum op_kind kind, int64_t *after,
                                  struct wrong *wrong)
{
    static const char *const selects[EVENT_TABLES] = {
        [OP_CLICK] = "SELECT * FROM click WHERE seq > $1 ORDER BY seq LIMIT $2",
        [OP_CONVERSION] = "SELECT * FROM conversion WHERE seq > $1 ORDER BY seq LIMIT $2",
        [OP_SERVER_EVENT] = "SELECT * FROM server_event WHERE seq > $1 ORDER BY seq LIMIT $2",
        [OP_IMPRESSION] = "SELECT * FROM impression WHERE seq > $1 ORDER BY seq LIMIT $2",
        [OP_FEEDBACK] = "SELECT * FROM feedback WHERE seq > $1 ORDER BY seq LIMIT $2",
        [OP_AD_FEEDBACK] = "SELECT * FROM ad_feedback WHERE seq > $1 ORDER BY seq LIMIT $2",
        [OP_VOTE] = "SELECT * FROM vote WHERE seq > $1 ORDER BY seq LIMIT $2",
    };
    PGresult *rows;
    pg_params_reset(&verifying->params, 2);
    pg_set_i64(&verifying->params, 0, *after);
    pg_set_i64(&verifying->params, 1, ROWS_PER_READ);
    enum pg_failure failure =
        pg_run(&verifying->connection, selects[kind], &verifying->params, &rows);
    for (int row = 0; !failure && row < pg_rows(rows); row++) {
        *after = pg_get_i64(rows, row, 0);
        if (kind == OP_CONVERSION) wrong->amounts += !is_amount_right(rows, row);
        if (pg_row_is_whole(kind, rows, row, PQnfields(rows))) continue;
        if (++wrong->rows <= ROWS_NAMED_MAX) name_row(verifying, kind, *after);
    }
    PQclear(rows);
    return failure;
}

static void tell_progress(const struct verifying *verifying, int kind, int64_t at)
{
    const struct store_progress *progress = verifying->progress;
    uint64_t last = (uint64_t)verifying->last, all = (EVENT_TABLES + 1) * last;
    if (progress->on) progress->on(progress->arg, (uint64_t)kind * last + (uint64_t)at, all);
}

static enum pg_failure check_rows(struct verifying *verifying, enum op_kind kind)
{
    struct wrong wrong = {0};
    int64_t after = 0, were = -1;
    enum pg_failure failure = PG_FINE;
    while (!failure && after != were) {
        were = after;
        failure = check_some(verifying, kind, &after, &wrong);
        tell_progress(verifying, kind, after);
    }
    if (wrong.rows > ROWS_NAMED_MAX)
        report_line(verifying, "rows differ from their checksum", wrong.rows);
    else
        *verifying->findings += (uint64_t)wrong.rows;
    report_line(verifying, "conversions whose amount differs from its text", wrong.amounts);
    return failure;
}

static enum pg_failure check_promises(struct verifying *verifying, const struct promise list[],
                                      size_t list_count)
{
    enum pg_failure failure = PG_FINE;
    for (size_t i = 0; i < list_count && !failure; i++) {
        int64_t count = 0;
        failure = query(verifying, list[i].sql, &count);
        if (!failure) report_line(verifying, list[i].text, count);
    }
    return failure;
}

/* Other than servers' questions these are of all rows: plans that read whole tables are right. */
static enum pg_failure set_up(struct verifying *verifying)
{
    struct pg_connection *connection = &verifying->connection;
    enum pg_failure failure = pg_connect(connection);
    if (!failure)
        failure = pg_run_text(connection, "SELECT set_config('statement_timeout', '0', false),"
                                          " set_config('enable_seqscan', 'on', false),"
                                          " set_config('enable_hashjoin', 'on', false),"
                                          " set_config('enable_mergejoin', 'on', false)");
    connection->timeout_ms = TIMEOUT_MS;
    return failure ? failure
                   : query(verifying, "SELECT next_seq - 1 FROM counter WHERE id = 1",
                           &verifying->last);
}

enum err pg_store_verify(const struct store_verify *verify, struct writer *report,
                         uint64_t *findings, char problem[STORE_PROBLEM_MAX])
{
    struct verifying verifying = {
        .report = report, .findings = findings, .progress = &verify->progress};
    verifying.connection =
        (struct pg_connection){.url = verify->url, .timeout_ms = CONNECT_MS, .is_quiet = true};
    enum pg_failure failure = set_up(&verifying);
    for (int kind = 0; kind < EVENT_TABLES && !failure; kind++)
        failure = check_rows(&verifying, (enum op_kind)kind);
    if (!failure) failure = check_promises(&verifying, store_promises, store_promises_count);
    if (!failure)
        failure = check_promises(&verifying, promises, sizeof promises / sizeof promises[0]);
    enum err err = pg_read_problem(&verifying.connection, failure, problem);
    pg_disconnect(&verifying.connection);
    pg_params_fini(&verifying.params);
    return err;
}
