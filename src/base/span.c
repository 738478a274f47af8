#include "base/span.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

struct span span_of(const char *text)
{
    return (struct span){text, text ? strlen(text) : 0};
}

bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Eight bytes, each as ascii_lower has it. The sums stay within their bytes. */
static uint64_t lower_word(const char *at)
{
    const uint64_t ones = 0x0101010101010101;
    uint64_t word;
    memcpy(&word, at, sizeof word);
    uint64_t low = word & ones * 0x7f;
    uint64_t from_a = low + ones * (0x80 - 'A'), past_z = low + ones * (0x7f - 'Z');
    uint64_t is_upper = (from_a ^ past_z) & ~word & ones * 0x80;
    return word | is_upper >> 2;
}

bool span_eq_nocase(struct span a, struct span b)
{
    const size_t size = sizeof(uint64_t);
    if (a.len != b.len) return false;
    size_t i = 0;
    for (; a.len - i >= size; i += size)
        if (lower_word(a.ptr + i) != lower_word(b.ptr + i)) return false;
    if (i > 0) { /* the rest, and what of the last word was compared before */
        const char *left = a.ptr + a.len - size, *right = b.ptr + b.len - size;
        return lower_word(left) == lower_word(right);
    }
    for (; i < a.len; i++)
        if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i])) return false;
    return true;
}

bool span_starts_with(struct span text, struct span prefix)
{
    return text.len >= prefix.len && span_eq((struct span){text.ptr, prefix.len}, prefix);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span span_trim(struct span text)
{
    while (text.len > 0 && is_space(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && is_space(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

struct span span_split(struct span *rest, char separator)
{
    if (!rest->ptr) return SPAN_NONE;
    const char *at = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    if (!at) {
        struct span part = *rest;
        *rest = SPAN_NONE;
        return part;
    }
    struct span part = {rest->ptr, (size_t)(at - rest->ptr)};
    *rest = (struct span){at + 1, rest->len - part.len - 1};
    return part;
}

bool span_to_u64(struct span text, unsigned long long max, unsigned long long *out)
{
    unsigned long long value = 0;
    if (text.len == 0) return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(text.ptr[i] - '0');
        if (digit > 9 || value > max / 10 || value * 10 > max - digit) return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}
