#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "store/postgres/pg.h"
#include "store/postgres/result.h"

#include <stdio.h>
#include <string.h>

/* Key material as rows, so that all nodes have the same. A token key's name has its kid. */

#define TOKEN_PREFIX "token:"
enum { PREFIX_LEN = sizeof TOKEN_PREFIX - 1, NAME_SIZE = PREFIX_LEN + TOKEN_KID_LEN };

static struct span token_name(char name[NAME_SIZE], const struct token_key *key)
{
    memcpy(name, TOKEN_PREFIX, PREFIX_LEN);
    memcpy(name + PREFIX_LEN, key->kid, TOKEN_KID_LEN);
    return (struct span){name, NAME_SIZE};
}

struct part {
    struct span name;
    void *bytes;
    size_t size;
};

enum { PARTS = 3 };

static void list_parts(struct part parts[PARTS], struct secrets *secrets)
{
    parts[0] = (struct part){SPAN("pepper"), secrets->pepper, sizeof secrets->pepper};
    parts[1] = (struct part){SPAN("receipt"), secrets->receipt_key, sizeof secrets->receipt_key};
    parts[2] = (struct part){SPAN("click_signing"), secrets->click_signing_key,
                             sizeof secrets->click_signing_key};
}

static void set_row(struct pg_params *params, struct span name, const void *bytes, size_t size,
                    int64_t created_at_ms)
{
    pg_params_reset(params, 3);
    pg_set_text(params, 0, name);
    pg_set_bytes(params, 1, bytes, size);
    pg_set_i64(params, 2, created_at_ms);
}

static void wipe(struct pg_params *params)
{
    for (int i = 0; i < PG_PARAMS_MAX; i++)
        if (params->values[i].text) explicit_bzero(params->values[i].text, params->values[i].cap);
}

static const char insert_sql[] =
    "INSERT INTO secret (name, value, created_at_ms) VALUES ($1, $2::bytea, $3)";

void pg_secrets_send(struct pg_connection *connection, struct secrets *secrets)
{
    struct pg_params params = {.count = 0};
    struct part parts[PARTS];
    char name[NAME_SIZE];
    list_parts(parts, secrets);
    for (int i = 0; i < PARTS; i++) {
        set_row(&params, parts[i].name, parts[i].bytes, parts[i].size,
                secrets->token_keys[0].created_at_ms);
        pg_send(connection, insert_sql, &params);
    }
    for (uint32_t i = 0; i < secrets->token_keys_count; i++) {
        const struct token_key *key = &secrets->token_keys[i];
        set_row(&params, token_name(name, key), key->key.bytes, sizeof key->key.bytes,
                key->created_at_ms);
        pg_send(connection, insert_sql, &params);
    }
    wipe(&params);
    pg_params_fini(&params);
}

void pg_secrets_send_new(struct pg_connection *connection)
{
    struct secrets *secrets = secret_new(sizeof *secrets);
    int64_t now_ms = clock_wall_ms();
    if (!secrets) {
        pg_note_failure(connection, PG_REFUSED, "53200", "out of memory");
        pg_disconnect(connection); /* without them no schema */
        return;
    }
    secrets_generate(secrets, now_ms);
    pg_secrets_send(connection, secrets);
    secret_free(secrets, sizeof *secrets);
}

static bool read_token_key(const PGresult *rows, int row, struct secrets *secrets)
{
    struct span name = pg_get_text(rows, row, 0);
    if (secrets->token_keys_count == TOKEN_KEYS_MAX || name.len != NAME_SIZE) return false;
    struct token_key *key = &secrets->token_keys[secrets->token_keys_count++];
    memcpy(key->kid, name.ptr + PREFIX_LEN, TOKEN_KID_LEN);
    key->created_at_ms = pg_get_i64(rows, row, 2);
    return pg_get_bytes(rows, row, 1, key->key.bytes, sizeof key->key.bytes);
}

static bool read_part(const PGresult *rows, int row, struct secrets *secrets, unsigned *seen)
{
    struct part parts[PARTS];
    list_parts(parts, secrets);
    for (unsigned i = 0; i < PARTS; i++) {
        if (!span_eq(parts[i].name, pg_get_text(rows, row, 0))) continue;
        *seen |= 1U << i;
        return pg_get_bytes(rows, row, 1, parts[i].bytes, parts[i].size);
    }
    return true; /* of a later version */
}

static bool read_all(const PGresult *rows, struct secrets *secrets)
{
    unsigned seen = 0;
    bool is_whole = true;
    for (int row = 0; row < pg_rows(rows) && is_whole; row++) {
        bool is_token = span_starts_with(pg_get_text(rows, row, 0), SPAN(TOKEN_PREFIX));
        is_whole =
            is_token ? read_token_key(rows, row, secrets) : read_part(rows, row, secrets, &seen);
    }
    return is_whole && seen == (1U << PARTS) - 1 && secrets->token_keys_count > 0;
}

