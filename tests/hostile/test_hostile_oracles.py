"""What the other tests of this folder assert, on servers that break it: each check must notice."""

import signal
import threading

import pytest

import siege
from siege import KIB, MIB, Refused, attack, memory
from support.http import build
from support.world import COLLECT, event

USED_MOST = 16 * KIB  # as in test_crowds.py


def test_memory_that_a_connection_holds_on_to_is_noticed(world_with):
    """A body of 64 KiB in the making is more than an idle connection may have."""
    if siege.SANITIZED:
        pytest.skip("says nothing under a sanitizer")
    world = world_with("--body-timeout", "59s")
    head = world.post_bytes(COLLECT, b"", headers=[("Content-Length", "65536")])
    with pytest.raises(AssertionError, match="more at the peak"):
        with memory(world, 300 * USED_MOST):
            with attack(world, "dribble", count=300, shapes=[(head + b" " * 65000, b" ")]):
                siege.within(5, lambda: siege.resident(world) > 300 * 64 * KIB, "not read")


def test_a_server_that_became_slow_is_noticed(slow_disk, calm_of, monkeypatch):
    monkeypatch.setattr(siege, "TRIES", 1)
    disk = slow_disk()
    calm = calm_of(disk.world)
    calm.holds(floor_s=1)
    disk.sync_takes(3.5 * max(calm.p99, siege.FLOOR_S * calm.crowding))
    with pytest.raises(AssertionError, match="without the attack"):
        calm.holds()


def test_a_server_that_stands_still_is_noticed(world, calm_of):
    calm = calm_of(world)
    calm.client.close()
    world.server.signal(signal.SIGSTOP)
    timer = threading.Timer(1.0, world.server.signal, [signal.SIGCONT])
    timer.start()
    try:
        assert calm.client.window() > 0.5
    finally:
        timer.join()


def test_a_refusal_of_the_client_beside_is_noticed(slow_disk, calm_of):
    """A queue for one, and others in it."""
    disk = slow_disk("--queue-limit", "1")
    calm = calm_of(disk.world)
    disk.sync_takes(0.05)
    request = disk.world.post_bytes(COLLECT, event())
    with pytest.raises(Refused), attack(disk.world, "loop", count=20, request=request):
        calm.client.window(5)


def test_connections_that_are_left_open_are_noticed(world):
    siege.none_left_open(world)
    with attack(world, "idle", count=10), pytest.raises(AssertionError, match="left open"):
        siege.none_left_open(world, within_s=0.3)


def test_a_server_that_died_is_noticed(slow_disk):
    world = slow_disk().world
    with pytest.raises(AssertionError, match="died"):
        with attack(world, "spin"):
            world.server.kill()
    world.server.start()


def test_the_attackers_count_what_they_are_answered(world):
    """By their own words: as many answers as requests, and no Retry-After where there is none."""
    with attack(world, "idle", count=30, request=build("GET", "/none", [("Host", "a")])) as crowd:
        pass
    assert crowd.seen["statuses"] == {"404": 30}, crowd.seen
    assert crowd.seen["refusals_with_retry"] == 0 and crowd.seen["closed"] == 0, crowd.seen
    with memory(world, 4 * MIB), attack(world, "dribble", count=5,
                                        shapes=[(b"GET / HTTP/9.9\r\n\r\n", b"x")]) as crowd:
        siege.within(5, lambda: crowd.closed() >= 5, "not closed")
    assert set(crowd.seen["statuses"]) == {"400"} and crowd.seen["closed"] >= 5, crowd.seen
