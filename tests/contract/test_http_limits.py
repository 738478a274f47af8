"""Contract section 2: the limits of a request, and its deadlines."""

import time

import pytest

from support.http import Closed, build, chunked
from support.world import (API, COLLECT, MINT, V1, conversion, dump, event, is_collected,
                           is_invalid, is_recorded, is_refused, table, unique)

BODY_MAX = 64 * 1024
MINT_MAX = 1024 * 1024


def is_empty_and_closes(conn, *statuses):
    answer = conn.read()
    assert answer.status in statuses and answer.body == b"", answer
    assert conn.closes()


# -- the head -------------------------------------------------------------------------------


def heads(count):
    """This many header fields, Host among them."""
    return [("Host", "a")] + [(f"X-{i}", "v") for i in range(count - 1)]


def test_64_headers_work(world):
    assert world.send(build("GET", "/health", heads(64))).status == 200


@pytest.mark.parametrize("count", [65, 66, 100, 500])
def test_more_than_64_headers_are_431(world, count):
    with world.connect() as conn:
        conn.send(build("GET", "/health", heads(count)))
        is_empty_and_closes(conn, 431)


def test_a_head_of_15_kib_works(world):
    assert world.send(build("GET", "/health", [("Host", "a"), ("X-A", "v" * 15000)])).status == 200


@table("headers", {
    "in one header": [("X-A", "v" * 17000)],
    "in many headers": [(f"X-{i}", "v" * 400) for i in range(45)],
    "in a header name": [("X" * 17000, "v")],
})
def test_a_head_over_16_kib_is_431(world, headers):
    with world.connect() as conn:
        conn.send(build("GET", "/health", [("Host", "a"), *headers]))
        is_empty_and_closes(conn, 431)


def test_a_head_that_never_ends_is_431(world):
    with world.connect() as conn:
        conn.send(b"GET /health HTTP/1.1\r\nHost: a\r\nX-A: " + b"v" * 17000)
        is_empty_and_closes(conn, 431)


def test_a_target_of_8_kib_works(world):
    target = "/health?" + "x" * (8192 - len("/health?"))
    assert world.send(build("GET", target, [("Host", "a")])).status == 200


@pytest.mark.parametrize("size", [8193, 9000, 12000])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_target_over_8_kib_is_414(world, method, size):
    target = "/health?" + "x" * (size - len("/health?"))
    with world.connect() as conn:
        conn.send(build(method, target, [("Host", "a"), ("Content-Length", "0")]))
        is_empty_and_closes(conn, 414)


def test_a_target_that_never_ends_is_refused(world):
    with world.connect() as conn:
        conn.send(b"GET /" + b"x" * 40000)
        is_empty_and_closes(conn, 414, 431)


# -- the body -------------------------------------------------------------------------------


def padded(body, size):
    """The same JSON with white space up to this size."""
    text = dump(body)
    return text + b" " * (size - len(text))


@pytest.mark.parametrize("path", [COLLECT, V1, API])
def test_a_body_of_64_kib_works(world, path):
    body = event() if path == COLLECT else conversion(world.click())
    answer = world.post(path, padded(body, BODY_MAX))
    (is_collected if path == COLLECT else is_recorded)(answer)


@pytest.mark.parametrize("path", [COLLECT, V1, API])
def test_a_body_over_64_kib_is_413_in_the_dialect_of_the_route(world, path):
    body = event() if path == COLLECT else conversion(world.click())
    with world.records(), world.connect() as conn:
        conn.send(world.post_bytes(path, padded(body, BODY_MAX + 1)))
        is_refused(conn.read(), 413)


@pytest.mark.parametrize("path, size", [(V1, BODY_MAX), (API, BODY_MAX), (COLLECT, BODY_MAX),
                                        (MINT, MINT_MAX)])
def test_413_comes_on_the_content_length_before_the_body(world, path, size):
    key = world.adserver if path == MINT else None
    with world.records(), world.connect() as conn:
        conn.send(world.post_bytes(path, b"", key, [("Content-Length", str(size + 1))]))
        is_refused(conn.read(), 413)
        assert conn.closes(3)


def test_413_comes_instead_of_100_continue(world):
    headers = [("Content-Length", str(BODY_MAX + 1)), ("Expect", "100-continue")]
    with world.connect() as conn:
        conn.send(world.post_bytes(V1, b"", headers=headers))
        is_refused(conn.read(), 413)


def test_a_client_that_sends_all_of_its_large_body_still_reads_the_413(world):
    for _ in range(10):
        with world.connect() as conn:
            conn.send(world.post_bytes(V1, b" " * (BODY_MAX * 6)))
            is_refused(conn.read(), 413)
            assert conn.closes(3)


def test_the_bytes_behind_a_413_are_no_request(world):
    with world.records(), world.connect() as conn:
        head = world.post_bytes(V1, b"", headers=[("Content-Length", str(BODY_MAX + 1))])
        conn.send(head + world.post_bytes(COLLECT, event()) * 3)
        is_refused(conn.read(), 413)
        assert conn.closes(3)


def chunked_post(world, path, body, key=None):
    head = world.post_bytes(path, b"", key, [("Content-Length", None),
                                             ("Transfer-Encoding", "chunked")])
    return head + chunked(*(body[i : i + 8000] for i in range(0, len(body), 8000)))


