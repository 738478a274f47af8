"""Faults by chance: for a while some percent of all operations of a kind fail while requests of
every endpoint come, and each of them is judged when the weather is good again. What comes while the
store is still taking back, reopening or probing is met here, which no first fault of a request
reaches. One seed repeats it."""

import errno
import random

import pytest
from endpoints import ENDPOINTS, Health
from injection import FILE_KINDS, FOR_EVER, MEMORY_KINDS, MORE_FILE_KINDS, SYNC_KINDS, Kind
from stage import Stage, judge
from support import torture

ROUNDS = torture.size(300, 10000)
REQUESTS = 6
EVERYTHING = Kind("EIO of everything", errno.EIO,
                  "open read pread write pwrite ftruncate rename unlink map_file malloc realloc")
KINDS = [*FILE_KINDS, *MORE_FILE_KINDS, *MEMORY_KINDS, EVERYTHING, *SYNC_KINDS]
PERCENTS = (3, 10, 30, 60, 100)


@pytest.fixture
def stage():
    stage = Stage()
    yield stage
    stage.close()


def one_round(stage, endpoints, rng, number):
    """Faults begin at some operation, last until the requests were sent, and then all is judged."""
    kind, percent = rng.choice(KINDS), rng.choice(PERCENTS)
    if kind.error == errno.EINTR:
        percent = min(percent, 60)  # interrupted always is nothing a program can go on from
    chosen = [rng.choice(endpoints) for _ in range(REQUESTS)]
    subjects = [endpoint.new() for endpoint in chosen]
    requests = [endpoint.request(subject) for endpoint, subject in zip(chosen, subjects)]
    stage.faults.arm(kind, rng.randrange(1, 12), FOR_EVER, percent, rng.getrandbits(64))
    answers = []
    for request in requests:
        answers.append(stage.exchange(request))
        if answers[-1] is None:
            break
    stage.faults.disarm()
    stage.count.faults += stage.faults.failed
    ended = answers[-1] is None and stage.revive()
    try:
        for endpoint, subject, answer in zip(chosen, subjects, answers):
            judge(stage, endpoint, subject, answer, ended)
        stage.serves_again()
    except AssertionError as error:
        raise AssertionError(f"round {number}, {kind.name}, {percent} %, {endpoint.name}: {error}\n"
                             f"{stage.world.server.stderr[-2000:]}") from error


def test_faults_by_chance(stage):
    seed = torture.seed("storms")
    rng = random.Random(seed)
    endpoints = [make(stage.world) for make in ENDPOINTS if make is not Health]
    for number in range(ROUNDS):
        one_round(stage, endpoints, rng, number)
    assert stage.descriptors() <= stage.descriptors_max, "descriptors leak"
    count = stage.count
    torture.say(f"faults by chance: {ROUNDS} rounds, {count.faults} faults, {count.refused} "
                f"refused, {count.restarts} restarts; violations 0 (--seed {seed})")
