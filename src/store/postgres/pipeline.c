#include "base/assert.h"
#include "base/clock.h"
#include "store/postgres/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { ANSWER = -1 };

static const char is_lost[] = "the connection to the database is lost";

static bool is_usable(const struct pg_connection *connection)
{
    return connection->conn && !connection->failure;
}

/* Whatever was under way: nobody knows what became of it. */
static void lose(struct pg_connection *connection, const char *message)
{
    pg_note_failure(connection, PG_UNREACHABLE, NULL, *message ? message : is_lost);
    pg_disconnect(connection);
    pg_tell_trouble(connection);
}

static void lose_with_reason(struct pg_connection *connection)
{
    char message[PG_MESSAGE_MAX];
    snprintf(message, sizeof message, "%s", PQerrorMessage(connection->conn));
    lose(connection, message);
}

/* Waits for the socket, `events`; false: not within the time, and the connection is given up. */
static bool wait_socket(struct pg_connection *connection, short events, int64_t until_ms)
{
    for (;;) {
        struct pollfd socket = {PQsocket(connection->conn), events, 0};
        int64_t left_ms = until_ms - clock_mono_ms();
        int ready = poll(&socket, 1, left_ms > 0 ? (int)left_ms : 0);
        if (ready > 0) return true;
        if (ready < 0 && errno == EINTR) continue;
        lose(connection, "the database did not answer in time");
        return false;
    }
}

/* Sends what libpq has kept, and takes what comes meanwhile: the database may not read on before
 * somebody reads its answers. */
static bool push(struct pg_connection *connection, int64_t until_ms)
{
    int left;
    while ((left = PQflush(connection->conn)) > 0) {
        if (!wait_socket(connection, POLLIN | POLLOUT, until_ms)) return false;
        if (!PQconsumeInput(connection->conn)) break;
    }
    if (left == 0) return true;
    lose_with_reason(connection);
    return false;
}

static PGresult *next_result(struct pg_connection *connection)
{
    int64_t until_ms = clock_mono_ms() + connection->timeout_ms;
    while (PQisBusy(connection->conn)) {
        if (!wait_socket(connection, POLLIN, until_ms)) return NULL;
        if (!PQconsumeInput(connection->conn)) {
            lose_with_reason(connection);
            return NULL;
        }
    }
    return PQgetResult(connection->conn);
}

static void begin(struct pg_connection *connection)
{
    if (connection->is_pipeline) return;
    connection->is_pipeline = true;
    connection->is_synced = false;
    connection->failure = PG_FINE;
    connection->sqlstate[0] = connection->message[0] = '\0';
    connection->waiting_at = connection->waiting_count = 0;
    if (!connection->conn) pg_note_failure(connection, PG_UNREACHABLE, NULL, is_lost);
}

static void expect(struct pg_connection *connection, int what)
{
    ASSERT(connection->waiting_count < PG_PIPELINE_MAX && !connection->is_synced);
    connection->waiting[connection->waiting_count++] = (int16_t)what;
}

static struct pg_statement *statement_of(struct pg_connection *connection, const char *sql)
{
    for (int i = 0; i < connection->statements_count; i++)
        if (connection->statements[i].sql == sql) return &connection->statements[i];
    ASSERT(connection->statements_count < PG_STATEMENTS_MAX);
    struct pg_statement *statement = &connection->statements[connection->statements_count++];
    *statement = (struct pg_statement){.sql = sql};
    return statement;
}

static bool prepare(struct pg_connection *connection, struct pg_statement *statement,
                    const char *name)
{
    if (statement->is_ready || statement->is_sent) return true;
    if (!PQsendPrepare(connection->conn, name, statement->sql, 0, NULL)) return false;
    statement->is_sent = true;
    expect(connection, (int)(statement - connection->statements));
    return true;
}

