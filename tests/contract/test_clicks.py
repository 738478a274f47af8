"""Contract section 4, "Impressions and clicks": the redirects."""

import re
import time
from urllib.parse import parse_qsl, urlsplit

import pytest

from support import tokens
from support.world import (API, CANARY, LANDING, REDIRECT, TRACK, UUID7, V1, is_recorded,
                           is_refused, table, together, unique)

ROUTES = {"redirect": ("url", REDIRECT, "token"), "track": ("clickUrl", TRACK, "p")}
OURS = ("thrad_click_id", "thrad_exp", "thrad_sig", "thrad_bid_id")
DAY_MS = 86400 * 1000

both_routes = pytest.mark.parametrize("route", ROUTES)


def query_of(answer):
    assert answer.status == 302, answer
    pairs = parse_qsl(urlsplit(answer.header("location")).query, keep_blank_values=True,
                      strict_parsing=True)
    query = dict(pairs)
    assert len(query) == len(pairs), f"a parameter twice: {answer!r}"
    return query


def is_plain(answer, landing=LANDING):
    assert answer.status == 302 and answer.header("location") == landing, answer


def url_of(route, token):
    return f"{ROUTES[route][1]}?{ROUTES[route][2]}={token}"


@both_routes
def test_a_click_is_recorded_and_redirected(world, route):
    ad = world.mint(bid_id=unique("bid"))
    with world.records(click=1):
        answer = world.follow(ad[ROUTES[route][0]])
    assert answer.header("location").startswith(LANDING + "?")
    query = query_of(answer)
    assert set(query) == set(OURS) | ({"click_id"} if route == "track" else set())
    assert UUID7.fullmatch(query["thrad_click_id"])
    assert re.fullmatch("[0-9a-f]{64}", query["thrad_sig"])
    assert query["thrad_bid_id"] == ad["bidId"]
    assert query.get("click_id", query["thrad_click_id"]) == query["thrad_click_id"]
    row = world.last("click")
    assert (row["click_id"], row["bid_id"]) == (query["thrad_click_id"], ad["bidId"])
    assert answer.receipt is None


def test_thrad_exp_is_the_end_of_the_clicks_life_in_seconds(world):
    query, row = query_of(world.follow(world.mint()["url"])), world.last("click")
    assert abs(row["recorded_at_ms"] - time.time() * 1000) < 10000
    assert row["expires_at_ms"] == row["recorded_at_ms"] + 90 * DAY_MS
    assert re.fullmatch("[0-9]+", query["thrad_exp"])
    assert abs(int(query["thrad_exp"]) * 1000 - row["expires_at_ms"]) < 1000


@both_routes
def test_the_facts_of_the_ad_come_along(world, route):
    facts = {"publisher_id": "pub-9", "campaign_id": "cam-1", "product_id": "prd-1",
             "creative_id": "crt-1", "advertiser_id": "adv-1", "user_id": "usr-é",
             "session_id": "ses-1", "placement": "below", "price": "1.25", "currency": "EUR",
             "pricing": "cpc", "landing_url": "https://shop.example/x?y=1#z"}
    world.follow(world.mint(**facts)[ROUTES[route][0]], [("User-Agent", "Mozilla/5.0 (test)")])
    row = world.last("click")
    assert {k: row[k] for k in facts} == facts
    assert row["user_agent"] == "Mozilla/5.0 (test)"


def test_what_the_ad_does_not_say_is_null(world):
    world.follow(world.mint()["url"])
    row = world.last("click")
    for name in ("campaign_id", "product_id", "creative_id", "advertiser_id", "user_id",
                 "session_id", "placement", "price", "currency", "pricing", "user_agent"):
        assert row[name] is None, name


@both_routes
def test_each_get_is_a_click_of_its_own(world, route):
    ad = world.mint()
    with world.records(click=5):
        queries = [query_of(world.follow(ad[ROUTES[route][0]])) for _ in range(5)]
    assert len({q["thrad_click_id"] for q in queries}) == 5
    assert len({q["thrad_sig"] for q in queries}) == 5


@pytest.mark.parametrize("path", [V1, API])
@both_routes
def test_the_click_id_converts(world, route, path):
    query = query_of(world.follow(world.mint()[ROUTES[route][0]]))
    is_recorded(world.convert(query["thrad_click_id"], path))


