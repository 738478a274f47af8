#include "unit.h"

#include "event/amount.h"
#include "random.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct parse_row {
    const char *name;
    const char *text;
    bool number, price;
    int64_t units, nanos;
} parse_rows[] = {
    /* clang-format off */
    {"zero", "0", true, true, 0, 0},
    {"minus zero", "-0", true, false, 0, 0},
    {"one", "1", true, true, 1, 0},
    {"minus one", "-1", true, false, -1, 0},
    {"vendor's sample", "49.99", true, true, 49, 990000000},
    {"another", "99.99", true, true, 99, 990000000},
    {"trailing zeros", "49.9900", true, true, 49, 990000000},
    {"zero with fraction", "0.00", true, true, 0, 0},
    {"minus zero with fraction", "-0.0", true, false, 0, 0},
    {"negative fraction", "-0.5", true, false, 0, -500000000},
    {"a nano", "0.000000001", true, true, 0, 1},
    {"minus a nano", "-0.000000001", true, false, 0, -1},
    {"units and nanos, negative", "-12.000000034", true, false, -12, -34},
    {"half a nano above an even one goes down", "0.0000000005", true, true, 0, 0},
    {"half a nano above an odd one goes up", "0.0000000015", true, true, 0, 2},
    {"half of two goes down", "0.0000000025", true, true, 0, 2},
    {"half, negative, even", "-0.0000000005", true, false, 0, 0},
    {"half, negative, odd", "-0.0000000015", true, false, 0, -2},
    {"just above half", "0.000000000500000000000001", true, true, 0, 1},
    {"just below half", "0.000000000499999999999999", true, true, 0, 0},
    {"half with trailing zeros", "0.000000000500000000000000", true, true, 0, 0},
    {"just above half, odd", "0.000000001500000000000001", true, true, 0, 2},
    {"just below half, odd", "0.000000001499999999999999", true, true, 0, 1},
    {"no rounding twice", "0.00000000049999999995", true, true, 0, 0},
    {"carry into the units", "0.9999999996", true, true, 1, 0},
    {"carry into the units, tie", "0.9999999995", true, true, 1, 0},
    {"carry into the units, negative", "-1.9999999999", true, false, -2, 0},
    {"a carry through all digits", "99999.9999999999", true, true, 100000, 0},
    {"tie on an even unit", "2.0000000005", true, true, 2, 0},
    {"a tie below a unit at the limit", "999999999999999.9999999995", true, true, 1000000000000000, 0},
    {"largest integer", "999999999999999", true, true, 999999999999999, 0},
    {"smallest integer", "-999999999999999", true, false, -999999999999999, 0},
    {"largest of 24 fraction digits, 40 characters", "999999999999999.999999999999999999999999", true, true, 1000000000000000, 0},
    {"largest magnitude negative is 41 characters", "-999999999999999.999999999999999999999999", false, false, 0, 0},
    {"14 digits negative, 40 characters", "-99999999999999.999999999999999999999999", true, false, -100000000000000, 0},
    {"10^15", "1000000000000000", false, false, 0, 0},
    {"minus 10^15", "-1000000000000000", false, false, 0, 0},
    {"10^15 with a fraction", "1000000000000000.000", false, false, 0, 0},
    {"below 10^15 by one nano", "999999999999999.999999999", true, true, 999999999999999, 999999999},
    {"24 fraction digits", "0.000000000000000000000001", true, true, 0, 0},
    {"25 fraction digits", "0.0000000000000000000000001", false, false, 0, 0},
    {"25 fraction digits, all zero", "0.0000000000000000000000000", false, false, 0, 0},
    {"24 fraction digits, all zero", "0.000000000000000000000000", true, true, 0, 0},
    {"25 fraction digits, the last zero", "0.1000000000000000000000000", false, false, 0, 0},
    {"40 digits", "1111111111111111111111111111111111111111", false, false, 0, 0},
    {"41 digits", "11111111111111111111111111111111111111111", false, false, 0, 0},
    {"40 characters of zero", "0.00000000000000000000000000000000000000", false, false, 0, 0},
    {"exponent", "1e3", true, false, 1000, 0},
    {"capital exponent", "1E3", true, false, 1000, 0},
    {"exponent with plus", "1e+3", true, false, 1000, 0},
    {"negative exponent", "1.5E-2", true, false, 0, 15000000},
    {"negative number with exponent", "-1.5e2", true, false, -150, 0},
    {"exponent zero", "7e0", true, false, 7, 0},
    {"exponent minus zero", "7e-0", true, false, 7, 0},
    {"exponent with leading zeros", "7e0003", true, false, 7000, 0},
    {"leading zeros of a negative exponent", "7e-0003", true, false, 0, 7000000},
    {"exponent cancels the fraction", "12.345e3", true, false, 12345, 0},
    {"exponent cuts into the fraction", "12.345e2", true, false, 1234, 500000000},
    {"1e14", "1e14", true, false, 100000000000000, 0},
    {"1e15", "1e15", false, false, 0, 0},
    {"9.99e14", "9.99e14", true, false, 999000000000000, 0},
    {"10e13", "10e13", true, false, 100000000000000, 0},
    {"10e14", "10e14", false, false, 0, 0},
    {"0.1e15", "0.1e15", true, false, 100000000000000, 0},
    {"0.1e16", "0.1e16", false, false, 0, 0},
    {"0.001e17", "0.001e17", true, false, 100000000000000, 0},
    {"0.001e18", "0.001e18", false, false, 0, 0},
    {"zero with a huge exponent", "0e999999", true, false, 0, 0},
    {"zero with an enormous exponent", "0e99999999999999999999999999999999999", true, false, 0, 0},
    {"minus zero with a huge exponent", "-0e999999", true, false, 0, 0},
    {"0.0 with a huge exponent", "0.0e999999", true, false, 0, 0},
    {"zero with 24 fraction digits by exponent", "0e-24", true, false, 0, 0},
    {"zero with 25 fraction digits by exponent", "0e-25", false, false, 0, 0},
    {"zero with a huge negative exponent", "0e-999999", false, false, 0, 0},
    {"1e-24", "1e-24", true, false, 0, 0},
    {"1e-25", "1e-25", false, false, 0, 0},
    {"1.0e-24 has 25 fraction digits", "1.0e-24", false, false, 0, 0},
    {"1.0e-23", "1.0e-23", true, false, 0, 0},
    {"10e-25", "10e-25", false, false, 0, 0},
    {"10e-24", "10e-24", true, false, 0, 0},
    {"1e-9", "1e-9", true, false, 0, 1},
    {"5e-10", "5e-10", true, false, 0, 0},
    {"15e-10", "15e-10", true, false, 0, 2},
    {"5.000000000000001e-10", "5.000000000000001e-10", false, false, 0, 0},
    {"1e-10", "1e-10", true, false, 0, 0},
    {"a huge exponent", "1e999999", false, false, 0, 0},
    {"an exponent past int", "1e2147483648", false, false, 0, 0},
    {"an exponent past int64", "1e9223372036854775808", false, false, 0, 0},
    {"an exponent of 37 digits", "1e9999999999999999999999999999999999999", false, false, 0, 0},
    {"a negative exponent past int", "1e-2147483648", false, false, 0, 0},
    {"a negative exponent past int64", "1e-9223372036854775809", false, false, 0, 0},
    {"an exponent that wraps to 0 in 32 bits", "1e4294967296", false, false, 0, 0},
    {"an exponent that wraps to 0 in 64 bits", "1e18446744073709551616", false, false, 0, 0},
    {"39 digits moved into range by exponent", "123456789012345678901234567890123e-24", true, false, 123456789, 12345679},
    {"36 digits, 24 by exponent", "999999999999999999999999999999999999e-24", true, false, 1000000000000, 0},
    {"digits dropped whole", "0.000000000000000000000009", true, true, 0, 0},
    {"digits dropped whole, negative", "-0.0000000000009", true, false, 0, 0},
    {"long fraction with positive exponent", "0.0000000000000000000000000000012345e20", true, false, 0, 0},
    {"long zeros with a positive exponent", "0.00000000000000000000000000000000001e35", true, false, 1, 0},
    {"empty", "", false, false, 0, 0},
    {"minus alone", "-", false, false, 0, 0},
    {"plus", "+1", false, false, 0, 0},
    {"leading zero", "01", false, false, 0, 0},
    {"two zeros", "00", false, false, 0, 0},
    {"leading zero with fraction", "00.5", false, false, 0, 0},
    {"negative leading zero", "-01", false, false, 0, 0},
    {"no integer part", ".5", false, false, 0, 0},
    {"no fraction digits", "1.", false, false, 0, 0},
    {"no fraction digits before an exponent", "1.e3", false, false, 0, 0},
    {"no digits before an exponent", "e3", false, false, 0, 0},
    {"no exponent digits", "1e", false, false, 0, 0},
    {"no exponent digits after a sign", "1e+", false, false, 0, 0},
    {"two exponents", "1e2e3", false, false, 0, 0},
    {"fraction in the exponent", "1e2.5", false, false, 0, 0},
    {"two points", "1.2.3", false, false, 0, 0},
    {"comma", "1,5", false, false, 0, 0},
    {"thousands", "1,000.00", false, false, 0, 0},
    {"underscore", "1_000", false, false, 0, 0},
    {"two signs", "--1", false, false, 0, 0},
    {"sign after", "1-", false, false, 0, 0},
    {"leading space", " 1", false, false, 0, 0},
    {"trailing space", "1 ", false, false, 0, 0},
    {"line feed", "1\n", false, false, 0, 0},
    {"hexadecimal", "0x10", false, false, 0, 0},
    {"NaN", "NaN", false, false, 0, 0},
    {"Infinity", "Infinity", false, false, 0, 0},
    {"minus Infinity", "-Infinity", false, false, 0, 0},
    {"null", "null", false, false, 0, 0},
    {"currency sign", "$1", false, false, 0, 0},
    {"quotes", "\"1\"", false, false, 0, 0},
    {"a letter in the digits", "1a", false, false, 0, 0},
    {"Arabic-Indic digit", "\xd9\xa1", false, false, 0, 0},
    {"d for e", "1d3", false, false, 0, 0},
    {"byte before 0", "/", false, false, 0, 0},
    {"byte after 9", ":", false, false, 0, 0},
    {"space after the sign", "- 1", false, false, 0, 0},
    {"exponent of zero without digits", "0e", false, false, 0, 0},
    {"only a point", ".", false, false, 0, 0},
    /* clang-format on */
};

