"""Contract sections 3 and 7: who may come in, and how the others are refused."""

import datetime
import time

import pytest

from support import server as program
from support.world import (ABSENT, API, CANARY, COLLECT, COLLECT_ALIAS, MINT, V1, conversion, event,
                           is_collected, is_recorded, is_refused, table, unique)

PARTNER_ROUTES = (V1, API, COLLECT, COLLECT_ALIAS)
ROUTES = PARTNER_ROUTES + (MINT,)
MISSING, INVALID = "Missing bearer token", "Invalid API key"


def body_of(world, path):
    if path == MINT:
        return {"ads": [world.ad()]}
    return event() if path in (COLLECT, COLLECT_ALIAS) else conversion(world.click())


def refuses(world, path, text, headers):
    body = body_of(world, path)
    with world.records():
        answer = world.post(path, body, ABSENT, headers)
    is_refused(answer, 401, text)
    assert answer.header("www-authenticate") == "Bearer"


@table("headers", {
    "no Authorization": [],
    "an empty Authorization": [("Authorization", "")],
    "Basic": [("Authorization", f"Basic {CANARY}")],
    "Digest": [("Authorization", f'Digest username="{CANARY}"')],
    "Bearer glued to the key": [("Authorization", f"Bearer{CANARY}")],
    "a scheme that begins like Bearer": [("Authorization", f"Bearers {CANARY}")],
    "a key without scheme": [("Authorization", CANARY)],
    "the key in X-API-Key": [("X-API-Key", CANARY)],
})
@pytest.mark.parametrize("path", ROUTES)
def test_without_a_bearer_token_401_missing(world, path, headers):
    refuses(world, path, MISSING, headers)


@pytest.mark.parametrize("path", ROUTES)
def test_a_good_key_under_another_scheme_is_missing(world, path):
    key = world.adserver if path == MINT else world.partner
    refuses(world, path, MISSING, [("Authorization", f"Basic {key}")])


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_read_in_any_case(world, path, scheme):
    key = world.adserver if path == MINT else world.partner
    answer = world.post(path, body_of(world, path), ABSENT, [("Authorization", f"{scheme} {key}")])
    assert answer.status in (200, 204), answer


@table("spoil", {
    "an unknown key": lambda key: CANARY,
    "a key of one character": lambda key: "x",
    "a key cut by one character": lambda key: key[:-1],
    "a key with one character more": lambda key: key + "A",
    "a key with its last character changed":
        lambda key: key[:-1] + ("a" if key[-1] != "a" else "b"),
    "a key with its first character changed":
        lambda key: ("x" if key[0] != "x" else "y") + key[1:],
    "a key in the other case": lambda key: key.swapcase(),
    "two keys": lambda key: f"{key},{key}",
    "a very long key": lambda key: "k" * 4000,
})
@pytest.mark.parametrize("path", ROUTES)
def test_a_key_that_was_never_given_out_401_invalid(world, path, spoil):
    key = world.adserver if path == MINT else world.partner
    refuses(world, path, INVALID, [("Authorization", f"Bearer {spoil(key)}")])


CLASSES = ("partner", "publisher", "adserver", "admin")


@pytest.mark.parametrize("path, klass", [
    (p, k) for p in ROUTES for k in CLASSES if k != ("adserver" if p == MINT else "partner")])
def test_a_key_of_another_class_401_invalid(world, path, klass):
    options = {"partner": ("--partner-id", "acme"), "publisher": ("--publisher-id", "pub-1")}
    key = program.key_create(world.data, klass, unique(klass), *options.get(klass, ()))
    refuses(world, path, INVALID, [("Authorization", f"Bearer {key}")])


@pytest.mark.parametrize("path", ROUTES)
def test_an_expired_key_401_invalid(world, path):
    klass = "adserver" if path == MINT else "partner"
    options = () if path == MINT else ("--partner-id", "acme")
    key = program.key_create(world.data, klass, unique("old"), *options,
                             "--expires", "2020-01-01T00:00:00Z")
    refuses(world, path, INVALID, [("Authorization", f"Bearer {key}")])


def test_a_key_expires_while_its_connection_is_open(world):
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
    key = program.partner_key(world.data, "acme", unique("soon"), "--expires",
                              end.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
    with world.connect() as conn:
        conn.send(world.post_bytes(COLLECT, event(), key))
        is_collected(conn.read())
        left = end - datetime.datetime.now(datetime.timezone.utc)
        time.sleep(max(0, left.total_seconds()) + 0.05)
        with world.records():
            conn.send(world.post_bytes(COLLECT, event(), key))
            is_refused(conn.read(), 401, INVALID)


@pytest.mark.parametrize("path", ROUTES)
def test_revocation_takes_effect_on_the_next_request_of_an_open_connection(world, path):
    label = unique("leaked")
    if path == MINT:
        key = program.key_create(world.data, "adserver", label)
    else:
        key = program.partner_key(world.data, "acme", label)
    with world.connect() as conn:
        conn.send(world.post_bytes(path, body_of(world, path), key))
        assert conn.read().status in (200, 204)
        program.cli("key", "revoke", program.key_id(world.data, label), "--data", world.data)
        request = world.post_bytes(path, body_of(world, path), key)
        with world.records():
            conn.send(request)
            answer = conn.read()
    is_refused(answer, 401, INVALID)
    assert answer.header("www-authenticate") == "Bearer"


def test_revoking_one_key_leaves_the_partners_other_key(world):
    label = unique("one")
    program.partner_key(world.data, "acme", label)
    program.cli("key", "revoke", program.key_id(world.data, label), "--data", world.data)
    is_collected(world.post(COLLECT, event()))


@table("path, body", {
    "malformed JSON": (V1, b"{"),
    "malformed JSON on the alias path": (API, b"{"),
    "a missing field": (COLLECT, b"{}"),
    "an unknown click": (V1, b'{"click_id":"x"}'),
    "an empty mint": (MINT, b"{}"),
})
def test_the_key_is_looked_at_before_the_body(world, path, body):
    is_refused(world.post(path, body, ABSENT), 401, MISSING)
    is_refused(world.post(path, body, "nobody"), 401, INVALID)


@pytest.mark.parametrize("path", PARTNER_ROUTES)
def test_the_key_is_looked_at_before_the_content_type(world, path):
    headers = [("Content-Type", "text/plain")]
    is_refused(world.post(path, b"hello", ABSENT, headers), 401, MISSING)


@table("secret, end", {
    "a secret on a line of its own": ("thrad_live_9f8e7d6c5b4a39281706f5e4d3c2b1a0", "\n"),
    "a secret without line end": ("sk-live-0123456789abcdefghijklmnopqrstuvwxyzAB", ""),
})
def test_an_existing_vendor_key_can_be_imported(world, data_dir, secret, end):
    file = data_dir / "secret"
    file.write_text(secret + end)
    out = program.run("key", "create", "--class", "partner", "--partner-id", "vendor",
                      "--label", unique("imported"), "--import", file, "--data", world.data)
    assert out.returncode == 0, out.stderr
    is_collected(world.post(COLLECT, event(), secret))
    row = world.last("server_event")
    assert row["partner_id"] == "vendor"
    is_refused(world.post(COLLECT, event(), secret[:-1]), 401, INVALID)


def test_a_4xx_for_the_key_consumes_no_dedup_key(world):
    click, idem = world.click(), unique("order")
    for key in (ABSENT, "nobody", world.adserver):
        assert world.convert(click, idem=idem, key=key).status == 401
    is_recorded(world.convert(click, idem=idem))
