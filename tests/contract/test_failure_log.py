"""Standard error: a line of JSON for each request that fails, and nothing of the client in it."""

import fcntl
import ipaddress
import json
import os
import re
import subprocess
import time

import pytest

from support import publisher
from support import server as program
from support import tokens
from support.disk import fill, wait_for
from support.http import Conn, build, chunked
from support.world import (ABSENT, API, CANARY, COLLECT, MINT, REDIRECT, V1, World, conversion,
                           event, table, unique)
from test_starting import Starting

MEMBERS = {"time", "level", "event", "status", "reason", "method", "route", "key", "client", "port",
           "ms", "lines_lost"}
BURST, PER_S = 100, 5


def lines_of(server, event="request_failed"):
    """The lines of this event. Every line must be JSON of printable ASCII, whatever it says."""
    text = server.stderr
    assert re.fullmatch(r"([\x20-\x7e]*\n)*", text), "a raw character"
    return [line for line in map(json.loads, text.splitlines()) if line["event"] == event]


def is_line(line, status, reason, method=None, route=None):
    assert set(line) <= MEMBERS, line
    assert (line["status"], line["reason"]) == (status, reason), line
    assert line.get("method") == method and line.get("route") == route, line
    assert line["level"] == ("info" if status < 500 else "warn")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]), line
    assert line["client"] == "127.0.0.0" and 0 < line["port"] < 65536 and line["ms"] >= 0, line


@pytest.fixture(scope="module")
def logged():
    made = World(["--threads", "4", "--head-timeout", "300ms", "--body-timeout", "300ms"])
    yield made
    made.close()


def send_raw(world, data):
    """Bytes on a connection of their own, up to the answer."""
    with Conn(world.port) as conn:
        conn.send(data)
        return conn.read()


def post(path, key=ABSENT, body=b"{}", headers=()):
    return lambda world: world.post(path, body, key, headers)


def get(target):
    return lambda world: world.get(target)


def raw(text):
    return lambda world: send_raw(world, text.replace("HOST", world.host).encode())


def adserver(path, body):
    return lambda world: world.post(path, body, world.adserver)


def ad_feedback(body):
    return lambda world: publisher.rate(world, body)


def vote(option_id):
    def send(world):
        ad = world.mint(poll_id=publisher.new_poll(world))
        return publisher.vote(world, ad, option_id)
    return send


def vote_twice(world):
    ad = world.mint(poll_id=publisher.new_poll(world))
    assert publisher.vote(world, ad).status == 200
    return publisher.vote(world, ad)


def convert_without_bid(world):
    token = tokens.forge(world.data, bid=None)
    location = world.get(f"{REDIRECT}?token={token}").header("location")
    return world.convert(re.search("thrad_click_id=([^&]+)", location)[1])


def chunks(*parts):
    head = [("Host", "x"), ("Transfer-Encoding", "chunked"), ("Content-Type", "application/json")]
    return lambda world: send_raw(world, build("POST", COLLECT, head, chunked(*parts)))


VOTE, RESULTS = publisher.VOTE, publisher.RESULTS

