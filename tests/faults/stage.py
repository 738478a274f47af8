"""A server with faults to switch on, and the judge of what it answered."""

import contextlib
import os
import sqlite3
import time

from injection import Faults
from support.http import Closed, Conn
from support.world import COLLECT, World, event

BACK_S = 2.0


class Count:
    """What was done, for the report."""

    def __init__(self):
        self.faults, self.restarts, self.refused, self.unanswered = 0, 0, 0, 0

    def add(self, other):
        for name, number in vars(other).items():
            setattr(self, name, getattr(self, name) + number)


class Stage:
    """A server with faults to switch on, and a reader of its rows that stays open."""

    def __init__(self, data=None):
        self.faults, self.count = Faults(), Count()
        self.world = World(data=data, environment=self.faults.environment)
        self.descriptors_max = self.descriptors()
        self.open_reader()

    def open_reader(self):
        self.reader = sqlite3.connect(f"file:{self.world.data}/adtally.db?mode=ro", uri=True,
                                      timeout=10, isolation_level=None)

    def stood(self, endpoint, subject):
        if not endpoint.table:
            return 0
        return self.value(f"SELECT count(*) FROM {endpoint.table} WHERE {endpoint.where} = ?",
                          endpoint.key(subject))

    def value(self, sql, *arguments):
        """The first column of the first row."""
        return self.reader.execute(sql, arguments).fetchone()[0]

    def exchange(self, data, fresh=False):
        """An answer, or None when there was none: then the process may have ended."""
        try:
            if not fresh:
                return self.world.send(data)
            with Conn(self.world.port) as conn:
                conn.send(data)
                return conn.read()
        except (Closed, OSError):
            return None
        except AssertionError as error:
            if "cut" not in str(error):
                raise
            return None

    def revive(self):
        """The end that a failed sync asks for, and the start after it."""
        if self.world.server.proc.poll() is None:
            with contextlib.suppress(Exception):
                self.world.server.proc.wait(0.05)
        if self.world.server.alive():
            return False
        server = self.world.server
        assert server.wait() == 1, f"exit {server.proc.returncode}: {server.stderr}"
        assert '"sync_failed"' in server.stderr, server.stderr
        server.start()
        self.count.restarts += 1
        return True

    def descriptors(self):
        """Open in the process when no client is connected."""
        conn = getattr(self.world.conns, "conn", None)
        if conn is not None:
            conn.close()
            self.world.conns.conn = None
        end, last = time.monotonic() + BACK_S, None
        while (found := os.listdir(f"/proc/{self.world.server.proc.pid}/fd")) != last:
            assert time.monotonic() < end, "descriptors come and go"
            last = found
            time.sleep(0.03)
        return len(found)

    def next_batch(self):
        """Any event: what the ledger has to make good, it does before its next batch."""
        answer = self.world.post(COLLECT, event())
        assert answer.status == 204, answer

    def serves_again(self):
        """Health is ok within the time; a degraded server finds out by itself."""
        end = time.monotonic() + BACK_S
        while (answer := self.world.server.health()) is None or answer.status != 200:
            assert time.monotonic() < end, f"no service although the cause is gone: {answer!r}"
            time.sleep(0.02)

    def close(self):
        self.faults.disarm()
        self.reader.close()
        self.world.close()


def judge(stage, endpoint, subject, answer, ended):
    told, stood = None, stage.stood(endpoint, subject)
    if answer is None:
        stage.count.unanswered += 1
        assert stood <= 1, f"{stood} rows without an answer"
    elif endpoint.is_acknowledged(answer):
        told = endpoint.check_acknowledged(answer)
        assert stood == 1 or not endpoint.table, f"acknowledged, and {stood} rows stand"
    else:
        stage.count.refused += 1
        endpoint.check_refused(answer)
        assert stood == 0, f"refused, and {stood} rows stand"
    assert stage.world.server.alive(), stage.world.server.stderr
    again = stage.exchange(endpoint.request(subject), fresh=ended)
    assert again is not None, f"a retry without fault is not answered: {stage.world.server.stderr}"
    endpoint.check_retry(again, stood, told)
    assert stage.stood(endpoint, subject) == (endpoint.rows_after(stood) if endpoint.table else 0)
