"""Contract section 4, "001 ad-feedback": safe to retry, at most 100 per bid, 30 per minute."""

import re
import time

from support import server as program
from support.publisher import is_limited, is_rated, publisher_key, rate, rate_bytes, rating
from support.world import table, together, unique

BASE = {"sentiment": "thumbs_down", "reasons": ["a", "b"], "comment": "c", "placement": "p",
        "placementId": "i", "userId": "u"}


def base(ad, session=None, **fields):
    return rating(ad, **{"sessionId": session or unique("sess"), **BASE, **fields})


# -- retries --------------------------------------------------------------------------------


@table("fields", {"all fields": BASE, "the required fields": {"sentiment": "thumbs_up"}})
def test_a_retry_gets_the_same_id_and_records_nothing(world, fields):
    body = rating(world.mint(), **fields)
    with world.records(ad_feedback=1):
        first = is_rated(rate(world, body))
        assert [is_rated(rate(world, body)) for _ in range(5)] == [first] * 5


def test_32_copies_at_one_moment_are_one_feedback(world):
    data = rate_bytes(world, base(world.mint()))
    with world.records(ad_feedback=1):
        found = together(32, lambda _: is_rated(world.send(data)))
    assert len(set(found)) == 1 and world.last("ad_feedback")["feedback_id"] == found[0]


@table("fields", {
    "a mind changed": {"sentiment": "thumbs_up"},
    "a reason added": {"reasons": ["a", "b", "c"]},
    "a reason taken away": {"reasons": ["a"]},
    "no reasons": {"reasons": None},
    "reasons in another order": {"reasons": ["b", "a"]},
    "reasons run together": {"reasons": ["ab"]},
    "a reason twice": {"reasons": ["a", "b", "b"]},
    "another comment": {"comment": "C"},
    "no comment": {"comment": None},
    "another placement": {"placement": "q"},
    "another placementId": {"placementId": "j"},
    "another userId": {"userId": "v"},
    "no userId": {"userId": ""},
    "values that changed places": {"placement": "i", "placementId": "p"},
})
def test_anything_else_is_a_new_row_with_a_new_id(world, fields):
    ad, session = world.mint(), unique("sess")
    with world.records(ad_feedback=2):
        first = is_rated(rate(world, base(ad, session)))
        second = is_rated(rate(world, base(ad, session, **fields)))
    assert first != second
    with world.records():
        assert is_rated(rate(world, base(ad, session, **fields))) == second


def test_only_the_latest_is_compared_so_a_mind_changed_back_is_new(world):
    ad, session = world.mint(), unique("sess")
    kinds = ["thumbs_up", "thumbs_down", "thumbs_up", "thumbs_down"]
    with world.records(ad_feedback=4):
        found = [is_rated(rate(world, rating(ad, sessionId=session, sentiment=kind)))
                 for kind in kinds for _ in range(2)]
    assert len(set(found)) == 4 and found[0::2] == found[1::2]


def test_the_device_is_not_compared(world):
    """It is not among the six fields that the contract compares."""
    ad, session = world.mint(), unique("sess")
    with world.records(ad_feedback=1):
        found = [is_rated(rate(world, base(ad, session, device=device)))
                 for device in ({"os": "iOS"}, {"os": "Android"}, None)]
    assert len(set(found)) == 1


def test_another_session_is_no_retry(world):
    ad = world.mint()
    with world.records(ad_feedback=2):
        assert is_rated(rate(world, base(ad, "one"))) != is_rated(rate(world, base(ad, "two")))


def test_another_impression_is_no_retry(world):
    session = unique("sess")
    with world.records(ad_feedback=2):
        one, two = (is_rated(rate(world, base(world.mint(), session))) for _ in range(2))
    assert one != two


def test_the_same_impression_by_another_url_is_a_retry(world):
    """The bid is the impression: host, path and token around it may differ."""
    bid, session = unique("bid"), unique("sess")
    with world.records(ad_feedback=1):
        ads = [world.mint(bid_id=bid) for _ in range(2)]
        ads.append({"impUrl": ads[0]["impUrl"].replace("/ack?", "/pixel?a=1&")})
        assert len({is_rated(rate(world, base(ad, session))) for ad in ads}) == 1


def test_the_order_of_the_members_does_not_matter(world):
    body = base(world.mint())
    with world.records(ad_feedback=1):
        one = is_rated(rate(world, body))
        assert is_rated(rate(world, dict(reversed(body.items())))) == one


def test_a_retry_through_another_key_of_the_publisher_is_a_retry(world):
    second = program.key_create(world.data, "publisher", unique("label"), "--publisher-id", "pub-1")
    body = base(world.mint())
    with world.records(ad_feedback=1):
        assert is_rated(rate(world, body)) == is_rated(rate(world, body, second))


# -- at most 100 per bid --------------------------------------------------------------------


def many(world, ad, count):
    return [rate_bytes(world, rating(ad)) for _ in range(count)]


def test_a_bid_takes_at_most_100(world):
    ad, other = world.mint(), world.mint()
    requests = many(world, ad, 103)
    with world.records(ad_feedback=101):
        answers = world.pipeline(requests)
        for answer in answers[:100]:
            is_rated(answer)
        for answer in answers[100:]:
            assert answer.json["error"] == "rate_limited" and answer.status == 429, answer
            assert re.fullmatch("[1-9][0-9]*", answer.header("retry-after") or ""), answer
        is_rated(rate(world, rating(other)))
    with world.records():
        assert is_rated(world.send(requests[99])) == is_rated(answers[99])


