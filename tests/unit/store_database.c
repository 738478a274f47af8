#include "store_database.h"

#include "unit.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct database {
    char name[64], url[DATABASE_URL_MAX];
    PGconn *control;
    int64_t clock_ms;
};

static const char *server(void)
{
    return getenv("ADTALLY_TEST_POSTGRES");
}

bool database_is_wanted(void)
{
    return server() != NULL;
}

static PGconn *connect_to(const char *url)
{
    PGconn *conn = PQconnectdb(url);
    if (PQstatus(conn) != CONNECTION_OK) fail_msg("%s", PQerrorMessage(conn));
    return conn;
}

static int64_t ask(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    int64_t number = PQntuples(result) > 0 ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    return number;
}

int64_t database_ask(struct database *database, const char *sql)
{
    return ask(database->control, sql);
}

static void on_server(const char *before, const char *name, const char *after)
{
    char sql[256];
    PGconn *conn = connect_to(server());
    snprintf(sql, sizeof sql, "%s %s %s", before, name, after);
    ask(conn, sql);
    PQfinish(conn);
}

/* The same server and user, another database. */
static void write_url(char *url, size_t size, const char *name)
{
    char *error = NULL;
    PQconninfoOption *options = PQconninfoParse(server(), &error);
    if (!options) {
        fail_msg("%s", error);
        return;
    }
    size_t len = (size_t)snprintf(url, size, "dbname='%s'", name);
    for (const PQconninfoOption *at = options; at->keyword; at++)
        if (at->val && strcmp(at->keyword, "dbname") != 0)
            len += (size_t)snprintf(url + len, size - len, " %s='%s'", at->keyword, at->val);
    assert_true(len < size);
    PQconninfoFree(options);
}

struct database *database_new(int64_t now_ms)
{
    static int made;
    struct database *database = calloc(1, sizeof *database);
    snprintf(database->name, sizeof database->name, "adtally_unit_%d_%d", (int)getpid(), made++);
    on_server("CREATE DATABASE", database->name, "");
    on_server("ALTER DATABASE", database->name, "SET search_path = test, pg_catalog");
    write_url(database->url, sizeof database->url, database->name);
    database->control = connect_to(database->url);
    ask(database->control,
        "SET client_min_messages = warning; CREATE SCHEMA test; CREATE TABLE test.test_clock (ms "
        "bigint);"
        " INSERT INTO test.test_clock VALUES (0);"
        " CREATE FUNCTION test.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS"
        " 'SELECT to_timestamp(ms / 1000.0) FROM test.test_clock';"
        " CREATE FUNCTION test.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN"
        " RAISE EXCEPTION ''no space'' USING ERRCODE = ''53100''; END'");
    database_set_clock(database, now_ms);
    return database;
}

void database_free(struct database *database)
{
    if (!database) return;
    PQfinish(database->control);
    on_server("DROP DATABASE", database->name, "WITH (FORCE)");
    free(database);
}

const char *database_url(const struct database *database)
{
    return database->url;
}

void database_set_clock(struct database *database, int64_t now_ms)
{
    char sql[96];
    if (database->clock_ms == now_ms) return;
    snprintf(sql, sizeof sql, "UPDATE test.test_clock SET ms = %lld", (long long)now_ms);
    ask(database->control, sql);
    database->clock_ms = now_ms;
}

void database_refuse_writes(struct database *database, bool is_refused)
{
    static const char *const tables[] = {"lane", "change"};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        char sql[160];
        snprintf(sql, sizeof sql,
                 is_refused ? "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON %s FOR EACH ROW"
                              " EXECUTE FUNCTION test.refuse()"
                            : "DROP TRIGGER refuse ON %s",
                 tables[i]);
        ask(database->control, sql);
    }
}

uint64_t database_findings(struct database *database)
{
    static const char *const checks[] = {
        "SELECT count(*) FROM click_key k FULL JOIN click e ON e.seq = k.seq"
        " AND e.click_id = k.click_id WHERE k.seq IS NULL OR e.seq IS NULL",
        "SELECT count(*) FROM conversion_key k LEFT JOIN conversion e ON e.seq = k.seq"
        " AND e.click_id = k.click_id AND e.partner_id = k.partner_id"
        " AND e.event_type = k.event_type AND k.key = CASE k.layer WHEN 1 THEN e.order_id"
        " ELSE coalesce(e.idempotency_key, e.event_id) END WHERE e.seq IS NULL",
        "SELECT count(*) FROM conversion e LEFT JOIN conversion_key k ON k.click_id = e.click_id"
        " AND k.partner_id = e.partner_id AND k.event_type = e.event_type AND k.layer = 0"
        " AND k.key = coalesce(e.idempotency_key, e.event_id) WHERE k.seq IS DISTINCT FROM e.seq"
        " AND coalesce(e.idempotency_key, e.event_id) IS NOT NULL",
        "SELECT count(*) FROM event_key k LEFT JOIN server_event e ON e.seq = k.seq"
        " AND e.event_id = k.event_id AND e.tag_id = k.tag_id WHERE e.seq IS NULL",
        "SELECT count(*) FROM (SELECT seq, bid_id FROM bid_key) k FULL JOIN"
        " (SELECT seq, bid_id FROM click WHERE bid_id IS NOT NULL"
        " UNION ALL SELECT seq, bid_id FROM impression UNION ALL SELECT seq, bid_id FROM feedback"
        " UNION ALL SELECT seq, bid_id FROM ad_feedback UNION ALL SELECT seq, bid_id FROM vote) e"
        " ON e.seq = k.seq AND e.bid_id = k.bid_id WHERE e.seq IS NULL OR k.seq IS NULL",
        "SELECT count(*) FROM (SELECT poll_id, option_id, count(*) AS votes FROM vote"
        " GROUP BY 1, 2) e FULL JOIN (SELECT poll_id, option_id, sum(votes) AS votes"
        " FROM vote_count GROUP BY 1, 2) c ON c.poll_id = e.poll_id"
        " AND c.option_id = e.option_id WHERE c.votes IS DISTINCT FROM e.votes",
        "SELECT count(*) - count(DISTINCT seq) FROM (SELECT seq FROM click"
        " UNION ALL SELECT seq FROM conversion UNION ALL SELECT seq FROM server_event"
        " UNION ALL SELECT seq FROM impression UNION ALL SELECT seq FROM feedback"
        " UNION ALL SELECT seq FROM ad_feedback UNION ALL SELECT seq FROM vote) e",
    };
    uint64_t findings = 0;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        int64_t found = database_ask(database, checks[i]);
        if (found) print_error("%lld: %s\n", (long long)found, checks[i]);
        findings += (uint64_t)found;
    }
    return findings;
}
