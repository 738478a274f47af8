"""Contract section 5 and seed 002: collect."""

import json
import time

import pytest

from support import server as program
from support.world import (CANARY, COLLECT, COLLECT_ALIAS, event, is_collected, is_invalid,
                           is_refused, table, together, unique)

PATHS = (COLLECT, COLLECT_ALIAS)


@pytest.mark.parametrize("path", PATHS)
def test_an_event_name_is_enough(world, path):
    before = int(time.time())
    with world.records(server_event=1):
        is_collected(world.post(path, event()))
    row = world.last("server_event")
    assert (row["event_name"], row["channel"], row["tag_id"]) == ("page_view", "server",
                                                                  "site:unknown")
    assert (row["partner_id"], row["api_key_label"]) == ("acme", "main")
    assert before - 1 <= row["timestamp"] <= time.time() + 1


@pytest.mark.parametrize("path", PATHS)
def test_every_documented_field_is_stored(world, path):
    body = {"event_name": "impression", "tag_id": "adv_001", "event_id": unique("ev"),
            "timestamp": 1771879200, "page_url": "https://shop.example.com/checkout",
            "referrer": "https://search.example/", "user_agent": "Mozilla/5.0 (é)",
            "session_id": "s-1", "attribution_type": "click", "impression_id": "i-1",
            "click_id": "c-1", "bid_id": "b-1", "impression_state": "in_view",
            "view_time_ms": 1234, "client_id": "cl-1"}
    consent = {"gdpr": True, "tcf": ["a", 1.50, None]}
    is_collected(world.post(path, {**body, "consent": consent, "params": {"step": "shipping"}}))
    row = world.last("server_event")
    assert {k: row[k] for k in body} == body
    assert json.loads(row["consent"]) == consent
    assert json.loads(row["params"])["step"] == "shipping"
    assert row["recorded_at_ms"] > 1771879200000


@pytest.mark.parametrize("channel", ["web", "server", "", CANARY])
def test_channel_is_ignored_and_stored_as_server(world, channel):
    is_collected(world.post(COLLECT, event(channel=channel)))
    row = world.last("server_event")
    assert row["channel"] == "server"
    assert "channel" not in json.loads(row["params"]).get("extra", {})


@table("body, status, problems", {
    "no event_name is 400": ({}, 400, [("missing", ["body", "event_name"])]),
    "event_name a number": ({"event_name": 7}, 422, [("string_type", ["body", "event_name"])]),
    "event_name a boolean": ({"event_name": True}, 422, [("string_type", ["body", "event_name"])]),
    "event_name an object": ({"event_name": {}}, 422, [("string_type", ["body", "event_name"])]),
    "timestamp a string": (event(timestamp="1771879200"), 422,
                           [("int_type", ["body", "timestamp"])]),
    "timestamp a fraction": (event(timestamp=1.5), 422, [("int_type", ["body", "timestamp"])]),
    "timestamp a boolean": (event(timestamp=True), 422, [("int_type", ["body", "timestamp"])]),
    "view_time_ms a string": (event(view_time_ms="5"), 422,
                              [("int_type", ["body", "view_time_ms"])]),
    "consent a string": (event(consent="yes"), 422, [("object_type", ["body", "consent"])]),
    "consent an array": (event(consent=[]), 422, [("object_type", ["body", "consent"])]),
    "params a string": (event(params="x"), 422, [("object_type", ["body", "params"])]),
    "params an array": (event(params=[1]), 422, [("object_type", ["body", "params"])]),
    "all that is wrong, in the page's order":
        ({"params": 1, "consent": 1, "tag_id": 1, "event_name": 1, "bid_id": 1, "page_url": 1,
          "view_time_ms": "1", "timestamp": "1", "session_id": 1}, 422,
         [("string_type", ["body", "event_name"]), ("string_type", ["body", "tag_id"]),
          ("int_type", ["body", "timestamp"]), ("string_type", ["body", "page_url"]),
          ("string_type", ["body", "session_id"]), ("string_type", ["body", "bid_id"]),
          ("int_type", ["body", "view_time_ms"]), ("object_type", ["body", "consent"]),
          ("object_type", ["body", "params"])]),
    "no event_name beside a wrong type is 400":
        ({"timestamp": CANARY}, 400, [("missing", ["body", "event_name"]),
                                      ("int_type", ["body", "timestamp"])]),
})
@pytest.mark.parametrize("path", PATHS)
def test_a_bad_event_is_refused(world, path, body, status, problems):
    with world.records():
        is_invalid(world.post(path, {"user_agent": CANARY, **body}), status, *problems)


@pytest.mark.parametrize("field", ["tag_id", "event_id", "page_url", "referrer", "user_agent",
                                   "session_id", "attribution_type", "impression_id", "click_id",
                                   "bid_id", "impression_state"])
