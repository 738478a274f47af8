"""Kafka: by key into partitions, in order, through brokers that end and refuse.

The brokers are librdkafka's own (kafka_cluster.c): its protocol, over sockets. They do not drop what
an idempotent producer sends twice, so what is shown here is: nothing lost, in order."""

import json
import os
import pathlib
import random
import subprocess
import time

import pytest

from base import collect_many, disorder, is_complete, key_of, one_of_each, wait_for
from support import server as program

CLUSTER = pathlib.Path(os.environ.get("ADTALLY_BUILD", program.REPO / "build")) / "tests" / \
    "sinks" / "kafka_cluster"
TIMED_OUT, NOT_LEADER, NOT_ENOUGH_REPLICAS, TOO_LARGE = 7, 6, 19, 10

pytestmark = pytest.mark.skipif(not CLUSTER.exists(), reason="built without tests")


class Cluster:
    def __init__(self):
        self.proc = subprocess.Popen([CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     text=True)
        self.brokers = self.proc.stdout.readline().strip()
        assert self.brokers

    def do(self, command):
        """The lines before its "ok"."""
        self.proc.stdin.write(command + "\n")
        self.proc.stdin.flush()
        lines = iter(self.proc.stdout.readline, "ok\n")
        return [line.rstrip("\n") for line in lines if line or pytest.fail("the cluster ended")]

    def messages(self):
        """(partition, offset, key, receipt, table, row), partition by partition."""
        rows = [line.split("\t", 5) for line in self.do("dump")]
        return sorted((int(p), int(o), k, r, t, json.loads(x)) for p, o, k, r, t, x in rows)

    def close(self):
        self.proc.kill()
        self.proc.wait()


@pytest.fixture
def cluster():
    made = Cluster()
    yield made
    made.close()


def start(sinks, cluster, **options):
    sinks.write(log={"type": "kafka", "url": cluster.brokers, "timeout": "2s", **options}).start()


def is_done(sinks):
    return lambda: sinks.is_idle("log")


def is_there_in_order(world, cluster):
    """Nothing lost; each key in one partition, in order."""
    messages = cluster.messages()
    is_complete(world.data, [m[5] for m in messages])
    places = {}
    for partition, _, key, _, _, row in messages:
        assert key == key_of(row)
        places.setdefault(key, set()).add(partition)
    assert all(len(p) == 1 for p in places.values())
    return messages


def test_keys_headers_and_partitions(world, sinks, cluster):
    one_of_each(world)
    collect_many(world, 50, tags=20)
    start(sinks, cluster)
    wait_for(is_done(sinks), why=lambda: sinks.stderr)
    messages = is_there_in_order(world, cluster)
    assert len(messages) == 57 and len({m[0] for m in messages}) > 1
    assert all((receipt, table) == (row["receipt"], row["table"])
               for _, _, _, receipt, table, row in messages)


def test_brokers_that_refuse_and_go_away(world, sinks, cluster):
    rng = random.Random(17)
    start(sinks, cluster, batch=20)
    for i in range(6):
        cluster.do(f"fail {rng.choice([TIMED_OUT, NOT_LEADER, NOT_ENOUGH_REPLICAS])} 2")
        cluster.do(f"down {i % 3 + 1}")
        collect_many(world, 40, tags=30)
        time.sleep(0.1)
        cluster.do(f"up {i % 3 + 1}")
    wait_for(is_done(sinks), why=lambda: sinks.stderr[-500:])
    assert len(is_there_in_order(world, cluster)) == 240, "each once, since nobody was killed"


def test_kill_9_loses_nothing(world, sinks, cluster):
    rng = random.Random(19)
    start(sinks, cluster, batch=20)
    for _ in range(6):
        collect_many(world, 60, tags=30)
        time.sleep(rng.uniform(0, 0.2))
        sinks.kill()
        sinks.start()
    wait_for(is_done(sinks))
    is_there_in_order(world, cluster)


def test_all_brokers_away_for_longer_than_the_timeout(world, sinks, cluster):
    start(sinks, cluster, timeout="300ms")
    collect_many(world, 10)
    wait_for(is_done(sinks))
    for broker in (1, 2, 3):
        cluster.do(f"down {broker}")
    collect_many(world, 30)
    wait_for(lambda: sinks.log("sink_failing"))
    assert sinks.status("log")["lag_events"] == 30
    for broker in (1, 2, 3):
        cluster.do(f"up {broker}")
    wait_for(is_done(sinks))
    assert len(is_there_in_order(world, cluster)) == 40


def test_what_is_refused_for_good_is_tried_again_in_order(world, sinks, cluster):
    """The producer gives up; another one begins behind what was acknowledged."""
    cluster.do(f"fail {TOO_LARGE} 3")
    start(sinks, cluster, batch=10)
    collect_many(world, 60, tags=3)
    wait_for(is_done(sinks), why=lambda: sinks.stderr[-500:])
    assert sinks.log("sink_failing")
    assert disorder([m[5] for m in is_there_in_order(world, cluster)]) == []


def test_properties_are_the_librarys_but_for_what_order_rests_on(world, sinks, cluster):
    properties = sinks.data / "kafka.properties"
    properties.write_text("compression.type = lz4\nlinger.ms = 1\nenable.idempotence = false\n")
    collect_many(world, 1)
    start(sinks, cluster, properties_file=properties)
    wait_for(lambda: sinks.log("sink_failing"))
    assert "enable.idempotence cannot" in sinks.log("sink_failing")[0]["reason"]
    properties.write_text("compression.type = lz4\n")
    wait_for(is_done(sinks))
    is_there_in_order(world, cluster)
