"""Contract sections 2 and 8: starting, draining, and what a restart remembers."""

import shutil
import signal
import sqlite3
import stat
import subprocess
import threading
import time

import pytest

from support import server as program
from support.http import Closed
from support.world import (API, COLLECT, LANDING, V1, World, conversion, event, is_collected,
                           is_duplicate, is_recorded, is_refused, unique)


@pytest.fixture
def own_world():
    world = World()
    yield world
    world.server.kill()
    shutil.rmtree(world.data)


def restart(world):
    world.server.stop()
    world.server.start()


def accepted(world, path, body):
    """A connection whose request the server has accepted: its head is read, 100 is answered."""
    data = world.post_bytes(path, body, headers=[("Expect", "100-continue")])
    cut = data.index(b"\r\n\r\n") + 4
    conn = world.connect()
    conn.send(data[:cut])
    assert conn.read().status == 100
    return conn, data[cut:]


def refuses_connections(world, within_s=5):
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            world.connect().close()
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_serve_prints_one_line_when_ready(own_world):
    line = own_world.server.ready_line
    assert line.count("\n") == 1 and line.endswith("\n")
    assert str(own_world.port) in line and str(own_world.data) in line
    version = program.cli("--version").split()[-1]
    assert version in line


def test_sigterm_with_nothing_to_do_exits_0(own_world):
    with own_world.connect() as idle:
        idle.send(own_world.get_bytes("/health"))
        assert idle.read().status == 200
        start = time.monotonic()
        own_world.server.stop()
        assert time.monotonic() - start < 5, "an idle connection held the drain up"
        assert idle.closes()


def test_sigterm_answers_what_was_accepted(own_world):
    world = own_world
    click, key = world.click(), unique("k")
    conn, body = accepted(world, V1, conversion(click, event_id=key))
    world.server.signal(signal.SIGTERM)
    assert refuses_connections(world)
    conn.send(body)
    is_recorded(conn.read())
    assert conn.closes()
    assert world.server.wait() == 0
    rows = world.rows("SELECT event_id FROM conversion")
    assert [r["event_id"] for r in rows] == [key]


def test_sigterm_under_load_loses_nothing_that_was_acknowledged(own_world):
    world = own_world
    click, acked, stop = world.click(), [], threading.Event()

    def work(number):
        try:
            with world.connect() as conn:
                for i in range(100000):
                    if stop.is_set():
                        return
                    key = f"{number}-{i}"
                    conn.send(world.post_bytes(V1, conversion(click, event_id=key)))
                    if conn.read().status == 200:
                        acked.append(key)
        except (OSError, Closed):
            pass

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    [t.start() for t in threads]
    time.sleep(0.4)
    world.server.signal(signal.SIGTERM)
    assert world.server.wait() == 0
    stop.set()
    [t.join() for t in threads]
    stored = [r["event_id"] for r in world.rows("SELECT event_id FROM conversion")]
    assert len(acked) > 10 and len(set(stored)) == len(stored)
    assert set(stored) == set(acked), "a drain answers all that it commits"


def test_a_second_sigterm_exits_at_once(own_world):
    world = own_world
    conn, _ = accepted(world, V1, conversion(world.click()))
    world.server.signal(signal.SIGTERM)
    assert refuses_connections(world)
    with pytest.raises(subprocess.TimeoutExpired):
        world.server.wait(0.3)
    world.server.signal(signal.SIGTERM)
    start = time.monotonic()
    world.server.wait(5)
    assert time.monotonic() - start < 2
    conn.close()


def test_a_restart_remembers_conversions_by_both_layers(own_world):
    world = own_world
    click, idem, order = world.click(), unique("k"), unique("o")
    one = is_recorded(world.convert(click, V1, idem, order_id=order))
    two = is_recorded(world.convert(click, API, event_id=idem + "2"))
    with world.records():
        for _ in range(2):
            restart(world)
            is_duplicate(world.convert(click, V1, idem), one)
            is_duplicate(world.convert(click, API, order_id=order), one)
            is_duplicate(world.convert(click, V1, unique("k"), order_id=order), one)
            is_duplicate(world.convert(click, API, idem + "2"), two)
    with world.records(conversion=1):
        assert is_recorded(world.convert(click, V1, unique("k"))) not in (one, two)


