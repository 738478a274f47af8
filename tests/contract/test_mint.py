"""Contract section 6: minting, over HTTP and on the command line, and what is in the tokens."""

import datetime
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from support import paseto, tokens
from support import server as program
from support.http import build, exchange
from support.world import (ABSENT, CANARY, LANDING, MINT, UUID7, is_invalid, is_recorded,
                           is_refused, table, unique)

URLS = {"view_url": ("/api/v1/tracking/view", "token", "view"),
        "url": ("/api/v1/tracking/redirect", "token", "click"),
        "impUrl": ("/ack", "p", "ack"),
        "clickUrl": ("/track/click", "p", "click")}
FULL = {"publisher_id": "pub-9", "campaign_id": "cam-1", "product_id": "prd-1",
        "creative_id": "crt-1", "advertiser_id": "adv-1", "user_id": "usr-1",
        "session_id": "ses-1", "placement": "below", "price": "1.25", "currency": "EUR",
        "pricing": "cpc", "landing_url": LANDING}
CLAIMS = {"pub": "publisher_id", "cam": "campaign_id", "prd": "product_id", "crt": "creative_id",
          "adv": "advertiser_id", "usr": "user_id", "ses": "session_id", "plc": "placement"}


def token_of(ad, name):
    (token,) = parse_qs(urlsplit(ad[name]).query)[URLS[name][1]]
    return token


