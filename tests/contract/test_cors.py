"""Contract section 2, CORS: the browser routes answer any origin, the others none."""

import pytest

from support.publisher import (ACK, AD_FEEDBACK, FEEDBACK, RESULTS, TRACK_IMP, VIEW, VOTE,
                               is_poll_error, new_poll, publisher_key, rate_bytes, rating)
from support.world import (ABSENT, API, CANARY, COLLECT, COLLECT_ALIAS, MINT, V1, conversion,
                           event, table, unique)

ROUTES = {FEEDBACK: "POST", AD_FEEDBACK: "POST", VOTE: "POST", RESULTS: "GET", VIEW: "GET",
          ACK: "GET", TRACK_IMP: "GET"}
ORIGIN = "https://chat.publisher.example"

browser_routes = pytest.mark.parametrize("path", ROUTES)


def members(text):
    return [m.strip().lower() for m in (text or "").split(",")]


def cors_of(answer):
    return {n.lower(): v for n, v in answer.headers if n.lower().startswith("access-control-")}


def preflight_bytes(world, path, method=None, headers=(), origin=ORIGIN):
    asked = [("Origin", origin), ("Access-Control-Request-Method", method or ROUTES[path]),
             ("Access-Control-Request-Headers", "content-type,x-api-key"), *headers]
    return world.get_bytes(path, asked, "OPTIONS")


def preflight(world, path, *args, **options):
    return world.send(preflight_bytes(world, path, *args, **options))


def allows(answer, method):
    """A preflight's whole answer."""
    assert (answer.status, answer.body) == (204, b""), answer
    assert CANARY.encode() not in answer.raw and answer.receipt is None, answer
    assert answer.header("access-control-allow-origin") == "*", answer
    assert method.lower() in members(answer.header("access-control-allow-methods")), answer
    assert set(members(answer.header("access-control-allow-headers"))) == {
        "content-type", "x-api-key"}, answer
    assert answer.header("access-control-max-age") == "86400", answer
    assert "access-control-allow-credentials" not in cors_of(answer), answer


def is_readable(answer):
    """Any page may read the answer, its Retry-After included."""
    assert answer.header("access-control-allow-origin") == "*", answer
    assert "retry-after" in members(answer.header("access-control-expose-headers")), answer
    assert "access-control-allow-credentials" not in cors_of(answer), answer
    assert CANARY.encode() not in answer.raw, answer


# -- preflight ------------------------------------------------------------------------------


@browser_routes
def test_a_preflight_is_answered_204(world, path):
    with world.records():
        allows(preflight(world, path), ROUTES[path])


@browser_routes
def test_the_methods_are_those_of_the_route(world, path):
    listed = set(members(preflight(world, path).header("access-control-allow-methods")))
    own = {ROUTES[path].lower()} | ({"head"} if ROUTES[path] == "GET" else set())
    assert listed <= own | {"options"}, listed


@browser_routes
def test_a_preflight_exposes_retry_after(world, path):
    answer = preflight(world, path)
    assert "retry-after" in members(answer.header("access-control-expose-headers")), answer


@table("origin", {
    "a page of a file": "null",
    "http": "http://localhost:3000",
    "an extension": "chrome-extension://abcdef",
    "a canary": f"https://{CANARY}.example",
})
@browser_routes
def test_every_origin_is_welcome(world, path, origin):
    allows(preflight(world, path, origin=origin), ROUTES[path])


@browser_routes
def test_a_preflight_comes_before_the_key_and_with_any_query(world, path):
    """It cannot carry a key or a body, and the token in its query is not looked at."""
    data = preflight_bytes(world, path).replace(
        path.encode(), f"{path}?token={CANARY}&p={CANARY}".encode(), 1)
    with world.records():
        allows(world.send(data), ROUTES[path])


@browser_routes
def test_a_preflight_for_a_method_the_route_lacks_does_not_grant_it(world, path):
    answer = preflight(world, path, "DELETE")
    assert answer.status in (204, 405), answer
    assert "delete" not in members(answer.header("access-control-allow-methods"))
    assert "*" not in (answer.header("access-control-allow-methods") or "")


