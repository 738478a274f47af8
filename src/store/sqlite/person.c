#include "store/engine.h"
#include "store/sqlite/db.h"
#include "store/sqlite/schema.h"

#include <stdio.h>

/* Which rows are a person's: found by a reader beside the writer, a part of the sequences in each
 * read transaction, since nothing is indexed by user. */

enum { SEQUENCES_PER_READ = 65536, ROWS_PER_CALL = ERASE_ROWS_MAX };

/* ?1, ?2: the sequences, after and up to; ?3: the user; ?4: the session, or NULL. */
#define PART " seq > ?1 AND seq <= ?2 AND "
#define PERSON "(user_id = ?3 OR session_id = ?4)"
#define SENDER "(user_id = ?3 OR session_id = ?4 OR sent_user_id = ?3 OR sent_session_id = ?4)"
#define SELECT_BIDS(table, whose)                                                                  \
    "INSERT OR IGNORE INTO temp.person_bid SELECT bid_id FROM " table " WHERE" PART whose          \
    " AND bid_id IS NOT NULL"

static const char *const finds[] = {
    "INSERT INTO temp.person_click SELECT seq, click_id FROM click WHERE" PART PERSON,
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
    {OP_FEEDBACK, "SELECT seq FROM feedback WHERE" PART
                  "bid_id IN (SELECT bid_id FROM temp.person_bid) AND feedback_text IS NOT NULL"},
    {OP_CONVERSION,
     "SELECT seq FROM conversion WHERE" PART "(session_id = ?4 OR click_seq IN (SELECT seq FROM"
     " temp.person_click)) AND coalesce(page_url, referrer, user_agent, session_id, client_id,"
     " params) IS NOT NULL"},
    {OP_SERVER_EVENT,
     "SELECT seq FROM server_event WHERE" PART "(session_id = ?4 OR click_id IN (SELECT click_id"
     " FROM temp.person_click) OR bid_id IN (SELECT bid_id FROM temp.person_bid)) AND"
     " (coalesce(page_url, referrer, user_agent, session_id, client_id, consent) IS NOT NULL OR"
     " params <> '{}')"},
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
    sqlite3 *db;
    int64_t last;  /* sequence: what is recorded later is not looked at */
    uint64_t done; /* of (FINDS_COUNT + KINDS_COUNT) * last */
    uint64_t rows[ROWS_PER_CALL];
    uint32_t rows_count;
};

static void bind(struct finding *finding, sqlite3_stmt *statement, int64_t after, int64_t to)
{
    struct db_binder values = {statement, 1, 0};
    int count = sqlite3_bind_parameter_count(statement);
    db_bind_i64(&values, after);
    db_bind_i64(&values, to);
    if (count > 2) db_bind_text(&values, finding->person->user_id);
    if (count > 3) db_bind_text(&values, finding->person->session_id);
}

static enum err hand_over(struct finding *finding, enum op_kind kind)
{
    if (finding->rows_count == 0) return ERR_OK;
    uint32_t count = finding->rows_count;
    finding->rows_count = 0;
    bool goes_on = finding->person->on_rows(finding->person->arg, kind, finding->rows, count);
    return goes_on ? ERR_OK : ERR_IO;
}

/* One part of the sequences. Rows are handed over outside of a transaction, as many at once as may
 * be: who counts a session's feedback meanwhile sees its old name alone, or the new one. */
static enum err read_part(struct finding *finding, sqlite3_stmt *statement, int64_t after,
                          int64_t to, int kind)
{
    enum err err = ERR_OK;
    bind(finding, statement, after, to);
    int code = SQLITE_DONE;
    int64_t at = after;
    while (!err && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        at = sqlite3_column_int64(statement, 0);
        finding->rows[finding->rows_count++] = (uint64_t)at;
        if (finding->rows_count < ROWS_PER_CALL) continue;
        sqlite3_reset(statement);
        err = hand_over(finding, (enum op_kind)kind);
        bind(finding, statement, at, to);
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(finding->db);
    sqlite3_reset(statement);
    return err;
}

static enum err read_all(struct finding *finding, const char *sql, int kind)
{
    const struct store_progress *progress = &finding->person->progress;
    sqlite3_stmt *statement = NULL;
    enum err err = db_prepare(finding->db, &statement, sql);
    for (int64_t at = 0; at < finding->last && !err; at += SEQUENCES_PER_READ) {
        int64_t left = finding->last - at;
        int64_t count = left < SEQUENCES_PER_READ ? left : SEQUENCES_PER_READ;
        err = read_part(finding, statement, at, at + count, kind);
        finding->done += (uint64_t)count;
        if (progress->on)
            progress->on(progress->arg, finding->done,
                         (uint64_t)finding->last * (FINDS_COUNT + KINDS_COUNT));
    }
    sqlite3_finalize(statement);
    return err ? err : hand_over(finding, (enum op_kind)kind);
}

static enum err open_database(struct finding *finding)
{
    char path[512];
    const char *dir = finding->person->dir;
    if ((size_t)snprintf(path, sizeof path, "%s/adtally.db", dir) >= sizeof path) return ERR_IO;
    enum err err = db_open_readonly(&finding->db, path);
    if (!err) err = schema_check(finding->db);
    if (!err) err = db_query_i64(finding->db, "SELECT last_seq FROM total", &finding->last);
    /* What was found is kept in memory, by a connection that cannot write the file. */
    if (!err)
        err = db_exec(finding->db,
                      "PRAGMA query_only = 0; PRAGMA temp_store = MEMORY;"
                      "CREATE TEMP TABLE person_click (seq INTEGER PRIMARY KEY, click_id TEXT);"
                      "CREATE INDEX temp.person_click_id ON person_click (click_id);"
                      "CREATE TEMP TABLE person_bid (bid_id TEXT PRIMARY KEY)");
    return err;
}

enum err sqlite_store_find_person(const struct store_person *person)
{
    struct finding finding = {.person = person};
    db_start();
    enum err err = open_database(&finding);
    for (size_t i = 0; i < FINDS_COUNT && !err; i++)
        err = read_all(&finding, finds[i], -1);
    for (size_t i = 0; i < KINDS_COUNT && !err; i++)
        err = read_all(&finding, person_rows[i].sql, (int)person_rows[i].kind);
    sqlite3_close(finding.db);
    return err;
}