FAILURES = {
    "no route": (get("/nowhere"), 404, "not_found", "GET", None),
    "no method of the route": (get(V1), 405, "method", "GET", V1),
    "another method": (raw("PUT /ack HTTP/1.1\r\nHost: HOST\r\n\r\n"), 405, "method", "other",
                       "/ack"),
    "no key": (post(V1), 401, "bearer_missing", "POST", V1),
    "a wrong key": (post(API, "wrong"), 401, "key_invalid", "POST", API),
    "a key of another class": (adserver(V1, {}), 401, "key_invalid", "POST", V1),
    "no publisher key": (lambda w: publisher.rate(w, {}, ABSENT), 401, "key_invalid", "POST",
                         "/ad-feedback"),
    "malformed JSON": (post(COLLECT, None, b"{"), 400, "validation", "POST", COLLECT),
    "a field is missing": (post(API, None, b"{}"), 422, "validation", "POST", API),
    "another type of body": (post(API, None, b"{}", [("Content-Type", "text/plain")]), 422,
                             "validation", "POST", API),
    "no click": (lambda w: w.convert("none"), 404, "click_not_found", "POST", V1),
    "a click without bid": (convert_without_bid, 400, "click_without_bid", "POST", V1),
    "a body too large": (post(V1, None, b" " * 70000), 413, "too_large", "POST", V1),
    "a chunked body too large": (chunks(b" " * 70000), 401, "bearer_missing", "POST", COLLECT),
    "no impression": (post("/api/v1/tracking/feedback", ABSENT,
                           b'{"bid_id":"x","feedback_type":"positive"}'), 404,
                      "impression_not_found", "POST", "/api/v1/tracking/feedback"),
    "a bad body of seed 000": (post("/api/v1/tracking/feedback"), 422, "validation", "POST",
                               "/api/v1/tracking/feedback"),
    "a bad body of seed 001": (ad_feedback({}), 422, "validation", "POST", "/ad-feedback"),
    "a bad impUrl": (ad_feedback({"sessionId": "s", "impUrl": "x", "sentiment": "thumbs_up"}), 422,
                     "invalid_imp_url", "POST", "/ad-feedback"),
    "no token": (post(VOTE), 400, "token_missing", "POST", VOTE),
    "a bad token": (get(RESULTS + "?token=v4.local.AAAA"), 401, "token_invalid", "GET", RESULTS),
    "no option": (vote("none"), 400, "option", "POST", VOTE),
    "a second vote": (vote_twice, 409, "second_vote", "POST", VOTE),
    "a bad click token": (get(REDIRECT + "?token=v4.local.A"), 404, "not_found", "GET", REDIRECT),
    "a bad view token": (get("/api/v1/tracking/view?token=x"), 404, "not_found", "GET",
                         "/api/v1/tracking/view"),
    "a mint that is none": (adserver(MINT, {"ads": [{}]}), 422, "validation", "POST", MINT),
    "no request": (raw("nonsense\r\n\r\n"), 400, "framing", None, None),
    "no Host": (raw("GET / HTTP/1.1\r\n\r\n"), 400, "framing", None, None),
    "a target too long": (raw(f"GET /{'a' * 9000} HTTP/1.1\r\nHost: HOST\r\n\r\n"), 414, "framing",
                          None, None),
    "a head too large": (raw(f"GET / HTTP/1.1\r\nHost: HOST\r\nX: {'a' * 17000}\r\n\r\n"), 431,
                         "framing", None, None),
    "bad chunks": (raw(f"POST {COLLECT} HTTP/1.1\r\nHost: HOST\r\n"
                       "Transfer-Encoding: chunked\r\n\r\nx\r\n"), 400, "framing", "POST", COLLECT),
    "a slow head": (raw("GET / HT"), 408, "timeout", None, None),
    "a slow body": (raw("POST /ack HTTP/1.1\r\nHost: HOST\r\nContent-Length: 9\r\n\r\n"), 408,
                    "timeout", "POST", "/ack"),
}


@table("send, status, reason, method, route", FAILURES)
def test_each_leaves_one_line(logged, send, status, reason, method, route):
    before = len(lines_of(logged.server))
    answer = send(logged)
    assert answer.status == status, answer
    lines = lines_of(logged.server)[before:]
    assert len(lines) == 1, lines
    is_line(lines[0], status, reason, method, route)


def test_a_failure_after_a_success_borrows_nothing_from_it(logged):
    """The same connection: neither route, method nor key of the request before is told."""
    with logged.connect() as conn:
        conn.send(logged.post_bytes(COLLECT, event()))
        assert conn.read().status == 204
        before = len(lines_of(logged.server))
        conn.send(b"nonsense\r\n\r\n")
        assert conn.read().status == 400
    (line,) = lines_of(logged.server)[before:]
    is_line(line, 400, "framing")
    assert "key" not in line


