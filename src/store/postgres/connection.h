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
    PG_AGAIN,       /* 40001, 40P01, 55P03, PG_FENCED_STATE: done again as well */
    PG_UNREACHABLE, /* the connection is gone: whether a COMMIT stands is to be found out */
    PG_REFUSED,     /* read-only, no rights, no space, another schema: said, tried again later */
};

/* Division by zero, by which a statement refuses to go on: lane.c. */
#define PG_FENCED_STATE "22012"

enum { PG_STATEMENTS_MAX = 128, PG_PIPELINE_MAX = 128, PG_MESSAGE_MAX = 256 };

struct pg_connection {
    PGconn *conn; /* NULL: not connected */
    const char *url;
    int64_t timeout_ms;
    int64_t backoff_ms, retry_at_ms; /* monotonic: no attempt before */
    int slow_connects;               /* in a row: those that took all of their time */
    uint64_t generation;             /* counts connects: what a lost one left open is not this's */
    enum pg_failure failure;         /* the first of the pipeline under way, or of the last one */
    char sqlstate[6];
    char message[PG_MESSAGE_MAX]; /* the server's, one line, without secrets */
    bool is_quiet;                /* trouble is told by who called, not by the log */
    bool is_trouble_told;         /* logged; not yet that it is over */
    char told_sqlstate[6];
    int64_t told_at_ms;

    struct pg_statement {
        const char *sql; /* its text is its name */
        bool is_sent, is_ready;
    } statements[PG_STATEMENTS_MAX];
    int statements_count;

    /* The pipeline under way: what answers are still to come, in order. */
    int16_t waiting[PG_PIPELINE_MAX]; /* of preparing statements[this], -1: of a query */
    int waiting_at, waiting_count;
    bool is_pipeline; /* sent to, not finished */
    bool is_synced;   /* pg_flush was called */
};

/* Connects unless it is connected, or too early to try again: PG_UNREACHABLE. Turns what libpq
 * would print into `message`. */
enum pg_failure pg_connect(struct pg_connection *connection);
void pg_disconnect(struct pg_connection *connection);

/* A statement of a pipeline: sent now, answered by the pg_result of the same turn. Statements are
 * prepared by their text (a static one) the first time a connection sends it. `params` may be NULL
 * for a statement without. */
void pg_send(struct pg_connection *connection, const char *sql, const struct pg_params *params);

/* The same for a text that is made for this one time: not prepared, without parameters. */
void pg_send_text(struct pg_connection *connection, const char *sql);

/* Ends the pipeline: everything sent is on its way, pg_result gives the answers in order. */
void pg_flush(struct pg_connection *connection);

/* The next answer, NULL once something failed (connection->failure says what). Freed by the
 * caller. */
PGresult *pg_result(struct pg_connection *connection);

/* The same for an answer that nobody reads. */
void pg_skip(struct pg_connection *connection);

/* Takes the end of the pipeline, and answers that nobody asked for; what it was in all. After a
 * failure no transaction is open any more: it is rolled back. */
enum pg_failure pg_finish(struct pg_connection *connection);

/* One statement, one round trip. *result may be NULL for who needs none; it is NULL after a
 * failure. */
enum pg_failure pg_run(struct pg_connection *connection, const char *sql,
                       const struct pg_params *params, PGresult **result);
enum pg_failure pg_run_text(struct pg_connection *connection, const char *sql);

/* The first column of the first row, as text; empty: there is none. */
enum pg_failure pg_ask(struct pg_connection *connection, const char *sql, char *out, size_t size);

/* What the two files of this module share. Only the first failure of a pipeline is kept. */
void pg_note_failure(struct pg_connection *connection, enum pg_failure failure,
                     const char *sqlstate, const char *message);
void pg_tell_trouble(struct pg_connection *connection); /* once, to the log */

enum err pg_err(enum pg_failure failure);

/* What an operator does about the last failure, as err_advice. */
const char *pg_advice(const struct pg_connection *connection);
