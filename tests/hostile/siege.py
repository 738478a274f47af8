"""A server under attack: the attacker's process, the server's memory, and the client beside it
whose service must not suffer."""

import base64
import contextlib
import json
import os
import pathlib
import resource
import select
import statistics
import subprocess
import sys
import time

from support import server as program
from support.http import Closed, Conn
from support.world import COLLECT, event, is_collected, unique

ATTACK = pathlib.Path(__file__).with_name("attack.py")
BUILD = pathlib.Path(os.environ.get("ADTALLY_BUILD") or pathlib.Path(program.BINARY).parent)
SANITIZED = any(name in program.BINARY for name in ("asan", "tsan"))
READY_S = 30
FLOOR_S = 0.2 if SANITIZED else 0.03  # below it, a p99 is the scheduler's rather than the server's
TIMES = 3  # what an attack may do to the p99 of others
CALM_THREADS = 3  # what wants to run: the client, the server, what spins
ATTACK_THREADS = 5  # the client, the attacker, two loops and the ledger
WINDOWS, WINDOW_S, TRIES = 3, 0.1, 6
RETRY_S = 0.003  # the patient ones wait for Retry-After
FRESH_EVERY = 8  # each so many-th request comes on a connection of its own
KIB = 1024
MIB = 1024 * KIB


# -- the attacker ---------------------------------------------------------------------------


def encode(value):
    """Bytes as base64, also inside of lists and of options by name."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (list, tuple)):
        return [encode(v) for v in value]
    return {k: encode(v) for k, v in value.items()} if isinstance(value, dict) else value


class Attack:
    """attack.py at work; `seen` holds what it saw once it was stopped."""

    def __init__(self, port, kind, options):
        self.seen, self.buffer, self.ended = None, b"", 0
        self.proc = subprocess.Popen([sys.executable, ATTACK, kind, str(port)],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.proc.stdin.write(json.dumps(options).encode() + b"\n")
        self.proc.stdin.flush()

    def await_ready(self):
        while (line := self._line(READY_S)) != "ready\n":
            assert line, "the attack never got into place"

    def _line(self, within_s):
        """The next line, "" when none comes in time; lines may wait in the buffer already."""
        end = time.monotonic() + within_s
        while b"\n" not in self.buffer:
            left = max(0, end - time.monotonic())
            if not select.select([self.proc.stdout], [], [], left)[0]:
                return ""
            data = os.read(self.proc.stdout.fileno(), 65536)
            assert data, "the attacker ended"
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode() + "\n"

    def closed(self):
        """How many of its connections the server has ended so far, about."""
        while line := self._line(0):
            name, *count = line.split()
            self.ended = int(count[0]) if name == "closed" else self.ended
        return self.ended

    def stop(self):
        self.proc.stdin.close()
        while not (line := self._line(READY_S)).startswith("{"):
            assert line, "the attacker does not end"
        self.seen = json.loads(line)
        self.kill()
        return self.seen

    def kill(self):
        self.proc.kill()
        self.proc.wait()
        self.proc.stdout.close()


@contextlib.contextmanager
def attack(world, kind, *, wait=True, **options):
    """Bytes among the options are given to the attacker as they are."""
    it = Attack(world.port, kind, encode(options))
    try:
        if wait:
            it.await_ready()
        yield it
        if it.seen is None:
            it.stop()
    finally:
        if it.proc.returncode is None:
            it.kill()
    assert world.server.alive(), f"the server died: {world.server.stderr}"


def descriptors_for(count):
    """At most `count`: so many connections may be open at once on this machine."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return min(count, hard - 500) if hard != resource.RLIM_INFINITY else count


# -- the server's memory --------------------------------------------------------------------


