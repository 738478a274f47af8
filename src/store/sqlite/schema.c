#include "store/sqlite/schema.h"

#include "store/sqlite/db.h"

#include <stdint.h>
#include <stdio.h>

/* Append-only rowid tables without secondary indexes: random keys never touch a B-tree, the indexes
 * that exactly-once needs are in memory. `seq` counts through all tables together. What the rebuild
 * at start reads stands first in each row. */
#define CHECKSUM "  checksum INTEGER NOT NULL"
#define EVENT_COUNTS                                                                               \
    "  click INTEGER NOT NULL, conversion INTEGER NOT NULL, server_event INTEGER NOT NULL, "       \
    "impression INTEGER NOT NULL, feedback INTEGER NOT NULL, ad_feedback INTEGER NOT NULL, vote "  \
    "INTEGER NOT NULL,"
#define AD_FACTS                                                                                   \
    "  bid_id TEXT, advertiser_id TEXT, publisher_id TEXT NOT NULL, campaign_id TEXT,"             \
    "  product_id TEXT, creative_id TEXT, user_id TEXT, session_id TEXT, placement TEXT,"          \
    "  price TEXT, currency TEXT, pricing TEXT,"

const struct schema_table schema_tables[SCHEMA_TABLES_COUNT] = {
    {SPAN_INIT("click"),
     "CREATE TABLE click ("
     "  seq INTEGER PRIMARY KEY, click_id TEXT NOT NULL, recorded_at_ms INTEGER NOT NULL," AD_FACTS
     "  landing_url TEXT NOT NULL, client_address TEXT,"
     "  user_agent TEXT, route TEXT NOT NULL, expires_at_ms INTEGER NOT NULL,"
     "  flags INTEGER NOT NULL," CHECKSUM ") STRICT"},

    {SPAN_INIT("conversion"),
     "CREATE TABLE conversion ("
     "  seq INTEGER PRIMARY KEY, recorded_at_ms INTEGER NOT NULL, partner_id TEXT NOT NULL,"
     "  click_id TEXT NOT NULL, event_type TEXT NOT NULL, idempotency_key TEXT, event_id TEXT,"
     "  order_id TEXT, click_seq INTEGER NOT NULL, api_key_id TEXT NOT NULL,"
     "  api_key_label TEXT NOT NULL, conversion_time TEXT NOT NULL,"
     "  conversion_time_ms INTEGER NOT NULL, conversion_value TEXT NOT NULL,"
     "  value_units INTEGER NOT NULL, value_nanos INTEGER NOT NULL, currency TEXT NOT NULL,"
     "  tag_id TEXT, channel TEXT NOT NULL, page_url TEXT, referrer TEXT, user_agent TEXT,"
     "  session_id TEXT, client_id TEXT, params TEXT," CHECKSUM ") STRICT"},

    {SPAN_INIT("server_event"),
     "CREATE TABLE server_event ("
     "  seq INTEGER PRIMARY KEY, recorded_at_ms INTEGER NOT NULL, partner_id TEXT NOT NULL,"
     "  tag_id TEXT NOT NULL, event_id TEXT, event_name TEXT NOT NULL, api_key_id TEXT NOT NULL,"
     "  api_key_label TEXT NOT NULL, timestamp INTEGER NOT NULL, page_url TEXT, referrer TEXT,"
     "  user_agent TEXT, channel TEXT NOT NULL, session_id TEXT, client_id TEXT,"
     "  attribution_type TEXT, impression_id TEXT, click_id TEXT, bid_id TEXT,"
     "  impression_state TEXT, view_time_ms INTEGER, consent TEXT, params TEXT NOT NULL," CHECKSUM
     ") STRICT"},

    {SPAN_INIT("impression"),
     "CREATE TABLE impression ("
     "  seq INTEGER PRIMARY KEY, recorded_at_ms INTEGER NOT NULL," AD_FACTS
     "  client_address TEXT, user_agent TEXT, route TEXT NOT NULL, flags INTEGER NOT NULL," CHECKSUM
     ") STRICT"},

    {SPAN_INIT("feedback"),
     "CREATE TABLE feedback ("
     "  seq INTEGER PRIMARY KEY, recorded_at_ms INTEGER NOT NULL, bid_id TEXT NOT NULL,"
     "  impression_seq INTEGER NOT NULL, feedback_type TEXT NOT NULL, feedback_text TEXT," CHECKSUM
     ") STRICT"},

    {SPAN_INIT("ad_feedback"),
     "CREATE TABLE ad_feedback ("
     "  seq INTEGER PRIMARY KEY, recorded_at_ms INTEGER NOT NULL, feedback_id TEXT NOT NULL,"
     "  sent_session_id TEXT NOT NULL," AD_FACTS
     "  api_key_id TEXT NOT NULL, sentiment TEXT NOT NULL, reasons TEXT, comment TEXT,"
     "  sent_placement TEXT, sent_placement_id TEXT, sent_user_id TEXT, device TEXT," CHECKSUM
     ") STRICT"},

    {SPAN_INIT("vote"),
     "CREATE TABLE vote ("
     "  seq INTEGER PRIMARY KEY, recorded_at_ms INTEGER NOT NULL, poll_id INTEGER NOT NULL,"
     "  option_id TEXT NOT NULL," AD_FACTS CHECKSUM ", CHECK (bid_id IS NOT NULL)"
     ") STRICT"},

    {SPAN_INIT("poll"),
     "CREATE TABLE poll ("
     "  poll_id INTEGER PRIMARY KEY, question TEXT NOT NULL, cta_url TEXT,"
     "  updated_at_ms INTEGER NOT NULL, withdrawn_at_ms INTEGER," CHECKSUM ") STRICT"},

    {SPAN_INIT("poll_option"),
     "CREATE TABLE poll_option ("
     "  poll_id INTEGER NOT NULL, position INTEGER NOT NULL, option_id TEXT NOT NULL,"
     "  text TEXT NOT NULL," CHECKSUM ", PRIMARY KEY (poll_id, option_id)"
     ") STRICT, WITHOUT ROWID"},

    {SPAN_INIT("api_key"),
     "CREATE TABLE api_key ("
     "  id TEXT PRIMARY KEY, class TEXT NOT NULL, label TEXT NOT NULL, partner_id TEXT,"
     "  publisher_id TEXT, advertiser_id TEXT, tag_id TEXT, hash BLOB NOT NULL UNIQUE,"
     "  created_at_ms INTEGER NOT NULL, expires_at_ms INTEGER, revoked_at_ms INTEGER," CHECKSUM
     ") STRICT"},

    {SPAN_INIT("age_mark"),
     "CREATE TABLE age_mark ("
     "  seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL," EVENT_COUNTS CHECKSUM ") STRICT"},

    {SPAN_INIT("total"),
     "CREATE TABLE total ("
     "  id INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL," EVENT_COUNTS "  poll INTEGER NOT NULL,"
     "  poll_option INTEGER NOT NULL, api_key INTEGER NOT NULL," CHECKSUM ") STRICT"},

    {SPAN_INIT("meta"),
     "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL," CHECKSUM ") STRICT"},

    {SPAN_INIT("removed"),
     "CREATE TABLE removed ("
     "  name TEXT PRIMARY KEY, rows INTEGER NOT NULL, below_seq INTEGER NOT NULL," CHECKSUM
     ") STRICT"},

    {SPAN_INIT("poll_count"),
     "CREATE TABLE poll_count ("
     "  poll_id INTEGER NOT NULL, option_id TEXT NOT NULL, votes INTEGER NOT NULL," CHECKSUM
     ", PRIMARY KEY (poll_id, option_id)) STRICT, WITHOUT ROWID"},
};

