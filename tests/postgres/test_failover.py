"""A primary with a synchronous standby is killed and the standby promoted: with both in the URL the
service goes on by itself, and what was acknowledged is there."""

import contextlib
import random
import time

import pytest

from oracle import Oracle
from outage import PatientStage, Traffic, over
from support import postgres, store, torture
from support import server as program
from support.world import World

FAILOVERS = torture.size(1, 20)
ANSWERS = 400
STREAMING_S = 20


class Standby(postgres.Cluster):
    """A copy that follows the primary."""

    def __init__(self, primary):
        self.primary = primary
        super().__init__()

    def create(self):
        self.as_user(self.bin / "pg_basebackup", "-h", "127.0.0.1", "-p", self.primary.port, "-U",
                     "tester", "-D", self.data, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        with open(self.data / "postgresql.conf", "a", encoding="ascii") as conf:
            conf.write(f"unix_socket_directories = '{self.dir}'\nport = {self.port}\n")
        self.start()

    def promote(self):
        self.pg_ctl("promote")


def await_streaming(primary):
    """From here on no COMMIT is answered that the standby does not have."""
    primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.sql("SELECT pg_reload_conf()")
    end = time.monotonic() + STREAMING_S
    while primary.sql("SELECT sync_state FROM pg_stat_replication") != [["sync"]]:
        assert time.monotonic() < end, "the standby does not follow"
        time.sleep(0.05)


@contextlib.contextmanager
def pair():
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(postgres.Cluster().running())
        standby = stack.enter_context(Standby(primary).running())
        await_streaming(primary)
        yield primary, standby


def url_of_both(primary, standby, data):
    with over(primary):
        name = store.database_of(data)
    return (f"postgresql://tester@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/{name}"
            "?target_session_attrs=read-write")


@contextlib.contextmanager
def staged(directory):
    """A server that knows both, and the stage that judges what became of its events."""
    data = program.temp_dir()
    with contextlib.ExitStack() as stack:
        primary, standby = stack.enter_context(pair())
        url = url_of_both(primary, standby, data)
        with over(primary):
            world = World(["--store", url], data=data)
        stack.callback(world.server.kill)
        oracle = stack.enter_context(contextlib.closing(Oracle(directory / data.name)))
        yield primary, standby, PatientStage(world, oracle)


def fail_over(rng, directory):
    """How many events were acknowledged, and refused, before and after."""
    with staged(directory) as (primary, standby, stage):
        with over(standby), Traffic(stage, rng.random()) as traffic:
            traffic.wait_for_answers(ANSWERS)
            time.sleep(rng.uniform(0, 0.1))
            primary.kill()
            standby.promote()
            traffic.wait_for_answers(ANSWERS)
        with over(standby):
            stage.settle()
            return stage.judge(), stage.refused


def test_what_was_acknowledged_is_on_the_new_primary(tmp_path):
    seed, started = torture.seed("failover"), time.monotonic()
    rng = random.Random(seed)
    with torture.repeatable("postgres", seed):
        counts = [fail_over(rng, tmp_path) for _ in range(FAILOVERS)]
    acknowledged, refused = map(sum, zip(*counts))
    torture.say(f"postgres: {FAILOVERS} failovers to a synchronous standby, {acknowledged} events "
                f"acknowledged, {refused} refused meanwhile, 0 lost, 0 doubled, 0 phantom "
                f"({time.monotonic() - started:.0f} s, seed {seed})")


def test_a_standby_that_lags_behind_is_seen_to_lose(tmp_path):
    """The same with a standby that nobody waits for and that is held up: events are gone."""
    with staged(tmp_path) as (primary, standby, stage):
        with over(primary):
            primary.sql("ALTER SYSTEM RESET synchronous_standby_names")
            primary.sql("SELECT pg_reload_conf()")
            time.sleep(0.3)
            standby.stop("immediate")
            with Traffic(stage, 1) as traffic:
                traffic.wait_for_answers(ANSWERS)
        primary.kill()
        standby.start()
        standby.promote()
        with over(standby), pytest.raises(AssertionError, match="lost"):
            stage.judge()


def test_a_standby_alone_is_told_in_a_sentence(tmp_path):
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(postgres.Cluster().running())
        standby = stack.enter_context(Standby(primary).running())
        done = program.run("serve", "--data", tmp_path / "data", "--listen", "127.0.0.1:0",
                           "--store", standby.url())
    text = done.stderr.decode()
    assert done.returncode == 1 and "name the primary in --store" in text, text
    assert len(text.splitlines()) == 1, text
