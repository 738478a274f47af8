"""NATS JetStream: every event is in the stream once, whatever is killed, in order by key."""

import collections
import random
import shutil
import threading
import time

import pytest

from base import collect_many, disorder, is_complete, one_of_each, wait_for
from nats import Nats

pytestmark = pytest.mark.skipif(not shutil.which("nats-server"), reason="needs nats-server")


@pytest.fixture
def nats():
    made = Nats().start()
    made.make_stream()
    yield made
    made.close()


def start(sinks, nats, **options):
    sinks.write(bus={"type": "nats", "url": nats.url, "timeout": "2s", **options}).start()


def is_done(sinks):
    return lambda: sinks.is_idle("bus")


def is_there_once(world, nats):
    messages = nats.messages()
    is_complete(world.data, [row for _, _, row in messages])
    counts = collections.Counter(row["receipt"] for _, _, row in messages)
    assert doubled(counts) == []
    return messages


def doubled(counts):
    return [receipt for receipt, count in counts.items() if count > 1]


def test_the_judge_sees_a_double():
    assert doubled(collections.Counter("aba")) == ["a"]


def test_subjects_and_ids(world, sinks, nats):
    one_of_each(world)
    start(sinks, nats)
    wait_for(is_done(sinks), why=lambda: sinks.stderr)
    for subject, headers, row in is_there_once(world, nats):
        assert subject == "adtally." + row["table"]
        assert headers["Nats-Msg-Id"] == row["receipt"]


def load(world, stop, rounds, errors):
    try:
        while not stop.is_set():
            collect_many(world, 40, tags=30)
            one_of_each(world)
            rounds.append(40)
    except Exception as error:  # pylint: disable=broad-except
        errors.append(error)


def test_kill_9_under_load_leaves_every_event_once(world, sinks, nats):
    """The sender and, twice, the NATS server."""
    rng, stop, rounds, errors = random.Random(13), threading.Event(), [], []
    thread = threading.Thread(target=load, args=(world, stop, rounds, errors))
    start(sinks, nats)
    thread.start()
    for i in range(10):
        wait_for(lambda i=i: errors or len(rounds) > i, why="no load")
        time.sleep(rng.uniform(0, 0.2))
        if i % 5 == 4:
            nats.kill()
            time.sleep(0.3)
            nats.start()
        sinks.kill()
        sinks.start()
    stop.set()
    thread.join()
    assert not errors, errors
    wait_for(is_done(sinks), why=lambda: sinks.stderr[-500:])
    assert len(is_there_once(world, nats)) > 300


def test_one_that_is_refused_is_not_overtaken_by_its_key(world, sinks, nats):
    """The stream takes messages of up to 1,000 bytes: the longer one of a tag holds up those
    behind it, and they come when it fits."""
    with nats.client() as client:
        config = client.ask("$JS.API.STREAM.INFO.ADS", {})["config"]
        client.ask("$JS.API.STREAM.UPDATE.ADS", {**config, "max_msg_size": 1000})
    from support.world import COLLECT, event, unique
    for i in range(12):
        body = event(event_id=unique("e"), tag_id="t", page_url="u" * (2000 if i == 5 else 1))
        assert world.post(COLLECT, body).status == 204
    start(sinks, nats)
    wait_for(lambda: sinks.log("sink_failing"))
    time.sleep(0.5)
    assert len(nats.messages()) == 5
    with nats.client() as client:
        client.ask("$JS.API.STREAM.UPDATE.ADS", {**config, "max_msg_size": -1})
    wait_for(is_done(sinks))
    assert disorder([row for _, _, row in is_there_once(world, nats)]) == []


def test_no_stream_is_said_and_waited_for(world, sinks):
    nats = Nats().start()
    try:
        collect_many(world, 20)
        start(sinks, nats)
        wait_for(lambda: sinks.log("sink_failing"))
        assert sinks.log("sink_failing")[0]["reason"] == "no stream takes the subject"
        nats.make_stream()
        wait_for(is_done(sinks))
        is_there_once(world, nats)
    finally:
        nats.close()


def test_a_password_and_another_subject(world, sinks):
    nats = Nats()
    config = nats.data / "nats.conf"
    config.write_text('authorization { user: sink, password: "pass7391" }\n')
    nats.flags = ["-c", str(config)]
    nats.start()
    try:
        password = sinks.data / "nats.password"
        password.write_text("wrong\n")
        collect_many(world, 1)
        start(sinks, nats, user="sink", password_file=password)
        wait_for(lambda: sinks.log("sink_failing"))
        password.write_text("pass7391\n")
        wait_for(lambda: sinks.log("sink_failing")[-1]["reason"] == "no stream takes the subject")
        assert "pass7391" not in sinks.stderr
    finally:
        nats.close()
