"""`adtally export`: every row once, in the order of recording, resumed where it ended."""

import csv
import io
import itertools
import sqlite3
import threading

import pytest
from events import lines_of, people
from support import server as program
from support.exports import JSON_COLUMNS, export, is_complete, stored
from support.world import TABLES, is_recorded


def test_export_is_every_row_once_in_the_order_of_recording(world):
    people(world, 3)
    is_complete(lines_of(export(world.data)), world.data)


def test_the_oracle_misses_a_line_that_is_lost_or_changed(world):
    people(world, 1)
    lines = lines_of(export(world.data))
    for wrong in (lines[1:], lines + lines[-1:], [{**lines[0], "bid_id": "x"}, *lines[1:]]):
        with pytest.raises(AssertionError):
            is_complete(wrong, world.data)


def test_export_resumes_after_any_receipt(world):
    people(world, 2)
    lines = lines_of(export(world.data))
    for at in range(len(lines)):
        rest = lines_of(export(world.data, "--since", lines[at]["receipt"]))
        assert rest == lines[at + 1:]


def test_export_of_one_table(world):
    people(world, 2)
    for table in TABLES:
        lines = lines_of(export(world.data, "--table", table))
        assert lines == [row for row in stored(world.data) if row["table"] == table]
    assert [p["question"] for p in lines_of(export(world.data, "--table", "poll"))] == \
        ["What is it for?"]


def test_csv_is_the_same_and_tells_nothing_from_empty(world):
    people(world, 2)
    for table in TABLES:
        text = program.cli("export", "--format", "csv", "--table", table, "--data", world.data)
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        want = [r for r in stored(world.data) if r["table"] == table]
        assert [r["receipt"] for r in rows] == [r["receipt"] for r in want]
        for got, row in itertools.zip_longest(rows, want):
            for name, value in row.items():
                if name not in ("table", *JSON_COLUMNS):
                    assert got[name] == str(value)


def test_exports_beside_a_load_add_up_to_all_of_it(world):
    click_id, stop = world.click(), threading.Event()

    def load():
        for number in itertools.count():
            if stop.is_set():
                return
            is_recorded(world.convert(click_id, idem=f"load-{number}"))

    writer = threading.Thread(target=load)
    writer.start()
    lines, since = [], []
    for _ in range(10):
        lines += lines_of(export(world.data, *since))
        since = ["--since", lines[-1]["receipt"]]
    stop.set()
    writer.join()
    is_complete(lines + lines_of(export(world.data, *since)), world.data)


def test_what_cannot_be_exported_is_said(world):
    people(world, 1)
    for options, expect in ((["--since", "ffffffffffffffff"], 1), (["--since", "x"], 1),
                            (["--table", "api_key"], 1), (["--format", "xml"], 2),
                            (["--format", "csv"], 2)):
        done = program.run("export", "--format", "ndjson", *options, "--data", world.data)
        assert done.returncode == expect and done.stderr.startswith(b"adtally: "), done
        assert done.stdout == b""
    full = program.run("export", "--format", "ndjson", "--data", world.data, "--table", "click")
    assert full.returncode == 0


def test_a_damaged_row_ends_the_export(world):
    people(world, 1)
    world.server.stop()
    with sqlite3.connect(world.data / "adtally.db") as db:
        db.execute("UPDATE conversion SET currency = 'EUR'")
    done = program.run("export", "--format", "ndjson", "--data", world.data)
    assert done.returncode == 1 and b"row of conversion" in done.stderr, done
    world.server.start()


def test_a_reader_that_goes_away_is_no_success(world):
    people(world, 1)
    with open("/dev/full", "wb") as full:
        done = program.subprocess.run(
            [program.BINARY, "export", "--format", "ndjson", "--data", str(world.data)],
            stdout=full, stderr=program.subprocess.PIPE, timeout=30, check=False)
    assert done.returncode == 1 and b"standard output" in done.stderr
