#include "token/paseto.h"

#include "base/uninitialized.h"
#include "token/base64url.h"
#include "token/hash.h"

#include <sodium.h>
#include <string.h>

enum {
    HEADER_LEN = 9,
    MAC_SIZE = 32,
    NONCE2_SIZE = crypto_stream_xchacha20_NONCEBYTES,
    FOOTER_TEXT_MAX = (PASETO_FOOTER_MAX * 4 + 2) / 3,
};

_Static_assert(PASETO_OVERHEAD == PASETO_NONCE_SIZE + MAC_SIZE, "what surrounds the ciphertext");

#define HEADER SPAN("v4.local.")

#define KEY_HEADER SPAN("k4.local.")

/* What one token is encrypted and authenticated with: derived from the key and the token's nonce.
 */
struct derived {
    uint8_t encryption[crypto_stream_xchacha20_KEYBYTES + NONCE2_SIZE]; /* key, then nonce */
    uint8_t authentication[32];
};

void paseto_key_write(struct writer *out, const struct paseto_key *key)
{
    writer_put(out, KEY_HEADER);
    base64url_encode(out, key->bytes, sizeof key->bytes);
}

bool paseto_key_read(struct paseto_key *key, struct span text)
{
    if (text.len != PASETO_KEY_TEXT_LEN || !span_starts_with(text, KEY_HEADER)) return false;
    struct paseto_key read;
    struct writer out;
    writer_init(&out, read.bytes, sizeof read.bytes);
    bool strict =
        base64url_decode(&out, (struct span){text.ptr + KEY_HEADER.len, text.len - KEY_HEADER.len});
    /* cppcheck-suppress uninitvar; filled through `out` */
    if (strict) *key = read;
    sodium_memzero(&read, sizeof read);
    return strict;
}

static void derive_part(uint8_t *out, size_t size, struct span domain, const struct paseto_key *key,
                        const uint8_t *nonce)
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, key->bytes, sizeof key->bytes, size);
    crypto_generichash_update(&state, (const uint8_t *)domain.ptr, domain.len);
    crypto_generichash_update(&state, nonce, PASETO_NONCE_SIZE);
    crypto_generichash_final(&state, out, size);
    sodium_memzero(&state, sizeof state);
}

static void derive(struct derived *out, const struct paseto_key *key, const uint8_t *nonce)
{
    derive_part(out->encryption, sizeof out->encryption, SPAN("paseto-encryption-key"), key, nonce);
    derive_part(out->authentication, sizeof out->authentication, SPAN("paseto-auth-key-for-aead"),
                key, nonce);
}

static void apply_stream(uint8_t *to, const void *from, size_t size, const struct derived *derived)
{
    if (size == 0) return; /* from may be NULL, which libsodium forbids */
    crypto_stream_xchacha20_xor(to, from, size,
                                derived->encryption + crypto_stream_xchacha20_KEYBYTES,
                                derived->encryption);
}

/* One length of PAE, the spec's pre-authentication encoding: 64 bits, little-endian. */
static void mac_length(crypto_generichash_state *mac, uint64_t value)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    crypto_generichash_update(mac, bytes, sizeof bytes);
}

static void mac_piece(crypto_generichash_state *mac, struct span piece)
{
    mac_length(mac, piece.len);
    crypto_generichash_update(mac, (const uint8_t *)piece.ptr, piece.len);
}

/* `raw` is nonce, ciphertext; the MAC covers both, and the footer and assertion beside them. */
static void compute_mac(uint8_t out[MAC_SIZE], const struct derived *derived, const uint8_t *raw,
                        size_t message_len, struct span footer, struct span assertion)
{
    const char *text = (const char *)raw;
    crypto_generichash_state mac;
    crypto_generichash_init(&mac, derived->authentication, sizeof derived->authentication,
                            MAC_SIZE);
    mac_length(&mac, 5);
    mac_piece(&mac, HEADER);
    mac_piece(&mac, (struct span){text, PASETO_NONCE_SIZE});
    mac_piece(&mac, (struct span){text + PASETO_NONCE_SIZE, message_len});
    mac_piece(&mac, footer);
    mac_piece(&mac, assertion);
    crypto_generichash_final(&mac, out, MAC_SIZE);
    sodium_memzero(&mac, sizeof mac);
}

