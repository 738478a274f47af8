"""Contract section 8: the admin listener, which nobody reaches without an admin key."""

import json
import re
import time

import pytest

from support import admin
from support import server as program
from support.http import Conn
from support.world import table

PAGE = "/metrics"


@pytest.fixture(scope="module")
def listener():
    made = admin.Listener()
    yield made
    made.world.close()


def test_it_is_off_unless_asked_for(world):
    assert ", admin" not in world.server.ready_line


def test_an_address_that_is_taken_is_said_with_its_flag(listener, data_dir):
    done = program.run("serve", "--data", data_dir, "--listen", "127.0.0.1:0",
                       "--admin-listen", f"127.0.0.1:{listener.port}")
    assert done.returncode == 1
    assert b"address in use; choose another with --admin-listen" in done.stderr


@pytest.mark.parametrize("path", ["/v1/mint", "/api/conversion", "/health", "/track/click"])
def test_it_serves_no_public_route(listener, path):
    assert listener.ask("GET", path, key=listener.key).status == 404


def test_the_public_listener_serves_no_admin_page(listener):
    assert listener.world.get(PAGE).status == 404


def test_an_admin_key_opens_a_page(listener):
    assert listener.ask("GET", PAGE, key=listener.key).status == 200
    assert listener.ask("HEAD", PAGE, key=listener.key).body == b""


@table("klass,options", {
    "a partner's key": ("partner", ("--partner-id", "p")),
    "a publisher's key": ("publisher", ("--publisher-id", "p")),
    "an ad server's key": ("adserver", ()),
    "a key that has expired": ("admin", ("--expires", "2020-01-01T00:00:00Z")),
})
def test_no_other_key_does(listener, klass, options):
    key = program.key_create(listener.world.data, klass, "other", *options)
    answer = listener.judge("GET", PAGE, key=key)
    assert (answer.status, answer.json) == (401, {"detail": "Invalid admin key"})
    assert answer.header("www-authenticate") == "Bearer"


def test_no_key_is_told_so(listener):
    answer = listener.judge("GET", PAGE)
    assert (answer.status, answer.json) == (401, {"detail": "Missing admin key"})


def test_two_keys_are_none(listener):
    answer = listener.judge("GET", PAGE, ("Authorization", f"Bearer {listener.key}"),
                          key=listener.key)
    assert answer.status == 401


def test_a_revoked_key_is_refused_at_once_with_its_sessions(listener):
    key = program.key_create(listener.world.data, "admin", "leaver")
    cookie = admin.sign_in(listener.port, key)
    assert listener.ask("GET", PAGE, cookie).status == 200
    program.cli("key", "revoke", program.key_id(listener.world.data, "leaver"),
                "--data", listener.world.data)
    assert listener.judge("GET", PAGE, key=key).status == 401
    assert listener.judge("GET", PAGE, cookie).status == 401


def test_a_cookie_stands_for_the_key_until_it_is_ended(listener):
    cookie = admin.sign_in(listener.port, listener.key)
    assert listener.ask("GET", PAGE, cookie).status == 200
    assert listener.ask("GET", PAGE, ("Cookie", f"a=b; {cookie[1]}; c")).status == 200
    ended = listener.ask("POST", "/session/end", cookie)
    assert ended.status == 204 and "Max-Age=0" in ended.header("set-cookie")
    assert listener.ask("GET", PAGE, cookie).status == 401


def test_a_cookie_is_not_for_scripts_and_not_for_other_sites(listener):
    body = json.dumps({"key": listener.key}).encode()
    answer = listener.ask("POST", "/session", ("Content-Type", "application/json"), body=body)
    assert re.fullmatch(r"adtally_session=[0-9a-f]{64}; HttpOnly; SameSite=Strict; Path=/; "
                        r"Max-Age=43200", answer.header("set-cookie"))


@table("peers,scheme,secure", {
    "TLS to a trusted proxy": ("127.0.0.1", "https", True),
    "no TLS to a trusted proxy": ("127.0.0.1", "http", False),
    "a trusted proxy that does not say": ("127.0.0.1", None, False),
    "anybody's word for it": ("192.0.2.1", "https", False),
})
def test_a_cookie_of_a_client_with_tls_never_leaves_without(world_with, peers, scheme, secure):
    world = world_with(*admin.LISTEN, "--trusted-proxies", peers)
    port, key = admin.port_of(world.server), program.key_create(world.data, "admin", "operator")
    said = [("X-Forwarded-Proto", scheme)] if scheme else []
    begun = admin.ask(port, "POST", "/session", ("Content-Type", "application/json"), *said,
                      body=json.dumps({"key": key}).encode())
    ended = admin.ask(port, "POST", "/session/end", *said)
    for answer in (begun, ended):
        assert ("Secure" in answer.header("set-cookie").split("; ")) == secure, answer


def test_a_form_signs_in_and_goes_on_to_the_dashboard(listener):
    answer = listener.ask("POST", "/session",
                          ("Content-Type", "application/x-www-form-urlencoded"),
                          body=f"key={listener.key}".encode())
    assert (answer.status, answer.header("location")) == (303, "/")
    assert answer.header("set-cookie").startswith("adtally_session=")