@pytest.mark.parametrize("value", [7, True, [CANARY], {CANARY: 1}], ids=repr)
def test_a_string_field_takes_only_strings(world, field, value):
    with world.records():
        answer = world.post(COLLECT, event(**{field: value}))
        is_invalid(answer, 422, ("string_type", ["body", field]))


@pytest.mark.parametrize("value", [10**11, 1771879200000, 10**15])
def test_a_timestamp_that_looks_like_milliseconds_is_refused(world, value):
    with world.records():
        answer = world.post(COLLECT, event(timestamp=value))
        is_invalid(answer, 422, (None, ["body", "timestamp"]))
    assert "milliseconds" in answer.json["detail"][0]["msg"].lower()
    assert "1771879200000" not in answer.body.decode()


@pytest.mark.parametrize("value", [10**11 - 1, 1771879200, 1])
def test_a_timestamp_in_seconds_is_stored(world, value):
    is_collected(world.post(COLLECT, event(timestamp=value)))
    assert world.last("server_event")["timestamp"] == value


# -- tag_id ---------------------------------------------------------------------------------


@table("page_url, origin, referer, tag_id", {
    "page_url": ("https://shop.example.com/checkout", None, None, "site:shop.example.com"),
    "page_url before Origin and Referer":
        ("https://shop.example/", "https://o.example", "https://r.example/", "site:shop.example"),
    "lower case": ("https://Shop.EXAMPLE.com/Checkout", None, None, "site:shop.example.com"),
    "a scheme in upper case": ("HTTPS://shop.example/", None, None, "site:shop.example"),
    "no port": ("https://shop.example:8443/x", None, None, "site:shop.example"),
    "no trailing dot": ("https://shop.example./x", None, None, "site:shop.example"),
    "no trailing dot before a port": ("https://shop.example.:8443/x", None, None,
                                      "site:shop.example"),
    "no user name": ("https://user:pw@shop.example/", None, None, "site:shop.example"),
    "an A-label as sent": ("https://xn--bcher-kva.example/", None, None,
                           "site:xn--bcher-kva.example"),
    "a host that ends at the query": ("https://shop.example?u=https://evil.example/", None, None,
                                      "site:shop.example"),
    "a host that ends at the fragment": ("https://shop.example#@evil.example", None, None,
                                         "site:shop.example"),
    "an address": ("http://192.0.2.7:8080/", None, None, "site:192.0.2.7"),
    "Origin": (None, "https://O.example:444", "https://r.example/", "site:o.example"),
    "Origin, when page_url is blank": (" ", "https://o.example", None, "site:o.example"),
    "Origin, when page_url has no host": ("/checkout", "https://o.example", None,
                                          "site:o.example"),
    "Referer": (None, None, "https://R.example/a?b", "site:r.example"),
    "Referer, when Origin is null": (None, "null", "https://r.example/", "site:r.example"),
    "unknown": (None, None, None, "site:unknown"),
    "unknown, when nothing has a host": ("about:blank", "null", "/x", "site:unknown"),
})
@pytest.mark.parametrize("tag", [None, "", "  "], ids=["omitted", "empty", "blank"])
def test_tag_id_is_derived_from(world, page_url, origin, referer, tag_id, tag):
    headers = [(n, v) for n, v in (("Origin", origin), ("Referer", referer)) if v]
    is_collected(world.post(COLLECT, event(page_url=page_url, tag_id=tag), headers=headers))
    assert world.last("server_event")["tag_id"] == tag_id


def test_a_tag_id_that_was_sent_is_kept(world):
    headers = [("Origin", "https://o.example")]
    is_collected(world.post(COLLECT, event(page_url="https://p.example/", tag_id="adv_001"),
                            headers=headers))
    assert world.last("server_event")["tag_id"] == "adv_001"


def test_the_referrer_field_is_not_the_referer_header(world):
    is_collected(world.post(COLLECT, event(referrer="https://f.example/")))
    assert world.last("server_event")["tag_id"] == "site:unknown"


# -- params ---------------------------------------------------------------------------------


def test_params_are_stamped_over_what_the_client_says(world):
    forged = {"integration": "browser", "partner_id": "somebody", "api_key_label": CANARY, "a": 1}
    is_collected(world.post(COLLECT, event(params=forged)))
    params = json.loads(world.last("server_event")["params"])
    assert params == {"integration": "partner_s2s", "partner_id": "acme", "api_key_label": "main",
                      "a": 1}


def test_params_are_stamped_when_none_were_sent(world):
    is_collected(world.post(COLLECT, event()))
    assert json.loads(world.last("server_event")["params"]) == {
        "integration": "partner_s2s", "partner_id": "acme", "api_key_label": "main"}


def test_params_keep_what_they_say(world):
    params = {"price": 12.50, "list": [1, "two", None, {"three": True}], "text": "é\U0001f600\"\\"}
    is_collected(world.post(COLLECT, event(params=params)))
    stored = json.loads(world.last("server_event")["params"])
    assert {k: stored[k] for k in params} == params


