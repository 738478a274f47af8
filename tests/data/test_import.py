"""`adtally import`: clients move without a click id turning 404 and without a double count."""

import hashlib
import json
import subprocess
import time
import uuid

import pytest
from events import is_verified, lines_of, people, serve
from support import server as program
from support.publisher import results, tally, vote
from support.world import World, is_duplicate, is_recorded, unique

DAY_MS = 86400_000
MANY = 20_000  # which takes long enough to be cut off
KINDS = [("v4", lambda n: uuid.uuid4()), ("v1 of one host", lambda n: uuid.uuid1(1, 1)),
         ("nil but for a number", lambda n: uuid.UUID(int=n + 1)),
         ("max but for a number", lambda n: uuid.UUID(int=2**128 - 1 - n))]


def now_ms():
    return int(time.time() * 1000)


def click(click_id, **fields):
    return {"table": "click", "click_id": str(click_id), "recorded_at_ms": now_ms() - DAY_MS,
            "expires_at_ms": now_ms() + 60 * DAY_MS, "bid_id": unique("bid"),
            "publisher_id": "pub-1", "advertiser_id": "adv-1", "campaign_id": "cam-1", **fields}


def conversion(click_id, **fields):
    return {"table": "conversion", "click_id": str(click_id), "partner_id": "acme",
            "recorded_at_ms": now_ms() - 3600_000, "conversion_time": "2026-02-19T18:00:00Z",
            "conversion_value": 49.99, "currency": "USD", **fields}


def poll(poll_id, votes):
    return {"table": "poll", "sponsored_poll_id": poll_id, "question": "What?",
            "options": [{"id": str(i), "text": f"option {i}", "votes": n}
                        for i, n in enumerate(votes)]}


def write(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" if isinstance(r, dict) else r + "\n"
                            for r in rows))
    return path


def run_import(data, file, *options, expect=0):
    return program.cli("import", file, *options, "--data", data, expect=expect)


def outcomes(data, file):
    return program.cli_json("import", file, "--json", "--data", data)


@pytest.mark.parametrize("kind", KINDS, ids=[k for k, _ in KINDS])
def test_a_click_of_any_uuid_takes_conversions_and_they_count_once(world, scratch, kind):
    ids = [kind[1](n) for n in range(300)]
    file = write(scratch / "f", [click(i) for i in ids])
    assert outcomes(world.data, file)["click"]["recorded"] == 300
    for click_id in ids[::30]:
        receipt = is_recorded(world.convert(str(click_id), idem="one"))
        is_duplicate(world.convert(str(click_id), idem="one"), of=receipt)
    assert world.convert(str(uuid.uuid4())).status == 404
    is_verified(world.data)
    for remove in (False, True):
        world.server.stop()
        for log in world.data.glob("index-*") if remove else ():
            log.unlink()
        world.server.start()
        assert outcomes(world.data, file)["click"]["duplicate"] == 300
        assert world.convert(str(ids[0]), idem="one").body == b'{"status":"duplicate"}'
        is_recorded(world.convert(str(ids[7]), idem=unique("after")))
        is_verified(world.data)


def test_conversions_that_counted_elsewhere_are_duplicates_here(world, scratch):
    ids = [uuid.uuid4() for _ in range(4)]
    rows = [conversion(ids[0], idempotency_key="k"), conversion(ids[1], event_id="e"),
            conversion(ids[2], order_id="o"), conversion(ids[3], id="row 17")]
    # The clicks stand behind what refers to them.
    file = write(scratch / "f", [*rows, *[click(i) for i in ids]])
    first = outcomes(world.data, file)
    assert (first["click"]["recorded"], first["conversion"]["recorded"]) == (4, 4), first
    assert outcomes(world.data, file)["conversion"]["duplicate"] == 4
    for click_id, fields, idem in ((ids[0], {}, "k"), (ids[1], {"event_id": "e"}, None),
                                   (ids[2], {"order_id": "o"}, None)):
        is_duplicate(world.convert(str(click_id), idem=idem, **fields))
    is_recorded(world.convert(str(ids[3]), idem="k"))
    assert world.counts()["conversion"] == 5
    is_verified(world.data)


