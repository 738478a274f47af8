"""The mixed load of the kill tests: every endpoint that records, on pipelined connections, each
event logged by the oracle before it is sent; and what the rows must say of it afterwards."""

import collections
import random
import threading
import zlib

from support import receipts
from support.answers import clicked, collected, converted, given, rated, viewed, voted
from support.http import Closed, Conn
from support.publisher import (ballots, feedback, new_poll, ping_target, rate_bytes, rating,
                               results, tally, vote_bytes)
from support.world import (ABSENT, API, COLLECT, COLLECT_ALIAS, V1, conversion, event, together,
                           unique)

CONNECTIONS = 16
ADS_PER_BATCH = 10
PIPELINED = 20
AGAIN_MAX = 200

# Each event's key as Event.key says it, and the receipt that its row stands for.
STORED = """
SELECT 'convert ' || coalesce(idempotency_key, event_id, order_id) || '@' || click_id || '='
    || conversion_value k, seq, NULL receipt FROM conversion
UNION ALL SELECT 'collect ' || event_id || '=' || event_name, seq, NULL FROM server_event
UNION ALL SELECT 'click ' || bid_id, NULL, click_id FROM click
UNION ALL SELECT 'view ' || bid_id || '=' || route, NULL, NULL FROM impression
UNION ALL SELECT 'feedback ' || bid_id || '=' || feedback_type, NULL, NULL FROM feedback
UNION ALL SELECT 'rate ' || bid_id || '=' || sentiment, NULL, feedback_id FROM ad_feedback
UNION ALL SELECT 'vote ' || bid_id || '=' || option_id, NULL, NULL FROM vote"""

# key: what it is, contents included. data and again: the request, and the same on its other path.
# read: (status, receipt) of an answer, which must be one of those that the contract allows.
Event = collections.namedtuple("Event", "key data again read")


def subject_of(event):
    """The bid, or whatever name the event has."""
    return event.key.split(" ", 1)[1].partition("=")[0]


