#include "paseto_oracle.h"

#include <stdlib.h>
#include <string.h>

/* -- BLAKE2b, RFC 7693 ---------------------------------------------------------------------- */

enum { BLOCK = 128, ROUNDS = 12 };

static const uint64_t blake_iv[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

static const uint8_t sigma[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

struct blake {
    uint64_t h[8];
    uint8_t block[BLOCK];
    size_t filled;
    uint64_t counted;
};

static uint64_t load64(const uint8_t *at)
{
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--)
        word = word << 8 | at[i];
    return word;
}

static uint64_t rotate64(uint64_t word, unsigned by)
{
    return word >> by | word << (64 - by);
}

static void mix(uint64_t v[16], const uint8_t at[4], uint64_t x, uint64_t y)
{
    uint64_t *a = &v[at[0]], *b = &v[at[1]], *c = &v[at[2]], *d = &v[at[3]];
    *a += *b + x;
    *d = rotate64(*d ^ *a, 32);
    *c += *d;
    *b = rotate64(*b ^ *c, 24);
    *a += *b + y;
    *d = rotate64(*d ^ *a, 16);
    *c += *d;
    *b = rotate64(*b ^ *c, 63);
}

static void compress(struct blake *blake, bool is_last)
{
    static const uint8_t lanes[8][4] = {{0, 4, 8, 12},  {1, 5, 9, 13},  {2, 6, 10, 14},
                                        {3, 7, 11, 15}, {0, 5, 10, 15}, {1, 6, 11, 12},
                                        {2, 7, 8, 13},  {3, 4, 9, 14}};
    uint64_t v[16];
    memcpy(v, blake->h, sizeof blake->h);
    memcpy(v + 8, blake_iv, sizeof blake_iv);
    v[12] ^= blake->counted;
    if (is_last) v[14] = ~v[14];
    for (int round = 0; round < ROUNDS; round++) {
        const uint8_t *order = sigma[round % 10];
        for (int lane = 0; lane < 8; lane++)
            mix(v, lanes[lane], load64(blake->block + 8 * order[2 * lane]),
                load64(blake->block + 8 * order[2 * lane + 1]));
    }
    for (int i = 0; i < 8; i++)
        blake->h[i] ^= v[i] ^ v[i + 8];
}

static void blake_add(struct blake *blake, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++) {
        if (blake->filled == BLOCK) {
            blake->counted += BLOCK;
            compress(blake, false);
            blake->filled = 0;
        }
        blake->block[blake->filled++] = at[i];
    }
}

static void blake_start(struct blake *blake, const uint8_t *key, size_t key_size, size_t out_size)
{
    uint8_t padded[BLOCK] = {0};
    *blake = (struct blake){0};
    memcpy(blake->h, blake_iv, sizeof blake_iv);
    blake->h[0] ^= 0x01010000 ^ key_size << 8 ^ out_size;
    memcpy(padded, key, key_size);
    blake_add(blake, padded, sizeof padded);
}

static void blake_end(struct blake *blake, uint8_t *out, size_t out_size)
{
    blake->counted += blake->filled;
    memset(blake->block + blake->filled, 0, BLOCK - blake->filled);
    compress(blake, true);
    for (size_t i = 0; i < out_size; i++)
        out[i] = (uint8_t)(blake->h[i / 8] >> (8 * (i % 8)));
}

/* -- XChaCha20 ------------------------------------------------------------------------------ */

static uint32_t load32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void store32(uint8_t *at, uint32_t word)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(word >> (8 * i));
}

static uint32_t rotate32(uint32_t word, unsigned by)
{
    return word << by | word >> (32 - by);
}

