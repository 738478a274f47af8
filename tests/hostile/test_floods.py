"""Floods: of requests in one write, of bytes that are no request, of heads as large as may be, of
names that nobody has used before."""

import time

import pytest

from siege import KIB, MIB, attack, memory
from support.torture import say, seed, size
from support.world import API, COLLECT, MINT, V1, conversion, dump, event, table

BUSY_MOST = 256 * KIB  # of resident memory, a connection that is never idle
MARK = "#" * 12  # becomes a number that no other request has


def report(name, flood, calm, p99, grown):
    answers = sum(flood.seen["statuses"].values())
    say(f"hostile: {name}: {answers} answers, {grown.bytes // KIB} KiB at the peak, "
        f"p99 {p99 * 1000:.1f} ms beside {calm.p99 * 1000:.1f} ms")


# -- pipelines ------------------------------------------------------------------------------


@pytest.mark.parametrize("recorded", [False, True], ids=["answered at once", "recorded"])
def test_thousands_of_requests_in_one_write(world, calm, recorded):
    if recorded:
        request = world.post_bytes(COLLECT, event(tag_id="flood", event_id=MARK))
        statuses = {"204"}
    else:
        request = (world.get_bytes("/health") + world.post_bytes(V1, b"{")
                   + world.get_bytes("/" + "x" * 2000) + world.get_bytes("/", method="PUT"))
        statuses = {"200", "400", "404", "405"}
    count = size(24, 200)
    with memory(world, count * BUSY_MOST + 4 * MIB) as grown:
        with attack(world, "flood", count=count, request=request, depth=2000) as flood:
            p99 = calm.holds()
    assert set(flood.seen["statuses"]) == statuses and flood.seen["closed"] == 0, flood.seen
    report("pipelined requests" + ", all recorded" * recorded, flood, calm, p99, grown)


# -- bytes ----------------------------------------------------------------------------------

TLS_HELLO = (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(range(32)) + b"\x20"
             + bytes(range(32)) + b"\x00\x06\x13\x01\x13\x02\x13\x03\x01\x00\x00\x52" + bytes(82))
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18)
STRANGERS = {
    "TLS": TLS_HELLO,
    "SSL 2": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(range(37)),
    "HTTP/2": HTTP2,
    "HTTP/2 by upgrade": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                         b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n" + HTTP2,
    "WebSocket": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                 b"\r\n\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
    "CONNECT": b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n" + TLS_HELLO,
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "SMTP": b"EHLO a\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n",
    "memcached": b"stats\r\n",
    "SMB": b"\x00\x00\x00\x2f\xffSMB" + bytes(43),
    "RDP": b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
    "PROXY": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "PROXY 2": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12),
    "nothing but NULs": bytes(3000),
    "nothing but line ends": b"\r\n" * 2000,
    "nothing but spaces": b" " * 3000,
    "a byte over 127": b"\xff",
}
ANSWERED = {"HTTP/2 by upgrade", "WebSocket"}  # an upgrade may be ignored (RFC 9110 section 7.8)


@table("name", {name: name for name in STRANGERS})
def test_another_protocol_is_400_and_close(world, name):
    with world.records(), world.connect() as conn:
        conn.send(STRANGERS[name])
        if name in ANSWERED:
            assert conn.read().status == 200
        answer = conn.read()
        assert answer.status in ((400, 404, 405) if name == "CONNECT" else (400,)), answer
        assert answer.receipt is None
        if answer.status != 400:
            assert conn.read().status == 400
        assert conn.closes()


def test_garbage(world, calm):
    """Random bytes, other protocols, real requests with some bytes changed: refused or answered,
    and what is no event is not recorded as one."""
    text = seed("garbage")
    samples = [*STRANGERS.values(), world.get_bytes("/health"),
               world.post_bytes(COLLECT, event(tag_id="garbage")),
               world.post_bytes(MINT, {"ads": [world.ad()]}, world.adserver)]
    with memory(world, 8 * MIB) as grown:
        with attack(world, "garbage", count=64, seed=text, samples=samples) as flood:
            p99 = calm.holds()
            if size(False, True):
                calm.client.window(30)
    statuses = flood.seen["statuses"]
    assert statuses.get("400", 0) > 50 and not any(s.startswith("5") for s in statuses), flood.seen
    report(f"{flood.seen['opened']} connections of garbage (seed {text})", flood, calm, p99, grown)


