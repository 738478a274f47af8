"""What is recorded in a database, read by `adtally export` and followed by `adtally-sinks`."""

import csv
import io
import pathlib
import sys
import threading
import time

import pytest

from support import store
from support import server as program
from support.exports import export, is_complete, stored
from support.receiver import Receiver
from support.world import COLLECT, TABLES, event, together, unique

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path += [str(TESTS / "data"), str(TESTS / "sinks")]

from base import Sinks, wait_for  # noqa: E402
from events import lines_of, people  # noqa: E402

FINAL_S = 10  # leases are closed after a second


def final(data, count):
    """The export, once so many events are final."""
    end = time.monotonic() + FINAL_S
    while len(lines := lines_of(export(data))) < count:
        assert time.monotonic() < end, f"{len(lines)} of {count} are final"
        time.sleep(0.1)
    return lines


def test_export_is_every_row_once_in_order_and_resumes(world, other):
    people(world, 2)
    people(other, 2)
    rows = stored(world.data)
    assert {row["table"] for row in rows} == set(TABLES)
    lines = final(world.data, len(rows))
    is_complete(lines, world.data)
    for at in range(0, len(lines), 3):
        assert lines_of(export(world.data, "--since", lines[at]["receipt"])) == lines[at + 1:]


def test_the_oracle_misses_a_line_that_is_lost_or_changed(world):
    people(world, 1)
    lines = final(world.data, len(stored(world.data)))
    for wrong in (lines[1:], lines + lines[-1:], [{**lines[0], "bid_id": "x"}, *lines[1:]]):
        with pytest.raises(AssertionError):
            is_complete(wrong, world.data)


def test_csv_of_a_table_and_polls(world):
    people(world, 2)
    lines = [x for x in final(world.data, len(stored(world.data))) if x["table"] == "click"]
    text = program.cli("export", "--format", "csv", "--table", "click", "--data", world.data)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["receipt"] for row in rows] == [line["receipt"] for line in lines]
    assert [int(row["seq"]) for row in rows] == [line["seq"] for line in lines]
    polls = lines_of(export(world.data, "--table", "poll_option"))
    assert polls and all("receipt" not in row for row in polls)


def test_a_damaged_row_is_told(world, cluster):
    people(world, 1)
    final(world.data, len(stored(world.data)))
    cluster.sql("UPDATE click SET route = 'x'", store.database_of(world.data))
    done = program.run("export", "--format", "ndjson", "--data", world.data)
    assert done.returncode == 1 and b"a row of click (seq" in done.stderr


def test_a_foreign_receipt_is_refused(world):
    done = program.run("export", "--format", "ndjson", "--since", "r" * 13, "--data", world.data)
    assert done.returncode == 1 and b"is no receipt of this data directory" in done.stderr


class Writers:
    """Events through both servers until stopped, now fast, now with pauses longer than a lease."""

    def __init__(self, *worlds):
        self.is_over, self.acked = False, []
        self.threads = [threading.Thread(target=self.run, args=(world, pause))
                        for world in worlds for pause in (0, 0.02, 0.7, 1.3)]
        for thread in self.threads:
            thread.start()

    def run(self, world, pause):
        while not self.is_over:
            tag, event_id = unique("tag"), unique("e")
            answer = world.post(COLLECT, event(event_id=event_id, tag_id=tag))
            assert answer.status == 204, answer
            self.acked.append(event_id)
            time.sleep(pause)

    def stop(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()


def follow(data, rows, since=None):
    options = ("--since", since) if since else ()
    rows += lines_of(export(data, *options))
    return rows[-1]["receipt"] if rows else None


def test_a_reader_that_follows_two_servers_misses_and_doubles_nothing(world, other):
    writers, rows, last = Writers(world, other), [], None
    end = time.monotonic() + 8
    while time.monotonic() < end:
        last = follow(world.data, rows, last)
        time.sleep(0.05)
    writers.stop()
    end = time.monotonic() + FINAL_S
    while len(rows) < len(writers.acked) and time.monotonic() < end:
        last = follow(world.data, rows, last)
        time.sleep(0.1)
    ids = [row["event_id"] for row in rows]
    assert sorted(ids) == sorted(writers.acked)
    assert [row["seq"] for row in rows] == sorted(row["seq"] for row in rows)
    assert len(ids) > 100


def test_sinks_follow_a_database_that_the_configuration_names(world, other):
    receiver, sinks = Receiver(), Sinks(world.data)
    (world.data / "adtally.conf").write_text(f"store = {store.url_of(world.data)}\n")
    try:
        sinks.write(lake={"type": "http", "url": receiver.url}).start()
        together(2, lambda n: people((world, other)[n], 2))
        rows = stored(world.data)
        end = time.monotonic() + 2 * FINAL_S
        while len(receiver.rows) < len(rows):
            assert time.monotonic() < end, (len(receiver.rows), len(rows), sinks.stderr)
            time.sleep(0.1)
        assert sorted(receiver.rows, key=lambda row: row["seq"]) == rows
        wait_for(lambda: sinks.is_idle("lake"))  # past the numbers that nobody used
    finally:
        sinks.close()
        receiver.close()
