"""The wall clock is set, by an hour and by years, ahead and back, while the server runs and between
a stop and a start. What was counted is not counted again, receipts stay unique, keys and tokens end
with their time, and no limit holds anybody back for ever."""

import datetime
import time

import pytest
from support import server as program, torture
from support.clock import LIBRARIES, UNCONFINED, Clock
from support.publisher import (feedback, is_gif, is_given, is_limited, is_not_found, is_rated,
                               new_poll, ping_target, rate, rating, send_feedback, show, tally,
                               vote)
from support.world import COLLECT, World, event, is_duplicate, is_recorded, unique

HOUR, DAY = 3600, 86400
JUMPS = {"an hour ahead": HOUR, "400 days ahead": 400 * DAY, "an hour back": -HOUR,
         "400 days back": -400 * DAY}
pytestmark = pytest.mark.skipif(not LIBRARIES, reason="needs libfaketime")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def world(clock):
    world = World(UNCONFINED, environment=clock.environment)
    world.poll = new_poll(world)
    yield world
    world.close()


class Events:
    """One event of every kind, sent when it is made, and again whenever asked."""

    def __init__(self, world):
        self.world, self.key, self.id = world, unique("key"), unique("event")
        self.click, self.ad = world.click(), show(world)
        self.conversion = is_recorded(world.convert(self.click, idem=self.key, order_id=self.key))
        self.collected = world.post(COLLECT, event(event_id=self.id)).receipt
        is_given(send_feedback(world, feedback(self.ad["bidId"])))
        self.rating = rating(world.mint())
        self.rated = is_rated(rate(world, self.rating))
        self.ballot = world.mint(poll_id=world.poll)
        tally(vote(world, self.ballot))

    def receipts(self):
        return {self.conversion, self.collected}

    def again(self, is_clock_true):
        """Nothing counts twice. By a clock that is years ahead a click has ended, and a token is
        not yet, or no longer, good: then nothing is recorded at all."""
        world, before = self.world, self.world.counts()
        for fields in ({"order_id": self.key}, {}):
            answer = world.convert(self.click, idem=self.key, **fields)
            if is_clock_true or answer.status != 404:
                is_duplicate(answer, self.conversion)
        answer = world.post(COLLECT, event(event_id=self.id))
        assert (answer.status, answer.receipt) == (204, self.collected), answer
        answers = [world.get(ping_target(self.ad)), rate(world, self.rating),
                   send_feedback(world, feedback(self.ad["bidId"], "negative")),
                   vote(world, self.ballot)]
        if is_clock_true:
            assert [a.status for a in answers] == [200, 200, 204, 409], answers
            assert is_rated(answers[1]) == self.rated
        assert world.counts() == before, "something was counted again"


def judge(world, sent):
    assert len(set().union(*(e.receipts() for e in sent))) == 2 * len(sent), "a receipt came twice"
    assert world.server.health().status == 200
    program.cli("verify", "--data", world.data)


def jump_and_return(clock, events, jump_s):
    """What was sent before, and what is sent meanwhile, stands once, before and after."""
    clock.set(jump_s)
    for one in events:
        one.again(is_clock_true=False)
    wrong = Events(events[0].world)
    wrong.again(is_clock_true=True)
    clock.set(0)
    wrong.again(is_clock_true=False)
    for one in events:
        one.again(is_clock_true=True)
    return wrong


def test_a_clock_that_is_set_while_the_server_runs(world, clock):
    events, wrong = [Events(world)], []
    for jump_s in JUMPS.values():
        wrong.append(jump_and_return(clock, events, jump_s))
        events.append(Events(world))
    judge(world, events + wrong)
    world.server.stop()
    world.server.start()
    for one in events + wrong:
        one.again(is_clock_true=False)
    judge(world, events + wrong)
    torture.say(f"clock: set {2 * len(JUMPS)} times while it ran, {len(events + wrong)} events of "
                "each kind sent again after each; counted twice 0")


@pytest.mark.parametrize("jump_s", [pytest.param(s, id=name) for name, s in JUMPS.items()])
def test_a_clock_that_is_wrong_between_a_stop_and_a_start(world, clock, jump_s):
    """A start believes the clock; when it is right again, everything is known that was before."""
    events = [Events(world)]
    world.server.stop()
    clock.set(jump_s)
    world.server.start()
    if jump_s < DAY:
        events[0].again(is_clock_true=False)
    events.append(Events(world))
    events[-1].again(is_clock_true=True)
    world.server.stop()
    clock.set(0)
    world.server.start()
    events[0].again(is_clock_true=True)
    events[1].again(is_clock_true=False)
    judge(world, events)


def test_keys_and_tokens_end_with_their_time(world, clock):
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    key = program.partner_key(world.data, "acme", "short", "--expires",
                              soon.strftime("%Y-%m-%dT%H:%M:%SZ"))
    ads = world.mint_many([world.ad(ttl=600)] * 2)
    for ahead_s, status in ((0, 204), (2 * HOUR, 401), (0, 204), (-2 * HOUR, 204)):
        clock.set(ahead_s)
        assert world.post(COLLECT, event(), key).status == status, f"{ahead_s} s ahead"
    clock.set(HOUR)
    is_not_found(world.get(ping_target(ads[0])))
    clock.set(0)
    is_gif(world.get(ping_target(ads[0])))


@pytest.mark.parametrize("jump_s", [pytest.param(s, id=name) for name, s in JUMPS.items()])
def test_a_minute_of_a_session_is_one(world, clock, jump_s):
    """No second thirty for a jump, and nobody waits longer than the minute."""
    ad, session, started = world.mint(ttl=7 * DAY), unique("sess"), time.monotonic()

    def send():
        return rate(world, rating(ad, sessionId=session, comment=unique("c")))

    for _ in range(30):
        is_rated(send())
    for ahead_s in (0, jump_s, 0):
        clock.set(ahead_s)
        assert is_limited(send()) <= 60
    assert time.monotonic() - started < 55, "too slow to judge"


def test_a_rate_limit_lets_through_again(clock):
    world = World([*UNCONFINED, "--rate-limit", 20], environment=clock.environment)
    try:
        for ahead_s in (400 * DAY, -400 * DAY):
            clock.set(ahead_s)
            answers = world.pipeline([world.post_bytes(COLLECT, b"{")] * 40)  # wait for no commit
            assert {a.status for a in answers} == {400, 429}
            time.sleep(1.1)
            assert world.post(COLLECT, event()).status == 204, f"locked out {ahead_s} s ahead"
    finally:
        world.close()


def test_the_clock_is_the_servers(world, clock):
    """What these tests rest on: the server's rows have the time that was set."""
    clock.set(400 * DAY)
    Events(world)
    recorded_s = world.last("server_event")["recorded_at_ms"] / 1000
    assert abs(recorded_s - time.time() - 400 * DAY) < 60
