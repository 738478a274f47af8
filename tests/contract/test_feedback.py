"""Contract section 4, "000 feedback"."""

import time

import pytest

from support.http import chunked
from support.publisher import (FACTS, FEEDBACK, feedback, forged, is_detail, is_given, is_open,
                               is_unprocessable, ping_target, ping_url, send_feedback, show)
from support.world import ABSENT, CANARY, table, together, unique

EMOJI = "\U0001f600"
BODY_MAX = 64 * 1024
NO_IMPRESSION = "Impression not found"


def give(world, bid_id, *args, **fields):
    return send_feedback(world, feedback(bid_id, *args, **fields))


# -- what is recorded -----------------------------------------------------------------------


@pytest.mark.parametrize("route", ["view", "ack", "track"])
@pytest.mark.parametrize("kind", ["positive", "negative"])
def test_feedback_on_an_impression_is_recorded(world, route, kind):
    ad = show(world, route)
    with world.records(feedback=1):
        is_given(give(world, ad["bidId"], kind))
    row = world.last("feedback")
    assert (row["bid_id"], row["feedback_type"]) == (ad["bidId"], kind)
    assert row["feedback_text"] is None
    assert abs(row["recorded_at_ms"] - time.time() * 1000) < 10000


def test_the_stored_feedback_points_at_its_impression(world):
    """User, publisher, campaign and product resolve without the client."""
    other, ad = show(world), show(world, **FACTS)
    show(world)
    assert other["bidId"] != ad["bidId"]
    is_given(give(world, ad["bidId"]))
    (row,) = world.rows("SELECT i.* FROM feedback f JOIN impression i ON i.seq = f.impression_seq "
                        "WHERE f.bid_id = ?", ad["bidId"])
    assert {name: row[name] for name in FACTS} == FACTS and row["bid_id"] == ad["bidId"]


@table("text", {
    "plain": "too many shoes",
    "1,000 letters": "x" * 1000,
    "1,000 emoji": EMOJI * 1000,
    "1,000 combining marks": "e" + "\u0301" * 999,
    "quotes, lines and controls": "a\"b\\c\r\n\t\x01'",
    "white space around it": "  a  ",
})
def test_the_text_is_kept_as_sent(world, text):
    ad = show(world)
    with world.records(feedback=1):
        is_given(give(world, ad["bidId"], "negative", feedback_text=text))
    assert world.last("feedback")["feedback_text"] == text


def test_emoji_by_escaped_surrogate_pairs_count_once_each(world):
    ad = show(world)
    body = b'{"bid_id":"%s","feedback_type":"negative","feedback_text":"%s"}'
    with world.records(feedback=1):
        is_given(send_feedback(world, body % (ad["bidId"].encode(), b"\\ud83d\\ude00" * 1000)))
    assert world.last("feedback")["feedback_text"] == EMOJI * 1000


@pytest.mark.parametrize("text", [ABSENT, None, "", " \t\r\n "],
                         ids=["absent", "null", "empty", "white space"])
def test_blank_text_is_no_text(world, text):
    ad = show(world)
    is_given(give(world, ad["bidId"], feedback_text=text))
    assert world.last("feedback")["feedback_text"] is None


def test_unlisted_fields_are_ignored(world):
    ad = show(world)
    with world.records(feedback=1):
        is_given(give(world, ad["bidId"], user_id=CANARY, zz={"a": [1, None]}))


@table("kind", {
    "the documented type": "application/json",
    "a charset": "application/json; charset=utf-8",
    "any case": "Application/JSON",
})
def test_content_type_may_be(world, kind):
    ad = show(world)
    is_given(send_feedback(world, feedback(ad["bidId"]), [("Content-Type", kind)]))


def test_no_authentication_is_required_and_none_disturbs(world):
    ad = show(world)
    headers = [("Authorization", f"Bearer {CANARY}"), ("X-API-Key", CANARY), ("Cookie", CANARY)]
    with world.records(feedback=1):
        is_given(send_feedback(world, feedback(ad["bidId"]), headers))


def test_a_chunked_body_works(world):
    ad = show(world)
    body = b'{"bid_id":"%s","feedback_type":"positive"}' % ad["bidId"].encode()
    head = world.post_bytes(FEEDBACK, b"", ABSENT, [("Content-Length", None),
                                                    ("Transfer-Encoding", "chunked")])
    with world.records(feedback=1):
        is_given(world.send(head + chunked(body[:5], body[5:])))


# -- once per impression --------------------------------------------------------------------


@table("second", {
    "the same": {},
    "a mind changed": {"feedback_type": "negative"},
    "a text added": {"feedback_text": "later"},
})
def test_a_second_feedback_is_204_and_nothing_is_overwritten(world, second):
    ad = show(world)
    with world.records(feedback=1):
        is_given(give(world, ad["bidId"], "positive"))
        row = world.last("feedback")
        for _ in range(3):
            is_given(send_feedback(world, {**feedback(ad["bidId"]), **second}))
    assert world.last("feedback") == row and row["feedback_type"] == "positive"


