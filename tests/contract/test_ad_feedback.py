"""Contract section 4, "001 ad-feedback": what is recorded, and the order of checks."""

import json
import time

import pytest

from support import server as program
from support import tokens
from support.http import chunked
from support.publisher import (AD_FEEDBACK, FACTS, forged, is_gif, is_invalid_rating, is_not_rated,
                               is_open, is_rated, publisher_key, rate, rate_bytes, rating,
                               token_of)
from support.world import ABSENT, CANARY, table, unique

EMOJI = "\U0001f600"
BODY_MAX = 64 * 1024
FULL = {"reasons": ["not_interested", "repetitive"], "comment": "seen it", "placement":
        "below_response", "placementId": "slot-1", "userId": "u-1", "device": {"os": "iOS"}}


def refused_401(answer):
    is_not_rated(answer, 401, "unauthorized")
    assert answer.body == b'{"error":"unauthorized","message":"Invalid API key"}'


# -- what is recorded -----------------------------------------------------------------------


@pytest.mark.parametrize("sentiment", ["thumbs_up", "thumbs_down"])
def test_feedback_is_recorded_under_the_answered_id(world, sentiment):
    with world.records(ad_feedback=1):
        found = is_rated(rate(world, rating(world.mint(), sessionId="s-1", sentiment=sentiment)))
    row = world.last("ad_feedback")
    assert (row["feedback_id"], row["sent_session_id"]) == (found, "s-1")
    assert row["sentiment"] == sentiment
    assert abs(row["recorded_at_ms"] - time.time() * 1000) < 10000


def test_all_that_was_sent_is_kept(world):
    is_rated(rate(world, rating(world.mint(), **FULL)))
    row = world.last("ad_feedback")
    assert json.loads(row["reasons"]) == FULL["reasons"] and row["comment"] == "seen it"
    assert (row["sent_placement"], row["sent_placement_id"]) == ("below_response", "slot-1")
    assert row["sent_user_id"] == "u-1" and json.loads(row["device"]) == {"os": "iOS"}


def test_what_was_not_sent_is_null(world):
    is_rated(rate(world, rating(world.mint())))
    row = world.last("ad_feedback")
    for name in ("comment", "sent_placement", "sent_placement_id", "sent_user_id", "device"):
        assert row[name] is None, name
    assert row["reasons"] in (None, "[]")


def test_the_facts_of_the_ad_come_from_its_token(world):
    key = publisher_key(world.data, "pub-9")
    ad = world.mint(**FACTS)
    is_rated(rate(world, rating(ad, sessionId="theirs", placement="p", userId="u"), key))
    row = world.last("ad_feedback")
    assert {name: row[name] for name in FACTS} == FACTS and row["bid_id"] == ad["bidId"]
    assert (row["sent_session_id"], row["sent_placement"], row["sent_user_id"]) == (
        "theirs", "p", "u")


def test_the_row_names_the_key(world):
    label = unique("label")
    key = program.key_create(world.data, "publisher", label, "--publisher-id", "pub-1")
    is_rated(rate(world, rating(world.mint()), key))
    assert str(world.last("ad_feedback")["api_key_id"]) == program.key_id(world.data, label)


def test_no_earlier_ack_is_required_and_none_is_recorded(world):
    ad = world.mint()
    with world.records(ad_feedback=1):
        is_rated(rate(world, rating(ad)))
    with world.records(impression=1, ad_feedback=1):
        is_gif(world.follow(ad["impUrl"]))
        is_rated(rate(world, rating(ad)))


def test_feedback_ids_are_unique(world):
    ad = world.mint()
    with world.records(ad_feedback=60):
        found = [is_rated(a) for a in world.pipeline([rate_bytes(world, rating(ad))
                                                      for _ in range(60)])]
    assert len(set(found)) == 60


