"""What the feed reads at its edges: events too large for one read, damage, retention, TLS."""

import json
import sqlite3
import ssl
import subprocess

import pytest

from base import collect_many, exported, is_complete, one_of_each, wait_for
from support.receiver import Receiver
from support import server as program
from support.world import COLLECT, event, unique


def start(sinks, receiver, **options):
    sinks.write(lake={"type": "http", "url": receiver.url, **options}).start()


def test_large_events_come_in_several_reads(world, sinks, receiver):
    """More than the feed's memory takes at once, and one byte more than a part of sequences."""
    for _ in range(130):
        body = event(event_id=unique("e"), tag_id="t", referrer="r" * 8000, page_url="u" * 8000,
                     params={f"k{i}": "v" * 2000 for i in range(10)})
        assert world.post(COLLECT, body).status == 204
    start(sinks, receiver, batch=4096)
    wait_for(lambda: sinks.is_idle("lake"))
    is_complete(world.data, receiver.rows)
    assert len(receiver.taken) > 1


def test_more_sequences_than_one_read_takes(world, sinks, receiver):
    """The filter leaves all out but the last: the cursor moves over thousands."""
    collect_many(world, 4200)
    one_of_each(world)
    start(sinks, receiver, tables="click")
    wait_for(lambda: sinks.is_idle("lake"))
    assert [row["table"] for row in receiver.rows] == ["click"]


def test_a_damaged_row_is_not_left_out(world, sinks, receiver):
    collect_many(world, 10)
    world.server.stop()
    before = exported(world.data)
    with sqlite3.connect(world.data / "adtally.db") as conn:
        conn.execute("UPDATE server_event SET tag_id = 'other' WHERE seq = 6")
    start(sinks, receiver)
    wait_for(lambda: any("(seq 6) is damaged" in x["reason"] for x in sinks.log("sink_failing")))
    wait_for(lambda: len(receiver.rows) == 5)
    with sqlite3.connect(world.data / "adtally.db") as conn:
        conn.execute("UPDATE server_event SET tag_id = ? WHERE seq = 6", (before[5]["tag_id"],))
    wait_for(lambda: receiver.rows == before)


def test_a_waiting_event_that_is_gone_is_left_out(world, sinks, receiver):
    receiver.answer = lambda request: 500
    sinks.write(hook={"type": "webhook", "url": receiver.url, "secret_file": sinks.secret,
                      "retry": "100ms, 1s, 1s"}).start()
    collect_many(world, 3, tags=3)
    wait_for(lambda: len(receiver.requests) >= 3)
    sinks.kill()
    world.server.stop()
    with sqlite3.connect(world.data / "adtally.db") as conn:
        conn.execute("DELETE FROM server_event WHERE seq = 2")
    receiver.answer = lambda request: 204
    sinks.start()
    wait_for(lambda: {row["seq"] for row in receiver.rows} == {1, 3})
    wait_for(lambda: sinks.is_idle("hook"))
    assert [x["sequence"] for x in sinks.log("sink_event_gone")] == [2]


@pytest.fixture
def secure():
    """A receiver with a certificate of its own making."""
    made = Receiver()
    folder = made.folder = program.temp_dir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", folder / "key", "-out",
                    folder / "crt", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")
    made.server.socket = context.wrap_socket(made.server.socket, server_side=True)
    yield made
    made.close()


def test_certificates_are_checked(world, sinks, secure):
    url = f"https://localhost:{secure.port}/"
    collect_many(world, 1)
    sinks.write(stranger={"type": "http", "url": url},
                other={"type": "http", "url": url.replace("localhost", "127.0.0.1"),
                       "ca_file": secure.folder / "crt"},
                known={"type": "http", "url": url, "ca_file": secure.folder / "crt"}).start()
    wait_for(lambda: sinks.is_idle("known"), why=lambda: sinks.stderr)
    wait_for(lambda: {x["sink"] for x in sinks.log("sink_failing")} == {"stranger", "other"})
    assert all("SSL" in x["reason"] for x in sinks.log("sink_failing")), sinks.stderr
    assert len(secure.taken) == 1
    assert json.loads(secure.taken[0]["body"])["table"] == "server_event"
