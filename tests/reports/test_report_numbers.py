"""Every number of every report, against an oracle that counts the events itself."""

import csv
import io
import json
import zoneinfo

import pytest

import recount
from filled import HOSTILE, IDS, Filled, at, random_events
from support import server as program
from support.world import table

BERLIN = "Europe/Berlin"  # clocks went back on 2026-10-25 at 01:00 UTC
BEGIN, END = at("2026-10-24T12:00+00:00"), at("2026-10-26T12:00+00:00")
ORACLES = {"traffic": recount.traffic, "money": recount.money, "reasons": recount.reasons}


@pytest.fixture(scope="module")
def filled():
    """Half of the events are in kept sums, half are counted by each report."""
    made = random_events(Filled(), 600, BEGIN, END, seed=6).pad()
    yield random_events(made, 600, BEGIN, END, seed=7)
    made.close()


def numbers(filled, *args):
    """The report as rows of values; numbers of JSON as they are written."""
    answer = json.loads(filled.report(*args, "--json"), parse_float=str)
    return [list(row.values()) for row in answer["rows"]]


def by_flags(by):
    return ["--by", ",".join(by)] if by else []


@pytest.mark.parametrize("zone", ["UTC", BERLIN, "Asia/Kathmandu"])
@pytest.mark.parametrize("by", [",".join(by) for by in recount.combinations()])
def test_every_by_is_what_the_oracle_counts(filled, by, zone):
    columns = tuple(by.split(",")) if by else ()
    events = recount.chosen(filled.events)
    flags, in_zone = (*by_flags(columns), "--tz", zone), zoneinfo.ZoneInfo(zone)
    for kind, count in ORACLES.items():
        expected = count(events, columns, in_zone)
        assert expected and numbers(filled, kind, *flags) == expected, kind
    assert numbers(filled, "polls", *flags) == recount.polls(events, filled.polls, columns, in_zone)


@table("zone", {name: name for name in (
    "UTC", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe",
    "Pacific/Kiritimati", "Pacific/Apia", "America/St_Johns", "Africa/Casablanca",
    "Asia/Tehran", "America/Santiago", "Antarctica/Troll", "Africa/Cairo", "Asia/Gaza")})
@pytest.mark.parametrize("around", ["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04",
                                    "2026-11-01", "2099-03-29", "1990-06-01"])
def test_days_and_hours_are_those_of_the_zone(zone, around):
    begin = at(f"{around}T00:00+00:00") - 86400000
    filled = random_events(Filled(), 60, begin, begin + 3 * 86400000, seed=around + zone).pad()
    events = recount.chosen(filled.events)
    for unit in ("day", "hour"):
        expected = recount.traffic(events, (unit,), zoneinfo.ZoneInfo(zone))
        assert numbers(filled, "--by", unit, "--tz", zone) == expected
    filled.close()


def test_the_hour_that_a_clock_shows_twice_is_two():
    filled, ad = Filled(), {"bid": "b", "publisher": "p"}
    for minute in ("00:30", "01:30"):
        filled.impression(at(f"2026-10-25T{minute}+00:00"), ad)
    rows = numbers(filled.settle(), "--by", "hour", "--tz", BERLIN)
    assert [row[:2] for row in rows] == [["2026-10-25T02:00+02:00", 1],
                                         ["2026-10-25T02:00+01:00", 1]]
    filled.close()


@table("filters", {
    "one campaign": {"campaign": ["cam-1"]},
    "two campaigns": {"campaign": ["cam-1", "cam-2"]},
    "a campaign of a publisher": {"campaign": ["cam-1"], "publisher": ["pub-2"]},
    "no campaign": {"campaign": [""]},
    "all five": {n: [f"{n[:3]}-1"] for n in IDS},
    "one that is not there": {"campaign": ["nobody"]},
    "hostile names": {"campaign": HOSTILE},
    **{f"hostile {name!r}": {"campaign": [name]} for name in HOSTILE},
})
@pytest.mark.parametrize("kind", ["traffic", "money", "reasons", "polls", "comments"])
def test_filters_are_compared_as_they_are(filled, kind, filters):
    flags = [f"--{name}={value}" for name, values in filters.items() for value in values]
    events = recount.chosen(filled.events, filters)
    if kind == "comments":
        expected = recount.comments(events)
    elif kind == "polls":
        expected = recount.polls(events, filled.polls)
    else:
        expected = ORACLES[kind](events)
    assert numbers(filled, kind, *flags) == expected


@table("begin, end, flags", {
    "from a time": ("2026-10-25T00:15+00:00", None, ["--from", "2026-10-25T00:15:00Z"]),
    "to a time": (None, "2026-10-25T06:45+00:00", ["--to", "2026-10-25T06:45:00Z"]),
    "a day of Berlin": ("2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00",
                        ["--from", "2026-10-25", "--to", "2026-10-25", "--tz", BERLIN]),
    "a day of Kolkata": ("2026-10-25T00:00+05:30", "2026-10-26T00:00+05:30",
                         ["--from", "2026-10-25", "--to", "2026-10-25", "--tz", "Asia/Kolkata"]),
    "nothing": ("2027-01-01T00:00+00:00", None, ["--from", "2027-01-01"]),
})
def test_ranges_are_exact(filled, begin, end, flags):
    events = recount.chosen(filled.events, begin=begin and at(begin), end=end and at(end))
    assert numbers(filled, *flags) == recount.traffic(events)
    assert numbers(filled, "money", *flags) == recount.money(events)
    assert numbers(filled, "comments", "--limit", "7", *flags) == recount.comments(events, 7)