# -- the landing URL ------------------------------------------------------------------------


@table("landing, before, after", {
    "no query": ("https://shop.example/a", "https://shop.example/a?", ""),
    "a query": ("https://shop.example/a?b=1&c=2", "https://shop.example/a?b=1&c=2&", ""),
    "a fragment": ("https://shop.example/a#top", "https://shop.example/a?", "#top"),
    "query and fragment": ("https://shop.example/a?b=1#top", "https://shop.example/a?b=1&", "#top"),
    "a question mark in the fragment": ("https://shop.example/a#b?c=1", "https://shop.example/a?",
                                        "#b?c=1"),
    "escapes stay as they are": ("https://shop.example/%7Ea?q=a%20b+c%26d&e=%C3%A9",
                                 "https://shop.example/%7Ea?q=a%20b+c%26d&e=%C3%A9&", ""),
    "a name without value": ("https://shop.example/?flag", "https://shop.example/?flag&", ""),
    "a name twice, which is not ours": ("https://shop.example/?a=1&a=2",
                                        "https://shop.example/?a=1&a=2&", ""),
    "a port": ("http://shop.example:8080/a", "http://shop.example:8080/a?", ""),
})
@both_routes
def test_query_and_fragment_of_the_landing_url_are_kept(world, route, landing, before, after):
    location = world.follow(world.mint(landing_url=landing)[ROUTES[route][0]]).header("location")
    assert location.startswith(before) and location.endswith(after), location
    added = location[len(before) : len(location) - len(after)]
    assert set(dict(parse_qsl(added, strict_parsing=True))) >= set(OURS)
    assert "#" not in added and "?" not in added


@pytest.mark.parametrize("landing", ["https://shop.example", "https://shop.example?a=1",
                                     "https://shop.example#top", "https://shop.example/?"])
def test_a_landing_url_with_little_in_it_stays_a_url(world, landing):
    location = world.follow(world.mint(landing_url=landing)["url"]).header("location")
    parts = urlsplit(location)
    assert (parts.scheme, parts.netloc) == ("https", "shop.example") and parts.path in ("", "/")
    assert set(dict(parse_qsl(parts.query))) >= set(OURS)
    assert parts.fragment == urlsplit(landing).fragment


@table("query", {
    "in front": "thrad_click_id=forged&a=1&b=2",
    "in the middle": "a=1&thrad_sig=forged&b=2",
    "at the end": "a=1&b=2&thrad_exp=9999999999",
    "all of them": "thrad_click_id=f&thrad_exp=1&a=1&thrad_sig=f&b=2&thrad_bid_id=f",
    "the same one twice": "a=1&thrad_click_id=f&thrad_click_id=g&b=2",
    "without value": "a=1&thrad_click_id&b=2",
    "with escapes": "a=1&thrad%5Fclick%5fid=forged&b=2",
})
def test_parameters_of_those_names_are_replaced(world, query):
    ad = world.mint(landing_url=f"https://shop.example/?{query}")
    found = query_of(world.follow(ad["url"]))
    assert set(found) == set(OURS) | {"a", "b"} and (found["a"], found["b"]) == ("1", "2")
    assert found["thrad_click_id"] == world.last("click")["click_id"]
    assert found["thrad_bid_id"] == ad["bidId"] and "forged" not in found.values()


def test_click_id_is_replaced_by_track_and_left_alone_by_redirect(world):
    ad = world.mint(landing_url="https://shop.example/?click_id=theirs")
    assert query_of(world.follow(ad["url"]))["click_id"] == "theirs"
    query = query_of(world.follow(ad["clickUrl"]))
    assert query["click_id"] == query["thrad_click_id"]


def test_a_bid_id_is_escaped_in_the_landing_url(world):
    bid = "a b&c=d#e?é%\r\n" + unique("bid")
    answer = world.follow(world.mint(bid_id=bid)["url"])
    query = query_of(answer)
    assert query["thrad_bid_id"] == bid and set(query) == set(OURS)


