"""The N-th I/O operation or allocation of a start fails, once and for ever: of the server on an
empty directory and on one that has to recover, and of the commands that open the directory
themselves. Either it works all the same, or it ends with one sentence and exit 1; and the next
start finds everything that was acknowledged before."""

import json
import re
import select
import shutil
import threading

import pytest
from injection import (DESCRIPTOR_KINDS, FILE_KINDS, MEMORY_KINDS, MORE_FILE_KINDS,
                       SYNC_KINDS, Faults, points)
from stage import Count
from support import aged, server as program, torture
from support.clock import LIBRARIES
from support.http import Closed
from support.publisher import (feedback, is_given, new_poll, publisher_key, rate, rating,
                               send_feedback, show, tally, vote)
from support.world import COLLECT, World, event, is_duplicate, is_recorded, unique

START_S = 10
SENTENCE = re.compile(r"adtally: [^\n]+[^.\n]\n")
LOG_LINE = re.compile(r"^\{.*\}\n", re.M)
KINDS = [*FILE_KINDS, *SYNC_KINDS, *DESCRIPTOR_KINDS, *MEMORY_KINDS,
         *torture.size([], MORE_FILE_KINDS)]
SEED = torture.seed("starts")
POINTS_MAX = torture.size(3, 10**6)  # of each kind of fault for each start


class Data:
    """A data directory as a killed server left it, WAL and all, and what must be found in it."""

    def __init__(self):
        world = World()
        try:
            self.partner, self.key, self.id = world.partner, unique("key"), unique("event")
            self.click = world.click()
            self.receipt = is_recorded(world.convert(self.click, idem=self.key))
            self.event_receipt = world.post(COLLECT, event(event_id=self.id)).receipt
            is_given(send_feedback(world, feedback(show(world)["bidId"])))
            self.rated = rating(world.mint())
            self.publisher = publisher_key(world.data)
            self.feedback_id = rate(world, self.rated, self.publisher).json["feedbackId"]
            self.ballot = world.mint(poll_id=new_poll(world))
            tally(vote(world, self.ballot))
            self.counts, self.adserver = world.counts(), world.adserver
            world.server.kill()
            self.path = program.temp_dir()
            shutil.copytree(world.data, self.path, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("admin.sock"))
        finally:
            world.server.kill()
            shutil.rmtree(world.data)

    def copy(self):
        path = program.temp_dir()
        shutil.copytree(self.path, path, dirs_exist_ok=True)
        return path

    def check(self, path):
        """A start without fault finds everything, and gives it the same answers."""
        server = program.Server(path).start()
        try:
            world = Reopened(self, server)
            assert world.counts() == self.counts, "rows are lost, or more than there were"
            is_duplicate(world.convert(self.click, idem=self.key), self.receipt)
            assert world.post(COLLECT, event(event_id=self.id)).receipt == self.event_receipt
            answer = rate(world, self.rated, self.publisher)
            assert answer.json["feedbackId"] == self.feedback_id
            assert vote(world, self.ballot).status == 409
            assert world.counts() == self.counts
        finally:
            server.stop()


class Reopened(World):
    """The keys of before over a server that was started again."""

    def __init__(self, data, server):
        self.data, self.server, self.partner, self.adserver = (server.data, server, data.partner,
                                                               data.adserver)
        self.conns = threading.local()


class Nothing:
    """An empty directory: the first start makes it a data directory."""

    def copy(self):
        return program.temp_dir()

    def check(self, path):
        world = World(data=path)
        try:
            is_recorded(world.convert(world.click(), idem=unique("key")))
        finally:
            world.server.stop()
            world.server.kill()
            if hasattr(world.conns, "conn"):
                world.conns.conn.close()


DIRECTORIES = {"empty": Nothing, "to recover": Data}


@pytest.fixture(scope="module")
def directories():
    made = {name: make() for name, make in DIRECTORIES.items()}
    yield made
    shutil.rmtree(made["to recover"].path)


@pytest.fixture(scope="module", autouse=True)
def report(violations):
    totals = {}
    yield totals
    what = ", ".join(f"{count.faults} {name}" for name, count in totals.items())
    torture.say(f"faults of starts: {what}; violations {violations()} (--seed {SEED})")


def count_of(report, name):
    return report.setdefault(name, Count())


def begin(path, faults):
    """A server until it is ready, True, or has ended."""
    server = program.Server(path, environment=faults.environment)
    server.launch()
    readable = select.select([server.proc.stdout], [], [], START_S)[0]
    assert readable, f"neither ready nor ended: {server.stderr}"
    return server, bool(server.proc.stdout.readline())


def one_start(data, faults, kind, number, times):
    """One point; the number of operations that were seen."""
    path = data.copy()
    try:
        faults.arm(kind, number, times)
        server, is_ready = begin(path, faults)
        seen = faults.seen
        if is_ready:
            assert server.health().status in (200, 503)
            faults.disarm()
            server.stop()
        else:
            code, said = server.wait(), server.stderr
            faults.disarm()
            assert code == 1, f"exit {code}: {said}"
            assert SENTENCE.fullmatch(LOG_LINE.sub("", said)), f"not one sentence: {said!r}"
        data.check(path)
        return seen
    finally:
        shutil.rmtree(path)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", DIRECTORIES)
