#include "base.h"

#include "base/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pg_store *base_new(const char *url)
{
    struct pg_store *store = calloc(1, sizeof *store);
    store_options_init(&store->options);
    store->connection = (struct pg_connection){.url = url, .timeout_ms = 5000, .is_quiet = true};
    store->secrets = secret_new(sizeof *store->secrets);
    return store;
}

struct pg_store *base_open(const char *url)
{
    char problem[STORE_PROBLEM_MAX] = "";
    struct pg_store *store = base_new(url);
    assert_int_equal(pg_connect(&store->connection), PG_FINE);
    assert_int_equal(pg_migrate(&store->connection, problem), ERR_OK);
    assert_string_equal(problem, "");
    assert_int_equal(pg_copies_load(store), PG_FINE);
    assert_int_equal(pg_lane_open(store), PG_FINE);
    return store;
}

void base_close(struct pg_store *store)
{
    pg_lane_close(store);
    pg_disconnect(&store->connection);
    pg_sweep_fini(store);
    pg_polls_free(store);
    pg_params_fini(&store->params);
    pg_params_fini(&store->own_params);
    secret_free(store->secrets, sizeof *store->secrets);
    free(store);
}

static PGresult *run(const char *url, const char *sql)
{
    PGconn *conn = PQconnectdb(url);
    PGresult *result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    PQfinish(conn);
    return result;
}

void base_run(const char *url, const char *sql)
{
    PQclear(run(url, sql));
}

int64_t base_number(const char *url, const char *sql)
{
    PGresult *result = run(url, sql);
    int64_t number = pg_get_i64(result, 0, 0);
    PQclear(result);
    return number;
}

void base_new_database(char url[URL_MAX])
{
    static int count;
    char sql[128];
    const char *given = getenv("ADTALLY_TEST_POSTGRES");
    const char *end = given ? strrchr(given, '/') : NULL;
    if (!end) abort();
    char name[64];
    snprintf(name, sizeof name, "%s_%d_%d", end + 1, (int)getpid(), ++count);
    snprintf(sql, sizeof sql, "CREATE DATABASE %s", name);
    base_run(given, sql);
    snprintf(url, URL_MAX, "%.*s/%s", (int)(end - given), given, name);
}

void base_terminate(const char *url, const struct pg_store *store)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d, 5000)",
             PQbackendPID(store->connection.conn));
    base_run(url, sql);
}
