"""SIGKILL before the N-th call that changes a file or answers somebody, for N = 1 to the end, for
every operation, and again in the recovery: what was acknowledged stands, everything else is there
wholly or not at all, and a retry tells which."""

import collections
import concurrent.futures
import contextlib
import json
import random
import shutil
import sqlite3
import time
import types

import pytest
import rows
from base import Base, copy
from items import Retention, Start
from judge import Judge, judge_point
from operations import Alone, Checkpoint, Removing, Served, Starting, Stopping
from support import server as program, torture
from support.world import COLLECT

pytestmark = pytest.mark.skipif("tsan" in program.BINARY or "asan" in program.BINARY,
                                reason="counts the calls of the program alone")

POINTS = torture.size(150, 3000)
SPARE = 20  # one more point of so many, for calls that never come
WORKERS = 3
BATCHES = torture.size(2, 40)  # of several items, each batch others
PADDING = 8000
FILLERS, FILLING = 800, 6  # before a checkpoint, and to begin it


class Catalogue:
    """Every operation, what its items do to the rows, and how many calls it makes."""

    def __init__(self, base, rng):
        self.base = base
        self.barrier = base.results()
        self.filling = [base.collect(COLLECT, PADDING) for _ in range(FILLING)]
        self.differences = self.measure_differences()
        self.operations = self.make_operations(rng)
        self.calls = {o.name: self.count_calls(o) for o in self.operations}
        self.recovery_calls = self.calls["start with a WAL"]

    def served(self, name, items):
        return Served(name, self.base.clean, items, self.barrier)

    def make_operations(self, rng):
        base, items = self.base, self.base.requests + self.base.commands
        fill = [base.collect(COLLECT, PADDING) for _ in range(FILLERS)]
        start = [Start()]
        return [*(self.served(i.kind, [i]) for i in items),
                *(self.served(f"batch {n}", rng.sample(base.requests, rng.randint(4, 13)))
                  for n in range(BATCHES)),
                Checkpoint("checkpoint", base.clean, self.filling + base.requests[:3],
                           self.barrier, fill),
                Stopping("stop", base.clean, base.requests, self.barrier),
                Starting("first start", base.empty, start),
                Starting("start", base.clean, []),
                Starting("start with a WAL", base.with_wal, []),
                *self.removing(),
                Alone("first command", base.empty, start + base.commands[:1]),
                *(Alone(f"{i.name}, alone", base.clean, [i]) for i in base.commands)]

    def removing(self):
        return [Removing("retention", self.base.aged, [Retention()])] if self.base.aged else []

    def measure_differences(self):
        """What each item does when nobody kills the program."""
        found = {}
        for item in self.base.requests + self.base.commands + self.filling:
            run = self.served(item.name, [item]).go(0)
            assert item.name in run.acks, f"{item.name} is not acknowledged"
            found[item.name] = rows.difference(run.before, rows.read(run.data))
            run.close()
        run = Starting("", self.base.empty, [Start()]).go(0)
        found[Start.name] = rows.difference(run.before, rows.read(run.data))
        run.close()
        for operation in self.removing():
            run = operation.go(0)
            found[Retention.name] = rows.difference(run.before, rows.read(run.data))
            gone = {row[0] for row in found[Retention.name].gone}
            assert gone >= {"click", "feedback", "removed"}
            run.close()
        return found

    def find(self, name):
        return next(o for o in self.operations if o.name == name)

    def count_calls(self, operation):
        run = operation.go(0)
        count = run.point.count
        run.close()
        return count