size_t paseto_encrypted_len(size_t message_len, size_t footer_len)
{
    return HEADER_LEN + base64url_encoded_len(message_len + PASETO_OVERHEAD) +
           (footer_len ? 1 + base64url_encoded_len(footer_len) : 0);
}

static void seal(uint8_t *raw, const struct paseto_key *key, const uint8_t *nonce,
                 struct span message, struct span footer, struct span assertion)
{
    struct derived derived;
    derive(&derived, key, nonce);
    memcpy(raw, nonce, PASETO_NONCE_SIZE);
    apply_stream(raw + PASETO_NONCE_SIZE, message.ptr, message.len, &derived);
    compute_mac(raw + PASETO_NONCE_SIZE + message.len, &derived, raw, message.len, footer,
                assertion);
    sodium_memzero(&derived, sizeof derived);
}

void paseto_encrypt(struct writer *out, const struct paseto_key *key,
                    const uint8_t nonce[PASETO_NONCE_SIZE], struct span message, struct span footer,
                    struct span assertion)
{
    if (footer.len > PASETO_FOOTER_MAX) {
        out->overflow = true;
        return;
    }
    char *token = writer_claim(out, paseto_encrypted_len(message.len, footer.len));
    if (!token) return;
    size_t raw_len = message.len + PASETO_OVERHEAD;
    char *body = token + HEADER_LEN, *body_end = body + base64url_encoded_len(raw_len);
    memcpy(token, HEADER.ptr, HEADER_LEN);
    /* The raw bytes are made where their text will end, and encoded in place. */
    uint8_t *raw = (uint8_t *)body_end - raw_len;
    seal(raw, key, nonce, message, footer, assertion);
    base64url_encode_to(body, raw, raw_len);
    if (footer.len == 0) return;
    *body_end = '.';
    base64url_encode_to(body_end + 1, (const uint8_t *)footer.ptr, footer.len);
}

static bool split_token(struct span token, struct span *body, struct span *footer)
{
    if (!span_starts_with(token, HEADER)) return false;
    struct span rest = {token.ptr + HEADER_LEN, token.len - HEADER_LEN};
    *body = span_split(&rest, '.');
    *footer = rest;
    bool bare_dot = rest.ptr && rest.len == 0;
    return !bare_dot && footer->len <= FOOTER_TEXT_MAX &&
           body->len >= base64url_encoded_len(PASETO_OVERHEAD);
}

bool paseto_footer(struct writer *out, struct span token)
{
    struct span body, footer;
    return split_token(token, &body, &footer) && base64url_decode(out, footer);
}

/* `raw` is nonce, ciphertext, mac, and becomes the message. */
static bool open_in_place(uint8_t *raw, size_t message_len, const struct paseto_key *key,
                          struct span footer, struct span assertion)
{
    struct derived derived;
    uint8_t mac[MAC_SIZE], *ciphertext = raw + PASETO_NONCE_SIZE;
    derive(&derived, key, raw);
    compute_mac(mac, &derived, raw, message_len, footer, assertion);
    bool authentic = hash_equal(mac, ciphertext + message_len, MAC_SIZE);
    if (authentic) {
        apply_stream(ciphertext, ciphertext, message_len, &derived);
        memmove(raw, ciphertext, message_len);
    }
    sodium_memzero(&derived, sizeof derived);
    sodium_memzero(mac, sizeof mac);
    return authentic;
}

bool paseto_decrypt(struct writer *out, const struct paseto_key *key, struct span token,
                    struct span assertion)
{
    struct span body, footer_text;
    UNINITIALIZED char footer_bytes[PASETO_FOOTER_MAX];
    struct writer footer;
    writer_init(&footer, footer_bytes, sizeof footer_bytes);
    if (!split_token(token, &body, &footer_text)) return false;
    if (!base64url_decode(&footer, footer_text)) return false;

    size_t start = out->len;
    if (!base64url_decode(out, body)) return false;
    size_t message_len = out->len - start - PASETO_OVERHEAD;
    bool authentic = open_in_place((uint8_t *)out->base + start, message_len, key,
                                   writer_text(&footer), assertion);
    out->len = start + (authentic ? message_len : 0);
    return authentic;
}
