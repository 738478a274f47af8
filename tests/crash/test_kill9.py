"""kill -9 under a mixed load on every endpoint, again and again, at moments of every sort: what was
acknowledged is there once, nothing is there that was never sent, and a retry tells what became of
the rest."""

import contextlib
import os
import random
import signal
import time

import operator_commands
import pytest
from mixed_load import Load, Stage
from operator_commands import ABSENT, LIVE, REVOKED, Commands
from oracle import Oracle
from support import server as program, store, torture
from support.world import World

SANITIZED = "asan" in program.BINARY or "tsan" in program.BINARY
CYCLES = 12 if SANITIZED else torture.size(20, 1000)
ANSWERS_PER_CYCLE = 200 if SANITIZED else torture.size(680, 1020)  # and whatever the retries add
ACKNOWLEDGED_MIN = 2000 if SANITIZED else torture.size(13_000, 1_000_000)
CYCLES_PER_DIRECTORY = 100
VERIFY_EVERY = 10
PADDING = 8000  # of two fields: the pages that begin a checkpoint come soon
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


MOMENTS = [in_load, in_shutdown, in_load, in_load if store.IS_POSTGRES else in_checkpoint, in_load]


def kill_while_starting(server, rng):
    """The recovery is killed too, more than once."""
    for _ in range(rng.randint(0, 3)):
        server.launch()
        time.sleep(rng.uniform(0, 0.015))
        server.kill()


def verify(data):
    if store.IS_POSTGRES:
        assert not store.contradictions(data)
    else:
        program.cli("verify", "--data", data)


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


def torture_directory(directory, rng, moments):
    """A kill per moment in a fresh directory; how many events and commands were acknowledged."""
    with new_stage(directory, rng) as (stage, commands):
        for cycle, moment in enumerate(moments):
            kill_and_recover(stage, commands, moment, rng)
            if cycle % VERIFY_EVERY == 0:
                verify(stage.world.data)
        verify(stage.world.data)
        return stage.judge(), commands.done


def test_kill_9_loses_nothing_doubles_nothing_invents_nothing(tmp_path):
    seed, started = torture.seed("kill9"), time.monotonic()
    rng, moments = random.Random(seed), [MOMENTS[i % len(MOMENTS)] for i in range(CYCLES)]
    with torture.repeatable("crash", seed):
        counts = [torture_directory(tmp_path, rng, moments[i : i + CYCLES_PER_DIRECTORY])
                  for i in range(0, CYCLES, CYCLES_PER_DIRECTORY)]
    events, commands = map(sum, zip(*counts))
    torture.say(f"crash: {CYCLES} kill cycles, {events} events and {commands} commands "
                f"acknowledged, 0 lost, 0 doubled, 0 phantom "
                f"({time.monotonic() - started:.0f} s, seed {seed})")
    assert events >= ACKNOWLEDGED_MIN
    assert commands >= CYCLES // 2, "no commands worth the name"


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


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """One cycle, after which all is well."""
    rng = random.Random(1)
    with new_stage(tmp_path_factory.mktemp("killed"), rng) as (stage, commands):
        with Load(stage, 1) as load:
            wait_for_answers(load)
        stage.world.server.start()
        stage.retry()
        commands.create(), commands.revoke(), commands.create(), commands.put()
        stage.votes_agree(), commands.judge(), stage.judge()
        yield stage, commands


def of_kind(kind, rows):
    return next(i for i, (key, _) in enumerate(rows) if key.startswith(kind))


def without(rows):
    rows.pop(of_kind("convert", rows))


def with_a_copy(rows):
    rows.append(rows[of_kind("feedback", rows)])


def with_another_value(rows):
    at = of_kind("convert", rows)
    rows[at] = (rows[at][0] + "9", rows[at][1])


def with_receipts_swapped(rows):
    one, two = of_kind("collect", rows), of_kind("convert", rows)
    rows[one], rows[two] = (rows[one][0], rows[two][1]), (rows[two][0], rows[one][1])


@pytest.mark.parametrize("verdict,tamper", [
    ("lost", without), ("doubled", with_a_copy), ("phantom", with_another_value),
    ("of another row", with_receipts_swapped)])
def test_the_rows_of_a_real_run_are_judged(killed, monkeypatch, verdict, tamper):
    stage, rows = killed[0], killed[0].stored()
    tamper(rows)
    monkeypatch.setattr(stage, "stored", lambda: rows)
    with pytest.raises(AssertionError, match=verdict):
        stage.judge()


@pytest.mark.parametrize("book,state", [
    ("keys", ABSENT), ("keys", "another"), ("polls", ABSENT), ("polls", (LIVE, "another question")),
    ("keys", None), ("polls", None)])
def test_the_commands_of_a_real_run_are_judged(killed, monkeypatch, book, state):
    """The latest key or poll is in no such state; None: nobody made it."""
    commands = killed[1]
    may_be = {**getattr(commands, book).may_be}
    subject, _ = may_be.popitem()
    if state:
        may_be[subject] = {state}
    monkeypatch.setattr(getattr(commands, book), "may_be", may_be)
    with pytest.raises(AssertionError, match="not one of" if state else "nobody made"):
        commands.judge()


def test_half_a_poll_is_seen(killed, monkeypatch):
    monkeypatch.setattr(operator_commands, "poll_of", lambda *_: {})
    with pytest.raises(AssertionError, match="half a poll"):
        killed[1].judge()


def test_a_revoked_key_that_works_is_seen(killed, monkeypatch):
    commands = killed[1]
    live, revoked = (commands.keys.in_state(state)[-1] for state in (LIVE, REVOKED))
    monkeypatch.setitem(commands.keys.secrets, revoked, commands.keys.secrets[live])
    with pytest.raises(AssertionError, match=revoked):
        commands.judge()


def test_results_that_are_not_the_votes_are_seen(killed, monkeypatch):
    monkeypatch.setattr(killed[0].world, "rows", lambda sql: [{"option_id": "0", "n": 10**6}])
    with pytest.raises(AssertionError):
        killed[0].votes_agree()