static void quarter(uint32_t x[16], int a, int b, int c, int d)
{
    x[a] += x[b];
    x[d] = rotate32(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = rotate32(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = rotate32(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = rotate32(x[b] ^ x[c], 7);
}

/* "expand 32-byte k", the key, and sixteen bytes more, after twenty rounds. */
static void chacha_rounds(uint32_t x[16], const uint8_t key[32], const uint8_t last[16])
{
    static const uint32_t constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memcpy(x, constants, sizeof constants);
    for (int i = 0; i < 8; i++)
        x[4 + i] = load32(key + 4 * i);
    for (int i = 0; i < 4; i++)
        x[12 + i] = load32(last + 4 * i);
    for (int i = 0; i < 10; i++) {
        for (int j = 0; j < 4; j++)
            quarter(x, j, 4 + j, 8 + j, 12 + j);
        for (int j = 0; j < 4; j++)
            quarter(x, j, 4 + (j + 1) % 4, 8 + (j + 2) % 4, 12 + (j + 3) % 4);
    }
}

static void hchacha(uint8_t out[32], const uint8_t key[32], const uint8_t nonce[16])
{
    uint32_t x[16];
    chacha_rounds(x, key, nonce);
    for (int i = 0; i < 4; i++) {
        store32(out + 4 * i, x[i]);
        store32(out + 16 + 4 * i, x[12 + i]);
    }
}

static void chacha_block(uint8_t out[64], const uint8_t key[32], const uint8_t last[16])
{
    static const char constants[17] = "expand 32-byte k";
    uint32_t x[16];
    chacha_rounds(x, key, last);
    for (int i = 0; i < 16; i++) {
        const uint8_t *start = i < 4    ? (const uint8_t *)constants + 4 * i
                               : i < 12 ? key + 4 * (i - 4)
                                        : last + 4 * (i - 12);
        store32(out + 4 * i, x[i] + load32(start));
    }
}

static void xchacha(uint8_t *bytes, size_t size, const uint8_t key[32], const uint8_t nonce[24])
{
    uint8_t subkey[32], last[16] = {0}, block[64];
    hchacha(subkey, key, nonce);
    memcpy(last + 8, nonce + 16, 8);
    for (size_t i = 0; i < size; i++) {
        if (i % 64 == 0) {
            store32(last, (uint32_t)(i / 64));
            chacha_block(block, subkey, last);
        }
        bytes[i] ^= block[i % 64];
    }
}

/* -- v4.local ------------------------------------------------------------------------------- */

static void derive(uint8_t *out, size_t size, const char *domain, const uint8_t *key,
                   const uint8_t *nonce)
{
    struct blake blake;
    blake_start(&blake, key, ORACLE_KEY_SIZE, size);
    blake_add(&blake, domain, strlen(domain));
    blake_add(&blake, nonce, ORACLE_NONCE_SIZE);
    blake_end(&blake, out, size);
}

static void add_length(struct blake *mac, uint64_t value)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    blake_add(mac, bytes, sizeof bytes);
}

static void add_piece(struct blake *mac, const void *bytes, size_t size)
{
    add_length(mac, size);
    blake_add(mac, bytes, size);
}

void paseto_oracle_seal(uint8_t *raw, const uint8_t key[ORACLE_KEY_SIZE],
                        const uint8_t nonce[ORACLE_NONCE_SIZE], struct span message,
                        struct span footer, struct span assertion)
{
    uint8_t encryption[56], authentication[32];
    struct blake mac;
    derive(encryption, sizeof encryption, "paseto-encryption-key", key, nonce);
    derive(authentication, sizeof authentication, "paseto-auth-key-for-aead", key, nonce);
    uint8_t *ciphertext = raw + ORACLE_NONCE_SIZE;
    memcpy(raw, nonce, ORACLE_NONCE_SIZE);
    if (message.len) memcpy(ciphertext, message.ptr, message.len);
    xchacha(ciphertext, message.len, encryption, encryption + 32);
    blake_start(&mac, authentication, sizeof authentication, ORACLE_MAC_SIZE);
    add_length(&mac, 5);
    add_piece(&mac, "v4.local.", 9);
    add_piece(&mac, nonce, ORACLE_NONCE_SIZE);
    add_piece(&mac, ciphertext, message.len);
    add_piece(&mac, footer.ptr, footer.len);
    add_piece(&mac, assertion.ptr, assertion.len);
    blake_end(&mac, ciphertext + message.len, ORACLE_MAC_SIZE);
}

/* -- base64url ------------------------------------------------------------------------------ */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static unsigned bit_at(const uint8_t *bytes, size_t size, size_t bit)
{
    return bit / 8 < size ? bytes[bit / 8] >> (7 - bit % 8) & 1u : 0;
}

size_t oracle_base64url(char *out, const uint8_t *bytes, size_t size)
{
    size_t len = 0;
    for (size_t bit = 0; bit < 8 * size; bit += 6) {
        unsigned value = 0;
        for (size_t i = 0; i < 6; i++)
            value = value << 1 | bit_at(bytes, size, bit + i);
        out[len++] = digits[value];
    }
    return len;
}

bool oracle_unbase64url(uint8_t *out, size_t *size, struct span text)
{
    *size = text.len * 6 / 8;
    memset(out, 0, text.len);
    for (size_t i = 0; i < text.len; i++) {
        const char *digit = text.ptr[i] ? strchr(digits, text.ptr[i]) : NULL;
        if (!digit) return false;
        for (size_t j = 0; j < 6; j++)
            if ((digit - digits) >> (5 - j) & 1)
                out[(i * 6 + j) / 8] |= (uint8_t)(0x80 >> (i * 6 + j) % 8);
    }
    char *again = malloc(text.len + 4);
    size_t len = oracle_base64url(again, out, *size);
    bool same = len == text.len && memcmp(again, text.ptr, len) == 0;
    free(again);
    return same;
}
