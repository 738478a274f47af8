"""The program under test: its processes, its commands and its database, seen from outside."""

import contextlib
import json
import os
import pathlib
import random
import re
import select
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from support import store
from support.http import Closed, build, exchange

REPO = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ADTALLY_BIN", str(REPO / "build" / "adtally"))
SINKS = str(pathlib.Path(BINARY).with_name("adtally-sinks"))
START_S = 20.0
STOP_S = 20.0
NICE = 16  # of /proc/PID/stat, behind the name
SANITIZER = re.compile(r"(Address|Thread|Leak|UndefinedBehavior)Sanitizer|runtime error:")


def require():
    """Ends the whole run with one sentence when there is nothing to test."""
    if not os.access(BINARY, os.X_OK):
        pytest.exit(f"no program to test: {BINARY} (build it, or set ADTALLY_BIN)", 2)


def temp_dir():
    """A new empty directory with a short name: the path of a unix socket has little room."""
    return pathlib.Path(tempfile.mkdtemp(prefix="adtally-"))


def free_port():
    """A port below those that the kernel gives to clients, so that none takes it between a
    server's end and its restart."""
    while True:
        port = random.SystemRandom().randrange(15000, 32000)
        with socket.socket() as sock:
            with contextlib.suppress(OSError):
                sock.bind(("127.0.0.1", port))
                return port


def await_listening(process, port):
    """False when the process ends instead, or takes too long."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.02)
    return False


def go_a_little(pid):
    """A process that stands still goes on for a moment, and stands still again: so that it can be met
    half way however busy the machine is."""
    os.kill(pid, signal.SIGCONT)
    time.sleep(0.003)
    os.kill(pid, signal.SIGSTOP)


def run(*args, stdin=b"", timeout_s=30, **options):
    """Runs a command of the program to its end."""
    return subprocess.run([BINARY, *store.with_store(args)], input=stdin, capture_output=True,
                          timeout=timeout_s, **options)


def cli(*args, stdin=b"", expect=0):
    """Runs a command that must end with `expect`; its standard output as text."""
    done = run(*args, stdin=stdin)
    assert done.returncode == expect, f"{args}: exit {done.returncode}, {done.stderr!r}"
    return done.stdout.decode()


def cli_json(*args):
    return json.loads(cli(*args))


def key_create(data, klass, label, *options):
    """A new key; the secret alone is on standard output."""
    out = cli("key", "create", "--class", klass, "--label", label, *options, "--data", data)
    lines = out.splitlines()
    assert len(lines) == 1 and re.fullmatch(r"[\x21-\x7e]+", lines[0]), f"not one secret: {out!r}"
    return lines[0]


def partner_key(data, partner_id="acme", label="main", *options):
    return key_create(data, "partner", label, "--partner-id", partner_id, *options)


def key_id(data, label):
    found = [k["id"] for k in cli_json("key", "list", "--json", "--data", data)
             if k["label"] == label]
    assert len(found) == 1, f"{len(found)} keys are labelled {label}"
    return str(found[0])


def query(data, sql, *args):
    """Rows as dicts, over a connection that cannot write."""
    return store.query(data, sql, *args)


class Server:
    """One `adtally serve`. It may be stopped or killed and started again on the same data."""

    def __init__(self, data, flags=(), port=None, environment=None):
        self.data = pathlib.Path(data)
        self.environment = {**os.environ, **(environment or {})}
        self.flags = [str(f) for f in flags]
        self.port = port or free_port()
        self.proc = None
        self.ready_line = ""
        self.stderr_file = tempfile.NamedTemporaryFile(prefix="adtally-stderr-")

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    @property
    def stderr(self):
        return pathlib.Path(self.stderr_file.name).read_text(errors="replace")

    def start(self):
        self.launch()
        return self.await_ready()

    def command(self):
        return [BINARY, *store.with_store(["serve", "--data", self.data, "--listen", self.host,
                                           *self.flags])]

    def launch(self):
        """Starts the process, which is not ready yet."""
        self.launch_with()

    def launch_with(self, **options):
        self.proc = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=self.stderr_file,
                                     env=self.environment, **options)

    def await_ready(self):
        line, end = b"", time.monotonic() + START_S
        while not line.endswith(b"\n"):
            ready = select.select([self.proc.stdout], [], [], max(0, end - time.monotonic()))[0]
            data = os.read(self.proc.stdout.fileno(), 4096) if ready else b""
            if not data:
                self.kill()
                raise AssertionError(f"no ready line, only {line!r}: {self.stderr}")
            line += data
        self.ready_line = line.decode()
        return self

    def threads_that_go_last(self, expected=0):
        """How many have a lower priority than those that answer events; a thread that was begun a
        moment ago may still have to say so."""
        end = time.monotonic() + START_S
        while (count := self.low_threads()) < expected and time.monotonic() < end:
            time.sleep(0.01)
        return count

    def low_threads(self):
        tasks = pathlib.Path(f"/proc/{self.proc.pid}/task")
        stats = [path.read_text() for path in tasks.glob("*/stat")]
        return sum(int(stat.rsplit(")", 1)[1].split()[NICE]) > 0 for stat in stats)

    def alive(self):
        return self.proc is not None and self.proc.poll() is None

    def signal(self, number):
        self.proc.send_signal(number)

    def wait(self, timeout_s=STOP_S):
        try:
            return self.proc.wait(timeout_s)
        finally:
            if self.proc.returncode is not None:
                self.proc.stdout.close()

    def kill(self):
        """kill -9, and the process is gone when this returns."""
        if self.proc is not None and self.proc.returncode is None:
            self.proc.send_signal(signal.SIGKILL)
            self.wait()

    def stop(self):
        """SIGTERM, which must end in exit 0 and leave no report of a sanitizer."""
        if self.proc is None or self.proc.returncode is not None:
            return
        self.signal(signal.SIGTERM)
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"SIGTERM did not end the server: {self.stderr}") from None
        assert code == 0, f"exit {code} after SIGTERM: {self.stderr}"
        assert not SANITIZER.search(self.stderr), self.stderr

    def health(self):
        """The answer of GET /health, or None when nobody answers."""
        try:
            return exchange(self.port, build("GET", "/health", [("Host", self.host)]))
        except (OSError, Closed):
            return None