@browser_routes
def test_a_preflight_keeps_the_connection(world, path):
    with world.connect() as conn:
        for _ in range(3):
            conn.send(preflight_bytes(world, path))
            allows(conn.read("OPTIONS"), ROUTES[path])


@browser_routes
def test_a_preflight_comes_before_rate_limits_and_is_not_counted(world_with, path):
    world = world_with("--client-rate-limit", 5)
    answers = world.pipeline([preflight_bytes(world, path) for _ in range(60)])
    for answer in answers:
        allows(answer, ROUTES[path])


@browser_routes
def test_a_preflight_with_a_body_is_answered_too(world, path):
    data = preflight_bytes(world, path, headers=[("Content-Length", "2")]) + b"{}"
    with world.records():
        assert world.send(data).status == 204


# -- answers --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def poll(shared_world):
    return new_poll(shared_world)


def post(world, target, body, headers=()):
    return world.post_bytes(target, body, ABSENT, list(headers))


def get(path):
    return lambda world, poll: world.get_bytes(path)


def follow(name):
    return lambda world, poll: world.get_bytes(world.target(world.mint(poll_id=poll)[name]))


def voted(option, *headers):
    return lambda world, poll: post(
        world, world.target(world.mint(poll_id=poll)["vote_url"]), {"option_id": option}, headers)


def shown_feedback(world, poll):
    ad = world.mint()
    world.follow(ad["view_url"])
    return post(world, FEEDBACK, {"bid_id": ad["bidId"], "feedback_type": "positive"})


def rated_for(publisher_id):
    return lambda world, poll: rate_bytes(world, rating(world.mint()),
                                          publisher_key(world.data, publisher_id))


def too_large(path, *headers):
    return lambda world, poll: post(world, path, b"", [("Content-Length", "65537"), *headers])


ANSWERS = {
    "000: 204": (204, shown_feedback),
    "000: 404": (404, lambda w, p: post(w, FEEDBACK, {"bid_id": CANARY,
                                                      "feedback_type": "positive"})),
    "000: 422": (422, lambda w, p: post(w, FEEDBACK, {"bid_id": CANARY})),
    "000: 422 of JSON": (422, lambda w, p: post(w, FEEDBACK, b"{")),
    "000: 422 of the type": (422, lambda w, p: post(w, FEEDBACK, {}, [("Content-Type", "a/b")])),
    "000: 405": (405, get(FEEDBACK)),
    "000: 413": (413, too_large(FEEDBACK)),
    "001: 200": (200, rated_for("pub-1")),
    "001: 401": (401, lambda w, p: rate_bytes(w, {}, CANARY)),
    "001: 401 without key": (401, lambda w, p: rate_bytes(w, {}, ABSENT)),
    "001: 422": (422, lambda w, p: rate_bytes(w, {})),
    "001: 422 of impUrl": (422, rated_for("pub-2")),
    "001: 405": (405, get(AD_FEEDBACK)),
    "001: 413": (413, lambda w, p: rate_bytes(w, b"", None, [("Content-Length", "65537")])),
    "003: 200 of vote": (200, voted("0")),
    "003: 200 of results": (200, follow("results_url")),
    "003: 400 of the token": (400, lambda w, p: post(w, VOTE, {})),
    "003: 400 of the option": (400, voted(CANARY)),
    "003: 400 of the type": (400, voted("0", ("Content-Type", "text/plain"))),
    "003: 401 of vote": (401, lambda w, p: post(w, f"{VOTE}?token={CANARY}", {})),
    "003: 401 of results": (401, get(f"{RESULTS}?token={CANARY}")),
    "003: 400 of results": (400, get(RESULTS)),
    "003: 405 of vote": (405, get(VOTE)),
    "003: 405 of results": (405, lambda w, p: post(w, RESULTS, {})),
    "003: 413": (413, too_large(VOTE)),
    "view: 200": (200, follow("view_url")),
    "view: 404": (404, get(f"{VIEW}?token={CANARY}")),
    "view: 405": (405, lambda w, p: post(w, VIEW, {})),
    "ack: 200": (200, follow("impUrl")),
    "ack: 404": (404, get(f"{ACK}?p={CANARY}")),
    "ack: 405": (405, lambda w, p: post(w, ACK, {})),
    "track/imp: 404": (404, get(f"{TRACK_IMP}?p={CANARY}")),
    "track/imp: 405": (405, lambda w, p: post(w, TRACK_IMP, {})),
}