def test_a_key_is_told_by_its_id(logged):
    before = len(lines_of(logged.server))
    assert logged.post(API, {}).status == 422
    assert logged.post(API, {}, "wrong").status == 401
    told, not_told = lines_of(logged.server)[before:]
    assert told["key"] == program.key_id(logged.data, "main") and "key" not in not_told


def test_a_rate_limit_is_told(world_with):
    world = world_with("--rate-limit", "2")
    answers = world.pipeline([world.post_bytes(COLLECT, event()) for _ in range(20)])
    refused = [a.status for a in answers if a.status != 204]
    lines = lines_of(world.server)
    assert refused and set(refused) == {429} and len(lines) == len(refused)
    is_line(lines[0] | {"key": None}, 429, "rate_limited", "POST", COLLECT)


def test_what_succeeds_leaves_none(world_with):
    world = world_with("--client-address", "full")
    ad = publisher.show(world, poll_id=publisher.new_poll(world))
    assert world.convert(world.click(), idem=unique("key")).status == 200
    assert world.post(COLLECT, event()).status == 204
    assert publisher.vote(world, ad).status == 200
    assert world.send(world.get_bytes("/health", method="HEAD"), "HEAD").status == 200
    assert world.send(world.get_bytes("/ack", method="OPTIONS")).status == 204
    assert lines_of(world.server) == []


def test_they_can_be_switched_off(world_with):
    world = world_with("--log-failures", "off")
    assert world.get("/nowhere").status == 404
    assert lines_of(world.server) == []


def test_a_server_that_starts_tells_too(data_dir):
    starting = Starting(data_dir)
    try:
        before = len(lines_of(starting.server))
        assert starting.send("POST", V1).status == 503
        assert starting.send("GET", "/health").status == 503
        assert starting.send("POST", VOTE).status == 500
        conversion_line, health_line, vote_line = lines_of(starting.server)[before:]
        is_line(conversion_line, 503, "unavailable", "POST", V1)
        is_line(vote_line, 500, "server_error", "POST", VOTE)
        is_line(health_line, 503, "starting", "GET", "/health")
    finally:
        starting.lock.close()
        starting.server.kill()


def test_a_full_disk_is_told(disk):
    world = World(data=disk / "data")
    click = world.click()
    try:
        status = 200
        while status == 200:
            fill(disk)
            status = world.convert(click, idem=unique("key")).status
        (line,) = lines_of(world.server)
        is_line(line | {"key": None}, 503, "unavailable", "POST", V1)
        wait_for(world, 503)
        assert lines_of(world.server)[-1]["reason"] == "degraded"
    finally:
        world.server.kill()


# -- what a client sends never comes back -----------------------------------------------------

INJECTIONS = [CANARY + '","level":"error","event":"forged', CANARY + "\\n{\"event\":\"forged\"}",
              CANARY + "%0a%22", CANARY + "\u00e9\u2028", CANARY + "\\u000a", CANARY + "$(id)`id`"]


@pytest.mark.parametrize("number", range(len(INJECTIONS)))
def test_nothing_of_a_client_is_in_a_line(logged, number):
    text = INJECTIONS[number].encode()
    target = b"/" + text.replace(b" ", b"") + b"?token=" + text
    head = b"Host: x\r\nX-Forwarded-For: " + text + b"\r\nUser-Agent: " + text + b"\r\n"
    for data in (b"GET " + target + b" HTTP/1.1\r\n" + head + b"\r\n",
                 b"GET /ack?p=" + text + b" HTTP/1.1\r\n" + head + b"\r\n",
                 b"POST /v1/api/collect HTTP/1.1\r\nContent-Length: 2\r\n" + head +
                 b"Authorization: Bearer " + text + b"\r\n\r\n{}",
                 text + b"\r\n\r\n"):
        assert send_raw(logged, data).status >= 400
    headers = [("Idempotency-Key", text), ("Content-Type", b"x/" + text)]
    assert logged.post(V1, {CANARY: INJECTIONS[number]}, headers=headers).status >= 400
    assert logged.post(V1, conversion(INJECTIONS[number])).status == 404
    lines_of(logged.server)
    assert CANARY not in logged.server.stderr and "forged" not in logged.server.stderr


