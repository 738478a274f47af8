"""Contract section 5: amounts, currencies and times, each by a table."""

import decimal
import json

import pytest

from support.world import (API, CANARY, V1, conversion, dump, is_invalid, is_recorded, table,
                           unique)

NANO = decimal.Decimal("1e-9")
decimal.getcontext().prec = 80


def with_value(click, text):
    """A body whose conversion_value is this text, as it is."""
    return dump(conversion(click, conversion_value="@")).replace(b'"@"', text.encode())


def nanos(text):
    """The amount in units of 10^-9, rounded half to even once."""
    return int(decimal.Decimal(text).quantize(NANO, decimal.ROUND_HALF_EVEN).scaleb(9))


ACCEPTED = [
    "0", "-0", "0.0", "1", "49.99", "49.90", "-49.99", "99.990000", "1e2", "1E2", "1e+2", "1.50e1",
    "1.5E-3", "0.1", "0.30000000000000004", "123456789.123456789", "-0.000000001",
    "0.0000000005", "0.0000000015", "0.0000000025", "-0.0000000005", "-0.0000000015",
    "0.00000000050000000000001", "0.00000000049999999999999", "1.0000000005", "2.9999999995",
    "0.9999999999", "-0.9999999999", "999999999999999", "-999999999999999",
    "999999999999999.999999999", "999999999999999.99", "9.99e14", "1e14",
    "0.000000000000000000000001", "1e-24", "1.5e-23", "0.123456789012345678901234",
    "999999999999999.123456789012345678901234", "1000000000000000000e-4",
    "9007199254740993e-2", "90071992547409.93", "12345678901234.56789",
]


@pytest.mark.parametrize("text", ACCEPTED)
@pytest.mark.parametrize("path", [V1, API])
def test_an_amount_is_kept_as_sent_and_summed_exactly(world, path, text):
    is_recorded(world.post(path, with_value(world.click(), text)))
    row = world.last("conversion")
    assert row["conversion_value"] == text
    assert row["value_units"] * 10**9 + row["value_nanos"] == nanos(text)
    assert abs(row["value_nanos"]) < 10**9


REFUSED = {
    "10^15": "1000000000000000", "10^15 by exponent": "1e15", "-10^15": "-1e15",
    "10^15 with a fraction": "1000000000000000.0", "more than 10^15": "1e300",
    "no double": "1e400", "an exponent past 64 bits": "1e99999999999999999999",
    "25 fraction digits": "0.1234567890123456789012345",
    "25 fraction digits, the last a zero": "0.1234567890123456789012340",
    "25 fraction digits by exponent": "1e-25", "25 fraction digits by both": "1.5e-24",
    "a small number past 64 bits": "1e-99999999999999999999", "no small double": "1e-400",
    "41 characters": "-999999999999999.123456789012345678901234",
    "41 characters of zeros": "0." + "0" * 39, "400 digits": "1" * 400,
}


@table("text", REFUSED)
@pytest.mark.parametrize("path", [V1, API])
def test_an_amount_out_of_range_is_refused(world, path, text):
    click, idem = world.click(), unique("idem")
    headers = [("Idempotency-Key", idem)]
    with world.records():
        answer = world.post(path, with_value(click, text), headers=headers)
        is_invalid(answer, 422, (None, ["body", "conversion_value"]))
    assert len(text) <= 16 or text.encode() not in answer.body
    is_recorded(world.convert(click, path, idem))


@pytest.mark.parametrize("text", ['"49.99"', '"x"', "true", "false", "[]", "{}", "[49.99]"])
@pytest.mark.parametrize("path", [V1, API])
def test_an_amount_must_be_a_number(world, path, text):
    click = world.click()
    with world.records():
        answer = world.post(path, with_value(click, text))
        is_invalid(answer, 422, ("number_type", ["body", "conversion_value"]))


def test_sums_are_exact(world):
    """0.1 three times is 0.3, and amounts beyond the precision of a double add up."""
    click, texts = world.click(), ["0.1"] * 30 + ["999999999999999.999999999", "1e-9", "-0.7"] * 5
    with world.records(conversion=len(texts)):
        for answer in world.pipeline([world.post_bytes(V1, with_value(click, t)) for t in texts]):
            is_recorded(answer)
    total = sum(r["value_units"] * 10**9 + r["value_nanos"] for r in world.rows(
        "SELECT value_units, value_nanos FROM conversion WHERE click_id = ?", click))
    assert total == sum(nanos(t) for t in texts)