def test_a_poll_goes_on_where_it_was(world, scratch):
    bids = [unique("bid") for _ in range(3)]
    votes = [{"table": "vote", "bid_id": b, "poll_id": 7, "option_id": "1", "publisher_id": "p",
              "recorded_at_ms": now_ms() - DAY_MS} for b in bids]
    file = write(scratch / "f", [*votes, poll(7, [5, 10])])
    run_import(world.data, file)
    run_import(world.data, file)
    ad, voted = world.mint(poll_id=7), world.mint(poll_id=7, bid_id=bids[0])
    assert tally(results(world, ad)) == {"0": 5, "1": 13}
    assert vote(world, voted).status == 409
    assert tally(vote(world, ad)) == {"0": 6, "1": 13}
    program.cli("poll", "put", "-", "--data", world.data, stdin=json.dumps(
        {k: v for k, v in poll(7, [0, 0, 0]).items() if k != "table"}).replace(
            ', "votes": 0', "").encode())
    world.server.stop()
    world.server.start()
    assert tally(results(world, ad)) == {"0": 6, "1": 13, "2": 0}
    is_verified(world.data)


def test_keys_stay_what_they_were(world, scratch):
    secret, other = unique("secret-of-sixteen"), unique("another-of-sixteen")
    digest = hashlib.sha256(other.encode()).hexdigest()
    bound = {"table": "api_key", "class": "partner", "partner_id": "acme"}
    file = write(scratch / "f", [{**bound, "label": "a", "secret": secret},
                                 {**bound, "label": "b", "sha256": digest}])
    assert outcomes(world.data, file)["api_key"]["recorded"] == 2
    assert outcomes(world.data, file)["api_key"]["duplicate"] == 2
    for key in (secret, other):
        assert world.convert(world.click(), key=key).status == 200
    for wrong in (digest, "\x00sha256", unique("no-such-secret-here")):
        assert world.convert(world.click(), key=wrong).status in (400, 401)
    for path in world.data.iterdir():
        if path.is_file():
            text = path.read_bytes()
            assert secret.encode() not in text and bytes.fromhex(digest) not in text, path


def test_what_is_too_old_is_passed_over_and_said(world, scratch):
    old = uuid.uuid4()
    rows = [click(old, expires_at_ms=now_ms() - 1000), conversion(old, event_id="e"),
            {"table": "impression", "bid_id": unique("bid"), "publisher_id": "p",
             "recorded_at_ms": now_ms() - 31 * DAY_MS},
            {"table": "impression", "bid_id": unique("bid"), "publisher_id": "p",
             "recorded_at_ms": now_ms() - 29 * DAY_MS}]
    done = program.run("import", write(scratch / "f", rows), "--json", "--data", world.data)
    counts = json.loads(done.stdout)
    assert (counts["click"]["too_old"], counts["conversion"]["without_click"]) == (1, 1)
    assert (counts["impression"]["too_old"], counts["impression"]["recorded"]) == (1, 1)
    assert f"{scratch}/f:2".encode() in done.stderr


