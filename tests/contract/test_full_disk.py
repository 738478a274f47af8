"""Contract section 2, "acknowledged means durable": a disk that is full, on a small tmpfs."""

import re
import time

import pytest

from support.disk import fill, wait_for
from support.world import (API, COLLECT, LANDING, V1, World, conversion, event, is_refused, unique)

pytestmark = pytest.mark.data_file

SENT_MAX = 20000


class Oracle:
    """What was sent and what was answered, to be compared with the database."""

    def __init__(self, world):
        self.world, self.sent, self.acked = world, set(), {}

    def send(self, click, key, path=V1):
        self.sent.add(key)
        answer = self.world.convert(click, path, key)
        if answer.status == 200:
            self.acked.setdefault(key, answer.receipt)
            assert answer.receipt == self.acked[key]
        return answer

    def check(self):
        rows = [r["idempotency_key"] for r in
                self.world.rows("SELECT idempotency_key FROM conversion")]
        assert len(set(rows)) == len(rows), "doubled"
        assert set(self.acked) <= set(rows), "lost"
        assert set(rows) <= self.sent, "phantom"


@pytest.fixture(scope="module")
def full(disk):
    """World, oracle and click; the disk is full, what the server may free itself included."""
    (disk / "data").mkdir()
    world = World(data=disk / "data")
    oracle = Oracle(world)
    click = world.click()
    for _ in range(20):
        assert oracle.send(click, unique("early")).status == 200
    refused = 0
    for _ in range(SENT_MAX):
        fill(disk)
        refused = 0 if oracle.send(click, unique("late")).status == 200 else refused + 1
        if refused == 20:
            break
    assert refused == 20, "the disk is full and conversions are still acknowledged"
    yield world, oracle, click
    world.server.kill()


def is_unavailable(answer):
    is_refused(answer, 503)
    assert re.fullmatch("[1-9][0-9]*", answer.header("retry-after") or ""), answer


@pytest.mark.parametrize("path", [V1, API, COLLECT])
def test_nothing_is_acknowledged(full, path):
    world, _, click = full
    for _ in range(20):
        body = event() if path == COLLECT else conversion(click)
        is_unavailable(world.post(path, body))


def test_health_says_degraded(full):
    answer = wait_for(full[0], 503)
    assert answer.body == b'{"status":"degraded","ready":false}'


@pytest.mark.parametrize("name", ["url", "clickUrl"])
def test_the_one_who_clicked_still_arrives(full, name):
    world, _, _ = full
    before = world.counts()["click"]
    for _ in range(5):
        answer = world.follow(world.mint()[name])
        assert (answer.status, answer.header("location")) == (302, LANDING)
    assert world.counts()["click"] == before


def test_minting_needs_no_store(full):
    assert len(full[0].mint_many([full[0].ad()] * 10)) == 10


def test_refusals_are_still_refusals(full):
    world, _, click = full
    is_refused(world.convert(click, key="nobody"), 401, "Invalid API key")
    assert world.convert(click, currency="XYZ").status == 422


def test_service_comes_back_with_the_room(full, disk):
    """All that was acknowledged is there, and what was refused can be sent again."""
    world, oracle, click = full
    refused = [unique("retry") for _ in range(5)]
    for key in refused:
        is_unavailable(oracle.send(click, key))
    (disk / "ballast").unlink()
    end = time.monotonic() + 10
    while oracle.send(click, refused[0]).status != 200:
        assert time.monotonic() < end, "no service although there is room"
        time.sleep(0.1)
    for key in refused[1:] + [unique("after") for _ in range(20)]:
        assert oracle.send(click, key).status == 200
    assert wait_for(world, 200).body == b'{"status":"ok","ready":true}'
    assert world.click()
    oracle.check()
    world.server.stop()
    oracle.check()
    world.server.start()
    for key in refused:
        assert oracle.send(click, key).body == b'{"status":"duplicate"}'
    oracle.check()
    world.server.stop()
