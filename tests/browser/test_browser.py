"""The vendors' JavaScript in a real browser, on a page of another origin: what the page sees, what
went over the wire (preflights included), and what the database holds."""

import json

import pytest

from support.publisher import (AD_FEEDBACK, FEEDBACK, RESULTS, UUID, VIEW, VOTE, ballots, new_poll,
                               publisher_key, show, vote_bytes)
from support.world import unique

SEEN = """while (seen.length < args[0]) await new Promise(done => setTimeout(done, 10));
          return seen;"""
LOADED = """const image = new Image(); image.src = args[0]; await image.decode();
            return [image.naturalWidth, image.naturalHeight];"""


def seen(browser, count):
    """The answers that the page has seen, when there are `count` of them."""
    found = browser.run(SEEN, count)
    assert len(found) == count, found
    return found


def crossed(browser, path):
    """(method, status) of the requests to the path since the last look."""
    return [(method, status) for method, url, status in browser.network()
            if url.split("?")[0].endswith(path)]


def is_seen(answer, status, body=None):
    assert answer["status"] == status and answer["type"] == "cors", answer
    assert body is None or answer["body"] == body, answer
    return answer["body"]


# -- seed 000 -------------------------------------------------------------------------------


def test_the_sample_of_seed_000(world, site, browser):
    """Both buttons are pressed: one preflight, two answers, one feedback, no overwrite."""
    bid = show(world)["bidId"]
    browser.open(f"{site}/feedback.html?bid={bid}")
    with world.records(feedback=1):
        browser.click("#down")
        is_seen(seen(browser, 1)[0], 204, "")
        assert crossed(browser, FEEDBACK) in ([("POST", 204), ("OPTIONS", 204)],
                                              [("OPTIONS", 204), ("POST", 204)])
        browser.click("#up")
        is_seen(seen(browser, 2)[1], 204, "")
        assert crossed(browser, FEEDBACK) == [("POST", 204)], "the preflight is good for a day"
    row = world.last("feedback")
    assert (row["bid_id"], row["feedback_type"], row["feedback_text"]) == (bid, "negative", None)


def test_the_page_can_read_why_its_feedback_was_refused(world, site, browser):
    browser.open(f"{site}/feedback.html?bid={unique('unknown')}")
    with world.records():
        browser.click("#up")
        is_seen(seen(browser, 1)[0], 404, '{"detail":"Impression not found"}')
        browser.run("await sendFeedback(bidId, 'sideways');")
        problems = json.loads(is_seen(seen(browser, 2)[1], 422))["detail"]
    assert [p["loc"] for p in problems] == [["body", "feedback_type"]]


def test_an_impression_loaded_as_an_image_makes_feedback_possible(world, site, browser):
    """The whole way of an ad in a page, and no row comes of a prefetch."""
    ad = world.mint(user_id="usr-browser")
    browser.open(f"{site}/feedback.html?bid={ad['bidId']}")
    with world.records():
        browser.run("await sendFeedback(bidId, 'positive');")
        is_seen(seen(browser, 1)[0], 404)
    with world.records(impression=1, feedback=1):
        assert browser.run(LOADED, ad["view_url"]) == [1, 1]
        browser.run("await sendFeedback(bidId, 'positive');")
        is_seen(seen(browser, 2)[1], 204)
    row = world.last("impression")
    assert (row["bid_id"], row["route"], row["user_id"]) == (ad["bidId"], "view", "usr-browser")
    assert "HeadlessChrome" in row["user_agent"] or "Chrome/" in row["user_agent"]


@pytest.mark.parametrize("name, route", [("view_url", "view"), ("impUrl", "ack")])
def test_an_image_is_not_cached_and_counts_once(world, site, browser, name, route):
    ad = world.mint()
    browser.open(f"{site}/feedback.html")
    with world.records(impression=1):
        for _ in range(2):
            assert browser.run(LOADED, ad[name]) == [1, 1]
            browser.open(f"{site}/feedback.html")
    assert world.last("impression")["route"] == route


def test_a_prefetch_records_nothing(world, site, browser):
    ad = world.mint()
    browser.open(f"{site}/feedback.html")
    with world.records():
        browser.run("""const link = document.createElement("link");
            const loaded = new Promise((done, no) => { link.onload = done; link.onerror = no; });
            link.rel = "prefetch"; link.href = args[0]; document.head.append(link);
            await loaded;""", ad["view_url"])
    assert ("GET", 200) in crossed(browser, VIEW)
    with world.records(impression=1):
        browser.run(LOADED, ad["view_url"])


def test_the_page_may_read_the_pixel_by_fetch(world, site, browser):
    """A view fired by fetch, which asks for CORS, is the impression too."""
    ad = world.mint()
    browser.open(f"{site}/feedback.html")
    with world.records(impression=1):
        browser.run("await fetch(args[0]);", ad["view_url"])
        is_seen(seen(browser, 1)[0], 200)


# -- seed 001 -------------------------------------------------------------------------------


def test_the_sample_of_seed_001(world, site, browser):
    ad, session = world.mint(), unique("sess")
    browser.open(f"{site}/ad_feedback.html")
    browser.run("render(...args);", ad, session, publisher_key(world.data))
    with world.records(ad_feedback=2):
        browser.click("#up")
        first = json.loads(is_seen(seen(browser, 1)[0], 200))
        assert set(crossed(browser, AD_FEEDBACK)) == {("OPTIONS", 204), ("POST", 200)}
        browser.click("#up")
        assert json.loads(is_seen(seen(browser, 2)[1], 200)) == first, "safe to retry"
        browser.click("#down")
        second = json.loads(is_seen(seen(browser, 3)[2], 200))
    assert first["status"] == "ok" and UUID.fullmatch(first["feedbackId"])
    assert second["feedbackId"] != first["feedbackId"]
    row = world.last("ad_feedback")
    assert (row["feedback_id"], row["sentiment"]) == (second["feedbackId"], "thumbs_down")
    assert json.loads(row["reasons"]) == ["not_interested"]
    assert (row["sent_session_id"], row["bid_id"]) == (session, ad["bidId"])


