#include "event/amount.h"

#include "fuzz.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Amounts. The second opinion reads the grammar with a regular expression and does its arithmetic
 * on strings of digits: the decimal is laid out in columns, cut at the ninth fraction digit,
 * rounded by looking at what was cut off, and read with strtoll.
 *
 * Input: the text. */

enum {
    TEXT_MAX = 40,
    /* Columns: one for a carry, 15 before the point, 24 after it; the first nanos_end are kept. */
    INTEGER_COLUMNS = 16,
    FRACTION_COLUMNS = 24,
    COLUMNS = INTEGER_COLUMNS + FRACTION_COLUMNS,
    NANOS_END = INTEGER_COLUMNS + 9,
};

struct opinion {
    bool accepted, has_sign, has_exponent;
    long long units, nanos;
};

enum { SIGN = 1, INTEGER, POINT, FRACTION, EXPONENT, POWER, GROUPS };

static bool match(const char *text, regmatch_t groups[GROUPS])
{
    static regex_t grammar;
    static bool is_ready;
    if (!is_ready)
        require(regcomp(&grammar, "^(-?)(0|[1-9][0-9]*)(\\.([0-9]+))?([eE]([-+]?[0-9]+))?$",
                        REG_EXTENDED) == 0,
                "the grammar of the second opinion");
    is_ready = true;
    return regexec(&grammar, text, GROUPS, groups, 0) == 0;
}

static size_t length_of(const regmatch_t *group)
{
    return group->rm_so < 0 ? 0 : (size_t)(group->rm_eo - group->rm_so);
}

/* Writes each digit into the column of its weight. False: one that counts has none. */
static bool lay_out(char columns[COLUMNS + 1], const char *digits, long scale)
{
    long count = (long)strlen(digits);
    memset(columns, '0', COLUMNS);
    columns[COLUMNS] = '\0';
    for (long i = 0; i < count; i++) {
        long column = INTEGER_COLUMNS - (count - scale) + i;
        if (column >= 1 && column < COLUMNS)
            columns[column] = digits[i];
        else if (digits[i] != '0')
            return false;
    }
    return true;
}

static void round_half_to_even(char columns[COLUMNS + 1])
{
    const char *half = "500000000000000", *rest = columns + NANOS_END;
    int order = strcmp(rest, half);
    bool is_odd = (columns[NANOS_END - 1] - '0') % 2 == 1;
    columns[NANOS_END] = '\0';
    if (order < 0 || (order == 0 && !is_odd)) return;
    int at = NANOS_END - 1;
    for (; columns[at] == '9'; at--)
        columns[at] = '0';
    columns[at]++;
}

static struct opinion read_again(const char *text, size_t len)
{
    struct opinion opinion = {0};
    regmatch_t groups[GROUPS];
    char digits[TEXT_MAX + 1], columns[COLUMNS + 1];
    if (len > TEXT_MAX || strlen(text) != len || !match(text, groups)) return opinion;
    opinion.has_sign = length_of(&groups[SIGN]) > 0;
    opinion.has_exponent = length_of(&groups[EXPONENT]) > 0;
    snprintf(digits, sizeof digits, "%.*s%.*s", (int)length_of(&groups[INTEGER]),
             text + groups[INTEGER].rm_so, (int)length_of(&groups[FRACTION]),
             text + (groups[FRACTION].rm_so < 0 ? 0 : groups[FRACTION].rm_so));
    long power = opinion.has_exponent ? strtol(text + groups[POWER].rm_so, NULL, 10) : 0;
    if (power > 100000) power = 100000;
    if (power < -100000) power = -100000;
    long scale = (long)length_of(&groups[FRACTION]) - power;
    if (scale > FRACTION_COLUMNS || !lay_out(columns, digits, scale)) return opinion;
    round_half_to_even(columns);
    opinion.accepted = true;
    opinion.nanos = strtoll(columns + INTEGER_COLUMNS, NULL, 10);
    columns[INTEGER_COLUMNS] = '\0';
    opinion.units = strtoll(columns, NULL, 10);
    if (opinion.has_sign) {
        opinion.units = -opinion.units;
        opinion.nanos = -opinion.nanos;
    }
    return opinion;
}

static void check_same(const struct amount *ours, const struct opinion *opinion)
{
    require(ours->units == opinion->units && ours->nanos == opinion->nanos, "the values differ");
}

/* What is kept in the database, written out, is the same amount; rounding may have reached 10^15,
 * which is out of range. */
static void check_written(const struct amount *amount)
{
    char text[TEXT_MAX + 1];
    struct amount again = {0};
    if (llabs(amount->units) >= 1000000000000000) return;
    int len = snprintf(text, sizeof text, "%s%lld.%09lld",
                       amount->units < 0 || amount->nanos < 0 ? "-" : "", llabs(amount->units),
                       llabs(amount->nanos));
    bool accepted = amount_parse(&again, (struct span){text, (size_t)len}) && !lies("written");
    require(accepted && again.units == amount->units && again.nanos == amount->nanos,
            "an amount written out is another");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct span text = own_copy((struct span){(const char *)bytes, size});
    char *copy = c_text(text);
    struct opinion opinion = read_again(copy, size);
    struct amount amount = {7, 7}, price = {7, 7};
    bool accepted = amount_parse(&amount, text) ^ lies("verdict");
    require(accepted == opinion.accepted, "the verdicts differ");
    if (lies("value")) amount.nanos++;
    if (accepted) check_same(&amount, &opinion);
    require(accepted || (amount.units == 7 && amount.nanos == 7), "a refusal changes the amount");
    if (accepted) check_written(&amount);

    bool is_price = amount_parse_price(&price, text) ^ lies("price");
    require(is_price == (accepted && !opinion.has_sign && !opinion.has_exponent),
            "the verdicts on a price differ");
    if (is_price) check_same(&price, &opinion);
    free(copy);
    own_free(text);
    return 0;
}
