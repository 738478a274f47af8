#include "token/base64url.h"

static const char alphabet[64] = {
    'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P',
    'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'a', 'b', 'c', 'd', 'e', 'f',
    'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v',
    'w', 'x', 'y', 'z', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '-', '_',
};

/* VALID marks the characters of the alphabet, so that a group is checked with one AND. */
enum { VALID = 64 };

/* clang-format off */
static const uint8_t values[256] = {
    ['A'] = VALID | 0,  ['B'] = VALID | 1,  ['C'] = VALID | 2,  ['D'] = VALID | 3,
    ['E'] = VALID | 4,  ['F'] = VALID | 5,  ['G'] = VALID | 6,  ['H'] = VALID | 7,
    ['I'] = VALID | 8,  ['J'] = VALID | 9,  ['K'] = VALID | 10, ['L'] = VALID | 11,
    ['M'] = VALID | 12, ['N'] = VALID | 13, ['O'] = VALID | 14, ['P'] = VALID | 15,
    ['Q'] = VALID | 16, ['R'] = VALID | 17, ['S'] = VALID | 18, ['T'] = VALID | 19,
    ['U'] = VALID | 20, ['V'] = VALID | 21, ['W'] = VALID | 22, ['X'] = VALID | 23,
    ['Y'] = VALID | 24, ['Z'] = VALID | 25, ['a'] = VALID | 26, ['b'] = VALID | 27,
    ['c'] = VALID | 28, ['d'] = VALID | 29, ['e'] = VALID | 30, ['f'] = VALID | 31,
    ['g'] = VALID | 32, ['h'] = VALID | 33, ['i'] = VALID | 34, ['j'] = VALID | 35,
    ['k'] = VALID | 36, ['l'] = VALID | 37, ['m'] = VALID | 38, ['n'] = VALID | 39,
    ['o'] = VALID | 40, ['p'] = VALID | 41, ['q'] = VALID | 42, ['r'] = VALID | 43,
    ['s'] = VALID | 44, ['t'] = VALID | 45, ['u'] = VALID | 46, ['v'] = VALID | 47,
    ['w'] = VALID | 48, ['x'] = VALID | 49, ['y'] = VALID | 50, ['z'] = VALID | 51,
    ['0'] = VALID | 52, ['1'] = VALID | 53, ['2'] = VALID | 54, ['3'] = VALID | 55,
    ['4'] = VALID | 56, ['5'] = VALID | 57, ['6'] = VALID | 58, ['7'] = VALID | 59,
    ['8'] = VALID | 60, ['9'] = VALID | 61, ['-'] = VALID | 62, ['_'] = VALID | 63,
};
/* clang-format on */

size_t base64url_encoded_len(size_t size)
{
    return size / 3 * 4 + (size % 3 ? size % 3 + 1 : 0);
}

void base64url_encode_to(char *out, const uint8_t *bytes, size_t size)
{
    for (; size >= 3; size -= 3, bytes += 3, out += 4) {
        uint32_t group = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
        out[0] = alphabet[group >> 18];
        out[1] = alphabet[group >> 12 & 63];
        out[2] = alphabet[group >> 6 & 63];
        out[3] = alphabet[group & 63];
    }
    if (size == 0) return;
    uint32_t group = (uint32_t)bytes[0] << 16 | (size == 2 ? (uint32_t)bytes[1] << 8 : 0);
    out[0] = alphabet[group >> 18];
    out[1] = alphabet[group >> 12 & 63];
    if (size == 2) out[2] = alphabet[group >> 6 & 63];
}

void base64url_encode(struct writer *out, const void *bytes, size_t size)
{
    char *to = writer_claim(out, base64url_encoded_len(size));
    if (to) base64url_encode_to(to, bytes, size);
}

static bool decode_groups(uint8_t *to, const uint8_t *text, size_t count)
{
    uint8_t valid = VALID;
    for (; count > 0; count--, text += 4, to += 3) {
        uint8_t a = values[text[0]], b = values[text[1]];
        uint8_t c = values[text[2]], d = values[text[3]];
        valid &= a & b & c & d;
        uint32_t group = (a & 63u) << 18 | (b & 63u) << 12 | (c & 63u) << 6 | (d & 63u);
        to[0] = (uint8_t)(group >> 16);
        to[1] = (uint8_t)(group >> 8);
        to[2] = (uint8_t)group;
    }
    return valid;
}

/* The last two or three characters; the bits they have too many must be zero. */
static bool decode_tail(uint8_t *to, const uint8_t *text, size_t len)
{
    if (len == 0) return true;
    uint8_t a = values[text[0]], b = values[text[1]];
    uint8_t c = len == 3 ? values[text[2]] : VALID;
    uint32_t group = (a & 63u) << 18 | (b & 63u) << 12 | (c & 63u) << 6;
    to[0] = (uint8_t)(group >> 16);
    if (len == 3) to[1] = (uint8_t)(group >> 8);
    uint32_t left_over = len == 3 ? group & 0xff : group & 0xffff;
    return (a & b & c & VALID) && left_over == 0;
}

bool base64url_decode(struct writer *out, struct span text)
{
    size_t groups = text.len / 4, tail = text.len % 4, start = out->len;
    if (tail == 1) return false;
    if (text.len == 0) return true;
    uint8_t *to = (uint8_t *)writer_claim(out, groups * 3 + (tail ? tail - 1 : 0));
    if (!to) return false;
    const uint8_t *from = (const uint8_t *)text.ptr;
    if (decode_groups(to, from, groups) && decode_tail(to + groups * 3, from + groups * 4, tail))
        return true;
    out->len = start;
    return false;
}
