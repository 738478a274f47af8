#include "token/hash.h"

#include <endian.h>
#include <sodium.h>
#include <string.h>

_Static_assert((int)HASH_SIZE == (int)crypto_generichash_BYTES, "BLAKE2b-256");
_Static_assert((int)HASH_KEY_SIZE == (int)crypto_generichash_KEYBYTES, "BLAKE2b's key");
_Static_assert((int)HASH_FINGERPRINT_KEY_SIZE == (int)crypto_shorthash_KEYBYTES, "SipHash's key");
_Static_assert((int)HASH_HMAC_SIZE == (int)crypto_auth_hmacsha256_BYTES, "SHA-256");
_Static_assert(sizeof(struct hash_hmac_key) == sizeof(crypto_auth_hmacsha256_state),
               "a key that is ready holds libsodium's state after the key");

bool hash_start(void)
{
    return sodium_init() >= 0;
}

static const unsigned char *bytes_of(struct span text)
{
    return (const unsigned char *)(text.ptr ? text.ptr : "");
}

void hash_secret(uint8_t out[HASH_SIZE], const uint8_t key[HASH_KEY_SIZE], struct span secret)
{
    crypto_generichash(out, HASH_SIZE, bytes_of(secret), secret.len, key, HASH_KEY_SIZE);
}

/* A NUL stands in no header, so in no secret that a client presents. */
void hash_secret_digest(uint8_t out[HASH_SIZE], const uint8_t key[HASH_KEY_SIZE],
                        const uint8_t sha256[HASH_SHA256_SIZE])
{
    static const char prefix[] = "\0sha256";
    char text[sizeof prefix + HASH_SHA256_SIZE];
    memcpy(text, prefix, sizeof prefix);
    memcpy(text + sizeof prefix, sha256, HASH_SHA256_SIZE);
    hash_secret(out, key, (struct span){text, sizeof text});
}

void hash_sha256(uint8_t out[HASH_SHA256_SIZE], struct span text)
{
    crypto_hash_sha256(out, bytes_of(text), text.len);
}

uint64_t hash_fingerprint(const uint8_t key[HASH_FINGERPRINT_KEY_SIZE], const void *bytes,
                          size_t size)
{
    uint8_t digest[crypto_shorthash_BYTES];
    crypto_shorthash(digest, size ? bytes : "", size, key);
    uint64_t value;
    memcpy(&value, digest, sizeof value);
    return le64toh(value);
}

void hash_hmac_prepare(struct hash_hmac_key *out, struct span key)
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, bytes_of(key), key.len);
    memcpy(out->state, &state, sizeof state);
    sodium_memzero(&state, sizeof state);
}

void hash_hmac_sha256(uint8_t out[HASH_HMAC_SIZE], const struct hash_hmac_key *key,
                      struct span message)
{
    crypto_auth_hmacsha256_state state;
    memcpy(&state, key->state, sizeof state);
    crypto_auth_hmacsha256_update(&state, bytes_of(message), message.len);
    crypto_auth_hmacsha256_final(&state, out);
    sodium_memzero(&state, sizeof state);
}

enum { VERIFIED_SIZE = crypto_verify_32_BYTES }; /* at once: sodium_memcmp goes byte by byte */

bool hash_equal(const void *a, const void *b, size_t size)
{
    const unsigned char *left = a, *right = b;
    if (size < VERIFIED_SIZE) return sodium_memcmp(left, right, size) == 0;
    int differs = 0;
    for (size_t at = 0; size - at > VERIFIED_SIZE; at += VERIFIED_SIZE)
        differs |= crypto_verify_32(left + at, right + at);
    /* The last ones, some of them for the second time. */
    size_t last = size - VERIFIED_SIZE;
    return (differs | crypto_verify_32(left + last, right + last)) == 0;
}

void hash_wipe(void *memory, size_t size)
{
    sodium_memzero(memory, size);
}