def test_32_feedbacks_at_one_moment_are_one(world):
    ad = show(world)
    with world.records(feedback=1):
        kinds = ("positive", "negative")
        for answer in together(32, lambda n: give(world, ad["bidId"], kinds[n % 2])):
            is_given(answer)


def test_bids_do_not_share_their_feedback(world):
    ads = [show(world) for _ in range(20)]
    with world.records(feedback=20):
        for ad in ads * 2:
            is_given(give(world, ad["bidId"]))


# -- 404 ------------------------------------------------------------------------------------


@table("bid", {
    "of nobody": lambda ad: CANARY,
    "in another case": lambda ad: ad["bidId"].upper(),
    "with a space behind": lambda ad: ad["bidId"] + " ",
    "with a letter less": lambda ad: ad["bidId"][:-1],
    "of SQL": lambda ad: "' OR 1=1 --",
    "with a wildcard": lambda ad: "%",
    "of 256 bytes": lambda ad: "unknown-" * 32,
})
def test_feedback_on_an_unknown_bid_is_404(world, bid):
    ad = show(world, bid_id="bid-" + unique("abc"))
    with world.records():
        is_detail(give(world, bid(ad)), 404, NO_IMPRESSION)


def test_an_ad_that_was_never_shown_is_404_until_it_is(world):
    ad = world.mint()
    with world.records(click=1):
        is_detail(give(world, ad["bidId"]), 404, NO_IMPRESSION)
        world.follow(ad["url"])
        is_detail(give(world, ad["bidId"]), 404, NO_IMPRESSION)
    with world.records(impression=1, feedback=1):
        world.follow(ad["view_url"])
        is_given(give(world, ad["bidId"]))


def test_an_impression_older_than_its_ttl_is_404(world_with):
    """For a first feedback and for a second, with and without a new ping in between."""
    world = world_with("--impression-ttl", "2s")
    ad, rated = show(world), show(world)
    is_given(give(world, rated["bidId"]))
    time.sleep(2.05)
    with world.records():
        for bid in (ad["bidId"], rated["bidId"]):
            is_detail(give(world, bid), 404, NO_IMPRESSION)
        assert world.get(ping_target(ad)).status == 404
        is_detail(give(world, ad["bidId"]), 404, NO_IMPRESSION)


# -- 422 ------------------------------------------------------------------------------------


@table("fields, problems", {
    "no bid_id": ({"bid_id": ABSENT}, [("missing", "bid_id")]),
    "a bid_id of null": ({"bid_id": None}, [("missing", "bid_id")]),
    "an empty bid_id": ({"bid_id": ""}, [("missing", "bid_id")]),
    "a blank bid_id": ({"bid_id": " \t\n"}, [("missing", "bid_id")]),
    "a number as bid_id": ({"bid_id": 17}, [("string_type", "bid_id")]),
    "a boolean as bid_id": ({"bid_id": True}, [("string_type", "bid_id")]),
    "an array as bid_id": ({"bid_id": [CANARY]}, [("string_type", "bid_id")]),
    "an object as bid_id": ({"bid_id": {"a": CANARY}}, [("string_type", "bid_id")]),
    "a bid_id of 257 bytes": ({"bid_id": "x" * 257}, [("string_too_long", "bid_id")]),
    "a bid_id of 129 characters and 258 bytes": ({"bid_id": "é" * 129},
                                                 [("string_too_long", "bid_id")]),
    "no feedback_type": ({"feedback_type": ABSENT}, [("missing", "feedback_type")]),
    "a feedback_type of null": ({"feedback_type": None}, [("missing", "feedback_type")]),
    "an empty feedback_type": ({"feedback_type": ""}, [("missing", "feedback_type")]),
    "another feedback_type": ({"feedback_type": CANARY}, [("literal_error", "feedback_type")]),
    "a feedback_type in capitals": ({"feedback_type": "Positive"},
                                    [("literal_error", "feedback_type")]),
    "a feedback_type with a space": ({"feedback_type": "positive "},
                                     [("literal_error", "feedback_type")]),
    "the words of seed 001": ({"feedback_type": "thumbs_up"}, [("literal_error", "feedback_type")]),
    "a number as feedback_type": ({"feedback_type": 1},
                                  [("string_type|literal_error", "feedback_type")]),
    "an object as feedback_type": ({"feedback_type": {}},
                                   [("string_type|literal_error", "feedback_type")]),
    "1,001 letters": ({"feedback_text": "x" * 1001}, [("string_too_long", "feedback_text")]),
    "1,001 emoji": ({"feedback_text": EMOJI * 1001}, [("string_too_long", "feedback_text")]),
    "a number as text": ({"feedback_text": 17}, [("string_type", "feedback_text")]),
    "a boolean as text": ({"feedback_text": False}, [("string_type", "feedback_text")]),
    "an array as text": ({"feedback_text": [CANARY]}, [("string_type", "feedback_text")]),
    "an object as text": ({"feedback_text": {CANARY: 1}}, [("string_type", "feedback_text")]),
    "all of them, in the page's order": (
        {"feedback_text": 1, "feedback_type": "x", "bid_id": ABSENT},
        [("missing", "bid_id"), ("literal_error", "feedback_type"),
         ("string_type", "feedback_text")]),
    "nothing at all": ({"bid_id": ABSENT, "feedback_type": ABSENT},
                       [("missing", "bid_id"), ("missing", "feedback_type")]),
})
def test_a_bad_body_is_422(world, fields, problems):
    """And it takes nothing from the impression: the good feedback after it counts."""
    ad = show(world)
    body = {**feedback(ad["bidId"]), **fields}
    body = {k: v for k, v in body.items() if v is not ABSENT}
    with world.records():
        is_unprocessable(send_feedback(world, body),
                         *((kind, ["body", field]) for kind, field in problems))
    with world.records(feedback=1):
        is_given(give(world, ad["bidId"]))


