#include "event/amount.h"

#include <stddef.h>

enum {
    TEXT_LEN_MAX = 40,
    INTEGER_DIGITS_MAX = 15,
    FRACTION_DIGITS_MAX = 24,
    NANO_DIGITS = 9,
    EXPONENT_MAX = 10000, /* larger ones are cut to it: any number that short is out of range */
    NANOS_PER_UNIT = 1000000000,
};

/* All of a number's digits fit: they are gathered in two parts, each within its type. */
_Static_assert(INTEGER_DIGITS_MAX + NANO_DIGITS <= 38, "the kept digits fit an __int128");
_Static_assert(FRACTION_DIGITS_MAX - NANO_DIGITS <= 18, "the rounded digits fit a uint64_t");

__extension__ typedef unsigned __int128 wide;

/* A number taken apart, its digits still text: digits * 10^-scale. */
struct decimal {
    char digits[TEXT_LEN_MAX];
    int count; /* without leading zeros */
    int scale; /* may be negative */
    bool negative;
};

static bool take(struct span *text, char c)
{
    if (text->len == 0 || text->ptr[0] != c) return false;
    *text = (struct span){text->ptr + 1, text->len - 1};
    return true;
}

static bool take_digit(struct span *text, char *digit)
{
    if (text->len == 0 || text->ptr[0] < '0' || text->ptr[0] > '9') return false;
    *digit = text->ptr[0];
    return take(text, *digit);
}

/* A run of digits into `out`; how many there were. */
static int take_digits(struct span *text, struct decimal *out)
{
    int run = 0;
    char digit;
    for (; take_digit(text, &digit); run++)
        if (out->count > 0 || digit != '0') out->digits[out->count++] = digit;
    return run;
}

/* int [frac] of RFC 8259. */
static bool take_plain(struct span *text, struct decimal *out)
{
    bool leading_zero = text->len > 0 && text->ptr[0] == '0';
    int integer_digits = take_digits(text, out);
    if (integer_digits == 0 || (leading_zero && integer_digits > 1)) return false;
    if (!take(text, '.')) return true;
    out->scale = take_digits(text, out);
    return out->scale > 0;
}

/* [exp] of RFC 8259. */
static bool take_exponent(struct span *text, struct decimal *out)
{
    if (!take(text, 'e') && !take(text, 'E')) return true;
    bool negative = take(text, '-');
    if (!negative) take(text, '+');
    int exponent = 0;
    char digit;
    if (!take_digit(text, &digit)) return false;
    do {
        exponent = exponent * 10 + (digit - '0');
        if (exponent > EXPONENT_MAX) exponent = EXPONENT_MAX;
    } while (take_digit(text, &digit));
    out->scale += negative ? exponent : -exponent;
    return true;
}

static bool is_in_range(const struct decimal *in)
{
    if (in->scale > FRACTION_DIGITS_MAX) return false;
    return in->count == 0 || in->count - in->scale <= INTEGER_DIGITS_MAX;
}

static uint64_t power_of_ten(int exponent)
{
    uint64_t power = 1;
    while (exponent-- > 0)
        power *= 10;
    return power;
}

/* The magnitude in units of 10^-9, half to even. */
static wide round_to_nanos(const struct decimal *in)
{
    int cut = in->scale > NANO_DIGITS ? in->scale - NANO_DIGITS : 0;
    wide kept = 0;
    uint64_t rest = 0;
    for (int i = 0; i < in->count; i++) {
        unsigned digit = (unsigned)(in->digits[i] - '0');
        if (i < in->count - cut)
            kept = kept * 10 + digit;
        else
            rest = rest * 10 + digit;
    }
    if (in->count > 0)
        for (int i = in->scale; i < NANO_DIGITS; i++)
            kept *= 10;
    uint64_t half = power_of_ten(cut) / 2;
    bool up = cut > 0 && (rest > half || (rest == half && kept % 2 == 1));
    return kept + up;
}

static bool to_amount(struct amount *out, const struct decimal *in)
{
    if (!is_in_range(in)) return false;
    wide nanos = round_to_nanos(in);
    int64_t sign = in->negative ? -1 : 1;
    out->units = sign * (int64_t)(nanos / NANOS_PER_UNIT);
    out->nanos = sign * (int64_t)(nanos % NANOS_PER_UNIT);
    return true;
}

bool amount_parse(struct amount *out, struct span text)
{
    struct decimal decimal = {.count = 0};
    if (text.len > TEXT_LEN_MAX) return false;
    decimal.negative = take(&text, '-');
    return take_plain(&text, &decimal) && take_exponent(&text, &decimal) && text.len == 0 &&
           to_amount(out, &decimal);
}

bool amount_parse_price(struct amount *out, struct span text)
{
    struct decimal decimal = {.count = 0};
    if (text.len > TEXT_LEN_MAX) return false;
    return take_plain(&text, &decimal) && text.len == 0 && to_amount(out, &decimal);
}