@table("fields", {
    "a reason of their own": {"reasons": ["any string, the page says"]},
    "32 reasons": {"reasons": [f"reason {n}" for n in range(32)]},
    "a reason of one character": {"reasons": ["x"]},
    "a reason of 100 emoji": {"reasons": [EMOJI * 100]},
    "a reason twice": {"reasons": ["a", "a"]},
    "reasons of thumbs_up on thumbs_down": {"sentiment": "thumbs_down", "reasons": ["helpful"]},
    "a comment of 1,000 letters": {"comment": "x" * 1000},
    "a comment of 1,000 emoji": {"comment": EMOJI * 1000},
    "a comment of quotes and lines": {"comment": "a\"b\\c\r\n\t'"},
    "an empty device": {"device": {}},
    "a deep device": {"device": {"a": [{"b": [None, True, -1.5e3, EMOJI]}]}},
    "a device of 50 KB": {"device": {"blob": "x" * 50000}},
    "a sessionId of emoji and lines": {"sessionId": f"a\n{EMOJI}\\"},
    "a sessionId of 256 bytes": {"sessionId": "é" * 128},
})
def test_a_field_may_hold(world, fields):
    with world.records(ad_feedback=1):
        is_rated(rate(world, rating(world.mint(), **fields)))
    row = world.last("ad_feedback")
    assert json.loads(row["reasons"] or "[]") == fields.get("reasons", [])
    assert row["comment"] == fields.get("comment")
    assert json.loads(row["device"] or "null") == fields.get("device")
    assert fields.get("sessionId", row["sent_session_id"]) == row["sent_session_id"]


def test_1000_emoji_by_escaped_surrogate_pairs_are_1000_characters(world):
    body = json.dumps(rating(world.mint(), comment=EMOJI * 1000))
    assert "\\ud83d\\ude00" in body
    is_rated(rate(world, body.encode()))
    assert world.last("ad_feedback")["comment"] == EMOJI * 1000


@pytest.mark.parametrize("blank", [None, "", " \t\n "], ids=["null", "empty", "white space"])
def test_blank_optional_fields_are_absent(world, blank):
    names = ("reasons", "comment", "placement", "placementId", "userId", "device")
    with world.records(ad_feedback=1):
        is_rated(rate(world, rating(world.mint(), **dict.fromkeys(names, blank))))
    row = world.last("ad_feedback")
    for name in ("comment", "sent_placement", "sent_placement_id", "sent_user_id", "device"):
        assert row[name] is None, name


def test_unlisted_fields_are_ignored(world):
    with world.records(ad_feedback=1):
        is_rated(rate(world, rating(world.mint(), grclid=CANARY, extra={"a": [CANARY]})))


def test_a_chunked_body_works(world):
    body = json.dumps(rating(world.mint())).encode()
    head = rate_bytes(world, b"", None, [("Content-Length", None),
                                         ("Transfer-Encoding", "chunked")])
    with world.records(ad_feedback=1):
        is_rated(world.send(head + chunked(body[:20], body[20:])))


# -- 401 ------------------------------------------------------------------------------------


@table("headers", {
    "no key": [],
    "an empty key": [("X-API-Key", "")],
    "a key of nobody": [("X-API-Key", CANARY)],
    "two keys of nobody": [("X-API-Key", CANARY), ("X-API-Key", CANARY)],
    "a key of nobody, as a bearer": [("Authorization", f"Bearer {CANARY}")],
})
def test_without_a_good_key_nothing_is_recorded(world, headers):
    body = rating(world.mint())
    with world.records():
        refused_401(rate(world, body, ABSENT, headers))


def test_the_key_is_read_from_its_own_header_only(world):
    key, body = publisher_key(world.data), rating(world.mint())
    with world.records():
        refused_401(rate(world, body, ABSENT, [("Authorization", f"Bearer {key}")]))
        refused_401(world.post(f"{AD_FEEDBACK}?x-api-key={key}", body, ABSENT))
        refused_401(rate(world, {**body, "X-API-Key": key}, ABSENT))


def test_header_names_have_no_case(world):
    headers = [("x-api-key", publisher_key(world.data))]
    is_rated(rate(world, rating(world.mint()), ABSENT, headers))


@pytest.mark.parametrize("klass", ["partner", "adserver", "admin"])
def test_a_key_of_another_class_is_401(world, klass):
    options = ["--partner-id", "acme"] if klass == "partner" else []
    key = program.key_create(world.data, klass, unique("label"), *options)
    with world.records():
        refused_401(rate(world, rating(world.mint()), key))


