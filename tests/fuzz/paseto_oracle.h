#pragma once

#include "base/span.h"

#include <stdint.h>

/* PASETO v4.local a second time, for the test: BLAKE2b (RFC 7693) and XChaCha20 (RFC 8439,
 * draft-irtf-cfrg-xchacha) written from their specifications, without libsodium and without any of
 * the server's code. Slow and short. */

enum { ORACLE_KEY_SIZE = 32, ORACLE_NONCE_SIZE = 32, ORACLE_MAC_SIZE = 32 };

/* The bytes before base64url: nonce, ciphertext, MAC. `raw` has room for the message and 64 more.
 */
void paseto_oracle_seal(uint8_t *raw, const uint8_t key[ORACLE_KEY_SIZE],
                        const uint8_t nonce[ORACLE_NONCE_SIZE], struct span message,
                        struct span footer, struct span assertion);

/* base64url without padding, bit by bit. */
size_t oracle_base64url(char *out, const uint8_t *bytes, size_t size);

/* Its inverse, as lenient as an encoder's round trip leaves it: false unless the text is what
 * oracle_base64url writes of the bytes. `out` has room for as many bytes as the text has. */
bool oracle_unbase64url(uint8_t *out, size_t *size, struct span text);
