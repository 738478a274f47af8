"""`adtally copy --from postgresql://... --to DIR`: afterwards the directory is what the database was."""

import contextlib
import json
import pathlib
import signal
import sqlite3
import sys
import time
import uuid

import pytest

from copying import (Person, begin, cli_lines, collect_many, copy, exported, fill, is_verified,
                     people, results, serve)
from support import server as program
from support import torture
from support.checksum import checksum
from support.publisher import rate
from support.world import COLLECT, World, event, unique

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "points"))

from crash_point import KILLED, CrashPoint  # noqa: E402

PART = 4096  # sequences
HOUR_MS = 3600 * 1000
POINTS = torture.size(10, 10**6)


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()


@pytest.fixture(scope="module")
def large(cluster):
    """A database with three parts of events, for tests that only read it."""
    world = World()
    persons, _ = fill(world)
    collect_many(world, 10000)
    world.server.stop()
    database = cluster.url(cluster.new_database())
    copy(world.data, database)
    world.database, world.persons = database, persons
    world.lines = exported(world.data)
    yield world
    world.close()


def new_dir():
    return program.temp_dir() / "back"


def name_of(database):
    return database.rsplit("/", 1)[1]


def import_counted_poll(data):
    line = {"table": "poll", "sponsored_poll_id": 77, "question": "Which?", "options": [
        {"id": "a", "text": "A", "votes": 3}, {"id": "b", "text": "B", "votes": 4}]}
    lines = program.temp_dir() / "lines"
    lines.write_text(json.dumps(line) + "\n")
    program.cli("import", lines, "--data", data)


def cursor(data):
    """How far the copy in `data` is, or -1."""
    if not (data / "copy.db").exists():
        return -1
    with contextlib.suppress(sqlite3.Error), contextlib.closing(
            sqlite3.connect(f"file:{data}/copy.db?mode=ro", uri=True, timeout=0)) as db:
        return db.execute("SELECT last_seq FROM total").fetchone()[0]
    return -1


@contextlib.contextmanager
def stopped_at(database, data, sequences):
    """A copy that has so many, and stands still. It goes a little way at a time, so that it is not
    over before somebody looks."""
    proc = begin(database, data)
    try:
        program.go_a_little(proc.pid)
        while proc.poll() is None and cursor(data) < sequences:
            program.go_a_little(proc.pid)
        assert proc.poll() is None and sequences <= cursor(data) < 3 * PART
        yield proc
    finally:
        proc.kill()
        proc.wait()
        proc.stderr.close()


def marks_are_true(data):
    """Rows below a mark are as old as it says, and as many."""
    tables = [row["table"] for row in exported(data)]
    with contextlib.closing(sqlite3.connect(data / "adtally.db")) as db:
        db.row_factory = sqlite3.Row
        marks = db.execute("SELECT * FROM age_mark ORDER BY seq").fetchall()
        for mark in marks:
            for table in set(tables):
                count, newest = db.execute(f"SELECT count(*), coalesce(max(recorded_at_ms), 0) FROM {table}"
                                           " WHERE seq < ?", (mark["seq"],)).fetchone()
                assert mark[table] == count and newest <= mark["time_ms"]
        assert len(marks) > 1 and marks[-1]["seq"] == db.execute(
            "SELECT last_seq + 1 FROM total").fetchone()[0]


def half_copied(database, data, sequences=PART):
    with stopped_at(database, data, sequences):
        pass
    return data


# -- all of it -----------------------------------------------------------------------------------


def test_there_and_back_is_what_it_was(world, database):
    persons, _ = fill(world)
    import_counted_poll(world.data)
    before = [results(world, person.ad) for person in persons]
    ratings = [rate(world, person.rating).json for person in persons]
    keys, tokens = cli_lines("key", world.data), cli_lines("token-key", world.data)
    world.server.stop()
    copy(world.data, database)
    data = new_dir()
    assert copy(database, data) == f"copied {len(exported(world.data))} events\n"
    is_verified(data)
    marks_are_true(data)
    assert exported(data) == exported(world.data)
    for table in ("poll", "poll_option"):
        assert exported(data, "--table", table) == exported(world.data, "--table", table)
    with serve(world, data):
        for person in persons:
            person.is_remembered()
        assert [results(world, person.ad) for person in persons] == before
        assert [rate(world, person.rating).json for person in persons] == ratings
        assert cli_lines("key", data) == keys
        assert cli_lines("token-key", data) == tokens
    is_verified(data)


