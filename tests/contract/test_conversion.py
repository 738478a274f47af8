"""Contract section 5, seeds 002 and 004: what a conversion must be, and what is kept of it."""

import json

import pytest

from support import server as program
from support.world import (ABSENT, API, CANARY, V1, conversion, is_duplicate, is_invalid,
                           is_recorded, is_refused, table, unique)

PATHS = (V1, API)
REQUIRED = ("click_id", "conversion_time", "conversion_value", "currency")
OPTIONAL = ("event_type", "order_id", "event_id", "page_url", "referrer", "user_agent",
            "session_id", "client_id", "tag_id")


def missing(*names):
    return [("missing", ["body", n]) for n in names]


@pytest.mark.parametrize("path", PATHS)
def test_the_required_fields_are_enough(world, path):
    ad = world.ad(bid_id=unique("bid"))
    click = world.click(**ad)
    with world.records(conversion=1):
        is_recorded(world.post(path, conversion(click)))
    row = world.last("conversion")
    assert row["click_id"] == click
    assert (row["event_type"], row["channel"]) == ("purchase_completed", "server")
    assert (row["partner_id"], row["api_key_label"]) == ("acme", "main")
    assert row["api_key_id"] and row["tag_id"] is None and row["idempotency_key"] is None
    clicks = world.rows("SELECT seq, bid_id FROM click WHERE click_id = ?", click)
    assert [(c["seq"], c["bid_id"]) for c in clicks] == [(row["click_seq"], ad["bid_id"])]


@pytest.mark.parametrize("path", PATHS)
def test_every_documented_field_is_stored(world, path):
    body = {n: unique(n) for n in OPTIONAL}
    idem = unique("idem")
    is_recorded(world.convert(world.click(), path, idem, **body))
    row = world.last("conversion")
    assert {n: row[n] for n in OPTIONAL} == body
    assert row["idempotency_key"] == idem and row["conversion_time"] == "2026-02-19T18:00:00Z"
    assert (row["conversion_value"], row["currency"]) == ("49.99", "USD")


def test_channel_is_kept_when_it_is_sent(world):
    is_recorded(world.convert(world.click(), channel="pos"))
    assert world.last("conversion")["channel"] == "pos"


@pytest.mark.parametrize("path", PATHS)
def test_tag_id_defaults_to_the_keys_own(world, path):
    key = program.partner_key(world.data, "tagged", unique("tagged"), "--tag-id", "tag-77")
    is_recorded(world.convert(world.click(), path, key=key))
    assert world.last("conversion")["tag_id"] == "tag-77"
    is_recorded(world.convert(world.click(), path, key=key, tag_id=" "))
    assert world.last("conversion")["tag_id"] == "tag-77"
    is_recorded(world.convert(world.click(), path, key=key, tag_id="mine"))
    assert world.last("conversion")["tag_id"] == "mine"


# -- validation -----------------------------------------------------------------------------


@pytest.mark.parametrize("field", REQUIRED)
@pytest.mark.parametrize("path, status", [(V1, 400), (API, 422)])
def test_a_missing_required_field(world, path, status, field):
    click = world.click()
    with world.records():
        answer = world.post(path, conversion(**{"click_id": click, field: ABSENT}))
        is_invalid(answer, status, *missing(field))


@pytest.mark.parametrize("path, status", [(V1, 400), (API, 422)])
def test_all_missing_fields_are_listed_in_the_pages_order(world, path, status):
    with world.records():
        is_invalid(world.post(path, {}), status, *missing(*REQUIRED))


@pytest.mark.parametrize("path, status", [(V1, 400), (API, 422)])
def test_missing_beside_wrong_lists_all_and_counts_as_missing(world, path, status):
    body = {"currency": CANARY, "conversion_value": CANARY, "click_id": CANARY, "tag_id": 1}
    with world.records():
        is_invalid(world.post(path, body), status, ("missing", ["body", "conversion_time"]),
                   ("number_type", ["body", "conversion_value"]),
                   ("currency_invalid", ["body", "currency"]), ("string_type", ["body", "tag_id"]))


@pytest.mark.parametrize("path, order", [
    (V1, ("event_type", "order_id", "event_id", "page_url", "referrer", "user_agent",
          "session_id", "client_id", "tag_id")),
    (API, ("event_type", "order_id", "event_id", "tag_id", "page_url", "referrer", "user_agent",
           "session_id", "client_id")),
])
def test_all_wrong_fields_are_listed_in_the_order_of_their_page(world, path, order):
    body = {"click_id": 1, "conversion_time": "now", "conversion_value": "1", "currency": "XYZ",
            **{n: 1 for n in reversed(order)}}
    with world.records():
        is_invalid(world.post(path, dict(reversed(body.items()))), 422,
                   ("string_type", ["body", "click_id"]),
                   ("datetime_invalid", ["body", "conversion_time"]),
                   ("number_type", ["body", "conversion_value"]),
                   ("currency_invalid", ["body", "currency"]),
                   *[("string_type", ["body", n]) for n in order])


@pytest.mark.parametrize("field", ("click_id",) + OPTIONAL)
@pytest.mark.parametrize("value", [7, True, [CANARY], {CANARY: 1}], ids=repr)
@pytest.mark.parametrize("path", PATHS)
def test_a_string_field_takes_only_strings(world, path, field, value):
    body = conversion(world.click(), **({} if field == "click_id" else {field: value}))
    body[field] = value
    with world.records():
        is_invalid(world.post(path, body), 422, ("string_type", ["body", field]))