static bool send_prepared(struct pg_connection *connection, const char *sql,
                          const struct pg_params *params)
{
    const char *values[PG_PARAMS_MAX];
    int lengths[PG_PARAMS_MAX], formats[PG_PARAMS_MAX]; /* 1: binary */
    int count = params ? params->count : 0;
    for (int i = 0; i < count; i++) {
        values[i] = params->values[i].is_null ? NULL : params->values[i].text;
        lengths[i] = (int)params->values[i].size;
        formats[i] = params->values[i].is_binary;
    }
    struct pg_statement *statement = statement_of(connection, sql);
    char name[16];
    snprintf(name, sizeof name, "s%d", (int)(statement - connection->statements));
    return prepare(connection, statement, name) &&
           PQsendQueryPrepared(connection->conn, name, count, values, lengths, formats, 0);
}

static void sent(struct pg_connection *connection, bool is_sent)
{
    if (is_sent)
        expect(connection, ANSWER);
    else
        lose_with_reason(connection);
}

/* A statement that is not sent fails all: a part of a transaction must not take place. What was
 * sent before is given up with the connection. */
static void refuse(struct pg_connection *connection, const char *message)
{
    pg_note_failure(connection, PG_REFUSED, "22021", message);
    pg_disconnect(connection);
    pg_tell_trouble(connection);
}

void pg_send(struct pg_connection *connection, const char *sql, const struct pg_params *params)
{
    begin(connection);
    if (!is_usable(connection)) return;
    if (params && params->is_out_of_memory)
        refuse(connection, "out of memory");
    else if (params && params->is_not_text)
        refuse(connection, "a text has a byte of value 0");
    else
        sent(connection, send_prepared(connection, sql, params));
}

void pg_send_text(struct pg_connection *connection, const char *sql)
{
    begin(connection);
    if (!is_usable(connection)) return;
    sent(connection, PQsendQueryParams(connection->conn, sql, 0, NULL, NULL, NULL, NULL, 0));
}

void pg_flush(struct pg_connection *connection)
{
    begin(connection);
    if (!connection->conn || connection->is_synced) return;
    if (!PQpipelineSync(connection->conn)) {
        lose_with_reason(connection);
        return;
    }
    connection->is_synced = true;
    (void)push(connection, clock_mono_ms() + connection->timeout_ms);
}

static const struct {
    const char *sqlstate; /* what it begins with */
    enum pg_failure failure;
} failures[] = {
    {"23505", PG_TAKEN},       {"40003", PG_UNREACHABLE},   {"40", PG_AGAIN},
    {"55P03", PG_AGAIN},       {PG_FENCED_STATE, PG_AGAIN}, {"08", PG_UNREACHABLE},
    {"57P01", PG_UNREACHABLE}, {"57P02", PG_UNREACHABLE},   {"57P03", PG_UNREACHABLE},
    {"", PG_REFUSED},
};

/* Past FATAL the connection is gone, whatever the reason; 40003 says itself that nobody knows. */
static enum pg_failure classify(const char *severity, const char *sqlstate)
{
    if (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
        return PG_UNREACHABLE;
    size_t at = 0;
    while (strncmp(sqlstate, failures[at].sqlstate, strlen(failures[at].sqlstate)) != 0)
        at++;
    return failures[at].failure;
}

static void note_error(struct pg_connection *connection, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!message) message = PQresultErrorMessage(result);
    enum pg_failure failure =
        sqlstate ? classify(severity, sqlstate) : PG_UNREACHABLE; /* libpq's own */
    if (failure == PG_UNREACHABLE && !connection->failure) {
        pg_note_failure(connection, failure, sqlstate, *message ? message : is_lost);
        pg_disconnect(connection);
    }
    pg_note_failure(connection, failure, sqlstate, message);
    pg_tell_trouble(connection);
}

/* Each answer is followed by an end of its own. */
static void take_end(struct pg_connection *connection)
{
    PGresult *end = connection->conn ? next_result(connection) : NULL;
    PQclear(end);
}

