"""The dashboard over HTTP: its pages, its files, the live figures and the keys (the page itself is looked at
in tests/browser/test_dashboard.py)."""

import json
import re
import time

import pytest

from support import admin
from support import server as program
from support.http import Conn
from support.world import ABSENT, MINT, table

PAGE_MAX = 150_000
FILES = re.compile(r'(?:src|href)="(/assets/[^"]+)"')
IMPORTS = re.compile(r'from "\./([\w.]+)"')


@pytest.fixture(scope="module")
def world(make_world):
    return make_world(*admin.LISTEN)


@pytest.fixture(scope="module")
def port(world):
    return admin.port_of(world.server)


@pytest.fixture(scope="module")
def key(world):
    return program.key_create(world.data, "admin", "dashboard")


def files_of(port, page):
    """Every file that a page loads, by address: what it names, and what those import."""
    found, open_ends = {}, FILES.findall(page)
    while open_ends:
        address = open_ends.pop()
        if address in found:
            continue
        answer = admin.ask(port, "GET", address)
        assert answer.status == 200, (address, answer)
        found[address] = answer
        open_ends += [f"/assets/{name}" for name in IMPORTS.findall(answer.body.decode())]
    return found


# -- pages and files ------------------------------------------------------------------------


def test_who_has_no_key_sees_how_to_sign_in_and_nothing_else(port):
    answer = admin.ask(port, "GET", "/")
    assert answer.status == 200 and answer.header("content-type") == "text/html; charset=utf-8"
    assert answer.header("cache-control") == "no-store"
    assert b'name="key"' in answer.body and b"uplot" not in answer.body
    assert admin.ask(port, "GET", "/v1/live").status == 401
    assert admin.ask(port, "GET", "/v1/keys").status == 401


def test_a_session_sees_the_dashboard(port, key):
    answer = admin.ask(port, "GET", "/", admin.sign_in(port, key))
    assert answer.status == 200 and b"/assets/dashboard.js" in answer.body
    policy = answer.header("content-security-policy")
    assert "default-src 'self'" in policy and "unsafe" not in policy


def test_the_page_is_small(port, key):
    page = admin.ask(port, "GET", "/", key=key).body
    sizes = {name: len(file.body) for name, file in files_of(port, page.decode()).items()}
    assert {"/assets/uplot.js", "/assets/reports.js", "/assets/icon.svg"} <= sizes.keys(), sizes
    assert len(page) + sum(sizes.values()) < PAGE_MAX, sizes


def test_nothing_in_the_files_is_of_another_origin_or_makes_markup(port, key):
    page = admin.ask(port, "GET", "/", key=key).body.decode()
    texts = {"/": page, **{n: f.body.decode() for n, f in files_of(port, page).items()}}
    for name, text in texts.items():
        if name.startswith("/assets/uplot") or name.endswith(".svg"):
            continue
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b",
                             text), name
        assert not re.search(r"https?://(?!www\.w3\.org/)|//cdn", text), name
        assert not re.search(r"\sstyle=|\son\w+=", text.partition("<body")[2]), name


def test_the_licence_of_uplot_is_shipped_with_it(port):
    for name in ("uplot.js", "uplot.css"):
        text = admin.ask(port, "GET", f"/assets/{name}").body.decode()
        assert text.startswith("/*\nThe MIT License (MIT)") and "Leon Sorokin" in text


def test_a_file_that_the_browser_has_is_not_sent_again(port):
    first = admin.ask(port, "GET", "/assets/dashboard.css")
    etag = first.header("etag")
    assert re.fullmatch(r'"[0-9a-f]{16}"', etag)
    assert first.header("cache-control") == "no-cache"
    for known in (etag, f"W/{etag}", f'"other", {etag}'):
        again = admin.ask(port, "GET", "/assets/dashboard.css", ("If-None-Match", known))
        assert (again.status, again.body, again.header("etag")) == (304, b"", etag)
    other = admin.ask(port, "GET", "/assets/dashboard.css", ("If-None-Match", '"0000"'))
    assert (other.status, other.body) == (200, first.body)


@table("name", {
    "one that does not exist": "/assets/nothing.js",
    "one above the folder": "/assets/../index.html",
    "the folder": "/assets/",
    "the page by its file": "/index.html",
})
def test_no_other_file(port, name):
    assert admin.ask(port, "GET", name).status == 404


# -- live -----------------------------------------------------------------------------------


