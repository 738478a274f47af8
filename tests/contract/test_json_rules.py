"""Contract section 2: what is JSON, what is a string, what counts as absent."""

import json

import pytest

from support.world import (API, CANARY, COLLECT, COLLECT_ALIAS, MINT, V1, conversion, event,
                           is_collected, is_invalid, is_json_invalid, is_recorded, is_refused,
                           table, unique)

STATUS_OF_MALFORMED = {COLLECT: 400, COLLECT_ALIAS: 400, V1: 400, API: 422, MINT: 422}
PATHS = tuple(STATUS_OF_MALFORMED)


def post(world, path, body, headers=()):
    return world.post(path, body, world.adserver if path == MINT else None, headers)


def nested(depth, text=b'{"a":', end=b"}"):
    """`depth` levels of nesting, the outermost object included."""
    return b'{"event_name":"x","params":' + text * (depth - 2) + b"{}" + end * (depth - 2) + b"}"


def with_string(raw):
    return b'{"event_name":"x","session_id":"' + raw + b'"}'


MALFORMED = {
    "white space alone": b" \r\n\t",
    "a lone brace": b"{",
    "no closing brace": b'{"event_name":"x"',
    "no value": b'{"event_name":}',
    "no colon": b'{"event_name" "x"}',
    "no quotes round a name": b'{event_name:"x"}',
    "single quotes": b"{'event_name':'x'}",
    "a comma at the end of an object": b'{"event_name":"x",}',
    "a comma at the end of an array": b'{"event_name":"x","a":[1,]}',
    "two commas": b'{"event_name":"x",,"a":1}',
    "a comment": b'{"event_name":"x"/*c*/}',
    "a line comment": b'{"event_name":"x"}//c',
    "text behind the document": b'{"event_name":"x"} ' + CANARY.encode(),
    "two documents": b'{"event_name":"x"}{"event_name":"x"}',
    "a closing brace too many": b'{"event_name":"x"}}',
    "a NUL behind the document": b'{"event_name":"x"}\x00',
    "brackets that do not match": b'{"event_name":"x","a":[1}]',
    "True": b'{"event_name":"x","a":True}',
    "NULL": b'{"event_name":"x","a":NULL}',
    "NaN": b'{"event_name":"x","a":NaN}',
    "Infinity": b'{"event_name":"x","a":Infinity}',
    "a plus sign": b'{"event_name":"x","a":+1}',
    "a leading zero": b'{"event_name":"x","a":01}',
    "a number that begins with its point": b'{"event_name":"x","a":.5}',
    "a number that ends with its point": b'{"event_name":"x","a":1.}',
    "an exponent without digits": b'{"event_name":"x","a":1e}',
    "a hexadecimal number": b'{"event_name":"x","a":0x10}',
    "a lone minus": b'{"event_name":"x","a":-}',
    "a form feed between tokens": b'{\x0c"event_name":"x"}',
    "a no-break space between tokens": b'{\xc2\xa0"event_name":"x"}',
    "a raw line feed in a string": with_string(b"a\nb"),
    "a raw tab in a string": with_string(b"a\tb"),
    "a raw NUL in a string": with_string(b"a\x00b"),
    "an unknown escape": with_string(b"\\x41"),
    "an escape cut short": with_string(b"\\u004"),
    "an escape that is not hexadecimal": with_string(b"\\u00g1"),
    "a string without end": b'{"event_name":"x',
    "an escaped U+0000 in a value": with_string(b"a\\u0000b"),
    "an escaped U+0000 in a name": b'{"event_name":"x","a\\u0000":1}',
    "an escaped U+0000 deep inside": b'{"event_name":"x","params":{"a":["\\u0000"]}}',
    "a lone high surrogate": with_string(b"\\ud800"),
    "a lone low surrogate": with_string(b"\\udc00"),
    "surrogates the wrong way round": with_string(b"\\udc00\\ud800"),
    "a high surrogate and a letter": with_string(b"\\ud800\\u0041"),
    "two high surrogates": with_string(b"\\ud800\\ud800\\udc00"),
    "a lone surrogate in a name": b'{"event_name":"x","\\udead":1}',
    "UTF-8: a byte that never occurs": with_string(b"\xff"),
    "UTF-8: a continuation byte alone": with_string(b"\x80"),
    "UTF-8: a sequence cut short": with_string(b"\xe2\x82"),
    "UTF-8: an overlong slash": with_string(b"\xc0\xaf"),
    "UTF-8: an overlong three-byte form": with_string(b"\xe0\x80\xaf"),
    "UTF-8: an encoded surrogate": with_string(b"\xed\xa0\x80"),
    "UTF-8: beyond U+10FFFF": with_string(b"\xf4\x90\x80\x80"),
    "UTF-8: broken in a name": b'{"event_name":"x","\xff":1}',
    "Latin-1": with_string("é".encode("latin-1")),
    "UTF-16": '{"event_name":"x"}'.encode("utf-16"),
    "a name twice": b'{"event_name":"x","event_name":"x"}',
    "a name twice, once by escape": b'{"event_name":"x","event\\u005fname":"x"}',
    "an unknown name twice": b'{"event_name":"x","zz":1,"zz":2}',
    "a name twice deep inside": b'{"event_name":"x","params":{"a":[{"b":1,"b":1}]}}',
    "objects to depth 33": nested(33),
    "arrays to depth 33": nested(33, b"[", b"]"),
    "depth 10,000": nested(10000, b"[", b"]"),
}


