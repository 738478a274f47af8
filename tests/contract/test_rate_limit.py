"""Contract section 2: rate limits, and whose address counts."""

import socket
import subprocess
import time

import pytest

from support import server as program
from support import store, tokens
from support.http import build
from support.world import (API, COLLECT, COLLECT_ALIAS, LANDING, MINT, V1, conversion, event,
                           is_collected, is_recorded, is_refused, table, unique)

RATE = 5


def is_limited(answer):
    """At five a second the next is welcome in less than a second, and seconds are whole."""
    is_refused(answer, 429, "Rate limit exceeded")
    assert answer.header("retry-after") == "1", answer
    return 1


def burst(world, count, make):
    """Sends `count` requests as fast as they go; answers and seconds."""
    start = time.monotonic()
    answers = world.pipeline([make(i) for i in range(count)])
    return answers, time.monotonic() - start


@pytest.mark.parametrize("path", [V1, API, COLLECT, COLLECT_ALIAS])
def test_a_partner_key_has_its_rate(world_with, path):
    world = world_with("--rate-limit", RATE)
    key, click = program.partner_key(world.data, "acme", unique("rated")), world.click()
    idem = [unique("k") for _ in range(40)]

    def make(i):
        body = event(tag_id="t", event_id=idem[i]) if "collect" in path else conversion(click)
        return world.post_bytes(path, body, key, [("Idempotency-Key", idem[i])])

    before = world.counts()
    answers, took = burst(world, 40, make)
    passed = [a for a in answers if a.status != 429]
    limited = [i for i, a in enumerate(answers) if a.status == 429]
    assert 1 <= len(passed) <= 2 * RATE + RATE * took + 1, f"{len(passed)} in {took:.2f} s"
    assert limited and all(a.status in (200, 204) for a in passed)
    waits = [is_limited(answers[i]) for i in limited]
    table_name = "server_event" if "collect" in path else "conversion"
    assert world.counts() == {**before, table_name: before[table_name] + len(passed)}
    time.sleep(waits[-1])
    answer = world.pipeline([make(limited[-1])])[0]
    (is_collected if "collect" in path else is_recorded)(answer)


def test_another_key_is_not_limited_with_it(world_with):
    world = world_with("--rate-limit", RATE)
    one, two = (program.partner_key(world.data, "acme", unique("rated")) for _ in range(2))
    answers, _ = burst(world, 40, lambda i: world.post_bytes(COLLECT, event(), one))
    assert answers[-1].status == 429
    is_collected(world.post(COLLECT, event(), two))


def test_an_invalid_key_is_401_and_not_429(world_with):
    world = world_with("--rate-limit", RATE)
    answers, _ = burst(world, 40, lambda i: world.post_bytes(COLLECT, event(), "nobody"))
    assert {a.status for a in answers} == {401}


def test_by_default_there_is_no_rate_limit(world):
    answers, _ = burst(world, 300, lambda i: world.post_bytes(COLLECT, event()))
    assert {a.status for a in answers} == {204}


@table("option", {"rate_limit": "--rate-limit", "client_rate_limit": "--client-rate-limit"})
def test_zero_is_off(world_with, option):
    world = world_with(option, 0)
    target = world.target(world.mint()["url"])
    answers, _ = burst(world, 100, lambda i: world.post_bytes(COLLECT, event()))
    assert {a.status for a in answers} == {204}
    answers, _ = burst(world, 100, lambda i: world.get_bytes(target))
    assert {a.status for a in answers} == {302}


def limited_world(world_with):
    return world_with("--client-rate-limit", RATE, "--trusted-proxies", "127.0.0.0/8")


def from_client(address):
    return [("X-Forwarded-For", address)]


def clicks_from(world, address, count):
    target = world.target(world.mint()["url"])
    return burst(world, count, lambda i: world.get_bytes(target, from_client(address)))


def test_a_client_address_has_its_rate_on_routes_without_key(world_with):
    world = limited_world(world_with)
    before = world.counts()["click"]
    answers, took = clicks_from(world, "203.0.113.1", 40)
    passed = [a for a in answers if a.status == 302]
    assert 1 <= len(passed) <= 2 * RATE + RATE * took + 1
    waits = [is_limited(a) for a in answers if a.status != 302]
    assert len(waits) + len(passed) == 40 and waits
    assert world.counts()["click"] == before + len(passed)
    (other,), _ = clicks_from(world, "203.0.113.2", 1)
    assert other.status == 302
    time.sleep(waits[-1])
    (again,), _ = clicks_from(world, "203.0.113.1", 1)
    assert again.status == 302


def test_routes_with_a_key_are_not_limited_by_client_address(world_with):
    world = limited_world(world_with)
    headers = from_client("203.0.113.3")
    answers, _ = burst(world, 60, lambda i: world.post_bytes(COLLECT, event(), None, headers))
    assert {a.status for a in answers} == {204}
    answers, _ = burst(world, 60, lambda i: world.post_bytes(
        MINT, {"ads": [world.ad()]}, world.adserver, headers))
    assert {a.status for a in answers} == {200}


# -- the client address ---------------------------------------------------------------------


