#include "store/keys.h"

#include "base/rng.h"

#include <string.h>

void token_key_generate(struct token_key *key, int64_t now_ms)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv"; /* 32: no modulo bias */
    uint8_t random[TOKEN_KID_LEN];
    rng_fill(random, sizeof random);
    for (size_t i = 0; i < TOKEN_KID_LEN; i++)
        key->kid[i] = digits[random[i] & 31];
    rng_fill(key->key.bytes, sizeof key->key.bytes);
    key->created_at_ms = now_ms;
}

void secrets_generate(struct secrets *secrets, int64_t now_ms)
{
    memset(secrets, 0, sizeof *secrets);
    rng_fill(secrets->pepper, sizeof secrets->pepper);
    rng_fill(secrets->receipt_key, sizeof secrets->receipt_key);
    rng_fill(secrets->click_signing_key, sizeof secrets->click_signing_key);
    token_key_generate(&secrets->token_keys[0], now_ms);
    secrets->token_keys_count = 1;
}