static void check_parse(bool (*parse)(struct amount *, struct span), struct span text,
                        bool accepted, struct amount expected)
{
    struct amount amount = {-77, -88};
    struct amount refused = amount;
    assert_int_equal(parse(&amount, text), accepted);
    if (!accepted) expected = refused;
    assert_int_equal(amount.units, expected.units);
    assert_int_equal(amount.nanos, expected.nanos);
}

static void text_is_parsed(void **state)
{
    const struct parse_row *row = *state;
    struct amount expected = {row->units, row->nanos};
    check_parse(amount_parse, span_of(row->text), row->number, expected);
    check_parse(amount_parse_price, span_of(row->text), row->price, expected);
}

static void nul_bytes_and_absence_are_refused(void **state)
{
    (void)state;
    struct amount none = {0, 0};
    check_parse(amount_parse, SPAN("1\0"), false, none);
    check_parse(amount_parse, SPAN("\0"), false, none);
    check_parse(amount_parse, SPAN("1.\0"), false, none);
    check_parse(amount_parse, SPAN_NONE, false, none);
    check_parse(amount_parse_price, SPAN_NONE, false, none);
}

/* What lies behind the span is not read. */
static void text_ends_where_the_span_ends(void **state)
{
    (void)state;
    check_parse(amount_parse, (struct span){"12.5e3", 2}, true, (struct amount){12, 0});
    check_parse(amount_parse, (struct span){"12.5e3", 3}, false, (struct amount){0, 0});
    check_parse(amount_parse, (struct span){"12.5e3", 4}, true, (struct amount){12, 500000000});
    check_parse(amount_parse, (struct span){"12.5e3", 5}, false, (struct amount){0, 0});
}

