"""PostgreSQL: a cluster of its own for each system that needs one, and pgbench against it."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from servers import PEER_READY_SECONDS_MAX, Server

HERE = pathlib.Path(__file__).parent
USER = "postgres"
CLIENTS_MAX = 32
SETTINGS = {"listen_addresses": "", "max_connections": 100, "shared_buffers": "512MB",
            "synchronous_commit": "on", "fsync": "on", "max_wal_size": "4GB"}


def tool(name):
    """Debian keeps the server's own programs out of PATH."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not found:
        raise FileNotFoundError(f"no {name}: PostgreSQL is not installed")
    return str(found[-1])


def as_its_user(*command):
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return list(command)
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *command]


class Postgres(Server):
    """A server with the schema and the data set's clicks in it."""

    def __init__(self, data):
        super().__init__()
        self.data = data
        self.sockets = None

    def start_database(self):
        # A socket's path is short, a build directory's may not be.
        self.sockets = tempfile.mkdtemp(prefix="adtally-bench-")
        self.data.mkdir(parents=True)
        if os.geteuid() == 0:
            shutil.chown(self.data, USER, USER)
            shutil.chown(self.sockets, USER, USER)
        subprocess.run(as_its_user(tool("initdb"), "-D", self.data, "-U", USER, "-A", "trust", "-E",
                                   "UTF8", "--no-sync"), stdout=subprocess.DEVNULL, check=True,
                       cwd="/")
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        process = self.launch(*as_its_user(tool("postgres"), "-D", self.data, *settings,
                                           f"--unix_socket_directories={self.sockets}"),
                              cwd="/", stderr=subprocess.DEVNULL)
        self.wait_for_database(process)
        self.psql(file=HERE / "schema.sql")

    def wait_for_database(self, process):
        deadline = time.monotonic() + PEER_READY_SECONDS_MAX
        while subprocess.run(["pg_isready", "-q", "-h", self.sockets], check=False).returncode != 0:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("bench: PostgreSQL did not start")
            time.sleep(0.1)

    def psql(self, sql=None, file=None, stdin=None):
        what = ["-c", sql] if sql else ["-f", str(file)]
        run = subprocess.run(["psql", "-h", self.sockets, "-U", USER, "-qAtX", "-v",
                              "ON_ERROR_STOP=1", *what], stdin=stdin, stdout=subprocess.PIPE,
                             text=True, check=True)
        return run.stdout.strip()

    def load_clicks(self, path):
        """`path`: a file with a click id a line."""
        self.psql("CREATE TEMP TABLE given (id text); COPY given FROM STDIN;"
                  "INSERT INTO click SELECT id, 'bid-' || id, NULL, now() + interval '90 days'"
                  " FROM given", stdin=open(path, "rb"))
        self.settle()

    def settle(self):
        """What loading left to do is done before the measurement, not during it."""
        self.psql("VACUUM ANALYZE click")
        self.psql("CHECKPOINT")

    def rows(self):
        return int(self.psql("SELECT count(*) FROM conversion"))

    def stop(self, *by):
        super().stop(*by)
        if self.sockets:
            shutil.rmtree(self.sockets, ignore_errors=True)


class PgBench(Postgres):
    """PostgreSQL alone: the statements of the FastAPI peer, prepared, sent by pgbench itself, which
    has no HTTP, no JSON and no keys to check. Its clicks are numbers, since pgbench can make those.
    It never has more clients than the applications have connections to theirs: a process each."""

    name = "PostgreSQL, pgbench"

    def __init__(self, data, keys):
        super().__init__(data)
        self.keys = keys

    def start(self):
        self.start_database()
        self.psql("INSERT INTO click SELECT lpad(n::text, 36, '0'), 'bid-' || n, NULL,"
                  f" now() + interval '90 days' FROM generate_series(0, {self.keys - 1}) n")
        self.settle()

    def drive(self, connections, seconds, run):
        """As measure.run_load returns it. Every transaction is logged, for the percentiles."""
        logs = pathlib.Path(tempfile.mkdtemp(prefix="pgbench-", dir=self.data.parent))
        done = subprocess.run(
            ["pgbench", "-h", self.sockets, "-U", USER, "-n", "-M", "prepared", "-j", "1",
             "-c", str(min(connections, CLIENTS_MAX)), "-T", str(seconds),
             "-D", f"keys={self.keys}", "-D", f"run={run}", "-f", HERE / "pgbench.sql", "--log",
             "--log-prefix", logs / "log", "postgres"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True)
        waits_us = sorted(int(line.split(" ", 3)[2]) for path in logs.iterdir()
                          for line in path.read_text().splitlines())
        shutil.rmtree(logs)
        requests = int(re.search(r"transactions actually processed: (\d+)", done.stdout)[1])
        failed = int(re.search(r"failed transactions: (\d+)", done.stdout)[1])
        rate = float(re.search(r"tps = ([0-9.]+)", done.stdout)[1])
        at = {f"p{name}_us": waits_us[int(part * (len(waits_us) - 1))] for name, part in
              (("50", 0.5), ("99", 0.99), ("999", 0.999))}
        return {"requests": requests, "unanswered": 0, "broken": failed, "load_cpu_us": 0,
                "duration_us": requests / rate * 1e6, "status": {"200": requests}, **at}


class Behind(Postgres):
    """An application in front of a PostgreSQL of its own."""

    def __init__(self, data, load):
        super().__init__(data)
        self.load = load

    def environment(self):
        return {**os.environ, "BENCH_KEYS": json.dumps({self.load.partner_key: "bench"}),
                "PGHOST": self.sockets, "PGUSER": USER, "PGDATABASE": "postgres"}

    def start(self):
        self.start_database()
        self.load_clicks(self.load.clicks_file())
        self.start_application()

    def start_application(self):
        raise NotImplementedError