def test_flagged_traffic_can_be_left_out(filled):
    events = recount.chosen(filled.events, flagged=False)
    assert len(events) < len(recount.chosen(filled.events))
    flags = ("--by", "campaign,hour", "--exclude-flagged")
    by = ("campaign", "hour")
    assert numbers(filled, *flags) == recount.traffic(events, by)
    assert numbers(filled, "money", *flags) == recount.money(events, by)
    assert numbers(filled, "comments", "--exclude-flagged") == recount.comments(events)


def test_a_day_can_begin_at_one():
    """Cairo 2026-04-24: no midnight. What happened at 22:00 UTC before is 01:00 of that day."""
    filled, ad = Filled(), {"bid": "b", "publisher": "p"}
    for time in ("21:59:59", "22:00:00"):
        filled.impression(at(f"2026-04-23T{time}+00:00"), ad)
    rows = numbers(filled.settle(), "--from", "2026-04-24", "--tz", "Africa/Cairo")
    assert rows[0][0] == 1
    filled.close()


def test_csv_and_json_say_the_same(filled):
    rows = list(csv.reader(io.StringIO(filled.report("--by", "campaign,day", "--csv"), newline="")))
    answer = json.loads(filled.report("--by", "campaign,day", "--json"), parse_float=str)["rows"]
    assert rows[0] == list(answer[0])

    def as_csv(value):
        formula = isinstance(value, str) and value[:1] in ("=", "+", "@")
        return "" if value is None else ("'" if formula else "") + str(value)

    assert rows[1:] == [[as_csv(v) for v in row.values()] for row in answer]


def test_csv_lines_end_as_rfc_4180_says(filled):
    done = program.run("report", "--by", "campaign", "--csv", "--data", filled.data)
    assert done.stdout.endswith(b"\r\n")
    assert b'"say ""hi"", twice"' in done.stdout and b"'=1+1," in done.stdout


def test_a_table_is_aligned_and_speaks_to_no_terminal(filled):
    lines = filled.report("--by", "campaign").splitlines()
    assert len({len(line) for line in lines}) == 1, lines
    assert lines[0].split() == ["campaign", "impressions", "clicks", "ctr", "conversions",
                                "conversion_rate", "positive", "negative", "positive_share"]
    assert not any(c < " " or c == "\x7f" for line in lines for c in line)
    assert any(line.startswith("(none) ") for line in lines)


# -- nothing, and running sums ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["traffic", "money", "reasons", "comments", "polls"])
@pytest.mark.parametrize("form", ["--json", "--csv", "--format=text"])
def test_nothing_recorded_is_an_empty_report(kind, form):
    filled = Filled()
    out = filled.report(kind, form)
    if form == "--json":
        zeros = [0, 0, None, 0, None, 0, 0, None]
        expected = [zeros] if kind == "traffic" else []
        assert [list(r.values()) for r in json.loads(out)["rows"]] == expected
    else:
        assert len(out.splitlines()) == (2 if kind == "traffic" else 1)
    filled.close()


def test_a_report_needs_no_reports_db_and_no_room_to_write_it(filled):
    expected = numbers(filled, "--by", "campaign")
    kept = filled.data / "reports.db"
    kept.unlink()
    kept.mkdir()  # what no database can be
    assert numbers(filled, "--by", "campaign") == expected
    kept.rmdir()
    kept.write_bytes(b"no database" * 1000)
    assert numbers(filled, "--by", "campaign") == expected
    assert numbers(filled, "--by", "campaign") == expected


# -- what other commands do to the rows ------------------------------------------------------


def give(filled, table, columns, row):
    """A row of a table that the store may not have yet."""
    filled.db.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns}, checksum INTEGER)")
    filled.db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({','.join('?' * len(row))}, 0)", row)


def test_sums_outlive_the_rows_that_retention_removes():
    filled = random_events(Filled(), 200, BEGIN, END, seed=8).pad()
    before = numbers(filled, "--by", "campaign")
    gone = filled.db.execute("DELETE FROM impression WHERE seq <= 150").rowcount
    give(filled, "removed", "name PRIMARY KEY, rows, below_seq", ("impression", gone, 151))
    assert gone and numbers(filled, "--by", "campaign") == before
    (filled.data / "reports.db").unlink()
    assert numbers(filled, "--by", "campaign") != before  # a new one has what the rows have
    filled.close()


def test_votes_counted_elsewhere_are_in_the_polls_of_all_time():
    filled = Filled()
    filled.poll(1, "Which?", [("a", "A"), ("b", "B")])
    filled.vote(BEGIN, {"bid": "b", "publisher": "p", "campaign": "c"}, 1, "a")
    filled.settle()
    give(filled, "poll_count", "poll_id, option_id, votes", (1, "b", 3))
    votes = [row[4:] for row in numbers(filled, "polls")]
    assert votes == [[1, "0.250000"], [3, "0.750000"]]
    assert [row[4] for row in numbers(filled, "polls", "--campaign", "c")] == [1, 0]
    filled.close()