static void random_digits(uint64_t *seed, char *out, size_t count)
{
    /* Runs of 0, 5 and 9 are where rounding and carrying go wrong. */
    bool plain = random_below(seed, 2) == 0;
    for (size_t i = 0; i < count; i++)
        out[i] = plain ? (char)('0' + random_below(seed, 10)) : "00005999"[random_below(seed, 8)];
    out[count] = '\0';
}

/* A fraction rounded on its text, in another way than the code does: the digits after the ninth
 * are compared with "5000..." as strings. */
static struct amount round_text(const char *integer, const char *fraction, bool negative)
{
    char nanos[10] = "000000000";
    char tail[32];
    char half[32];
    size_t len = strlen(fraction);
    memcpy(nanos, fraction, len < 9 ? len : 9);
    snprintf(tail, sizeof tail, "%s", len > 9 ? fraction + 9 : "0");
    memset(half, '0', sizeof half);
    half[0] = '5';
    half[strlen(tail)] = '\0';
    int order = strcmp(tail, half);
    struct amount amount = {strtoll(integer, NULL, 10), strtoll(nanos, NULL, 10)};
    if (order > 0 || (order == 0 && amount.nanos % 2 != 0)) amount.nanos++;
    if (amount.nanos == 1000000000) {
        amount.units++;
        amount.nanos = 0;
    }
    if (negative) amount = (struct amount){-amount.units, -amount.nanos};
    return amount;
}

