"""PostgreSQL killed with -9, postmaster and backends, at random moments under a load of every
endpoint: its own recovery brings back what was acknowledged, and adtally goes on by itself."""

import random
import time

import pytest

from outage import Traffic, patient_stage
from support import store, torture

CYCLES = torture.size(4, 200)
ANSWERS_PER_CYCLE = 300


def kill_and_recover(cluster, stage, traffic, rng, is_long):
    """In a long outage clients are refused, in a short one a batch may have been waited for."""
    traffic.wait_for_answers(ANSWERS_PER_CYCLE)
    time.sleep(rng.uniform(0, 0.05))
    cluster.kill()
    if is_long:
        traffic.wait_for_refusals(1)
    time.sleep(rng.uniform(0, 0.3))
    cluster.start()
    traffic.wait_for_answers(ANSWERS_PER_CYCLE)


def test_kill_9_of_the_database_loses_and_doubles_nothing(own_cluster, tmp_path):
    seed = torture.seed("database")
    rng, started = random.Random(seed), time.monotonic()
    with torture.repeatable("postgres", seed), patient_stage(tmp_path) as stage:
        pid = stage.world.server.proc.pid
        with Traffic(stage, seed) as traffic:
            for cycle in range(CYCLES):
                kill_and_recover(own_cluster, stage, traffic, rng, is_long=cycle % 4 == 1)
        stage.settle()
        acknowledged = stage.judge()
        stage.votes_agree()
        assert stage.world.server.alive() and stage.world.server.proc.pid == pid
    torture.say(f"postgres: database killed {CYCLES} times, {acknowledged} events acknowledged, "
                f"{stage.refused} refused meanwhile, 0 lost, 0 doubled, 0 phantom "
                f"({time.monotonic() - started:.0f} s, seed {seed})")


def test_rows_that_are_gone_or_twice_are_seen(own_cluster, tmp_path):
    with patient_stage(tmp_path) as stage:
        with Traffic(stage, 1) as traffic:
            traffic.wait_for_answers(100)
        stage.settle()
        stage.judge()
        name = store.database_of(stage.world.data)
        own_cluster.sql("INSERT INTO feedback SELECT * FROM feedback LIMIT 1", name)
        with pytest.raises(AssertionError, match="doubled|sequence"):
            stage.judge()
        own_cluster.sql("DELETE FROM feedback", name)
        with pytest.raises(AssertionError, match="lost"):
            stage.judge()