def test_a_restart_remembers_clicks_their_bids_and_their_cap(own_world):
    world = own_world
    ad = world.mint()
    data = world.get_bytes(world.target(ad["url"]))
    clicks = [a.header("location") for a in world.pipeline([data] * 60)]
    assert LANDING not in clicks
    restart(world)
    with world.records(click=40):
        answers = world.pipeline([data] * 60)
    assert [a.header("location") == LANDING for a in answers] == [False] * 40 + [True] * 20


def test_a_restart_remembers_collected_events(own_world):
    world = own_world
    body = event(tag_id="t", event_id=unique("e"))
    receipt = is_collected(world.post(COLLECT, body))
    restart(world)
    with world.records():
        assert is_collected(world.post(COLLECT, body)) == receipt


def test_a_restart_remembers_keys_tokens_and_revocations(own_world):
    world = own_world
    ad, label = world.mint(), unique("gone")
    gone = program.partner_key(world.data, "acme", label)
    program.cli("key", "revoke", program.key_id(world.data, label), "--data", world.data)
    restart(world)
    assert "thrad_click_id=" in world.follow(ad["url"]).header("location")
    is_collected(world.post(COLLECT, event()))
    is_refused(world.post(COLLECT, event(), gone), 401, "Invalid API key")


def test_receipts_stay_unique_across_restarts(own_world):
    world, receipts = own_world, []
    for _ in range(3):
        click = world.click()
        receipts += [is_recorded(world.convert(click)) for _ in range(5)]
        restart(world)
    assert len(set(receipts)) == 15


def test_sequence_numbers_are_one_series_over_all_tables(own_world):
    world = own_world
    for _ in range(3):
        is_recorded(world.convert(world.click()))
        is_collected(world.post(COLLECT, event()))
    seqs = [r["seq"] for t in ("click", "conversion", "server_event")
            for r in world.rows(f"SELECT seq FROM {t}")]
    assert len(set(seqs)) == 9


@pytest.mark.data_file
def test_a_reader_of_the_database_does_not_keep_a_start_from_succeeding():
    """Users are invited to read: their open transaction holds the WAL, over a kill and a restart."""
    world = World()
    click = world.click()
    reader = sqlite3.connect(f"file:{world.data}/adtally.db?mode=ro", uri=True,
                             isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM click").fetchone() == (1,)
    is_recorded(world.convert(click, idem="after-the-reader"))
    world.server.kill()
    world.server.start()
    is_duplicate(world.convert(click, idem="after-the-reader"))
    reader.close()
    world.close()


@pytest.mark.data_file
def test_a_reader_with_write_permission_leaves_the_wal_where_it_is():
    """Whoever closes a database last deletes its WAL: the server's lock has to say it is not."""
    world = World()
    click = world.click()
    reader = sqlite3.connect(world.data / "adtally.db")
    assert reader.execute("SELECT count(*) FROM click").fetchone() == (1,)
    reader.close()
    is_recorded(world.convert(click, idem="after-the-reader"))
    world.server.kill()
    world.server.start()
    is_duplicate(world.convert(click, idem="after-the-reader"))
    world.close()


@pytest.mark.data_file
def test_what_the_server_makes_is_for_its_owner_alone(tmp_path):
    tmp_path.chmod(0o755)
    world = World(data=tmp_path)
    world.click()
    modes = {f.name: stat.S_IMODE(f.stat().st_mode) & 0o077 for f in tmp_path.iterdir()}
    assert "adtally.db" in modes and not any(modes.values()), modes
    world.close()
