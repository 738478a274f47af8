"""`adtally erase`: nothing of a person is left in any byte of the data, and everything counts on."""

import random
import sqlite3
import subprocess
import time

import pytest
from events import is_verified, people
from support import server as program
from support.publisher import results, tally
from support.world import is_recorded, unique


def erase(data, *options, expect=0):
    return program.cli("erase", *options, "--data", data, expect=expect)


def files_with(data, name):
    """The files of the directory in which any text of the person still stands."""
    return sorted(p.name for p in data.iterdir()
                  if p.is_file() and name.encode() in p.read_bytes())


def texts_with(data, name):
    """The columns in which a query still finds them."""
    found, db = [], sqlite3.connect(f"file:{data}/adtally.db?mode=ro", uri=True)
    for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        columns = [c[1] for c in db.execute(f"PRAGMA table_info({table})")]
        for column in columns:
            sql = f"SELECT count(*) FROM {table} WHERE instr({column}, ?)"
            if db.execute(sql, (name,)).fetchone()[0]:
                found.append(f"{table}.{column}")
    db.close()
    return found


def shape(world):
    """What reports are made of: it has to stay."""
    sums = ("SELECT currency, count(*) n, sum(value_units) units FROM conversion GROUP BY 1",
            "SELECT campaign_id, count(*) n FROM impression GROUP BY 1",
            "SELECT feedback_type, count(*) n FROM feedback GROUP BY 1",
            "SELECT sentiment, count(DISTINCT sent_session_id) n FROM ad_feedback GROUP BY 1",
            "SELECT count(*) n, count(DISTINCT bid_id) bids, min(seq), max(seq) FROM click")
    return world.counts(), [world.rows(sql) for sql in sums]


def test_nothing_of_a_person_is_left_and_everything_counts_on(world):
    somebody, _ = people(world, 3)
    gone, others = somebody[0], somebody[1:]
    before, votes = shape(world), tally(results(world, gone.ad))
    assert len(texts_with(world.data, gone.name)) > 15, "the oracle sees too little"
    assert files_with(world.data, gone.name)
    erase(world.data, "--user-id", gone.user, "--session-id", gone.session)
    assert texts_with(world.data, gone.name) == []
    assert files_with(world.data, gone.name) == [], "in the WAL, or in free pages"
    assert shape(world) == before and tally(results(world, gone.ad)) == votes
    gone.is_remembered()
    for other in others:
        other.is_remembered()
        assert len(texts_with(world.data, other.name)) > 15
    is_verified(world.data)
    world.server.stop()
    assert files_with(world.data, gone.name) == []
    world.server.start()
    gone.is_remembered()
    is_verified(world.data)


def test_without_a_server_and_without_the_logs_of_the_indexes(world):
    somebody, _ = people(world, 2)
    world.server.stop()
    said = erase(world.data, "--user-id", somebody[0].user)
    assert "erased from 7 rows" in said, said
    for log in world.data.glob("index-*"):
        log.unlink()
    is_verified(world.data)
    world.server.start()
    for person in somebody:
        person.is_remembered()
    is_verified(world.data)


def test_it_says_what_it_removed_and_the_second_time_nothing(world):
    somebody, _ = people(world, 2)
    done = program.cli_json("erase", "--user-id", somebody[0].user, "--json", "--data", world.data)
    assert done["rows"] == {"click": 1, "conversion": 1, "server_event": 1, "impression": 1,
                            "feedback": 1, "ad_feedback": 1, "vote": 1}
    again = program.cli_json("erase", "--user-id", somebody[0].user, "--json", "--data", world.data)
    assert set(again["rows"].values()) == {0}
    nobody = program.cli_json("erase", "--user-id", unique("x"), "--json", "--data", world.data)
    assert set(nobody["rows"].values()) == {0}


def test_wrong_usage_is_said(world):
    for options in ([], ["--user-id", ""], ["--user", "x"], ["--user-id", "x", "y"]):
        assert program.run("erase", *options, "--data", world.data).returncode == 2
    missing = program.run("erase", "--user-id", "x", "--data", world.data / "nothing")
    assert missing.returncode == 1 and missing.stderr


def test_a_damaged_row_is_left_and_said(world):
    somebody, _ = people(world, 1)
    world.server.stop()
    with sqlite3.connect(world.data / "adtally.db") as db:
        db.execute("UPDATE click SET campaign_id = 'changed'")
    done = program.run("erase", "--user-id", somebody[0].user, "--data", world.data)
    assert done.returncode == 1 and b"could not be erased" in done.stderr, done
    assert program.run("verify", "--data", world.data).returncode == 1


@pytest.mark.parametrize("victim", ["the command", "the server"])
def test_a_kill_in_the_middle_is_finished_by_the_next_time(world, victim):
    somebody, _ = people(world, 12)
    for person in somebody[:6]:
        command = [program.BINARY, "erase", "--user-id", person.user, "--session-id",
                   person.session, "--data", str(world.data)]
        proc = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0, 0.04))
        if victim == "the server":
            world.server.kill()
            proc.wait()
            world.server.start()
        else:
            proc.kill()
            proc.wait()
        is_verified(world.data)
        erase(world.data, "--user-id", person.user, "--session-id", person.session)
        assert texts_with(world.data, person.name) == []
        person.is_remembered()
    is_verified(world.data)
    for person in somebody[6:]:
        assert len(texts_with(world.data, person.name)) > 15
    is_recorded(world.convert(world.click()))
