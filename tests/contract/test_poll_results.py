"""Contract section 4, "003 polls": percentages digit for digit, and polls that change while they
are voted on (`adtally poll put | list | withdraw`)."""

import json

import pytest

from support import server as program
from support import tokens
from support.publisher import (FACTS, OPTIONS, ballots, digits, is_poll_error, new_poll, poll_of,
                               put_poll, results, tally, token_of, vote, vote_bytes)
from support.world import ABSENT, LANDING, MINT, is_invalid, table, together


def count_votes(world, poll, *wanted):
    """Votes until option 0 has wanted[0] votes, option 1 wanted[1], ...; ads are fresh."""
    choices = [str(option) for option, count in enumerate(wanted) for _ in range(count)]
    ads = ballots(world, poll, len(choices))
    requests = [vote_bytes(world, ad, choice) for ad, choice in zip(ads, choices)]
    for answer in world.pipelines(requests):
        tally(answer)


# -- percentages ----------------------------------------------------------------------------


def seed_003(world, wedding, study, workout):
    return [[("id", "0"), ("text", "Wedding"), ("votes", wedding[0]), ("percentage", wedding[1])],
            [("id", "1"), ("text", "Study"), ("votes", study[0]), ("percentage", study[1])],
            [("id", "2"), ("text", "Workout"), ("votes", workout[0]), ("percentage", workout[1])]]


def test_the_42_votes_of_seed_003_digit_for_digit(world):
    poll = new_poll(world)
    count_votes(world, poll, 20, 14, 7)
    options = seed_003(world, ("21", "50"), ("14", "33.3"), ("7", "16.7"))
    ad = world.mint(poll_id=poll)
    assert digits(vote(world, ad, "0")) == [
        ("sponsored_poll_id", str(poll)), ("selected_option_id", "0"), ("total_votes", "42"),
        ("options", options)]
    assert digits(results(world, ad)) == [
        ("sponsored_poll_id", str(poll)), ("total_votes", "42"), ("options", options)]


@table("votes, percentages", {
    "nobody has voted": ((0, 0), ("0", "0")),
    "one of one": ((1, 0), ("100", "0")),
    "halves": ((1, 1), ("50", "50")),
    "thirds": ((1, 1, 1), ("33.3", "33.3", "33.3")),
    "a third and two": ((1, 2), ("33.3", "66.7")),
    "quarters": ((1, 3), ("25", "75")),
    "sixths": ((1, 5), ("16.7", "83.3")),
    "sevenths": ((1, 2, 4), ("14.3", "28.6", "57.1")),
    "eighths keep their digit": ((1, 7), ("12.5", "87.5")),
    "an eighth and three": ((3, 5), ("37.5", "62.5")),
    "ninths": ((1, 8), ("11.1", "88.9")),
    "tenths without .0": ((1, 9), ("10", "90")),
    "6.25 is 6.3, halves up": ((1, 15), ("6.3", "93.8")),
    "18.75 is 18.8, halves up": ((3, 13), ("18.8", "81.3")),
    "31.25 is 31.3, halves up": ((5, 11), ("31.3", "68.8")),
    "56.25 is 56.3, halves up": ((9, 7), ("56.3", "43.8")),
    "3.125 is 3.1": ((1, 31), ("3.1", "96.9")),
    "1.25 is 1.3, halves up": ((1, 79), ("1.3", "98.8")),
    "99.5 and 0.5": ((199, 1), ("99.5", "0.5")),
    "0.25 is 0.3, 99.75 is 99.8": ((1, 399), ("0.3", "99.8")),
    "a thousandth": ((1, 999), ("0.1", "99.9")),
    "0.05 is 0.1, 99.95 is 100": ((1, 1999), ("0.1", "100")),
    "less than 0.05 is 0": ((1, 2009), ("0", "100")),
})
def test_a_percentage_is_written(world, votes, percentages):
    poll = new_poll(world, [(str(n), f"text {n}") for n in range(len(votes))])
    count_votes(world, poll, *votes)
    found = dict(digits(results(world, world.mint(poll_id=poll))))
    assert found["total_votes"] == str(sum(votes))
    rows = [dict(option) for option in found["options"]]
    assert tuple(row["votes"] for row in rows) == tuple(map(str, votes))
    assert tuple(row["percentage"] for row in rows) == percentages


def test_polls_do_not_share_their_votes(world):
    one, two = new_poll(world), new_poll(world)
    count_votes(world, one, 3, 2, 1)
    assert tally(results(world, world.mint(poll_id=two))) == {"0": 0, "1": 0, "2": 0}
    count_votes(world, two, 1)
    assert tally(results(world, world.mint(poll_id=one))) == {"0": 3, "1": 2, "2": 1}


