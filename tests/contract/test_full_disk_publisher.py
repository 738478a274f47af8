"""Contract section 2, "acknowledged means durable", for the publisher's side: what the pages answer
while the store cannot write, and that nothing of it is half-recorded."""

import pytest

from support.disk import fill, wait_for
from support.publisher import (SECONDS, ballots, feedback, is_detail, is_gif, is_given,
                               is_not_rated, is_open, is_poll_error, is_rated, new_poll,
                               ping_target, publisher_key, rate, rating, results, send_feedback,
                               show, tally, vote)
from support.world import TABLES, World, table

pytestmark = pytest.mark.data_file

SENT_MAX = 20000
COUNT = 10


class Stage:
    """Ads of every kind, made while there was room, and how each of them is sent."""

    def __init__(self, world):
        self.world, poll = world, new_poll(world)
        publisher_key(world.data)
        self.ads = {name: world.mint_many([world.ad()] * COUNT)
                    for name in ("view", "ack", "track", "ad-feedback")}
        self.ads["feedback"] = [show(world) for _ in range(COUNT)]
        self.ads["vote"] = ballots(world, poll, COUNT)
        self.bodies = {ad["bidId"]: rating(ad) for ad in self.ads["ad-feedback"]}
        self.voted = ballots(world, poll, 1)[0]
        tally(vote(world, self.voted))

    def send(self, name, ad):
        if name == "feedback":
            return send_feedback(self.world, feedback(ad["bidId"]))
        if name == "ad-feedback":
            return rate(self.world, self.bodies[ad["bidId"]])
        if name == "vote":
            return vote(self.world, ad)
        return self.world.get(ping_target(ad, name))


def is_unavailable(answer, name):
    """500 for 000 and 003, 503 for the others, each in its dialect and with Retry-After."""
    if name == "vote":
        is_poll_error(answer, 500, "server_error")
    elif name == "ad-feedback":
        is_not_rated(answer, 503, "unavailable")
    else:
        is_detail(answer, 500 if name == "feedback" else 503)
    assert SECONDS.fullmatch(answer.header("retry-after") or ""), answer
    is_open(answer)


ACKNOWLEDGED = {"view": is_gif, "ack": is_gif, "track": is_gif, "feedback": is_given,
                "ad-feedback": is_rated, "vote": tally}


@pytest.fixture(scope="module")
def full(disk):
    """The stage and what the tables held when the disk was full."""
    (disk / "data").mkdir()
    world = World(data=disk / "data")
    stage, refused = Stage(world), 0
    for _ in range(SENT_MAX):
        fill(disk)
        answer = world.get(ping_target(world.mint()))
        refused = 0 if answer.status == 200 else refused + 1
        if refused == 20:
            break
    assert refused == 20, "the disk is full and impressions are still acknowledged"
    yield stage, world.counts()
    world.server.kill()


@pytest.mark.parametrize("name", ACKNOWLEDGED)
def test_nothing_is_acknowledged(full, name):
    stage, before = full
    for _ in range(2):
        for ad in stage.ads[name]:
            is_unavailable(stage.send(name, ad), name)
    assert stage.world.counts() == before


def test_results_can_still_be_read_and_count_no_refused_vote(full):
    stage, _ = full
    assert tally(results(stage.world, stage.ads["vote"][0])) == {"0": 1, "1": 0, "2": 0}


WRITE_NOTHING = {
    "results": (200, lambda stage: results(stage.world, stage.ads["vote"][0])),
    "an unknown bid": (404, lambda stage: send_feedback(stage.world, feedback("nobody"))),
    "a bad body": (422, lambda stage: send_feedback(stage.world, {})),
    "a bad key": (401, lambda stage: rate(stage.world, {}, "nobody")),
    "a bad option": (400, lambda stage: vote(stage.world, stage.ads["vote"][0], "9")),
    "a second vote": (409, lambda stage: vote(stage.world, stage.voted)),
    "a conversion of no click": (404, lambda stage: stage.world.convert("nobody")),
}


@table("status, send", WRITE_NOTHING)
def test_what_writes_nothing_is_answered_and_the_server_stays_degraded(full, disk, status, send):
    """That such an answer was possible does not mean that the store takes writes again."""
    stage, _ = full
    fill(disk)
    is_unavailable(stage.send("view", stage.ads["view"][0]), "view")
    assert send(stage).status == status
    answer = stage.world.server.health()
    assert (answer.status, answer.body) == (503, b'{"status":"degraded","ready":false}')


def test_what_was_refused_counts_once_when_there_is_room(full, disk):
    """No key was consumed: each can be sent again, and twice, and stands once."""
    stage, before = full
    (disk / "ballast").unlink()
    wait_for(stage.world, 200)
    for name, is_acknowledged in ACKNOWLEDGED.items():
        for ad in stage.ads[name]:
            is_acknowledged(stage.send(name, ad))
    want = {**dict.fromkeys(TABLES, 0), "impression": 3 * COUNT, "feedback": COUNT,
            "ad_feedback": COUNT, "vote": COUNT}
    want = {name: before[name] + count for name, count in want.items()}
    assert stage.world.counts() == want
    stage.world.server.stop()
    stage.world.server.start()
    for name in ACKNOWLEDGED:
        for ad in stage.ads[name]:
            answer = stage.send(name, ad)
            assert answer.status == (409 if name == "vote" else answer.status)
    assert stage.world.counts() == want
    assert tally(results(stage.world, stage.ads["vote"][0])) == {"0": 1 + COUNT, "1": 0, "2": 0}
    stage.world.server.stop()
