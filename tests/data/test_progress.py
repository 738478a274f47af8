"""Long work shows how far it is, on a terminal and nowhere else; older data is taken over."""

import json
import os
import pty
import sqlite3
import subprocess
import uuid

import pytest
from events import is_verified, people
from support import server as program
from test_import import click, conversion, write

ROWS = 60000  # more than 300 ms of work, on any machine


def run_on_terminal(*args):
    """What a command writes to a standard error that is a terminal."""
    ours, theirs = pty.openpty()
    command = [program.BINARY, *map(str, args)]
    proc = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    text = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        text += part
    os.close(ours)
    return proc.wait(), text


@pytest.fixture
def large(world, scratch):
    ids = [uuid.uuid4() for _ in range(ROWS)]
    return write(scratch / "f", [*[click(i) for i in ids],
                                 *[conversion(i, event_id="e") for i in ids]])


def test_a_bar_on_a_terminal_that_goes_when_the_work_is_done(world, large):
    code, text = run_on_terminal("import", large, "--data", world.data)
    assert code == 0 and b"import [" in text and b"%" in text, text
    assert text.endswith(b"\r\x1b[K"), text[-80:]


def test_none_where_nobody_looks(world, large):
    done = program.run("import", large, "--json", "--data", world.data, timeout_s=120)
    assert done.returncode == 0 and done.stderr == b"", done
    assert json.loads(done.stdout)["click"]["recorded"] == ROWS


def test_data_of_the_version_before_is_taken_over(world):
    somebody, _ = people(world, 2)
    world.server.stop()
    with sqlite3.connect(world.data / "adtally.db") as db:
        db.executescript("DROP TABLE removed; DROP TABLE poll_count; PRAGMA user_version = 2;"
                         "DELETE FROM meta WHERE name IN ('click_ttl_ms_max',"
                         " 'impression_ttl_ms_max', 'poll_counts')")
    assert program.run("verify", "--data", world.data).returncode == 1  # not before a start
    world.server.start()
    is_verified(world.data)
    for person in somebody:
        person.is_remembered()