def test_options_keep_the_polls_order(world):
    order = ["z", "10", "9", "a", "Ω", "-1"]
    poll = new_poll(world, [(i, f"text of {i}") for i in order])
    ads = ballots(world, poll, 2)
    found = vote(world, ads[0], "9").json["options"]
    assert [o["id"] for o in found] == order and [o["votes"] for o in found] == [0, 0, 1, 0, 0, 0]
    assert [o["id"] for o in results(world, ads[1]).json["options"]] == order


def test_twenty_long_texts_come_back_whole(world):
    options = [(f"{n:x}" * 100, f'"{n}\\' * 60) for n in range(20)]
    ad = world.mint(poll_id=new_poll(world, options, question="?" * 900))
    found = vote(world, ad, options[7][0]).json
    assert [(o["id"], o["text"]) for o in found["options"]] == options
    assert found["options"][7]["votes"] == 1 and len(ad["poll"]["question"]) == 900


@table("text", {
    "quotes and escapes": 'a"b\\c/d\n\t<script>',
    "an emoji": "\U0001f600",
    "accents": "é\u0301",
})
def test_texts_come_back_as_they_were_put(world, text):
    poll = new_poll(world, [("0", text), ("1", "other")], question=text)
    ad = world.mint(poll_id=poll)
    assert ad["poll"]["question"] == text and ad["poll"]["options"][0]["text"] == text
    assert vote(world, ad, "0").json["options"][0]["text"] == text


@pytest.mark.parametrize("count", [2, 20])
def test_a_poll_has_2_to_20_options(world, count):
    options = [(str(n), f"text {n}") for n in range(count)]
    ad = world.mint(poll_id=new_poll(world, options))
    assert len(ad["poll"]["options"]) == count
    assert tally(vote(world, ad, str(count - 1)))[str(count - 1)] == 1


# -- minting with a poll --------------------------------------------------------------------


def test_mint_answers_the_polls_urls_question_and_options(world):
    poll = poll_of()
    put_poll(world, poll)
    ad = world.mint(poll_id=poll["sponsored_poll_id"])
    assert ad["vote_url"].startswith(f"http://{world.host}/api/v1/tracking/sponsored-polls/vote?")
    assert ad["results_url"].startswith(
        f"http://{world.host}/api/v1/tracking/sponsored-polls/results?")
    assert ad["poll"]["question"] == poll["question"]
    assert ad["poll"]["options"] == poll["options"] and "cta_url" not in ad["poll"]


def test_the_polls_cta_url_is_the_ads_redirect_to_it(world):
    poll = new_poll(world, cta_url="https://brand.example/offer?a=1#b")
    ad = world.mint(poll_id=poll)
    cta = ad["poll"]["cta_url"]
    assert cta.startswith(f"http://{world.host}/")
    with world.records(click=1):
        location = world.follow(cta).header("location")
    assert location.startswith("https://brand.example/offer?a=1&thrad_") and location.endswith("#b")
    assert world.last("click")["bid_id"] == ad["bidId"]


def test_a_poll_with_a_cta_needs_no_landing_url(world):
    """Its clicks go to the CTA then; with a landing URL of its own the ad keeps both."""
    poll = new_poll(world, cta_url="https://brand.example/offer")
    alone, both = (world.mint(poll_id=poll, landing_url=u) for u in (ABSENT, LANDING))
    for ad, name, landing in ((alone, "url", "https://brand.example/offer"),
                              (alone, "clickUrl", "https://brand.example/offer"),
                              (both, "url", LANDING), (both, "clickUrl", LANDING)):
        assert world.follow(ad[name]).header("location").startswith(landing + "?thrad_"), name
    for ad in (alone, both):
        location = world.follow(ad["poll"]["cta_url"]).header("location")
        assert location.startswith("https://brand.example/offer?thrad_")


def test_a_poll_without_cta_and_landing_url_has_no_click(world):
    ad = world.mint(poll_id=new_poll(world), landing_url=ABSENT)
    assert {"view_url", "impUrl", "vote_url", "results_url"} <= set(ad)
    assert not {"url", "clickUrl"} & set(ad) and "cta_url" not in ad["poll"]


@pytest.mark.parametrize("purpose", ["vote", "results"])
def test_the_claims_of_a_poll_token(world, purpose):
    poll = new_poll(world)
    ad = world.mint(poll_id=poll, **FACTS)
    claims = tokens.read(world.data, token_of(ad[f"{purpose}_url"]), purpose)
    assert (claims["pol"], claims["bid"], claims["exp"]) == (poll, ad["bidId"], ad["expires_at"])
    assert (claims["pub"], claims["cam"], claims["usr"]) == ("pub-9", "cam-1", "usr-é")
    assert not {"prc", "cur", "mod", "url"} & set(claims)


