"""Three nodes behind HAProxy: one key raced over all of them counts once, and a node that is killed
takes nothing with it."""

import collections
import contextlib
import random
import shutil
import time

import pytest

from haproxy import Haproxy
from oracle import Oracle
from outage import PatientStage, Traffic, over
from support import postgres, store, torture
from support import server as program
from support.http import Closed
from support.publisher import (ballots, feedback, is_gif, is_given, new_poll, ping_target,
                               publisher_key, rate_bytes, rating, results, send_feedback, tally,
                               vote)
from support.world import COLLECT, World, event, together, unique

NODES = 3
RACES = torture.size(25, 500)
KILLS = torture.size(5, 200)
ANSWERS_PER_KILL = 300
KNOWN_S = 10


class Node(World):
    """One of several over the database of the first; keys are made once."""

    def __init__(self, first):
        data = program.temp_dir()
        store.share(data, first.data)
        self.data, self.partner, self.adserver = data, first.partner, first.adserver
        self.server, self.conns = program.Server(data).start(), first.conns

    def send(self, data, method="GET"):
        """No connection is kept: each of the nodes has its own."""
        with self.connect() as conn:
            conn.send(data)
            return conn.read(method)


class Front(World):
    """What clients see: the proxy, behind which any node answers."""

    def __init__(self, nodes, proxy):
        self.nodes, self.proxy, self.data = nodes, proxy, nodes[0].data
        self.partner, self.adserver = nodes[0].partner, nodes[0].adserver
        self.conns = nodes[0].conns

    @property
    def port(self):
        return self.proxy.port

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def mint_many(self, ads, headers=()):
        """What a killed node did not answer another one does: nothing of it is kept."""
        for _ in range(50):
            with contextlib.suppress(OSError, Closed, AssertionError):
                return super().mint_many(ads, headers)
            time.sleep(0.02)
        raise AssertionError("no node mints")


def is_known(node):
    """The keys that were made at another one have come."""
    return node.post(COLLECT, event(event_id=unique("known"))).status == 204


def await_known(nodes):
    end = time.monotonic() + KNOWN_S
    while not all([is_known(node) for node in nodes]):
        assert time.monotonic() < end, "keys do not come to the other nodes"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def nodes():
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(postgres.Cluster().running())
        stack.enter_context(over(cluster))
        made = [World()]
        publisher_key(made[0].data)  # the others know it from their start
        made += [Node(made[0]) for _ in range(NODES - 1)]
        for node in made:
            stack.callback(shutil.rmtree, node.data, ignore_errors=True)
            stack.callback(node.server.kill)
        await_known(made)
        yield made


@pytest.fixture
def front(nodes):
    with contextlib.closing(Haproxy([node.host for node in nodes])) as proxy:
        yield Front(nodes, proxy)


def race(nodes, ask):
    """The answers of all nodes to one request that they get at one moment, twice each."""
    return together(2 * len(nodes), lambda n: ask(nodes[n % len(nodes)]))


def check_told_once(answers):
    """One ok, the others duplicates that name its receipt."""
    assert {a.status for a in answers} == {200}, answers
    said = collections.Counter(a.json["status"] for a in answers)
    assert said == {"ok": 1, "duplicate": len(answers) - 1}, said
    assert len({a.receipt for a in answers}) == 1, answers


def test_conversions_of_one_key_are_told_apart(nodes):
    click = nodes[0].click()
    with nodes[0].records(conversion=RACES):
        for _ in range(RACES):
            key = unique("race")
            check_told_once(race(nodes, lambda node: node.convert(click, idem=key)))  # noqa: B023


def test_two_oks_and_two_receipts_are_seen(nodes):
    click = nodes[0].click()
    for keys in (("a", "b"), ("a", "a")):
        answers = [nodes[0].convert(click, idem=key) for key in keys]
        if keys[0] == keys[1]:
            answers[1].headers = [(n, v[::-1]) for n, v in answers[1].headers]
        with pytest.raises(AssertionError):
            check_told_once(answers)


def test_events_of_one_id_count_once(nodes):
    with nodes[0].records(server_event=RACES):
        for _ in range(RACES):
            body = event(event_id=unique("race"), tag_id="t")
            answers = race(nodes, lambda node: node.post(COLLECT, body))  # noqa: B023
            assert {a.status for a in answers} == {204}
            assert len({a.receipt for a in answers}) == 1


def test_impressions_and_feedback_of_one_bid_count_once(nodes):
    with nodes[0].records(impression=RACES, feedback=RACES):
        for ad in nodes[0].mint_many([nodes[0].ad()] * RACES):
            for answer in race(nodes, lambda node: node.get(ping_target(ad))):  # noqa: B023
                is_gif(answer)
            body = feedback(ad["bidId"])
            for answer in race(nodes, lambda node: send_feedback(node, body)):  # noqa: B023
                is_given(answer)


def test_ratings_of_one_session_count_once(nodes):
    key = publisher_key(nodes[0].data)
    with nodes[0].records(impression=RACES, ad_feedback=RACES):
        for ad in nodes[0].mint_many([nodes[0].ad()] * RACES):
            is_gif(nodes[0].get(ping_target(ad)))
            body = rating(ad)
            answers = race(nodes, lambda node: node.send(rate_bytes(node, body, key)))  # noqa: B023
            assert {a.status for a in answers} == {200}, answers
            assert len({a.json["feedbackId"] for a in answers}) == 1, answers


def test_votes_of_one_bid_count_once(nodes):
    poll = new_poll(nodes[0])
    time.sleep(1)
    ads = ballots(nodes[0], poll, RACES)
    with nodes[0].records(vote=RACES):
        for number, ad in enumerate(ads):
            answers = race(nodes, lambda node: vote(node, ad, str(number % 3)))  # noqa: B023
            assert sorted(a.status for a in answers) == [200] + [409] * (len(answers) - 1), answers
    assert sum(tally(results(nodes[2], ads[0])).values()) == RACES


class NodesStage(PatientStage):
    """Rows of the races before are not its."""

    def __init__(self, world, oracle):
        self.before = set()
        self.world = world
        self.before = set(self.stored())
        super().__init__(world, oracle)
        end = time.monotonic() + KNOWN_S
        while {results(node, self.witness).status for node in world.nodes} != {200}:
            assert time.monotonic() < end, "the poll does not come to the other nodes"
            time.sleep(0.05)

    def stored(self):
        return [row for row in super().stored() if row not in self.before]


def kill_one(nodes, traffic, rng):
    traffic.wait_for_answers(ANSWERS_PER_KILL)
    time.sleep(rng.uniform(0, 0.05))
    node = rng.choice(nodes)
    node.server.kill()
    traffic.wait_for_answers(ANSWERS_PER_KILL)
    node.server.start()


def test_a_node_that_is_killed_takes_nothing_with_it(nodes, front, tmp_path):
    seed, started = torture.seed("nodes"), time.monotonic()
    rng, oracle = random.Random(seed), Oracle(tmp_path / "oracle")
    with torture.repeatable("postgres", seed), contextlib.closing(oracle):
        stage = NodesStage(front, oracle)
        with Traffic(stage, seed) as traffic:
            for _ in range(KILLS):
                kill_one(nodes, traffic, rng)
        stage.settle()
        acknowledged = stage.judge()
    torture.say(f"postgres: a node of {NODES} behind HAProxy killed {KILLS} times, {acknowledged} "
                f"events acknowledged, 0 lost, 0 doubled, 0 phantom "
                f"({time.monotonic() - started:.0f} s, seed {seed})")
