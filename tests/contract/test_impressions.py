"""Contract section 4, "Impressions and clicks": the impression, by view, ack and track/imp."""

import time

import pytest

from support import tokens
from support.publisher import (FACTS, PINGS, UUID, forged, is_gif, is_not_found, is_open,
                               ping_target, ping_url, show, token_of)
from support.world import CANARY, UUID7, table, together, unique

every_route = pytest.mark.parametrize("route", PINGS)
KIND = {"view": "view", "ack": "ack", "track": "ack"}


# -- what is recorded -----------------------------------------------------------------------


@every_route
def test_a_ping_records_the_impression_and_answers_the_gif(world, route):
    ad = world.mint(bid_id=unique("bid"))
    with world.records(impression=1):
        is_gif(world.get(ping_target(ad, route)))
    row = world.last("impression")
    assert (row["bid_id"], row["route"]) == (ad["bidId"], KIND[route])
    assert abs(row["recorded_at_ms"] - time.time() * 1000) < 10000


@every_route
def test_the_facts_of_the_ad_come_along(world, route):
    show(world, route, **FACTS)
    row = world.last("impression")
    assert {name: row[name] for name in FACTS} == FACTS


def test_what_the_ad_does_not_say_is_null(world):
    ad = show(world)
    row = world.last("impression")
    assert UUID7.fullmatch(ad["bidId"]) and UUID.fullmatch(row["bid_id"])
    for name in [n for n in FACTS if n != "publisher_id"] + ["user_agent"]:
        assert row[name] is None, name


def test_the_view_url_and_the_imp_url_work_exactly_as_returned(world):
    for name in ("view_url", "impUrl"):
        ad = world.mint()
        with world.records(impression=1):
            is_gif(world.follow(ad[name]))


@pytest.mark.parametrize("again", PINGS)
@pytest.mark.parametrize("first", PINGS)
def test_the_first_ping_of_a_bid_records_it_and_the_rest_change_nothing(world, first, again):
    ad = world.mint(bid_id=unique("bid"))
    with world.records(impression=1):
        is_gif(world.get(ping_target(ad, first), [("User-Agent", "first")]))
        row = world.last("impression")
        for _ in range(3):
            is_gif(world.get(ping_target(ad, again), [("User-Agent", "again")]))
    assert world.last("impression") == row
    assert (row["route"], row["user_agent"]) == (KIND[first], "first")


@pytest.mark.parametrize("route", PINGS)
def test_another_token_of_the_bid_is_no_other_impression(world, route):
    bid = unique("bid")
    with world.records(impression=1):
        for number in range(3):
            ad = world.mint(bid_id=bid, campaign_id=f"cam-{number}")
            is_gif(world.get(ping_target(ad, route)))
    assert world.last("impression")["campaign_id"] == "cam-0"


def test_32_pings_at_one_moment_are_one_impression(world):
    ad = world.mint()
    targets = [ping_target(ad, route) for route in PINGS]
    with world.records(impression=1):
        for answer in together(32, lambda n: world.get(targets[n % 3])):
            is_gif(answer)


def test_each_bid_has_its_own_impression(world):
    ads = world.mint_many([world.ad() for _ in range(50)])
    with world.records(impression=50):
        requests = [world.get_bytes(ping_target(ad, r)) for ad in ads for r in PINGS]
        for answer in world.pipeline(requests):
            is_gif(answer)


def test_an_impression_is_no_click_and_a_click_no_impression(world):
    ad = world.mint()
    with world.records(impression=1, click=1):
        is_gif(world.follow(ad["view_url"]))
        assert world.follow(ad["url"]).status == 302


@pytest.mark.parametrize("bid", ["b", "bid_abc123", "a b&c=d#e?é%", "'; DROP TABLE vote; --",
                                 "x" * 256, "é" * 128])
def test_a_bid_id_is_opaque(world, bid):
    bid = bid if len(bid) > 100 else bid + unique("")
    show(world, bid_id=bid)
    assert world.last("impression")["bid_id"] == bid


