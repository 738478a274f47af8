"""Sums name nobody: what `adtally erase` takes out of the rows is not in `reports.db` either, and what
was counted once stays counted once."""

import sqlite3

import pytest

import recount
from filled import KEEPS, Filled, at
from support import server as program
from test_report_numbers import numbers

BEGIN = at("2026-11-01T00:00+00:00")
MINUTE = 60_000
TABLES = ("agg", "agg_ad", "agg_kind", "agg_opinion", "agg_state")


def bid(number):
    return {"bid": f"b-{number}", "publisher": "pub-1", "campaign": "cam-1"}


def rate_some(filled, person, labels, reason):
    """The same ads again each time: minds change."""
    for number, label in enumerate(labels):
        filled.rate(BEGIN + number * MINUTE, bid(number), f"{person}-session", label, [reason],
                    user_id=f"{person}-user", sent_user_id=f"{person}-user")


def erase(filled, person):
    program.cli("erase", "--user-id", f"{person}-user", "--session-id", f"{person}-session",
                "--data", filled.data)


def is_counted_right(filled):
    events = recount.chosen(filled.events)
    assert numbers(filled, "--by", "campaign") == recount.traffic(events, ("campaign",))
    assert numbers(filled, "reasons") == recount.reasons(events)


def keep_sums_up_to_a_person(person):
    """The last event that the sums have is feedback of the person."""
    filled = Filled()
    rate_some(filled, person, ["thumbs_up", "thumbs_down", "thumbs_up"], "dull")
    filled.add_uncounted(KEEPS - 2 - filled.last_seq)
    rate_some(filled, person, ["thumbs_down"], "loud")
    filled.server_event(BEGIN)
    filled.settle().report()
    assert filled.kept("agg_state")[0][1] == KEEPS - 1 == filled.events[-2].seq
    return filled


def test_the_sums_of_two_persons_are_the_same():
    """Not a byte of a row depends on who somebody is, hashed or not."""
    somebody, other = keep_sums_up_to_a_person("somebody"), keep_sums_up_to_a_person("other")
    for table in TABLES:
        rows = somebody.kept(table)
        assert rows and rows == other.kept(table), table
    somebody.close()
    other.close()


@pytest.mark.parametrize("sums_end", ["at a row of theirs", "at another's", "behind all of theirs"])
def test_minds_that_changed_are_counted_once_when_the_person_is_erased(sums_end):
    """Rows that the sums have and rows that they do not have yet get another name together."""
    filled = keep_sums_up_to_a_person("gone")
    if sums_end == "at another's":
        filled.pad()
    rate_some(filled, "stays", ["thumbs_down", "thumbs_down"], "odd")
    rate_some(filled, "gone", ["thumbs_down", "thumbs_up", "thumbs_up", "thumbs_up"], "odd")
    filled.settle()
    if sums_end == "behind all of theirs":
        filled.pad()
    is_counted_right(filled)
    before = [filled.kept(table) for table in TABLES]
    erase(filled, "gone")
    is_counted_right(filled)
    assert [filled.kept(table) for table in TABLES] == before, "they were made again"
    filled.pad()
    is_counted_right(filled)
    rate_some(filled, "stays", ["thumbs_up"], "loud")
    filled.settle().pad()
    is_counted_right(filled)
    (filled.data / "reports.db").unlink()
    is_counted_right(filled)
    filled.close()


def test_the_oracle_sees_a_name_that_is_hashed():
    filled, other = keep_sums_up_to_a_person("a"), keep_sums_up_to_a_person("b")
    for made, name in ((filled, 1), (other, 2)):
        with sqlite3.connect(made.data / "reports.db") as db:
            db.execute("UPDATE agg_opinion SET checksum = ?", (name,))
    assert filled.kept("agg_opinion") != other.kept("agg_opinion")
    filled.close()
    other.close()
