#include "base/assert.h"
#include "store/sqlite/secrets.h"
#include "store/sqlite/sqlite.h"

#include <string.h>

static enum err create_key(struct sqlite_store *store, struct op *op)
{
    const struct api_key *key = &op->key;
    struct db_binder row = {store->statements[SQL_INSERT_KEY], 1};
    db_bind_text(&row, key->id);
    db_bind_text(&row, apikey_class_name(key->cls));
    db_bind_text(&row, key->label);
    db_bind_text(&row, key->partner_id);
    db_bind_text(&row, key->publisher_id);
    db_bind_text(&row, key->advertiser_id);
    db_bind_text(&row, key->tag_id);
    db_bind_blob(&row, key->hash, sizeof key->hash);
    db_bind_i64(&row, key->created_at_ms);
    db_bind_time(&row, key->expires_at_ms);
    db_bind_time(&row, key->revoked_at_ms);
    int code = sqlite3_step(row.statement);
    sqlite3_reset(row.statement);
    op->outcome = code == SQLITE_DONE ? OUTCOME_RECORDED : OUTCOME_CONFLICT;
    return code == SQLITE_DONE || (code & 0xff) == SQLITE_CONSTRAINT ? ERR_OK : db_err(code);
}

static enum err revoke_key(struct sqlite_store *store, struct op *op)
{
    struct db_binder row = {store->statements[SQL_REVOKE_KEY], 1};
    db_bind_i64(&row, op->received_at_ms);
    db_bind_text(&row, op->key_id);
    enum err err = db_run(row.statement);
    op->outcome = sqlite3_changes(store->db) ? OUTCOME_RECORDED : OUTCOME_NOT_FOUND;
    return err;
}

/* Token keys live in a file of their own, durable once secrets_write returned. */
static enum err replace_secrets(struct sqlite_store *store, struct op *op,
                                const struct secrets *secrets)
{
    enum err err = secrets_write(secrets, store->dir.fd);
    if (err == ERR_SYNC_FAILED) return err;
    op->outcome = err ? OUTCOME_UNAVAILABLE : OUTCOME_RECORDED;
    if (!err) store->secrets = *secrets;
    return ERR_OK;
}

static enum err rotate_token_key(struct sqlite_store *store, struct op *op)
{
    struct secrets secrets = store->secrets;
    op->outcome = OUTCOME_LIMITED;
    if (secrets.token_keys_count == TOKEN_KEYS_MAX) return ERR_OK;
    secrets.token_keys[secrets.token_keys_count++] = op->token_key;
    enum err err = replace_secrets(store, op, &secrets);
    hash_wipe(&secrets, sizeof secrets);
    return err;
}

static enum err retire_token_key(struct sqlite_store *store, struct op *op)
{
    struct secrets secrets = store->secrets;
    uint32_t at = 0;
    while (at < secrets.token_keys_count &&
           memcmp(secrets.token_keys[at].kid, op->token_key.kid, TOKEN_KID_LEN) != 0)
        at++;
    op->outcome = at == secrets.token_keys_count ? OUTCOME_NOT_FOUND : OUTCOME_CONFLICT;
    if (at + 1 >= secrets.token_keys_count) return ERR_OK; /* unknown, or the one that mints */
    memmove(&secrets.token_keys[at], &secrets.token_keys[at + 1],
            (secrets.token_keys_count - at - 1) * sizeof secrets.token_keys[0]);
    secrets.token_keys_count--;
    enum err err = replace_secrets(store, op, &secrets);
    hash_wipe(&secrets, sizeof secrets);
    return err;
}

enum err keys_apply(struct sqlite_store *store, struct op *op)
{
    switch (op->kind) {
    case OP_KEY_CREATE:
        return create_key(store, op);
    case OP_KEY_REVOKE:
        return revoke_key(store, op);
    default:
        ASSERT(op->kind == OP_TOKEN_KEY_ROTATE || op->kind == OP_TOKEN_KEY_RETIRE);
        return ERR_OK; /* token_keys_apply */
    }
}

enum err token_keys_apply(struct sqlite_store *store, struct op *const ops[], size_t count)
{
    enum err err = ERR_OK;
    for (size_t i = 0; i < count && !err; i++) {
        if (ops[i]->kind == OP_TOKEN_KEY_ROTATE) err = rotate_token_key(store, ops[i]);
        if (ops[i]->kind == OP_TOKEN_KEY_RETIRE) err = retire_token_key(store, ops[i]);
    }
    return err;
}

static bool read_key(sqlite3_stmt *row, struct api_key *key)
{
    *key = (struct api_key){
        .id = db_column_text(row, 0),
        .label = db_column_text(row, 2),
        .partner_id = db_column_text(row, 3),
        .publisher_id = db_column_text(row, 4),
        .advertiser_id = db_column_text(row, 5),
        .tag_id = db_column_text(row, 6),
        .created_at_ms = sqlite3_column_int64(row, 8),
        .expires_at_ms = sqlite3_column_int64(row, 9),
        .revoked_at_ms = sqlite3_column_int64(row, 10),
    };
    const void *hash = sqlite3_column_blob(row, 7);
    if (!hash || sqlite3_column_bytes(row, 7) != HASH_SIZE) return false;
    memcpy(key->hash, hash, HASH_SIZE);
    return apikey_class_of(db_column_text(row, 1), &key->cls);
}

enum err sqlite_each_key(struct store *base, store_on_key *on_key, void *arg)
{
    struct sqlite_store *store = sqlite_of(base);
    sqlite3_stmt *row = NULL;
    enum err err = db_prepare(store->db, &row, "SELECT * FROM api_key ORDER BY created_at_ms, id");
    if (err) return err;
    int code;
    while ((code = sqlite3_step(row)) == SQLITE_ROW) {
        struct api_key key;
        if (!read_key(row, &key)) {
            sqlite3_finalize(row);
            return ERR_CORRUPT;
        }
        on_key(&key, arg);
    }
    err = code == SQLITE_DONE ? ERR_OK : db_last_err(store->db);
    sqlite3_finalize(row);
    return err;
}