@every_route
def test_more_parameters_do_no_harm(world, route):
    ad = world.mint()
    target = ping_target(ad, route)
    with world.records(impression=1):
        is_gif(world.get(target.replace("?", "?cb=17&") + "&utm=%20&" + CANARY))


@every_route
def test_a_ping_has_no_body_to_read(world, route):
    """Fetch with keepalive and image loads send odd headers; none of them matters."""
    headers = [("Accept", "image/avif,image/webp,*/*"), ("Range", "bytes=0-"),
               ("If-None-Match", '"x"'), ("If-Modified-Since", "Mon, 01 Jan 2035 00:00:00 GMT"),
               ("Referer", f"https://{CANARY}.example/"), ("Cookie", "a=b"), ("DNT", "1")]
    with world.records(impression=1):
        is_gif(world.get(ping_target(world.mint(), route), headers))


# -- who pinged -----------------------------------------------------------------------------


@table("agent, stored", {
    "a browser": ("Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (X11; Linux x86_64)"),
    "2,048 bytes": ("m" * 2048, "m" * 2048),
})
@every_route
def test_the_user_agent_is_stored(world, route, agent, stored):
    is_gif(world.get(ping_target(world.mint(), route), [("User-Agent", agent)]))
    assert world.last("impression")["user_agent"] == stored


def test_a_user_agent_past_its_limit_is_never_cut(world):
    is_gif(world.get(ping_target(world.mint()), [("User-Agent", "m" * 2049)]))
    assert world.last("impression")["user_agent"] is None


def address_of(world, *forwarded):
    headers = [("X-Forwarded-For", value) for value in forwarded]
    with world.records(impression=1):
        is_gif(world.get(ping_target(world.mint()), headers))
    return world.last("impression")["client_address"]


@table("forwarded, network", {
    "IPv4, to its /24": (["203.0.113.77"], "203.0.113.0"),
    "IPv6, to its /48": (["2001:db8:1:2:3::4"], "2001:db8:1::"),
    "the last hop that is not trusted": (["198.51.100.9, 203.0.113.77, 127.0.0.9"], "203.0.113.0"),
    "the peer": ([], "127.0.0.0"),
})
def test_the_client_address_is_stored_masked(world_with, forwarded, network):
    world = world_with("--trusted-proxies", "127.0.0.0/8")
    assert address_of(world, *forwarded).split("/")[0] == network


def test_an_ipv4_address_written_as_ipv6_is_not_stored_whole(world_with):
    world = world_with("--trusted-proxies", "127.0.0.0/8")
    assert "77" not in address_of(world, "::ffff:203.0.113.77")
    assert "cb00:714d" not in address_of(world, "::ffff:cb00:714d")


def test_x_forwarded_for_of_a_stranger_is_ignored(world):
    assert address_of(world, "203.0.113.77").split("/")[0] == "127.0.0.0"


def test_client_address_full_stores_all_of_it(world_with):
    world = world_with("--trusted-proxies", "127.0.0.1", "--client-address", "full")
    assert address_of(world, "203.0.113.77") == "203.0.113.77"
    assert address_of(world, "2001:db8:1:2:3::4") == "2001:db8:1:2:3::4"


# -- answers that record nothing ------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender"])
@every_route
def test_a_prefetch_gets_its_answer_and_records_nothing(world, route, purpose):
    ad = world.mint()
    with world.records():
        is_gif(world.get(ping_target(ad, route), [("Sec-Purpose", purpose)]))
    with world.records(impression=1):
        is_gif(world.get(ping_target(ad, route)))


@every_route
def test_head_answers_as_get_and_records_nothing(world, route):
    ad = world.mint()
    with world.records():
        answer = world.send(world.get_bytes(ping_target(ad, route), method="HEAD"), "HEAD")
        assert answer.status == 200 and answer.header("content-type") == "image/gif"
        assert answer.header("content-length") in (None, "43")
        is_open(answer)
    with world.records(impression=1):
        is_gif(world.get(ping_target(ad, route)))