def samples(port, key, enough):
    """The live figures, until `enough` says so of all that came."""
    found, end = [], time.monotonic() + 20
    with Conn(port) as conn:
        conn.send(admin.request(port, "GET", "/v1/live", key=key))
        received = b""
        while not (found and enough(found)):
            assert time.monotonic() < end, found[-1:]
            received += conn.sock.recv(65536)
            head, _, body = received.partition(b"\r\n\r\n")
            found = [json.loads(event.removeprefix("data: "))
                     for event in body.decode().split("\n\n")[:-1] if event.startswith("data: ")]
    assert head.startswith(b"HTTP/1.1 200") and b"text/event-stream" in head
    return found


def total(sample, part, name):
    return sample[part].get(name, {}).get("total", 0)


def test_live_figures_count_what_was_sent(world, port, key):
    before = samples(port, key, lambda found: True)[-1]
    ad = world.mint(campaign_id="live")
    for _ in range(3):
        assert world.follow(ad["view_url"]).status == 200
    assert world.follow("http://x/ack?p=nonsense").status == 404
    assert world.post(MINT, {"ads": []}, ABSENT).status == 401

    want = total(before, "routes", "/api/v1/tracking/view") + 3
    found = samples(port, key,
                    lambda some: total(some[-1], "routes", "/api/v1/tracking/view") >= want
                    and total(some[-1], "routes", "/ack") >= 1
                    and total(some[-1], "refusals", "bearer_missing") >= 1)
    now = found[-1]

    def grown(part, name):
        return total(now, part, name) - total(before, part, name)

    assert grown("routes", "/api/v1/tracking/view") == 3
    assert (grown("outcomes", "recorded"), grown("outcomes", "duplicate")) == (1, 2)
    assert grown("outcomes", "refused") == 2
    assert (grown("refusals", "not_found"), grown("refusals", "bearer_missing")) == (1, 1)
    assert sum(s["routes"].get("/ack", {}).get("n", 0) for s in found) == 1
    busy = next(s["routes"]["/ack"] for s in found if s["routes"].get("/ack", {}).get("n"))
    assert 0 < busy["p50_us"] <= busy["p99_us"] < 10_000_000


def test_live_comes_every_second_and_in_order(port, key):
    first = samples(port, key, lambda found: True)[-1]["serial"]
    found = samples(port, key, lambda some: some[-1]["serial"] >= first + 3)
    serials = [sample["serial"] for sample in found]
    assert serials == list(range(serials[0], serials[-1] + 1)), "remembered first, none missing"
    assert serials[0] <= first
    times = [sample["at_ms"] for sample in found]
    assert all(500 <= b - a <= 2500 for a, b in zip(times, times[1:])), times


@pytest.mark.data_file
def test_live_tells_the_health(world, port, key):
    health = samples(port, key, lambda found: True)[-1]["health"]
    assert health["is_healthy"] is True and health["version"] == "0.1.0"
    assert 0 < health["disk_free_bytes"] <= health["disk_bytes"]
    assert health["database_bytes"] == (world.data / "adtally.db").stat().st_size
    assert health["index_bytes"] > 0 and health["connections"] >= 0


# -- keys -----------------------------------------------------------------------------------


def keys_of(port, key):
    answer = admin.ask(port, "GET", "/v1/keys", key=key)
    assert answer.status == 200, answer
    return {one["label"]: one for one in answer.json["keys"]}


def test_keys_show_their_use_and_never_their_secret(world, port, key):
    secret = program.partner_key(world.data, "acme", "counted")
    unused = program.partner_key(world.data, "acme", "unused")
    began_ms = time.time() * 1000
    for _ in range(3):
        world.post("/v1/api/collect", {"event_name": "x"}, secret)
    world.post("/v1/api/collect", {}, secret)
    answer = admin.ask(port, "GET", "/v1/keys", key=key)
    found = keys_of(port, key)
    assert (found["counted"]["uses"], found["unused"]["uses"]) == (4, 0)
    assert began_ms - 1000 <= found["counted"]["used_at_ms"] <= time.time() * 1000
    assert "used_at_ms" not in found["unused"]
    assert secret.encode() not in answer.body and unused.encode() not in answer.body
    assert found["counted"]["class"] == "partner" and found["counted"]["partner_id"] == "acme"


def test_a_key_that_is_not_let_in_was_not_used(world, port, key):
    secret = program.partner_key(world.data, "acme", "revoked")
    world.post("/v1/api/collect", {"event_name": "x"}, secret)
    assert world.post(MINT, {"ads": []}, secret).status == 401, "of another class"
    program.cli("key", "revoke", program.key_id(world.data, "revoked"), "--data", world.data)
    assert world.post("/v1/api/collect", {"event_name": "x"}, secret).status == 401
    found = keys_of(port, key)["revoked"]
    assert (found["uses"], found["state"]) == (1, "revoked")
    program.partner_key(world.data, "acme", "expired", "--expires", "2020-01-01T00:00:00Z")
    assert keys_of(port, key)["expired"]["state"] == "expired"
