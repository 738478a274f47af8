"""The mixed load of the crash suite against servers whose database goes and comes: a refusal is an
event that is still to be sent, and whoever is refused is told to come again."""

import contextlib
import random
import shutil
import threading
import time

from mixed_load import Stage
from oracle import Oracle
from support import store
from support.http import Closed, Conn
from support.world import World

REFUSALS = (500, 503)  # as each route's dialect says it
OF_A_PROXY = (502, 503, 504)
CONNECTIONS = 8
PAUSE_S = 0.03
REFUSED_PAUSE_S = 0.5  # of clients that are in a hurry: they are asked for a second
BACK_S = 20


@contextlib.contextmanager
def over(cluster):
    """Worlds are made, and asked, in this cluster."""
    before = store.IS_POSTGRES, store.cluster
    store.IS_POSTGRES, store.cluster = True, lambda: cluster
    try:
        yield
    finally:
        store.IS_POSTGRES, store.cluster = before


def is_refusal(answer):
    """With the time to come again; who clicked arrives all the same, without the id of a click."""
    if answer.status == 302:
        return "thrad_click_id=" not in answer.header("location")
    if answer.status in OF_A_PROXY and b"<html>" in answer.body:
        return True
    if answer.status in REFUSALS:
        assert int(answer.header("retry-after")) >= 1, answer
    return answer.status in REFUSALS


class PatientStage(Stage):
    """Takes a refusal as no answer. What follows from one is refused too: no feedback of an
    impression that is not there."""

    def __init__(self, world, oracle):
        self.refused, self.refused_bids = 0, set()
        super().__init__(world, oracle)

    def read(self, conn, event):
        answer = conn.read()
        bid = event.key.split(" ", 1)[1].partition("=")[0]
        if is_refusal(answer) or answer.status == 404 and bid in self.refused_bids:
            self.refused += 1
            self.refused_bids.add(bid)
            return None
        return event.read(answer)

    def receive(self, conn, events):
        came = []
        try:
            for event in events:
                read = self.read(conn, event)
                if read is None:
                    continue
                came.append((event, *read))
                if event.key.startswith("click "):
                    self.clicks.append(read[1])
        finally:
            self.oracle.answered(*((e.key, status, receipt or e.key)
                                   for e, status, receipt in came))
            self.answers_count += len(came)
            for event, _, _ in came:
                self.pending.pop(event.key, None)
            self.answered.extend(e for e, _, _ in came if e.again)

    def settle(self):
        """What was refused or cut off is sent again, until there is nothing of it."""
        end = time.monotonic() + BACK_S
        self.refused_bids.clear()
        self.retry()
        while self.pending:
            assert time.monotonic() < end, f"{len(self.pending)} events are still refused"
            self.retry()

    def judge(self):
        found = store.contradictions(self.world.data)
        assert not found, found
        return super().judge()


class Traffic:
    """Clients that send events of every kind until they are told to stop; a connection that
    breaks is made again."""

    def __init__(self, stage, seed, connections=CONNECTIONS):
        self.stage, self.errors, self.is_over = stage, [], False
        self.threads = [threading.Thread(target=self.run, args=(random.Random(f"{seed}-{n}"),))
                        for n in range(connections)]

    def __enter__(self):
        [thread.start() for thread in self.threads]
        return self

    def __exit__(self, *_):
        self.is_over = True
        [thread.join() for thread in self.threads]
        assert not self.errors, self.errors[:3]

    def run(self, rng):
        while not self.is_over:
            try:
                with Conn(self.stage.world.port) as conn:
                    self.send_batches(conn, rng)
            except (OSError, Closed):
                time.sleep(PAUSE_S)
            except AssertionError as error:
                if "cut" not in str(error):
                    self.errors.append(error)
                    return

    def send_batches(self, conn, rng):
        while not self.is_over:
            refused = self.stage.refused
            self.stage.send(conn, self.stage.batch(rng))
            if self.stage.refused > refused:
                time.sleep(REFUSED_PAUSE_S)

    def wait_for(self, what):
        end = time.monotonic() + BACK_S
        while not what():
            assert not self.errors, self.errors[:3]
            assert time.monotonic() < end, f"not in {BACK_S} s"
            time.sleep(0.005)

    def wait_for_answers(self, count):
        before = self.stage.answers_count
        self.wait_for(lambda: self.stage.answers_count >= before + count)

    def wait_for_refusals(self, count):
        before = self.stage.refused
        self.wait_for(lambda: self.stage.refused >= before + count)


@contextlib.contextmanager
def patient_stage(directory, *flags):
    world = World(flags)
    oracle = Oracle(directory / f"{world.data.name}.oracle")
    try:
        yield PatientStage(world, oracle)
        world.server.stop()
    finally:
        oracle.close()
        world.server.kill()
        shutil.rmtree(world.data, ignore_errors=True)
