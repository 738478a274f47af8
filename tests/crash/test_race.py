"""Two processes race the same keys: one is told ok, the other duplicate, for every key."""

import json
import pathlib
import subprocess
import sys

import pytest

from support.world import API, V1, World, unique

KEYS = 300
RACER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from support.http import Conn
order = json.load(sys.stdin)
with Conn(order["port"]) as conn:
    print("ready", flush=True)
    gate = open(order["gate"])
    for request in order["requests"]:
        conn.send(request.encode())
        answer = conn.read("POST")
        print(json.dumps([answer.json["status"], answer.receipt]), flush=True)
"""


@pytest.fixture(scope="module")
def world():
    world = World()
    yield world
    world.close()


def race(world, per_racer):
    """Starts a process per list of requests, lets them go together; their answers."""
    helpers = pathlib.Path(__file__).resolve().parents[1]
    gate = world.data.parent / f"{world.data.name}.gate"
    subprocess.run(["mkfifo", gate], check=True)
    racers = []
    try:
        for requests in per_racer:
            racer = subprocess.Popen([sys.executable, "-c", RACER, str(helpers)], text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            racers.append(racer)
            json.dump({"port": world.port, "gate": str(gate),
                       "requests": [r.decode() for r in requests]}, racer.stdin)
            racer.stdin.close()
            assert racer.stdout.readline() == "ready\n"
        with open(gate, "w"):
            results = [[tuple(json.loads(line)) for line in racer.stdout] for racer in racers]
        assert [racer.wait(30) for racer in racers] == [0, 0]
        return results
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
        gate.unlink()


@pytest.mark.parametrize("layer", ["header", "event_id", "order_id"])
@pytest.mark.parametrize("paths", [(V1, V1), (API, API), (V1, API)], ids=["v1", "api", "both"])
def test_two_processes_race_the_same_keys(world, paths, layer):
    click, keys = world.click(), [unique("race") for _ in range(KEYS)]

    def request(path, key):
        body = {"click_id": click, "conversion_time": "2026-02-19T18:00:00Z",
                "conversion_value": 1, "currency": "USD"}
        if layer == "header":
            return world.post_bytes(path, body, headers=[("Idempotency-Key", key)])
        return world.post_bytes(path, {**body, layer: key})

    with world.records(conversion=KEYS):
        one, two = race(world, [[request(path, key) for key in keys] for path in paths])
    assert len(one) == len(two) == KEYS
    for key, first, second in zip(keys, one, two):
        assert {first[0], second[0]} == {"ok", "duplicate"}, key
        assert first[1] == second[1], key
    assert len({receipt for _, receipt in one}) == KEYS
    assert {status for status, _ in one} | {status for status, _ in two} == {"ok", "duplicate"}