def shares(calls, count):
    """How many points each operation gets: all of them have the same share, except for those
    that have fewer calls than that."""
    found, left = {}, count
    for i, (name, n) in enumerate(sorted(calls.items(), key=lambda item: item[1])):
        found[name] = min(n, -(-left // (len(calls) - i)))
        left -= found[name]
    return found


def choose(operations, calls, count, rng):
    """(operation, call, round): evenly over the operations and over the calls of each. When there
    are not so many calls, they come again in another round, and the recovery dies elsewhere."""
    chosen, number = [], 0
    while len(chosen) < count:
        by_name = shares(calls, count - len(chosen))
        for operation in operations:
            n, share = calls[operation.name], by_name[operation.name]
            first = rng.randrange(n)
            chosen += [(operation, 1 + (first + i * n // share) % n, number)
                       for i in range(share)]
        number += 1
    return chosen


class Torture:
    def __init__(self, catalogue, seed):
        self.catalogue, self.seed = catalogue, seed
        self.judge = Judge(catalogue.differences)

    def point(self, point):
        operation, number, repetition = point
        return judge_point(self.judge, operation, number, f"{self.seed} {repetition}",
                           self.catalogue.recovery_calls)

    def run(self, points):
        """How many died before each kind of call, and how many recoveries were killed as well. A
        call that never came, since threads take turns, is no point, though what it left was
        judged."""
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            calls, again = zip(*pool.map(self.point, points))
        return collections.Counter(filter(None, calls)), sum(again)


@pytest.fixture(scope="module")
def catalogue():
    base = Base()
    yield Catalogue(base, random.Random(torture.seed("points")))
    base.close()


def report(catalogue, points, calls, again, seconds, seed):
    torture.say(f"points: {calls.total()} crash points of {sum(catalogue.calls.values())} in "
                f"{len(catalogue.calls)} operations, {len(points)} recoveries, {again} of them "
                f"killed as well, 0 lost, 0 doubled, 0 phantom ({seconds:.0f} s, seed {seed})")
    torture.say("points: before " + ", ".join(f"{n} {name}" for name, n in calls.most_common()))


def test_a_crash_at_any_call_loses_nothing_doubles_nothing_halves_nothing(catalogue):
    seed, started = torture.seed("points"), time.monotonic()
    wanted = POINTS + POINTS // SPARE
    points = choose(catalogue.operations, catalogue.calls, wanted, random.Random(seed))
    with torture.repeatable("points", seed):
        calls, again = Torture(catalogue, seed).run(points)
    report(catalogue, points, calls, again, time.monotonic() - started, seed)
    assert calls.total() >= POINTS
    assert again >= POINTS // 3, "the recoveries were hardly ever killed"


# -- a test that cannot fail is a defect ------------------------------------------------------


def test_rows_are_read_as_of_one_moment(catalogue, monkeypatch):
    """A step of retention between two tables would be half of it."""
    data = copy(catalogue.base.clean.path)

    def tables():
        yield "poll"
        with contextlib.closing(sqlite3.connect(data / "adtally.db")) as db, db:
            assert db.execute("DELETE FROM poll").rowcount and \
                db.execute("DELETE FROM poll_option").rowcount
        yield "poll_option"

    monkeypatch.setattr(rows, "TABLES", tables())
    found = collections.Counter(table for table, _ in rows.rows_of_tables(data))
    shutil.rmtree(data)
    assert found["poll"] and found["poll_option"]


@pytest.mark.parametrize("count", [1, 20, 24, 61, 100])
def test_points_are_chosen_evenly(count):
    calls = {"a": 4, "b": 7, "c": 50}
    operations = [types.SimpleNamespace(name=name) for name in calls]
    points = choose(operations, calls, count, random.Random(count))
    assert len(points) == count == len({(o.name, n, again) for o, n, again in points})
    assert all(1 <= n <= calls[o.name] for o, n, _ in points)
    if count >= 24:
        assert {n for o, n, _ in points if o.name == "b"} == set(range(1, 8))


def test_the_killer_kills_before_the_call_and_at_every_one(catalogue):
    """The new secrets are written and never get their name, whichever way it would be given."""
    operation = catalogue.find("token-key rotate, alone")
    before, seen = (operation.source.path / "secrets.json").read_bytes(), []
    for number in range(1, catalogue.calls[operation.name] + 1):
        run = operation.go(number)
        assert run.point.reached and run.point.count == number
        seen.append(run.point.call[0])
        renamed = (run.data / "secrets.json").read_bytes() != before
        assert renamed == any(call.startswith("rename") for call in seen[:-1])
        run.close()
    assert {"pwrite64", "fsync", "write"} < set(seen)


def roll_back(run):
    """As a disk would that forgot the batch."""
    shutil.rmtree(run.data)
    shutil.copytree(run.source.path, run.data)


def with_new_secrets(run):
    path = run.data / "secrets.json"
    secrets = json.loads(path.read_text())
    path.unlink()
    path.write_text(json.dumps({**secrets, "pepper": secrets["click_signing_key"]}))


def with_another_receipt(run):
    run.acks = {name: (status, "0" * 16) for name, (status, _) in run.acks.items()}


def with_one_row_more_before(run):
    run.before = run.before + collections.Counter([("click", (("seq", 1),))])


TAMPERED = {"acknowledged and lost": (roll_back, "acknowledged and lost"),
            "what was there before": (with_one_row_more_before, "lost or changed"),
            "another receipt": (with_another_receipt, ""),
            "secrets": (with_new_secrets, "content is damaged")}


@pytest.mark.parametrize("tamper,verdict", TAMPERED.values(), ids=TAMPERED)
def test_the_judge_sees(catalogue, tamper, verdict):
    operation = catalogue.operations[0]
    with contextlib.closing(operation.go(0)) as run:
        tamper(run)
        with pytest.raises(AssertionError, match=verdict):
            Judge(catalogue.differences).judge(run, operation.items)


def test_the_judge_sees_what_nobody_sent(catalogue):
    run = catalogue.operations[0].go(0)
    with contextlib.closing(run), pytest.raises(AssertionError, match="never sent"):
        run.acks.clear()
        Judge(catalogue.differences).judge(run, [])


def test_the_judge_lets_pass_what_was_never_acknowledged(catalogue):
    operation = catalogue.operations[0]
    with contextlib.closing(operation.go(0)) as run:
        run.acks.clear()
        roll_back(run)
        Judge(catalogue.differences).judge(run, operation.items)


@pytest.mark.parametrize("gone,new,verdict", [
    ("", "ab", {"one"}), ("x", "c", {"two"}), ("x", "abc", {"one", "two"}), ("", "", set()),
    ("", "a", "half"), ("", "abab", "twice"), ("x", "", "lost"), ("y", "ab", "lost"),
    ("", "abz", "never sent")])
def test_items_are_there_wholly_once_or_not_at_all(gone, new, verdict):
    items = {"one": rows.Difference(collections.Counter(), collections.Counter("ab")),
             "two": rows.Difference(collections.Counter("x"), collections.Counter("c"))}
    found = rows.Difference(collections.Counter(gone), collections.Counter(new))
    if isinstance(verdict, set):
        assert rows.find_done(items, found) == verdict
    else:
        with pytest.raises(AssertionError, match=verdict):
            rows.find_done(items, found)