def test_the_command_line_mints_with_a_poll_too(world):
    ads = {"ads": [world.ad(poll_id=new_poll(world))]}
    out = program.cli("mint", "-", "--data", world.data, stdin=json.dumps(ads).encode())
    (ad,) = json.loads(out)["ads"]
    assert [(o["id"], o["text"]) for o in ad["poll"]["options"]] == OPTIONS
    assert tally(vote(world, ad)) == {"0": 1, "1": 0, "2": 0}


# -- poll put, list, withdraw ---------------------------------------------------------------


def listed(world, poll):
    polls = program.cli_json("poll", "list", "--json", "--data", world.data)
    return [p for p in polls if p["sponsored_poll_id"] == poll]


def test_list_tells_the_poll(world):
    poll = poll_of(question="Why not?")
    put_poll(world, poll)
    (found,) = listed(world, poll["sponsored_poll_id"])
    assert found["question"] == poll["question"]
    assert [(o["id"], o["text"]) for o in found["options"]] == OPTIONS


def test_put_takes_a_file(world, tmp_path):
    poll, path = poll_of(), tmp_path / "poll.json"
    path.write_text(json.dumps(poll))
    program.cli("poll", "put", path, "--data", world.data)
    tally(vote(world, world.mint(poll_id=poll["sponsored_poll_id"])))


def test_texts_of_a_live_poll_may_change_and_options_may_be_added(world):
    poll = new_poll(world)
    old = world.mint(poll_id=poll)
    count_votes(world, poll, 2, 1)
    changed = [("3", "Travel"), ("0", "Marriage"), ("1", "Study"), ("2", "Sport")]
    put_poll(world, {**poll_of(changed, question="And now?"), "sponsored_poll_id": poll})
    seen = results(world, old).json["options"]
    assert [(o["id"], o["text"], o["votes"]) for o in seen] == [
        ("3", "Travel", 0), ("0", "Marriage", 2), ("1", "Study", 1), ("2", "Sport", 0)]
    assert tally(vote(world, old, "3")) == {"3": 1, "0": 2, "1": 1, "2": 0}
    assert world.mint(poll_id=poll)["poll"]["question"] == "And now?"


def test_the_same_put_again_changes_nothing(world):
    poll = poll_of()
    for _ in range(3):
        put_poll(world, poll)
        tally(vote(world, world.mint(poll_id=poll["sponsored_poll_id"])))
    ad = world.mint(poll_id=poll["sponsored_poll_id"])
    assert tally(results(world, ad)) == {"0": 3, "1": 0, "2": 0}


def test_an_option_with_votes_cannot_be_removed(world):
    poll = new_poll(world)
    old = world.mint(poll_id=poll)
    count_votes(world, poll, 1)
    less = {**poll_of([("1", "Changed"), ("2", "Too")]), "sponsored_poll_id": poll}
    put_poll(world, less, expect=1)
    seen = results(world, old).json["options"]
    assert [(o["id"], o["text"], o["votes"]) for o in seen] == [
        ("0", "Wedding", 1), ("1", "Study", 0), ("2", "Workout", 0)], "half of it was taken"


def test_an_option_without_votes_can_be_removed(world):
    poll = new_poll(world)
    ads = ballots(world, poll, 2)
    count_votes(world, poll, 1, 1)
    put_poll(world, {**poll_of(OPTIONS[:2]), "sponsored_poll_id": poll})
    with world.records():
        is_poll_error(vote(world, ads[0], "2"), 400, "invalid_option")
    assert tally(vote(world, ads[0], "1")) == {"0": 1, "1": 2}


def test_a_withdrawn_poll_is_401_for_votes_and_results(world):
    poll = new_poll(world)
    ads = ballots(world, poll, 2)
    tally(vote(world, ads[0]))
    program.cli("poll", "withdraw", poll, "--data", world.data)
    with world.records():
        for ad in ads:
            is_poll_error(vote(world, ad), 401, "invalid_token")
            is_poll_error(vote(world, ad, "no option"), 401, "invalid_token")
            is_poll_error(results(world, ad), 401, "invalid_token")


def test_a_withdrawn_poll_cannot_be_minted(world):
    poll = new_poll(world)
    program.cli("poll", "withdraw", poll, "--data", world.data)
    answer = world.post(MINT, {"ads": [world.ad(poll_id=poll)]}, world.adserver)
    is_invalid(answer, 422, (None, ["body", "ads", 0, "poll_id"]))