@table("spoil", {
    "with a character more": lambda key: key + "a",
    "with a character less": lambda key: key[:-1],
    "with its last character changed": lambda key: key[:-1] + ("a" if key[-1] != "a" else "b"),
    "twice in one header": lambda key: f"{key}, {key}",
})
def test_a_key_that_is_nearly_right_is_401(world, spoil):
    with world.records():
        refused_401(rate(world, rating(world.mint()), spoil(publisher_key(world.data))))


def test_a_revoked_key_is_401_with_the_next_request(world):
    label = unique("label")
    key = program.key_create(world.data, "publisher", label, "--publisher-id", "pub-1")
    is_rated(rate(world, rating(world.mint()), key))
    program.cli("key", "revoke", program.key_id(world.data, label), "--data", world.data)
    with world.records():
        refused_401(rate(world, rating(world.mint()), key))


def test_an_expired_key_is_401(world):
    key = program.key_create(world.data, "publisher", unique("label"), "--publisher-id", "pub-1",
                             "--expires", "2020-01-01T00:00:00Z")
    with world.records():
        refused_401(rate(world, rating(world.mint()), key))


def test_a_publisher_key_can_do_nothing_but_leave_feedback(world):
    key = publisher_key(world.data)
    with world.records():
        for path in ("/v1/mint", "/v1/api/collect", "/v1/api/conversion", "/api/conversion"):
            assert world.post(path, {"ads": [world.ad()]}, key).status == 401, path


# -- order: key, body, impUrl, limit --------------------------------------------------------


@table("body", {
    "a bad body": {"sentiment": 1},
    "no JSON": b"{",
    "a bad impUrl": {"sessionId": "s", "sentiment": "thumbs_up", "impUrl": "x"},
})
def test_the_key_is_checked_before_the_body(world, body):
    refused_401(rate(world, body, CANARY))
    assert rate(world, body).status == 422


def test_the_body_is_checked_before_the_imp_url(world):
    ad = {"impUrl": f"https://{CANARY}.example/?p=x"}
    is_invalid_rating(rate(world, rating(ad, comment=1)), "comment")
    is_not_rated(rate(world, rating(ad)), 422, "invalid_imp_url")


def test_body_and_imp_url_are_checked_before_the_limit(world):
    ad, session = world.mint(), unique("sess")
    requests = [rate_bytes(world, rating(ad, sessionId=session, comment=str(n)))
                for n in range(31)]
    with world.records(ad_feedback=30):
        assert world.pipeline(requests)[-1].status == 429
        is_invalid_rating(rate(world, rating(ad, sessionId=session, comment=1)), "comment")
        bad = rating({"impUrl": "https://a.example/?p=x"}, sessionId=session)
        is_not_rated(rate(world, bad), 422, "invalid_imp_url")
        refused_401(rate(world, bad, CANARY))


# -- impUrl ---------------------------------------------------------------------------------


@table("wrap", {
    "their own host": "https://ads.publisher.example/ack?p={}",
    "their own path": "https://api.trygravity.ai/pixels/imp.gif?p={}",
    "a port and http": "http://publisher.example:8080/?p={}",
    "parameters in front": "https://publisher.example/x?cb=1&token=nothing&p={}",
    "parameters behind": "https://publisher.example/x?p={}&cb=1&pp=2&P=3",
    "a fragment": "https://publisher.example/x?p={}#p=other",
    "no path": "https://publisher.example?p={}",
    "IPv6": "https://[2001:db8::1]/ack?p={}",
    "user and password": "https://a:b@publisher.example/?p={}",
    "an app's own scheme": "reader://imp?p={}",
    "the name by escape": "https://publisher.example/?%70={}",
})
def test_only_the_p_of_the_imp_url_is_read(world, wrap):
    url = wrap.format(token_of(world.mint()["impUrl"]))
    with world.records(ad_feedback=1):
        is_rated(rate(world, rating({"impUrl": url})))


