"""`adtally erase` over a database: nothing of a person is left in any row, and everything counts on."""

import pathlib
import sys

import pytest

from support import server as program
from support.publisher import results, tally
from support.world import TABLES

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "data"))

from events import lines_of, people  # noqa: E402


def erase(data, *options):
    return program.cli("erase", *options, "--data", data)


def tables_with(data, name):
    """The tables in which a text of the person still stands."""
    names = program.query(data, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return sorted(row["tablename"] for row in names if program.query(
        data, f"SELECT 1 AS found FROM {row['tablename']} t WHERE t::text LIKE ? LIMIT 1",
        f"%{name}-%"))


def shape(world):
    sums = ("SELECT currency, count(*) n, sum(value_units) units FROM conversion GROUP BY 1",
            "SELECT feedback_type, count(*) n FROM feedback GROUP BY 1",
            "SELECT sentiment, count(DISTINCT sent_session_id) n FROM ad_feedback GROUP BY 1")
    return world.counts(), [world.rows(sql) for sql in sums]


@pytest.mark.parametrize("is_running", [True, False])
def test_nothing_of_a_person_is_left_and_everything_counts_on(world, is_running):
    somebody, _ = people(world, 3)
    gone, others = somebody[0], somebody[1:]
    before, votes = shape(world), tally(results(world, gone.ad))
    assert set(TABLES) <= set(tables_with(world.data, gone.name)), "the oracle sees too little"
    if not is_running:
        world.server.stop()
    text = erase(world.data, "--user-id", gone.user, "--session-id", gone.session)
    assert "erased from 7 rows" in text
    assert "erased from 0 rows" in erase(world.data, "--user-id", gone.user, "--session-id",
                                         gone.session)
    if not is_running:
        world.server.start()
    assert tables_with(world.data, gone.name) == []
    assert shape(world) == before and tally(results(world, gone.ad)) == votes
    gone.is_remembered()
    for other in others:
        other.is_remembered()
        assert set(TABLES) <= set(tables_with(world.data, other.name))
    lines_of(program.cli("export", "--format", "ndjson", "--data", world.data))  # all rows whole
