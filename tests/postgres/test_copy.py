"""`adtally copy`: afterwards the database is what the data directory was."""

import contextlib
import signal
import sqlite3
import time

import pytest

from copying import (begin, cli_lines, collect_many, copy, exported, fill, is_the_same, results,
                     serve, wait_for)
from support import aged
from support import server as program
from support.checksum import MASK, checksum, encode, murmur64a
from support.publisher import rate
from support.world import COLLECT, World, event, is_duplicate, unique

FINAL_S = 10


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()


def test_all_is_what_it_was(world, database):
    persons, _ = fill(world)
    before = [results(world, person.ad) for person in persons]
    ratings = [rate(world, person.rating) for person in persons]
    keys, tokens = cli_lines("key", world.data), cli_lines("token-key", world.data)
    world.server.stop()
    assert copy(world.data, database) == f"copied {len(exported(world.data))} events\n"
    is_the_same(world, database)
    with serve(world, program.temp_dir(), "--store", database):
        for person in persons:
            person.is_remembered()
        assert [results(world, person.ad) for person in persons] == before
        again = [rate(world, person.rating) for person in persons]
        assert [a.json for a in again] == [a.json for a in ratings]
        data = world.server.data
        assert cli_lines("key", data, "--store", database) == keys
        assert cli_lines("token-key", data, "--store", database) == tokens
        seqs = {line["seq"] for line in exported(world.data)}
        assert world.post(COLLECT, event(event_id=unique("new"))).status == 204
        end = time.monotonic() + FINAL_S
        while len(now := exported(data, "--store", database)) <= len(seqs):
            assert time.monotonic() < end
            time.sleep(0.1)
        assert len({line["seq"] for line in now}) == len(seqs) + 1


def test_the_oracle_notices_a_row_and_a_key_that_is_lost(world, database, cluster):
    persons, _ = fill(world)
    world.server.stop()
    copy(world.data, database)
    name = database.rsplit("/", 1)[1]
    cluster.sql("DELETE FROM conversion_key", name)
    cluster.sql("DELETE FROM vote", name)
    with pytest.raises(AssertionError):
        is_the_same(world, database)
    with serve(world, program.temp_dir(), "--store", database), pytest.raises(AssertionError):
        persons[0].is_remembered()


def test_limits_of_a_bid_and_of_a_session_go_on(world, database):
    """A click of the bid more after the copy is the bid's next, not its first."""
    ad = world.mint()
    for _ in range(99):
        assert world.get(world.target(ad["url"])).status in (302, 303)
    world.server.stop()
    copy(world.data, database)
    with serve(world, program.temp_dir(), "--store", database):
        world.get(world.target(ad["url"]))
        world.get(world.target(ad["url"]))
    clicks = [x for x in exported(world.data, "--store", database) if x["table"] == "click"]
    assert len(clicks) == 100


def test_texts_that_a_database_does_not_take_are_as_exports_write_them(world, database):
    world.get(world.target(world.mint()["url"]))
    world.server.stop()
    with sqlite3.connect(world.data / "adtally.db") as conn:
        row = list(conn.execute("SELECT * FROM click").fetchone())
        names = [c[1] for c in conn.execute("PRAGMA table_info(click)")]
        assert checksum("click", row[:-1]) == row[-1]
        raw = b"caf\xe9\xff"
        value = 0
        for part in ("click", *(raw if n == "user_agent" else v
                                for n, v in zip(names[:-1], row[:-1]))):
            kind, data = (2, part) if part is raw else encode(part)
            value = murmur64a(data, value + kind & MASK)
        conn.execute("UPDATE click SET user_agent = CAST(? AS TEXT), checksum = ?",
                     (raw, value - (1 << 64) if value >> 63 else value))
    copy(world.data, database)
    is_the_same(world, database)
    assert exported(world.data)[0]["user_agent"] == "caf\xe9\xff"


def test_what_retention_took_is_missed_by_nobody(database, cluster):
    """Verify knows by these marks that older sums of reports may be more than the rows."""
    data = aged.make()
    server = program.Server(data).start()
    aged.await_removal(data)
    server.stop()
    copy(data, database)
    marks = [(row["name"], row["below_seq"]) for row in program.query(
        data, "SELECT name, below_seq FROM removed WHERE below_seq > 0 ORDER BY name")]
    copied = cluster.sql("SELECT name, below_seq FROM removed ORDER BY name COLLATE \"C\"",
                         database.rsplit("/", 1)[1])
    assert len(marks) == len(aged.OLD) and [(name, int(seq)) for name, seq in copied] == marks
    program.cli("verify", "--data", data, "--store", database)


