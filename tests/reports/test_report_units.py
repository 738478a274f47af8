"""Sums are kept by quarter, hour and day, by ad and by single names, many ads to a row: whichever of
them a report is made of, it is what the oracle counts."""

import itertools
import random
import zoneinfo

import pytest

import recount
from filled import Filled, at
from support.world import table
from test_report_numbers import by_flags, numbers

ADS = 4400  # a placement each. Half are kept: with what stands for them, more than a row has (4096)
DAY_MS = 86400000
BEGIN = at("2026-10-23T00:00+00:00")  # the clocks of Berlin go back on the third day
DAYS = 4


def ad_of(number):
    return {"bid": f"b-{number}", "publisher": f"pub-{number % 3}", "campaign": f"cam-{number % 7}",
            "product": f"prd-{number % 14}", "placement": f"slot-{number}", "price": "0.25",
            "advertiser": f"adv-{number % 7 % 2}", "currency": "EUR", "pricing": "cpc"}


@pytest.fixture(scope="module")
def filled():
    """Most of it in kept sums, the last of each kind counted by each report."""
    made, rng = Filled(), random.Random(11)
    made.db.execute("BEGIN")
    for first in (0, 1):
        for number in range(first, ADS, 2):
            when = BEGIN + rng.randrange(DAYS * DAY_MS)
            made.impression(when, ad_of(number), rng.choice([0, 0, 0, 1]))
            if number % 5 < 2:
                click = made.click(when, ad_of(number))
                made.convert(when + rng.randrange(DAY_MS), click, "1.5", "EUR")
        if not first:
            made.db.execute("COMMIT")
            made.settle().pad()
            made.db.execute("BEGIN")
    made.db.execute("COMMIT")
    yield made.settle()
    made.close()


def test_there_is_more_than_one_row_to_a_day(filled):
    assert max(row[3] for row in filled.kept("agg")) > 0
    assert {row[:2] for row in filled.kept("agg")} == set(
        itertools.product(range(7), (1, 4, 96)))


FILTERS = {
    "no filter": {},
    "a campaign": {"campaign": ["cam-3"]},
    "placements at both ends": {"placement": ["slot-0", f"slot-{ADS - 1}", "slot-1200"]},
    "a publisher's product": {"publisher": ["pub-1"], "product": ["prd-4", "prd-5"]},
}
ZONES = ("UTC", "Asia/Kolkata", "Asia/Kathmandu", "Europe/Berlin")
RANGES = {  # in UTC days are units; each other zone cuts them elsewhere
    "all time": [],
    "whole days": ["--from", "2026-10-24", "--to", "2026-10-25"],
    "hours": ["--from", "2026-10-23T05:00:00Z", "--to", "2026-10-26T21:00:00Z"],
    "quarters": ["--from", "2026-10-23T05:15:00Z", "--to", "2026-10-25T00:45:00Z"],
}


def bounds(flags, zone):
    """The range in milliseconds, as a calendar of somebody else's has it."""
    if not flags:
        return {}
    begin, end = flags[1], flags[3]
    if "T" in begin:
        return {"begin": at(begin.replace("Z", "+00:00")), "end": at(end.replace("Z", "+00:00"))}
    day = recount.datetime.datetime.fromisoformat
    after = day(end) + recount.datetime.timedelta(days=1)
    return {"begin": round(day(begin).replace(tzinfo=zone).timestamp() * 1000),
            "end": round(after.replace(tzinfo=zone).timestamp() * 1000)}


@table("filters", FILTERS)
@table("within", RANGES)
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("by", ["", "day", "campaign,hour", "placement,publisher"])
def test_units_chunks_and_zones_equal_a_recount(filled, filters, within, zone, by):
    columns, in_zone = tuple(by.split(",")) if by else (), zoneinfo.ZoneInfo(zone)
    flags = [f"--{name}={value}" for name, values in filters.items() for value in values]
    events = recount.chosen(filled.events, filters, **bounds(within, in_zone))
    asked = (*flags, *within, "--tz", zone, *by_flags(columns))
    assert numbers(filled, *asked) == recount.traffic(events, columns, in_zone)


def test_money_and_flags_come_out_of_the_same_rows(filled):
    for zone, by in itertools.product(ZONES, ("day", "campaign,hour")):
        columns, in_zone = tuple(by.split(",")), zoneinfo.ZoneInfo(zone)
        events = recount.chosen(filled.events, flagged=False)
        asked = ("--tz", zone, "--exclude-flagged", *by_flags(columns))
        assert numbers(filled, "money", *asked) == recount.money(events, columns, in_zone)
