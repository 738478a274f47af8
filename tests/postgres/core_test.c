#include "base.h"

#include "base/clock.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>

extern const size_t migrations_count; /* sql/: each brings the schema forward by one */

static char url[URL_MAX];

static int new_database(void **state)
{
    base_new_database(url);
    return 0;
}

static const char *const texts[] = {
    "",
    "a",
    "NULL",
    "null",
    "a\"b",
    "a\\b",
    "\\",
    "{}",
    ",",
    "{a}",
    "\"\"",
    "a'b",
    " ",
    "\n\t",
    "\xc3\xa9",
    "$1",
    "\xf0\x9f\x98\x80",
    "\\x00",
    "a,b",
    "{\"a\"}",
    "\\\"}",
    "%s",
    "E'\\n'",
    "\xe2\x80\xa8",
};
enum { TEXTS = sizeof texts / sizeof texts[0] };

/* What is sent comes back, byte for byte: as single values and as elements. */
static void texts_come_back(void **state)
{
    struct pg_store *store = base_new(url);
    struct pg_connection *connection = &store->connection;
    PGresult *rows;
    assert_int_equal(pg_connect(connection), PG_FINE);
    pg_params_reset(&store->params, 1);
    for (int i = 0; i < TEXTS; i++)
        pg_add_text(&store->params, 0, span_of(texts[i]));
    pg_add_null(&store->params, 0);
    assert_int_equal(pg_run(connection,
                            "SELECT * FROM unnest($1::text[]) WITH ORDINALITY ORDER BY 2",
                            &store->params, &rows),
                     PG_FINE);
    assert_int_equal(pg_rows(rows), TEXTS + 1);
    for (int i = 0; i < TEXTS; i++)
        assert_string_equal(PQgetvalue(rows, i, 0), texts[i]);
    assert_null(pg_get_text(rows, TEXTS, 0).ptr);
    PQclear(rows);
    for (int i = 0; i < TEXTS; i++) {
        pg_params_reset(&store->params, 1);
        pg_set_text(&store->params, 0, span_of(texts[i]));
        assert_int_equal(pg_run(connection, "SELECT $1::text", &store->params, &rows), PG_FINE);
        assert_string_equal(PQgetvalue(rows, 0, 0), texts[i]);
        PQclear(rows);
    }
    base_close(store);
}

/* So do binary arrays: texts as they are, numbers to their ends, and what is absent as NULL. */
static void binary_arrays_come_back(void **state)
{
    static const int64_t numbers[] = {0, -1, 1, 256, INT64_MAX, INT64_MIN};
    enum { NUMBERS = sizeof numbers / sizeof numbers[0] };
    struct pg_store *store = base_new(url);
    PGresult *rows;
    assert_int_equal(pg_connect(&store->connection), PG_FINE);
    pg_params_reset_binary(&store->params, "ti");
    for (int i = 0; i < TEXTS; i++)
        pg_add_text(&store->params, 0, span_of(texts[i]));
    pg_add_text(&store->params, 0, SPAN_NONE);
    for (int i = 0; i < NUMBERS; i++)
        pg_add_i64(&store->params, 1, numbers[i]);
    pg_add_null(&store->params, 1);
    assert_int_equal(pg_run(&store->connection, "SELECT unnest($1::text[]), unnest($2::bigint[])",
                            &store->params, &rows),
                     PG_FINE);
    assert_int_equal(pg_rows(rows), TEXTS + 1);
    for (int i = 0; i < TEXTS; i++)
        assert_true(span_eq(pg_get_text(rows, i, 0), span_of(texts[i])));
    assert_null(pg_get_text(rows, TEXTS, 0).ptr);
    for (int i = 0; i < NUMBERS; i++)
        assert_true(pg_get_i64(rows, i, 1) == numbers[i]);
    assert_true(pg_is_null(rows, NUMBERS, 1));
    PQclear(rows);
    base_close(store);
}

static void bytes_come_back(void **state)
{
    struct pg_store *store = base_new(url);
    uint8_t bytes[256], back[256];
    PGresult *row;
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(pg_connect(&store->connection), PG_FINE);
    pg_params_reset(&store->params, 1);
    pg_set_bytes(&store->params, 0, bytes, sizeof bytes);
    assert_int_equal(pg_run(&store->connection, "SELECT $1::bytea", &store->params, &row), PG_FINE);
    assert_true(pg_get_bytes(row, 0, 0, back, sizeof back));
    assert_memory_equal(bytes, back, sizeof bytes);
    assert_false(pg_get_bytes(row, 0, 0, back, sizeof back - 1));
    PQclear(row);
    base_close(store);
}

