"""Contract section 4, "001 ad-feedback": 30 recorded feedbacks per (publisher, sessionId) in any
60-second window. It needs a minute, so conftest starts it beside the other tests (the fixture
`minute`), and what it found is judged here, last."""

import bisect
import random
import threading
import time

from support.publisher import is_limited, is_rated, rate, rating
from support.world import World, table, unique

MINUTE_MS = 60000


class Client(threading.Thread):
    """One session that sends at its own pace; every answer is kept with its times in ms."""

    def __init__(self, world, pace):
        super().__init__(daemon=True)
        self.world, self.pace = world, pace
        self.session, self.found, self.error = unique("sess"), [], None

    def run(self):
        try:
            self.pace(self)
        except Exception as error:  # judged by the test, in its own thread
            self.error = error

    def send(self, body=None):
        """One feedback; unless told a new one, on an ad of its own, which meets no other limit."""
        body = body or rating(self.world.mint(), sessionId=self.session)
        sent_ms = time.time() * 1000
        answer = rate(self.world, body)
        self.found.append((sent_ms, time.time() * 1000, answer))
        return answer


def every_two_seconds(client):
    """Two seconds from each answer to the next request: never less between two records."""
    for _ in range(32):
        client.send()
        time.sleep(2)


def burst_and_return(client):
    """Thirty at once, one refused, one a few seconds before its time, one at its time."""
    for _ in range(30):
        client.send()
    wait = is_limited(client.send())
    time.sleep(wait - 5)
    client.send()
    time.sleep(is_limited(client.found[-1][2]))
    client.send()


def ten_and_twenty(client):
    """Ten, and twenty 15 s later: after a minute ten places are free, the others are not yet."""
    for count in (10, 20):
        for _ in range(count):
            client.send()
        time.sleep(15)
    time.sleep(is_limited(client.send()))
    for _ in range(11):
        client.send()


def at_random(client):
    rng, end = random.Random(client.session), time.monotonic() + 64
    while time.monotonic() < end:
        for _ in range(rng.randrange(1, 8)):
            client.send()
        time.sleep(rng.expovariate(0.5))


def the_same_again(client):
    """A retry that comes late: the same body, when the minute of its first is over."""
    body = rating(client.world.mint(), sessionId=client.session)
    for wait_s in (0, 62):
        time.sleep(wait_s)
        client.send(body)


PACES = {"every two seconds": every_two_seconds, "a burst": burst_and_return,
         "ten and twenty": ten_and_twenty, "at random": at_random}
LATE = {"the same again": the_same_again}


class Minute:
    def __init__(self):
        self.world = World()
        self.clients = {name: Client(self.world, pace) for name, pace in {**PACES, **LATE}.items()}
        for client in self.clients.values():
            client.start()

    def client(self, name):
        """The client of this pace, when it has done all of its sending."""
        client = self.clients[name]
        client.join(120)
        assert not client.is_alive() and client.error is None, client.error
        return client

    def close(self):
        for client in self.clients.values():
            client.join(120)
        self.world.close()


def statuses(client):
    return [answer.status for _, _, answer in client.found]


def test_one_every_two_seconds_is_never_refused(minute):
    client = minute.client("every two seconds")
    assert statuses(client) == [200] * 32


def test_after_the_seconds_it_was_told_a_client_is_served(minute):
    assert statuses(minute.client("a burst")) == [200] * 30 + [429, 429, 200]


def test_each_place_comes_free_a_minute_after_it_was_taken(minute):
    """A leaky bucket would have freed seven of them in the fifteen seconds."""
    client = minute.client("ten and twenty")
    assert statuses(client) == [200] * 30 + [429] + [200] * 10 + [429]
    assert 10 <= is_limited(client.found[-1][2]) <= 15


@table("name", {name: name for name in PACES})
def test_the_rows_never_hold_31_in_60_seconds_and_no_refusal_is_early(minute, name):
    """The recorded times are the judge: of both sides of the limit, and of each Retry-After."""
    client = minute.client(name)
    rows = [r["recorded_at_ms"] for r in minute.world.rows(
        "SELECT recorded_at_ms FROM ad_feedback WHERE sent_session_id = ? ORDER BY seq",
        client.session)]
    assert rows == sorted(rows) and len(rows) == statuses(client).count(200)
    assert not [1 for a, b in zip(rows, rows[30:]) if b - a < MINUTE_MS]
    for sent_ms, answered_ms, answer in client.found:
        if answer.status == 200:
            is_rated(answer)
            continue
        earlier = rows[: bisect.bisect_right(rows, answered_ms)]
        assert len(earlier) >= 30, "refused with places left"
        ends_ms = earlier[-30] + MINUTE_MS  # and up to 1 ms later: rows hold whole milliseconds
        left_ms = [ends_ms - answered_ms, ends_ms + 1 - sent_ms]
        assert left_ms[1] > 0, "refused although the oldest of the thirty is a minute old"
        assert -(-left_ms[0] // 1000) <= is_limited(answer) <= -(-left_ms[1] // 1000)


def test_a_retry_after_the_minute_is_still_a_retry(minute):
    first, again = (is_rated(answer) for _, _, answer in minute.client("the same again").found)
    assert first == again
    assert len(minute.world.rows("SELECT 1 FROM ad_feedback WHERE feedback_id = ?", first)) == 1


def test_the_server_of_the_minute_still_stands(minute):
    assert minute.world.server.alive(), minute.world.server.stderr