SLOW = """CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
          'BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END'"""


@contextlib.contextmanager
def slow_steps(cluster, name):
    """A copy that was claimed takes a while for each step, so that it can be met between two."""
    cluster.sql("INSERT INTO copying VALUES (1, -1)", name)
    cluster.sql(SLOW, name)
    cluster.sql("CREATE TRIGGER slow BEFORE UPDATE ON copying FOR EACH ROW EXECUTE FUNCTION slow()",
                name)
    yield
    cluster.sql("DROP TRIGGER slow ON copying", name)


def others(cluster, name):
    return cluster.sql("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND"
                       f" datname = '{name}'")


def kill_behind(proc, cluster, name, wanted):
    """Once so much is copied; the database takes a moment to notice."""
    while int(cluster.sql("SELECT cursor FROM copying", name)[0][0]) < wanted:
        assert proc.poll() is None
        time.sleep(0.005)
    proc.send_signal(signal.SIGKILL)
    assert proc.wait() == -signal.SIGKILL
    proc.stderr.close()
    wait_for(lambda: not others(cluster, name))


def test_a_copy_that_is_killed_goes_on(world, database, cluster):
    persons, _ = fill(world)
    collect_many(world, 12000)
    world.server.stop()
    with serve(world, program.temp_dir(), "--store", database):
        pass  # which makes the tables
    name = database.rsplit("/", 1)[1]
    with slow_steps(cluster, name):
        for wanted in (0, 2048, 6144):
            kill_behind(begin(world.data, database), cluster, name, wanted)
    refused = program.run("serve", "--data", program.temp_dir(), "--listen", "127.0.0.1:0",
                          "--store", database)
    assert refused.returncode == 1 and b"adtally copy has not filled" in refused.stderr
    copy(world.data, database)
    is_the_same(world, database)
    with serve(world, program.temp_dir(), "--store", database):
        for person in persons:
            person.is_remembered()


def test_what_is_refused(world, database, cluster):
    click = world.click()
    answer = world.convert(click, idem="one")
    assert "another" in copy(world.data, database, expect=1)
    world.server.stop()
    copy(world.data, database)
    assert "give the copy one that is empty" in copy(world.data, database, expect=1)
    with serve(world, program.temp_dir(), "--store", database):
        is_duplicate(world.convert(click, idem="one"), of=answer.receipt)
        empty = cluster.url(cluster.new_database())
        with serve(world, program.temp_dir(), "--store", empty):
            assert "in use" in copy(world.data, empty, expect=1)
    for same in (("a", "b"), (database, database)):
        assert "or the other way round" in copy(*same, expect=2)


def test_a_copy_of_another_directory_is_not_gone_on_with(world, database, cluster):
    collect_many(world, 10)
    world.server.stop()
    copy(world.data, database)
    cluster.sql("INSERT INTO copying VALUES (1, 1)", database.rsplit("/", 1)[1])
    other = World()
    other.server.stop()
    assert "another data directory" in copy(other.data, database, expect=1)
    other.close()


def test_damage_is_not_copied(world, database):
    collect_many(world, 10)
    world.server.stop()
    with sqlite3.connect(world.data / "adtally.db") as conn:
        conn.execute("UPDATE server_event SET tag_id = 'x' WHERE seq = 6")
    assert "(seq 6) is damaged" in copy(world.data, database, expect=1)


def test_a_claim_that_was_cut_off_is_taken_up(world, database, cluster):
    """Killed between the claim and the first transaction: of an empty database, and of a used one."""
    collect_many(world, 10)
    world.server.stop()
    name = database.rsplit("/", 1)[1]
    with serve(world, program.temp_dir(), "--store", database):
        cluster.sql("INSERT INTO copying VALUES (1, -1)", name)
        assert "in use" in copy(world.data, database, expect=1)
    assert cluster.sql("SELECT count(*) FROM lane", name) == [["0"]]
    copy(world.data, database)
    is_the_same(world, database)
    assert cluster.sql("SELECT count(*) FROM copying", name) == [["0"]]
