"""Contract section 8: commands talk to a running server over DIR/admin.sock, and open DIR themselves
when none runs."""

import concurrent.futures
import contextlib
import fcntl
import json
import os
import resource
import stat
import subprocess
import threading
import time

import pytest

from support import server as program
from support.http import build, exchange


def labels(data):
    return sorted(k["label"] for k in program.cli_json("key", "list", "--json", "--data", data))


def test_the_socket_is_for_its_owner_alone_and_goes_with_the_server(data_dir, own_server):
    server = own_server()
    path = data_dir / "admin.sock"
    assert stat.S_ISSOCK(path.stat().st_mode) and stat.S_IMODE(path.stat().st_mode) == 0o600
    server.stop()
    assert not path.exists()


def test_a_socket_left_by_kill_9_is_in_nobodys_way(data_dir, own_server):
    own_server().kill()
    assert (data_dir / "admin.sock").exists()
    program.key_create(data_dir, "adserver", "while nobody serves")
    own_server()
    assert labels(data_dir) == ["while nobody serves"]


@pytest.mark.parametrize("running", [False, True], ids=["no server", "a running server"])
def test_commands_at_the_same_time_all_succeed(data_dir, own_server, running):
    if running:
        own_server()
    count = 4  # one after the other, within the five seconds that a command waits
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        made = list(pool.map(lambda i: program.key_create(data_dir, "adserver", f"k{i}"),
                             range(count)))
    assert len(set(made)) == count and labels(data_dir) == [f"k{i}" for i in range(count)]


def test_commands_while_servers_come_and_go(data_dir, own_server):
    server = own_server()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        listed = pool.submit(lambda: [labels(data_dir) for _ in range(30)])
        while not listed.done():
            server.stop()
            server.start()
        assert listed.result() == [[]] * 30


def hold_again_and_again(path, has_begun, is_over):
    """As commands do that follow each other: hardly a moment between two of them."""
    while not is_over.is_set():
        with open(path, "r+", encoding="ascii") as lock:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            has_begun.set()
            is_over.wait(0.4)
        time.sleep(0.01)


@pytest.mark.skipif("asan" in program.BINARY or "tsan" in program.BINARY,
                    reason="the time between two commands is less than what these take")
def test_a_server_starts_between_two_commands(data_dir, own_server):
    program.partner_key(data_dir)
    has_begun, is_over = threading.Event(), threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(hold_again_and_again, data_dir / "lock", has_begun, is_over)
        try:
            assert has_begun.wait(10)
            own_server()
        finally:
            is_over.set()


def test_a_directory_that_something_else_holds_is_one_sentence(data_dir):
    program.partner_key(data_dir)
    with open(data_dir / "lock", "r+", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        start = time.monotonic()
        done = program.run("key", "list", "--data", data_dir)
        assert 4 < time.monotonic() - start < 15, "a server that starts would be waited for"
    assert done.returncode == 1 and done.stdout == b""
    assert str(data_dir).encode() in done.stderr and done.stderr.count(b"\n") == 1


def test_a_path_longer_than_a_socket_address(data_dir, own_server):
    data = data_dir / ("d" * 150)
    server = own_server(data=data)
    key = program.key_create(data, "adserver", "far away")
    answer = exchange(server.port, build("POST", "/v1/mint", [
        ("Host", "a"), ("Authorization", f"Bearer {key}"), ("Content-Type", "application/json"),
        ("Content-Length", "2")], b"{}"))
    assert answer.status == 422, "the running server does not know the key"


# -- what key create prints -----------------------------------------------------------------


def test_key_create_has_json(data_dir):
    made = program.cli_json("key", "create", "--class", "admin", "--label", "a", "--json",
                            "--data", data_dir)
    assert set(made) == {"id", "secret"}
    assert program.key_id(data_dir, "a") == made["id"]


def test_an_imported_secret_is_not_printed(data_dir):
    file = data_dir.parent / f"{data_dir.name}.secret"
    file.write_text("vendor_0123456789abcdef\n")
    try:
        done = program.run("key", "create", "--class", "admin", "--label", "a", "--import", file,
                           "--data", data_dir)
    finally:
        file.unlink()
    assert done.returncode == 0 and done.stdout == b"" and b"vendor_" not in done.stderr


def test_a_secret_that_cannot_be_printed_is_an_error(data_dir):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([program.BINARY, "key", "create", "--class", "admin", "--label", "a",
                               "--data", data_dir], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert program.key_id(data_dir, "a").encode() in done.stderr, "which key is to be revoked?"


def test_a_label_of_any_script_is_listed(data_dir):
    label = 'Käse "π" \\ 広告'
    program.key_create(data_dir, "adserver", label)
    assert labels(data_dir) == [label]
    assert label in program.cli("key", "list", "--data", data_dir)


def test_listed_times_are_rfc_3339(data_dir):
    program.key_create(data_dir, "adserver", "l", "--expires", "2030-01-02T03:04:05+01:00")
    program.cli("key", "revoke", program.key_id(data_dir, "l"), "--data", data_dir)
    (key,) = program.cli_json("key", "list", "--json", "--data", data_dir)
    assert set(key) == {"id", "class", "label", "created_at", "expires_at", "revoked_at"}
    assert key["expires_at"] == "2030-01-02T02:04:05.000Z"


def test_the_click_signing_key_can_be_exported(world):
    key = program.cli("token-key", "export", "click-signing", "--data", world.data).strip()
    assert len(bytes.fromhex(key)) == 32


# -- serve ----------------------------------------------------------------------------------


def ready(*flags, **options):
    """The ready line of a server, which is ended at once."""
    proc = subprocess.Popen([program.BINARY, "serve", *map(str, flags)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **options)
    try:
        line = proc.stdout.readline().decode()
    finally:
        proc.terminate()
        _, log = proc.communicate(timeout=20)
    assert proc.returncode == 0, log
    return line, log.decode()


@pytest.mark.parametrize("listen, url", [("127.0.0.1:0", "http://127.0.0.1:"),
                                         ("localhost:0", "http://127.0.0.1:"),
                                         (":0", "http://127.0.0.1:"), ("[::1]:0", "http://[::1]:")])
def test_any_free_port_is_named_when_ready(data_dir, listen, url):
    if "::" in listen and not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("no IPv6 here")
    line, _ = ready("--data", data_dir, "--listen", listen, "--threads", 3)
    assert f" ready: {url}" in line and f"{url}0," not in line


def test_few_descriptors_are_few_connections(data_dir):
    line, log = ready("--data", data_dir, "--listen", "127.0.0.1:0", "--threads", 2,
                      preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128)))
    assert "ready" in line
    events = [json.loads(entry) for entry in log.splitlines()]
    (limited,) = [event for event in events if event["event"] == "connections_limited"]
    assert 0 < limited["max_connections"] < 128


@pytest.mark.data_file
def test_another_store_is_refused_and_its_url_not_echoed(data_dir):
    for args in (["serve"], ["key", "list"], ["verify"]):
        done = program.run(*args, "--data", data_dir, "--store", "mysql://u:secret@h/d")
        assert done.returncode == 2 and b"sqlite" in done.stderr and b"secret" not in done.stderr
    assert not (data_dir / "adtally.db").exists()
