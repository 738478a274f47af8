#include "store/person.h"

/* Which rows are a person's, in a database of either engine: nothing is indexed by user, so all are
 * read, a part of the sequences in each statement. */

enum { SEQUENCES_PER_READ = 65536 };

/* Every statement names $1 to $4, and casts them: a database wants to know their types. */
#define USER "CAST($3 AS text)"
#define SESSION "CAST($4 AS text)"
#define PART " seq > CAST($1 AS bigint) AND seq <= CAST($2 AS bigint) AND "
#define SOME " ORDER BY seq LIMIT CAST($5 AS bigint)"
#define NAMES_ALL "coalesce(" USER ", " SESSION ") IS NOT NULL AND "
#define PERSON "(user_id = " USER " OR session_id = " SESSION ")"
#define SENDER                                                                                     \
    "(user_id = " USER " OR session_id = " SESSION " OR sent_user_id = " USER                      \
    " OR sent_session_id = " SESSION ")"
#define BIDS "(SELECT bid_id FROM person_bid)"
#define SELECT_BIDS(table, whose)                                                                  \
    "INSERT INTO person_bid SELECT DISTINCT bid_id FROM " table " WHERE" PART whose                \
    " AND bid_id IS NOT NULL ON CONFLICT DO NOTHING"

/* What leads to others is kept for as long as the connection lives, by nobody else. */
static const char *const tables[] = {
    "CREATE TEMP TABLE person_click (seq bigint PRIMARY KEY, click_id text)",
    "CREATE INDEX person_click_id ON person_click (click_id)",
    "CREATE TEMP TABLE person_bid (bid_id text PRIMARY KEY)",
};

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
    {OP_FEEDBACK, "SELECT seq FROM feedback WHERE" PART NAMES_ALL "bid_id IN " BIDS
                  " AND feedback_text IS NOT NULL" SOME},
    {OP_CONVERSION,
     "SELECT seq FROM conversion WHERE" PART NAMES_ALL "(session_id = " SESSION " OR click_seq IN"
     " (SELECT seq FROM person_click)) AND coalesce(page_url, referrer, user_agent, session_id,"
     " client_id, params) IS NOT NULL" SOME},
    {OP_SERVER_EVENT,
     "SELECT seq FROM server_event WHERE" PART NAMES_ALL "(session_id = " SESSION " OR click_id IN"
     " (SELECT click_id FROM person_click) OR bid_id IN " BIDS ") AND (coalesce(page_url, referrer,"
     " user_agent, session_id, client_id, consent) IS NOT NULL OR params <> '{}')" SOME},
    {OP_VOTE, "SELECT seq FROM vote WHERE" PART PERSON SOME},
    {OP_AD_FEEDBACK, "SELECT seq FROM ad_feedback WHERE" PART SENDER SOME},
    {OP_IMPRESSION, "SELECT seq FROM impression WHERE" PART PERSON SOME},
    {OP_CLICK, "SELECT seq FROM click WHERE" PART PERSON SOME},
};

enum {
    TABLES_COUNT = sizeof tables / sizeof tables[0],
    FINDS_COUNT = sizeof finds / sizeof finds[0],
    KINDS_COUNT = sizeof person_rows / sizeof person_rows[0],
};

struct finding {
    const struct store_person *person;
    struct person_reader *reader;
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

/* One part of the sequences. Rows are handed over outside of a transaction, as many at once as may
 * be: who counts a session's feedback meanwhile sees its old name alone, or the new one. */
static enum err read_part(struct finding *finding, const char *sql, int64_t after, int64_t to,
                          int kind)
{
    struct person_part part = {
        sql, kind >= 0, after, to, finding->person->user_id, finding->person->session_id, 0};
    bool is_full = true;
    enum err err = ERR_OK;
    while (!err && is_full) {
        uint32_t count = 0;
        uint64_t *rows = finding->rows + finding->rows_count;
        part.rows_max = ERASE_ROWS_MAX - finding->rows_count;
        err = finding->reader->engine->read(finding->reader, &part, rows, &count);
        is_full = !err && count == part.rows_max;
        finding->rows_count += count;
        if (!is_full) break;
        part.after = (int64_t)rows[count - 1];
        err = hand_over(finding, (enum op_kind)kind);
    }
    return err;
}

static enum err read_all(struct finding *finding, const char *sql, int kind)
{
    const struct store_progress *progress = &finding->person->progress;
    int64_t last = finding->reader->last;
    enum err err = ERR_OK;
    for (int64_t at = 0; at < last && !err; at += SEQUENCES_PER_READ) {
        int64_t left = last - at;
        int64_t count = left < SEQUENCES_PER_READ ? left : SEQUENCES_PER_READ;
        err = read_part(finding, sql, at, at + count, kind);
        finding->done += (uint64_t)count;
        if (progress->on)
            progress->on(progress->arg, finding->done,
                         (uint64_t)last * (FINDS_COUNT + KINDS_COUNT));
    }
    return err ? err : hand_over(finding, (enum op_kind)kind);
}

static enum err find_all(struct finding *finding)
{
    enum err err = ERR_OK;
    for (size_t i = 0; i < TABLES_COUNT && !err; i++)
        err = finding->reader->engine->run(finding->reader, tables[i]);
    for (size_t i = 0; i < FINDS_COUNT && !err; i++)
        err = read_all(finding, finds[i], -1);
    for (size_t i = 0; i < KINDS_COUNT && !err; i++)
        err = read_all(finding, person_rows[i].sql, (int)person_rows[i].kind);
    return err;
}

enum err store_find_person(const struct store_person *person)
{
    struct finding finding = {.person = person};
    enum err err = person->url ? pg_person_open(&finding.reader, person->url)
                               : sqlite_person_open(&finding.reader, person->dir);
    if (err) return err;
    err = find_all(&finding);
    finding.reader->engine->close(finding.reader);
    return err;
}