/* More than any buffer holds, both ways at once. */
static void large_pipelines_pass(void **state)
{
    enum { SIZE = 1 << 20, COUNT = 24 };
    struct pg_store *store = base_new(url);
    struct pg_connection *connection = &store->connection;
    char *text = malloc(SIZE);
    memset(text, 'x', SIZE);
    assert_int_equal(pg_connect(connection), PG_FINE);
    pg_params_reset(&store->params, 1);
    pg_set_text(&store->params, 0, (struct span){text, SIZE});
    for (int i = 0; i < COUNT; i++)
        pg_send(connection, "SELECT $1::text", &store->params);
    pg_flush(connection);
    for (int i = 0; i < COUNT; i++) {
        PGresult *row = pg_result(connection);
        assert_int_equal(pg_get_text(row, 0, 0).len, SIZE);
        PQclear(row);
    }
    assert_int_equal(pg_finish(connection), PG_FINE);
    free(text);
    base_close(store);
}

static const char statement[] = "SELECT 41 + $1::bigint";

static void ask(struct pg_store *store)
{
    PGresult *row;
    pg_params_reset(&store->params, 1);
    pg_set_i64(&store->params, 0, 1);
    assert_int_equal(pg_run(&store->connection, statement, &store->params, &row), PG_FINE);
    assert_int_equal(pg_get_i64(row, 0, 0), 42);
    PQclear(row);
}

static void a_failed_pipeline_leaves_nothing(void **state)
{
    struct pg_store *store = base_new(url);
    struct pg_connection *connection = &store->connection;
    assert_int_equal(pg_connect(connection), PG_FINE);
    pg_send(connection, "BEGIN", NULL);
    pg_send_text(connection, "CREATE TABLE one (id bigint PRIMARY KEY)");
    pg_send_text(connection, "INSERT INTO one VALUES (1), (1)");
    pg_params_reset(&store->params, 1);
    pg_set_i64(&store->params, 0, 1);
    pg_send(connection, statement, &store->params); /* not prepared: it is skipped */
    pg_send(connection, "COMMIT", NULL);
    pg_flush(connection);
    pg_skip(connection);
    pg_skip(connection);
    assert_null(pg_result(connection));
    assert_int_equal(connection->failure, PG_TAKEN);
    assert_string_equal(connection->sqlstate, "23505");
    assert_int_equal(pg_finish(connection), PG_TAKEN);
    assert_int_equal(PQtransactionStatus(connection->conn), PQTRANS_IDLE);
    ask(store);
    ask(store);
    assert_int_equal(base_number(url, "SELECT count(*) FROM pg_class WHERE relname = 'one'"), 0);
    base_close(store);
}

static const struct class_row {
    const char *name, *sql;
    enum pg_failure failure;
} class_rows[] = {
    {"a key twice", "INSERT INTO k VALUES (1), (1)", PG_TAKEN},
    {"fenced", "SELECT 1 / count(*) FROM k WHERE id = 9", PG_AGAIN},
    {"a table that is not there", "SELECT 1 FROM nothing", PG_REFUSED},
    {"read-only", "SELECT set_config('transaction_read_only', 'on', false), nextval('s')",
     PG_REFUSED},
    {"terminated", "SELECT pg_terminate_backend(pg_backend_pid())", PG_UNREACHABLE},
    {"too slow", "SELECT pg_sleep(4)", PG_REFUSED},
};

static void failures_are_told_apart(void **state)
{
    const struct class_row *row = *state;
    base_new_database(url);
    base_run(url, "CREATE TABLE k (id bigint PRIMARY KEY)");
    base_run(url, "CREATE SEQUENCE s");
    struct pg_store *store = base_new(url);
    store->connection.timeout_ms = 3000;
    assert_int_equal(pg_connect(&store->connection), PG_FINE);
    assert_int_equal(pg_run_text(&store->connection, row->sql), row->failure);
    assert_true(store->connection.message[0] != '\0');
    assert_int_equal(pg_connect(&store->connection), PG_FINE);
    ask(store);
    base_close(store);
}

