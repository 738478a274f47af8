"""Contract section 4, "003 polls": votes and results."""

import time

import pytest

from support import store, tokens
from support.publisher import (FACTS, FACTS_OF_VOTE, OPTIONS, RESULTS, VOTE, ballots, digits,
                               forged, is_open, is_poll_error, new_poll, results, tally, token_of,
                               vote, vote_bytes)
from support.world import ABSENT, CANARY, table, together, unique

BODY_MAX = 64 * 1024


@pytest.fixture
def poll(world):
    return new_poll(world)


@pytest.fixture
def ad(world, poll):
    return world.mint(poll_id=poll)


def post_vote(world, body, target=VOTE, headers=()):
    return world.post(target, body, ABSENT, headers)


def vote_target(ad):
    return f"{VOTE}?token={token_of(ad['vote_url'])}"


# -- a vote ---------------------------------------------------------------------------------


def test_the_first_vote_is_answered_with_the_results(world, poll, ad):
    with world.records(vote=1):
        answer = vote(world, ad, "1")
    assert digits(answer) == [
        ("sponsored_poll_id", str(poll)), ("selected_option_id", "1"), ("total_votes", "1"),
        ("options", [[("id", i), ("text", t), ("votes", str(n)), ("percentage", p)]
                     for (i, t), n, p in zip(OPTIONS, (0, 1, 0), ("0", "100", "0"))])]
    assert answer.header("cache-control") in (None, "no-store")


def test_a_vote_is_recorded_with_the_facts_of_its_ad(world, poll):
    ad = world.mint(poll_id=poll, **FACTS)
    tally(vote(world, ad, "2"))
    row = world.last("vote")
    assert (row["poll_id"], str(row["option_id"]), row["bid_id"]) == (poll, "2", ad["bidId"])
    assert {name: row[name] for name in FACTS_OF_VOTE} == {n: FACTS[n] for n in FACTS_OF_VOTE}
    assert abs(row["recorded_at_ms"] - time.time() * 1000) < 10000


def test_a_vote_needs_no_impression_and_records_none(world, ad):
    with world.records(vote=1):
        tally(vote(world, ad))


def test_the_urls_work_exactly_as_returned(world, ad):
    """The page: post to the returned URL with only option_id in the body."""
    with world.records(vote=1):
        tally(world.post(world.target(ad["vote_url"]), {"option_id": "0"}, ABSENT))
        tally(world.get(world.target(ad["results_url"])))


def test_the_token_may_be_in_the_body(world, ad):
    with world.records(vote=1):
        tally(post_vote(world, {"token": token_of(ad["vote_url"]), "option_id": "0"}))


@pytest.mark.parametrize("blank", [None, "", " "], ids=["null", "empty", "white space"])
def test_a_blank_token_in_the_body_beside_one_in_the_query_is_absent(world, ad, blank):
    tally(post_vote(world, {"token": blank, "option_id": "0"}, vote_target(ad)))


def test_the_token_of_the_query_comes_first(world, poll):
    one, two = ballots(world, poll, 2)
    with world.records(vote=1):
        tally(post_vote(world, {"token": token_of(two["vote_url"]), "option_id": "0"},
                        vote_target(one)))
    assert world.last("vote")["bid_id"] == one["bidId"]
    with world.records():
        body = {"token": token_of(two["vote_url"]), "option_id": "0"}
        is_poll_error(post_vote(world, body, f"{VOTE}?token={CANARY}"), 401, "invalid_token")
    with world.records(vote=1):
        tally(post_vote(world, {"token": CANARY, "option_id": "0"}, vote_target(two)))


def test_unlisted_members_and_parameters_are_ignored(world, ad):
    with world.records(vote=1):
        tally(post_vote(world, {"option_id": "0", "poll": CANARY, "zz": [1]},
                        vote_target(ad) + f"&cb={CANARY}"))


# -- results --------------------------------------------------------------------------------


def test_results_are_the_same_without_a_selection_and_record_nothing(world, poll, ad):
    other = world.mint(poll_id=poll)
    with world.records(vote=1):
        voted = digits(vote(world, ad, "1"))
        for _ in range(3):
            seen = digits(results(world, other))
    assert seen == [member for member in voted if member[0] != "selected_option_id"]
    assert [name for name, _ in seen] == ["sponsored_poll_id", "total_votes", "options"]


