"""adtally tail and GET /v1/tail: every request with what became of it, and nothing secret."""

import contextlib
import json
import re
import select
import subprocess
import time

import pytest

from support import admin
from support import server as program
from support import tokens
from support.http import Conn
from support.world import REDIRECT, V1, World, conversion, table

WAIT_S = 10


class Lines:
    """What comes out of a file descriptor, a line at a time."""

    def __init__(self, fd_of):
        self.source, self.rest = fd_of, b""

    def next(self, wait_s=WAIT_S):
        """The next line, or None when none comes in time or ever."""
        end = time.monotonic() + wait_s
        while b"\n" not in self.rest:
            ready = select.select([self.source], [], [], max(0, end - time.monotonic()))[0]
            data = self.source.read1(65536) if ready else b""
            if not data:
                return None
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode()


@contextlib.contextmanager
def tail(data, *flags):
    """`adtally tail --json`, once it is let in; what it prints as objects."""
    process = subprocess.Popen([program.BINARY, "tail", "--json", "--data", str(data), *flags],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process, Lines(process.stdout)
    finally:
        process.kill()
        process.communicate()


def watched(world, lines, send=lambda world: world.get("/nowhere-at-all")):
    """Returns once the tail shows requests: those before it are not seen."""
    for _ in range(100):
        send(world)
        if lines.next(0.3):
            break
    passed(lines)


def passed(lines):
    while lines.next(0.3):
        pass


def shown(lines, count):
    found = [lines.next() for _ in range(count)]
    assert None not in found, found
    return [json.loads(line) for line in found]


@pytest.fixture(scope="module")
def tailed():
    world = World(admin.LISTEN)
    yield world
    world.close()


def test_every_request_has_its_disposition(tailed):
    with tail(tailed.data) as (_, lines):
        watched(tailed, lines)
        click = tailed.click(campaign_id="spring", advertiser_id="shop")
        first = tailed.convert(click, idem="k")
        tailed.convert(click, idem="k")
        tailed.post(V1, conversion("no-such-click"))
        tailed.post(V1, b"{")
        mint, redirect, recorded, duplicate, unknown, invalid = shown(lines, 6)
    assert (mint["route"], mint["outcome"], mint["status"]) == ("/v1/mint", "answered", 200)
    assert (redirect["route"], redirect["outcome"]) == (REDIRECT, "recorded")
    assert (redirect["campaign"], redirect["publisher"]) == ("spring", "pub-1")
    assert redirect["advertiser"] == "shop" and re.fullmatch("[0-9a-f]{16}", redirect["receipt"])
    assert (recorded["outcome"], recorded["receipt"]) == ("recorded", first.receipt)
    assert recorded["partner"] == "acme" and recorded["us"] > 0
    assert (duplicate["outcome"], duplicate["duplicate_of"]) == ("duplicate", first.receipt)
    assert "receipt" not in duplicate
    assert (unknown["outcome"], unknown["reason"]) == ("refused", "click_not_found")
    assert (invalid["outcome"], invalid["reason"]) == ("refused", "validation")
    assert "campaign" not in invalid, "the campaign of the connection's last request"


def test_nothing_secret_is_in_it(tailed):
    with tail(tailed.data) as (_, lines):
        watched(tailed, lines)
        ad = tailed.mint(user_id="user-1")
        tailed.follow(ad["url"], [("User-Agent", "agent-1")])
        tailed.post(V1, conversion("click-1", session_id="session-1"))
        tailed.post(V1, conversion("click-1"), key="atk_wrong_wrong_wrong_wrong")
        found = shown(lines, 4)
    text = json.dumps(found)
    for secret in (tailed.partner, tailed.adserver, "atk_wrong", "user-1", "agent-1", "click-1",
                   "session-1", ad["url"].split("token=")[1][:40], "127.0.0.1"):
        assert secret not in text
    assert {line["client"] for line in found} == {"127.0.0.0"}


def send_each(world):
    click = world.click(campaign_id="spring")
    world.convert(click, idem="k")
    world.convert(click, idem="k", path=V1)
    world.post(V1, conversion("no-such-click"))
    world.get("/nowhere")


@table("flags,wanted", {
    "by route": (("--route", V1), 3),
    "by outcome": (("--outcome", "recorded"), 2),
    "by the reason of a refusal": (("--outcome", "click_not_found"), 1),
    "by refusal": (("--outcome", "refused"), 2),
    "by partner": (("--partner", "acme"), 3),
    "by campaign": (("--campaign", "spring"), 1),
    "by two things": (("--partner", "acme", "--outcome", "recorded"), 1),
    "by what never comes": (("--partner", "nobody"), 0),
})
def test_it_filters(tailed, flags, wanted):
    with tail(tailed.data) as (_, everything), tail(tailed.data, *flags) as (_, lines):
        watched(tailed, everything)
        if wanted:
            watched(tailed, lines, send_each)
        passed(everything)
        send_each(tailed)
        assert len(shown(everything, 6)) == 6
        assert len(shown(lines, wanted)) == wanted
        assert lines.next(0.4) is None


def test_lines_for_people(tailed):
    process = subprocess.Popen([program.BINARY, "tail", "--data", str(tailed.data)],
                               stdout=subprocess.PIPE)
    lines = Lines(process.stdout)
    watched(tailed, lines)
    tailed.post(V1, conversion("no-such-click"))
    line = lines.next()
    process.kill()
    process.communicate()
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} POST /v1/api/conversion 404 refused click_not_found"
                        r" partner=acme key=\S+ client=127\.0\.0\.0 \d+us", line)