WRONG = {
    "no JSON": ('{"table":"click"', "2: the line is no JSON"),
    "no object": ("[1]", "2: a line has to be a JSON object"),
    "an unknown table": ('{"table":"x"}', "2: table is one of"),
    "a member that is none": (click(uuid.uuid4(), colour="red"), '2: unknown member "colour"'),
    "a click id that is none": (click("x"), "2: click_id has to be a UUID"),
    "an upper-case click id": (click("0189A0B1-0000-4000-8000-00000000000A"),
                               "2: click_id has to be a UUID"),
    "no publisher": ({**click(uuid.uuid4()), "publisher_id": None}, "2: publisher_id is missing"),
    "a time that is none": (click(uuid.uuid4(), recorded_at_ms="x"), "2: recorded_at_ms"),
    "a conversion without key": (conversion(uuid.uuid4()), "2: idempotency_key, event_id"),
    "a currency that is none": (conversion(uuid.uuid4(), event_id="e", currency="XXY"),
                                "2: currency"),
    "an amount that is none": (conversion(uuid.uuid4(), event_id="e", conversion_value="x"),
                               "2: conversion_value"),
    "a key without secret": ({"table": "api_key", "class": "admin", "label": "l"}, "2: secret or"),
    "a poll of one option": (poll(9, [1]), "2: options has to be"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_line_is_named_and_nothing_is_imported(world, scratch, name):
    line, said = WRONG[name]
    file = write(scratch / "f", [click(uuid.uuid4()), line, click(uuid.uuid4())])
    before = world.counts()
    done = program.run("import", file, "--data", world.data)
    assert done.returncode == 1, done
    assert f"{file}:{said}".encode() in done.stderr, done.stderr
    assert b"nothing was imported" in done.stderr and world.counts() == before


def test_what_only_the_data_can_tell_stops_at_its_line(world, scratch):
    late = write(scratch / "late", [click(uuid.uuid4()),
                                    click(uuid.uuid4(), expires_at_ms=now_ms() + 91 * DAY_MS)])
    done = program.run("import", late, "--data", world.data)
    assert done.returncode == 1 and f"{late}:2: the click lives longer".encode() in done.stderr
    ballot = write(scratch / "vote", [{"table": "vote", "bid_id": "b", "poll_id": 99,
                                       "option_id": "1", "publisher_id": "p",
                                       "recorded_at_ms": now_ms()}])
    done = program.run("import", ballot, "--data", world.data)
    assert done.returncode == 1 and b"vote:1: there is no such poll" in done.stderr
    assert program.run("import", scratch / "none", "--data", world.data).returncode == 1
    assert program.run("import", "--data", world.data).returncode == 2


def test_an_export_can_be_imported(world, scratch):
    somebody, _ = people(world, 4)
    text = "".join(program.cli("export", "--format", "ndjson", "--table", t, "--data", world.data)
                   for t in ("impression", "click", "conversion"))
    (scratch / "f").write_text(text)
    done = outcomes(scratch / "data", scratch / "f")
    assert {k: v["recorded"] for k, v in done.items() if v["recorded"]} == \
        {"impression": 4, "click": 4, "conversion": 4}
    is_verified(scratch / "data")
    key = program.partner_key(scratch / "data")
    with serve(world, scratch / "data") as elsewhere:
        for person in somebody:
            again = elsewhere.convert(person.click_id, idem=f"key-of-{person.click_id}", key=key)
            is_duplicate(again)
            new = elsewhere.convert(person.click_id, idem="new-one", key=key)
            assert new.status == 200 and new.body == b'{"status":"ok"}'
    want = lines_of(text)
    got = lines_of(program.cli("export", "--format", "ndjson", "--data", scratch / "data"))
    facts = ("click_id", "bid_id", "recorded_at_ms", "conversion_value", "user_id", "params")
    assert [{f: r.get(f) for f in facts} for r in got[: len(want)]] == \
        [{f: r.get(f) for f in facts} for r in want]


def kill_in_the_middle(world, file, victim):
    """Once some are there; False: all of them were."""
    proc = subprocess.Popen([program.BINARY, "import", str(file), "--data", str(world.data)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pid = (world.server.proc if victim == "the server" else proc).pid
    while proc.poll() is None and world.counts()["conversion"] == 0:
        program.go_a_little(pid)
    if victim == "the server":
        world.server.kill()
        world.server.start()
    else:
        proc.kill()
    proc.wait()
    is_verified(world.data)
    return world.counts()["conversion"] < MANY


@pytest.mark.parametrize("victim", ["the command", "the server"])
def test_a_kill_in_the_middle_and_again_counts_once(scratch, victim):
    world = World()
    try:
        ids = [uuid.uuid4() for _ in range(MANY)]
        file = write(scratch / "f", [poll(7, [5, 10]), *[click(i) for i in ids],
                                     *[conversion(i, event_id="e") for i in ids]])
        assert kill_in_the_middle(world, file, victim)
        run_import(world.data, file)
        counts = world.counts()
        assert (counts["click"], counts["conversion"]) == (MANY, MANY)
        assert tally(results(world, world.mint(poll_id=7))) == {"0": 5, "1": 10}
        is_verified(world.data)
    finally:
        world.close()