def test_results_before_the_first_vote_are_all_zero(world, poll, ad):
    found = dict(digits(results(world, ad)))
    assert (found["sponsored_poll_id"], found["total_votes"]) == (str(poll), "0")
    assert found["options"] == [[("id", i), ("text", t), ("votes", "0"), ("percentage", "0")]
                                for i, t in OPTIONS]


def test_reading_results_leaves_the_bid_its_vote(world, ad):
    tally(results(world, ad))
    with world.records(vote=1):
        assert tally(vote(world, ad, "2")) == {"0": 0, "1": 0, "2": 1}
    assert tally(results(world, ad)) == {"0": 0, "1": 0, "2": 1}


def test_head_on_results_works(world, ad):
    data = world.get_bytes(world.target(ad["results_url"]), method="HEAD")
    answer = world.send(data, "HEAD")
    assert answer.status == 200
    is_open(answer)


# -- the order of checks and every code -----------------------------------------------------


@table("target, body", {
    "no token anywhere": (VOTE, {"option_id": "0"}),
    "an empty body": (VOTE, {}),
    "a token of null": (VOTE, {"token": None, "option_id": "0"}),
    "an empty token": (VOTE, {"token": "", "option_id": "0"}),
    "a blank token": (VOTE, {"token": " \t", "option_id": "0"}),
    "an empty parameter": (f"{VOTE}?token=", {"option_id": "0"}),
    "another parameter": (f"{VOTE}?p=x&t={CANARY}", {"option_id": "0"}),
    "a bad option too": (VOTE, {"option_id": 17}),
    "no option either": (VOTE, {"option": CANARY}),
})
def test_a_vote_without_token_is_missing_token(world, target, body):
    with world.records():
        is_poll_error(post_vote(world, body, target), 400, "missing_token")


@table("token", {"a number": 17, "an array": [CANARY], "an object": {CANARY: 1}, "true": True})
def test_a_token_of_another_type_in_the_body_is_no_token(world, token):
    """Absent or invalid, the contract does not say; a refusal of the token either way."""
    with world.records():
        answer = post_vote(world, {"token": token, "option_id": "0"})
    codes = {400: "missing_token", 401: "invalid_token"}
    is_poll_error(answer, answer.status, codes[answer.status])


@pytest.mark.parametrize("body", [b"", b"{", CANARY.encode(), b'["option_id"]'])
def test_without_token_a_body_that_is_no_object_is_400(world, body):
    """There is no token to be found in it, and no option either."""
    with world.records():
        answer = post_vote(world, body)
    code = answer.json["error"]["code"]
    is_poll_error(answer, 400, code)
    assert code in ("missing_token", "invalid_option")


def test_the_parameter_twice_is_no_token(world, ad):
    """Whichever of the two would count, neither does."""
    token, other = token_of(ad["vote_url"]), token_of(ad["results_url"])
    with world.records():
        for target in (f"{VOTE}?token={token}&token={token}", f"{VOTE}?token=&token={token}",
                       f"{VOTE}?token={token}&%74oken={token}"):
            answer = post_vote(world, {"option_id": "0"}, target)
            assert answer.status in (400, 401), answer
            is_poll_error(answer, answer.status, answer.json["error"]["code"])
        assert world.get(f"{RESULTS}?token={other}&token={other}").status in (400, 401)


@pytest.mark.parametrize("query", ["", "?", "?token=", "?p=x", f"?t={CANARY}"])
def test_results_without_token_are_missing_token(world, query):
    is_poll_error(world.get(RESULTS + query), 400, "missing_token")


BAD = {
    "of purpose view": {"purpose": "view"},
    "of purpose ack": {"purpose": "ack"},
    "of purpose click": {"purpose": "click"},
    "of no purpose": {"purpose": ""},
    "expired": {"exp": "2020-01-01T00:00:00Z"},
    "expired a moment ago": {"exp": tokens.rfc3339(-1)},
    "without exp": {"exp": None},
    "without bid": {"bid": None},
    "without publisher": {"pub": None},
    "without poll": {"pol": None},
    "of an unknown poll": {"pol": 987654321},
    "of a poll that is a string": {"pol": "1"},
    "of a negative poll": {"pol": -1},
    "of a poll with a fraction": {"pol": 1.5},
    "of a poll beyond all numbers": {"raw": b'{"bid":"b","pub":"p","pol":1e999,'
                                            b'"exp":"2099-01-01T00:00:00Z"}'},
    "with another key": {"key": b"k" * 32},
    "with an unknown key id": {"footer": '{"kid":"nobody"}'},
    "with claims that are no JSON": {"raw": b"{"},
}