def expiry_s(ad):
    when = datetime.datetime.fromisoformat(ad["expires_at"].replace("Z", "+00:00"))
    assert when.tzinfo is not None
    return (when - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


def refuse(world, ads, *problems):
    with world.records():
        answer = world.post(MINT, {"ads": ads}, world.adserver)
        is_invalid(answer, 422, *problems)


def test_an_ad_gets_its_urls_and_nothing_is_stored(world):
    with world.records():
        ad = world.mint(**FULL)
    assert set(ad) >= {"bidId", "expires_at", *URLS}
    assert not set(ad) & {"vote_url", "results_url", "poll"}
    for name, (path, parameter, _) in URLS.items():
        assert ad[name].startswith(f"http://{world.host}{path}?{parameter}=v4.local."), ad[name]


def test_the_answer_is_json_and_in_request_order(world):
    bids = [unique("bid") for _ in range(20)]
    ads = world.mint_many([world.ad(bid_id=b) for b in bids])
    assert [ad["bidId"] for ad in ads] == bids


@pytest.mark.parametrize("name", URLS)
def test_a_token_is_paseto_v4_local_bound_to_its_purpose(world, name):
    """Read by an independent implementation, with the exported key."""
    ad, purpose = world.mint(**FULL), URLS[name][2]
    token = token_of(ad, name)
    assert set(tokens.footer_of(token)) == {"kid"}
    claims = tokens.read(world.data, token, purpose)
    assert claims["bid"] == ad["bidId"]
    assert {c: claims[c] for c in CLAIMS} == {c: FULL[f] for c, f in CLAIMS.items()}
    assert (claims["prc"], claims["cur"], claims["mod"]) == ("1.25", "EUR", "cpc")
    assert claims.get("url") == (LANDING if purpose == "click" else None)
    assert claims["exp"] == ad["expires_at"]
    for other in {"view", "ack", "click", "vote", "results"} - {purpose}:
        with pytest.raises(ValueError):
            tokens.read(world.data, token, other)


def test_exp_is_written_to_the_millisecond(world):
    claims = tokens.read(world.data, token_of(world.mint(ttl=5), "url"), "click")
    when = datetime.datetime.fromisoformat(claims["exp"].replace("Z", "+00:00"))
    assert when.microsecond % 1000 == 0 and "." in claims["exp"]


def test_absent_fields_make_no_claims(world):
    claims = tokens.read(world.data, token_of(world.mint(), "url"), "click")
    assert set(claims) == {"bid", "pub", "url", "exp"}


def test_two_tokens_of_one_ad_are_not_alike(world):
    one, two = (world.mint(bid_id="same") for _ in range(2))
    assert token_of(one, "url") != token_of(two, "url")


def test_a_bid_id_is_a_new_uuid7_by_default(world):
    bids = {ad["bidId"] for ad in world.mint_many([world.ad() for _ in range(50)])}
    assert len(bids) == 50 and all(UUID7.fullmatch(b) for b in bids)


def test_without_landing_url_there_is_nothing_to_click(world):
    ad = world.mint(landing_url=ABSENT)
    assert "view_url" in ad and "impUrl" in ad and "url" not in ad and "clickUrl" not in ad


@pytest.mark.parametrize("blank", [None, "", " "], ids=repr)
def test_a_blank_field_of_an_ad_counts_as_absent(world, blank):
    ad = world.mint(landing_url=blank, campaign_id=blank, currency=blank, bid_id=blank)
    assert "url" not in ad and UUID7.fullmatch(ad["bidId"])


@table("price, claim", {
    "a decimal string": ("1.25", "1.25"),
    "a number": (1.25, "1.25"),
    "an integer": (3, "3"),
    "zero": ("0", "0"),
})
def test_a_price_may_be(world, price, claim):
    ad = world.mint(price=price, currency="USD", pricing="cpm")
    assert tokens.read(world.data, token_of(ad, "url"), "click")["prc"] == claim


# -- time to live ---------------------------------------------------------------------------


@table("ttl, seconds", {
    "one second": (1, 1),
    "an hour": (3600, 3600),
    "30 days, the impression_ttl": (30 * 86400, 30 * 86400),
    "7 days by default": (ABSENT, 7 * 86400),
})
def test_a_ttl_may_be(world, ttl, seconds):
    assert abs(expiry_s(world.mint(ttl=ttl)) - seconds) < 5


@pytest.mark.parametrize("ttl", [0, -1, 30 * 86400 + 1, 10**18])
def test_a_ttl_must_not_be(world, ttl):
    refuse(world, [world.ad(ttl=ttl)], (None, ["body", "ads", 0, "ttl"]))


def test_a_ttl_is_at_most_the_impression_ttl(world_with):
    world = world_with("--impression-ttl", "1h")
    assert abs(expiry_s(world.mint()) - 3600) < 5
    assert abs(expiry_s(world.mint(ttl=3600)) - 3600) < 5
    refuse(world, [world.ad(ttl=3601)], (None, ["body", "ads", 0, "ttl"]))


# -- refusals -------------------------------------------------------------------------------


@table("body, problem", {
    "no ads": ({}, ("missing", ["body", "ads"])),
    "ads null": ({"ads": None}, ("missing", ["body", "ads"])),
    "ads an object": ({"ads": {}}, ("array_type", ["body", "ads"])),
    "ads a string": ({"ads": CANARY}, ("array_type", ["body", "ads"])),
    "no ad at all": ({"ads": []}, (None, ["body", "ads"])),
    "501 ads": ({"ads": [{"publisher_id": "p"}] * 501}, (None, ["body", "ads"])),
    "an ad that is a string": ({"ads": [CANARY]}, ("object_type", ["body", "ads", 0])),
})
def test_a_request_without_1_to_500_ads_is_refused(world, body, problem):
    with world.records():
        is_invalid(world.post(MINT, body, world.adserver), 422, problem)


def test_500_ads_are_minted(world):
    assert len(world.mint_many([world.ad()] * 500)) == 500


@table("fields, kind", {
    "publisher_id missing": ({"publisher_id": ABSENT}, "missing"),
    "publisher_id a number": ({"publisher_id": 1}, "string_type"),
    "publisher_id too long": ({"publisher_id": "x" * 257}, "string_too_long"),
    "campaign_id a boolean": ({"campaign_id": True}, "string_type"),
    "advertiser_id an object": ({"advertiser_id": {}}, "string_type"),
    "bid_id a number": ({"bid_id": 5}, "string_type"),
    "bid_id too long": ({"bid_id": "x" * 257}, "string_too_long"),
    "price no decimal": ({"price": CANARY}, None),
    "price a boolean": ({"price": True}, None),
    "currency unknown": ({"currency": "XYZ"}, "currency_invalid"),
    "pricing unknown": ({"pricing": "cpa"}, "literal_error"),
    "landing_url a number": ({"landing_url": 1}, "string_type"),
    "landing_url ftp": ({"landing_url": f"ftp://{CANARY}/"}, None),
    "landing_url javascript": ({"landing_url": f"javascript:alert('{CANARY}')"}, None),
    "landing_url data": ({"landing_url": "data:text/html,x"}, None),
    "landing_url without scheme": ({"landing_url": "//shop.example/"}, None),
    "landing_url a path": ({"landing_url": "/landing"}, None),
    "landing_url without host": ({"landing_url": "https://"}, None),
    "landing_url that would split the answer":
        ({"landing_url": "https://a.example/\r\nX: y"}, None),
    "landing_url over 2,048": ({"landing_url": "https://a.example/" + "x" * 2031},
                               "string_too_long"),
    "ttl a string": ({"ttl": "3600"}, "int_type"),
    "poll_id a string": ({"poll_id": "1"}, "int_type"),
    "poll_id of no poll": ({"poll_id": 987654321}, None),
})
def test_a_bad_ad_is_refused_with_its_place(world, fields, kind):
    (name,) = fields
    refuse(world, [world.ad(), world.ad(**fields)], (kind, ["body", "ads", 1, name]))


def test_a_landing_url_of_2048_works(world):
    url = "https://a.example/".ljust(2048, "x")
    location = world.follow(world.mint(landing_url=url)["url"]).header("location")
    assert location.startswith(url + "?")


def test_a_url_over_6_kib_is_refused(world):
    long = {f: '"' * 256 for f in CLAIMS.values()}
    with world.records():
        answer = world.post(MINT, {"ads": [world.ad(**long, landing_url="https://a.example/"
                                                    .ljust(2048, "x"))]}, world.adserver)
        is_refused(answer, 422)
    ad = world.mint(**{f: "x" * 200 for f in CLAIMS.values()})
    assert all(1600 < len(ad[name]) <= 6144 for name in URLS)


def test_one_bad_ad_refuses_all(world):
    refuse(world, [world.ad(), world.ad(publisher_id=ABSENT), world.ad(currency="XYZ")],
           ("missing", ["body", "ads", 1, "publisher_id"]),
           ("currency_invalid", ["body", "ads", 2, "currency"]))


# -- where URLs begin -----------------------------------------------------------------------


def test_urls_begin_with_the_host_of_the_request(world):
    (ad,) = world.mint_many([world.ad()], [("Host", "ads.example:8443")])
    assert all(ad[n].startswith("http://ads.example:8443" + URLS[n][0]) for n in URLS)


@pytest.mark.parametrize("base", ["https://ads.example", "https://ads.example/"])
def test_urls_begin_with_the_public_url(world_with, base):
    world = world_with("--public-url", base)
    ad = world.mint()
    assert all(ad[n].startswith("https://ads.example" + URLS[n][0] + "?") for n in URLS)


# -- the command ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["a file", "a file before --data", "standard input", "a dash"])
def test_the_command_mints_as_the_route_does(world, data_dir, how):
    text = json.dumps({"ads": [world.ad(bid_id=unique("cli")), world.ad()]})
    (data_dir / "ads.json").write_text(text)
    args = {"a file": ["--data", world.data, data_dir / "ads.json"],
            "a file before --data": [data_dir / "ads.json", "--data", world.data],
            "standard input": ["--data", world.data], "a dash": ["-", "--data", world.data]}[how]
    stdin = b"" if "file" in how else text.encode()
    ads = json.loads(program.cli("mint", *args, stdin=stdin))["ads"]
    assert len(ads) == 2 and set(ads[0]) == set(world.mint())
    assert all(ads[0][n].startswith(f"http://{world.host}{URLS[n][0]}?") for n in URLS)
    answer = world.follow(ads[0]["url"])
    assert answer.status == 302 and "thrad_click_id=" in answer.header("location")


@table("text", {
    "malformed JSON": "{",
    "no ads": "{}",
    "a bad ad": '{"ads":[{"publisher_id":1}]}',
})
def test_the_command_refuses_what_the_route_refuses(world, text):
    done = program.run("mint", "--data", world.data, stdin=text.encode())
    assert done.returncode == 1 and done.stdout == b"" and done.stderr


def test_the_command_mints_without_a_server(world, data_dir, own_server):
    program.partner_key(data_dir)
    ads = json.loads(program.cli("mint", "--data", data_dir, stdin=json.dumps(
        {"ads": [world.ad()]}).encode()))["ads"]
    server = own_server()
    answer = exchange(server.port, build("GET", world.target(ads[0]["url"]), [("Host", "a")]))
    assert answer.status == 302 and "thrad_click_id=" in answer.header("location")
    assert tokens.read(data_dir, token_of(ads[0], "url"), "click")["pub"] == "pub-1"


# -- token keys -----------------------------------------------------------------------------


def test_token_keys_rotate_and_retire(world_with):
    """Minted with the newest; the others are accepted until they are retired."""
    world = world_with("--click-ttl", "80d")
    old = world.mint()
    old_kid = tokens.footer_of(token_of(old, "url"))["kid"]
    assert tokens.kids(world.data) == [old_kid]
    program.cli("token-key", "rotate", "--data", world.data)
    new = world.mint()
    new_kid = tokens.footer_of(token_of(new, "url"))["kid"]
    assert new_kid != old_kid and set(tokens.kids(world.data)) >= {old_kid, new_kid}
    for ad in (old, new):
        assert "thrad_click_id=" in world.follow(ad["url"]).header("location")
    program.cli("token-key", "retire", old_kid, "--data", world.data)
    with world.records():
        is_refused(world.follow(old["url"]), 404, "Not Found")
        is_refused(world.follow(old["clickUrl"]), 404, "Not Found")
    assert "thrad_click_id=" in world.follow(new["url"]).header("location")


def test_a_token_of_an_independent_library_is_accepted(world):
    """Forged here in Python with the exported key: its click converts like any other."""
    token = tokens.forge(world.data, bid=unique("bid"), adv="adv-1", usr="usr-1")
    answer = world.get(f"/api/v1/tracking/redirect?token={token}")
    assert answer.status == 302
    (click,) = parse_qs(urlsplit(answer.header("location")).query)["thrad_click_id"]
    is_recorded(world.convert(click))
    assert world.last("click")["user_id"] == "usr-1"


def test_the_tests_own_paseto_is_sound():
    token = paseto.seal(b"k" * 32, {"a": 1}, b"f", b"i")
    assert paseto.unseal(b"k" * 32, token, b"i") == {"a": 1}