def test_the_text_of_numbers_elsewhere_is_kept_too(world):
    body = dump(conversion(world.click(), tax="@")).replace(b'"@"', b"12.10")
    is_recorded(world.post(V1, body))
    assert json.loads(world.last("conversion")["params"])["extra"]["tax"] == 12.1


# -- currency -------------------------------------------------------------------------------


@table("sent, stored", {
    "upper case": ("USD", "USD"),
    "lower case": ("eur", "EUR"),
    "mixed case": ("gBp", "GBP"),
    "without minor unit": ("JPY", "JPY"),
    "with three digits of minor unit": ("KWD", "KWD"),
    "in use since 2022": ("SLE", "SLE"),
    "in use since 2024": ("ZWG", "ZWG"),
    "in use since 2025": ("XCG", "XCG"),
    "withdrawn in 2018 (MRO)": ("MRO", "MRO"),
    "withdrawn in 2018 (VEF)": ("VEF", "VEF"),
    "withdrawn in 2023 (HRK)": ("HRK", "HRK"),
    "withdrawn in 2024 (ZWL)": ("ZWL", "ZWL"),
    "withdrawn in 2026 (BGN)": ("bgn", "BGN"),
})
@pytest.mark.parametrize("path", [V1, API])
def test_a_currency_in_use_or_lately_withdrawn_is_stored_in_upper_case(world, path, sent, stored):
    is_recorded(world.convert(world.click(), path, currency=sent))
    assert world.last("conversion")["currency"] == stored


@table("code", {
    "a code of nobody": "ABC",
    "two letters": "US",
    "four letters": "USDD",
    "one letter": "U",
    "digits": "840",
    "a sign": "$",
    "a space behind": "USD ",
    "a space before": " USD",
    "withdrawn long ago (DEM)": "DEM",
    "withdrawn long ago (FRF)": "FRF",
    "withdrawn in 2011 (EEK)": "EEK",
    "withdrawn in 2015 (LTL)": "LTL",
    "letters that only look like it": "ＵＳＤ",
    "a long text": CANARY * 30,
})
@pytest.mark.parametrize("path", [V1, API])
def test_another_currency_is_refused(world, path, code):
    click, idem = world.click(), unique("idem")
    with world.records():
        answer = world.convert(click, path, idem, currency=code)
        is_invalid(answer, 422, ("currency_invalid|string_too_long|string_too_short",
                                 ["body", "currency"]))
    is_recorded(world.convert(click, path, idem))


# -- date-time ------------------------------------------------------------------------------

BASE_MS = 1771524000000  # 2026-02-19T18:00:00Z

TIMES = {
    "2026-02-19T18:00:00Z": BASE_MS,
    "2026-02-19t18:00:00Z": BASE_MS,
    "2026-02-19 18:00:00Z": BASE_MS,
    "2026-02-19T18:00:00z": BASE_MS,
    "2026-02-19T18:00Z": BASE_MS,
    "2026-02-19T18:00": BASE_MS,
    "2026-02-19T18:00:00": BASE_MS,
    "2026-02-19 18:00": BASE_MS,
    "2026-02-19T18:00:00+00:00": BASE_MS,
    "2026-02-19T18:00:00-00:00": BASE_MS,
    "2026-02-19T20:00:00+02:00": BASE_MS,
    "2026-02-19T20:00:00+0200": BASE_MS,
    "2026-02-19T20:00:00+02": BASE_MS,
    "2026-02-19T13:00:00-05": BASE_MS,
    "2026-02-19T23:30:00+05:30": BASE_MS,
    "2026-02-20T08:00:00+14:00": BASE_MS,
    "2026-02-19T20:00+02:00": BASE_MS,
    "2026-02-19T18:00:00.5Z": BASE_MS + 500,
    "2026-02-19T18:00:00.123Z": BASE_MS + 123,
    "2026-02-19T18:00:00.123000000Z": BASE_MS + 123,
    "2026-02-19T18:00:00.001": BASE_MS + 1,
    "2024-02-29T00:00:00Z": 1709164800000,
    "2000-02-29T00:00:00Z": 951782400000,
    "1970-01-01T00:00:00Z": 0,
    "1969-12-31T23:59:59Z": -1000,
    "1969-12-31T23:59:59.999Z": -1,
    "0001-01-01T00:00:00Z": -62135596800000,
    "9999-12-31T23:59:59Z": 253402300799000,
}