@table("claims", BAD)
@pytest.mark.parametrize("purpose", ["vote", "results"])
def test_a_bad_token_is_invalid_token(world, poll, purpose, claims):
    token = forged(world, **{"purpose": purpose, "pol": poll, **claims})
    with world.records():
        if purpose == "results":
            is_poll_error(world.get(f"{RESULTS}?token={token}"), 401, "invalid_token")
            return
        is_poll_error(post_vote(world, {"option_id": "0"}, f"{VOTE}?token={token}"), 401,
                      "invalid_token")
        is_poll_error(post_vote(world, {"token": token, "option_id": "0"}), 401, "invalid_token")


def test_a_token_that_any_library_made_votes_and_reads(world, poll):
    """The forger of the bad ones makes good ones too."""
    with world.records(vote=1):
        token = forged(world, purpose="vote", pol=poll)
        tally(post_vote(world, {"option_id": "0"}, f"{VOTE}?token={token}"))
        tally(world.get(f"{RESULTS}?token={forged(world, purpose='results', pol=poll)}"))


def test_a_results_token_cannot_vote_and_a_vote_token_cannot_read(world, ad):
    votes, reads = token_of(ad["vote_url"]), token_of(ad["results_url"])
    with world.records():
        is_poll_error(post_vote(world, {"option_id": "0"}, f"{VOTE}?token={reads}"), 401,
                      "invalid_token")
        is_poll_error(post_vote(world, {"token": reads, "option_id": "0"}), 401, "invalid_token")
        is_poll_error(world.get(f"{RESULTS}?token={votes}"), 401, "invalid_token")
    tally(vote(world, ad))


def test_a_token_ends_with_its_ttl(world, poll):
    ad = world.mint(poll_id=poll, ttl=1)
    time.sleep(1.05)
    with world.records():
        is_poll_error(vote(world, ad), 401, "invalid_token")
        is_poll_error(results(world, ad), 401, "invalid_token")


BODIES = {
    "no option_id": {},
    "an option_id of null": {"option_id": None},
    "an empty option_id": {"option_id": ""},
    "a blank option_id": {"option_id": " \t"},
    "an unknown option_id": {"option_id": CANARY},
    "an option's text": {"option_id": "Wedding"},
    "an option_id with a space": {"option_id": "0 "},
    "an option_id with a zero in front": {"option_id": "00"},
    "an option_id of a million letters' start": {"option_id": "0" * 5000},
    "a number": {"option_id": 0},
    "a boolean": {"option_id": True},
    "an array": {"option_id": ["0"]},
    "an object": {"option_id": {"id": "0"}},
    "option_id in capitals": {"OPTION_ID": "0"},
    "an empty body": b"",
    "no JSON": CANARY.encode(),
    "JSON cut short": b'{"option_id":"0"',
    "a lone surrogate": b'{"option_id":"\\ud800"}',
    "a lone surrogate elsewhere": b'{"option_id":"0","x":"\\udc00"}',
    "a name twice": b'{"option_id":"0","option_id":"0"}',
    "an escaped U+0000": b'{"option_id":"0\\u0000"}',
    "an array of it": b'[{"option_id":"0"}]',
    "a string": b'"0"',
    "a form": b"option_id=0",
    "1,001 emoji": {"option_id": "\U0001f600" * 1001},
}


@table("body", BODIES)
def test_a_bad_option_is_invalid_option_and_leaves_the_bid_its_vote(world, ad, body):
    with world.records():
        is_poll_error(post_vote(world, body, vote_target(ad)), 400, "invalid_option")
    with world.records(vote=1):
        tally(vote(world, ad))


