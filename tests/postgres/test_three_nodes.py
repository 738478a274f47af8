"""Three nodes behind HAProxy: one key raced over all of them counts once, and a node that is killed
takes nothing with it."""

import collections
import contextlib
import functools
import json
import random
import shutil
import threading
import time

import pytest

from haproxy import Haproxy
from oracle import Oracle
from outage import PatientStage, Traffic, over
from support import postgres, store, torture
from support import server as program
from support.http import Closed
from support.publisher import (ballots, feedback, is_gif, is_given, new_poll, ping_target, poll_of,
                               publisher_key, put_poll, rate_bytes, rating, results, send_feedback,
                               tally, vote)
from support.world import COLLECT, World, event, together, unique

NODES = 3
RACES = torture.size(25, 500)
POLL_RACES = torture.size(4, 60)
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
    ads = ballots(nodes[0], new_poll(nodes[0]), RACES)
    await_poll(nodes, ads[0])
    with nodes[0].records(vote=RACES):
        for number, ad in enumerate(ads):
            answers = race(nodes, lambda node: vote(node, ad, str(number % 3)))  # noqa: B023
            assert sorted(a.status for a in answers) == [200] + [409] * (len(answers) - 1), answers
    assert sum(tally(results(nodes[2], ads[0])).values()) == RACES


def await_poll(nodes, ad):
    """The poll of this ad has come to every node."""
    end = time.monotonic() + KNOWN_S
    while {results(node, ad).status for node in nodes} != {200}:
        assert time.monotonic() < end, "the poll does not come to the other nodes"
        time.sleep(0.02)


class Voters:
    """Votes at all nodes, one after the other at each, with when each was asked for."""

    def __init__(self, nodes, ads, option_id):
        self.asked, self.is_over = [], False
        self.threads = [
            threading.Thread(target=self.run, args=(node, ads[n::len(nodes)], option_id))
            for n, node in enumerate(nodes)]
        [thread.start() for thread in self.threads]

    def run(self, node, ads, option_id):
        for ad in ads:
            asked = time.monotonic()
            answer = vote(node, ad, option_id)
            self.asked.append((asked, answer.status, time.monotonic()))
            if self.is_over:
                return

    def wait_for(self, count):
        end = time.monotonic() + KNOWN_S
        while len(self.asked) < count:
            assert time.monotonic() < end, "nobody votes"
            time.sleep(0.001)

    def stop(self, more):
        """After so many votes more."""
        self.wait_for(len(self.asked) + more)
        self.is_over = True
        [thread.join() for thread in self.threads]


def check_withdrawn(asked, at):
    """What was asked for behind the command's answer found no poll, wherever it was asked."""
    assert {status for begin, status, _ in asked if begin > at} == {401}
    assert {status for _, status, _ in asked} <= {200, 401}


def votes_of(nodes, poll):
    rows = nodes[0].rows("SELECT count(*) AS n FROM vote WHERE poll_id = ?", poll)[0]["n"]
    slots = nodes[0].rows("SELECT coalesce(sum(votes), 0)::bigint AS n FROM vote_count "
                          "WHERE poll_id = ?", poll)[0]["n"]
    assert rows == slots
    return rows


@pytest.mark.parametrize("after", range(POLL_RACES))
def test_votes_race_a_withdrawal(nodes, after):
    poll = poll_of()
    put_poll(nodes[0], poll)
    ads = ballots(nodes[0], poll["sponsored_poll_id"], 2000)
    await_poll(nodes, ads[-1])
    voters = Voters(nodes, ads, "1")
    voters.wait_for(20 + 7 * after)
    program.cli("poll", "withdraw", poll["sponsored_poll_id"], "--data", nodes[1].data)
    at = time.monotonic()
    voters.stop(more=60)
    check_withdrawn(voters.asked, at)
    counted = sum(status == 200 for _, status, _ in voters.asked)
    assert counted >= 20 and votes_of(nodes, poll["sponsored_poll_id"]) == counted
    put_poll(nodes[2], poll)
    await_poll(nodes, ads[-1])
    assert [sum(tally(results(node, ads[-1])).values()) for node in nodes] == [counted] * NODES


def test_a_vote_behind_a_withdrawal_would_be_seen():
    with pytest.raises(AssertionError):
        check_withdrawn([(1, 200, 2), (4, 200, 5)], 3)
    with pytest.raises(AssertionError):
        check_withdrawn([(1, 503, 2), (4, 401, 5)], 3)


@pytest.mark.parametrize("after", range(POLL_RACES))
def test_votes_race_the_removal_of_their_option(nodes, after):
    """Either the option goes and nobody voted for it, or it has votes and stays."""
    rng = random.Random(after)
    poll = poll_of()
    put_poll(nodes[0], poll)
    number = poll["sponsored_poll_id"]
    ads = ballots(nodes[0], number, 60)
    await_poll(nodes, ads[-1])
    without = {**poll, "options": [o for o in poll["options"] if o["id"] != "1"]}

    def remove():
        return program.run("poll", "put", "-", "--data", nodes[1].data,
                           stdin=json.dumps(without).encode()).returncode

    def cast(n):
        time.sleep(rng.uniform(0, 0.03))  # a command takes a while to begin
        return vote(nodes[n % NODES], ads[n], "1").status

    work = [remove, *[functools.partial(cast, n) for n in range(1 + after % 3)]]
    removed, *statuses = together(len(work), lambda n: work[n]())
    assert set(statuses) <= {200, 400}
    counted = statuses.count(200)
    assert (removed == 0) == (counted == 0), (removed, statuses)
    assert votes_of(nodes, number) == counted


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