def test_one_start(directories, report, name, kind):
    data, faults, count = directories[name], Faults(), count_of(report, f"starts, {name}")
    seen = one_start(data, faults, kind, 0, 0)
    for number, times in points(seen, kind, POINTS_MAX, f"{SEED} {name}"):
        try:
            one_start(data, faults, kind, number, times)
        except (AssertionError, OSError, Closed) as error:
            raise AssertionError(f"{kind.name} x {times} at operation {number} of {seen} "
                                 f"({faults.last}), --seed {SEED}: {error}") from error
        count.faults += faults.failed > 0


# -- what a server removes by itself ----------------------------------------------------------


@pytest.fixture(scope="module")
def old():
    path = aged.make()
    yield path
    shutil.rmtree(path)


def one_removal(old, faults, kind, number, times):
    """One point; how many operations were seen until all was removed."""
    path = program.temp_dir()
    shutil.copytree(old, path, dirs_exist_ok=True)
    try:
        faults.arm(kind, number, times)
        server, is_ready = begin(path, faults)
        if is_ready:
            aged.await_removal(path, lambda: faults.failed > 0 or not server.alive())
        seen = faults.seen
        faults.disarm()
        server.kill()
        assert len(set(aged.left(path).values())) == 1, "a step was done in half"
        server = program.Server(path).start()
        aged.await_removal(path)
        assert program.query(path, "SELECT count(*) n FROM vote") == [{"n": 1}]
        server.stop()
        program.cli("verify", "--data", path)
        return seen
    finally:
        shutil.rmtree(path)


@pytest.mark.skipif(not LIBRARIES, reason="needs libfaketime")
@pytest.mark.parametrize("kind", [*FILE_KINDS, *SYNC_KINDS, *MEMORY_KINDS],
                         ids=lambda kind: kind.name)
def test_one_removal(old, report, kind):
    """The whole step or nothing of it, and the rest another time. The first half is the start."""
    faults, count = Faults(), count_of(report, "removals")
    half = one_removal(old, faults, kind, 0, 0) // 2
    for number, times in points(half, kind, POINTS_MAX // 2, f"{SEED} removal"):
        one_removal(old, faults, kind, half + number, times)
        count.faults += faults.failed > 0


# -- commands that open the directory themselves --------------------------------------------

POLL = json.dumps({"sponsored_poll_id": 7, "question": "Q?", "options": [
    {"id": "a", "text": "A"}, {"id": "b", "text": "B"}]}).encode()
COMMANDS = {
    "key create": (["key", "create", "--class", "admin", "--label", "offline"], b""),
    "key list": (["key", "list", "--json"], b""),
    "token-key rotate": (["token-key", "rotate"], b""),
    "poll put": (["poll", "put", "-"], POLL),
    "verify": (["verify"], b""),
}


def one_command(data, faults, arguments, stdin, kind, number, times):
    path = data.copy()
    try:
        faults.arm(kind, number, times)
        run = program.run(*arguments, "--data", path, stdin=stdin,
                          env={**faults.environment, "PATH": "/usr/bin:/bin"})
        faults.disarm()
        assert run.returncode in (0, 1), run
        assert run.returncode == 0 or says_why(run), run
        if arguments == ["verify"] and faults.failed and kind.name == "EIO":
            assert run.returncode == 1, f"what cannot be read is no ok: {run}"
        labels = [k["label"] for k in program.cli_json("key", "list", "--json", "--data", path)]
        made = arguments[:2] == ["key", "create"] and run.returncode == 0
        assert not made or labels.count("offline") == 1, "a key that was made is not there"
        data.check(path)
    finally:
        shutil.rmtree(path)


def says_why(run):
    """In one sentence; a failed sync in the log, and verify may find what it cannot read."""
    said = run.stderr.decode()
    return SENTENCE.fullmatch(LOG_LINE.sub("", said)) or '"sync_failed"' in said \
        or run.stdout.startswith(b"file: ")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", COMMANDS)
def test_one_command(directories, report, name, kind):
    data, faults, (arguments, stdin) = directories["to recover"], Faults(), COMMANDS[name]
    count = count_of(report, "commands without a server")
    one_command(data, faults, arguments, stdin, kind, 0, 0)
    seen = faults.seen
    for number, times in points(seen, kind, POINTS_MAX // 2, f"{SEED} {name}"):
        try:
            one_command(data, faults, arguments, stdin, kind, number, times)
        except AssertionError as error:
            raise AssertionError(f"{kind.name} x {times} at operation {number} of {seen} "
                                 f"({faults.last}), --seed {SEED}: {error}") from error
        count.faults += faults.failed > 0