static bool is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* The next of what was sent, statements that are prepared included; NULL: it did not happen. */
static PGresult *take(struct pg_connection *connection, int *what)
{
    *what = connection->waiting[connection->waiting_at++];
    PGresult *result = next_result(connection);
    if (!connection->conn) {
        PQclear(result);
        return NULL;
    }
    bool is_done = result && is_good(result);
    if (*what != ANSWER) connection->statements[*what].is_ready = is_done;
    if (*what != ANSWER) connection->statements[*what].is_sent = false;
    if (!result)
        lose(connection, is_lost);
    else if (!is_done && PQresultStatus(result) != PGRES_PIPELINE_ABORTED)
        note_error(connection, result);
    take_end(connection);
    if (is_done) return result;
    PQclear(result);
    return NULL;
}

static bool is_waiting(const struct pg_connection *connection)
{
    return connection->conn && connection->waiting_at < connection->waiting_count;
}

PGresult *pg_result(struct pg_connection *connection)
{
    while (is_usable(connection) && is_waiting(connection)) {
        int what;
        PGresult *result = take(connection, &what);
        if (what == ANSWER) return result;
        PQclear(result);
    }
    return NULL;
}

void pg_skip(struct pg_connection *connection)
{
    PQclear(pg_result(connection));
}

static void take_sync(struct pg_connection *connection)
{
    if (!connection->conn) return;
    PGresult *sync = next_result(connection);
    bool is_sync = sync && PQresultStatus(sync) == PGRES_PIPELINE_SYNC;
    PQclear(sync);
    if (connection->conn && !is_sync) lose(connection, is_lost);
}

static void take_rest(struct pg_connection *connection)
{
    pg_flush(connection);
    while (is_waiting(connection)) {
        int what;
        PQclear(take(connection, &what));
    }
    take_sync(connection);
}

/* After a failure, so that the next pipeline begins without a transaction. What failed stays what
 * it was. */
static void roll_back(struct pg_connection *connection)
{
    if (!connection->conn || PQtransactionStatus(connection->conn) == PQTRANS_IDLE) return;
    connection->waiting_at = connection->waiting_count = 0;
    connection->is_synced = false;
    enum pg_failure failure = connection->failure;
    connection->failure = PG_FINE;
    pg_send_text(connection, "ROLLBACK");
    if (!connection->failure) take_rest(connection);
    if (connection->failure) pg_disconnect(connection);
    connection->failure = failure;
}

enum pg_failure pg_finish(struct pg_connection *connection)
{
    ASSERT(connection->is_pipeline);
    if (connection->conn) take_rest(connection);
    if (connection->failure) roll_back(connection);
    /* Another host of the URL may be the primary now. */
    if (strcmp(connection->sqlstate, "25006") == 0) pg_disconnect(connection);
    connection->is_pipeline = false;
    return connection->failure;
}

static enum pg_failure run(struct pg_connection *connection, PGresult **result)
{
    pg_flush(connection);
    PGresult *answer = pg_result(connection);
    enum pg_failure failure = pg_finish(connection);
    if (result && !failure) {
        *result = answer;
        return failure;
    }
    PQclear(answer);
    if (result) *result = NULL;
    return failure;
}

enum pg_failure pg_run(struct pg_connection *connection, const char *sql,
                       const struct pg_params *params, PGresult **result)
{
    pg_send(connection, sql, params);
    return run(connection, result);
}

enum pg_failure pg_run_text(struct pg_connection *connection, const char *sql)
{
    pg_send_text(connection, sql);
    return run(connection, NULL);
}

enum pg_failure pg_ask(struct pg_connection *connection, const char *sql, char *out, size_t size)
{
    pg_send_text(connection, sql);
    PGresult *row;
    enum pg_failure failure = run(connection, &row);
    if (failure) return failure;
    snprintf(out, size, "%s", PQntuples(row) > 0 ? PQgetvalue(row, 0, 0) : "");
    PQclear(row);
    return PG_FINE;
}
