"""Contract sections 3 and 4, "001 ad-feedback": bodies that are refused, in the page's dialect."""

import json
import random

import pytest

from support.publisher import is_invalid_rating, is_not_rated, is_rated, rate, rating
from support.world import ABSENT, CANARY, table, unique

EMOJI = "\U0001f600"
STRINGS = ("sessionId", "impUrl", "sentiment", "comment", "placement", "placementId", "userId")
REQUIRED = ("sessionId", "impUrl", "sentiment")
NO_STRINGS = {"a number": 17, "a boolean": True, "an array": [CANARY], "an object": {CANARY: 1}}
BLANKS = {"absent": ABSENT, "null": None, "an empty string": "", "white space": " \t\n"}


def refused(world, fields, *names):
    """The body is refused for just these fields, and takes nothing: mended, it counts."""
    ad, session = world.mint(), unique("sess")
    with world.records():
        body = {**rating(ad, sessionId=session), **fields}
        body = {k: v for k, v in body.items() if v is not ABSENT}
        is_invalid_rating(rate(world, body), *names)
    with world.records(ad_feedback=1):
        is_rated(rate(world, rating(ad, sessionId=session)))


@table("blank", BLANKS)
@pytest.mark.parametrize("field", REQUIRED)
def test_a_blank_required_field_is_refused(world, field, blank):
    refused(world, {field: blank}, field)


@table("value", NO_STRINGS)
@pytest.mark.parametrize("field", STRINGS)
def test_a_string_field_must_not_be(world, field, value):
    refused(world, {field: value}, field)


@table("fields", {
    "another word": {"sentiment": CANARY},
    "in capitals": {"sentiment": "THUMBS_UP"},
    "with a space": {"sentiment": " thumbs_up"},
    "a word of seed 000": {"sentiment": "positive"},
    "with a hyphen": {"sentiment": "thumbs-up"},
})
def test_a_sentiment_must_not_be(world, fields):
    refused(world, fields, "sentiment")


@table("reasons", {
    "a string": CANARY,
    "a number": 1,
    "an object": {"0": CANARY},
    "true": True,
    "33 strings": [f"r{n}" for n in range(33)],
    "with an empty string": ["a", ""],
    "with a string of 101 characters": ["x" * 101],
    "with a string of 101 emoji": [EMOJI * 101],
    "with a number": ["a", 7],
    "with a null": ["a", None],
    "with an array": [[CANARY]],
    "with an object": [{"reason": CANARY}],
    "with a boolean": [False],
})
def test_reasons_must_not_be(world, reasons):
    ad = world.mint()
    with world.records():
        answer = rate(world, rating(ad, reasons=reasons))
        is_not_rated(answer, 422, "validation_error")
        assert answer.json["fields"], answer
        for item in answer.json["fields"]:
            assert item["field"].startswith("reasons"), answer


@table("device", {"a string": CANARY, "a number": 17, "an array": [{"os": CANARY}], "true": True})
def test_a_device_must_not_be(world, device):
    refused(world, {"device": device}, "device")


@table("fields, name", {
    "a comment of 1,001 letters": ({"comment": "x" * 1001}, "comment"),
    "a comment of 1,001 emoji": ({"comment": EMOJI * 1001}, "comment"),
    "a sessionId of 257 bytes": ({"sessionId": "x" * 257}, "sessionId"),
    "a sessionId of 129 characters and 258 bytes": ({"sessionId": "é" * 129}, "sessionId"),
    "a placementId of 257 bytes": ({"placementId": "x" * 257}, "placementId"),
    "a userId of 257 bytes": ({"userId": "x" * 257}, "userId"),
    "an impUrl of 8,193 bytes": ({"impUrl": "https://a.example/?p=" + "A" * 8172}, "impUrl"),
    "an impUrl of 60 KiB": ({"impUrl": "https://a.example/?p=" + "A" * 61440}, "impUrl"),
})
def test_a_field_must_not_be_longer(world, fields, name):
    refused(world, fields, name)


def test_every_failing_field_is_listed_in_the_pages_order(world):
    body = {"device": 1, "userId": 1, "placementId": 1, "placement": 1, "comment": 1,
            "reasons": 1, "sentiment": 1, "impUrl": 1, "sessionId": 1}
    order = tuple(reversed(body))
    with world.records():
        for _ in range(3):
            shuffled = dict(random.sample(list(body.items()), len(body)))
            is_invalid_rating(rate(world, shuffled), *order)
        is_invalid_rating(rate(world, {}), *REQUIRED)


def is_malformed(answer):
    """422 as a validation error, whatever field it names for the body as a whole."""
    is_not_rated(answer, 422, "validation_error")


@table("text", {
    "a lone high surrogate": b"\\ud800",
    "a lone low surrogate": b"\\udc00",
    "surrogates the wrong way round": b"\\udc00\\ud83d",
    "a high surrogate and a letter": b"\\ud83dA",
    "an encoded surrogate": b"\xed\xa0\x80",
    "a broken sequence": b"\xf0\x9f\x98",
    "an escaped U+0000": b"\\u0000",
    "a raw line feed": b"\n",
})
@pytest.mark.parametrize("field", ["sessionId", "impUrl", "comment", "device", "unlisted"])
def test_malformed_strings_are_422(world, field, text):
    body = json.dumps({**rating(world.mint()), field: "@"})
    if field == "device":
        body = body.replace('"@"', '{"os":"@"}')
    with world.records():
        is_malformed(rate(world, body.encode().replace(b"@", CANARY.encode() + text)))


@table("body", {
    "an empty body": b"",
    "no JSON": CANARY.encode(),
    "a form": b"sessionId=x&sentiment=thumbs_up",
    "two documents": b"{}{}",
    "cut short": b'{"sessionId":"' + CANARY.encode(),
    "a name twice": b'{"sessionId":"a","sessionId":"a"}',
    "a name twice deep inside": b'{"device":{"a":[{"b":1,"b":1}]}}',
    "depth 33": b'{"device":' + b'{"a":' * 32 + b"1" + b"}" * 33,
})
def test_what_is_no_json_document_is_422(world, body):
    with world.records():
        is_malformed(rate(world, body))


@pytest.mark.parametrize("body", [b"[]", b'"s"', b"17", b"null"])
def test_valid_json_but_no_object_is_422(world, body):
    with world.records():
        is_malformed(rate(world, body))


@table("kind", {
    "absent": None,
    "text/plain": "text/plain;charset=UTF-8",
    "a form": "application/x-www-form-urlencoded",
    "a canary": f"application/{CANARY}",
})
def test_a_content_type_must_not_be(world, kind):
    with world.records():
        is_invalid_rating(rate(world, rating(world.mint()), None, [("Content-Type", kind)]),
                          "content-type")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
def test_a_content_type_may_be(world, kind):
    is_rated(rate(world, rating(world.mint()), None, [("Content-Type", kind)]))


def test_a_refused_body_consumes_no_retry_and_no_limit(world):
    """Thirty bad ones leave all of the thirty good ones."""
    ad, session = world.mint(), unique("sess")
    with world.records(ad_feedback=30):
        for number in range(30):
            is_invalid_rating(rate(world, rating(ad, sessionId=session, comment=1)), "comment")
        for number in range(30):
            is_rated(rate(world, rating(ad, sessionId=session, comment=f"{number}")))
