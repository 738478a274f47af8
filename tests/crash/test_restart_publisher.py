"""What the publisher's side remembers over a kill -9 and over a SIGTERM."""

import contextlib
import threading
import time

import pytest
from support import server as program
from support.http import Closed, Conn
from support.publisher import (ballots, feedback, is_given, is_limited, is_poll_error, is_rated,
                               new_poll, poll_of, put_poll, rate, rate_bytes, rating, results,
                               send_feedback, show, tally, vote)
from support.world import World, together, unique


@pytest.fixture
def world():
    world = World()
    yield world
    world.close()


def test_every_feedback_still_points_at_its_impression_after_a_kill(world):
    ads = [show(world, campaign_id=f"cam-{n}") for n in range(20)]
    for ad in ads[:10]:
        is_given(send_feedback(world, feedback(ad["bidId"])))
    world.server.kill()
    world.server.start()
    for ad in ads:
        is_given(send_feedback(world, feedback(ad["bidId"], "negative")))
    rows = world.rows("SELECT i.campaign_id c, i.bid_id = f.bid_id same, f.feedback_type t "
                      "FROM feedback f JOIN impression i ON i.seq = f.impression_seq")
    assert sorted((r["c"], r["t"]) for r in rows) == sorted(
        (f"cam-{n}", "positive" if n < 10 else "negative") for n in range(20))
    assert all(r["same"] for r in rows)


# -- the limits of 001 ----------------------------------------------------------------------


def end_by_kill(server):
    server.kill()


def end_by_sigterm(server):
    server.stop()


both_ends = pytest.mark.parametrize("end", [end_by_kill, end_by_sigterm],
                                    ids=["kill -9", "SIGTERM"])


def send_some(world, ad, session, count):
    bodies = [rating(ad, sessionId=session, comment=unique("c")) for _ in range(count)]
    return world.pipeline([rate_bytes(world, body) for body in bodies])


@both_ends
def test_after_a_restart_no_session_has_a_second_thirty(world, end):
    ad = world.mint()
    started = time.time()
    for count in (30, 17, 1):
        assert {a.status for a in send_some(world, ad, f"of {count}", count)} == {200}
    for _ in range(2):
        end(world.server)
        world.server.start()
        is_limited(send_some(world, ad, "of 30", 1)[0])
    for count in (17, 1):
        answers = send_some(world, ad, f"of {count}", 31 - count)
        assert [a.status for a in answers] == [200] * (30 - count) + [429], f"of {count}"
        assert 60 - (time.time() - started) <= is_limited(answers[-1])
    assert time.time() - started < 55, "too slow to judge"
    assert len(world.rows("SELECT 1 FROM ad_feedback")) == 90


def test_a_restart_in_the_middle_of_a_burst_gives_no_more_than_thirty(world):
    """What was recorded and never answered counts too."""
    ads, session = world.mint_many([world.ad()] * 6), unique("sess")
    started = time.time()

    def burst(number):
        with contextlib.suppress(OSError, Closed, AssertionError):
            send_some(world, ads[number], session, 30)

    for after_s in (0.003, 0.006, 0.012):
        killer = threading.Timer(after_s, world.server.kill)
        killer.start()
        together(6, burst)
        killer.join()
        world.server.start()
    answers = send_some(world, ads[0], session, 31)
    assert answers[-1].status == 429 and time.time() - started < 55
    assert len(world.rows("SELECT 1 FROM ad_feedback")) == 30


@both_ends
def test_after_a_restart_a_retry_gets_its_id_and_a_bid_its_cap(world, end):
    ad, body = world.mint(), rating(world.mint())
    found = is_rated(rate(world, body))
    world.pipeline([rate_bytes(world, rating(ad)) for _ in range(99)])
    end(world.server)
    world.server.start()
    assert is_rated(rate(world, body)) == found
    answers = world.pipeline([rate_bytes(world, rating(ad)) for _ in range(3)])
    assert [a.status for a in answers] == [200, 429, 429]
    assert is_rated(rate(world, body)) == found
    assert len(world.rows("SELECT 1 FROM ad_feedback")) == 101


@both_ends
def test_after_a_restart_the_latest_of_a_session_is_the_latest(world, end):
    ad = world.mint()
    first, last = ({**rating(ad, sessionId="s"), "sentiment": f"thumbs_{way}"}
                   for way in ("up", "down"))
    found = [is_rated(rate(world, body)) for body in (first, last)]
    end(world.server)
    world.server.start()
    assert is_rated(rate(world, last)) == found[1]
    assert is_rated(rate(world, first)) not in found
    assert len(world.rows("SELECT 1 FROM ad_feedback")) == 3


@both_ends
def test_after_a_restart_a_changed_poll_has_its_texts_order_and_votes(world, end):
    poll = new_poll(world)
    ad, other = ballots(world, poll, 2)
    tally(vote(world, ad, "1"))
    put_poll(world, {**poll_of([("3", "New"), ("1", "Changed"), ("0", "Wedding")]),
                     "sponsored_poll_id": poll})
    gone = new_poll(world)
    withdrawn = world.mint(poll_id=gone)
    program.cli("poll", "withdraw", gone, "--data", world.data)
    before = results(world, other).body
    end(world.server)
    world.server.start()
    assert results(world, other).body == before
    assert [(o["id"], o["text"]) for o in results(world, other).json["options"]] == [
        ("3", "New"), ("1", "Changed"), ("0", "Wedding")]
    assert tally(vote(world, other, "3")) == {"3": 1, "1": 1, "0": 0}
    is_poll_error(vote(world, withdrawn), 401, "invalid_token")


@both_ends
def test_after_a_restart_a_voter_is_still_one_voter(world, end):
    poll = new_poll(world)
    ads = ballots(world, poll, 20)
    for ad in ads[:10]:
        tally(vote(world, ad, "1"))
    end(world.server)
    world.server.start()
    assert [vote(world, ad, "2").status for ad in ads] == [409] * 10 + [200] * 10
    assert tally(results(world, ads[0])) == {"0": 0, "1": 10, "2": 10}