def test_another_token_of_the_bid_does_not_raise_the_cap(world):
    bid = unique("bid")
    with world.records(ad_feedback=100):
        for _ in range(4):
            answers = world.pipeline(many(world, world.mint(bid_id=bid), 30))
    assert answers[-1].status == 429


def test_the_cap_holds_under_concurrency(world):
    ad = world.mint()
    parts = [many(world, ad, 20) for _ in range(8)]
    with world.records(ad_feedback=100):
        answers = together(8, lambda n: world.pipeline(parts[n], window=4))
    assert sorted(a.status for part in answers for a in part) == [200] * 100 + [429] * 60


# -- 30 per minute: what needs no minute (the rest is in test_window.py) ---------------------


def burst(world, session, count, ads=None, key=None):
    ads = ads or [world.mint()]
    bodies = [rating(ads[n % len(ads)], sessionId=session, comment=unique("c"))
              for n in range(count)]
    return world.pipeline([rate_bytes(world, body, key) for body in bodies])


@table("ads", {"one ad": 1, "several ads": 7})
def test_the_31st_of_a_session_is_429(world, ads):
    session = unique("sess")
    with world.records(ad_feedback=30):
        start = time.time()
        answers = burst(world, session, 33, world.mint_many([world.ad()] * ads))
        took = time.time() - start
    for answer in answers[:30]:
        is_rated(answer)
    assert took < 10, "too slow to judge the seconds"
    for answer in answers[30:]:
        assert 60 - took <= is_limited(answer) <= 60


def test_retry_after_is_exact(world):
    """The seconds until the oldest of the thirty leaves the window, and never one too few."""
    session, ad = unique("sess"), world.mint()
    is_rated(rate(world, rating(ad, sessionId=session)))
    first_ms = world.last("ad_feedback")["recorded_at_ms"]
    time.sleep(1.4)
    answers = burst(world, session, 30)
    earliest_ms = time.time() * 1000
    assert [a.status for a in answers] == [200] * 29 + [429]
    answer = rate(world, rating(ad, sessionId=session, comment="late"))
    latest_ms = time.time() * 1000
    waits = [-(-(first_ms + 60000 - now_ms) // 1000) for now_ms in (earliest_ms, latest_ms)]
    assert waits[1] <= is_limited(answer) <= waits[0]


def test_a_retry_that_records_nothing_does_not_count(world):
    session, ad = unique("sess"), world.mint()
    with world.records(ad_feedback=30):
        requests = [rate_bytes(world, rating(ad, sessionId=session, comment=f"{n // 3}"))
                    for n in range(90)]
        found = [is_rated(a) for a in world.pipeline(requests)]
        assert len(set(found)) == 30
    with world.records():
        is_limited(rate(world, rating(ad, sessionId=session, comment="one more")))
        assert is_rated(world.send(requests[-1])) == found[-1], "a retry is answered at the limit"


def test_sessions_do_not_share_their_thirty(world):
    sessions = [unique("sess") for _ in range(3)]
    with world.records(ad_feedback=90):
        for session in sessions:
            assert {a.status for a in burst(world, session, 30)} == {200}
        for session in sessions:
            is_limited(burst(world, session, 1)[0])


def test_publishers_do_not_share_a_session(world):
    session, key = "the same session", publisher_key(world.data, "pub-2")
    with world.records(ad_feedback=60):
        assert burst(world, session, 31)[-1].status == 429
        answers = burst(world, session, 31, [world.mint(publisher_id="pub-2")], key)
        assert [a.status for a in answers] == [200] * 30 + [429]


def test_two_keys_of_a_publisher_share_a_session(world):
    session = unique("sess")
    second = program.key_create(world.data, "publisher", unique("label"), "--publisher-id", "pub-1")
    with world.records(ad_feedback=30):
        assert {a.status for a in burst(world, session, 15)} == {200}
        answers = burst(world, session, 16, key=second)
    assert [a.status for a in answers] == [200] * 15 + [429]


def test_the_limit_holds_under_concurrency(world):
    session = unique("sess")
    ads = world.mint_many([world.ad()] * 8)
    with world.records(ad_feedback=30):
        answers = together(8, lambda n: burst(world, session, 8, [ads[n]]))
    assert sorted(a.status for part in answers for a in part) == [200] * 30 + [429] * 34


def test_however_many_sessions_are_invented_each_has_its_thirty(world):
    known, ads = unique("sess"), world.mint_many([world.ad()] * 40)
    parts = [[rate_bytes(world, rating(ad)) for ad in ads for _ in range(75)][n::12]
             for n in range(12)]
    with world.records(ad_feedback=3030):
        assert {a.status for a in burst(world, known, 30)} == {200}
        answers = together(12, lambda n: world.pipeline(parts[n]))
        assert {a.status for part in answers for a in part} == {200}
        is_limited(burst(world, known, 1)[0])


@table("option", {"rate_limit": "--rate-limit", "client_rate_limit": "--client-rate-limit"})
def test_neither_rate_limit_is_for_ad_feedback(world_with, option):
    """One is of partner keys, the other of routes without a key; this route has a limit of its own."""
    world = world_with(option, 5)
    ad = world.mint()
    with world.records(ad_feedback=60):
        answers = world.pipeline([rate_bytes(world, rating(ad)) for _ in range(60)])
        assert {a.status for a in answers} == {200}
