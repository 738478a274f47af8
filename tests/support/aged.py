"""A data directory whose rows are too old, and the server that finds them."""

import shutil
import time

from support import server as program
from support.clock import UNCONFINED, Clock
from support.publisher import (FEEDBACK, ballots, feedback, new_poll, ping_target, rate_bytes,
                               rating, tally, vote_bytes)
from support.world import COLLECT, World, event

DAY_S = 86400
# Each has one row; that of a vote stays.
OLD = ("click", "conversion", "server_event", "impression", "feedback", "ad_feedback")


def record_one_of_each(world):
    ad = ballots(world, new_poll(world), 1)[0]
    world.get(ping_target(ad))
    assert world.convert(world.click()).status == 200
    for path, body in ((COLLECT, event()), (FEEDBACK, feedback(ad["bidId"]))):
        assert world.post(path, body).status in (200, 204)
    assert world.send(rate_bytes(world, rating(ad))).status == 200
    tally(world.send(vote_bytes(world, ad, "1")))


def make():
    """A row of each kind, 400 days old, one key that is younger, which is how the store knows, and
    a configuration that keeps 30 days. It needs libfaketime."""
    clock = Clock()
    clock.set(-400 * DAY_S)
    world = World(UNCONFINED, environment=clock.environment)
    try:
        record_one_of_each(world)
        world.server.stop()
        clock.set(-399 * DAY_S)
        world.server.start()
        program.key_create(world.data, "admin", "a day later")
        world.server.stop()
        (world.data / "adtally.conf").write_text("retention = 30d\n")
        path = program.temp_dir()
        shutil.copytree(world.data, path, dirs_exist_ok=True)
        return path
    finally:
        world.close()


def left(data):
    """How many rows of each kind are there."""
    return {table: program.query(data, f"SELECT count(*) n FROM {table}")[0]["n"] for table in OLD}


def await_removal(data, is_over=lambda: False, timeout_s=20):
    """Until they are gone, or something else has happened."""
    end = time.monotonic() + timeout_s
    while any(left(data).values()) and not is_over():
        assert time.monotonic() < end, f"not removed: {left(data)}"
        time.sleep(0.01)