@table("kind,body", {
    "a wrong key": ("application/json", b'{"key":"atk_wrong_wrong_wrong_wrong"}'),
    "no key": ("application/json", b"{}"),
    "a key that is no string": ("application/json", b'{"key":["a"]}'),
    "no JSON": ("application/json", b"key"),
    "an empty form": ("application/x-www-form-urlencoded", b"key="),
    "a broken escape": ("application/x-www-form-urlencoded", b"key=%zz"),
})
def test_signing_in_with_anything_else_is_refused(listener, kind, body):
    answer = listener.judge("POST", "/session", ("Content-Type", kind), body=body)
    assert answer.status == 401 and not answer.all("set-cookie")


@pytest.mark.parametrize("value", ["adtally_session=", "adtally_session=" + "0" * 64,
                                   "adtally_session=" + "a" * 63, "other=1", "="])
def test_a_cookie_that_was_never_given_opens_nothing(listener, value):
    assert listener.ask("GET", PAGE, ("Cookie", value)).status == 401


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_post_from_a_page_of_another_site_is_refused(listener, origin):
    cookie = admin.sign_in(listener.port, listener.key)
    assert listener.ask("POST", "/session/end", cookie, ("Origin", origin)).status == 403
    own = f"http://127.0.0.1:{listener.port}"
    assert listener.ask("POST", "/session/end", cookie, ("Origin", own)).status == 204


def test_every_answer_says_what_a_browser_may_do_with_it(listener):
    for answer in (listener.ask("GET", PAGE, key=listener.key), listener.ask("GET", PAGE),
                   listener.ask("GET", "/nothing"), listener.ask("PUT", PAGE)):
        policy = answer.header("content-security-policy")
        assert policy.startswith("default-src 'self'; frame-ancestors 'none'")
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("cache-control") == "no-store" or answer.status == 405


def test_another_method_is_405(listener):
    answer = listener.ask("PUT", PAGE, key=listener.key)
    assert (answer.status, answer.header("allow")) == (405, "GET, HEAD")
    answer = listener.ask("GET", "/session", key=listener.key)
    assert (answer.status, answer.header("allow")) == (405, "POST")


def test_who_fails_too_often_has_to_wait_and_a_right_key_never(listener):
    time.sleep(1.1)  # the allowance is whole again
    with Conn(listener.port) as conn:
        wrong = admin.request(listener.port, "GET", PAGE, key="atk_wrong_wrong_wrong_wrong")
        conn.send(wrong * 30)
        answers = [conn.read() for _ in range(30)]
        right = admin.request(listener.port, "GET", PAGE, key=listener.key)
        conn.send(right)
        assert conn.read().status == 200
    assert {a.status for a in answers} == {401, 429}
    assert all(int(a.header("retry-after")) >= 1 for a in answers if a.status == 429)
    lines = [json.loads(line) for line in listener.world.server.stderr.splitlines()]
    refused = [line for line in lines if line["event"] == "admin_key_refused"]
    assert refused and {line["client"] for line in refused} == {"127.0.0.1"}


def statuses_of(port, forwarded):
    """What wrong keys get on one connection, each with the next of X-Forwarded-For."""
    with Conn(port) as conn:
        conn.send(b"".join(
            admin.request(port, "GET", PAGE, ("X-Forwarded-For", hops),
                          key="atk_wrong_wrong_wrong_wrong") for hops in forwarded))
        return [conn.read().status for _ in forwarded]


@table("proxies,hops_of,other,other_waits", {
    "a client of a trusted proxy": ("127.0.0.1", lambda n: "192.0.2.9", "192.0.2.10", False),
    "one that forges hops": ("127.0.0.1", lambda n: f"10.0.0.{n}, 192.0.2.9", "192.0.2.9", True),
    "one that forges hops before two proxies": (
        "127.0.0.1, 10.0.0.0/8", lambda n: f"198.51.100.{n}, 192.0.2.9, 10.0.0.1", "192.0.2.9",
        True),
    "one whose proxy is not trusted": ("10.0.0.1", lambda n: f"192.0.2.{n}", "192.0.2.200", True),
})
def test_failures_are_of_the_client_and_not_of_the_proxy(world_with, proxies, hops_of, other,
                                                         other_waits):
    """The address is told as the public listener tells it: from the right, while it is trusted."""
    world = world_with(*admin.LISTEN, "--trusted-proxies", proxies)
    port = admin.port_of(world.server)
    *failed, last = statuses_of(port, [*map(hops_of, range(30)), other])
    assert failed[-1] == 429 and last == (429 if other_waits else 401)


def test_the_log_names_the_client_behind_a_proxy(world_with):
    world = world_with(*admin.LISTEN, "--trusted-proxies", "127.0.0.1")
    statuses_of(admin.port_of(world.server), ["192.0.2.77"])
    assert '"client":"192.0.2.77"' in world.server.stderr


def test_the_log_holds_no_key_and_no_cookie(listener):
    cookie = admin.sign_in(listener.port, listener.key)
    listener.ask("GET", PAGE, ("Cookie", cookie[1] + "0"))
    text = listener.world.server.stderr
    assert listener.key not in text and cookie[1].split("=")[1] not in text


def test_the_server_stops_while_a_connection_is_open(own_server):
    server = own_server(*admin.LISTEN)
    with Conn(admin.port_of(server)) as conn:
        conn.send(b"GET /metrics HT")
        server.stop()
