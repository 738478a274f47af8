"""Sinks beside a server: what it shows of them, and that it owes them nothing."""

import pathlib
import re
import socket
import statistics
import subprocess
import time

import pytest

from base import BINARY, collect_many, is_complete, wait_for
from support import admin
from support import server as program
from support.world import COLLECT, World, event, is_collected, unique

OUTBOUND = ("libcurl", "librdkafka", "libnats", "libssl")


@pytest.fixture
def metered():
    made = World(admin.LISTEN)
    made.admin_key = program.key_create(made.data, "admin", "operator")
    yield made
    made.close()


@pytest.fixture
def world(metered):
    return metered


def metrics(world):
    page = admin.ask(admin.port_of(world.server), "GET", "/metrics", key=world.admin_key).body
    lines = re.findall(r"(?m)^adtally_sink_(\w+)\{sink=\"(\w+)\"\} (\S+)$", page.decode())
    return {(name, sink): float(value) for name, sink, value in lines}


def test_metrics_of_a_sink(world, sinks, receiver):
    receiver.answer = lambda r: 500 if r["rows"][0]["tag_id"] == "tag-0" else 204
    assert metrics(world) == {}
    sinks.write(hook={"type": "webhook", "url": receiver.url, "secret_file": sinks.secret,
                      "retry": "100ms"}, lake={"type": "http", "url": receiver.url + "2",
                                               "tables": "vote"}).start()
    collect_many(world, 10, tags=5)
    wait_for(lambda: metrics(world).get(("dead_letters", "hook")) == 2)
    wait_for(lambda: all(metrics(world).get(("lag_events", name)) == 0
                         for name in ("hook", "lake")))
    found = metrics(world)
    assert found["sent_total", "hook"] == 8 and found["failed_total", "hook"] == 4
    assert found["lag_seconds", "hook"] == 0 and found["disabled", "hook"] == 0
    assert found["sent_total", "lake"] == 0 and found["lag_events", "lake"] == 0


def test_a_sender_that_ended_shows_as_lag(world, sinks, receiver):
    sinks.write(lake={"type": "http", "url": receiver.url}).start()
    collect_many(world, 3)
    wait_for(lambda: metrics(world).get(("lag_events", "lake")) == 0)
    sinks.stop()
    collect_many(world, 4)
    time.sleep(1.1)
    found = metrics(world)
    assert found["lag_events", "lake"] == 4 and found["lag_seconds", "lake"] >= 1
    sinks.write(other={"type": "http", "url": receiver.url}).start()
    wait_for(lambda: {sink for _, sink in metrics(world)} == {"other"})


def answer_times(world, count=150):
    times = []
    for _ in range(count):
        data = world.post_bytes(COLLECT, event(event_id=unique("e"), tag_id="t"))
        begin = time.monotonic()
        is_collected(world.send(data))
        times.append(time.monotonic() - begin)
    return times


def test_dead_sinks_slow_nobody_down(world, sinks, receiver):
    """One that is silent, one that refuses connections, one that never accepts."""
    before = statistics.median(answer_times(world))
    receiver.answer = lambda request: "silence"
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        nobody = f"127.0.0.1:{program.free_port()}"
        sinks.write(
            silent={"type": "webhook", "url": receiver.url, "secret_file": sinks.secret},
            refused={"type": "http", "url": f"http://{nobody}/"},
            deaf={"type": "http", "url": f"http://127.0.0.1:{deaf.getsockname()[1]}/"},
            bus={"type": "nats", "url": f"nats://{nobody}"},
            log={"type": "kafka", "url": nobody}).start()
        wait_for(lambda: len(metrics(world)) == 6 * 5)
        wait_for(lambda: statistics.median(answer_times(world)) < 2 * before + 0.002)
    wait_for(lambda: all(metrics(world)["lag_events", name] >= 300
                         for name in ("silent", "refused", "deaf", "bus", "log")))


def test_a_server_that_is_killed_and_started_again_is_followed(world, sinks, receiver):
    """What it did not commit is not in the stream, what it did is."""
    sinks.write(lake={"type": "http", "url": receiver.url}).start()
    for _ in range(5):
        collect_many(world, 50)
        with world.connect() as conn:
            conn.send(b"".join(world.post_bytes(COLLECT, event(event_id=unique("e")))
                               for _ in range(20)))
            world.server.kill()
        world.server.start()
    wait_for(lambda: sinks.is_idle("lake"))
    is_complete(world.data, receiver.rows)


def test_a_restored_backup_under_the_sender_is_noticed(world, sinks, receiver):
    """The cursor is ahead of what a backup knows: nothing is sent until somebody decides."""
    collect_many(world, 5)
    backup = world.data.with_name(world.data.name + ".backup")
    program.cli("backup", backup, "--data", world.data)
    collect_many(world, 5)
    sinks.write(lake={"type": "http", "url": receiver.url}).start()
    wait_for(lambda: sinks.is_idle("lake"))
    sinks.stop()
    world.server.stop()
    for path in world.data.glob("adtally.db*"):
        path.unlink()
    for path in [*world.data.glob("index-*"), *world.data.glob("secrets.json")]:
        path.unlink()
    other = world.data.with_name(world.data.name + ".restored")
    program.cli("restore", backup, "--data", other)
    for path in other.iterdir():
        path.rename(world.data / path.name)
    sinks.start()
    wait_for(lambda: any("ahead of the data" in x["reason"] for x in sinks.log("sink_failing")))
    backup.unlink()
    other.rmdir()


def test_another_process_is_refused(world, sinks, receiver):
    sinks.write(lake={"type": "http", "url": receiver.url}).start()
    wait_for(lambda: sinks.status("lake"))
    assert "another adtally-sinks" in sinks.run("run", expect=1)


def needed(path):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", subprocess.run(
        ["readelf", "-d", path], capture_output=True, text=True, check=True).stdout)


def test_the_server_links_nothing_that_connects():
    assert not [lib for lib in needed(program.BINARY) if lib.startswith(OUTBOUND)]
    assert len([lib for lib in needed(BINARY) if lib.startswith(OUTBOUND)]) >= 3
    assert pathlib.Path(BINARY).name == "adtally-sinks"
