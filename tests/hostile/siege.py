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
FLOOR_S = 0.2 if SANITIZED else 0.02  # below it, a p99 is the scheduler's rather than the server's
TIMES = 3  # what an attack may do to the p99 of others
WINDOWS, WINDOW_S, TRIES = 3, 0.2, 5
FRESH_EVERY = 8  # each so many-th request comes on a connection of its own
KIB = 1024
MIB = 1024 * KIB


# -- the attacker ---------------------------------------------------------------------------


def encode(data):
    return base64.b64encode(data).decode()


class Attack:
    """attack.py at work; `seen` holds what it saw once it was stopped."""

    def __init__(self, port, kind, options):
        self.seen = None
        self.proc = subprocess.Popen([sys.executable, ATTACK, kind, str(port), json.dumps(options)],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def await_ready(self):
        assert self._line(READY_S) == "ready\n", "the attack never got into place"

    def _line(self, within_s):
        if not select.select([self.proc.stdout], [], [], within_s)[0]:
            return ""
        return self.proc.stdout.readline().decode()

    def stop(self):
        self.proc.stdin.close()
        line = self._line(READY_S)
        self.seen = json.loads(self._line(READY_S) if line == "ready\n" else line)
        self.kill()
        return self.seen

    def kill(self):
        self.proc.kill()
        self.proc.wait()
        self.proc.stdout.close()


@contextlib.contextmanager
def attack(world, kind, *, wait=True, **options):
    """Bytes among the options are given to the attacker as they are."""
    options = {k: encode(v) if isinstance(v, bytes) else v for k, v in options.items()}
    it = Attack(world.port, kind, options)
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


def descriptors(world):
    return len(os.listdir(f"/proc/{world.server.proc.pid}/fd"))


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
    """Collects one event after the other, most of them on one connection. Every one must be
    recorded; with `patient`, a 503 is sent again after a moment, as its Retry-After asks."""

    def __init__(self, world, patient=False):
        self.world, self.patient, self.conn = world, patient, None
        self.count = self.refused = 0
        self.ids = []
        self.refused_at = 0.0

    def request(self):
        body = event(tag_id="healthy", event_id=unique("healthy"))
        self.ids.append(body["event_id"])
        return self.world.post_bytes(COLLECT, body)

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
        """Seconds of one event, connecting included."""
        data, start = self.request(), time.monotonic()
        answer = self.exchange(data)
        took = time.monotonic() - start
        self.count += 1
        if answer.status == 503 and self.patient:
            assert answer.header("retry-after"), answer
            self.refused, self.refused_at = self.refused + 1, time.monotonic()
            self.ids.pop()
            time.sleep(0.005)
            return None
        if answer.status != 204:
            raise Refused(repr(answer))
        is_collected(answer)
        return took

    def window(self, seconds=WINDOW_S):
        """The p99 of so many seconds."""
        end, took = time.monotonic() + seconds, []
        while time.monotonic() < end or not took:
            one = self.one()
            took += [one] if one is not None else []
        return sorted(took)[int(len(took) * 0.99)]

    def p99(self):
        """The median of some windows: one hiccup of the machine is not the server's."""
        return statistics.median(self.window() for _ in range(WINDOWS))

    def close(self):
        if self.conn:
            self.conn.close()
        self.conn = None


class Calm:
    """What the p99 is while nobody attacks, and the promise that is made of it. An attacker's own
    use of a core is no attack: something spins on one of them meanwhile."""

    def __init__(self, client):
        self.client = client
        client.one()
        with attack(client.world, "spin"):
            self.p99 = client.p99()

    @property
    def bound(self):
        return max(TIMES * self.p99, FLOOR_S)

    def holds(self):
        """The client is served as promised; a window that fails is repeated before it counts."""
        seen = []
        for _ in range(TRIES):
            seen.append(self.client.p99())
            if seen[-1] <= self.bound:
                return seen[-1]
        raise AssertionError(f"p99 {min(seen) * 1000:.1f} ms, allowed {self.bound * 1000:.1f} ms, "
                             f"without the attack {self.p99 * 1000:.1f} ms")


def within(seconds, is_so, text):
    """Waits until is_so() is true."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, text() if callable(text) else text
        time.sleep(0.02)
