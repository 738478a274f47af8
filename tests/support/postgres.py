"""A PostgreSQL of the tests' own: a cluster in a scratch directory, on a socket there and a loopback port.

`postgres.py COMMAND...` starts one, runs COMMAND with ADTALLY_TEST_POSTGRES set to a database's URL, and
stops it again.
"""

import atexit
import contextlib
import functools
import glob
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "listen_addresses": "'127.0.0.1'",
    "timezone": "'Asia/Kathmandu'",
    "log_min_messages": "warning",
}
SHORT_LIVED = {"fsync": "off", "full_page_writes": "off"}  # no server of it is asked to be durable
MEMORY_MIN = 4 << 30
START_TIMEOUT_S = 60


def binaries():
    """Debian keeps them apart by version and off PATH; the newest, or None."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    return pathlib.Path(found[-1]).parent if found else None


def free_port():
    """Below those that the kernel gives to clients: who tries to reach a server that is stopped
    would get its port as his own now and then."""
    while True:
        port = random.SystemRandom().randrange(15000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def unprivileged():
    """PostgreSQL refuses to run as root: whom to become, or None."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("no user to run PostgreSQL as")


def is_alive(pid):
    """A zombie that nobody has waited for yet is dead."""
    with contextlib.suppress(OSError):
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in "ZX"
    return False


def as_user(user, *command, check=True, **options):
    prefix = []
    if user:
        prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return subprocess.run([*prefix, *map(str, command)], check=check, cwd="/", text=True,
                          stdin=subprocess.DEVNULL, **options)


@functools.cache
def template():
    """The data of a cluster that was never started: initdb takes a second, a copy a tenth."""
    path, user = pathlib.Path(tempfile.mkdtemp(prefix="adtally-pg-")), unprivileged()
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    if user:
        os.chown(path, user.pw_uid, user.pw_gid)
    as_user(user, binaries() / "initdb", "-D", path / "data", "-U", "tester", "-A", "trust",
            "-E", "UTF8", "--locale=C", "--no-sync", stdout=subprocess.DEVNULL)
    return path / "data"


def memory():
    """A folder in memory for a cluster's parent, or None where there is little of it."""
    path = "/dev/shm"
    has_room = os.path.isdir(path) and shutil.disk_usage(path).free > MEMORY_MIN
    return path if has_room else None


class Cluster:
    def __init__(self, settings=None, parent=None):
        self.bin = binaries()
        assert self.bin, "install postgresql-15 (tools/install.sh test)"
        self.user = unprivileged()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="adtally-pg-", dir=parent))
        self.data = self.dir / "data"
        self.port = free_port()
        self.settings = SETTINGS | (settings or {})
        if self.user:
            os.chown(self.dir, self.user.pw_uid, self.user.pw_gid)

    def as_user(self, *command, **options):
        return as_user(self.user, *command, **options)

    def pg_ctl(self, *arguments, check=True):
        log = self.dir / "log"
        return self.as_user(self.bin / "pg_ctl", "-D", self.data, "-l", log, "-s", "-w", "-t",
                            START_TIMEOUT_S, *arguments, check=check, stdout=subprocess.DEVNULL)

    def create(self):
        self.as_user("cp", "-a", "-T", template(), self.data)
        lines = [f"{name} = {value}" for name, value in self.settings.items()]
        lines.append(f"unix_socket_directories = '{self.dir}'")
        lines.append(f"port = {self.port}")
        with open(self.data / "postgresql.conf", "a", encoding="ascii") as conf:
            conf.write("\n".join(lines) + "\n")
        self.start()

    def start(self):
        started = self.pg_ctl("start", check=False)
        assert started.returncode == 0, (self.dir / "log").read_text()[-2000:]

    def stop(self, mode="fast"):
        self.pg_ctl("stop", "-m", mode, check=False)

    def postmaster(self):
        return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])

    def kill(self):
        """kill -9 of the postmaster and of every process of it, as when the machine goes."""
        first = self.postmaster()
        os.kill(first, signal.SIGSTOP)  # it forks no more
        pids = [first, *map(int, pathlib.Path(f"/proc/{first}/task/{first}/children")
                            .read_text().split())]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while any(map(is_alive, pids)):
            time.sleep(0.002)
        # A zombie that nobody waits for would keep these.
        (self.data / "postmaster.pid").unlink()
        (self.dir / f".s.PGSQL.{self.port}.lock").unlink()

    def destroy(self):
        self.stop("immediate")
        shutil.rmtree(self.dir, ignore_errors=True)

    def url(self, database="postgres", user="tester", password=None, query=""):
        login = user if password is None else f"{user}:{password}"
        return f"postgresql://{login}@127.0.0.1:{self.port}/{database}{query}"

    def sql(self, statement, database="postgres", check=True):
        """Rows as lists of texts. Several statements: each is its own transaction, the rows are all."""
        run = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1",
                              self.url(database)], input=statement, capture_output=True, text=True,
                             check=False)
        assert run.returncode == 0 or not check, run.stderr
        return [line.split("\t") for line in run.stdout.splitlines()]

    def new_database(self):
        name = "t" + uuid.uuid4().hex[:12]
        self.sql(f"CREATE DATABASE {name}")
        return name

    @contextlib.contextmanager
    def running(self):
        try:
            self.create()
            yield self
        finally:
            self.destroy()


def main(command):
    with Cluster().running() as cluster:
        name = cluster.new_database()
        environment = os.environ | {"ADTALLY_TEST_POSTGRES": cluster.url(name)}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