@table("flags,word", {
    "a route": (("--route", "/v1/nothing"), b"no route is called so"),
    "an outcome": (("--outcome", "lost"), b"no outcome is called so"),
})
def test_what_there_is_not_is_no_filter(tailed, flags, word):
    done = program.run("tail", "--data", tailed.data, *flags)
    assert done.returncode == 1 and word in done.stderr and done.stdout == b""


def test_without_a_server_it_says_so(data_dir):
    program.key_create(data_dir, "adserver", "ads")
    done = program.run("tail", "--data", data_dir)
    assert done.returncode == 1
    assert b"no server runs on" in done.stderr and done.stdout == b""


def test_commands_go_on_beside_it_and_a_watcher_that_leaves_is_forgotten(tailed):
    for _ in range(40):
        with tail(tailed.data) as (process, _):
            assert process.poll() is None
            program.cli("key", "list", "--data", tailed.data)
    with tail(tailed.data) as (_, lines):
        watched(tailed, lines)


def test_who_does_not_read_loses_lines_and_is_told(tailed):
    with tail(tailed.data) as (_, reader):
        watched(tailed, reader)
        requests = [tailed.get_bytes("/nowhere")] * 400
        sent = seen = 0
        for _ in range(25):
            tailed.pipeline(requests)
            sent += len(requests)
        dropped = 0
        while seen + dropped < sent:
            line = json.loads(reader.next())
            dropped += line.get("dropped", 0)
            seen += "outcome" in line
        assert seen + dropped == sent and dropped > 0


def test_the_end_of_the_server_ends_it(own_server, data_dir):
    server = own_server()
    with tail(data_dir) as (process, lines):
        for _ in range(50):
            server.health()
            if lines.next(0.2):
                break
        server.stop()
        assert process.wait(10) == 0


LONGEST = "\x01" * 256  # each byte of it is six in JSON


def follow_longest(world):
    """A click of an ad whose names are as long as names get; mint makes no URL as long as this."""
    token = tokens.forge(world.data, bid="b", pub=LONGEST, cam=LONGEST, adv=LONGEST)
    assert world.get(f"/track/click?p={token}").status == 302


def is_longest(line):
    line = json.loads(line)
    assert [line[name] for name in ("publisher", "campaign", "advertiser")] == [LONGEST] * 3
    assert line["outcome"] == "recorded"


def test_the_longest_names_are_shown_whole(tailed):
    with tail(tailed.data) as (_, lines):
        watched(tailed, lines)
        follow_longest(tailed)
        is_longest(lines.next())