def test_fields_that_the_page_does_not_list_go_to_params_extra(world):
    is_collected(world.post(COLLECT, event(plan="gold", seats=3, client_id="c-9")))
    row = world.last("server_event")
    assert json.loads(row["params"])["extra"] == {"plan": "gold", "seats": 3}
    assert row["client_id"] == "c-9"


def test_the_clients_own_extra_is_merged_under_them(world):
    params = {"extra": {"plan": "lead", "colour": "red"}}
    is_collected(world.post(COLLECT, event(plan="gold", params=params)))
    extra = json.loads(world.last("server_event")["params"])["extra"]
    assert extra == {"plan": "gold", "colour": "red"}


# -- dedup ----------------------------------------------------------------------------------


@pytest.mark.parametrize("first", PATHS)
@pytest.mark.parametrize("second", PATHS)
def test_the_same_event_twice_is_one_row_and_one_receipt(world, first, second):
    body = event(tag_id="adv_001", event_id=unique("ev"))
    with world.records(server_event=1):
        receipt = is_collected(world.post(first, body))
        assert is_collected(world.post(second, body)) == receipt
        assert is_collected(world.post(first, {**body, "event_name": "other"})) == receipt


def test_without_event_id_each_request_is_an_event(world):
    with world.records(server_event=3):
        receipts = {is_collected(world.post(COLLECT, event(tag_id="t"))) for _ in range(3)}
    assert len(receipts) == 3


def test_another_tag_is_another_event(world):
    event_id = unique("ev")
    with world.records(server_event=3):
        for tag in ("a", "b", None):
            is_collected(world.post(COLLECT, event(tag_id=tag, event_id=event_id)))


def test_a_derived_tag_is_a_tag(world):
    event_id = unique("ev")
    with world.records(server_event=1):
        for fields in ({"page_url": "https://shop.example/a"}, {"page_url": "http://SHOP.example"},
                       {"tag_id": "site:shop.example"}):
            is_collected(world.post(COLLECT, event(event_id=event_id, **fields)))


def test_another_partner_is_another_event(world):
    body = event(tag_id="t", event_id=unique("ev"))
    other = program.partner_key(world.data, unique("rival"), unique("main"))
    with world.records(server_event=2):
        first = is_collected(world.post(COLLECT, body))
        second = is_collected(world.post(COLLECT, body, other))
        assert first != second
        assert is_collected(world.post(COLLECT, body, other)) == second


def test_another_key_of_the_partner_is_the_same_partner(world):
    body = event(tag_id="t", event_id=unique("ev"))
    other = program.partner_key(world.data, "acme", unique("second"))
    with world.records(server_event=1):
        receipt = is_collected(world.post(COLLECT, body))
        assert is_collected(world.post(COLLECT, body, other)) == receipt


def test_partner_tag_and_event_do_not_run_into_each_other(world):
    tail, partner = unique("x"), unique("p")
    one, two = (program.partner_key(world.data, p, unique("k")) for p in (partner, partner + "a"))
    with world.records(server_event=3):
        is_collected(world.post(COLLECT, event(tag_id="ab", event_id="c" + tail), one))
        is_collected(world.post(COLLECT, event(tag_id="b", event_id="c" + tail), two))
        is_collected(world.post(COLLECT, event(tag_id="abc", event_id=tail), one))


def test_an_idempotency_key_means_nothing_here(world):
    headers = [("Idempotency-Key", unique("k"))]
    with world.records(server_event=2):
        for _ in range(2):
            is_collected(world.post(COLLECT, event(), headers=headers))


@table("body", {
    "a wrong type": {"timestamp": "soon"},
    "a timestamp in milliseconds": {"timestamp": 1771879200000},
})
def test_a_refused_event_consumes_no_dedup_key(world, body):
    good = event(tag_id="t", event_id=unique("ev"))
    with world.records():
        is_refused(world.post(COLLECT, {**good, **body}), 422)
    with world.records(server_event=1):
        is_collected(world.post(COLLECT, good))


def test_concurrent_copies_are_one_event(world):
    bodies = [event(tag_id="t", event_id=unique("race")) for _ in range(20)]

    def work(_):
        answers = world.pipeline([world.post_bytes(COLLECT, b) for b in bodies])
        return [is_collected(a) for a in answers]

    with world.records(server_event=20):
        answers = together(8, work)
    assert all(a == answers[0] for a in answers)
    assert len(set(answers[0])) == 20


def test_past_the_window_an_event_counts_again(world_with):
    world = world_with("--collect-dedup-window", "1s")
    body = event(tag_id="t", event_id=unique("ev"))
    first = is_collected(world.post(COLLECT, body))
    assert is_collected(world.post(COLLECT, body)) == first
    time.sleep(1.3)
    with world.records(server_event=1):
        second = is_collected(world.post(COLLECT, body))
        assert second != first
        assert is_collected(world.post(COLLECT, body)) == second