def status_of(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        for line in lines:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * KIB
    raise AssertionError(f"no {name} of {pid}")


def resident(world):
    return status_of(world.server.proc.pid, "VmRSS")


def links_in(folder):
    """Where they point; what is closed meanwhile points nowhere."""
    for name in os.listdir(folder):
        try:
            yield os.readlink(f"{folder}/{name}")
        except FileNotFoundError:
            pass


def descriptors(world):
    """Its sockets: the files that it opens when it first needs them are none of a client's."""
    return sum(name.startswith("socket:") for name in links_in(f"/proc/{world.server.proc.pid}/fd"))


def none_left_open(world, within_s=5):
    """All connections are closed, `world.descriptors_at_rest` being what a server has without any.
    What they sent is recorded then: ops have an order."""
    if kept := getattr(world.conns, "conn", None):
        kept.close()
        world.conns.conn = None
    within(within_s, lambda: descriptors(world) <= world.descriptors_at_rest,
           lambda: f"{descriptors(world) - world.descriptors_at_rest} connections are left open")
    client = Healthy(world)
    client.one()
    client.close()


class Growth:
    """The most that the server's resident memory grew."""

    bytes = 0


@contextlib.contextmanager
def memory(world, most):
    """The server's resident memory may grow by `most` bytes at its peak, and no further."""
    pid, growth = world.server.proc.pid, Growth()
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")  # VmHWM begins anew
    before = resident(world)
    yield growth
    growth.bytes = max(0, status_of(pid, "VmHWM") - before)
    if not SANITIZED:
        assert growth.bytes <= most, f"{growth.bytes} bytes more at the peak, {most} allowed"


# -- the client beside it -------------------------------------------------------------------


class Refused(Exception):
    """The healthy client got no 2xx."""


class Healthy:
    """Collects one event after the other, `pace_s` between them, most of them on one connection.
    Every one must be recorded; where `may_be_refused`, a 503 with Retry-After is sent again."""

    def __init__(self, world, pace_s=0.0, may_be_refused=False):
        self.world, self.pace_s, self.conn = world, pace_s, None
        self.may_be_refused = may_be_refused
        self.count = self.refused = 0
        self.ids = []

    def exchange(self, data):
        """As any client does that keeps connections: one that was closed while it was idle is
        opened anew, and the event sent again, with its id."""
        is_fresh = self.conn is None or self.count % FRESH_EVERY == 0
        if is_fresh:
            self.close()
            self.conn = Conn(self.world.port)
        try:
            self.conn.send(data)
            return self.conn.read()
        except Closed:
            self.close()
            if is_fresh:
                raise
        return self.exchange(data)

    def one(self):
        """Seconds of one event, connecting included, and of the try that was not refused."""
        event_id = unique("healthy")
        data = self.world.post_bytes(COLLECT, event(tag_id="healthy", event_id=event_id))
        while True:
            start = time.monotonic()
            answer = self.exchange(data)
            took = time.monotonic() - start
            self.count += 1
            if answer.status == 204:
                is_collected(answer)
                self.ids.append(event_id)
                return took
            if answer.status != 503 or not self.may_be_refused or not answer.header("retry-after"):
                raise Refused(repr(answer))
            self.refused += 1
            time.sleep(RETRY_S)

    def window(self, seconds=WINDOW_S):
        """The p99 of so many seconds."""
        end, took = time.monotonic() + seconds, []
        while time.monotonic() < end or not took:
            took.append(self.one())
            time.sleep(self.pace_s)
        return sorted(took)[int(len(took) * 0.99)]

    def p99(self):
        """The median of some windows: one hiccup of the machine is not the server's."""
        return statistics.median(self.window() for _ in range(WINDOWS))

    def close(self):
        if self.conn:
            self.conn.close()
        self.conn = None


def crowding(own):
    """How many threads want a core for each there is, those of the test's `own` left out; at least
    one. A median of some looks."""
    def look():
        time.sleep(0.01)
        with open("/proc/stat", encoding="ascii") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("procs_running"))

    running = statistics.median(look() for _ in range(7))
    return max(1.0, (running - own) / (os.cpu_count() or 1))


class Calm:
    """What the p99 is while nobody attacks, and the promise that is made of it. An attacker's own
    use of a core is no attack: something spins on one of them meanwhile. Where strangers keep the
    cores busy, what a turn of the scheduler takes grows with them, and so does the floor."""

    def __init__(self, client):
        self.client = client
        client.one()
        with attack(client.world, "spin"):
            self.p99 = client.p99()
            self.crowding = crowding(CALM_THREADS)

    def holds(self, floor_s=FLOOR_S):
        """The client is served as promised; a window that fails is repeated before it counts."""
        seen, bound = [], 0.0
        for _ in range(TRIES):
            seen.append(self.client.p99())
            strangers = max(self.crowding, crowding(ATTACK_THREADS) if seen[1:] else 1)
            bound = max(TIMES * self.p99, floor_s * strangers)
            if seen[-1] <= bound:
                return seen[-1]
        raise AssertionError(f"p99 {min(seen) * 1000:.1f} ms, allowed {bound * 1000:.1f} ms, "
                             f"without the attack {self.p99 * 1000:.1f} ms")


def within(seconds, is_so, text):
    """Waits until is_so() is true."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, text() if callable(text) else text
        time.sleep(0.02)
