#include "store/keys.h"

#include "base/rng.h"

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
