"""Many connections: idle, more than there is room for, coming and going, cut off half-way."""

import random
import socket
import struct
import time

import pytest

from siege import (FRESH_EVERY, KIB, MIB, attack, descriptors, descriptors_for, memory,
                   none_left_open)
from support.http import chunked
from support.torture import say, seed, size
from support.world import COLLECT, V1, conversion, event, unique

SILENT_MOST = 6 * KIB  # of resident memory, a connection that never sent a byte
USED_MOST = 16 * KIB  # one that waits after its answer


def reset(conn):
    """Ends a connection by RST."""
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


@pytest.mark.parametrize("used", [False, True], ids=["silent", "after an answer"])
def test_ten_thousand_idle_connections(world_with, calm_of, used):
    """By default that is all there is room for, and who comes then is served all the same."""
    world = world_with("--idle-timeout", "61s" if used else "62s")
    calm, count = calm_of(world), descriptors_for(10000)
    request = world.get_bytes("/health") if used else b""
    with memory(world, count * (USED_MOST if used else SILENT_MOST) + MIB) as grown:
        with attack(world, "idle", count=count, request=request):
            p99 = calm.holds()
    say(f"hostile: {count} connections {'after an answer' if used else 'that never spoke'}: "
        f"{grown.bytes // count} bytes each, p99 {p99 * 1000:.1f} ms beside "
        f"{calm.p99 * 1000:.1f} ms")


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nX: "], ids=["silent", "in a head"])
def test_more_connections_than_there_is_room_for(world_with, calm_of, head):
    """All hold on to their places and come back when they lose them; the one that has waited
    longest for its client has to go when another comes, so everybody has a turn."""
    world = world_with("--max-connections", "100", "--threads", "1")
    client = calm_of(world).client
    client.close()
    kind = {"shapes": [(head, b"x")]} if head else {}
    with memory(world, 2 * MIB):
        with attack(world, "dribble" if head else "idle", count=150, wait=False, **kind) as crowd:
            time.sleep(1)
            took = [client.one() for _ in range(FRESH_EVERY)]
            assert descriptors(world) < 100 + 64
    assert max(took) < 3, f"{took} s"
    assert crowd.seen["closed"] > 0, crowd.seen


@pytest.mark.parametrize("by", ["fin", "rst"])
def test_connections_that_come_and_go(world, calm, by):
    data = world.get_bytes("/health")
    for request in (b"", data[:20], data):
        with memory(world, 4 * MIB), attack(world, "churn", count=64, request=request,
                                            reset=by == "rst") as storm:
            calm.holds()
        assert storm.seen["opened"] > 100, storm.seen


def test_ends_in_time_wait_do_not_add_up(world, calm):
    """The server closes first, and keeps the port's TIME_WAITs; it serves, and starts again."""
    request = world.get_bytes("/health", [("Connection", "close")])
    with memory(world, 2 * MIB), attack(world, "idle", count=64, request=request) as storm:
        calm.holds()
    assert storm.seen["statuses"]["200"] > 300, storm.seen
    calm.client.close()
    world.server.stop()
    world.server.start()
    calm.client.one()


# -- half-closed ----------------------------------------------------------------------------


def half_closing(world):
    """Requests and the answers they get although the client has said that it is done."""
    post = world.post_bytes(COLLECT, event())
    head = world.post_bytes(COLLECT, b"", headers=[("Content-Length", None),
                                                   ("Transfer-Encoding", "chunked")])
    mint = world.post_bytes("/v1/mint", {"ads": [world.ad()] * 100}, world.adserver)
    return {"an event": (post, [204]), "a GET": (world.get_bytes("/health"), [200]),
            "chunks": (head + chunked(b'{"event_name":"x"}'), [204]), "a mint": (mint, [200]),
            "a pipeline": (post * 20 + world.get_bytes("/health"), [204] * 20 + [200])}


@pytest.mark.parametrize("name", ["an event", "a GET", "chunks", "a mint", "a pipeline"])
def test_a_half_closed_client_gets_its_answers(world, name):
    data, statuses = half_closing(world)[name]
    with world.connect() as conn:
        conn.send(data)
        conn.sock.shutdown(socket.SHUT_WR)
        assert [conn.read().status for _ in statuses] == statuses
        assert conn.closes()


@pytest.mark.parametrize("sent", [b"", b"GET /health HT", b"answered"])
def test_a_half_closed_client_without_a_request_is_closed(world, sent):
    """At once: it will never send one."""
    with world.connect() as conn:
        if sent == b"answered":
            conn.send(world.get_bytes("/health"))
            assert conn.read().status == 200
        else:
            conn.send(sent)
        conn.sock.shutdown(socket.SHUT_WR)
        start = time.monotonic()
        assert conn.closes(3)
        assert time.monotonic() - start < 1


def test_a_body_that_is_half_closed_records_nothing(world):
    data = world.post_bytes(COLLECT, event())
    with world.records():
        for cut in (-1, -10, data.index(b"\r\n\r\n") + 4 - len(data)):
            with world.connect() as conn:
                conn.send(data[:cut])
                conn.sock.shutdown(socket.SHUT_WR)
                assert conn.closes(3)


# -- resets in the middle of a commit -------------------------------------------------------


def break_off(world, click, keys, pause_s):
    """Sends each conversion on a connection of its own and resets it before the answer."""
    conns = []
    for key in keys:
        conn = world.connect()
        conn.send(world.post_bytes(V1, conversion(click), headers=[("Idempotency-Key", key)]))
        conns.append(conn)
    time.sleep(pause_s)
    for conn in conns:
        reset(conn)


def recorded(world, keys):
    """The rows of each key."""
    rows = world.rows("SELECT idempotency_key k, count(*) n FROM conversion GROUP BY 1")
    found = {row["k"]: row["n"] for row in rows}
    return [found.get(key, 0) for key in keys]


def test_a_reset_in_the_middle_of_a_commit(slow_disk, calm_of):
    """The event stands once, whether or not it was in time, and the retry is told."""
    text, disk = seed("reset"), slow_disk()
    rng, world, keys = random.Random(text), disk.world, []
    world.descriptors_at_rest = descriptors(world)
    click, calm = world.click(), calm_of(world)
    disk.sync_takes(0.03)
    for _ in range(size(8, 200)):
        keys += [unique("reset") for _ in range(20)]
        break_off(world, click, keys[-20:], rng.uniform(0, 0.08))
    disk.sync_takes(0)
    calm.holds()
    calm.client.close()
    none_left_open(world)
    stood = recorded(world, keys)
    assert set(stood) <= {0, 1} and 1 in stood
    answers = [world.convert(click, idem=key).json["status"] for key in keys]
    assert answers == ["duplicate" if n else "ok" for n in stood]
    assert recorded(world, keys) == [1] * len(keys)
    say(f"hostile: {len(keys)} conversions reset around their commit, {sum(stood)} of them stood, "
        f"0 lost, 0 doubled by the retry (seed {text})")
