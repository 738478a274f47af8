"""kill -9 under a mixed load on every endpoint, again and again, at moments of every sort: what was
acknowledged is there once, nothing is there that was never sent, and a retry tells what became of
the rest."""

import collections
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import time

import pytest
from mixed_load import Load, Stage
from operator_commands import Commands
from oracle import Oracle
from support import server as program, torture
from support.world import World

SANITIZED = "asan" in program.BINARY or "tsan" in program.BINARY
CYCLES = 12 if SANITIZED else torture.size(30, 1000)
ANSWERS_PER_CYCLE = 200 if SANITIZED else torture.size(680, 1020)  # and whatever the retries add
ACKNOWLEDGED_MIN = 2000 if SANITIZED else torture.size(20_000, 1_000_000)
CYCLES_PER_DIRECTORY = 100
VERIFY_EVERY = 10
PADDING = 8000  # of two fields: 2,000 pages, which begin a checkpoint, come soon
WAIT_S = 60.0


def wait_for(what, load):
    end = time.monotonic() + WAIT_S
    while not what():
        assert not load.errors, load.errors[:3]
        assert time.monotonic() < end, f"only {load.answers_count} answers in {WAIT_S:.0f} s"
        time.sleep(0.0002)


def wait_for_answers(load):
    wait_for(lambda: load.answers_count >= ANSWERS_PER_CYCLE, load)


# -- moments: each ends with the server killed, or about to end -------------------------------


def in_load(server, rng, load):
    wait_for_answers(load)
    time.sleep(rng.uniform(0, 0.02))
    server.kill()


def in_checkpoint(server, rng, load):
    """The first page that goes from the WAL into the database is the signal."""
    path = server.data / "adtally.db"
    before = os.stat(path).st_mtime_ns
    wait_for_answers(load)
    wait_for(lambda: os.stat(path).st_mtime_ns != before, load)
    time.sleep(rng.uniform(0, 0.003))
    server.kill()


def in_shutdown(server, rng, load):
    wait_for_answers(load)
    server.signal(signal.SIGTERM)
    time.sleep(rng.uniform(0, 0.03))
    server.kill()


MOMENTS = [in_load, in_shutdown, in_load, in_checkpoint, in_load]


def kill_while_starting(server, rng):
    """The recovery is killed too, more than once."""
    for _ in range(rng.randint(0, 3)):
        server.launch()
        time.sleep(rng.uniform(0, 0.015))
        server.kill()


@contextlib.contextmanager
def new_stage(directory, rng):
    world = World()
    oracle = Oracle(directory / f"{world.data.name}.oracle")
    try:
        yield Stage(world, oracle), Commands(world, rng)
        world.server.stop()
    finally:
        world.server.kill()
        oracle.close()
        os.unlink(oracle.path)
        world.close()


def kill_and_recover(stage, commands, moment, rng):
    with Load(stage, rng.random(), PADDING if moment is in_checkpoint else 0) as load, commands:
        moment(stage.world.server, rng, load)
    kill_while_starting(stage.world.server, rng)
    stage.world.server.start()
    stage.votes_agree()
    commands.judge()
    stage.retry()
    stage.votes_agree()


def test_kill_9_loses_nothing_doubles_nothing_invents_nothing(tmp_path):
    seed, started = torture.seed("kill9"), time.monotonic()
    rng, done = random.Random(seed), collections.Counter()
    for first in range(0, CYCLES, CYCLES_PER_DIRECTORY):
        with new_stage(tmp_path, rng) as (stage, commands):
            for cycle in range(first, min(first + CYCLES_PER_DIRECTORY, CYCLES)):
                kill_and_recover(stage, commands, MOMENTS[cycle % len(MOMENTS)], rng)
                if cycle % VERIFY_EVERY == 0:
                    program.cli("verify", "--data", stage.world.data)
            program.cli("verify", "--data", stage.world.data)
            done["acknowledged"] += stage.judge()
            done["commands"] += commands.done
    torture.say(f"crash: {CYCLES} kill cycles, {done['acknowledged']} events and "
                f"{done['commands']} commands acknowledged, 0 lost, 0 doubled, 0 phantom "
                f"({time.monotonic() - started:.0f} s, seed {seed})")
    assert done["acknowledged"] >= ACKNOWLEDGED_MIN
    assert done["commands"] >= CYCLES // 2, "no commands worth the name"