def test_what_servers_recorded_in_a_database_goes_on_in_a_file(world, database):
    """Sequences of several lanes have gaps: receipts stay, new ones are others, restarts are fine."""
    node = program.temp_dir()
    persons, poll_id = people(world, 1)
    world.server.stop()
    copy(world.data, database)
    with serve(world, node, "--store", database, "--store-connections", "3"):
        persons += [Person(world, poll_id, unique("person")) for _ in range(3)]
        program.cli("token-key", "rotate", "--data", node, "--store", database)
        persons.append(Person(world, poll_id, unique("person")))
    data = new_dir()
    copy(database, data)
    is_verified(data)
    lines = exported(data)
    assert lines == exported(node, "--store", database)
    assert lines[-1]["seq"] > len(lines), "no gap, so this shows nothing"
    for _ in range(2):
        with serve(world, data):
            for person in persons:
                person.is_remembered()
            persons.append(Person(world, poll_id, unique("person")))
        program.cli("report", "traffic", "--data", data)
        is_verified(data)
    now = exported(data)
    assert now[:len(lines)] == lines
    assert len({line["receipt"] for line in now}) == len(now)


def test_limits_of_a_bid_go_on(world, database):
    ad = world.mint()
    for _ in range(99):
        assert world.get(world.target(ad["url"])).status in (302, 303)
    world.server.stop()
    copy(world.data, database)
    data = new_dir()
    copy(database, data)
    with serve(world, data):
        world.get(world.target(ad["url"]))
        world.get(world.target(ad["url"]))
    assert len([x for x in exported(data) if x["table"] == "click"]) == 100


# -- cut off -------------------------------------------------------------------------------------


def test_a_copy_that_is_killed_goes_on(large):
    data = new_dir()
    for sequences in (0, PART, 2 * PART):
        half_copied(large.database, data, sequences)
    refused = program.run("serve", "--data", data, "--listen", "127.0.0.1:0")
    assert refused.returncode == 1 and b"was not filled to the end by adtally copy" in refused.stderr
    copy(large.database, data)
    is_verified(data)
    marks_are_true(data)
    assert exported(data) == large.lines
    with serve(large, data):
        for person in large.persons:
            person.is_remembered()


def import_old_clicks(data, count):
    """Six minutes from each to the next."""
    now_ms = int(time.time() * 1000)
    lines = program.temp_dir() / "lines"
    lines.write_text("".join(json.dumps(
        {"table": "click", "click_id": str(uuid.uuid4()), "bid_id": f"bid-{number}",
         "publisher_id": "pub-1", "recorded_at_ms": now_ms - (count - number) * HOUR_MS // 10,
         "expires_at_ms": now_ms + 10**9}) + "\n" for number in range(count)))
    program.cli("import", lines, "--data", data)


def test_a_copy_that_goes_on_takes_nothing_for_older_than_it_is(world, database):
    """What comes behind the cut was recorded long before what is there."""
    collect_many(world, 4000)
    import_old_clicks(world.data, 6000)
    world.server.stop()
    copy(world.data, database)
    data = half_copied(database, new_dir())
    copy(database, data)
    marks_are_true(data)


