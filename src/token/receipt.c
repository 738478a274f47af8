#include "token/receipt.h"

#include "token/hash.h"

#include <stddef.h>

_Static_assert((int)RECEIPT_KEY_SIZE == (int)HASH_FINGERPRINT_KEY_SIZE, "rounds are SipHash");
_Static_assert(RECEIPT_LEN == 2 * sizeof(uint64_t), "two digits a byte");

enum { ROUNDS = 6 };

/* The round's number is hashed too, so that no two rounds are the same function. */
static uint32_t round_of(const uint8_t key[RECEIPT_KEY_SIZE], unsigned number, uint32_t half)
{
    const uint8_t input[5] = {(uint8_t)number, (uint8_t)half, (uint8_t)(half >> 8),
                              (uint8_t)(half >> 16), (uint8_t)(half >> 24)};
    return (uint32_t)hash_fingerprint(key, input, sizeof input);
}

static uint64_t permute(const uint8_t key[RECEIPT_KEY_SIZE], uint64_t value)
{
    uint32_t left = (uint32_t)(value >> 32), right = (uint32_t)value;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t next = left ^ round_of(key, i, right);
        left = right;
        right = next;
    }
    return (uint64_t)left << 32 | right;
}

static uint64_t unpermute(const uint8_t key[RECEIPT_KEY_SIZE], uint64_t value)
{
    uint32_t left = (uint32_t)(value >> 32), right = (uint32_t)value;
    for (unsigned i = ROUNDS; i > 0; i--) {
        uint32_t previous = right ^ round_of(key, i - 1, left);
        right = left;
        left = previous;
    }
    return (uint64_t)left << 32 | right;
}

void receipt_write(char out[RECEIPT_LEN], const uint8_t key[RECEIPT_KEY_SIZE], uint64_t sequence)
{
    static const char digits[16] = {'0', '1', '2', '3', '4', '5', '6', '7',
                                    '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
    uint64_t value = permute(key, sequence);
    for (size_t i = RECEIPT_LEN; i > 0; i--, value >>= 4)
        out[i - 1] = digits[value & 15];
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

bool receipt_read(uint64_t *sequence, const uint8_t key[RECEIPT_KEY_SIZE], struct span text)
{
    if (text.len != RECEIPT_LEN) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < RECEIPT_LEN; i++) {
        int digit = digit_of(text.ptr[i]);
        if (digit < 0) return false;
        value = value << 4 | (uint64_t)digit;
    }
    *sequence = unpermute(key, value);
    return true;
}
