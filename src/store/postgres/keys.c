#include "base/assert.h"
#include "store/postgres/pg.h"
#include "store/postgres/result.h"

static void set_time(struct pg_params *params, int at, int64_t time_ms)
{
    if (time_ms)
        pg_set_i64(params, at, time_ms);
    else
        pg_set_null(params, at);
}

static void set_key(struct pg_params *params, const struct api_key *key)
{
    pg_params_reset(params, 11);
    pg_set_text(params, 0, key->id);
    pg_set_text(params, 1, apikey_class_name(key->cls));
    pg_set_text(params, 2, key->label);
    pg_set_text(params, 3, key->partner_id);
    pg_set_text(params, 4, key->publisher_id);
    pg_set_text(params, 5, key->advertiser_id);
    pg_set_text(params, 6, key->tag_id);
    pg_set_bytes(params, 7, key->hash, sizeof key->hash);
    pg_set_i64(params, 8, key->created_at_ms);
    set_time(params, 9, key->expires_at_ms);
    set_time(params, 10, key->revoked_at_ms);
}

/* A key with this id or this secret exists: nothing that trying again would change. */
static enum pg_failure create_key(struct pg_store *store, struct op *op)
{
    static const char sql[] =
        "INSERT INTO api_key (id, class, label, partner_id, publisher_id, advertiser_id, tag_id,"
        " hash, created_at_ms, expires_at_ms, revoked_at_ms)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8::bytea, $9, $10, $11)";
    int64_t changed;
    set_key(&store->own_params, &op->key);
    enum pg_failure failure = pg_change(store, sql, &changed);
    if (!failure) op->outcome = OUTCOME_RECORDED;
    if (failure == PG_TAKEN) op->outcome = OUTCOME_CONFLICT;
    return failure == PG_TAKEN ? PG_FINE : failure;
}

static enum pg_failure revoke_key(struct pg_store *store, struct op *op)
{
    static const char sql[] = "UPDATE api_key SET revoked_at_ms ="
                              " coalesce(revoked_at_ms, $1::bigint) WHERE id = $2";
    int64_t changed;
    pg_params_reset(&store->own_params, 2);
    pg_set_i64(&store->own_params, 0, op->received_at_ms);
    pg_set_text(&store->own_params, 1, op->key_id);
    enum pg_failure failure = pg_change(store, sql, &changed);
    if (!failure) op->outcome = changed ? OUTCOME_RECORDED : OUTCOME_NOT_FOUND;
    return failure;
}

enum pg_failure pg_keys_apply(struct pg_store *store, struct op *op)
{
    ASSERT(op->kind == OP_KEY_CREATE || op->kind == OP_KEY_REVOKE);
    op->outcome = OUTCOME_UNAVAILABLE;
    return op->kind == OP_KEY_CREATE ? create_key(store, op) : revoke_key(store, op);
}

static bool read_key(const PGresult *rows, int row, struct api_key *key)
{
    *key = (struct api_key){
        .id = pg_get_text(rows, row, 0),
        .label = pg_get_text(rows, row, 2),
        .partner_id = pg_get_text(rows, row, 3),
        .publisher_id = pg_get_text(rows, row, 4),
        .advertiser_id = pg_get_text(rows, row, 5),
        .tag_id = pg_get_text(rows, row, 6),
        .created_at_ms = pg_get_i64(rows, row, 8),
        .expires_at_ms = pg_get_i64(rows, row, 9),
        .revoked_at_ms = pg_get_i64(rows, row, 10),
    };
    return pg_get_bytes(rows, row, 7, key->hash, sizeof key->hash) &&
           apikey_class_of(pg_get_text(rows, row, 1), &key->cls);
}

enum err pg_each_key(struct store *base, store_on_key *on_key, void *arg)
{
    static const char sql[] =
        "SELECT id, class, label, partner_id, publisher_id, advertiser_id, tag_id, hash,"
        " created_at_ms, expires_at_ms, revoked_at_ms FROM api_key ORDER BY created_at_ms, id";
    struct pg_store *store = pg_of(base);
    PGresult *rows;
    enum pg_failure failure = pg_connect(&store->connection);
    if (!failure) failure = pg_run(&store->connection, sql, NULL, &rows);
    if (failure) return pg_err(failure);
    enum err err = ERR_OK;
    for (int row = 0; row < pg_rows(rows) && !err; row++) {
        struct api_key key;
        if (read_key(rows, row, &key))
            on_key(&key, arg);
        else
            err = ERR_CORRUPT_ROW;
    }
    PQclear(rows);
    return err;
}