def test_heads_as_large_as_may_be(world, calm):
    bombs = [[(f"X-{i:02}", "v" * 230) for i in range(61)], [("X", "v" * 16000)],
             [("X-Forwarded-For", "1.2.3.4, " * 1700)], [("Connection", "x, " * 5000)]]
    request = b"".join(world.get_bytes("/health", headers) for headers in bombs)
    request += world.get_bytes("/health?" + "a=%41&" * 1364)
    with memory(world, 24 * 64 * KIB + MIB) as grown:
        with attack(world, "flood", count=24, request=request) as flood:
            p99 = calm.holds()
    assert set(flood.seen["statuses"]) == {"200"}, flood.seen
    report("heads of 16 KiB", flood, calm, p99, grown)


# -- names ----------------------------------------------------------------------------------


def names_of_strangers(world):
    """Requests with a name that is new each time, and what they are answered."""
    key = [("Authorization", "Bearer adt_p_" + MARK)]
    address = [("X-Forwarded-For", "2001:db8:@@@@:@@@@::1")]
    bid = {"bid_id": MARK, "feedback_type": "positive"}
    return [(world.post_bytes(COLLECT, event(), headers=key), "401"),
            (world.post_bytes(V1, conversion(MARK, order_id=MARK)), "404"),
            (world.post_bytes(API, conversion("x"), headers=[("Idempotency-Key", MARK)]), "404"),
            (world.post_bytes("/api/v1/tracking/feedback", bid, headers=address), "404"),
            (world.get_bytes("/api/v1/tracking/view?token=x", address), "404"),
            (world.get_bytes("/" + MARK), "404")]


def test_names_that_nobody_has_used_before_cost_no_memory(world_with, calm_of):
    """Keys, clicks, bids, addresses, paths: unknown, so nothing of them is kept. The limiter of
    client addresses is a table of 16 MiB, however many there are."""
    world = world_with("--client-rate-limit", "100000", "--trusted-proxies", "127.0.0.0/8")
    names, calm = names_of_strangers(world), calm_of(world)
    before = {**world.counts(), "server_event": 0}
    with memory(world, (16 + 4) * MIB) as grown:
        with attack(world, "flood", count=16, request=b"".join(r for r, _ in names),
                    depth=20) as flood:
            p99 = calm.holds()
            time.sleep(size(0, 60))  # what the client beside records has its own memory
    assert set(flood.seen["statuses"]) == {status for _, status in names}, flood.seen
    strangers = "SELECT 1 FROM server_event WHERE tag_id <> 'healthy'"
    assert {**world.counts(), "server_event": len(world.rows(strangers))} == before
    report("names never used before", flood, calm, p99, grown)


# -- hashes ---------------------------------------------------------------------------------


def djb2(text):
    value = 5381
    for byte in text:
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def colliding(count):
    """Keys that are all the same to the hashes of the textbooks (djb2, Java, and all that multiply
    by 33 or 31): any sequence of two blocks with one value, as in "Ez" and "FY"."""
    assert djb2(b"EzEzFY") == djb2(b"FYEzEz") == djb2(b"EzFYFY")
    bits = (count - 1).bit_length()
    return ["".join("FY" if number >> bit & 1 else "Ez" for bit in range(bits))
            for number in range(count)]


def seconds_of(world, body):
    """The least that an answer took of some: 422 or 204 is all the same."""
    data, took = world.post_bytes(COLLECT, body), []
    for _ in range(7):
        start = time.monotonic()
        assert world.send(data).status in (204, 400, 422)
        took.append(time.monotonic() - start)
    return min(took)


def test_keys_that_collide_cost_no_more_than_others(world):
    """2,000 of them in an object: a hash that they can choose collisions of takes a hundred times
    as long."""
    keys = colliding(2000)
    others = [f"{number:022}"[::-1] for number in range(2000)]
    bad, good = (seconds_of(world, {"event_name": "x", "params": dict.fromkeys(names, 1)})
                 for names in (keys, others))
    assert len(dump(dict.fromkeys(keys, 1))) < 64 * KIB
    assert bad < 10 * good + 0.02, f"{bad * 1000:.1f} ms, others {good * 1000:.1f} ms"


@table("body", {
    "depth": b"[" * 65000,
    "objects": b'{"a":' * 13000,
    "escapes": b'{"event_name":"' + b"\\u0041" * 10000 + b'"}',
    "numbers": b'{"event_name":"x","params":{"n":' + b"9" * 65000 + b"}}",
    "fields": dump({"event_name": "x", **{f"f{i}": i for i in range(4000)}}),
    "extra, deep": dump({"event_name": "x", "e": {f"f{i}": {"a": {"b": {"c": {"d": 1}}}}
                                                  for i in range(1500)}}),
    "duplicates": b'{"event_name":"x","params":{' + b'"a":1,' * 9000 + b'"a":1}}',
})
def test_a_body_that_is_meant_to_be_slow_is_not(world, body):
    assert len(body) <= 64 * KIB
    assert seconds_of(world, body) < 0.1
