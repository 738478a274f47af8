#pragma once

#include "base/err.h"
#include "base/span.h"
#include "store/postgres/params.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

/* A connection to the database, and pipelines over it: what is sent waits until pg_flush, so that a
 * batch costs as few round trips as it has flushes. Blocks for at most `timeout_ms` at a time. */

/* What went wrong, as far as it decides what is done next. */
enum pg_failure {
    PG_FINE,
    PG_TAKEN,       /* 23505: somebody else has the key: the batch is done again */
    PG_AGAIN,       /* 40001, 40P01: done again as well */
    PG_UNREACHABLE, /* the connection is gone: whether a COMMIT stands is to be found out */
    PG_REFUSED,     /* read-only, no rights, no space, another schema: said, tried again later */
};

struct pg_connection {
    PGconn *conn; /* NULL: not connected */
    const char *url;
    int64_t timeout_ms;
    int64_t backoff_ms, retry_at_ms; /* monotonic: no attempt before */
    enum pg_failure failure;         /* the first of the pipeline under way */
    char sqlstate[6];
    char message[256]; /* the server's, one line, without secrets */
};

/* Connects unless it is too early to try again: PG_UNREACHABLE. Turns what libpq would print into
 * `message`. */
enum pg_failure pg_connect(struct pg_connection *connection);
void pg_disconnect(struct pg_connection *connection);

/* A statement of a pipeline: sent now, answered by the pg_result of the same turn. Statements are
 * prepared by their text (a static one) the first time a connection sends it. */
void pg_send(struct pg_connection *connection, const char *sql, const struct pg_params *params);

/* Ends the pipeline: everything sent is on its way, pg_result gives the answers in order. */
void pg_flush(struct pg_connection *connection);

/* The next answer, NULL once something failed (connection->failure says what). Freed by the
 * caller. */
PGresult *pg_result(struct pg_connection *connection);

/* Takes the end of the pipeline; what it was in all. */
enum pg_failure pg_finish(struct pg_connection *connection);

/* One statement, one round trip. *result may be NULL for who needs none. */
enum pg_failure pg_run(struct pg_connection *connection, const char *sql,
                       const struct pg_params *params, PGresult **result);

enum err pg_err(enum pg_failure failure);