def test_a_chunked_body_of_64_kib_works(world):
    is_collected(world.send(chunked_post(world, COLLECT, padded(event(), BODY_MAX))))


@pytest.mark.parametrize("path", [COLLECT, V1, API])
def test_a_chunked_body_over_64_kib_is_413(world, path):
    body = event() if path == COLLECT else conversion(world.click())
    with world.records(), world.connect() as conn:
        conn.send(chunked_post(world, path, padded(body, BODY_MAX + 1)))
        is_refused(conn.read(), 413)
        assert conn.closes(3)


def test_a_mint_of_1_mib_works(world):
    body = padded({"ads": [world.ad()]}, MINT_MAX)
    assert world.post(MINT, body, world.adserver).status == 200


def test_a_413_consumes_no_dedup_key(world):
    click, idem = world.click(), unique("order")
    with world.connect() as conn:
        conn.send(world.post_bytes(V1, padded(conversion(click), BODY_MAX + 1),
                                   headers=[("Idempotency-Key", idem)]))
        is_refused(conn.read(), 413)
    is_recorded(world.convert(click, idem=idem))


# -- the lengths of fields ------------------------------------------------------------------

LENGTHS = {"click_id": 256, "order_id": 256, "event_id": 256, "session_id": 256, "tag_id": 256,
           "event_type": 128, "page_url": 8192, "user_agent": 2048}


@pytest.mark.parametrize("field, size", [(f, n) for f, n in LENGTHS.items() if f != "click_id"])
def test_a_conversion_field_may_be_as_long_as_its_limit(world, field, size):
    body = conversion(world.click(), **{field: unique("f").ljust(size, "x")})
    is_recorded(world.post(V1, body))
    assert world.last("conversion")[field] == body[field]


@pytest.mark.parametrize("field, size", LENGTHS.items())
@pytest.mark.parametrize("path", [V1, API])
def test_a_conversion_field_over_its_limit_is_refused(world, path, field, size):
    body = {**conversion(world.click()), field: "x" * (size + 1)}
    with world.records():
        is_invalid(world.post(path, body), 422, ("string_too_long", ["body", field]))


EVENT_LENGTHS = {"event_name": 128, "tag_id": 256, "event_id": 256, "session_id": 256,
                 "impression_id": 256, "click_id": 256, "bid_id": 256, "page_url": 8192,
                 "user_agent": 2048}


@pytest.mark.parametrize("field, size", EVENT_LENGTHS.items())
def test_an_event_field_has_its_limit(world, field, size):
    with world.records(server_event=1):
        text = unique("f").ljust(size, "x")
        is_collected(world.post(COLLECT, event(**{field: text})))
        answer = world.post(COLLECT, event(**{field: text + "x"}))
        is_invalid(answer, 422, ("string_too_long", ["body", field]))
    assert world.last("server_event")[field] == text


def test_ids_are_measured_in_bytes(world):
    is_collected(world.post(COLLECT, event(session_id="é" * 128)))
    assert world.last("server_event")["session_id"] == "é" * 128
    answer = world.post(COLLECT, event(session_id="é" * 128 + "x"))
    is_invalid(answer, 422, ("string_too_long", ["body", "session_id"]))


# -- deadlines ------------------------------------------------------------------------------

SHORT = ("--head-timeout", "1s", "--body-timeout", "1s", "--idle-timeout", "1s")


def is_cut(conn, start, late_s=3.0):
    """Closed, with or without a 408, not before and not long after the deadline of one second."""
    while not conn.readable(0.01):
        assert time.monotonic() - start < late_s, "still open"
    took = time.monotonic() - start
    assert 0.7 < took < late_s, f"closed after {took:.2f} s"
    try:
        assert conn.read().status == 408
    except Closed:
        return
    assert conn.closes()


def dribble(conn, data, start):
    """A byte every 50 ms: an idle timeout would never end it, a deadline does."""
    for i in range(len(data)):
        conn.send(data[i : i + 1])
        if conn.readable(0.05):
            return
        assert time.monotonic() - start < 3, "the deadline is not absolute"


@pytest.mark.parametrize("slowly", [False, True], ids=["silent", "a byte now and then"])
@pytest.mark.parametrize("part", ["head", "body", "chunks"])
def test_a_request_must_arrive_in_time(world_with, part, slowly):
    world = world_with(*SHORT)
    data = world.post_bytes(COLLECT, event(session_id="s" * 200))
    if part == "chunks":
        data = chunked_post(world, COLLECT, dump(event(session_id="s" * 200)))
    cut = 30 if part == "head" else data.index(b"\r\n\r\n") + 4
    with world.records(), world.connect() as conn:
        start = time.monotonic()
        conn.send(data[:cut])
        if slowly:
            dribble(conn, data[cut : cut + 100], start)
        is_cut(conn, start)


def test_an_idle_connection_is_closed_in_time(world_with):
    world = world_with(*SHORT)
    with world.connect() as conn:
        conn.send(world.get_bytes("/health"))
        assert conn.read().status == 200
        start = time.monotonic()
        assert conn.closes(3)
        assert time.monotonic() - start > 0.7


def test_a_busy_connection_outlives_every_deadline(world_with):
    world = world_with(*SHORT)
    with world.connect() as conn:
        end = time.monotonic() + 1.6
        while time.monotonic() < end:
            conn.send(world.get_bytes("/health"))
            assert conn.read().status == 200
            time.sleep(0.2)
