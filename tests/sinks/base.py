"""adtally-sinks as a process, a load of events, and what has to hold of what arrived."""

import base64
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import pytest

from support import server as program
from support.receiver import SECRET
from support.world import COLLECT, event, unique

BINARY = program.SINKS
WAIT_S = 60.0


def needs_program():
    program.require()
    if not os.access(BINARY, os.X_OK):
        pytest.exit(f"no program to test: {BINARY}", 2)


def wait_for(what, seconds=WAIT_S, why=""):
    """What is true at last; the reason of a failure is its last value, or `why`."""
    end = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < end, f"not in {seconds} s: {why() if callable(why) else why}"
        time.sleep(0.02)
    return value


class Sinks:
    """One `adtally-sinks run`; it may be killed and started again."""

    def __init__(self, data):
        self.data, self.proc = pathlib.Path(data), None
        self.config = self.data / "sinks.conf"
        self.secret = self.data / "webhook.secret"
        self.secret.write_text("whsec_" + base64.b64encode(SECRET).decode() + "\n")
        self.stderr_file = tempfile.NamedTemporaryFile(prefix="adtally-sinks-")

    def write(self, **sections):
        """write(name={"type": "http", ...}): the configuration file."""
        self.config.write_text("".join(
            f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in options.items())
            for name, options in sections.items()))
        return self

    def start(self):
        self.proc = subprocess.Popen([BINARY, "run", "--data", str(self.data)],
                                     stdin=subprocess.DEVNULL, stderr=self.stderr_file)
        return self

    def kill(self):
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGKILL)
            self.proc.wait()

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        assert self.proc.wait(20) == 0, self.stderr

    @property
    def stderr(self):
        return pathlib.Path(self.stderr_file.name).read_text(errors="replace")

    def log(self, name):
        """The lines of the log of one event."""
        lines = [json.loads(line) for line in self.stderr.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def run(self, *args, expect=0):
        done = subprocess.run([BINARY, *map(str, args), "--data", self.data], capture_output=True,
                              text=True, timeout=30, check=False)
        assert done.returncode == expect, (args, done.returncode, done.stdout, done.stderr)
        return done.stdout if expect == 0 else done.stderr

    def status(self, name):
        if not (self.data / "sinks" / f"{name}.status").exists():
            return None
        lines = self.run("status", "--json").splitlines()
        return next((json.loads(x) for x in lines if json.loads(x)["name"] == name), None)

    def is_idle(self, name):
        """Everything there is was acknowledged, and the status says so."""
        status = self.status(name)
        return status and status["lag_events"] == 0

    def dead(self, name):
        path = self.data / "sinks" / f"{name}.dead"
        return [json.loads(x) for x in path.read_text().splitlines()] if path.exists() else []

    def close(self):
        self.kill()


def exported(data, *flags):
    """The events of a data directory as `adtally export` prints them."""
    text = program.cli("export", "--format", "ndjson", *flags, "--data", data)
    return [json.loads(line) for line in text.splitlines()]


def collect_many(world, count, tags=5):
    """Server events over a few tags, pipelined; each is recorded when this returns."""
    requests = [world.post_bytes(COLLECT, event(event_id=unique("e"), tag_id=f"tag-{i % tags}"))
                for i in range(count)]
    answers = world.pipelines(requests)
    assert len(answers) == count and all(a.status == 204 for a in answers)


def key_of(row):
    if row["table"] in ("click", "conversion"):
        return row["click_id"]
    return row["tag_id"] if row["table"] == "server_event" else row["bid_id"]


def disorder(rows):
    """Keys of which an event came first for the first time after one with a higher seq."""
    last, seen, wrong = {}, set(), []
    for row in rows:
        if row["receipt"] in seen:
            continue
        seen.add(row["receipt"])
        if row["seq"] < last.get(key_of(row), 0):
            wrong.append(key_of(row))
        last[key_of(row)] = max(row["seq"], last.get(key_of(row), 0))
    return wrong


def differences(sent, came):
    """What is wrong with what arrived, given what was recorded: lost, invented, changed."""
    want, got = {r["receipt"]: r for r in sent}, {r["receipt"]: r for r in came}
    return {"lost": want.keys() - got.keys(), "invented": got.keys() - want.keys(),
            "changed": {k for k in want.keys() & got.keys() if want[k] != got[k]}}


def is_complete(data, came):
    found = differences(exported(data), came)
    assert not any(found.values()), {k: sorted(v)[:5] for k, v in found.items() if v}
    assert disorder(came) == [], [row["seq"] for row in came]


def one_of_each(world):
    """An event of every table; the click id."""
    from support.publisher import (feedback, new_poll, ping_target, rate, rating, send_feedback,
                                   vote)
    ad = world.mint(user_id="u", session_id=unique("s"), poll_id=new_poll(world),
                    campaign_id="cam-1", advertiser_id="adv-1")
    assert world.get(ping_target(ad)).status == 200
    click_id = world.follow(ad["url"]).header("location").split("thrad_click_id=")[1].split("&")[0]
    assert world.convert(click_id, idem=unique("k")).status == 200
    assert world.post(COLLECT, event(event_id=unique("e"), tag_id="t")).status == 204
    assert send_feedback(world, feedback(ad["bidId"])).status == 204
    assert rate(world, rating(ad)).status == 200
    assert vote(world, ad).status == 200
    return click_id