def test_it_filters_by_the_longest_names(tailed):
    with tail(tailed.data) as (_, everything), \
            tail(tailed.data, *("--campaign", LONGEST), *("--route", "/track/click")) as (_, lines):
        watched(tailed, everything)
        follow_longest(tailed)
        is_longest(lines.next())


class Events:
    """GET /v1/tail as a browser's EventSource reads it."""

    def __init__(self, port, key, query=""):
        self.conn = Conn(port)
        self.conn.send(admin.request(port, "GET", "/v1/tail" + query, key=key))
        self.lines = Lines(_Reader(self.conn.sock))
        head = []
        while (line := self.lines.next()) not in (None, "\r", ""):
            head.append(line.strip().lower())
        assert head[0] == "http/1.1 200 ok", head
        assert "content-type: text/event-stream" in head and "connection: close" in head

    def next(self, wait_s=WAIT_S):
        """The data of the next event."""
        while (line := self.lines.next(wait_s)) is not None:
            if line.startswith("data: "):
                return line[6:]
        return None

    def close(self):
        self.conn.close()


class _Reader:
    """A socket that select and Lines can read."""

    def __init__(self, sock):
        self.sock = sock

    def fileno(self):
        return self.sock.fileno()

    def read1(self, size):
        try:
            return self.sock.recv(size)
        except ConnectionResetError:
            return b""


@pytest.fixture(scope="module")
def key(tailed):
    return program.key_create(tailed.data, "admin", "operator")


def test_events_are_the_same_lines(tailed, key):
    events = Events(admin.port_of(tailed.server), key, "?outcome=click_not_found")
    with contextlib.closing(events):
        for _ in range(50):
            tailed.post(V1, conversion("no-such-click"))
            line = events.next(0.3)
            if line:
                break
        assert json.loads(line)["reason"] == "click_not_found"


def test_the_longest_event_is_the_longest_line(tailed, key):
    events = Events(admin.port_of(tailed.server), key, "?route=/track/click")
    with contextlib.closing(events):
        for _ in range(50):
            follow_longest(tailed)
            line = events.next(0.3)
            if line:
                break
        is_longest(line)


def test_a_filter_that_there_is_not_is_422(tailed, key):
    answer = admin.ask(admin.port_of(tailed.server), "GET", "/v1/tail?outcome=lost", key=key)
    assert answer.status == 422 and "no outcome" in answer.json["detail"]


def test_events_need_a_key_and_end_with_it(tailed):
    port = admin.port_of(tailed.server)
    assert admin.ask(port, "GET", "/v1/tail").status == 401
    secret = program.key_create(tailed.data, "admin", "leaver")
    events = Events(port, secret)
    with contextlib.closing(events):
        program.cli("key", "revoke", program.key_id(tailed.data, "leaver"), "--data", tailed.data)
        assert events.lines.next(5) is None
        assert events.conn.sock.recv(1) == b"", "open, and silent"


def test_signing_out_ends_the_session_s_events(tailed, key):
    port = admin.port_of(tailed.server)
    cookie = admin.sign_in(port, key)
    with Conn(port) as conn:
        conn.send(admin.request(port, "GET", "/v1/tail", cookie))
        assert conn.readable(5)
        assert admin.ask(port, "POST", "/session/end", cookie).status == 204
        conn.sock.settimeout(5)
        while conn.sock.recv(65536):
            pass


def as_many_as_may(port, key):
    """Streams until one is refused, and how that was."""
    streams = []
    while True:
        try:
            streams.append(Events(port, key))
        except AssertionError as refusal:
            return streams, str(refusal)


def once_there_is_room(port, key):
    end = time.monotonic() + WAIT_S
    while True:
        try:
            return Events(port, key)
        except AssertionError:
            assert time.monotonic() < end, "nobody noticed that others went"


def test_more_streams_than_there_is_room_for_are_503_and_leave_room_when_they_go(tailed, key):
    port = admin.port_of(tailed.server)
    streams, refusal = as_many_as_may(port, key)
    assert 16 <= len(streams) <= 24 and "http/1.1 503" in refusal
    assert admin.ask(port, "GET", "/v1/keys", key=key).status == 200
    for stream in streams:
        stream.close()
    for stream in [once_there_is_room(port, key) for _ in range(16)]:
        stream.close()