static void random_amounts_agree_with_rounding_of_text(void **state)
{
    (void)state;
    uint64_t seed = random_seed(__func__);
    for (int i = 0; i < 300000; i++) {
        char integer[16];
        char fraction[25];
        char text[64];
        bool negative = random_below(&seed, 2) == 0;
        random_digits(&seed, integer, 1 + random_below(&seed, 15));
        if (integer[0] == '0') integer[1] = '\0';
        random_digits(&seed, fraction, 1 + random_below(&seed, 24));
        snprintf(text, sizeof text, "%s%s.%s", negative ? "-" : "", integer, fraction);
        if (strlen(text) > 40) continue;
        struct amount expected = round_text(integer, fraction, negative);
        struct amount amount;
        if (!amount_parse(&amount, span_of(text)) || amount.units != expected.units ||
            amount.nanos != expected.nanos)
            fail_msg("%s", text);
    }
}

/* The same value with its point moved and an exponent that moves it back. */
static void an_exponent_only_moves_the_point(void **state)
{
    (void)state;
    uint64_t seed = random_seed(__func__);
    int accepted = 0;
    for (int i = 0; i < 300000; i++) {
        char digits[31];
        char plain[64];
        char moved[64];
        random_digits(&seed, digits, 2 + random_below(&seed, 26));
        digits[0] = (char)('1' + random_below(&seed, 9));
        int count = (int)strlen(digits);
        int point = 1 + (int)random_below(&seed, (uint64_t)count - 1);
        int other = 1 + (int)random_below(&seed, (uint64_t)count - 1);
        snprintf(plain, sizeof plain, "%.*s.%s", point, digits, digits + point);
        snprintf(moved, sizeof moved, "%.*s.%se%d", other, digits, digits + other, point - other);
        struct amount a;
        struct amount b;
        bool expected = amount_parse(&a, span_of(plain));
        accepted += expected;
        assert_int_equal(expected, point <= 15 && count - point <= 24);
        if (amount_parse(&b, span_of(moved)) != expected ||
            (expected && (a.units != b.units || a.nanos != b.nanos)))
            fail_msg("%s %s", plain, moved);
    }
    assert_true(accepted > 100000);
}

static void the_sign_only_negates(void **state)
{
    (void)state;
    uint64_t seed = random_seed(__func__);
    for (int i = 0; i < 100000; i++) {
        char text[64] = "-";
        struct amount plus;
        struct amount minus;
        random_digits(&seed, text + 1, 1 + random_below(&seed, 15));
        if (text[1] == '0') continue;
        snprintf(text + strlen(text), 32, "e-%d", (int)random_below(&seed, 25));
        if (!amount_parse(&plus, span_of(text + 1))) fail_msg("%s", text + 1);
        if (!amount_parse(&minus, span_of(text))) fail_msg("%s", text);
        assert_int_equal(plus.units, -minus.units);
        assert_int_equal(plus.nanos, -minus.nanos);
        assert_in_range(plus.nanos, 0, 999999999);
    }
}

/* The header's promise to SQL's sum(): a million of the largest stay far from the end of int64. */
static void halves_add_up(void **state)
{
    (void)state;
    struct amount each;
    int64_t units = 0;
    int64_t nanos = 0;
    assert_true(amount_parse(&each, SPAN("0.1")));
    for (int i = 0; i < 1000000; i++) {
        units += each.units;
        nanos += each.nanos;
    }
    assert_int_equal(units + nanos / 1000000000, 100000);
    assert_int_equal(nanos % 1000000000, 0);
}

int main(void)
{
    UNIT_ADD_ROWS(parse_rows, text_is_parsed);
    UNIT_ADD(nul_bytes_and_absence_are_refused);
    UNIT_ADD(text_ends_where_the_span_ends);
    UNIT_ADD(random_amounts_agree_with_rounding_of_text);
    UNIT_ADD(an_exponent_only_moves_the_point);
    UNIT_ADD(the_sign_only_negates);
    UNIT_ADD(halves_add_up);
    return UNIT_RUN_ADDED("amount");
}