/* As a whole or not at all: one that is changed would refuse what was made with the right one. */
static enum pg_failure take_all(const PGresult *rows, struct secrets *secrets)
{
    struct secrets *read = secret_new(sizeof *read);
    bool is_whole = read && read_all(rows, read);
    if (is_whole) *secrets = *read;
    secret_free(read, sizeof *read);
    if (!is_whole)
        log_event_bounded(LOG_ERROR, "secrets_damaged",
                          LOG_TEXT("advice", SPAN("restore the table `secret` from a backup of the "
                                                  "database")));
    return is_whole ? PG_FINE : PG_REFUSED;
}

enum pg_failure pg_secrets_read(struct pg_connection *connection, struct secrets *secrets)
{
    PGresult *rows;
    enum pg_failure failure = pg_run(
        connection, "SELECT name, value, created_at_ms FROM secret ORDER BY created_at_ms, name",
        NULL, &rows);
    if (failure) return failure;
    failure = take_all(rows, secrets);
    PQclear(rows);
    return failure;
}

enum pg_failure pg_secrets_load(struct pg_store *store)
{
    return pg_secrets_read(&store->connection, store->secrets);
}

/* Behind the row of `change`, so that what is counted here stays so until the COMMIT. */
static void send_begin(struct pg_connection *connection)
{
    pg_send(connection, "BEGIN", NULL);
    pg_send(connection, PG_COUNT_CHANGE, NULL);
}

static enum pg_failure rotate(struct pg_store *store, struct op *op)
{
    static const char sql[] =
        "INSERT INTO secret (name, value, created_at_ms) SELECT $1::text, $2::bytea, $3::bigint"
        " WHERE (SELECT count(*) FROM secret WHERE name LIKE 'token:%') < $4::bigint";
    struct pg_connection *connection = &store->connection;
    struct pg_params *params = &store->own_params;
    char name[NAME_SIZE];
    pg_params_reset(params, 4);
    pg_set_text(params, 0, token_name(name, &op->token_key));
    pg_set_bytes(params, 1, op->token_key.key.bytes, sizeof op->token_key.key.bytes);
    pg_set_i64(params, 2, op->token_key.created_at_ms);
    pg_set_i64(params, 3, TOKEN_KEYS_MAX);
    send_begin(connection);
    pg_send(connection, sql, params);
    pg_send(connection, "COMMIT", NULL);
    wipe(params);
    pg_flush(connection);
    pg_skip(connection);
    pg_skip(connection);
    PGresult *inserted = pg_result(connection);
    enum pg_failure failure = pg_finish(connection);
    if (!failure) op->outcome = pg_changed(inserted) ? OUTCOME_RECORDED : OUTCOME_LIMITED;
    PQclear(inserted);
    return failure;
}

/* Not the newest one: it mints. */
static enum pg_failure retire(struct pg_store *store, struct op *op)
{
    static const char find[] = "SELECT count(*) FROM secret WHERE name = $1";
    static const char sql[] =
        "DELETE FROM secret WHERE name = $1 AND EXISTS (SELECT 1 FROM secret AS newer"
        " WHERE newer.name LIKE 'token:%' AND (newer.created_at_ms > secret.created_at_ms OR"
        " (newer.created_at_ms = secret.created_at_ms AND newer.name > secret.name)))";
    struct pg_connection *connection = &store->connection;
    char name[NAME_SIZE];
    pg_params_reset(&store->own_params, 1);
    pg_set_text(&store->own_params, 0, token_name(name, &op->token_key));
    send_begin(connection);
    pg_send(connection, find, &store->own_params);
    pg_send(connection, sql, &store->own_params);
    pg_send(connection, "COMMIT", NULL);
    pg_flush(connection);
    pg_skip(connection);
    pg_skip(connection);
    PGresult *found = pg_result(connection), *deleted = pg_result(connection);
    enum pg_failure failure = pg_finish(connection);
    if (!failure)
        op->outcome = pg_changed(deleted)            ? OUTCOME_RECORDED
                      : pg_get_i64(found, 0, 0) == 0 ? OUTCOME_NOT_FOUND
                                                     : OUTCOME_CONFLICT;
    PQclear(found);
    PQclear(deleted);
    return failure;
}

/* Whoever asked sees it in this node's copy when it is answered. */
enum pg_failure pg_token_keys_apply(struct pg_store *store, struct op *op)
{
    op->outcome = OUTCOME_UNAVAILABLE;
    enum pg_failure failure =
        op->kind == OP_TOKEN_KEY_ROTATE ? rotate(store, op) : retire(store, op);
    if (failure || op->outcome != OUTCOME_RECORDED) return failure;
    if (pg_secrets_load(store)) store->is_stale = true;
    return PG_FINE;
}