/* The first of the tables that version 3 added. */
enum { TABLES_SINCE_3 = 13 };

static const char *const first_rows =
    "INSERT INTO meta SELECT column1, column2, row_checksum('meta', column1, column2) FROM"
    " (VALUES ('probe', 0), ('collect_dedup_window_ms_min', 9223372036854775807),"
    " ('impression_ttl_ms_min', 9223372036854775807));"
    "INSERT INTO total VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,"
    " row_checksum('total', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))";

static const char *const first_rows_since_3 =
    "INSERT INTO meta SELECT column1, 0, row_checksum('meta', column1, 0) FROM"
    " (VALUES ('click_ttl_ms_max'), ('impression_ttl_ms_max'), ('poll_counts'));"
    "INSERT INTO removed SELECT column1, 0, 0, row_checksum('removed', column1, 0, 0) FROM"
    " (VALUES ('click'), ('conversion'), ('server_event'), ('impression'), ('feedback'),"
    " ('ad_feedback'), ('vote'))";

enum { VERSION_BEFORE = 2 };

static enum err read_marks(sqlite3 *db, int64_t *application, int64_t *version, int64_t *objects)
{
    enum err err = db_query_i64(db, "PRAGMA application_id", application);
    if (!err) err = db_query_i64(db, "PRAGMA user_version", version);
    if (!err) err = db_query_i64(db, "SELECT count(*) FROM sqlite_schema", objects);
    return err;
}

/* What SQLite keeps of a table is the text it was made with: every byte has to be ours. */
static enum err check_texts(sqlite3 *db)
{
    sqlite3_stmt *row = NULL;
    enum err err = db_prepare(db, &row,
                              "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1"
                              " AND tbl_name = ?1 AND sql = ?2");
    for (int i = 0; i < SCHEMA_TABLES_COUNT && !err; i++) {
        struct db_binder table = {row, 1, 0};
        db_bind_text(&table, schema_tables[i].name);
        db_bind_text(&table, span_of(schema_tables[i].sql));
        int code = sqlite3_step(row);
        if (code != SQLITE_ROW) err = code == SQLITE_DONE ? ERR_CORRUPT : db_err(code);
        sqlite3_reset(row);
    }
    sqlite3_finalize(row);
    return err;
}