@table("text", {
    "a lone high surrogate": b"\\ud800",
    "a lone low surrogate": b"\\udc00",
    "surrogates the wrong way round": b"\\udc00\\ud83d",
    "a high surrogate and a letter": b"\\ud83dA",
    "an encoded surrogate": b"\xed\xa0\x80",
    "a broken sequence": b"\xf0\x9f\x98",
    "an escaped U+0000": b"\\u0000",
    "a raw line feed": b"\n",
    "the end of the string": b'"',
})
@pytest.mark.parametrize("field", ["bid_id", "feedback_text", "unlisted"])
def test_malformed_json_is_422(world, field, text):
    ad = show(world)
    head = b'{"bid_id":"%s","feedback_type":"positive"' % ad["bidId"].encode()
    body = head + b',"%s":"%s%s"}' % (field.encode(), CANARY.encode(), text)
    if field == "bid_id":
        body = b'{"feedback_type":"positive","bid_id":"%s%s"}' % (CANARY.encode(), text)
    with world.records():
        answer = send_feedback(world, body)
        is_unprocessable(answer, ("json_invalid", answer.json["detail"][0]["loc"]))
        assert answer.json["detail"][0]["loc"][0] == "body"


@table("body", {
    "an empty body": b"",
    "no JSON": CANARY.encode(),
    "a form": b"bid_id=x&feedback_type=positive",
    "two documents": b"{}{}",
    "a name twice": b'{"bid_id":"a","bid_id":"a","feedback_type":"positive"}',
    "a comma at the end": b'{"bid_id":"a","feedback_type":"positive",}',
    "a byte order mark": b'\xef\xbb\xbf{"bid_id":"a","feedback_type":"positive"}',
    "depth 33": b'{"a":' + b"[" * 32 + b"]" * 32 + b"}",
})
def test_what_is_no_json_document_is_422(world, body):
    with world.records():
        answer = send_feedback(world, body)
        is_unprocessable(answer, ("json_invalid", answer.json["detail"][0]["loc"]))


@pytest.mark.parametrize("body", [b"[]", b'"bid"', b"17", b"true"])
def test_valid_json_but_no_object_is_a_wrong_type(world, body):
    is_unprocessable(send_feedback(world, body), ("object_type", ["body"]))


@table("kind", {
    "absent": None,
    "text/plain, what a beacon sends": "text/plain;charset=UTF-8",
    "a form": "application/x-www-form-urlencoded",
    "a canary": f"application/{CANARY}",
})
def test_content_type_must_not_be(world, kind):
    ad = show(world)
    with world.records():
        answer = send_feedback(world, feedback(ad["bidId"]), [("Content-Type", kind)])
        is_unprocessable(answer, (None, ["header", "content-type"]))


def test_the_body_is_checked_before_the_impression(world):
    is_unprocessable(give(world, "bid-of-nobody", CANARY),
                     ("literal_error", ["body", "feedback_type"]))


# -- size and method ------------------------------------------------------------------------


def test_a_body_of_64_kib_works_and_one_byte_more_is_413(world):
    ad = show(world)
    body = b'{"bid_id":"%s","feedback_type":"positive"}' % ad["bidId"].encode()
    with world.records(), world.connect() as conn:
        conn.send(world.post_bytes(FEEDBACK, body.ljust(BODY_MAX + 1), ABSENT))
        is_detail(conn.read(), 413)
    with world.records(feedback=1):
        is_given(send_feedback(world, body.ljust(BODY_MAX)))


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_method_is_405(world, method):
    answer = world.send(world.get_bytes(FEEDBACK, [("Content-Length", "0")], method))
    is_detail(answer, 405)
    assert "POST" in [m.strip() for m in answer.header("allow").split(",")]


def test_head_is_405(world):
    answer = world.send(world.get_bytes(FEEDBACK, method="HEAD"), "HEAD")
    assert answer.status == 405
    is_open(answer)


def test_an_impression_of_any_library_takes_feedback(world):
    bid = unique("bid")
    token = forged(world, purpose="view", bid=bid, cam="cam-other")
    assert world.get(ping_url("view", token)).status == 200
    with world.records(feedback=1):
        is_given(give(world, bid))
