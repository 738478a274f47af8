"""The operations whose every call is a crash point. Each brings a copy of a directory to the moment
from which calls count, then does its items; the program may die on the way."""

import os
import shutil
import signal

import rows
from base import copy
from crash_point import DoomedServer
from items import Command
from support import aged

CHECKPOINT_PAGES = 1000
PAGES_MAX = 16  # that a padded event writes
FRAME_SIZE = 4096 + 24
FILLERS_AT_ONCE = 8


class Run:
    """One copy of a directory under one crash point."""

    def __init__(self, source):
        self.data = copy(source.path)
        self.source, self.before = source, source.state
        self.server = DoomedServer(self.data)
        self.point = self.server.point
        self.acks = {}

    @property
    def port(self):
        return self.server.port

    def give(self, items):
        """All at once, so that the ledger takes what comes while it commits as one batch."""
        return [(item, item.give(self)) for item in items]

    def take(self, given):
        for item, handle in given:
            ack = item.take(handle)
            if ack:
                self.acks[item.name] = ack

    def close(self):
        """Ends the program; the directory goes too."""
        self.server.close()
        shutil.rmtree(self.data, ignore_errors=True)


class Operation:
    def __init__(self, name, source, items):
        self.name, self.source, self.items = name, source, items

    def go(self, number):
        """To the end, or to its death before the call of that number; the program is gone."""
        run = Run(self.source)
        try:
            self.act(run, number)
            run.server.kill()
            return run
        except BaseException:
            run.close()
            raise


class Served(Operation):
    """Requests and commands that a running server is given at once."""

    def __init__(self, name, source, items, barrier):
        super().__init__(name, source, items)
        self.barrier = barrier  # a request whose answer comes after what the ledger does now

    def prepare(self, run):
        run.server.start()

    def act(self, run, number):
        self.prepare(run)
        run.point.arm(number)
        self.give_items(run)
        self.barrier.take(self.barrier.give(run))

    def give_items(self, run):
        run.take(run.give(self.items))


class Checkpoint(Served):
    """The WAL is filled almost to where a checkpoint begins. The items, one by one, fill it; those
    that come after the checkpoint start the WAL over."""

    def __init__(self, name, source, items, barrier, fillers):
        super().__init__(name, source, items, barrier)
        self.fillers = fillers

    def prepare(self, run):
        super().prepare(run)
        fillers = iter(self.fillers)
        self.fill(run, fillers, CHECKPOINT_PAGES - FILLERS_AT_ONCE * PAGES_MAX, FILLERS_AT_ONCE)
        self.fill(run, fillers, CHECKPOINT_PAGES - 2 * PAGES_MAX, 1)
        run.acks.clear()
        run.before = rows.read(run.data)

    def fill(self, run, fillers, pages, at_once):
        wal = run.data / "adtally.db-wal"
        while os.stat(wal).st_size < pages * FRAME_SIZE:
            run.take(run.give([next(fillers) for _ in range(at_once)]))

    def give_items(self, run):
        for item in self.items:
            run.take(run.give([item]))


class Stopping(Served):
    """SIGTERM while the items are under way."""

    def act(self, run, number):
        self.prepare(run)
        run.point.arm(number)
        given = run.give(self.items)
        run.server.signal(signal.SIGTERM)
        run.take(given)
        run.server.wait()


class Starting(Operation):
    """A start; that it is ready is what it acknowledges."""

    def act(self, run, number):
        run.point.arm(number)
        run.server.launch()
        try:
            run.server.await_ready()
            run.acks.update((item.name, ("ready", None)) for item in self.items)
        except AssertionError:
            assert run.point.reached, run.server.stderr


class Removing(Starting):
    """A start that finds rows which are too old; their removal acknowledges nothing."""

    def act(self, run, number):
        super().act(run, number)
        run.acks.clear()
        if not run.point.reached:
            aged.await_removal(run.data, lambda: run.point.reached)


class Alone(Operation):
    """A command that opens the directory itself, since no server runs."""

    def act(self, run, number):
        run.point.arm(number)
        for item in self.items:
            if isinstance(item, Command):
                ended = run.point.run(*item.line(run.data)[1:], stdin=item.stdin)
                if ended.returncode == 0:
                    run.acks[item.name] = ("done", ended.stdout.decode().strip())