def stored_address(world, *forwarded):
    headers = [("X-Forwarded-For", value) for value in forwarded]
    assert world.follow(world.mint()["url"], headers).header("location") != LANDING
    return world.last("click")["client_address"]


def is_masked(stored, network):
    """The network's address, with or without its length behind it."""
    assert stored.split("/")[0] == network, stored


def test_the_peers_address_is_stored_masked(world):
    is_masked(stored_address(world), "127.0.0.0")


@table("forwarded", {
    "one address": "203.0.113.77",
    "a list": "203.0.113.77, 198.51.100.9",
    "no address": "<script>",
})
def test_x_forwarded_for_of_a_stranger_is_ignored(world, forwarded):
    is_masked(stored_address(world, forwarded), "127.0.0.0")


@table("name", {n: n for n in ("Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP")})
def test_no_other_header_names_the_client(world_with, name):
    world = world_with("--trusted-proxies", "127.0.0.0/8")
    headers = [(name, "for=203.0.113.77" if name == "Forwarded" else "203.0.113.77")]
    assert world.follow(world.mint()["url"], headers).status == 302
    is_masked(world.last("click")["client_address"], "127.0.0.0")


def test_a_stranger_cannot_forge_its_way_around_the_rate(world_with):
    """A new address in every request: the peer is not trusted, so they are all one client's."""
    world = world_with("--client-rate-limit", RATE, "--trusted-proxies", "192.0.2.1")
    target = world.target(world.mint()["url"])
    answers, took = burst(world, 60,
                          lambda i: world.get_bytes(target, from_client(f"203.0.113.{i}")))
    passed = [a for a in answers if a.status == 302]
    assert len(passed) <= 2 * RATE + RATE * took + 1
    assert {a.status for a in answers} == {302, 429}


def test_behind_a_proxy_that_is_trusted_they_are_many(world_with):
    """The same requests: what held them back above was the trust alone."""
    world = limited_world(world_with)
    target = world.target(world.mint()["url"])
    answers, _ = burst(world, 60, lambda i: world.get_bytes(target, from_client(f"192.0.2.{i}")))
    assert {a.status for a in answers} == {302}


@table("trusted, network", {"a trusted one": ("::1", "203.0.113.0"), "a stranger": ("::2", "::")})
def test_a_peer_may_come_over_ipv6(data_dir, trusted, network):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    server = program.Server(data_dir)
    command = [program.BINARY, *store.with_store(
        ["serve", "--data", data_dir, "--trusted-proxies", trusted,
         "--client-address", "masked", "--listen", f"[::1]:{server.port}"])]
    server.proc = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=server.stderr_file)
    try:
        server.await_ready()
        with socket.create_connection(("::1", server.port)) as conn:
            conn.sendall(build("GET", f"/ack?p={tokens.forge(data_dir, 'ack')}",
                               [("Host", "x"), ("X-Forwarded-For", "203.0.113.77")]))
            assert conn.recv(4096).startswith(b"HTTP/1.1 200 ")
        rows = program.query(data_dir, "SELECT client_address FROM impression")
        assert [row["client_address"] for row in rows] == [network]
        server.stop()
    finally:
        server.kill()


@table("forwarded, network", {
    "one address": (["203.0.113.77"], "203.0.113.0"),
    "the last of a list": (["198.51.100.9, 203.0.113.77"], "203.0.113.0"),
    "a forged first hop": (["10.9.8.7, 1.2.3.4, 203.0.113.77"], "203.0.113.0"),
    "the last that is not trusted": (["198.51.100.9, 203.0.113.77, 127.0.0.9"], "203.0.113.0"),
    "two trusted hops behind it": (["203.0.113.77,127.0.0.8,127.0.0.9"], "203.0.113.0"),
    "two headers": (["198.51.100.9", "203.0.113.77"], "203.0.113.0"),
    "no header": ([], "127.0.0.0"),
    "IPv6": (["2001:db8:1:2:3::4"], "2001:db8:1::"),
    "IPv6 with a port": (["[2001:db8:1:2:3::4]:443"], "2001:db8:1::"),
    "a port": (["203.0.113.77:4711"], "203.0.113.0"),
    "garbage": (["<script>"], "127.0.0.0"),
    "garbage before the last": (["unknown, 203.0.113.77"], "203.0.113.0"),
    "garbage behind it": (["203.0.113.77, unknown"], "127.0.0.0"),
    "no header but blanks": (["", " , "], "127.0.0.0"),
    "not ASCII": ([b"\xff\xfe"], "127.0.0.0"),
    "as many hops as a head takes": (["10.0.0.1, " * 1400 + "203.0.113.77"], "203.0.113.0"),
})
def test_behind_a_trusted_proxy_the_last_untrusted_hop_counts(world_with, forwarded, network):
    world = world_with("--trusted-proxies", "127.0.0.0/8")
    is_masked(stored_address(world, *forwarded), network)


def test_client_address_full_stores_all_of_it(world_with):
    world = world_with("--trusted-proxies", "127.0.0.1", "--client-address", "full")
    assert stored_address(world, "203.0.113.77") == "203.0.113.77"
    assert stored_address(world, "2001:db8:1:2:3::4") == "2001:db8:1:2:3::4"