@pytest.mark.parametrize("value", [7, 1.5, True, [], {}], ids=repr)
@pytest.mark.parametrize("path", PATHS)
def test_a_currency_must_be_a_string(world, path, value):
    answer = world.convert("x", path, currency=value)
    is_invalid(answer, 422, ("string_type|currency_invalid", ["body", "currency"]))


@table("body", {
    "a wrong type": {"conversion_value": "49.99"},
    "a wrong currency": {"currency": "XYZ"},
    "a wrong time": {"conversion_time": "yesterday"},
    "a missing value": {"conversion_value": ABSENT},
})
@pytest.mark.parametrize("path", PATHS)
def test_a_refused_conversion_consumes_no_dedup_key(world, path, body):
    """Neither the explicit key nor the order id of a refused request is remembered."""
    click = world.click()
    keys = {"idem": unique("idem"), "order_id": unique("order"), "event_id": unique("event")}
    with world.records():
        assert world.convert(click, path, **keys, **body).status in (400, 422)
    with world.records(conversion=1):
        receipt = is_recorded(world.convert(click, path, **keys))
        is_duplicate(world.convert(click, path, **keys), receipt)


# -- the click ------------------------------------------------------------------------------


@table("click_id", {
    "a UUID that was never given out": "11111111-1111-4111-8111-111111111111",
    "no UUID at all": CANARY,
    "one byte": "x",
    "256 bytes": "c" * 256,
    "bytes that mean something to a database": "' OR '1'='1",
})
@pytest.mark.parametrize("path", PATHS)
def test_an_unknown_click_is_404(world, path, click_id):
    with world.records():
        is_refused(world.convert(click_id, path), 404, "Click not found")


@pytest.mark.parametrize("path", PATHS)
def test_a_click_id_is_taken_to_the_letter(world, path):
    click = world.click()
    for near in (click[:-1], click + "0", click.upper() if click.upper() != click else click + "A",
                 " " + click, "{" + click + "}"):
        is_refused(world.convert(near, path), 404, "Click not found")


@pytest.mark.parametrize("path", PATHS)
def test_a_bid_id_is_no_click_id(world, path):
    ad = world.mint()
    world.follow(ad["url"])
    is_refused(world.convert(ad["bidId"], path), 404, "Click not found")


@pytest.mark.parametrize("path", PATHS)
def test_a_key_bound_to_an_advertiser_converts_only_its_clicks(world, path):
    key = program.partner_key(world.data, "agency", unique("bound"), "--advertiser-id", "adv-1")
    own, others = world.click(advertiser_id="adv-1"), world.click(advertiser_id="adv-2")
    nobodys, idem = world.click(), unique("idem")
    with world.records():
        is_refused(world.convert(others, path, idem, key), 404, "Click not found")
        is_refused(world.convert(nobodys, path, idem, key), 404, "Click not found")
    with world.records(conversion=3):
        is_recorded(world.convert(own, path, idem, key))
        is_recorded(world.convert(others, path, idem))
        is_recorded(world.convert(nobodys, path, idem))


@pytest.mark.parametrize("path", PATHS)
def test_another_tenants_click_answers_like_an_unknown_one(world, path):
    key = program.partner_key(world.data, "agency", unique("bound"), "--advertiser-id", "adv-1")
    others = world.convert(world.click(advertiser_id="adv-2"), path, key=key)
    unknown = world.convert("11111111-1111-4111-8111-111111111111", path, key=key)
    assert (others.status, others.body) == (unknown.status, unknown.body)
    assert [n for n, _ in others.headers] == [n for n, _ in unknown.headers]


@pytest.mark.parametrize("path", PATHS)
def test_validation_comes_before_the_click(world, path):
    is_invalid(world.convert("unknown", path, currency="XYZ"), 422,
               ("currency_invalid", ["body", "currency"]))


@pytest.mark.parametrize("path", PATHS)
def test_a_404_consumes_no_dedup_key(world, path):
    """The event that the key stands for comes later, when its click is known."""
    bound = program.partner_key(world.data, "acme", unique("bound"), "--advertiser-id", "adv-1")
    click = world.click(advertiser_id="adv-2")
    keys = {"idem": unique("idem"), "order_id": unique("order")}
    is_refused(world.convert(click, path, key=bound, **keys), 404, "Click not found")
    is_recorded(world.convert(click, path, **keys))


# -- what the page leaves to the caller -----------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", ["refund", "subscription_created", "trial_started", "Ünïcode"])
def test_event_type_is_an_open_set(world, path, kind):
    is_recorded(world.convert(world.click(), path, event_type=kind))
    assert world.last("conversion")["event_type"] == kind


@pytest.mark.parametrize("path", PATHS)
def test_unlisted_fields_are_kept_under_params_extra(world, path):
    is_recorded(world.convert(world.click(), path, customer_tier="gold", items=[1, 2]))
    params = json.loads(world.last("conversion")["params"])
    assert params["extra"] == {"customer_tier": "gold", "items": [1, 2]}


@pytest.mark.parametrize("path", PATHS)
def test_receipts_are_unique_and_say_nothing_of_volume(world, path):
    click = world.click()
    answers = world.pipeline([world.post_bytes(path, conversion(click)) for _ in range(100)])
    receipts = [is_recorded(a) for a in answers]
    assert len(set(receipts)) == 100
    assert receipts != sorted(receipts) and receipts != sorted(receipts, reverse=True)
    numbers = sorted(int(r, 16) for r in receipts)
    assert numbers[-1] - numbers[0] > 2**48, "a permutation of 64 bits spreads"


def test_a_success_is_json(world):
    answer = world.convert(world.click())
    assert answer.json == {"status": "ok"}
