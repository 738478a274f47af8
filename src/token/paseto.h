#pragma once

#include "base/span.h"
#include "base/writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* PASETO v4.local (XChaCha20, BLAKE2b-MAC), https://github.com/paseto-standard/paseto-spec,
 * docs/01-Protocol-Versions/Version4.md.
 *
 *     v4.local. base64url( nonce 32 | ciphertext | mac 32 ) [ . base64url( footer ) ]
 *
 * base64url is strict, and a footer that is there is not empty: one token has one spelling.
 *
 * Pure apart from libsodium's arithmetic: no I/O, clock, malloc or log; the nonce is a parameter.
 * hash_start (token/hash.h) comes before everything here. */

enum {
    PASETO_KEY_SIZE = 32,
    PASETO_NONCE_SIZE = 32,
    PASETO_OVERHEAD = 64,    /* nonce and mac, bytes before encoding */
    PASETO_FOOTER_MAX = 512, /* bytes before encoding */
    PASETO_KEY_TEXT_LEN = 52,
};

struct paseto_key {
    uint8_t bytes[PASETO_KEY_SIZE];
};

/* A key as text says what it is for: PASERK, "k4.local." and base64url of its bytes, which is what
 * PASETO libraries of other languages take. Reading refuses everything else, keys of v4.public
 * included: as bare bytes they could not be told apart, and a public key would mint. */
void paseto_key_write(struct writer *out, const struct paseto_key *key);
bool paseto_key_read(struct paseto_key *key, struct span text);

/* Appends the token. Overflow shows in the writer; a footer past PASETO_FOOTER_MAX is one too.
 * `footer` and `assertion` may be empty. The message must not lie in out's free memory. */
void paseto_encrypt(struct writer *out, const struct paseto_key *key,
                    const uint8_t nonce[PASETO_NONCE_SIZE], struct span message, struct span footer,
                    struct span assertion);

/* The footer of a token, decoded but not yet authenticated, into `out`; needed to choose the key.
 * Empty for a token without one. False, and nothing appended, when this has not the shape of a
 * v4.local token; the part before the footer is only looked at by paseto_decrypt. */
bool paseto_footer(struct writer *out, struct span token);

/* Checks the MAC (constant time) before decrypting; the message is appended to `out` only when
 * the token is authentic. False otherwise, whatever the reason, and out's length as before.
 * `out` is also the scratch memory: it needs room for PASETO_OVERHEAD bytes more than the message,
 * which is less than the token's length. */
bool paseto_decrypt(struct writer *out, const struct paseto_key *key, struct span token,
                    struct span assertion);

/* Bytes of the token that paseto_encrypt makes. */
size_t paseto_encrypted_len(size_t message_len, size_t footer_len);