@table("body", MALFORMED)
@pytest.mark.parametrize("path", PATHS)
def test_malformed_json_is_refused_and_recorded_nowhere(world, path, body):
    with world.records():
        is_json_invalid(post(world, path, body), STATUS_OF_MALFORMED[path])


@pytest.mark.parametrize("path", PATHS)
def test_an_empty_body_is_refused(world, path):
    with world.records():
        is_refused(post(world, path, b""), STATUS_OF_MALFORMED[path])


@table("body", {
    "an array": b'[{"event_name":"x"}]',
    "a string": b'"event_name"',
    "a number": b"17",
    "true": b"true",
})
@pytest.mark.parametrize("path", PATHS)
def test_valid_json_but_no_object_is_a_wrong_type(world, path, body):
    with world.records():
        is_invalid(post(world, path, body), 422, ("object_type", ["body"]))


@table("body, stored", {
    "objects to depth 32": (nested(32), None),
    "arrays to depth 32": (b'{"event_name":"x","params":{"a":' + b"[" * 30 + b"]" * 30 + b"}}",
                           None),
    "every short escape": (with_string(b'\\"\\\\\\/\\b\\f\\n\\r\\t!'), '"\\/\b\f\n\r\t!'),
    "a surrogate pair": (with_string(b"\\ud83d\\ude00"), "\U0001f600"),
    "raw UTF-8 of four bytes": (with_string("\U0001f600".encode()), "\U0001f600"),
    "a noncharacter": (with_string(b"\\uffff"), "\uffff"),
    "U+10FFFF": (with_string(b"\xf4\x8f\xbf\xbf"), "\U0010ffff"),
    "DEL, which JSON allows": (with_string(b"a\x7f"), "a\x7f"),
    "white space of all four kinds":
        (b'\r\n\t { "event_name" :\r\n"x" , "session_id":"s"\t} ', "s"),
    "a name by escape": (b'{"\\u0065vent_name":"x","session_id":"e"}', "e"),
})
def test_strict_is_not_narrow(world, body, stored):
    json.loads(body)
    with world.records(server_event=1):
        is_collected(world.post(COLLECT, body))
    assert world.last("server_event")["session_id"] == stored


@table("kind", {
    "the documented type": "application/json",
    "a charset": "application/json; charset=utf-8",
    "a parameter without space": "application/json;charset=UTF-8",
    "any case": "Application/JSON",
    "two parameters": 'application/json; charset="utf-8"; version=1',
})
@pytest.mark.parametrize("path", PATHS)
def test_content_type_may_be(world, path, kind):
    body = {COLLECT: event(), COLLECT_ALIAS: event(), MINT: {"ads": [world.ad()]}}.get(path)
    answer = post(world, path, body or conversion(world.click()), [("Content-Type", kind)])
    assert answer.status in (200, 204), answer