def test_the_page_can_read_why_its_ad_feedback_was_refused(world, site, browser):
    ad = world.mint(publisher_id="pub-2")
    browser.open(f"{site}/ad_feedback.html")
    with world.records():
        for number, (key, status, error) in enumerate([
                ("nobody", 401, "unauthorized"),
                (publisher_key(world.data), 422, "invalid_imp_url")]):
            browser.run("render(...args); await sendFeedback('thumbs_up');", ad, "s", key)
            body = json.loads(is_seen(seen(browser, number + 1)[-1], status))
            assert body["error"] == error and body["message"]


def test_the_page_can_read_how_long_to_wait(world, site, browser):
    """Retry-After is exposed; 31 different feedbacks of one session, as fast as the page can."""
    browser.open(f"{site}/ad_feedback.html")
    browser.run("render(...args);", world.mint(), unique("sess"), publisher_key(world.data))
    with world.records(ad_feedback=30):
        browser.run("for (let n = 0; n < 31; n++) await sendFeedback('thumbs_down', [`r${n}`]);")
    found = seen(browser, 31)
    assert [answer["status"] for answer in found] == [200] * 30 + [429]
    assert json.loads(found[-1]["body"])["error"] == "rate_limited"
    assert 30 < int(found[-1]["retryAfter"]) <= 60


# -- seed 003 -------------------------------------------------------------------------------


def text(browser, selector):
    return browser.run("return document.querySelector(args[0]).innerText;", selector)


def choices_of(browser):
    """The texts of the option buttons, or of the percentages in their place."""
    return browser.run("return [...document.querySelector('#options').children]"
                       ".map(child => child.innerText);")


def open_poll(world, site, browser, ad):
    """The bid response arrives in the page, which renders it and loads its view."""
    browser.open(f"{site}/poll.html")
    with world.records(impression=1):
        browser.run("render(args[0]); await document.getElementById('pixel').decode();", ad)


def test_the_rendering_flow_of_seed_003(world, site, browser):
    """Question and options, the view, the vote, percentages, the CTA, and a refresh."""
    poll = new_poll(world, cta_url="https://brand.example/offer")
    ads = ballots(world, poll, 42)
    choices = ["0"] * 20 + ["1"] * 14 + ["2"] * 7
    world.pipeline([vote_bytes(world, ad, option) for ad, option in zip(ads, choices)])
    ad = ads[41]
    open_poll(world, site, browser, ad)
    assert text(browser, "#question") == ad["poll"]["question"]
    assert choices_of(browser) == ["Wedding", "Study", "Workout"]
    with world.records(vote=1):
        browser.click("#option-0")
        is_seen(seen(browser, 1)[0], 200)
    assert set(crossed(browser, VOTE)) == {("OPTIONS", 204), ("POST", 200)}
    assert choices_of(browser) == ["Wedding 50%", "Study 33.3%", "Workout 16.7%"]
    assert text(browser, "#total") == "42 votes"
    assert browser.run("return [cta.hidden, cta.href];") == [False, ad["poll"]["cta_url"]]
    row = world.last("vote")
    assert (row["poll_id"], str(row["option_id"]), row["bid_id"]) == (poll, "0", ad["bidId"])


def test_a_duplicate_vote_refreshes_the_percentages(world, site, browser):
    """The page reads the code of the 409 and calls results_url, as seed 003 says; no preflight for
    results, which a page may get as it is."""
    ad = world.mint(poll_id=new_poll(world))
    open_poll(world, site, browser, ad)
    with world.records(vote=1):
        browser.run("await vote(...args);", ad, "2")
        browser.run("await vote(...args);", ad, "1")
    voted, again, refreshed = seen(browser, 3)
    is_seen(voted, 200)
    assert json.loads(is_seen(again, 409))["error"]["code"] == "duplicate_vote"
    is_seen(refreshed, 200)
    assert crossed(browser, RESULTS) == [("GET", 200)]
    assert choices_of(browser) == ["Wedding 0%", "Study 0%", "Workout 100%"]
    assert text(browser, "#total") == "1 votes"


def test_a_bad_option_keeps_the_poll_visible(world, site, browser):
    ad = world.mint(poll_id=new_poll(world))
    open_poll(world, site, browser, ad)
    with world.records():
        browser.run("await vote(...args);", ad, "9")
    assert text(browser, "#error") == "invalid_option"
    with world.records(vote=1):
        browser.click("#option-1")
        is_seen(seen(browser, 2)[1], 200)


# -- what a page cannot do ------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/mint", "/v1/api/collect", "/v1/api/conversion"])
def test_a_page_cannot_use_the_routes_of_servers(world, site, browser, path):
    """Not even with a good key in its hands: the browser's preflight is refused."""
    browser.open(f"{site}/feedback.html")
    key = world.adserver if path == "/v1/mint" else world.partner
    with world.records():
        browser.run("""try {
              await fetch(args[0], {method: "POST", body: '{"event_name":"x"}', headers:
                {"Content-Type": "application/json", "Authorization": `Bearer ${args[1]}`}});
            } catch (error) {}""", f"http://{world.host}{path}", key)
    assert "failed" in seen(browser, 1)[0]
    assert "POST" not in [method for method, status in crossed(browser, path) if status]
