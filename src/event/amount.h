#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/* An exact decimal (contract section 5, conversion_value): below 10^15 in magnitude, at most 24
 * fraction digits written out and 40 characters. In units of 10^-9, rounded half to even once:
 *
 *     value = units + nanos / 10^9,  nanos in (-10^9, 10^9) with the sign of the value
 *
 * Both halves add up exactly in 64-bit integers, which is what SQL's sum() does. */
struct amount {
    int64_t units;
    int64_t nanos;
};

/* `text` is a JSON number (grammar already checked by the JSON reader, checked again here). An
 * exponent is allowed: "fraction digits written out" are those of the text with its exponent
 * expanded and its trailing zeros kept (1.0e-24 has 25), and the magnitude is looked at before
 * rounding. False when out of range; `*out` is then as it was. */
bool amount_parse(struct amount *out, struct span text);

/* For prices in mint: the same, but a plain decimal that is not negative (no exponent, no sign). */
bool amount_parse_price(struct amount *out, struct span text);