def test_withdrawing_a_poll_leaves_the_others(world):
    one, two = new_poll(world), new_poll(world)
    ad = world.mint(poll_id=two)
    program.cli("poll", "withdraw", one, "--data", world.data)
    assert tally(vote(world, ad)) == {"0": 1, "1": 0, "2": 0}


def test_withdrawing_an_unknown_poll_fails(world):
    program.cli("poll", "withdraw", 987654321, "--data", world.data, expect=1)


def test_an_option_that_is_voted_on_while_it_is_removed_keeps_its_votes(world):
    """Either the put is refused or the vote is: no counted vote is ever without its option."""
    poll = new_poll(world)
    less = {**poll_of(OPTIONS[:2]), "sponsored_poll_id": poll}
    full = {**poll_of(OPTIONS), "sponsored_poll_id": poll}
    ads = ballots(world, poll, 60)

    def work(number):
        if number == 0:
            for poll_file in (less, full) * 6:
                program.run("poll", "put", "-", "--data", world.data,
                            stdin=json.dumps(poll_file).encode())
            return []
        return world.pipeline([vote_bytes(world, ad, "2") for ad in ads[number::4]], window=1)

    answers = [a for part in together(4, work) for a in part]
    counted = [a for a in answers if a.status == 200]
    for answer in answers:
        assert answer.status in (200, 400), answer
    put_poll(world, full)
    rows = world.rows("SELECT option_id o FROM vote WHERE poll_id = ?", poll)
    assert len(rows) == len(counted)
    assert tally(results(world, ads[0])) == {"0": 0, "1": 0, "2": len(counted)}


def test_no_vote_counts_after_withdraw_has_returned(world):
    poll = new_poll(world)
    ads = ballots(world, poll, 400)

    def work(number):
        if number == 0:
            program.cli("poll", "withdraw", poll, "--data", world.data)
            return world.counts()["vote"]
        return world.pipeline([vote_bytes(world, ad) for ad in ads[number::4]], window=1)

    withdrawn_at, *parts = together(4, work)
    for part in parts:
        statuses = [a.status for a in part]
        assert statuses == sorted(statuses) and set(statuses) <= {200, 401}, statuses
    assert sum(a.status == 200 for part in parts for a in part) == len(
        world.rows("SELECT 1 FROM vote WHERE poll_id = ?", poll))
    assert world.counts()["vote"] == withdrawn_at, "a vote counted after the withdrawal"


@table("change", {
    "one option": {"options": [{"id": "0", "text": "a"}]},
    "no options": {"options": []},
    "21 options": {"options": [{"id": str(n), "text": "a"} for n in range(21)]},
    "an option id twice": {"options": [{"id": "0", "text": "a"}, {"id": "0", "text": "b"}]},
    "an option without id": {"options": [{"text": "a"}, {"id": "1", "text": "b"}]},
    "an option without text": {"options": [{"id": "0"}, {"id": "1", "text": "b"}]},
    "an option id that is a number": {"options": [{"id": 0, "text": "a"},
                                                  {"id": "1", "text": "b"}]},
    "options that are no array": {"options": {"0": "a", "1": "b"}},
    "no question": {"question": None},
    "a question that is no string": {"question": 17},
    "an id that is a string": {"sponsored_poll_id": "123"},
    "no id": {"sponsored_poll_id": None},
    "a cta_url of javascript": {"cta_url": "javascript:alert(1)"},
    "a cta_url without host": {"cta_url": "/offer"},
})
def test_an_ill_made_poll_is_refused(world, change):
    poll = poll_of()
    done = program.run("poll", "put", "-", "--data", world.data,
                       stdin=json.dumps({**poll, **change}).encode())
    assert done.returncode in (1, 2) and done.stderr and not done.stdout, done
    assert listed(world, poll["sponsored_poll_id"]) == []


@table("text", {"no JSON": b"{", "an array": b"[]", "nothing": b""})
def test_a_file_that_is_no_poll_is_refused(world, text):
    done = program.run("poll", "put", "-", "--data", world.data, stdin=text)
    assert done.returncode in (1, 2) and done.stderr, done


def test_polls_are_kept_when_no_server_runs(data_dir, own_server):
    """The commands open the directory themselves then; put, list and withdraw alike."""
    keep, gone = poll_of(), poll_of()
    for poll in (keep, gone):
        program.cli("poll", "put", "-", "--data", data_dir, stdin=json.dumps(poll).encode())
    program.cli("poll", "withdraw", gone["sponsored_poll_id"], "--data", data_dir)
    own_server().stop()
    polls = program.cli_json("poll", "list", "--json", "--data", data_dir)
    live = {p["sponsored_poll_id"]: p for p in polls}
    assert live[keep["sponsored_poll_id"]]["question"] == keep["question"]
