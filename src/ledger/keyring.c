#include "ledger/keyring.h"

#include "base/assert.h"
#include "base/secret.h"
#include "ledger/metrics_use.h"

#include <pthread.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Entries are made once and never moved or freed before the keyring: what keyring_find returns
 * stays valid while a request uses it. Only revoked_at_ms of an entry changes, under the lock, and
 * its use, which has a cache line of its own: all loops write it, and read what stands beside it.
 */
enum { CACHE_LINE = 64 };

struct entry {
    alignas(CACHE_LINE) struct use_metrics use;
    alignas(CACHE_LINE) struct api_key key;
    struct entry *next_in_bucket, *next;
    char text[]; /* what the key's spans point at */
};

enum { BUCKETS = 1024 };

/* In locked memory. All but the token keys is filled in once, then read without the lock. */
struct kept {
    struct secrets secrets;
    struct hash_hmac_key click_hmac_key; /* of secrets.click_signing_key */
};

struct keyring {
    pthread_rwlock_t lock;
    struct entry *buckets[BUCKETS];
    struct entry *first, **last; /* in the store's order */
    struct kept *kept;
    bool is_loaded;
    bool out_of_memory; /* while loading */
};

struct keyring *keyring_new(void)
{
    struct keyring *keyring = calloc(1, sizeof *keyring);
    if (!keyring) return NULL;
    keyring->kept = secret_new(sizeof *keyring->kept);
    if (!keyring->kept) {
        free(keyring);
        return NULL;
    }
    keyring->last = &keyring->first;
    pthread_rwlock_init(&keyring->lock, NULL);
    return keyring;
}

void keyring_free(struct keyring *keyring)
{
    if (!keyring) return;
    for (struct entry *entry = keyring->first, *next; entry; entry = next) {
        next = entry->next;
        free(entry);
    }
    pthread_rwlock_destroy(&keyring->lock);
    secret_free(keyring->kept, sizeof *keyring->kept);
    free(keyring);
}

/* The hash is keyed with the pepper: its bytes are spread evenly and nobody can choose them. */
static size_t bucket_of(const uint8_t hash[HASH_SIZE])
{
    return ((size_t)hash[0] << 8 | hash[1]) % BUCKETS;
}

static struct entry *find(struct keyring *keyring, const uint8_t hash[HASH_SIZE])
{
    struct entry *entry = keyring->buckets[bucket_of(hash)];
    while (entry && !hash_equal(entry->key.hash, hash, HASH_SIZE))
        entry = entry->next_in_bucket;
    return entry;
}

static struct span keep(char **at, struct span text)
{
    if (!text.ptr) return SPAN_NONE;
    memcpy(*at, text.ptr, text.len);
    struct span kept = {*at, text.len};
    *at += text.len;
    return kept;
}

static struct entry *new_entry(const struct api_key *key)
{
    size_t size = key->id.len + key->label.len + key->partner_id.len + key->publisher_id.len +
                  key->advertiser_id.len + key->tag_id.len;
    void *memory;
    if (posix_memalign(&memory, CACHE_LINE, sizeof(struct entry) + size)) return NULL;
    struct entry *entry = memory;
    char *at = entry->text;
    *entry = (struct entry){.key = *key};
    entry->key.id = keep(&at, key->id);
    entry->key.label = keep(&at, key->label);
    entry->key.partner_id = keep(&at, key->partner_id);
    entry->key.publisher_id = keep(&at, key->publisher_id);
    entry->key.advertiser_id = keep(&at, key->advertiser_id);
    entry->key.tag_id = keep(&at, key->tag_id);
    return entry;
}

static void take_key(const struct api_key *key, void *arg)
{
    struct keyring *keyring = arg;
    struct entry *entry = find(keyring, key->hash);
    if (entry) {
        entry->key.revoked_at_ms = key->revoked_at_ms;
        return;
    }
    entry = new_entry(key);
    if (!entry) {
        keyring->out_of_memory = true;
        return;
    }
    entry->next_in_bucket = keyring->buckets[bucket_of(key->hash)];
    keyring->buckets[bucket_of(key->hash)] = entry;
    *keyring->last = entry;
    keyring->last = &entry->next;
}

void keyring_revoke(struct keyring *keyring, struct span id, int64_t at_ms)
{
    pthread_rwlock_wrlock(&keyring->lock);
    for (struct entry *entry = keyring->first; entry; entry = entry->next)
        if (span_eq(entry->key.id, id) && !entry->key.revoked_at_ms)
            entry->key.revoked_at_ms = at_ms;
    pthread_rwlock_unlock(&keyring->lock);
}

static void take_secrets(struct keyring *keyring, const struct secrets *secrets)
{
    struct kept *kept = keyring->kept;
    if (!keyring->is_loaded) {
        kept->secrets = *secrets;
        hash_hmac_prepare(&kept->click_hmac_key, keyring_click_signing_key(keyring));
        keyring->is_loaded = true;
        return;
    }
    memcpy(kept->secrets.token_keys, secrets->token_keys, sizeof secrets->token_keys);
    kept->secrets.token_keys_count = secrets->token_keys_count;
}

enum err keyring_load(struct keyring *keyring, struct store *store)
{
    pthread_rwlock_wrlock(&keyring->lock);
    keyring->out_of_memory = false;
    take_secrets(keyring, store_secrets(store));
    enum err err = store_each_key(store, take_key, keyring);
    if (!err && keyring->out_of_memory) err = ERR_NO_MEMORY;
    pthread_rwlock_unlock(&keyring->lock);
    return err;
}

