/* Our side of the interoperation tests (test_paseto_interop.py), through the same functions as the
 * server:
 *
 *     token_tool mint KEY KID PURPOSE CLAIMS   prints the token
 *     token_tool read KEY PURPOSE TOKEN        prints {"footer":...,"payload":...,"claims":...}
 *
 * KEY is PASERK text (k4.local.), CLAIMS a JSON object. `payload` is what was decrypted, `claims`
 * what the server makes of it. A token or claims that are refused: exit status 1. */

#include "base/arena.h"
#include "base/limits.h"
#include "base/rng.h"
#include "token/claims.h"
#include "token/hash.h"
#include "token/paseto.h"

#include <stdio.h>
#include <string.h>

static char arena_memory[LIMIT_TARGET];
static char payload_memory[LIMIT_TARGET];
static char output_memory[3 * LIMIT_TARGET];

static bool read_purpose(enum purpose *out, const char *name)
{
    for (int i = 0; i < PURPOSE_COUNT; i++) {
        if (!span_eq(purpose_name((enum purpose)i), span_of(name))) continue;
        *out = (enum purpose)i;
        return true;
    }
    return false;
}

static bool read_claims(struct claims *out, struct span json, enum purpose purpose)
{
    struct arena arena;
    uint64_t seed;
    rng_fill(&seed, sizeof seed);
    arena_init(&arena, arena_memory, sizeof arena_memory);
    return claims_read(out, json, purpose, &arena, seed);
}

static bool mint(struct writer *out, const struct paseto_key *key, struct span kid,
                 enum purpose purpose, struct span json)
{
    char footer_memory[PASETO_FOOTER_MAX];
    uint8_t nonce[PASETO_NONCE_SIZE];
    struct claims claims;
    struct writer payload, footer;
    if (!read_claims(&claims, json, purpose)) return false;
    writer_init(&payload, payload_memory, sizeof payload_memory);
    writer_init(&footer, footer_memory, sizeof footer_memory);
    claims_write(&payload, &claims, purpose);
    footer_write(&footer, kid);
    rng_fill(nonce, sizeof nonce);
    paseto_encrypt(out, key, nonce, writer_text(&payload), writer_text(&footer),
                   purpose_assertion(purpose));
    return !payload.overflow && !footer.overflow && !out->overflow;
}

static bool read_token(struct writer *out, const struct paseto_key *key, enum purpose purpose,
                       struct span token)
{
    char footer_memory[PASETO_FOOTER_MAX];
    struct claims claims;
    struct writer payload, footer;
    writer_init(&payload, payload_memory, sizeof payload_memory);
    writer_init(&footer, footer_memory, sizeof footer_memory);
    if (!paseto_footer(&footer, token)) return false;
    if (!paseto_decrypt(&payload, key, token, purpose_assertion(purpose))) return false;
    struct span kid = footer_kid(writer_text(&footer));
    if (!kid.ptr || !read_claims(&claims, writer_text(&payload), purpose)) return false;
    writer_lit(out, "{\"footer\":");
    footer_write(out, kid);
    writer_lit(out, ",\"payload\":");
    writer_put(out, writer_text(&payload));
    writer_lit(out, ",\"claims\":");
    claims_write(out, &claims, purpose);
    writer_char(out, '}');
    return !out->overflow;
}

static int usage(void)
{
    fputs("usage: token_tool mint KEY KID PURPOSE CLAIMS | read KEY PURPOSE TOKEN\n", stderr);
    return 2;
}

int main(int count, char **words)
{
    bool minting = count == 6 && strcmp(words[1], "mint") == 0;
    bool reading = count == 5 && strcmp(words[1], "read") == 0;
    struct paseto_key key;
    enum purpose purpose;
    struct writer out;
    if (!minting && !reading) return usage();
    if (!read_purpose(&purpose, words[minting ? 4 : 3])) return usage();
    writer_init(&out, output_memory, sizeof output_memory);
    bool accepted = hash_start() && paseto_key_read(&key, span_of(words[2]));
    if (accepted && minting)
        accepted = mint(&out, &key, span_of(words[3]), purpose, span_of(words[5]));
    else if (accepted)
        accepted = read_token(&out, &key, purpose, span_of(words[4]));
    if (!accepted) {
        fputs("refused\n", stderr);
        return 1;
    }
    printf("%.*s\n", SPAN_FMT(writer_text(&out)));
    return 0;
}
