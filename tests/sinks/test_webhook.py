"""Webhooks: signed, in order by key, tried again on the schedule, over restarts; dead letters."""

import base64
import json
import random
import time

from base import (collect_many, disorder, exported, is_complete, key_of, one_of_each,
                  wait_for)
from support.receiver import SECRET, is_signed

QUICK = "200ms, 200ms, 200ms, 200ms, 200ms, 200ms"


def start(sinks, receiver, retry=QUICK, **options):
    sinks.write(hook={"type": "webhook", "url": receiver.url, "secret_file": sinks.secret,
                      "retry": retry, "timeout": "1s", **options}).start()


def is_done(sinks):
    return lambda: sinks.is_idle("hook")


def test_each_event_is_a_signed_request(world, sinks, receiver):
    one_of_each(world)
    start(sinks, receiver)
    wait_for(is_done(sinks), why=lambda: sinks.stderr)
    is_complete(world.data, receiver.rows)
    for request in receiver.taken:
        assert len(request["rows"]) == 1
        assert request["headers"]["webhook-id"] == request["rows"][0]["receipt"]
        assert request["headers"]["Content-Type"] == "application/json"
        assert is_signed(request["headers"], request["body"])


def test_the_judge_of_signatures_sees_what_is_wrong(world, sinks, receiver):
    collect_many(world, 1)
    start(sinks, receiver)
    wait_for(lambda: receiver.taken)
    headers, body = receiver.taken[0]["headers"], receiver.taken[0]["body"]
    assert is_signed(headers, body)
    assert not is_signed(headers, body + b" ")
    assert not is_signed(headers, body, secret=SECRET[1:] + b"x")
    assert not is_signed({**headers, "webhook-id": "0" * 16}, body)
    assert not is_signed(headers, body, now=time.time() + 3600)


def test_two_secrets_sign_twice(world, sinks, receiver):
    other = bytes(range(33))
    with sinks.secret.open("a") as file:
        file.write("whsec_" + base64.b64encode(other).decode() + "\n")
    collect_many(world, 1)
    start(sinks, receiver)
    wait_for(lambda: receiver.taken)
    request = receiver.taken[0]
    for secret in (SECRET, other):
        assert is_signed(request["headers"], request["body"], secret)


def test_order_by_key_holds_through_failures(world, sinks, receiver):
    rng = random.Random(11)
    receiver.answer = lambda request: rng.choice([204] * 8 + [500, 503, "reset"])
    collect_many(world, 300, tags=20)
    start(sinks, receiver, retry=", ".join(["50ms"] * 16), concurrency=16)
    wait_for(is_done(sinks), why=lambda: sinks.stderr[-500:])
    is_complete(world.data, receiver.rows)
    assert len(receiver.rows) == 300, "nothing was sent again that was acknowledged"
    assert sinks.status("hook")["failed"] > 10
    assert [r["seq"] for r in receiver.rows] != sorted(r["seq"] for r in receiver.rows), \
        "others went on meanwhile"


def first_tag_fails(request):
    return 500 if request["rows"][0].get("tag_id") == "tag-0" else 204


def test_one_that_fails_holds_up_its_own_key_alone(world, sinks, receiver):
    receiver.answer = first_tag_fails
    start(sinks, receiver, retry="500ms, 1h")
    collect_many(world, 50, tags=5)
    wait_for(lambda: len(receiver.rows) == 40)
    tried = {r["rows"][0]["seq"] for r in receiver.requests if key_of(r["rows"][0]) == "tag-0"}
    assert len(tried) == 1, "only the first of the key was tried"
    wait_for(lambda: sinks.status("hook")["waiting"] == 10)


def test_the_schedule_is_kept_over_a_restart(world, sinks, receiver):
    receiver.answer = lambda request: 500
    start(sinks, receiver, retry="1s, 1s, 1h")
    collect_many(world, 1)
    wait_for(lambda: len(receiver.requests) == 1)
    time.sleep(0.4)
    sinks.kill()
    sinks.start()
    wait_for(lambda: len(receiver.requests) == 3)
    first, second, third = [request["at"] for request in receiver.requests]
    assert 0.75 <= second - first <= 4.0 and 0.75 <= third - second <= 4.0
    time.sleep(1.5)
    assert len(receiver.requests) == 3


def test_dead_letters_and_their_replay(world, sinks, receiver):
    receiver.answer = first_tag_fails
    collect_many(world, 25, tags=5)
    start(sinks, receiver, retry="100ms, 100ms")
    wait_for(lambda: len(sinks.dead("hook")) == 5, why=lambda: sinks.stderr)
    wait_for(is_done(sinks))
    letters = sinks.dead("hook")
    assert [x["attempts"] for x in letters] == [3] * 5 and letters[0]["reason"] == "HTTP 500"
    assert sinks.status("hook")["dead_letters"] == 5
    assert "tag-0" not in (sinks.data / "sinks" / "hook.dead").read_text()

    sinks.run("replay", "hook")  # too early: they die once more
    wait_for(lambda: len(receiver.requests) == 20 + 30)
    wait_for(lambda: len(sinks.dead("hook")) == 5)
    receiver.answer = lambda request: 204
    sinks.stop()
    sinks.run("replay", "hook")
    sinks.start()
    wait_for(lambda: len(receiver.rows) == 25)
    is_complete(world.data, receiver.rows)
    wait_for(lambda: sinks.status("hook")["dead_letters"] == 0)