static bool is_remembered(const struct keyring_memo *memo, struct span secret)
{
    return memo->key && memo->secret_len == secret.len &&
           hash_equal(memo->secret, secret.ptr, secret.len);
}

static void remember(struct keyring_memo *memo, const struct api_key *key, struct span secret)
{
    memo->key = key;
    memo->secret_len = secret.len;
    memcpy(memo->secret, secret.ptr, secret.len);
}

/* Whose this secret is, whatever became of that key. */
static const struct api_key *find_by_hash(struct keyring *keyring, struct span secret)
{
    uint8_t hash[HASH_SIZE], of_digest[HASH_SIZE], sha256[HASH_SHA256_SIZE];
    hash_secret(hash, keyring->kept->secrets.pepper, secret);
    hash_sha256(sha256, secret);
    hash_secret_digest(of_digest, keyring->kept->secrets.pepper, sha256); /* imported as that */
    pthread_rwlock_rdlock(&keyring->lock);
    const struct entry *entry = find(keyring, hash);
    if (!entry) entry = find(keyring, of_digest);
    pthread_rwlock_unlock(&keyring->lock);
    return entry ? &entry->key : NULL;
}

bool keyring_is_valid(struct keyring *keyring, const struct api_key *key, enum apikey_class cls,
                      int64_t now_ms)
{
    pthread_rwlock_rdlock(&keyring->lock);
    bool is_revoked = key->revoked_at_ms != 0;
    pthread_rwlock_unlock(&keyring->lock);
    return key->cls == cls && !is_revoked && (!key->expires_at_ms || now_ms < key->expires_at_ms);
}

const struct api_key *keyring_find(struct keyring *keyring, struct keyring_memo *memo,
                                   struct span secret, enum apikey_class cls, int64_t now_ms)
{
    if (secret.len == 0 || secret.len > APIKEY_SECRET_MAX) return NULL;
    if (!is_remembered(memo, secret)) {
        const struct api_key *key = find_by_hash(keyring, secret);
        if (!key) return NULL;
        remember(memo, key, secret);
    }
    return keyring_is_valid(keyring, memo->key, cls, now_ms) ? memo->key : NULL;
}

void keyring_note_use(const struct api_key *key, int64_t now_ms)
{
    /* The entry is ours and not constant; only the view of it that requests get is. */
    struct entry *entry = (struct entry *)((uintptr_t)key - offsetof(struct entry, key));
    use_metrics_note(&entry->use, now_ms);
}

struct keyring_use keyring_use_of(const struct api_key *key)
{
    struct entry *entry = (struct entry *)((uintptr_t)key - offsetof(struct entry, key));
    return (struct keyring_use){.count = use_metrics_count(&entry->use),
                                .last_ms = use_metrics_last_ms(&entry->use)};
}

void keyring_each(struct keyring *keyring, store_on_key *on_key, void *arg)
{
    pthread_rwlock_rdlock(&keyring->lock);
    for (struct entry *entry = keyring->first; entry; entry = entry->next)
        on_key(&entry->key, arg);
    pthread_rwlock_unlock(&keyring->lock);
}

void keyring_minting_key(struct keyring *keyring, struct token_key *out)
{
    pthread_rwlock_rdlock(&keyring->lock);
    ASSERT(keyring->kept->secrets.token_keys_count > 0);
    *out = keyring->kept->secrets.token_keys[keyring->kept->secrets.token_keys_count - 1];
    pthread_rwlock_unlock(&keyring->lock);
}

bool keyring_token_key(struct keyring *keyring, struct span kid, struct token_key *out)
{
    bool found = false;
    if (kid.len != TOKEN_KID_LEN) return false;
    pthread_rwlock_rdlock(&keyring->lock);
    for (uint32_t i = 0; i < keyring->kept->secrets.token_keys_count && !found; i++) {
        const struct token_key *key = &keyring->kept->secrets.token_keys[i];
        found = memcmp(key->kid, kid.ptr, TOKEN_KID_LEN) == 0;
        if (found) *out = *key;
    }
    pthread_rwlock_unlock(&keyring->lock);
    return found;
}

uint32_t keyring_token_keys(struct keyring *keyring, struct token_key out[TOKEN_KEYS_MAX])
{
    pthread_rwlock_rdlock(&keyring->lock);
    uint32_t count = keyring->kept->secrets.token_keys_count;
    memcpy(out, keyring->kept->secrets.token_keys, count * sizeof out[0]);
    pthread_rwlock_unlock(&keyring->lock);
    return count;
}

const uint8_t *keyring_pepper(const struct keyring *keyring)
{
    return keyring->kept->secrets.pepper;
}

const uint8_t *keyring_receipt_key(const struct keyring *keyring)
{
    return keyring->kept->secrets.receipt_key;
}

struct span keyring_click_signing_key(const struct keyring *keyring)
{
    return (struct span){(const char *)keyring->kept->secrets.click_signing_key,
                         sizeof keyring->kept->secrets.click_signing_key};
}

const struct hash_hmac_key *keyring_click_hmac_key(const struct keyring *keyring)
{
    return &keyring->kept->click_hmac_key;
}
