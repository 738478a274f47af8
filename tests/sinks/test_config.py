"""sinks.conf: what is wrong is said in one sentence, with file and line."""

import json

import pytest

from base import Sinks, collect_many, wait_for
from support import server as program

GOOD = "[lake]\ntype = http\nurl = https://lake.example/in  # a comment\n"
WRONG = {
    "no section": ("type = http\n", 1, "a section has to begin first: [NAME]"),
    "no name": ("[]\n", 1, "a section is [NAME]"),
    "an open bracket": ("[lake\n", 1, "a section is [NAME]"),
    "a name with a slash": ("[../x]\n", 1, "a section is [NAME]"),
    "a name that is too long": (f"[{'x' * 33}]\n", 1, "a section is [NAME], of at most 32"),
    "no equals sign": ("[lake]\ntype\n", 2, "a line is [NAME] or `name = value`"),
    "an unknown option": ("[lake]\nsort = yes\n", 2, 'unknown option "sort"'),
    "an unknown type": ("[lake]\ntype = ftp\n", 2, "type is http, webhook, nats or kafka"),
    "no type": ("[lake]\nurl = https://x/\n", 1, "[lake] needs a line `type = http`"),
    "no url": ("\n[lake]\ntype = http\n", 2, "[lake] needs a line `url = ...`"),
    "no secret": ("[w]\ntype = webhook\nurl = https://x/\n", 1, "needs a line `secret_file"),
    "a file as url": ("[lake]\ntype = http\nurl = file:///etc/passwd\n", 1, "url of [lake] is"),
    "an option twice": (GOOD + "type = http\n", 4, "type stands in line 2 already"),
    "a section twice": (GOOD + GOOD, 4, "[lake] stands in line 1 already"),
    "of another type": (GOOD + "topic = x\n", 4, "topic is no option of a sink of type http"),
    "a table": (GOOD + "tables = click, poll\n", 4, "tables is a list, with commas"),
    "a number": (GOOD + "batch = many\n", 4, "batch is a number"),
    "a number too large": (GOOD + "batch = 5000\n", 4, "batch is a number"),
    "a duration": (GOOD + "timeout = 10\n", 4, "timeout is a duration"),
    "a beginning": (GOOD + "begin = later\n", 4, "begin is first or now"),
    "a schedule": ("[w]\ntype = webhook\nurl = https://x/\nsecret_file = s\nretry = 5\n", 5,
                   "retry is a list"),
    "an empty value": (GOOD + "partner =\n", 4, "partner needs a value"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(tmp_path, name):
    text, line, said = WRONG[name]
    sinks = Sinks(tmp_path)
    sinks.config.write_text(text)
    for command in ("check", "run"):
        error = sinks.run(command, expect=2)
        assert error.startswith(f"adtally-sinks: {sinks.config}:{line}: ") and said in error, error
        assert error.count("\n") == 1


def test_a_good_one_is_listed(tmp_path):
    sinks = Sinks(tmp_path)
    sinks.config.write_text(GOOD + "[bus]\ntype = nats\nurl = nats://n1:4222,nats://n2:4222\n"
                            "[log]\ntype = kafka\nurl = k1:9092,k2:9092\n")
    assert sinks.run("check").splitlines() == ["lake: http", "bus: nats", "log: kafka"]


def test_the_sample_is_good(tmp_path):
    sinks = Sinks(tmp_path)
    sample = (program.REPO / "etc" / "sinks.conf").read_text()
    sinks.config.write_text(sample.replace("/etc/adtally/", f"{tmp_path}/"))
    assert "clickhouse.headers: No such file or directory; make it" in sinks.run("check", expect=2)
    for name in ("clickhouse.headers", "acme.whsec", "bus.creds", "kafka.properties"):
        (tmp_path / name).write_text("")
    assert [line.split(": ")[1] for line in sinks.run("check").splitlines()] == \
        ["http", "webhook", "nats", "kafka"]


def test_no_sink_and_no_file_are_said(tmp_path):
    sinks = Sinks(tmp_path)
    assert "cannot read" in sinks.run("run", expect=2)
    sinks.config.write_text("# nothing\n")
    assert "names no sink" in sinks.run("run", expect=2)


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_c2hvcnQ=\n", "secret\n", "whsec_!!!!\n"])
def test_a_secret_that_is_none(world, sinks, receiver, text):
    sinks.secret.write_text(text)
    sinks.write(hook={"type": "webhook", "url": receiver.url,
                      "secret_file": sinks.secret}).start()
    collect_many(world, 1)
    wait_for(lambda: sinks.log("sink_failing"))
    assert sinks.log("sink_failing")[0]["reason"] == \
        "secret_file holds no line whsec_... of 24 to 64 bytes"
    assert receiver.requests == []


def test_a_damaged_cursor_is_said(world, sinks, receiver):
    sinks.write(lake={"type": "http", "url": receiver.url}).start()
    wait_for(lambda: sinks.is_idle("lake"))
    sinks.stop()
    cursor = sinks.data / "sinks" / "lake.cursor"
    good = cursor.read_text()
    for damaged in ("", good[:-5], good.replace("sequence", "sequenz"), good + "x\n"):
        cursor.write_text(damaged)
        before = len(sinks.log("sink_failing"))
        sinks.start()
        wait_for(lambda: len(sinks.log("sink_failing")) > before)
        assert "is damaged" in sinks.log("sink_failing")[-1]["reason"]
        sinks.kill()
    collect_many(world, 1)
    cursor.write_text(good)
    sinks.start()
    wait_for(lambda: len(receiver.rows) == 1)
    assert json.loads(cursor.read_text().splitlines()[0])


def test_a_wish_for_a_sink_that_is_none(world, sinks, receiver):
    sinks.write(lake={"type": "http", "url": receiver.url}).start()
    wait_for(lambda: sinks.is_idle("lake"))
    assert 'no sink is called "sea"' in sinks.run("replay", "sea", expect=1)
    assert "needs the NAME" in sinks.run("replay", expect=2)
    assert "needs the NAME" in sinks.run("enable", "../x", expect=2)