@table("extra", {
    "url": "url=https://evil.example/",
    "landing_url": "landing_url=https://evil.example/",
    "redirect": "redirect=//evil.example",
})
def test_the_target_comes_from_the_token_alone(world, extra):
    answer = world.get(world.target(world.mint()["url"]) + "&" + extra)
    assert answer.status in (302, 404)
    assert "evil" not in (answer.header("location") or "")


# -- tokens that are no good ----------------------------------------------------------------


def flipped(token, at):
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


BAD = {
    "garbage": lambda t: CANARY,
    "cut by a character": lambda t: t[:-1],
    "cut to half": lambda t: t[: len(t) // 2],
    "without footer": lambda t: t.rsplit(".", 1)[0],
    "with an empty footer": lambda t: t.rsplit(".", 1)[0] + ".",
    "one part more": lambda t: t + ".AA",
    "padded": lambda t: t + "=",
    "padded by escape": lambda t: t + "%3D",
    "padded inside": lambda t: t.rsplit(".", 1)[0] + "=." + t.rsplit(".", 1)[1],
    "a nonce bit changed": lambda t: flipped(t, 12),
    "a text bit changed": lambda t: flipped(t, 60),
    "a footer bit changed": lambda t: flipped(t, len(t) - 4),
    "another version": lambda t: t.replace("v4.", "v3.", 1),
    "another form": lambda t: t.replace(".local.", ".public.", 1),
    "in upper case": lambda t: t.upper(),
    "a space behind": lambda t: t + "%20",
    "a NUL behind": lambda t: t + "%00",
    "a NUL in front": lambda t: "%00" + t,
    "nothing": lambda t: "",
    "the header alone": lambda t: "v4.local.",
    "a character that is no base64url": lambda t: t[:40] + "+" + t[41:],
    "too long": lambda t: "v4.local." + "A" * 7000,
}


@table("spoil", BAD)
@both_routes
def test_a_bad_token_is_not_found(world, route, spoil):
    name, path, parameter = ROUTES[route]
    token = world.target(world.mint()[name]).split("=", 1)[1]
    with world.records():
        is_refused(world.get(f"{path}?{parameter}={spoil(token)}"), 404, "Not Found")


@table("query", {
    "no parameter": lambda p, t: "",
    "another name": lambda p, t: f"?{'p' if p == 'token' else 'token'}={t}",
    "the name in upper case": lambda p, t: f"?{p.upper()}={t}",
    "the parameter twice": lambda p, t: f"?{p}={t}&{p}={t}",
    "the parameter twice, one of them empty": lambda p, t: f"?{p}={t}&{p}=",
    "the parameter twice, one of them by escape":
        lambda p, t: f"?{p}={t}&{'%70' if p == 'p' else '%74oken'}={t}",
    "the parameter in the path": lambda p, t: f"/{t}",
    "the parameter as a fragment only": lambda p, t: f"?a=b%23{p}={t}",
})
@both_routes
def test_a_bad_parameter_is_not_found(world, route, query):
    name, path, parameter = ROUTES[route]
    token = world.target(world.mint()[name]).split("=", 1)[1]
    with world.records():
        is_refused(world.get(path + query(parameter, token)), 404, "Not Found")


@table("forged", {
    "of purpose view": {"purpose": "view"},
    "of purpose ack": {"purpose": "ack"},
    "of purpose vote": {"purpose": "vote"},
    "of no purpose": {"purpose": ""},
    "with another key": {"key": b"k" * 32},
    "with an unknown key id": {"footer": '{"kid":"nobody"}'},
    "without key id": {"footer": "{}"},
    "with a footer that is no JSON": {"footer": "kid"},
    "without pub": {"pub": None},
    "without exp": {"exp": None},
    "with an exp that is no time": {"exp": "soon"},
    "with an exp in seconds": {"exp": 4102444800},
    "with a bid that is a number": {"bid": 7},
    "with claims that are no object": {"raw": b"[]"},
    "with claims that are no JSON": {"raw": b"{"},
})
@both_routes
def test_an_ill_made_token_is_not_found(world, route, forged):
    token = tokens.forge(world.data, **forged)
    with world.records():
        is_refused(world.get(url_of(route, token)), 404, "Not Found")


@both_routes
def test_the_impression_urls_of_an_ad_are_no_clicks(world, route):
    ad = world.mint()
    for name in ("view_url", "impUrl"):
        token = world.target(ad[name]).split("=", 1)[1]
        is_refused(world.get(url_of(route, token)), 404, "Not Found")


# -- answers that record nothing ------------------------------------------------------------


@both_routes
def test_an_expired_token_goes_to_the_plain_landing_url(world, route):
    landing = "https://shop.example/a?b=1&thrad_click_id=x#c"
    token = tokens.forge(world.data, exp=tokens.rfc3339(-1), url=landing)
    with world.records():
        is_plain(world.get(url_of(route, token)), landing)


def test_a_minted_token_expires(world):
    ad = world.mint(ttl=1)
    time.sleep(1.05)
    with world.records():
        is_plain(world.follow(ad["url"]))


@both_routes
def test_head_goes_to_the_plain_landing_url(world, route):
    ad = world.mint()
    with world.records():
        data = world.get_bytes(world.target(ad[ROUTES[route][0]]), method="HEAD")
        is_plain(world.send(data, "HEAD"))
    assert world.get("/health").status == 200


@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender"])
@both_routes
def test_a_prefetch_gets_its_answer_and_records_nothing(world, route, purpose):
    """No click is recorded, so the answer can carry no click id."""
    ad = world.mint()
    with world.records():
        is_plain(world.follow(ad[ROUTES[route][0]], [("Sec-Purpose", purpose)]))
    with world.records(click=1):
        assert "thrad_click_id" in query_of(world.follow(ad[ROUTES[route][0]]))


def test_a_bid_has_at_most_100_recorded_clicks(world):
    ad, other = world.mint(), world.mint()
    urls = [world.get_bytes(world.target(ad[n])) for n in ("url", "clickUrl")] * 60
    with world.records(click=101):
        answers = world.pipeline(urls)
        assert all("thrad_click_id" in query_of(a) for a in answers[:100])
        for answer in answers[100:]:
            is_plain(answer)
        assert "thrad_click_id" in query_of(world.follow(other["url"]))


def test_another_token_of_the_same_bid_does_not_raise_the_cap(world):
    bid = unique("bid")
    with world.records(click=100):
        for _ in range(4):
            data = world.get_bytes(world.target(world.mint(bid_id=bid)["url"]))
            answers = world.pipeline([data] * 30)
        is_plain(answers[-1])


def test_the_cap_holds_under_concurrency(world):
    data = world.get_bytes(world.target(world.mint()["url"]))
    with world.records(click=100):
        answers = together(6, lambda _: world.pipeline([data] * 30, window=3))
    locations = [a.header("location") for part in answers for a in part]
    assert len(locations) == 180 and sum(loc != LANDING for loc in locations) == 100


# -- clicks without a bid, clicks that end --------------------------------------------------


@both_routes
def test_a_click_token_without_bid_records_a_click_without_bid(world, route):
    token = tokens.forge(world.data, bid=None)
    with world.records(click=1):
        query = query_of(world.get(url_of(route, token)))
    assert "thrad_bid_id" not in query and query["thrad_sig"]
    assert world.last("click")["bid_id"] is None
    for path in (V1, API):
        with world.records():
            answer = world.convert(query["thrad_click_id"], path, unique("k"), order_id="o")
            is_refused(answer, 400, "Click missing bid id")


def test_clicks_without_bid_are_not_one_bid(world):
    """The cap of 100 is per bid; these have none."""
    token = tokens.forge(world.data, bid=None)
    data = world.get_bytes(url_of("redirect", token))
    with world.records(click=105):
        assert all("thrad_click_id" in query_of(a) for a in world.pipeline([data] * 105))


def test_a_click_ends_with_click_ttl(world_with):
    world = world_with("--click-ttl", "2s")
    query = query_of(world.follow(world.mint()["url"]))
    row, click, idem = world.last("click"), query["thrad_click_id"], unique("k")
    assert row["expires_at_ms"] == row["recorded_at_ms"] + 2000
    is_recorded(world.convert(click, V1, idem))
    time.sleep(max(0, row["expires_at_ms"] / 1000 + 0.05 - time.time()))
    for path in (V1, API):
        with world.records():
            is_refused(world.convert(click, path, idem), 404, "Click not found")
            is_refused(world.convert(click, path), 404, "Click not found")