@table("url", {
    "no p": lambda t: "https://a.example/ack",
    "no p but a query": lambda t: f"https://a.example/ack?token={t}",
    "P in upper case": lambda t: f"https://a.example/ack?P={t}",
    "an empty p": lambda t: "https://a.example/ack?p=",
    "p twice": lambda t: f"https://a.example/ack?p={t}&p={t}",
    "p twice, one of them empty": lambda t: f"https://a.example/ack?p=&p={t}",
    "p twice, one of them by escape": lambda t: f"https://a.example/ack?p={t}&%70={t}",
    "p in the path": lambda t: f"https://a.example/ack/p={t}",
    "p in the fragment": lambda t: f"https://a.example/ack#p={t}",
    "p inside another value": lambda t: f"https://a.example/ack?x=?p={t}",
    "p behind an HTML entity": lambda t: f"https://a.example/ack?a=1&amp;p={t}",
    "p behind the fragment's mark": lambda t: f"https://a.example/ack?a=1#&p={t}",
    "garbage as p": lambda t: f"https://a.example/ack?p={CANARY}",
    "a token cut short": lambda t: f"https://a.example/ack?p={t[:-1]}",
    "a padded token": lambda t: f"https://a.example/ack?p={t}=",
    "the bare token": lambda t: t,
    "no URL": lambda t: CANARY,
    "a p of 5,000 characters": lambda t: "https://a.example/ack?p=v4.local." + "A" * 5000,
})
def test_an_imp_url_without_a_good_p_is_refused(world, url):
    bad = url(token_of(world.mint()["impUrl"]))
    with world.records():
        is_not_rated(rate(world, rating({"impUrl": bad})), 422, "invalid_imp_url")


@table("claims", {
    "of purpose view": {"purpose": "view"},
    "of purpose click": {"purpose": "click", "url": "https://shop.example/"},
    "of purpose vote": {"purpose": "vote", "pol": 1},
    "of purpose results": {"purpose": "results", "pol": 1},
    "of another key": {"key": b"k" * 32},
    "of an unknown key id": {"footer": '{"kid":"nobody"}'},
    "of another publisher": {"pub": "pub-2"},
    "of no publisher": {"pub": None},
    "of no bid": {"bid": None},
    "of claims that are no JSON": {"raw": b"{"},
})
def test_an_imp_url_with_a_token(world, claims):
    url = "https://a.example/ack?p=" + forged(world, **{"purpose": "ack", **claims})
    with world.records():
        is_not_rated(rate(world, rating({"impUrl": url})), 422, "invalid_imp_url")


def test_an_imp_url_must_belong_to_the_keys_publisher(world):
    one, two = publisher_key(world.data, "pub-1"), publisher_key(world.data, "pub-2")
    ads = {"pub-1": world.mint(publisher_id="pub-1"), "pub-2": world.mint(publisher_id="pub-2")}
    with world.records(ad_feedback=2):
        is_not_rated(rate(world, rating(ads["pub-2"]), one), 422, "invalid_imp_url")
        is_not_rated(rate(world, rating(ads["pub-1"]), two), 422, "invalid_imp_url")
        is_rated(rate(world, rating(ads["pub-1"]), one))
        is_rated(rate(world, rating(ads["pub-2"]), two))


@pytest.mark.parametrize("exp", ["2020-01-01T00:00:00Z", tokens.rfc3339(-1)])
def test_an_imp_url_does_not_expire(world, exp):
    token = forged(world, purpose="ack", exp=exp)
    with world.records(ad_feedback=1):
        is_rated(rate(world, rating({"impUrl": f"https://a.example/ack?p={token}"})))


# -- size and method ------------------------------------------------------------------------


def test_an_imp_url_of_100_kib_is_413(world):
    url = "https://a.example/ack?p=" + CANARY * 10240
    with world.records(), world.connect() as conn:
        conn.send(rate_bytes(world, rating({"impUrl": url})))
        is_not_rated(conn.read(), 413, "payload_too_large")


def test_a_body_of_64_kib_works_and_one_byte_more_is_413(world):
    body = json.dumps(rating(world.mint())).encode()
    with world.records(), world.connect() as conn:
        conn.send(rate_bytes(world, body.ljust(BODY_MAX + 1)))
        is_not_rated(conn.read(), 413, "payload_too_large")
    with world.records(ad_feedback=1):
        is_rated(rate(world, body.ljust(BODY_MAX)))


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_method_is_405(world, method):
    answer = world.send(world.get_bytes(AD_FEEDBACK, [("Content-Length", "0")], method))
    is_not_rated(answer, 405, "method_not_allowed")
    assert "POST" in [m.strip() for m in answer.header("allow").split(",")]


def test_head_is_405(world):
    answer = world.send(world.get_bytes(AD_FEEDBACK, method="HEAD"), "HEAD")
    assert answer.status == 405
    is_open(answer)
