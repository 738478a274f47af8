"""SIGKILL before the N-th call that changes a file or answers somebody, for N = 1 to the end, for
every operation, and again in the recovery: what was acknowledged stands, everything else is there
wholly or not at all, and a retry tells which."""

import concurrent.futures
import random
import time

import pytest
import rows
from base import Base
from items import Start
from judge import Judge, judge_point
from operations import Alone, Checkpoint, Served, Starting, Stopping
from support import server as program, torture

pytestmark = pytest.mark.skipif("tsan" in program.BINARY or "asan" in program.BINARY,
                                reason="counts the calls of the program alone")

POINTS = torture.size(300, 3000)
WORKERS = 3
BATCHES = torture.size(2, 40)  # of several items, each batch others
FILLERS = 800


class Catalogue:
    """Every operation, what its items do to the rows, and how many calls it makes."""

    def __init__(self, base, rng):
        self.base = base
        self.barrier = base.results()
        self.differences = self.measure_differences()
        self.operations = self.make_operations(rng)
        self.calls = {o.name: self.count_calls(o) for o in self.operations}
        self.recovery_calls = self.calls["start with a WAL"]

    def served(self, name, items):
        return Served(name, self.base.clean, items, self.barrier)

    def make_operations(self, rng):
        base, items = self.base, self.base.requests + self.base.commands
        fill = [base.collect("/v1/api/collect", 8000) for _ in range(FILLERS)]
        start = [Start()]
        return [*(self.served(i.kind, [i]) for i in items),
                *(self.served(f"batch {n}", rng.sample(base.requests, rng.randint(4, 13)))
                  for n in range(BATCHES)),
                Checkpoint("checkpoint", base.clean, base.requests[3:6], self.barrier, fill),
                Stopping("stop", base.clean, base.requests, self.barrier),
                Starting("first start", base.empty, start),
                Starting("start", base.clean, []),
                Starting("start with a WAL", base.with_wal, []),
                Alone("first command", base.empty, start + base.commands[:1]),
                *(Alone(f"{i.name}, alone", base.clean, [i]) for i in base.commands)]

    def measure_differences(self):
        """What each item does when nobody kills the program."""
        found = {}
        for item in self.base.requests + self.base.commands:
            run = self.served(item.name, [item]).go(0)
            assert item.name in run.acks, f"{item.name} is not acknowledged"
            found[item.name] = rows.difference(run.before, rows.read(run.data))
            run.close()
        run = Starting("", self.base.empty, [Start()]).go(0)
        found[Start.name] = rows.difference(run.before, rows.read(run.data))
        run.close()
        return found

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
        """How many were reached, and how many recoveries were killed as well. A call that never
        came, since threads take turns, is no point, though what it left was judged."""
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            found = list(pool.map(self.point, points))
        return [sum(column) for column in zip(*found)]


def test_a_crash_at_any_call_loses_nothing_doubles_nothing_halves_nothing():
    seed, started = torture.seed("points"), time.monotonic()
    rng, base = random.Random(seed), Base()
    try:
        catalogue = Catalogue(base, rng)
        points = choose(catalogue.operations, catalogue.calls, POINTS * 21 // 20, rng)
        reached, again = Torture(catalogue, seed).run(points)
    finally:
        base.close()
    torture.say(f"points: {reached} crash points of {sum(catalogue.calls.values())} in "
                f"{len(catalogue.calls)} operations, {len(points)} recoveries, {again} of them "
                f"killed as well, 0 lost, 0 doubled, 0 phantom "
                f"({time.monotonic() - started:.0f} s, seed {seed})")
    assert reached >= POINTS
