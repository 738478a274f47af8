"""The N-th I/O operation or allocation of one request fails, for every N, once and for ever.

For each endpoint: arm, send, look at the answer, disarm, send the same again. An acknowledgement
stands once; what was refused, or not answered, stands once or not at all, and the retry says which;
the process lives and serves when the cause is gone. Only a failed sync ends it, with exit 1."""

import contextlib
import os
import sqlite3
import time

import pytest
from endpoints import ENDPOINTS, Click, Conversion, Mint, Vote
from injection import (FILE_KINDS, FOR_EVER, MEMORY_KINDS, MORE_FILE_KINDS, SOCKET_KINDS, SYNC_KINDS,
                       Faults)
from support import torture
from support.http import Closed, Conn
from support.world import World

POINTS_MAX = 400
BACK_S = 2.0


class Count:
    """What was done, for the report."""

    def __init__(self):
        self.faults, self.restarts, self.refused, self.unanswered = 0, 0, 0, 0


class Stage:
    """A server with faults to switch on, and a reader of its rows that stays open."""

    def __init__(self, flags=()):
        self.faults, self.count = Faults(), Count()
        self.world = World(flags, environment=self.faults.environment)
        self.descriptors_max = self.descriptors()
        self.reader = sqlite3.connect(f"file:{self.world.data}/adtally.db?mode=ro", uri=True,
                                      timeout=10, isolation_level=None)

    def stood(self, endpoint, subject):
        if not endpoint.table:
            return 0
        sql = f"SELECT count(*) FROM {endpoint.table} WHERE {endpoint.where} = ?"
        return self.reader.execute(sql, (endpoint.key(subject),)).fetchone()[0]

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


def one_fault(stage, endpoint, kind, number, times, fresh):
    """One point. False when the request was over before its operation number `number`."""
    subject = endpoint.new()
    request = endpoint.request(subject)
    stage.faults.arm(kind, number, times)
    answer = stage.exchange(request, fresh)
    stage.faults.disarm()
    if not stage.faults.failed:
        assert answer is not None and endpoint.is_acknowledged(answer), answer
        endpoint.check_acknowledged(answer)
        return False
    stage.count.faults += 1
    ended = answer is None and stage.revive()
    judge(stage, endpoint, subject, answer, ended)
    return True


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


def every_fault(stage, endpoint, kind, fresh=False):
    for times in kind.times:
        for number in range(1, POINTS_MAX + 1):
            try:
                if not one_fault(stage, endpoint, kind, number, times, fresh):
                    break
            except AssertionError as error:
                often = "for ever from" if times == FOR_EVER else f"{times} time(s) at"
                raise AssertionError(f"{endpoint.name}: {kind.name} {often} operation {number} "
                                     f"({stage.faults.last}): {error}\n"
                                     f"{stage.world.server.stderr[-2000:]}") from error
        else:
            raise AssertionError(f"{endpoint.name}: {kind.name} has no end")


@pytest.fixture(scope="module")
def stage():
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture(scope="module", autouse=True)
def report(stage):
    totals = {}
    yield totals
    count = stage.count
    kinds = ", ".join(f"{n} {what}" for what, n in totals.items())
    torture.say(f"faults: {len(ENDPOINTS)} endpoints, {kinds}; {count.refused} refused, "
                f"{count.unanswered} without answer, {count.restarts} restarts; violations 0")


GROUPS = {
    "I/O faults": FILE_KINDS + torture.size([], MORE_FILE_KINDS),
    "allocation faults": MEMORY_KINDS,
    "sync faults": SYNC_KINDS,
}


@pytest.mark.parametrize("make", ENDPOINTS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("group", GROUPS)
def test_one_request(stage, report, group, make):
    endpoint = make(stage.world)
    one_without_fault(stage, endpoint)
    done = stage.count.faults
    for kind in GROUPS[group]:
        every_fault(stage, endpoint, kind)
    stage.serves_again()
    assert stage.descriptors() <= stage.descriptors_max, "descriptors leak"
    report[group] = report.get(group, 0) + stage.count.faults - done


def one_without_fault(stage, endpoint):
    """The first request of its sort may allocate what stays."""
    answer = stage.exchange(endpoint.request(endpoint.new()))
    assert answer is not None and endpoint.is_acknowledged(answer), answer


# The socket's side is the same for all routes: one of each dialect and body.
OF_SOCKETS = torture.size([Conversion, Click, Vote, Mint], ENDPOINTS)


@pytest.mark.parametrize("make", OF_SOCKETS, ids=lambda make: make.__name__)
def test_one_connection(stage, report, make):
    """The same for the socket's side, on a connection of its own, its accept included."""
    endpoint = make(stage.world)
    done = stage.count.faults
    for kind in SOCKET_KINDS:
        every_fault(stage, endpoint, kind, fresh=True)
    stage.serves_again()
    assert stage.descriptors() <= stage.descriptors_max, "descriptors leak"
    report["socket faults"] = report.get("socket faults", 0) + stage.count.faults - done