@every_route
def test_head_with_a_bad_token_is_404(world, route):
    data = world.get_bytes(ping_url(route, CANARY), method="HEAD")
    assert world.send(data, "HEAD").status == 404
    assert world.get("/health").status == 200


@table("query", {
    "no parameter": lambda p, t: "",
    "an empty parameter": lambda p, t: f"?{p}=",
    "garbage": lambda p, t: f"?{p}={CANARY}",
    "another name": lambda p, t: f"?{'p' if p == 'token' else 'token'}={t}",
    "the name in upper case": lambda p, t: f"?{p.upper()}={t}",
    "the parameter twice": lambda p, t: f"?{p}={t}&{p}={t}",
    "the parameter twice, one of them bad": lambda p, t: f"?{p}={t}&{p}={CANARY}",
    "the parameter twice, one of them empty": lambda p, t: f"?{p}={t}&{p}=",
    "the parameter twice, one of them by escape":
        lambda p, t: f"?{p}={t}&{'%70' if p == 'p' else '%74oken'}={t}",
    "the parameter in the path": lambda p, t: f"/{t}",
})
@every_route
def test_a_bad_parameter_is_not_found(world, route, query):
    _, path, parameter, _ = PINGS[route]
    token = token_of(world.mint()[PINGS[route][0]])
    with world.records():
        answer = world.get(path + query(parameter, token))
    if query(parameter, token).startswith("/"):
        assert (answer.status, answer.body) == (404, b'{"detail":"Not Found"}')
    else:
        is_not_found(answer)


BAD = {
    "of purpose click": {"purpose": "click", "url": "https://shop.example/"},
    "of purpose vote": {"purpose": "vote", "pol": 1},
    "of purpose results": {"purpose": "results", "pol": 1},
    "of no purpose": {"purpose": ""},
    "expired": {"exp": "2020-01-01T00:00:00Z"},
    "expired a moment ago": {"exp": tokens.rfc3339(-1)},
    "with another key": {"key": b"k" * 32},
    "with an unknown key id": {"footer": '{"kid":"nobody"}'},
    "without key id": {"footer": "{}"},
    "with a footer that is no JSON": {"footer": "kid"},
    "without bid": {"bid": None},
    "with a bid that is a number": {"bid": 7},
    "with a blank bid": {"bid": ""},
    "without pub": {"pub": None},
    "without exp": {"exp": None},
    "with an exp that is no time": {"exp": "soon"},
    "with an exp in seconds": {"exp": 4102444800},
    "with claims that are no object": {"raw": b"[]"},
    "with claims that are no JSON": {"raw": b"{"},
}


@table("claims", BAD)
@every_route
def test_a_bad_token_is_not_found_and_records_nothing(world, route, claims):
    token = forged(world, **{"purpose": PINGS[route][3], **claims})
    with world.records():
        is_not_found(world.get(ping_url(route, token)))


@every_route
def test_a_token_that_any_library_made_records(world, route):
    """The forger of the bad ones makes good ones too."""
    bid = unique("bid")
    with world.records(impression=1):
        token = forged(world, purpose=PINGS[route][3], bid=bid)
        is_gif(world.get(ping_url(route, token)))
    assert world.last("impression")["bid_id"] == bid


@every_route
def test_the_other_urls_of_an_ad_are_no_impressions(world, route):
    ad = world.mint()
    others = {"view_url", "impUrl", "url", "clickUrl"} - {PINGS[route][0]}
    with world.records():
        for name in others:
            is_not_found(world.get(ping_url(route, token_of(ad[name]))))


@every_route
def test_a_token_ends_with_its_ttl(world, route):
    ad = world.mint(ttl=1)
    time.sleep(1.05)
    with world.records():
        is_not_found(world.get(ping_target(ad, route)))


def test_what_an_expired_token_was_refused_another_of_its_bid_records(world):
    bid = unique("bid")
    token = forged(world, purpose="view", bid=bid, exp=tokens.rfc3339(-1))
    is_not_found(world.get(ping_url("view", token)))
    with world.records(impression=1):
        show(world, bid_id=bid)
