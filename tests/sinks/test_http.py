"""A collector over HTTP gets everything, in batches, in order, whatever it answers meanwhile."""

import random
import time

import pytest

from base import collect_many, differences, disorder, exported, is_complete, one_of_each, wait_for


def start(sinks, receiver, **options):
    sinks.write(lake={"type": "http", "url": receiver.url, "timeout": "1s", **options}).start()


def test_every_table_arrives_as_export_prints_it(world, sinks, receiver):
    one_of_each(world)
    start(sinks, receiver)
    wait_for(lambda: len(receiver.rows) == 7, why=lambda: sinks.stderr)
    is_complete(world.data, receiver.rows)
    assert {row["table"] for row in receiver.rows} == {
        "click", "conversion", "server_event", "impression", "feedback", "ad_feedback", "vote"}


def test_what_is_recorded_arrives_within_a_second(world, sinks, receiver):
    start(sinks, receiver)
    collect_many(world, 1)
    wait_for(lambda: len(receiver.rows) == 1)
    collect_many(world, 1)
    wait_for(lambda: len(receiver.rows) == 2, 1.0)


FAILURES = [500, 503, 400, 301, (429, {"Retry-After": "1"}), "reset", "silence"]


def test_errors_resets_and_slow_answers_lose_nothing(world, sinks, receiver):
    queue = [answer for failure in FAILURES for answer in (failure, 204)] + ["endless"]
    receiver.answer = lambda request: queue.pop(0) if queue else 204
    start(sinks, receiver, batch=40)
    collect_many(world, 600)
    wait_for(lambda: sinks.is_idle("lake"), why=lambda: sinks.stderr)
    is_complete(world.data, receiver.rows)
    assert sinks.log("sink_failing") and sinks.log("sink_recovered")
    assert len(receiver.requests) >= len(FAILURES) + 600 // 40


def test_a_body_that_is_too_large_comes_in_halves(world, sinks, receiver):
    receiver.answer = lambda request: 413 if len(request["rows"]) > 7 else 204
    collect_many(world, 100)
    start(sinks, receiver)
    wait_for(lambda: sinks.is_idle("lake"))
    is_complete(world.data, receiver.rows)


def test_410_ends_it_until_it_is_enabled(world, sinks, receiver):
    receiver.answer = lambda request: 410
    start(sinks, receiver)
    collect_many(world, 3)
    wait_for(lambda: sinks.log("sink_disabled"))
    sinks.stop()
    sinks.start()
    asked = len(receiver.requests)
    receiver.answer = lambda request: 204
    with pytest.raises(AssertionError):
        wait_for(lambda: len(receiver.requests) > asked, 1.0)
    sinks.run("enable", "lake")
    wait_for(lambda: sinks.is_idle("lake"))
    is_complete(world.data, receiver.rows)


def test_kill_9_at_any_moment_loses_nothing(world, sinks, receiver):
    rng = random.Random(3)
    sinks.write(lake={"type": "http", "url": receiver.url, "batch": 25})
    for _ in range(6):
        sinks.start()
        collect_many(world, 60)
        time.sleep(rng.uniform(0, 0.2))
        sinks.kill()
    sinks.start()
    wait_for(lambda: sinks.is_idle("lake"))
    is_complete(world.data, receiver.rows)


def test_filters(world, sinks, receiver):
    one_of_each(world)
    sinks.write(
        money={"type": "http", "url": receiver.url + "?money", "tables": "conversion, click"},
        ours={"type": "http", "url": receiver.url + "?ours", "campaign": "cam-1"},
        theirs={"type": "http", "url": receiver.url + "?theirs", "campaign": "cam-2"},
        acme={"type": "http", "url": receiver.url + "?acme", "partner": "acme"}).start()
    paths = {}
    receiver.answer = lambda request: 204
    wait_for(lambda: all(sinks.is_idle(name) for name in ("money", "ours", "theirs", "acme")))
    for request in receiver.taken:
        first, last = request["headers"]["Idempotency-Key"].split("-")
        assert (first, last) == (request["rows"][0]["receipt"], request["rows"][-1]["receipt"])
        paths.setdefault(len(request["rows"]), []).append({r["table"] for r in request["rows"]})
    assert {"click", "conversion"} in paths[2]
    assert {"conversion", "server_event"} in paths[2]
    assert paths[6] == [{"click", "conversion", "impression", "feedback", "ad_feedback", "vote"}]
    assert len(receiver.taken) == 3


def test_begin_now_leaves_out_what_was(world, sinks, receiver):
    collect_many(world, 5)
    start(sinks, receiver, begin="now")
    wait_for(lambda: sinks.is_idle("lake"))
    collect_many(world, 2)
    wait_for(lambda: len(receiver.rows) == 2)


def test_what_is_erased_before_it_is_sent_goes_without_the_person(world, sinks, receiver):
    from support import server as program
    receiver.answer = lambda request: 503
    start(sinks, receiver)
    one_of_each(world)
    wait_for(lambda: receiver.requests)
    program.cli("erase", "--user-id", "u", "--data", world.data)
    receiver.answer = lambda request: 204
    wait_for(lambda: sinks.is_idle("lake"))
    is_complete(world.data, receiver.rows)
    assert not any("user_id" in row for row in receiver.rows)


def test_the_judges_see_what_is_wrong():
    """An oracle that cannot fail is none."""
    rows = [{"table": "click", "click_id": "c", "receipt": str(i), "seq": i} for i in (1, 2)]
    assert disorder(rows) == [] and disorder(rows[::-1]) == ["c"]
    assert differences(rows, rows[:1])["lost"] == {"2"}
    assert differences(rows[:1], rows)["invented"] == {"2"}
    assert differences(rows, [rows[0], {**rows[1], "seq": 3}])["changed"] == {"2"}


def test_export_and_feed_are_told_apart_by_no_one(world, sinks, receiver):
    """The stream of a data directory that no server runs on is the export, line by line."""
    one_of_each(world)
    collect_many(world, 30)
    world.server.stop()
    start(sinks, receiver, batch=10)
    wait_for(lambda: sinks.is_idle("lake"))
    assert receiver.rows == exported(world.data)
