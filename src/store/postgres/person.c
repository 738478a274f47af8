#include "store/engine.h"
#include "store/postgres/pg.h"
#include "store/postgres/result.h"

/* Which rows are a person's, as sqlite/person.c: nothing is indexed by user, so all are read, a
 * part of the sequences in each statement. */

enum { SEQUENCES_PER_READ = 65536, TIMEOUT_MS = 10 * 60 * 1000 };

/* $1, $2: the sequences, after and up to; $3: the user; $4: the session, or NULL. Every statement
 * names all of them. */
#define PART " seq > $1::bigint AND seq <= $2::bigint AND "
#define PERSON "(user_id = $3::text OR session_id = $4::text)"
#define SENDER                                                                                     \
    "(user_id = $3::text OR session_id = $4::text OR sent_user_id = $3::text"                      \
    " OR sent_session_id = $4::text)"
#define SESSION "$3::text IS NOT NULL AND (session_id = $4::text"
#define BIDS "SELECT bid_id FROM person_bid"
#define SELECT_BIDS(table, whose)                                                                  \
    "INSERT INTO person_bid SELECT DISTINCT bid_id FROM " table " WHERE" PART whose                \
    " AND bid_id IS NOT NULL ON CONFLICT DO NOTHING"

static const char *const finds[] = {
    "INSERT INTO person_click SELECT seq, click_id FROM click WHERE" PART PERSON
    " ON CONFLICT DO NOTHING",
    SELECT_BIDS("click", PERSON),
    SELECT_BIDS("impression", PERSON),
    SELECT_BIDS("vote", PERSON),
    SELECT_BIDS("ad_feedback", SENDER),
};

/* In the order in which they are erased: what is found by others goes before them, so that an
 * erasure that was cut off finds all that is left. */
static const struct person_rows {
    enum op_kind kind;
    const char *sql;
} person_rows[] = {
    {OP_FEEDBACK, "SELECT seq FROM feedback WHERE" PART "bid_id IN (" BIDS ")"
                  " AND feedback_text IS NOT NULL AND coalesce($3::text, $4::text) IS NOT NULL"},
    {OP_CONVERSION,
     "SELECT seq FROM conversion WHERE" PART SESSION " OR click_seq IN (SELECT seq FROM"
     " person_click)) AND coalesce(page_url, referrer, user_agent, session_id, client_id,"
     " params) IS NOT NULL"},
    {OP_SERVER_EVENT,
     "SELECT seq FROM server_event WHERE" PART SESSION " OR click_id IN (SELECT click_id"
     " FROM person_click) OR bid_id IN (" BIDS ")) AND (coalesce(page_url, referrer, user_agent,"
     " session_id, client_id, consent) IS NOT NULL OR params <> '{}')"},
    {OP_VOTE, "SELECT seq FROM vote WHERE" PART PERSON},
    {OP_AD_FEEDBACK, "SELECT seq FROM ad_feedback WHERE" PART SENDER},
    {OP_IMPRESSION, "SELECT seq FROM impression WHERE" PART PERSON},
    {OP_CLICK, "SELECT seq FROM click WHERE" PART PERSON},
};

enum {
    FINDS_COUNT = sizeof finds / sizeof finds[0],
    KINDS_COUNT = sizeof person_rows / sizeof person_rows[0],
};

struct finding {
    const struct store_person *person;
    struct pg_connection connection;
    struct pg_params params;
    int64_t last;  /* sequence: what is recorded later is not looked at */
    uint64_t done; /* of (FINDS_COUNT + KINDS_COUNT) * last */
    uint64_t rows[ERASE_ROWS_MAX];
    uint32_t rows_count;
};

static enum err hand_over(struct finding *finding, enum op_kind kind)
{
    if (finding->rows_count == 0) return ERR_OK;
    uint32_t count = finding->rows_count;
    finding->rows_count = 0;
    bool goes_on = finding->person->on_rows(finding->person->arg, kind, finding->rows, count);
    return goes_on ? ERR_OK : ERR_IO;
}

/* No transaction stays open while rows are handed over. */
static enum err read_part(struct finding *finding, const char *sql, int64_t after, int64_t to,
                          int kind)
{
    PGresult *result;
    struct pg_params *params = &finding->params;
    pg_params_reset(params, 4);
    pg_set_i64(params, 0, after);
    pg_set_i64(params, 1, to);
    pg_set_text(params, 2, finding->person->user_id);
    pg_set_text(params, 3, finding->person->session_id);
    enum err err = pg_err(pg_run(&finding->connection, sql, params, &result));
    if (err) return err;
    for (int row = 0; kind >= 0 && row < pg_rows(result) && !err; row++) {
        finding->rows[finding->rows_count++] = (uint64_t)pg_get_i64(result, row, 0);
        if (finding->rows_count == ERASE_ROWS_MAX) err = hand_over(finding, (enum op_kind)kind);
    }
    PQclear(result);
    return err;
}

static enum err read_all(struct finding *finding, const char *sql, int kind)
{
    const struct store_progress *progress = &finding->person->progress;
    enum err err = ERR_OK;
    for (int64_t at = 0; at < finding->last && !err; at += SEQUENCES_PER_READ) {
        int64_t left = finding->last - at;
        int64_t count = left < SEQUENCES_PER_READ ? left : SEQUENCES_PER_READ;
        err = read_part(finding, sql, at, at + count, kind);
        finding->done += (uint64_t)count;
        if (progress->on)
            progress->on(progress->arg, finding->done,
                         (uint64_t)finding->last * (FINDS_COUNT + KINDS_COUNT));
    }
    return err ? err : hand_over(finding, (enum op_kind)kind);
}

/* What was found is kept by the session. */
static enum err begin(struct finding *finding)
{
    struct pg_connection *connection = &finding->connection;
    enum pg_failure failure = pg_connect(connection);
    PGresult *row;
    if (failure) return pg_err(failure);
    pg_send_text(connection, "CREATE TEMP TABLE person_click (seq bigint PRIMARY KEY,"
                             " click_id text)");
    pg_send_text(connection, "CREATE INDEX person_click_id ON person_click (click_id)");
    pg_send_text(connection, "CREATE TEMP TABLE person_bid (bid_id text PRIMARY KEY)");
    pg_flush(connection);
    failure = pg_finish(connection);
    if (!failure)
        failure = pg_run(connection, "SELECT next_seq - 1 FROM counter WHERE id = 1", NULL, &row);
    if (failure) return pg_err(failure);
    finding->last = pg_get_i64(row, 0, 0);
    PQclear(row);
    return ERR_OK;
}

enum err pg_store_find_person(const struct store_person *person)
{
    struct finding finding = {.person = person};
    finding.connection =
        (struct pg_connection){.url = person->url, .timeout_ms = TIMEOUT_MS, .is_quiet = true};
    enum err err = begin(&finding);
    for (size_t i = 0; i < FINDS_COUNT && !err; i++)
        err = read_all(&finding, finds[i], -1);
    for (size_t i = 0; i < KINDS_COUNT && !err; i++)
        err = read_all(&finding, person_rows[i].sql, (int)person_rows[i].kind);
    pg_disconnect(&finding.connection);
    pg_params_fini(&finding.params);
    return err;
}