class Stage:
    """A server, a poll and an oracle; makes events and sends them."""

    def __init__(self, world, oracle):
        self.world, self.oracle, self.poll = world, oracle, new_poll(world)
        self.witness = world.mint(poll_id=self.poll)
        self.pending = {}  # the events that no answer has come for, by key
        self.answered = collections.deque(maxlen=AGAIN_MAX)
        self.answers_count = 0
        self.clicks = collections.deque(maxlen=50)
        self.minting = threading.Lock()
        with world.connect() as conn:
            self.send(conn, [self.click(ad) for ad in ballots(world, self.poll, 4)])

    # -- events ---------------------------------------------------------------------------------

    def convert(self, rng):
        """The identity is a header, an event id or an order id."""
        name, click, value = unique("k"), rng.choice(self.clicks), f"{rng.randrange(1, 10**6)}.25"
        heads, fields = rng.choice([([("Idempotency-Key", name)], {"order_id": name}),
                                    ([], {"event_id": name}), ([], {"order_id": name})])
        body = conversion(click, conversion_value=float(value), **fields)
        paths = rng.sample([V1, API], 2)
        return Event(f"convert {name}@{click}={value}",
                     *(self.world.post_bytes(path, body, headers=heads) for path in paths),
                     converted)

    def collect(self, rng, padding=0):
        name, what = unique("e"), rng.choice(["page_view", "add_to_cart"])
        body = event(event_id=name, event_name=what, tag_id="t", referrer="r" * padding,
                     page_url="u" * padding)
        return Event(f"collect {name}={what}",
                     *(self.world.post_bytes(path, body)
                       for path in rng.sample([COLLECT, COLLECT_ALIAS], 2)), collected)

    def click(self, ad):
        """Each GET is a click of its own, so there is no `again`."""
        url = ad["url"] if sum(ad["bidId"].encode()) % 2 else ad["clickUrl"]
        return Event(f"click {ad['bidId']}", self.world.get_bytes(self.world.target(url)), None,
                     clicked)

    def view(self, rng, ad):
        route = rng.choice(["view", "ack", "track"])
        data = self.world.get_bytes(ping_target(ad, route))
        name = "view" if route == "view" else "ack"
        return Event(f"view {ad['bidId']}={name}", data, data, viewed)

    def feedback(self, rng, ad):
        kind = rng.choice(["positive", "negative"])
        data = self.world.post_bytes("/api/v1/tracking/feedback", feedback(ad["bidId"], kind),
                                     ABSENT)
        return Event(f"feedback {ad['bidId']}={kind}", data, data, given)

    def rate(self, rng, ad):
        sentiment = rng.choice(["thumbs_up", "thumbs_down"])
        data = rate_bytes(self.world, rating(ad, sessionId=ad["bidId"], sentiment=sentiment))
        return Event(f"rate {ad['bidId']}={sentiment}", data, data, rated)

    def vote(self, rng, ad):
        option = rng.choice("012")
        data = vote_bytes(self.world, ad, option)
        return Event(f"vote {ad['bidId']}={option}", data, data, voted)

    def batch(self, rng, padding=0):
        """Events of every kind, in an order in which each may be recorded."""
        events = []
        with self.minting:  # the server has few buffers for it
            ads = ballots(self.world, self.poll, ADS_PER_BATCH)
        for ad in ads:
            events += [self.click(ad), self.convert(rng), self.view(rng, ad),
                       self.collect(rng, padding), self.feedback(rng, ad), self.convert(rng),
                       self.rate(rng, ad), self.vote(rng, ad)]
        return events

    # -- sending --------------------------------------------------------------------------------

    def send(self, conn, events, again=False):
        """Logged, sent, answered, logged: many at a time."""
        for i in range(0, len(events), PIPELINED):
            part = events[i : i + PIPELINED]
            self.pending.update((e.key, e) for e in part)
            self.oracle.sending(*(e.key for e in part))
            conn.send(b"".join(e.again if again else e.data for e in part))
            self.receive(conn, part)

    def receive(self, conn, events):
        came = []
        try:
            for e in events:
                status, receipt = e.read(conn.read())
                came.append((e.key, status, receipt or e.key))
                if e.read is clicked:
                    self.clicks.append(receipt)
        finally:
            self.oracle.answered(*came)
            self.answers_count += len(came)
            for e in events[: len(came)]:
                self.pending.pop(e.key, None)
            self.answered.extend(e for e in events[: len(came)] if e.again)

    def retry(self):
        """Sends again, on both paths, all that was never answered, and some of what was; a click
        is not repeated, since each GET is one."""
        self.pending = {key: e for key, e in self.pending.items() if e.again}
        unanswered = [key for key in self.oracle.unanswered() if not key.startswith("click ")]
        assert set(unanswered) == set(self.pending), "the log and the load disagree"
        events = [self.pending[key] for key in unanswered] + list(self.answered)
        self.answered.clear()
        together(CONNECTIONS, lambda lane: self.retry_lane(events, lane))

    def retry_lane(self, events, lane):
        """What belongs to one bid stays on one connection, in its order."""
        mine = [e for e in events if zlib.crc32(subject_of(e).encode()) % CONNECTIONS == lane]
        with self.world.connect() as conn:
            self.send(conn, mine)
            self.send(conn, mine, again=True)

    # -- what must hold -------------------------------------------------------------------------

    def stored(self):
        """(key, receipt) of every row."""
        secret = receipts.key_of(self.world.data)
        return [(r["k"], receipts.write(secret, r["seq"]) if r["seq"] else r["receipt"] or r["k"])
                for r in self.world.rows(STORED)]

    def votes_agree(self):
        """The results that the server shows are the rows."""
        counts = dict.fromkeys("012", 0)
        counts.update((r["option_id"], r["n"]) for r in self.world.rows(
            "SELECT option_id, count(*) n FROM vote GROUP BY 1"))
        assert tally(results(self.world, self.witness)) == counts

    def judge(self):
        """Nothing lost, nothing doubled, nothing invented; after the retries each key stands."""
        stored = self.stored()
        found = self.oracle.judge(stored)
        assert not any(found.values()), {k: sorted(v)[:5] for k, v in found.items() if v}
        missing = self.oracle.sent - {key for key, _ in stored}
        assert all(key.startswith("click ") for key in missing), sorted(missing)[:5]
        return len(self.oracle.answers)


class Load:
    """Connections that send events of every kind until the server is gone."""

    def __init__(self, stage, seed, padding=0):
        self.stage, self.padding, self.errors = stage, padding, []
        self.before = stage.answers_count
        self.threads = [threading.Thread(target=self.run, args=(random.Random(f"{seed}-{n}"),))
                        for n in range(CONNECTIONS)]

    @property
    def answers_count(self):
        return self.stage.answers_count - self.before

    def __enter__(self):
        [t.start() for t in self.threads]
        return self

    def __exit__(self, *_):
        self.stage.world.server.kill()
        [t.join() for t in self.threads]
        assert not self.errors, (self.errors[:3], self.stage.world.server.stderr[-2000:])

    def run(self, rng):
        try:
            with Conn(self.stage.world.port) as conn:
                while True:
                    self.stage.send(conn, self.stage.batch(rng, self.padding))
        except (OSError, Closed):
            pass
        except AssertionError as error:
            if "cut" not in str(error):
                self.errors.append(error)