enum err schema_check(sqlite3 *db)
{
    int64_t application, version, objects;
    enum err err = read_marks(db, &application, &version, &objects);
    if (err) return err;
    if (application != SCHEMA_APPLICATION_ID || version != SCHEMA_VERSION) return ERR_FOREIGN;
    return check_texts(db);
}

static enum err create_tables(sqlite3 *db)
{
    enum err err = ERR_OK;
    for (int i = 0; i < SCHEMA_TABLES_COUNT && !err; i++)
        err = db_exec(db, schema_tables[i].sql);
    if (!err) err = db_exec(db, first_rows);
    return err ? err : db_exec(db, first_rows_since_3);
}

/* A table of version 2, with its columns but the checksum. */
struct unflagged {
    enum { TABLE_CLICK = 0, TABLE_IMPRESSION = 3 } table;
    const char *set_aside, *fill;
};

#define AD_COLUMNS                                                                                 \
    "bid_id, advertiser_id, publisher_id, campaign_id, product_id, creative_id, user_id,"          \
    " session_id, placement, price, currency, pricing"
#define CLICK_COLUMNS                                                                              \
    "seq, click_id, recorded_at_ms, " AD_COLUMNS ", landing_url, client_address, user_agent,"      \
    " route, expires_at_ms"
#define IMPRESSION_COLUMNS "seq, recorded_at_ms, " AD_COLUMNS ", client_address, user_agent, route"
#define FILL(table, columns)                                                                       \
    "INSERT INTO " table " SELECT " columns ", 0, row_checksum('" table "', " columns ", 0)"       \
    " FROM before_flags ORDER BY seq; DROP TABLE before_flags"

static const struct unflagged unflagged[] = {
    {TABLE_CLICK, "ALTER TABLE click RENAME TO before_flags", FILL("click", CLICK_COLUMNS)},
    {TABLE_IMPRESSION, "ALTER TABLE impression RENAME TO before_flags",
     FILL("impression", IMPRESSION_COLUMNS)},
};

/* A row that was damaged must not get a checksum that says it is not. */
static enum err check_before_flags(sqlite3 *db, struct span table)
{
    sqlite3_stmt *row = NULL;
    int code = SQLITE_DONE;
    enum err err = db_prepare(db, &row, "SELECT * FROM before_flags");
    while (!err && (code = sqlite3_step(row)) == SQLITE_ROW)
        if (!db_is_whole(row, 0, table)) err = ERR_CORRUPT;
    if (!err && code != SQLITE_DONE) err = db_last_err(db);
    sqlite3_finalize(row);
    return err;
}

/* A column can only be added behind the checksum: the rows are written once more. */
static enum err add_flags(sqlite3 *db)
{
    enum err err = ERR_OK;
    for (size_t i = 0; i < sizeof unflagged / sizeof unflagged[0] && !err; i++) {
        const struct schema_table *table = &schema_tables[unflagged[i].table];
        err = db_exec(db, unflagged[i].set_aside);
        if (!err) err = check_before_flags(db, table->name);
        if (!err) err = db_exec(db, table->sql);
        if (!err) err = db_exec(db, unflagged[i].fill);
    }
    return err;
}

/* From version 2. */
static enum err upgrade(sqlite3 *db)
{
    enum err err = add_flags(db);
    for (int i = TABLES_SINCE_3; i < SCHEMA_TABLES_COUNT && !err; i++)
        err = db_exec(db, schema_tables[i].sql);
    return err ? err : db_exec(db, first_rows_since_3);
}

/* All of it, or nothing. */
static enum err become_current(sqlite3 *db, enum err (*change)(sqlite3 *db))
{
    char marks[128];
    snprintf(marks, sizeof marks, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             SCHEMA_APPLICATION_ID, SCHEMA_VERSION);
    enum err err = db_exec(db, "BEGIN IMMEDIATE");
    if (err) return err;
    err = change(db);
    if (!err) err = db_exec(db, marks);
    if (!err) err = db_exec(db, "COMMIT");
    if (err && !sqlite3_get_autocommit(db)) db_exec(db, "ROLLBACK");
    return err;
}

enum err schema_apply(sqlite3 *db)
{
    int64_t application, version, objects;
    enum err err = read_marks(db, &application, &version, &objects);
    if (err) return err;
    if (application == 0 && version == 0 && objects == 0) return become_current(db, create_tables);
    if (application == SCHEMA_APPLICATION_ID && version == VERSION_BEFORE)
        err = become_current(db, upgrade);
    return err ? err : schema_check(db);
}
