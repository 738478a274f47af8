"""A real file system that is full, again and again, under requests of every endpoint, at a start
and while a checkpoint moves the WAL; and the N-th operation of a long run, checkpoints included."""

import random
import re
import time

import pytest
from endpoints import ENDPOINTS, Collect, Health
from injection import FILE_KINDS, SYNC_KINDS
from stage import Stage, judge
from support import server as program, torture
from support.disk import fill, small
from support.world import COLLECT, event, unique

CYCLES = torture.size(3, 30)
LONG_RUNS = torture.size(4, 60)
REQUESTS_MAX = 1500
SENTENCE = re.compile(r"adtally: [^\n]+[^.\n]\n")
EXISTS = "SELECT count(*) FROM server_event WHERE event_id = ?"


@pytest.fixture
def disk():
    yield from small("48m")


@pytest.fixture
def stage(disk):
    (disk / "data").mkdir()
    stage = Stage(disk / "data")
    yield stage
    stage.close()


def large(world, event_id):
    """An event of five pages."""
    return world.post_bytes(COLLECT, event(
        event_id=event_id, page_url="https://a.example/" + "p" * 8000,
        referrer="https://b.example/" + "r" * 8000, user_agent="u" * 2000))


def free(disk):
    (disk / "ballast").unlink()


def fill_until_refused(stage, disk):
    """Full, what the server could still write into included."""
    collect, end = Collect(stage.world), time.monotonic() + 20
    refused = 0
    while refused < 20:
        assert time.monotonic() < end, "the disk is full and events are still acknowledged"
        fill(disk)
        answer = stage.exchange(collect.request(unique("fill")))
        refused = 0 if answer.status == 204 else refused + 1


def test_every_endpoint_on_a_disk_that_is_full_and_freed_again(stage, disk):
    """Refused while it is full, the same again is served when it is not, without a restart."""
    endpoints = [make(stage.world) for make in ENDPOINTS if make is not Health]
    for _ in range(CYCLES):
        subjects = [(endpoint, endpoint.new()) for endpoint in endpoints for _ in range(3)]
        fill_until_refused(stage, disk)
        answers = [stage.exchange(endpoint.request(subject)) for endpoint, subject in subjects]
        assert stage.world.server.health().body == b'{"status":"degraded","ready":false}'
        free(disk)
        stage.serves_again()
        for (endpoint, subject), answer in zip(subjects, answers):
            judge(stage, endpoint, subject, answer, ended=False)
    assert stage.descriptors() <= stage.descriptors_max, "descriptors leak"
    torture.say(f"full disk: {CYCLES} times, {stage.count.refused} refused, all served after; "
                "violations 0")


def test_a_start_on_a_full_disk_loses_nothing(stage, disk):
    """It serves what it can, or ends with one sentence; with room all is there."""
    world, ids = stage.world, [unique("event") for _ in range(50)]
    assert {a.status for a in world.pipeline([large(world, i) for i in ids])} == {204}
    world.server.kill()
    fill(disk)
    world.server.launch()
    try:
        world.server.await_ready()
        world.server.kill()
    except AssertionError:
        said = re.sub(r"(?m)^\{.*\}\n", "", world.server.stderr)
        assert SENTENCE.fullmatch(said) and "no space" in said, said
    program.run("verify", "--data", world.data)
    free(disk)
    world.server.start()
    assert [stage.value(EXISTS, i) for i in ids] == [1] * 50
    answers = world.pipeline([large(world, i) for i in ids])
    assert {a.status for a in answers} == {204} and stage.value(
        "SELECT count(*) FROM server_event") == 50


def test_a_checkpoint_that_finds_no_room(stage, disk):
    """The WAL has room of its own, the database has none: what was acknowledged stands, and the
    checkpoint is made up for."""
    world, sent = stage.world, {}
    database, wal = world.data / "adtally.db", world.data / "adtally.db-wal"

    def send(count):
        ids = [unique("event") for _ in range(count)]
        answers = world.pipeline([large(world, i) for i in ids])
        sent.update(zip(ids, answers))
        return answers[-1].status

    while database.stat().st_size < 4 << 20:
        assert send(40) == 204
    before = wal.stat().st_size
    assert send(40) == 204 and wal.stat().st_size == before, "the WAL did not start over"
    fill(disk)
    end = time.monotonic() + 20
    while send(40) == 204:
        assert time.monotonic() < end, "the disk is full and events are still acknowledged"
    assert '"checkpoint_failed"' in world.server.stderr
    free(disk)
    stage.serves_again()
    assert send(40) == 204
    size = database.stat().st_size
    while database.stat().st_size == size:
        assert send(40) == 204 and wal.stat().st_size < 24 << 20, "room, and no checkpoint"
    world.server.kill()
    world.server.start()
    for event_id, answer in sent.items():
        assert answer.status in (204, 503), answer
        assert stage.value(EXISTS, event_id) == (answer.status == 204)
    program.cli("verify", "--data", world.data)


def long_run(stage, rng):
    """Large events until the chosen operation came, most likely within a checkpoint."""
    world, sent = stage.world, {}
    kind = rng.choice([*FILE_KINDS, *SYNC_KINDS])
    times = rng.choice(kind.times)
    first = rng.randrange(1, 3000) if kind in FILE_KINDS else rng.randrange(1, 600)
    stage.faults.arm(kind, first, times)
    end = None
    while not stage.faults.failed and len(sent) < REQUESTS_MAX and end is None:
        ids = [unique("event") for _ in range(40)]
        answers = [stage.exchange(large(world, i)) for i in ids]
        sent.update(zip(ids, answers))
        end = True if None in answers else None
    time.sleep(0.1)
    stage.faults.disarm()
    stage.count.faults += stage.faults.failed > 0
    what = f"{kind.name} x {times} at operation {first} ({stage.faults.last})"
    stage.revive()
    stage.serves_again()
    for event_id, answer in sent.items():
        stood = stage.value(EXISTS, event_id)
        assert stood <= 1, what
        assert answer is None or stood == (answer.status == 204), f"{what}: {answer!r}, {stood}"
        if answer is None or answer.status != 204:
            assert stage.exchange(large(world, event_id)).status == 204, what
            assert stage.value(EXISTS, event_id) == 1, what


@pytest.fixture
def roomy_stage():
    stage = Stage()
    yield stage
    stage.close()


def test_an_operation_of_a_long_run_fails(roomy_stage):
    seed = torture.seed("long runs")
    rng = random.Random(seed)
    for _ in range(LONG_RUNS):
        long_run(roomy_stage, rng)
    count = roomy_stage.count
    program.cli("verify", "--data", roomy_stage.world.data)
    torture.say(f"faults of long runs, checkpoints included: {count.faults} in {LONG_RUNS} runs, "
                f"{count.restarts} restarts; violations 0 (--seed {seed})")
