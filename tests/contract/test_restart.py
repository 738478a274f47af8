"""docs/operations.md: a restart behind a socket that is held costs no request."""

import os
import shutil
import socket
import sqlite3
import subprocess
import time

import pytest

from support import server as program
from support.held import Load, held_world
from support.http import Conn, build
from support.world import COLLECT, World, event, is_collected

RESTARTS = 4


@pytest.fixture
def held():
    world = held_world(["--threads", "2"])
    yield world
    world.server.close()
    shutil.rmtree(world.data, ignore_errors=True)


def restart_often(world):
    for _ in range(RESTARTS):
        time.sleep(0.3)
        world.server.stop()
        world.server.start()
    time.sleep(0.3)


def test_restarts_under_load_fail_no_request(held):
    with Load(held) as load:
        restart_often(held)
    assert load.failed == []
    assert len(load.acked) > 50 and load.stored() == set(load.acked)


def test_the_load_sees_a_request_that_fails():
    """The same with a socket of the server's own: between two processes there is nobody."""
    world = World(["--threads", "2"])
    with Load(world) as load:
        restart_often(world)
    world.close()
    assert load.failed


def test_who_connects_between_two_processes_is_answered_by_the_next(held):
    held.server.stop()
    with Conn(held.port) as conn:
        conn.send(held.post_bytes(COLLECT, event()))
        assert not conn.readable(0.3)
        held.server.start()
        is_collected(conn.read())


@pytest.mark.data_file
def test_nobody_is_told_that_it_starts(held):
    """A lock on the database keeps it from being ready; with a socket of its own it says 503."""
    held.server.stop()
    lock = sqlite3.connect(held.data / "adtally.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    held.server.launch()
    with Conn(held.port) as conn:
        conn.send(build("GET", "/health", [("Host", "a")]))
        assert not conn.readable(1) and held.server.alive()
        lock.execute("ROLLBACK")
        lock.close()
        held.server.await_ready()
        assert conn.read().body == b'{"status":"ok","ready":true}'


def test_a_connection_that_is_open_is_led_away_and_not_cut(held):
    with Conn(held.port) as conn:
        conn.send(held.post_bytes(COLLECT, event()))
        is_collected(conn.read())
        held.server.signal(15)
        time.sleep(0.3)
        conn.send(held.post_bytes(COLLECT, event()))
        answer = conn.read()
        is_collected(answer)
        assert answer.header("connection") == "close" and conn.closes()
    assert held.server.wait() == 0


def test_every_loop_serves_the_one_socket(held):
    for _ in range(50):
        assert held.server.health().status == 200


def test_the_ready_line_names_the_address_that_was_handed_over(held):
    assert held.server.host in held.server.ready_line


def hand_over(data, fd, pid="$$", count=1):
    script = f'exec 3<&$0; export LISTEN_FDS={count} LISTEN_PID={pid}; exec "$@"'
    return subprocess.run(["bash", "-c", script, str(fd), program.BINARY, "serve", "--data",
                           str(data)], pass_fds=[fd], capture_output=True, timeout=20, check=False)


def test_what_is_no_listening_socket_is_refused(data_dir):
    with socket.socket() as plain:
        done = hand_over(data_dir, plain.fileno())
    assert done.returncode == 1 and b"descriptor 3" in done.stderr
    done = hand_over(data_dir, os.open("/dev/null", os.O_RDONLY))
    assert done.returncode == 1 and b"descriptor 3" in done.stderr


def test_too_many_sockets_are_refused(data_dir):
    with socket.socket() as plain:
        done = hand_over(data_dir, plain.fileno(), count=100000)
    assert done.returncode == 1 and b"100000 sockets" in done.stderr


def test_sockets_for_another_process_are_none_of_ours(data_dir):
    """LISTEN_PID of a parent: the address is our own affair."""
    server = program.Server(data_dir, environment={"LISTEN_FDS": "1", "LISTEN_PID": "1"})
    server.start()
    assert server.health().status == 200
    server.stop()


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="needs systemd")
def test_systemds_own_activation(data_dir):
    port = program.free_port()
    command = ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", program.BINARY, "serve",
               "--data", str(data_dir)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ})
    try:
        end = time.monotonic() + 20
        while True:
            try:
                with Conn(port) as conn:
                    conn.send(build("GET", "/health", [("Host", "a")]))
                    assert conn.read().status == 200
                    return
            except ConnectionRefusedError:
                assert time.monotonic() < end
                time.sleep(0.05)
    finally:
        process.terminate()
        process.wait(20)