@table("status, make", ANSWERS)
@pytest.mark.parametrize("origin", [ORIGIN, None], ids=["from a page", "without Origin"])
def test_every_answer_carries_the_origin_header(world, poll, status, make, origin):
    data = make(world, poll)
    if origin:
        data = data.replace(b"\r\n", f"\r\nOrigin: {origin}\r\n".encode(), 1)
    with world.connect() as conn:
        conn.send(data)
        answer = conn.read()
    assert answer.status == status, answer
    is_readable(answer)


def test_a_duplicate_vote_may_be_read(world, poll):
    data = voted("1")(world, poll)
    assert [a.status for a in world.pipeline([data, data])] == [200, 409]
    is_readable(world.send(data))


def test_a_429_of_001_may_be_read_with_its_seconds(world):
    ad, session = world.mint(), unique("sess")
    answers = world.pipeline([rate_bytes(world, rating(ad, sessionId=session, comment=str(n)))
                              for n in range(31)])
    assert answers[-1].status == 429 and answers[-1].header("retry-after")
    is_readable(answers[-1])


@table("make", {
    "000": lambda w, p: post(w, FEEDBACK, {"bid_id": CANARY, "feedback_type": "positive"}),
    "003 vote": lambda w, p: post(w, f"{VOTE}?token=x", {"option_id": "0"}),
    "003 results": get(f"{RESULTS}?token=x"),
    "view": get(f"{VIEW}?token=x"),
    "ack": get(f"{ACK}?p=x"),
    "track/imp": get(f"{TRACK_IMP}?p=x"),
})
def test_a_429_of_the_client_rate_limit_may_be_read(world_with, make):
    world = world_with("--client-rate-limit", 5)
    answers = world.pipeline([make(world, None)] * 40)
    limited = [a for a in answers if a.status == 429]
    assert limited, {a.status for a in answers}
    for answer in limited:
        assert answer.header("retry-after"), answer
        is_readable(answer)


@table("make", {
    "vote": lambda w, p: post(w, f"{VOTE}?token=x", {"option_id": "0"}),
    "results": get(f"{RESULTS}?token=x"),
})
def test_a_429_of_a_poll_is_in_its_dialect(world_with, make):
    world = world_with("--client-rate-limit", 5)
    answers = [a for a in world.pipeline([make(world, None)] * 40) if a.status == 429]
    is_poll_error(answers[0], 429, "rate_limited")


def test_a_429_of_feedback_is_in_its_dialect(world_with):
    world = world_with("--client-rate-limit", 5)
    answers = world.pipeline([post(world, FEEDBACK, {})] * 40)
    assert answers[-1].body == b'{"detail":"Rate limit exceeded"}'


# -- routes that no browser uses ------------------------------------------------------------


def s2s(path):
    def make(world):
        bodies = {MINT: {"ads": [world.ad()]}, V1: conversion(world.click()),
                  API: conversion(world.click())}
        key = world.adserver if path == MINT else world.partner
        return world.post_bytes(path, bodies.get(path, event()), key, [("Origin", ORIGIN)])
    return make


OTHERS = {path: s2s(path) for path in (MINT, V1, API, COLLECT, COLLECT_ALIAS)}


@pytest.mark.parametrize("path", OTHERS)
def test_s2s_and_mint_routes_never_send_cors_headers(world, path):
    with world.connect() as conn:
        conn.send(OTHERS[path](world))
        answer = conn.read()
    assert answer.status in (200, 204) and not cors_of(answer), answer
    for key in (publisher_key(world.data), CANARY, ABSENT):
        assert not cors_of(world.post(path, {}, key, [("Origin", ORIGIN)]))
    answer = preflight(world, path, "POST")
    assert answer.status == 405 and not cors_of(answer), answer