static void a_broken_connection_is_made_again(void **state)
{
    struct pg_store *store = base_new(url);
    assert_int_equal(pg_connect(&store->connection), PG_FINE);
    ask(store);
    uint64_t generation = store->connection.generation;
    base_terminate(url, store);
    assert_int_equal(pg_run(&store->connection, "SELECT 1", NULL, NULL), PG_UNREACHABLE);
    assert_int_equal(pg_run(&store->connection, "SELECT 1", NULL, NULL), PG_UNREACHABLE);
    assert_int_equal(pg_connect(&store->connection), PG_FINE);
    assert_true(store->connection.generation > generation);
    ask(store);
    base_close(store);
}

/* A database that says nothing, and does not close either. */
static void waiting_is_bounded(void **state)
{
    struct pg_store *store = base_new(url);
    assert_int_equal(pg_connect(&store->connection), PG_FINE);
    store->connection.timeout_ms = 300;
    int64_t start_ms = clock_mono_ms();
    assert_int_equal(pg_run_text(&store->connection, "SELECT pg_sleep(3)"), PG_UNREACHABLE);
    assert_true(clock_mono_ms() - start_ms < 2500);
    store->connection.timeout_ms = 5000;
    assert_int_equal(pg_connect(&store->connection), PG_FINE);
    base_close(store);
}

static void acknowledged_means_on_disk(void **state)
{
    PGresult *row;
    char sql[128];
    snprintf(sql, sizeof sql, "ALTER DATABASE %s SET synchronous_commit = off",
             strrchr(url, '/') + 1);
    base_run(url, sql);
    struct pg_store *store = base_new(url);
    assert_int_equal(pg_connect(&store->connection), PG_FINE);
    assert_int_equal(pg_run(&store->connection, "SHOW synchronous_commit", NULL, &row), PG_FINE);
    assert_string_equal(PQgetvalue(row, 0, 0), "on");
    PQclear(row);
    base_close(store);
}

static const struct url_row {
    const char *name, *url;
} url_rows[] = {
    {"nobody listens", "postgresql://u:geheim@127.0.0.1:1/db"},
    {"unreadable", "postgresql://u:geheim@[127.0.0.1:1/db"},
    {"an unknown option", "postgresql://u:geheim@127.0.0.1:1/db?geheim=geheim"},
    {"a port that is none", "postgresql://u:x@127.0.0.1:geheim/db"},
    {"a password with an at sign", "postgresql://u:x@geheim@127.0.0.1:1/db"},
    {"not a URL", "password=geheim host"},
};

static void passwords_are_not_told(void **state)
{
    const struct url_row *row = *state;
    struct pg_store *store = base_new(row->url);
    assert_int_equal(pg_connect(&store->connection), PG_UNREACHABLE);
    assert_true(store->connection.message[0] != '\0');
    assert_null(strstr(store->connection.message, "geheim"));
    assert_int_equal(pg_connect(&store->connection), PG_UNREACHABLE); /* too early, at once */
    base_close(store);
}

static void text_with_nul_is_refused(void **state)
{
    struct pg_store *store = base_new(url);
    assert_int_equal(pg_connect(&store->connection), PG_FINE);
    pg_params_reset(&store->params, 1);
    pg_set_text(&store->params, 0, SPAN("a\0b"));
    assert_int_equal(pg_run(&store->connection, "SELECT $1::text", &store->params, NULL),
                     PG_REFUSED);
    base_close(store);
}

static enum err migrate(const char *to, char problem[STORE_PROBLEM_MAX])
{
    struct pg_store *store = base_new(to);
    problem[0] = '\0';
    enum err err = ERR_UNREACHABLE;
    if (pg_connect(&store->connection) == PG_FINE)
        err = pg_migrate(&store->connection, problem);
    else
        snprintf(problem, STORE_PROBLEM_MAX, "%s", store->connection.message);
    base_close(store);
    return err;
}

static void a_schema_is_made_once(void **state)
{
    char problem[STORE_PROBLEM_MAX];
    assert_int_equal(migrate(url, problem), ERR_OK);
    int64_t secrets = base_number(url, "SELECT sum(hashtext(name || value::text)) FROM secret");
    assert_int_equal(base_number(url, "SELECT count(*) FROM secret"), 4);
    assert_int_equal(migrate(url, problem), ERR_OK);
    assert_int_equal(base_number(url, "SELECT count(*) FROM adtally_schema"), migrations_count);
    assert_int_equal(base_number(url, "SELECT sum(hashtext(name || value::text)) FROM secret"),
                     secrets);
}