def test_a_copy_may_die_before_any_call(world, database):
    """Killed, a directory is one that no server takes, or the whole copy; then it goes on."""
    fill(world)
    world.server.stop()
    copy(world.data, database)
    lines, point = exported(world.data), CrashPoint()
    point.arm(0)
    assert point.run("copy", "--from", database, "--to", new_dir()).returncode == 0
    calls, states = point.count, set()
    numbers = sorted({1 + calls * i // POINTS for i in range(POINTS)} | {calls - 2, calls})
    for number in numbers:
        data = new_dir()
        point.arm(number)
        assert point.run("copy", "--from", database, "--to", data).returncode == KILLED
        is_whole = (data / "adtally.db").exists()
        states.add(is_whole)
        if not is_whole:
            assert program.run("key", "list", "--data", data).returncode == 1
            copy(database, data)
        is_verified(data)
        assert exported(data) == lines, (number, point.call)
    point.close()
    assert states == {False, True}
    torture.say(f"copy into a directory: killed before {len(numbers)} of {calls} calls, 0 lost")


LOSSES = {
    "a row": "DELETE FROM server_event WHERE seq = 100",
    "an event's content": "UPDATE server_event SET tag_id = 'x', checksum = checksum + 1 WHERE seq = 100",
}


@pytest.mark.parametrize("loss", LOSSES)
def test_the_comparison_notices_a_loss(large, loss):
    data = half_copied(large.database, new_dir())
    with contextlib.closing(sqlite3.connect(data / "copy.db")) as db, db:
        assert db.execute(LOSSES[loss]).rowcount == 1
    assert "server_event of the copy is not what the original has" in copy(
        large.database, data, expect=1)
    assert not (data / "adtally.db").exists()


def test_verify_counts_sequences_that_no_event_has(large):
    data = new_dir()
    copy(large.database, data)
    row = ("sequences_unused", 1)
    with contextlib.closing(sqlite3.connect(data / "adtally.db")) as db, db:
        db.execute("UPDATE meta SET value = ?2, checksum = ?3 WHERE name = ?1",
                   (*row, checksum("meta", row)))
    assert "sequences without an event" in program.cli("verify", "--data", data, expect=1)


# -- nobody else ---------------------------------------------------------------------------------


def test_nobody_records_while_it_is_copied(large, cluster):
    with stopped_at(large.database, new_dir(), PART) as proc:
        for table in ("counter", "change"):
            assert cluster.sql(f"SELECT 1 FROM {table} FOR UPDATE SKIP LOCKED",
                               name_of(large.database)) == []
        assert "has the database: stop it first" in copy(large.database, new_dir(), expect=1)
        proc.send_signal(signal.SIGCONT)
        assert proc.wait() == 0
    assert cluster.sql("SELECT 1 FROM counter FOR UPDATE SKIP LOCKED",
                       name_of(large.database)) == [["1"]]


def test_a_lock_that_is_lost_ends_the_copy(large, cluster):
    data = new_dir()
    with stopped_at(large.database, data, PART) as proc:
        cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state ="
                    f" 'idle in transaction' AND datname = '{name_of(large.database)}'")
        proc.send_signal(signal.SIGCONT)
        assert proc.wait() == 1
        assert b"kept servers from writing to the database is gone" in proc.stderr.read()
    copy(large.database, data)
    assert exported(data) == large.lines


def test_a_server_that_comes_meanwhile_ends_the_copy(large):
    data, node = new_dir(), program.temp_dir()
    with stopped_at(large.database, data, PART) as proc:
        with serve(large, node, "--store", large.database):
            assert large.post(COLLECT, event(event_id="late")).status == 503
            proc.send_signal(signal.SIGCONT)
            assert proc.wait() == 1
            assert b"is in use by the server" in proc.stderr.read()
    copy(large.database, data)
    assert exported(data) == large.lines


def test_a_database_that_is_in_use(world, database, cluster):
    with serve(world, program.temp_dir(), "--store", database) as served:
        assert "is in use by the server" in copy(database, new_dir(), expect=1)
        served.server.kill()
        assert "is in use by the server" in copy(database, new_dir(), expect=1)
        cluster.sql("UPDATE lane SET seen_at_ms = seen_at_ms - 7300000", name_of(database))
        assert copy(database, new_dir()) == "copied 0 events\n"


# -- refused -------------------------------------------------------------------------------------


def test_directories_that_are_none_for_it(world, large, database):
    assert "is in use by process" in copy(large.database, world.data, expect=1)
    world.server.stop()
    assert "holds a database already" in copy(large.database, world.data, expect=1)
    foreign = program.temp_dir()
    (foreign / "notes").write_text("mine")
    assert "holds other files" in copy(large.database, foreign, expect=1)
    data = half_copied(large.database, new_dir())
    copy(world.data, database)
    assert "a copy of another database was begun" in copy(database, data, expect=1)
    backup = data.parent / "backup"
    program.cli("backup", backup, "--data", large.data)
    refused = program.run("restore", backup, "--data", data)
    assert refused.returncode == 1 and b"adtally copy" in refused.stderr


def test_databases_that_are_none_for_it(world, cluster, database):
    assert "holds nothing of adtally" in copy(database, new_dir(), expect=1)
    collect_many(world, 10)
    world.server.stop()
    copy(world.data, database)
    cluster.sql("UPDATE server_event SET tag_id = 'x' WHERE seq = 6", name_of(database))
    assert "(seq 6) is damaged" in copy(database, new_dir(), expect=1)
    cluster.sql("INSERT INTO copying VALUES (1, 5)", name_of(database))
    assert "has not filled the database to the end" in copy(database, new_dir(), expect=1)
