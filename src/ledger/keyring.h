#pragma once

#include "store/keys.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

/* The API keys and token keys that requests are checked against, shared by all threads. The ledger
 * fills it from the store at start and after every change, before that change is answered: so a
 * revocation holds from the next request on. Entries live as long as the keyring. */

struct keyring;

struct keyring *keyring_new(void);
void keyring_free(struct keyring *keyring);

/* The ledger's: takes what the store has now. An error leaves what was there before, or part of the
 * new: load again. */
enum err keyring_load(struct keyring *keyring, struct store *store);

/* The ledger's: a revocation that stands, which needs neither memory nor the store. */
void keyring_revoke(struct keyring *keyring, struct span id, int64_t at_ms);

/* The secret that a connection presented last, and whose it is: the same one again is compared, in
 * constant time, instead of hashed. Zeroed to begin with; of one keyring and one thread. */
struct keyring_memo {
    const struct api_key *key; /* NULL: none yet */
    size_t secret_len;
    char secret[APIKEY_SECRET_MAX];
};

/* The key whose secret this is, when it is of class `cls`, not revoked and not expired; NULL for
 * every other reason alike. Looked up by keyed hash: nothing compares secrets byte by byte. What
 * `memo` holds saves the hash and nothing else: a revocation counts at once. */
const struct api_key *keyring_find(struct keyring *keyring, struct keyring_memo *memo,
                                   struct span secret, enum apikey_class cls, int64_t now_ms);

/* Whether a key that was found once is still of class `cls`, not revoked and not expired. */
bool keyring_is_valid(struct keyring *keyring, const struct api_key *key, enum apikey_class cls,
                      int64_t now_ms);

/* How often a key was let in since the start, and when last (0: never). `key` is of this keyring.
 */
struct keyring_use {
    uint64_t count;
    int64_t last_ms;
};
void keyring_note_use(const struct api_key *key, int64_t now_ms);
struct keyring_use keyring_use_of(const struct api_key *key);

/* Every API key, for listing; under the keyring's lock, so `on_key` must be brief. */
void keyring_each(struct keyring *keyring, store_on_key *on_key, void *arg);

/* Token keys: the one that mints, one by its kid (false: unknown or retired), all. Copies. */
void keyring_minting_key(struct keyring *keyring, struct token_key *out);
bool keyring_token_key(struct keyring *keyring, struct span kid, struct token_key *out);
uint32_t keyring_token_keys(struct keyring *keyring, struct token_key out[TOKEN_KEYS_MAX]);

/* Secrets that never change while the process runs. */
const uint8_t *keyring_pepper(const struct keyring *keyring);
const uint8_t *keyring_receipt_key(const struct keyring *keyring);
struct span keyring_click_signing_key(const struct keyring *keyring);
const struct hash_hmac_key *keyring_click_hmac_key(const struct keyring *keyring); /* the same */