# -- a test that cannot fail is a defect ------------------------------------------------------


def test_the_oracle_can_see_what_it_is_for(tmp_path):
    """Each verdict is provoked once."""
    oracle = Oracle(tmp_path / "log")
    for key, answers in {"a": [("ok", "1")], "b": [("ok", "2")], "c": [], "d": [("ok", "3")] * 2,
                         "e": [("ok", "4"), ("duplicate", "5")], "f": [("duplicate", "1")],
                         "g": [("ok", "6")]}.items():
        oracle.sending(key)
        oracle.answered(*((key, status, receipt) for status, receipt in answers))
    oracle.close()
    assert oracle.unanswered() == ["c"]
    stored = {"a": "1", "d": "3", "e": "4", "f": "1", "z": "7", "g": "8"}
    assert oracle.judge([("a", "1"), *stored.items()]) == {
        "lost": {"b"}, "doubled": {"a"}, "phantom": {"z"}, "counted twice": {"d"},
        "of two receipts": {"e"}, "of a shared receipt": {"1"}, "of another row": {"e", "g"}}


TAMPERED = {
    "lost": "DELETE FROM conversion WHERE seq = (SELECT max(seq) FROM conversion)",
    "doubled": """INSERT INTO feedback SELECT seq + 1000000, recorded_at_ms, bid_id, impression_seq,
                  feedback_type, feedback_text FROM feedback LIMIT 1""",
    "phantom": "UPDATE conversion SET conversion_value = '1.5' WHERE seq IN "
               "(SELECT seq FROM conversion LIMIT 1)",
    "of another row": "UPDATE server_event SET seq = seq + 1000000",
}


def tamper(data, sql):
    with contextlib.closing(sqlite3.connect(data / "adtally.db")) as db:
        assert db.execute(sql).rowcount > 0
        db.commit()


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """What one cycle leaves, its server stopped."""
    rng = random.Random(1)
    with new_stage(tmp_path_factory.mktemp("killed"), rng) as (stage, commands):
        with Load(stage, 1) as load:
            wait_for_answers(load)
        stage.world.server.start()
        stage.retry()
        commands.create(), commands.revoke(), commands.create(), commands.put()
        stage.votes_agree(), commands.judge()
        stage.world.server.stop()
        stage.judge()
        shutil.copy(stage.world.data / "adtally.db", stage.world.data / "saved")
        yield stage, commands


@pytest.fixture
def stopped(killed):
    yield killed
    data = killed[0].world.data
    killed[0].world.server.kill()
    for name in ("adtally.db-wal", "adtally.db-shm"):
        (data / name).unlink(missing_ok=True)
    shutil.copy(data / "saved", data / "adtally.db")


@pytest.mark.parametrize("verdict", TAMPERED)
def test_the_rows_of_a_real_run_are_judged(stopped, verdict):
    stage, _ = stopped
    tamper(stage.world.data, TAMPERED[verdict])
    with pytest.raises(AssertionError, match=verdict):
        stage.judge()


@pytest.mark.parametrize("sql", [
    "DELETE FROM api_key WHERE label LIKE 'crash-%'",
    "UPDATE api_key SET revoked_at_ms = NULL WHERE revoked_at_ms IS NOT NULL",
    "UPDATE poll_option SET text = 'half' WHERE poll_id >= 1000000",
    "UPDATE poll SET withdrawn_at_ms = 1 WHERE poll_id >= 1000000"])
def test_the_commands_of_a_real_run_are_judged(stopped, sql):
    stage, commands = stopped
    tamper(stage.world.data, sql)
    stage.world.server.start()
    with pytest.raises(AssertionError, match="not one of|half a poll"):
        commands.judge()


def test_results_that_are_not_the_votes_are_seen(stopped):
    stage, _ = stopped
    stage.world.server.start()
    tamper(stage.world.data, "UPDATE vote SET option_id = CASE option_id WHEN '0' THEN '1' ELSE "
                             "'0' END WHERE seq = (SELECT max(seq) FROM vote)")
    with pytest.raises(AssertionError):
        stage.votes_agree()