@table("kind", {
    "absent": None,
    "text/plain": "text/plain",
    "a form": "application/x-www-form-urlencoded",
    "a canary": f"application/{CANARY}",
})
def test_another_content_type_is_invalid_option(world, ad, kind):
    with world.records():
        answer = post_vote(world, {"option_id": "0"}, vote_target(ad), [("Content-Type", kind)])
        is_poll_error(answer, 400, "invalid_option")


@table("body", BODIES)
def test_the_token_is_checked_before_the_option(world, body):
    with world.records():
        is_poll_error(post_vote(world, body, f"{VOTE}?token={CANARY}"), 401, "invalid_token")


def test_the_option_is_checked_before_the_first_vote(world, ad):
    tally(vote(world, ad))
    with world.records():
        is_poll_error(vote(world, ad, CANARY), 400, "invalid_option")
        is_poll_error(vote(world, ad), 409, "duplicate_vote")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_method_on_vote_is_405(world, method):
    answer = world.send(world.get_bytes(VOTE, [("Content-Length", "0")], method))
    is_poll_error(answer, 405, "method_not_allowed")
    assert "POST" in [m.strip() for m in answer.header("allow").split(",")]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_another_method_on_results_is_405(world, method):
    answer = world.send(world.get_bytes(RESULTS, [("Content-Length", "0")], method))
    is_poll_error(answer, 405, "method_not_allowed")
    assert {"GET", "HEAD"} <= {m.strip() for m in answer.header("allow").split(",")}


def test_a_body_of_64_kib_works_and_one_byte_more_is_413(world, ad):
    body = b'{"option_id":"0"}'
    with world.records(), world.connect() as conn:
        conn.send(world.post_bytes(vote_target(ad), body.ljust(BODY_MAX + 1), ABSENT))
        is_poll_error(conn.read(), 413, "payload_too_large")
    with world.records(vote=1):
        tally(post_vote(world, body.ljust(BODY_MAX), vote_target(ad)))


# -- one vote per bid -----------------------------------------------------------------------


@table("again", {"the same option": "0", "another option": "1"})
def test_a_second_vote_is_duplicate_and_counts_nothing(world, ad, again):
    tally(vote(world, ad, "0"))
    with world.records():
        for _ in range(3):
            is_poll_error(vote(world, ad, again), 409, "duplicate_vote")
    assert tally(results(world, ad)) == {"0": 1, "1": 0, "2": 0}


def test_a_bid_has_one_vote_however_many_tokens_it_has(world, poll):
    ads = [world.mint(poll_id=poll, bid_id=bid) for bid in [unique("bid")] * 4]
    assert len({ad["vote_url"] for ad in ads}) == 4
    with world.records(vote=1):
        tally(vote(world, ads[0]))
        for ad in ads:
            is_poll_error(vote(world, ad, "1"), 409, "duplicate_vote")


def test_32_votes_of_one_bid_at_one_moment_are_one(world, ad):
    with world.records(vote=1):
        answers = together(32, lambda n: vote(world, ad, str(n % 3)))
    assert sorted(a.status for a in answers) == [200] + [409] * 31
    (won,) = [a for a in answers if a.status == 200]
    assert won.json["total_votes"] == 1 and sum(tally(results(world, ad)).values()) == 1
    assert tally(results(world, ad))[won.json["selected_option_id"]] == 1


def test_64_voters_at_one_moment_are_64_votes(world, poll):
    ads = ballots(world, poll, 64 * 5)
    with world.records(vote=320):
        parts = together(64, lambda n: world.pipeline(
            [vote_bytes(world, ad, str(n % 3)) for ad in ads[n * 5 : n * 5 + 5]], window=1))
    totals = [sum(tally(a).values()) for part in parts for a in part]
    # Lanes count at the same time: the last two votes need not be in each other's results.
    assert max(totals) <= 320 and min(totals) >= 1
    assert store.IS_POSTGRES or max(totals) == 320
    for part in parts:
        own = [a.json["total_votes"] for a in part]
        assert own == sorted(set(own)), "each vote of a client is in the results it is answered"
    assert tally(results(world, ads[0])) == {"0": 110, "1": 105, "2": 105}
    rows = world.rows("SELECT option_id o, count(*) n FROM vote WHERE poll_id = ? GROUP BY 1", poll)
    assert {str(r["o"]): r["n"] for r in rows} == {"0": 110, "1": 105, "2": 105}
