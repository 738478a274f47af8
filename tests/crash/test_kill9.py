"""kill -9 under load, again and again: every acknowledged conversion and click is there once,
nothing is there that was never sent, and a retry tells what became of the rest."""

import os
import random
import shutil
import threading
import time
from urllib.parse import parse_qsl, urlsplit

from oracle import Oracle
from support import torture
from support.http import Closed, Conn
from support.world import API, V1, World, conversion, unique

CYCLES = torture.size(30, 1000)
THREADS = 5
LOAD_S = (0.05, 0.5)


class Load:
    """Threads that send conversions, and one that clicks, until the server is killed."""

    def __init__(self, world, oracle, clicks, cycle):
        self.world, self.oracle, self.clicks, self.cycle = world, oracle, clicks, cycle
        self.new_clicks, self.errors = [], []
        self.url = world.target(world.mint(bid_id=unique("bid"))["url"])
        self.threads = [threading.Thread(target=self.run, args=(self.convert, n))
                        for n in range(THREADS)]
        self.threads.append(threading.Thread(target=self.run, args=(self.click, THREADS)))

    def __enter__(self):
        [t.start() for t in self.threads]
        return self

    def __exit__(self, *_):
        [t.join() for t in self.threads]
        assert not self.errors, self.errors[:3]

    def run(self, work, number):
        try:
            with Conn(self.world.port) as conn:
                for i in range(10**6):
                    work(conn, number, i)
        except (OSError, Closed):
            pass
        except AssertionError as error:
            if "cut" not in str(error):
                self.errors.append(error)

    def convert(self, conn, number, i):
        key = f"{self.cycle}-{number}-{i}"
        convert(self.world, self.oracle, conn, key, self.clicks[hash(key) % len(self.clicks)])

    def click(self, conn, number, i):
        conn.send(self.world.get_bytes(self.url))
        answer = conn.read()
        assert answer.status == 302, answer
        query = dict(parse_qsl(urlsplit(answer.header("location")).query))
        if "thrad_click_id" in query:
            self.new_clicks.append(query["thrad_click_id"])
        time.sleep(0.005)


def convert(world, oracle, conn, key, click):
    """One conversion: logged, sent, answered, logged. The key names its click for the retry."""
    key = f"{key}@{click}"
    path = (V1, API)[len(key) % 2]
    data = world.post_bytes(path, conversion(click, order_id=key),
                            headers=[("Idempotency-Key", key)])
    oracle.sending(key)
    conn.send(data)
    answer = conn.read()
    assert answer.status == 200, answer
    oracle.answered(key, answer.json["status"], answer.receipt)


def retry(world, oracle):
    """Sends again all that was never answered, on both paths; the answers tell what stands."""
    with world.connect() as conn:
        for key in oracle.unanswered():
            click = key.rpartition("@")[2]
            for path in (V1, API):
                conn.send(world.post_bytes(path, conversion(click, order_id=key),
                                           headers=[("Idempotency-Key", key)]))
                answer = conn.read()
                assert answer.status == 200, answer
                oracle.answered(key, answer.json["status"], answer.receipt)


def test_kill_9_loses_nothing_doubles_nothing_invents_nothing():
    rng = random.Random(torture.seed("kill9"))
    world = World()
    oracle = Oracle(world.data.parent / f"{world.data.name}.oracle")
    clicks = [world.click() for _ in range(4)]
    try:
        for cycle in range(CYCLES):
            with Load(world, oracle, clicks, cycle) as load:
                time.sleep(rng.uniform(*LOAD_S))
                world.server.kill()
            world.server.start()
            clicks = clicks[:4] + load.new_clicks[-20:]
            known = {r["click_id"] for r in world.rows("SELECT click_id FROM click")}
            assert set(load.new_clicks) <= known, f"cycle {cycle}: clicks are lost"
            retry(world, oracle)
        world.server.stop()
        stored = [r["idempotency_key"] for r in
                  world.rows("SELECT idempotency_key FROM conversion")]
        found = oracle.judge(stored)
        assert not any(found.values()), {k: sorted(v)[:5] for k, v in found.items() if v}
        sent, _ = oracle.read()
        assert set(stored) == sent, "after the retries each key stands once"
        assert len(sent) > CYCLES * THREADS, "there was no load worth the name"
    finally:
        world.server.kill()
        oracle.close()
        os.unlink(oracle.path)
        shutil.rmtree(world.data, ignore_errors=True)


def test_the_oracle_can_see_what_it_is_for(tmp_path):
    """A test that cannot fail is a defect: each verdict is provoked once."""
    oracle = Oracle(tmp_path / "log")
    for key, answers in {"a": [("ok", "1")], "b": [("ok", "2")], "c": [], "d": [("ok", "3")] * 2,
                         "e": [("ok", "4"), ("duplicate", "5")], "f": [("duplicate", "1")]}.items():
        oracle.sending(key)
        for status, receipt in answers:
            oracle.answered(key, status, receipt)
    oracle.close()
    assert oracle.unanswered() == ["c"]
    assert oracle.judge(["a", "a", "d", "e", "f", "z"]) == {
        "lost": {"b"}, "doubled": {"a"}, "phantom": {"z"}, "counted twice": {"d"},
        "of two receipts": {"e"}, "of a shared receipt": {"1"}}
