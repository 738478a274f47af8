"""Contract section 1: what is answered while the store is being opened. A write lock on the database,
held here, keeps a server in that state for as long as a test likes."""

import concurrent.futures
import signal
import sqlite3
import time

import pytest

from support import server as program
from support.http import Conn, build, exchange
from support.world import table

pytestmark = pytest.mark.data_file

STARTING = b'{"status":"starting","ready":false}'


class Starting:
    """A server that cannot open its store before finish() is called."""

    def __init__(self, data):
        program.partner_key(data)
        self.lock = sqlite3.connect(data / "adtally.db", isolation_level=None)
        self.lock.execute("BEGIN IMMEDIATE")
        self.server = program.Server(data)
        self.server.launch()
        end = time.monotonic() + 10
        while self.server.health() is None:
            assert time.monotonic() < end and self.server.alive(), self.server.stderr
            time.sleep(0.01)

    def send(self, method, path, headers=(), body=b""):
        host = [("Host", self.server.host), ("Content-Length", str(len(body)))]
        return exchange(self.server.port, build(method, path, [*host, *headers], body), method)

    def finish(self):
        self.lock.execute("ROLLBACK")
        self.server.await_ready()


@pytest.fixture
def starting(data_dir):
    made = Starting(data_dir)
    yield made
    made.lock.close()
    made.server.kill()


def test_health_says_so(starting):
    answer = starting.server.health()
    assert (answer.status, answer.body) == (503, STARTING)
    assert answer.header("retry-after") == "1"


@table("method, path, status, body", {
    "conversion": ("POST", "/v1/api/conversion", 503, {"detail": "Service unavailable"}),
    "conversion, the other path": ("POST", "/api/conversion", 503,
                                   {"detail": "Service unavailable"}),
    "collect": ("POST", "/v1/api/collect", 503, {"detail": "Service unavailable"}),
    "mint": ("POST", "/v1/mint", 503, {"detail": "Service unavailable"}),
    "redirect": ("GET", "/api/v1/tracking/redirect?token=x", 503,
                 {"detail": "Service unavailable"}),
    "an unknown path": ("POST", "/nowhere", 404, {"detail": "Not Found"}),
    "another method": ("GET", "/v1/api/conversion", 405, {"detail": "Method Not Allowed"}),
})
def test_the_others_are_unavailable(starting, method, path, status, body):
    answer = starting.send(method, path, body=b"{}" if method == "POST" else b"")
    assert (answer.status, answer.json) == (status, body)
    assert answer.header("retry-after") == ("1" if status == 503 else None)


def test_a_page_without_503_has_500(starting):
    answer = starting.send("POST", "/api/v1/tracking/feedback", body=b"{}")
    assert answer.status == 500 and answer.header("retry-after") == "1"
    assert answer.header("access-control-allow-origin") == "*"


def test_bodies_are_read_and_too_large_ones_are_not(starting):
    large = build("POST", "/v1/mint", [("Host", "a"), ("Content-Length", "1000000")])
    assert exchange(starting.server.port, large, "POST").status == 503


def test_a_connection_of_that_time_ends_when_the_server_is_ready(starting):
    with Conn(starting.server.port) as conn:
        conn.send(build("GET", "/health", [("Host", "a")]))
        assert conn.read().status == 503
        starting.finish()
        assert conn.closes()
    assert starting.server.health().body == b'{"status":"ok","ready":true}'


def test_ready_is_said_when_every_connection_is_served(starting):
    starting.finish()
    for _ in range(50):
        assert starting.server.health().status == 200


def test_a_command_waits_for_the_server_that_starts(starting):
    """Commands go over the socket, which is there when the server is ready."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        listed = pool.submit(program.cli_json, "key", "list", "--json", "--data",
                             starting.server.data)
        time.sleep(0.5)
        assert not listed.done()
        starting.finish()
        assert len(listed.result()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once(starting, number):
    start = time.monotonic()
    starting.server.signal(number)
    assert starting.server.wait() == 0
    assert time.monotonic() - start < 2
