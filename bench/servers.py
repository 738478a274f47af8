"""The systems under measurement: started, asked what they used, stopped. adtally's is here, the
others' are in peers/."""

import dataclasses
import http.client
import json
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.parse

# The store's file in a data directory. Read-only: the server is the one writer.
DATABASE = "adtally.db"

READY_SECONDS_MAX = 300
PEER_READY_SECONDS_MAX = 30
ADS_PER_MINT = 500


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children_of(pid):
    """Of all its threads: a child belongs to the one that made it."""
    children = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        children += map(int, (task / "children").read_text().split())
    return children


def tree_of(pid):
    return [pid] + [below for child in children_of(pid) for below in tree_of(child)]


def cpu_seconds(path):
    """User and system time of a process or thread, and of its children that have ended."""
    fields = pathlib.Path(path, "stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def write_bytes(pid):
    """What it caused to be written to storage, in pages, counted when it made them dirty; less what
    was given up before. Those of children that have ended are in it."""
    lines = pathlib.Path(f"/proc/{pid}/io").read_text().splitlines()
    io = {name: int(value) for name, value in (line.split(": ") for line in lines)}
    return io["write_bytes"] - io["cancelled_write_bytes"]


def pss_bytes(pid):
    """Memory, with what processes share counted once."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


@dataclasses.dataclass
class Usage:
    cpu_seconds: float = 0
    write_bytes: int = 0
    pss_bytes: int = 0


class Server:
    """One or more processes, each the root of a tree of its own."""

    name = "?"

    def __init__(self):
        self.port = free_port()
        self.processes = []

    def launch(self, *arguments, **options):
        process = subprocess.Popen([str(argument) for argument in arguments], **options)
        self.processes.append(process)
        return process

    def usage(self):
        while True:
            try:
                return self.usage_now()
            except (FileNotFoundError, ProcessLookupError):
                pass  # one ended meanwhile: what it used is its parent's from now on

    def usage_now(self):
        usage = Usage()
        for pid in (below for process in self.processes for below in tree_of(process.pid)):
            usage.cpu_seconds += cpu_seconds(f"/proc/{pid}")
            usage.write_bytes += write_bytes(pid)
            usage.pss_bytes += pss_bytes(pid)
        return usage

    def stop(self, by=signal.SIGTERM):
        """In the order of their starting turned round: who asks goes before who answers."""
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(by)
                process.wait(timeout=120)
            if process.stdout:
                process.stdout.close()
        self.processes = []


class Adtally(Server):
    name = "adtally"

    def __init__(self, binary, data, *options):
        super().__init__()
        self.binary, self.data, self.options = binary, data, options

    def command(self, *arguments, text=None):
        run = subprocess.run([self.binary, *arguments, "--data", self.data], input=text, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        return run.stdout.strip()

    def create_key(self, *options):
        return self.command("key", "create", *options, "--label", "bench")

    def put_poll(self):
        poll = {"sponsored_poll_id": 1, "question": "?",
                "options": [{"id": "0", "text": "Yes"}, {"id": "1", "text": "No"}]}
        self.command("poll", "put", "-", text=json.dumps(poll))

    def start(self):
        """Seconds from exec until the server said, and /health confirms, that it is ready."""
        started = time.monotonic()
        process = self.launch(self.binary, "serve", "--data", self.data, "--listen",
                              f"127.0.0.1:{self.port}", *self.options, stdout=subprocess.PIPE,
                              text=True)
        watchdog = threading.Timer(READY_SECONDS_MAX, process.kill)
        watchdog.start()
        line = process.stdout.readline()
        watchdog.cancel()
        if "ready" not in line:
            raise SystemExit(f"bench: adtally did not start: {line.strip()}")
        if not json.loads(self.get("/health"))["ready"]:
            raise SystemExit("bench: adtally said ready, its /health does not")
        return time.monotonic() - started

    def threads_cpu_seconds(self):
        """By thread."""
        tasks = pathlib.Path(f"/proc/{self.processes[0].pid}/task").iterdir()
        return {task.name: cpu_seconds(task) for task in tasks}

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        body = connection.getresponse().read()
        connection.close()
        return body

    def query(self, sql):
        connection = sqlite3.connect(f"file:{self.data / DATABASE}?mode=ro", uri=True)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def rows(self, table="conversion"):
        """As the store itself counts them: to count 50 M takes a while."""
        return self.query(f"SELECT {table} FROM total")[0][0]

    def disk_bytes(self):
        return sum(path.stat().st_blocks * 512 for path in self.data.rglob("*") if path.is_file())

    def mint(self, key, count, **more):
        """`count` minted ads, one after the other."""
        ad = {"publisher_id": "bench", "campaign_id": "c", "user_id": "u", "price": "0.25",
              "currency": "USD", "pricing": "cpc", "landing_url": "https://shop.example/", **more}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        for start in range(0, count, ADS_PER_MINT):
            body = json.dumps({"ads": [ad] * min(ADS_PER_MINT, count - start)})
            connection.request("POST", "/v1/mint", body, {
                "Authorization": f"Bearer {key}", "Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
            yield from answer["ads"]
        connection.close()


def path_of(url):
    parts = urllib.parse.urlsplit(url)
    return f"{parts.path}?{parts.query}"


def wait_for_answer(port, process):
    """Until it answers a request, whatever it says."""
    deadline = time.monotonic() + PEER_READY_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            connection.getresponse()
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
        finally:
            connection.close()
    raise SystemExit(f"bench: no answer on port {port}: {' '.join(process.args)}")
