"""The servers under measurement: started, asked for their CPU time, stopped."""

import http.client
import json
import os
import pathlib
import queue
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.parse

# The store's file in a data directory. Read-only: the server is the one writer.
DATABASE = "adtally.db"

READY_SECONDS_MAX = 120
ADS_PER_MINT = 500
CLICK_CONNECTIONS = 16


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def process_cpu_seconds(pid):
    """User and system time of all threads of a process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_of(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Server:
    def __init__(self):
        self.port = free_port()
        self.process = None

    def cpu_seconds(self):
        pid = self.process.pid
        return sum(map(process_cpu_seconds, [pid, *children_of(pid)]))

    def stop(self, by=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(by)
            self.process.wait(timeout=60)
        self.process = None


class Nginx(Server):
    def __init__(self, prefix):
        super().__init__()
        self.prefix = prefix

    def start(self):
        (self.prefix / "tmp").mkdir(parents=True)
        template = pathlib.Path(__file__).with_name("nginx.conf").read_text()
        conf = self.prefix / "nginx.conf"
        conf.write_text(template.replace("@PORT@", str(self.port)))
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        self.process = subprocess.Popen(
            [binary, "-e", "stderr", "-p", f"{self.prefix}/", "-c", conf.name])
        wait_for_port(self.port)


class Adtally(Server):
    def __init__(self, binary, data):
        super().__init__()
        self.binary, self.data = binary, data

    def create_key(self, *options):
        run = subprocess.run([self.binary, "key", "create", *options, "--label", "bench",
                              "--data", self.data], stdout=subprocess.PIPE, text=True, check=True)
        return run.stdout.strip()

    def start(self):
        """Seconds from exec until the server said, and /health confirms, that it is ready."""
        started = time.monotonic()
        self.process = subprocess.Popen(
            [self.binary, "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}"],
            stdout=subprocess.PIPE, text=True)
        watchdog = threading.Timer(READY_SECONDS_MAX, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        if "ready" not in line:
            raise SystemExit(f"bench: adtally did not start: {line.strip()}")
        if not json.loads(self.get("/health"))["ready"]:
            raise SystemExit("bench: adtally said ready, its /health does not")
        return time.monotonic() - started

    def stop(self, by=signal.SIGTERM):
        process = self.process
        super().stop(by)
        if process:
            process.stdout.close()

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

    def count(self, table):
        return self.query(f"SELECT count(*) FROM {table}")[0][0]

    def put_poll(self):
        poll = {"sponsored_poll_id": 1, "question": "?",
                "options": [{"id": "0", "text": "Yes"}, {"id": "1", "text": "No"}]}
        subprocess.run([self.binary, "poll", "put", "-", "--data", self.data], text=True, check=True,
                       input=json.dumps(poll), stdout=subprocess.DEVNULL)

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

    def click(self, paths):
        """Follows every path once; the click ids."""
        todo, clicks = queue.SimpleQueue(), []
        for path in paths:
            todo.put(path)
        workers = [threading.Thread(target=self.click_from, args=(todo, clicks))
                   for _ in range(CLICK_CONNECTIONS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if len(clicks) != len(paths):
            raise SystemExit(f"bench: {len(clicks)} of {len(paths)} clicks were recorded")
        return clicks

    def click_from(self, todo, clicks):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while True:
            try:
                connection.request("GET", todo.get_nowait())
            except queue.Empty:
                break
            answer = connection.getresponse()
            answer.read()
            query = urllib.parse.urlsplit(answer.getheader("Location", "")).query
            clicks += urllib.parse.parse_qs(query).get("thrad_click_id", [])
        connection.close()


def path_of(url):
    parts = urllib.parse.urlsplit(url)
    return f"{parts.path}?{parts.query}"


def wait_for_port(port):
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"bench: nothing listens on port {port}")
