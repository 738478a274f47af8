#include "base/assert.h"
#include "base/secret.h"
#include "store/sqlite/secrets.h"
#include "store/sqlite/sqlite.h"

#include <string.h>

static enum err create_key(struct sqlite_store *store, struct op *op)
{
    const struct api_key *key = &op->key;
    struct db_binder row = db_row(store->statements[SQL_INSERT_KEY], SPAN("api_key"));
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
    db_bind_checksum(&row);
    int code = sqlite3_step(row.statement);
    sqlite3_reset(row.statement);
    op->outcome = code == SQLITE_DONE ? OUTCOME_RECORDED : OUTCOME_CONFLICT;
    store->totals.rows[TOTAL_API_KEY] += code == SQLITE_DONE;
    return code == SQLITE_DONE || (code & 0xff) == SQLITE_CONSTRAINT ? ERR_OK : db_err(code);
}

static enum err revoke_key(struct sqlite_store *store, struct op *op)
{
    struct db_binder row = {store->statements[SQL_REVOKE_KEY], 1, 0};
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
    if (!err) *store->secrets = *secrets;
    return ERR_OK;
}

static enum err add_token_key(struct sqlite_store *store, struct op *op, struct secrets *changed)
{
    op->outcome = OUTCOME_LIMITED;
    if (changed->token_keys_count == TOKEN_KEYS_MAX) return ERR_OK;
    changed->token_keys[changed->token_keys_count++] = op->token_key;
    return replace_secrets(store, op, changed);
}

static enum err remove_token_key(struct sqlite_store *store, struct op *op, struct secrets *changed)
{
    uint32_t at = 0;
    while (at < changed->token_keys_count &&
           memcmp(changed->token_keys[at].kid, op->token_key.kid, TOKEN_KID_LEN) != 0)
        at++;
    op->outcome = at == changed->token_keys_count ? OUTCOME_NOT_FOUND : OUTCOME_CONFLICT;
    if (at + 1 >= changed->token_keys_count) return ERR_OK; /* unknown, or the one that mints */
    memmove(&changed->token_keys[at], &changed->token_keys[at + 1],
            (changed->token_keys_count - at - 1) * sizeof changed->token_keys[0]);
    changed->token_keys_count--;
    return replace_secrets(store, op, changed);
}

static enum err change_token_keys(struct sqlite_store *store, struct op *op,
                                  enum err (*change)(struct sqlite_store *store, struct op *op,
                                                     struct secrets *changed))
{
    struct secrets *changed = secret_new(sizeof *changed);
    op->outcome = OUTCOME_UNAVAILABLE;
    if (!changed) return ERR_OK;
    *changed = *store->secrets;
    enum err err = change(store, op, changed);
    secret_free(changed, sizeof *changed);
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
        if (ops[i]->kind == OP_TOKEN_KEY_ROTATE)
            err = change_token_keys(store, ops[i], add_token_key);
        if (ops[i]->kind == OP_TOKEN_KEY_RETIRE)
            err = change_token_keys(store, ops[i], remove_token_key);
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
    int64_t keys = 0;
    int code = SQLITE_DONE;
    for (; !err && (code = sqlite3_step(row)) == SQLITE_ROW; keys++) {
        struct api_key key;
        if (db_is_whole(row, 0, SPAN("api_key")) && read_key(row, &key))
            on_key(&key, arg);
        else
            err = report_corrupt_row(SPAN("api_key"), 0);
    }
    if (!err && code != SQLITE_DONE) err = db_last_err(store->db);
    sqlite3_finalize(row);
    return err ? err : totals_expect(store, TOTAL_API_KEY, keys);
}