@table("control", {"a line feed": b"\n", "a return": b"\r", "NUL": b"\0", "escape": b"\x1b[2J",
                   "delete": b"\x7f", "high": b"\x80\xff"})
def test_control_characters_stay_out(logged, control):
    text = CANARY.encode() + control + b'"'
    for data in (b"GET /" + text + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + text + b"\r\n" + text +
                 b": x\r\n\r\n"):
        send_raw(logged, data)
    lines_of(logged.server)
    assert CANARY not in logged.server.stderr


def test_no_secret_and_no_token_is_in_the_log(logged):
    ad = logged.mint()
    token = publisher.token_of(ad["url"])
    for secret in (logged.partner, logged.adserver):
        logged.post("/v1/nowhere/" + secret, {}, secret)
        logged.post(API, {"click_id": secret}, secret)
        logged.get(f"/ack?p={token}&p={token}")
        logged.get(f"/{token}")
        logged.get(f"{REDIRECT}?token={token}x", [("X-API-Key", secret)])
    assert lines_of(logged.server)
    for text in (logged.partner, logged.adserver, token, token[9:60]):
        assert text not in logged.server.stderr


@table("forwarded, client", {
    "who the proxy says": ([b"198.51.100.77"], "198.51.100.77"),
    "of several headers the last": ([b"192.0.2.1", b"198.51.100.77"], "198.51.100.77"),
    "IPv6": ([b"2001:db8::7"], "2001:db8::7"),
    "garbage": ([b'"}{\\n' + CANARY.encode()], "127.0.0.1"),
    "non-ASCII": ([b"\xff\xfe"], "127.0.0.1"),
})
def test_behind_a_proxy_the_client_is_told(world_with, forwarded, client):
    world = world_with("--trusted-proxies", "127.0.0.1", "--client-address", "full",
                       "--log-failures", "on")
    assert world.get("/nowhere", [("X-Forwarded-For", value) for value in forwarded]).status == 404
    line = lines_of(world.server)[-1]
    assert line["client"] == client and ipaddress.ip_address(line["client"])


# -- a flood, and a reader that does not read -------------------------------------------------


def test_a_flood_of_refusals_is_counted_not_written(own_server):
    server = own_server("--threads", "1")
    began = time.monotonic()
    request, count = build("GET", "/nowhere", [("Host", "x")]), 3000
    with Conn(server.port) as conn:
        for _ in range(count // 50):
            conn.send(request * 50)
            assert [conn.read().status for _ in range(50)] == [404] * 50
    server.stop()
    written = len(lines_of(server))
    assert BURST <= written <= BURST + PER_S * (time.monotonic() - began + 1)
    left_out = lines_of(server, "lines_left_out")
    assert written + sum(line["count"] for line in left_out) == count
    assert len(left_out) <= 2 + time.monotonic() - began


def test_a_reader_that_does_not_read_makes_nobody_wait(data_dir):
    """A pipe of four pages for standard error: what it does not take is lost, and told."""
    server = program.Server(data_dir)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4 * 4096)
    server.proc = subprocess.Popen(
        [program.BINARY, "serve", "--threads", "1", "--data", data_dir, "--listen", server.host],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=writer)
    try:
        server.await_ready()
        request = build("GET", "/nowhere", [("Host", "x")])
        with Conn(server.port) as conn:
            for _ in range(BURST - 1):
                conn.send(request)
                assert conn.read().status == 404
            first = os.read(reader, 65536).decode().splitlines()
            conn.send(request)
            assert conn.read().status == 404
            (last,) = os.read(reader, 65536).decode().splitlines()
        taken = [line for line in map(json.loads, first) if line["event"] == "request_failed"]
        assert 0 < len(taken) < BURST - 1
        assert json.loads(last)["lines_lost"] == BURST - 1 - len(taken)
        server.stop()
    finally:
        server.kill()
        os.close(reader)
        os.close(writer)
