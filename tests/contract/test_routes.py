"""Contract section 1: which routes exist, and what the others answer."""

import pytest

from support.http import build
from support.world import (API, CANARY, COLLECT, COLLECT_ALIAS, MINT, REDIRECT, TRACK, V1, ABSENT,
                           is_discreet, is_refused, table)

POSTS = (MINT, COLLECT, COLLECT_ALIAS, V1, API)
GETS = ("/", "/health", REDIRECT, TRACK)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def test_health_says_ok_and_ready(world):
    answer = world.get("/health")
    assert (answer.status, answer.body) == (200, b'{"status":"ok","ready":true}')
    assert answer.json["ready"] is True


def test_root_is_one_line_that_names_the_server(world):
    answer = world.get("/")
    assert answer.status == 200
    assert "adtally" in answer.body.decode().lower()
    assert len(answer.body.decode().splitlines()) == 1


@pytest.mark.parametrize("path", GETS)
@pytest.mark.parametrize("method", [m for m in METHODS if m != "GET"])
def test_get_routes_refuse_other_methods_with_allow(world, path, method):
    with world.records():
        answer = world.send(world.get_bytes(f"{path}?token={CANARY}&p={CANARY}",
                                            [("Content-Length", "0")], method))
    is_refused(answer, 405)
    assert {m.strip() for m in answer.header("allow").split(",")} == {"GET", "HEAD"}


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("method", [m for m in METHODS if m != "POST"])
def test_post_routes_refuse_other_methods_with_allow(world, path, method):
    with world.records():
        answer = world.send(world.get_bytes(path, [("Content-Length", "0")], method))
    is_refused(answer, 405)
    assert answer.header("allow") == "POST"


@pytest.mark.parametrize("path", POSTS)
def test_head_on_a_post_route_is_405_without_body(world, path):
    answer = world.send(world.get_bytes(path, method="HEAD"), "HEAD")
    assert answer.status == 405 and answer.header("allow") == "POST"
    assert world.get("/health").status == 200


@pytest.mark.parametrize("path", ["/", "/health"])
def test_head_answers_as_get_without_the_body(world, path):
    get, head = world.get(path), world.send(world.get_bytes(path, method="HEAD"), "HEAD")
    assert head.status == 200
    assert head.header("content-type") == get.header("content-type")
    assert head.header("content-length") in (None, get.header("content-length"))


UNKNOWN = {
    "a path nobody knows": f"/{CANARY}",
    "a prefix of a route": "/v1/api",
    "a route with more behind it": "/v1/api/conversion/x",
    "a route with a trailing slash": "/v1/api/collect/",
    "a route in another case": "/V1/API/CONVERSION",
    "a doubled slash": "//health",
    "metrics, which live on the admin listener": "/metrics",
    "reports, which live on the admin listener": "/v1/reports/daily",
    "openapi, which lives on the admin listener": "/openapi.json",
    "docs, which live on the admin listener": "/docs",
    "tail, which lives on the admin listener": "/v1/tail",
    "a parent directory": "/../health",
}


@table("path", UNKNOWN)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_anything_else_is_not_found(world, path, method):
    answer = world.send(world.get_bytes(path, [("Content-Length", "0")], method))
    is_refused(answer, 404, "Not Found")
    assert answer.header("content-type").startswith("application/json")


def test_head_on_an_unknown_path_is_404_without_body(world):
    assert world.send(world.get_bytes("/nowhere", method="HEAD"), "HEAD").status == 404
    assert world.get("/health").status == 200


@pytest.mark.parametrize("path", POSTS)
def test_a_query_does_not_change_the_route(world, path):
    assert world.post(path + "?source=backend", {}, ABSENT).status == 401


@pytest.mark.parametrize("path", POSTS)
def test_s2s_and_mint_routes_send_no_cors_headers_to_a_browser(world, path):
    headers = [("Origin", "https://shop.example"),
               ("Access-Control-Request-Method", "POST"),
               ("Access-Control-Request-Headers", "authorization")]
    preflight = world.send(world.get_bytes(path, headers, "OPTIONS"))
    assert preflight.status == 405
    is_discreet(preflight)
    is_discreet(world.post(path, {}, headers=headers))
    is_discreet(world.post(path, {}, ABSENT, headers=headers))


def test_methods_are_checked_before_the_key(world):
    answer = world.send(build("GET", V1, [("Host", world.host), ("Authorization", "Bearer x")]))
    assert answer.status == 405


def test_an_empty_body_of_a_refusal_is_announced(world):
    """Every answer is framed, so the connection is good for the next request."""
    for _ in range(3):
        is_refused(world.get("/nowhere"), 404, "Not Found")