@pytest.mark.parametrize("text, stored_ms", TIMES.items())
@pytest.mark.parametrize("path", [V1, API])
def test_a_time_is_kept_as_sent_and_read(world, path, text, stored_ms):
    is_recorded(world.convert(world.click(), path, conversion_time=text))
    row = world.last("conversion")
    assert (row["conversion_time"], row["conversion_time_ms"]) == (text, stored_ms)


@pytest.mark.parametrize("text", [
    "2016-12-31T23:59:60Z", "2017-01-01T00:59:60+01:00", "2017-01-01T05:29:60+0530",
    "2016-12-31T15:59:60-08", "2016-12-31T23:59:60",
])
def test_a_leap_second_is_accepted_at_the_end_of_a_utc_day(world, text):
    is_recorded(world.convert(world.click(), conversion_time=text))


NO_TIMES = [
    "2026-02-19", "20260219T180000Z", "20260219", "2026-02-19T180000Z", "20260219T18:00:00Z",
    "2026-W08-4T18:00:00Z", "2026W084T180000Z", "2026-050T18:00:00Z", "2026-02T18:00:00Z",
    "1771524000", "18:00:00Z", "2026-02-19T18Z", "2026-02-19T18", "2026-02-19T", "2026-02-19TZ",
    "2026-2-19T18:00:00Z", "26-02-19T18:00:00Z", "02026-02-19T18:00:00Z", "+2026-02-19T18:00:00Z",
    "2026-02-19T8:00:00Z", "2026-02-19T18:0:00Z", "2026-02-19T18:00:0Z", "2026/02/19T18:00:00Z",
    "2026-02-19  18:00:00Z", "2026-02-19_18:00:00Z", "2026-02-19T18:00:00 Z",
    " 2026-02-19T18:00:00Z", "2026-02-19T18:00:00Z ", "2026-02-19T18:00:00Zx",
    "2026-02-19T18:00:00UTC", "2026-02-19T18:00:00ZZ", "2026-02-19T18:00:00Z+00:00",
    "2026-02-19T18:00:00.Z", "2026-02-19T18:00:00.", "2026-02-19T18:00:00.1.2Z",
    "2026-02-19T18:00:00+", "2026-02-19T18:00:00+2", "2026-02-19T18:00:00+2:00",
    "2026-02-19T18:00:00+020", "2026-02-19T18:00:00+02:0", "2026-02-19T18:00:00+02:",
    "2026-02-19T18:00:00+02:60", "2026-02-19T18:00:00+25:00", "2026-02-19T18:00:00\u221205:00",
    "2026-00-19T18:00:00Z", "2026-13-19T18:00:00Z", "2026-02-00T18:00:00Z",
    "2026-01-32T18:00:00Z", "2026-04-31T18:00:00Z", "2026-02-29T18:00:00Z",
    "1900-02-29T18:00:00Z", "2026-02-19T25:00:00Z", "2026-02-19T18:60:00Z",
    "2026-02-19T18:00:61Z", "2026-02-19T18:00:60Z", "2026-12-31T23:58:60Z",
    "2016-12-31T23:59:60+01:00", "2017-01-01T00:59:60Z", "2026-02-19T-1:00:00Z",
    "Thu, 19 Feb 2026 18:00:00 GMT", "yesterday", "2026-02-19T18:00:00Z; " + CANARY,
    "\uff12\uff10\uff12\uff16-02-19T18:00:00Z",
]


@pytest.mark.parametrize("text", NO_TIMES)
@pytest.mark.parametrize("path", [V1, API])
def test_what_is_no_extended_iso_8601_is_refused(world, path, text):
    click = world.click()
    with world.records():
        answer = world.convert(click, path, conversion_time=text)
        is_invalid(answer, 422, ("datetime_invalid", ["body", "conversion_time"]))


@pytest.mark.parametrize("value", [1771524000, 1771524000.5, True, [], {}], ids=repr)
@pytest.mark.parametrize("path", [V1, API])
def test_a_time_must_be_a_string(world, path, value):
    click = world.click()
    with world.records():
        answer = world.convert(click, path, conversion_time=value)
        is_invalid(answer, 422, ("datetime_invalid|string_type", ["body", "conversion_time"]))


@pytest.mark.parametrize("text", ["1999-01-01T00:00:00Z", "2199-01-01T00:00:00Z"])
def test_a_time_is_compared_with_nothing(world, text):
    is_recorded(world.convert(world.click(), conversion_time=text))