def test_retry_after_holds_back_everything(world, sinks, receiver):
    receiver.answer = lambda request: (429, {"Retry-After": "2"})
    start(sinks, receiver, concurrency=1)
    collect_many(world, 5)
    wait_for(lambda: receiver.requests)
    receiver.answer = lambda request: 204
    wait_for(is_done(sinks))
    first, second = [request["at"] for request in receiver.requests[:2]]
    assert second - first > 1.7
    is_complete(world.data, receiver.rows)


def test_a_receiver_that_is_back_gets_everything_at_once(world, sinks, receiver):
    """The pauses that its absence made are not waited out."""
    receiver.answer = lambda request: 500
    start(sinks, receiver, retry="1s, 1h, 1h", waiting_max=30)
    collect_many(world, 60, tags=60)
    wait_for(lambda: len(receiver.requests) >= 30)
    assert len({r["rows"][0]["seq"] for r in receiver.requests}) <= 30
    receiver.answer = lambda request: 204
    wait_for(is_done(sinks))
    is_complete(world.data, receiver.rows)


def test_410_ends_it_until_it_is_enabled(world, sinks, receiver):
    receiver.answer = lambda request: 410
    start(sinks, receiver, concurrency=1)
    collect_many(world, 3)
    wait_for(lambda: sinks.log("sink_disabled"))
    wait_for(lambda: '"disabled":1' in (sinks.data / "sinks" / "hook.cursor").read_text())
    sinks.kill()
    asked = len(receiver.requests)
    receiver.answer = lambda request: 204
    sinks.start()
    time.sleep(0.7)
    assert len(receiver.requests) == asked
    assert sinks.status("hook")["disabled"]
    sinks.run("enable", "hook")
    wait_for(is_done(sinks))
    is_complete(world.data, receiver.rows)
    wait_for(lambda: not sinks.status("hook")["disabled"])


def test_redirects_are_not_followed(world, sinks, receiver):
    receiver.answer = lambda request: (302, {"Location": receiver.url + "?elsewhere"})
    start(sinks, receiver, retry="1h")
    collect_many(world, 1)
    wait_for(lambda: sinks.status("hook") and sinks.status("hook")["failed"] == 1)
    assert len(receiver.requests) == 1 and sinks.log("sink_failing")[0]["reason"] == "HTTP 302"


def test_kill_9_at_any_moment_loses_nothing(world, sinks, receiver):
    rng = random.Random(5)
    receiver.answer = lambda request: rng.choice([204] * 9 + [500])
    start(sinks, receiver, retry=", ".join(["100ms"] * 16))
    for _ in range(6):
        collect_many(world, 60, tags=30)
        time.sleep(rng.uniform(0, 0.2))
        sinks.kill()
        sinks.start()
    wait_for(is_done(sinks))
    is_complete(world.data, receiver.rows)
    assert sinks.dead("hook") == []


def test_no_secret_is_logged_or_shown(world, sinks, receiver):
    receiver.answer = lambda request: 500
    headers = sinks.data / "headers"
    headers.write_text("Authorization: Bearer canary-7391\n")
    start(sinks, receiver, headers_file=headers)
    collect_many(world, 1)
    wait_for(lambda: receiver.requests)
    assert receiver.requests[0]["headers"]["Authorization"] == "Bearer canary-7391"
    wait_for(lambda: sinks.log("sink_failing"))
    kept = "".join(p.read_text() for p in (sinks.data / "sinks").iterdir())
    said = sinks.stderr + sinks.run("status") + kept
    assert "canary" not in said and sinks.secret.read_text()[6:20] not in said


def test_a_torn_dead_letter_takes_no_other_along(world, sinks, receiver):
    receiver.answer = first_tag_fails
    collect_many(world, 2, tags=1)
    start(sinks, receiver, retry="50ms")
    wait_for(lambda: len(sinks.dead("hook")) == 2)
    sinks.stop()
    path = sinks.data / "sinks" / "hook.dead"
    path.write_text(path.read_text()[:-9])
    sinks.start()
    collect_many(world, 1, tags=1)
    wait_for(lambda: path.read_text().count("\n") == 3)
    receiver.answer = lambda request: 204
    sinks.run("replay", "hook")
    wait_for(lambda: len({r["receipt"] for r in receiver.rows}) == 3)
    assert disorder(receiver.rows) == [] and len(exported(world.data)) == 3
    assert json.dumps(receiver.rows)