struct starter {
    pthread_t thread;
    enum err err;
    char problem[STORE_PROBLEM_MAX];
};

static void *start(void *arg)
{
    struct starter *starter = arg;
    starter->err = migrate(url, starter->problem);
    return NULL;
}

static void many_start_at_once(void **state)
{
    enum { STARTERS = 8 };
    struct starter starters[STARTERS];
    for (int i = 0; i < STARTERS; i++)
        assert_int_equal(pthread_create(&starters[i].thread, NULL, start, &starters[i]), 0);
    for (int i = 0; i < STARTERS; i++)
        pthread_join(starters[i].thread, NULL);
    for (int i = 0; i < STARTERS; i++) {
        assert_string_equal(starters[i].problem, "");
        assert_int_equal(starters[i].err, ERR_OK);
    }
    assert_int_equal(base_number(url, "SELECT count(*) FROM adtally_schema"), migrations_count);
    assert_int_equal(base_number(url, "SELECT count(*) FROM secret"), 4);
    assert_int_equal(base_number(url, "SELECT count(*) FROM counter"), 1);
}

static void a_newer_schema_is_refused(void **state)
{
    char problem[STORE_PROBLEM_MAX];
    assert_int_equal(migrate(url, problem), ERR_OK);
    base_run(url, "INSERT INTO adtally_schema VALUES (99, 0)");
    assert_int_equal(migrate(url, problem), ERR_FOREIGN);
    assert_non_null(strstr(problem, "newer adtally (schema 99"));
}

static void tables_of_others_are_left_alone(void **state)
{
    char problem[STORE_PROBLEM_MAX];
    base_run(url, "CREATE TABLE conversion (id bigint)");
    assert_int_equal(migrate(url, problem), ERR_FOREIGN);
    assert_non_null(strstr(problem, "a database of its own"));
    assert_int_equal(base_number(url, "SELECT count(*) FROM adtally_schema"), 0);
    assert_int_equal(base_number(url, "SELECT count(*) FROM pg_class WHERE relname = 'click'"), 0);
}

static void a_user_without_rights_is_told(void **state)
{
    char problem[STORE_PROBLEM_MAX], other[URL_MAX];
    base_run(url,
             "DO $$ BEGIN CREATE ROLE guest LOGIN; EXCEPTION WHEN duplicate_object THEN END $$");
    snprintf(other, sizeof other, "postgresql://guest@%s", strchr(url, '@') + 1);
    assert_int_equal(migrate(other, problem), ERR_REFUSED);
    assert_non_null(strstr(problem, "permission denied for schema public: grant its user"));
}

static void a_read_only_database_is_told(void **state)
{
    char problem[STORE_PROBLEM_MAX], sql[128], any[URL_MAX];
    snprintf(sql, sizeof sql, "ALTER DATABASE %s SET default_transaction_read_only = on",
             strrchr(url, '/') + 1);
    base_run(url, sql);
    assert_int_equal(migrate(url, problem), ERR_UNREACHABLE);
    assert_non_null(strstr(problem, "session is read-only"));
    snprintf(any, sizeof any, "%.400s?target_session_attrs=any", url);
    assert_int_equal(migrate(any, problem), ERR_REFUSED);
    assert_non_null(strstr(problem, "name the primary"));
}

static void add(const char *name, CMUnitTestFunction check)
{
    unit_cases[unit_cases_count++] = (struct CMUnitTest){name, check, new_database, NULL, NULL};
}
#define ADD(check) add(#check, (check))

int main(void)
{
    ADD(texts_come_back);
    ADD(binary_arrays_come_back);
    ADD(bytes_come_back);
    ADD(large_pipelines_pass);
    ADD(a_failed_pipeline_leaves_nothing);
    UNIT_ADD_ROWS(class_rows, failures_are_told_apart);
    ADD(a_broken_connection_is_made_again);
    ADD(waiting_is_bounded);
    ADD(acknowledged_means_on_disk);
    UNIT_ADD_ROWS(url_rows, passwords_are_not_told);
    ADD(text_with_nul_is_refused);
    ADD(a_schema_is_made_once);
    ADD(many_start_at_once);
    ADD(a_newer_schema_is_refused);
    ADD(tables_of_others_are_left_alone);
    ADD(a_user_without_rights_is_told);
    ADD(a_read_only_database_is_told);
    return UNIT_RUN_ADDED("postgres_core");
}
