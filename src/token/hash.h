#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keyed hashes. The only way to libsodium for everybody outside src/token.
 * hash_start once per process, before anything else of this module. */

enum {
    HASH_KEY_SIZE = 32,
    HASH_SIZE = 32,
    HASH_FINGERPRINT_KEY_SIZE = 16,
    HASH_HMAC_SIZE = 32,
};

bool hash_start(void); /* false: the library cannot be used on this machine */

/* BLAKE2b-256 keyed with `key`: how API keys are stored (contract section 7). */
void hash_secret(uint8_t out[HASH_SIZE], const uint8_t key[HASH_KEY_SIZE], struct span secret);

/* The same for a secret of which only the SHA-256 is known (imports). No secret of ours has the
 * text that this stands for, so the digest itself opens nothing. */
enum { HASH_SHA256_SIZE = 32 };
void hash_secret_digest(uint8_t out[HASH_SIZE], const uint8_t key[HASH_KEY_SIZE],
                        const uint8_t sha256[HASH_SHA256_SIZE]);
void hash_sha256(uint8_t out[HASH_SHA256_SIZE], struct span text);

/* SipHash-2-4 with 64 bits: for hash tables whose keys strangers choose. */
uint64_t hash_fingerprint(const uint8_t key[HASH_FINGERPRINT_KEY_SIZE], const void *bytes,
                          size_t size);

/* HMAC-SHA256 (RFC 2104): `thrad_sig`. A key, of any length, is made ready once, which is half the
 * work of a short message; what is ready is as secret as the key. */
struct hash_hmac_key {
    uint64_t state[26];
};
void hash_hmac_prepare(struct hash_hmac_key *out, struct span key);
void hash_hmac_sha256(uint8_t out[HASH_HMAC_SIZE], const struct hash_hmac_key *key,
                      struct span message);

/* Constant time for equal sizes. */
bool hash_equal(const void *a, const void *b, size_t size);

/* Overwrites memory in a way that no compiler removes. */
void hash_wipe(void *memory, size_t size);