@table("kind", {
    "absent": None,
    "empty": "",
    "text/plain": "text/plain",
    "what curl -d sends": "application/x-www-form-urlencoded",
    "longer than application/json": "application/jsonx",
    "a structured suffix": "application/ld+json",
    "json alone": "json",
    "another main type": "text/json",
    "a canary": f"application/{CANARY}",
})
@pytest.mark.parametrize("path", PATHS)
def test_content_type_must_not_be(world, path, kind):
    body = {COLLECT: event(), COLLECT_ALIAS: event(), MINT: {"ads": [world.ad()]}}.get(path)
    body = body or conversion(world.click())
    with world.records():
        answer = post(world, path, body, [("Content-Type", kind)])
        is_invalid(answer, 422, (None, ["header", "content-type"]))


BLANKS = {"null": None, "an empty string": "", "white space": " \t\r\n "}


@table("blank", BLANKS)
@pytest.mark.parametrize("field", ["click_id", "conversion_time", "currency"])
@pytest.mark.parametrize("path, status", [(V1, 400), (API, 422)])
def test_a_blank_required_field_is_missing(world, path, status, field, blank):
    click = world.click()
    with world.records():
        answer = world.post(path, conversion(**{"click_id": click, field: blank}))
        is_invalid(answer, status, ("missing", ["body", field]))


@pytest.mark.parametrize("path, status", [(V1, 400), (API, 422)])
def test_a_value_of_null_is_missing(world, path, status):
    answer = world.post(path, conversion(world.click(), conversion_value=None))
    is_invalid(answer, status, ("missing", ["body", "conversion_value"]))


@table("blank", BLANKS)
def test_a_blank_event_name_is_missing(world, blank):
    with world.records():
        answer = world.post(COLLECT, event(event_name=blank))
        is_invalid(answer, 400, ("missing", ["body", "event_name"]))


@table("blank", BLANKS)
def test_a_blank_publisher_id_is_missing(world, blank):
    answer = post(world, MINT, {"ads": [world.ad(publisher_id=blank)]})
    is_invalid(answer, 422, ("missing", ["body", "ads", 0, "publisher_id"]))


@table("blank", BLANKS)
@pytest.mark.parametrize("path", [V1, API])
def test_blank_optional_fields_of_a_conversion_count_as_absent(world, path, blank):
    click = world.click()
    names = ("event_type", "order_id", "event_id", "page_url", "referrer", "user_agent",
             "session_id", "client_id", "tag_id")
    for _ in range(2):
        is_recorded(world.post(path, conversion(click, **dict.fromkeys(names, blank))))
    row = world.last("conversion")
    assert row["event_type"] == "purchase_completed"
    for name in names[1:]:
        assert row[name] is None, name


@table("blank", BLANKS)
def test_blank_optional_fields_of_an_event_count_as_absent(world, blank):
    names = ("tag_id", "event_id", "page_url", "referrer", "user_agent", "session_id",
             "attribution_type", "impression_id", "click_id", "bid_id", "impression_state")
    with world.records(server_event=2):
        for _ in range(2):
            is_collected(world.post(COLLECT, event(**dict.fromkeys(names, blank))))
    row = world.last("server_event")
    assert row["tag_id"] == "site:unknown"
    for name in names[1:]:
        assert row[name] is None, name


@pytest.mark.parametrize("name", ["timestamp", "view_time_ms", "consent", "params"])
def test_null_counts_as_absent_for_other_types_too(world, name):
    is_collected(world.post(COLLECT, event(**{name: None})))


@table("body, path, status", {
    "malformed on /v1": (b'{"click_id":', V1, 400),
    "malformed on /api": (b'{"click_id":', API, 422),
    "no object on /v1": (b"[]", V1, 422),
})
def test_a_malformed_body_consumes_no_dedup_key(world, body, path, status):
    click, idem = world.click(), unique("order")
    answer = world.post(path, body, headers=[("Idempotency-Key", idem)])
    is_refused(answer, status)
    is_recorded(world.convert(click, path, idem))
