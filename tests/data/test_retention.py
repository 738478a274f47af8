"""`retention`: what is old and needed by nothing goes, everything else stays what it was."""

import random
import sqlite3
import time

import pytest
from events import is_verified, people
from support import server as program, torture
from support.clock import LIBRARIES, UNCONFINED, Clock
from support.publisher import (feedback, new_poll, results, send_feedback, show,
                               tally, vote)
from support.world import COLLECT, TABLES, World, event, is_duplicate, is_recorded

DAY = 86400
KEPT = ("vote",)
OLD_EVENTS, KILLS = torture.size((4000, 5), (20000, 40))
REMOVES_S = 20  # a start's first
pytestmark = pytest.mark.skipif(not LIBRARIES, reason="needs libfaketime")


class Era:
    """A world whose server is stopped, and started again at another day: a start believes the wall
    clock."""

    def __init__(self, *flags):
        self.clock = Clock()
        self.world = World([*UNCONFINED, *flags], environment=self.clock.environment)

    def at(self, day, *flags):
        self.world.server.stop()
        self.launch(day, *flags)

    def launch(self, day, *flags):
        self.clock.set(day * DAY)
        self.world.server.flags = [*UNCONFINED, *map(str, flags)]
        self.world.server.start()

    def mark(self, day):
        """Something is written that day: from then on it is known that what was before is
        older."""
        self.at(day)
        program.key_create(self.world.data, "admin", f"day {day}")

    def settle(self, tables, timeout_s=20):
        """Waits until these tables are empty below what they hold at the end."""
        end = time.monotonic() + timeout_s
        while any(self.world.counts()[t] for t in tables):
            assert time.monotonic() < end, self.world.counts()
            time.sleep(0.05)


@pytest.fixture
def era():
    made = Era()
    yield made
    made.world.close()


def removed(data):
    return {r["name"]: r["rows"] for r in program.query(data, "SELECT * FROM removed")}


def test_what_is_old_is_removed_and_votes_stay(era):
    world = era.world
    people(world, 4)
    before = world.counts()
    era.mark(1)
    era.at(400, "--retention", "30d")
    era.settle([t for t in TABLES if t not in KEPT])
    assert world.counts()["vote"] == before["vote"]
    assert removed(world.data) == {t: 0 if t in KEPT else n for t, n in before.items()}
    is_verified(world.data)
    is_recorded(world.convert(world.click()))
    is_verified(world.data)
    for _ in range(2):  # with the logs of the indexes, and without
        world.server.stop()
        for log in world.data.glob("index-*"):
            log.unlink()
        era.launch(400, "--click-ttl", "2000d", "--impression-ttl", "2000d")
        is_verified(world.data)
    assert not world.server.stderr.count("rows_missing")


def test_each_kind_has_its_own_age(era):
    """A flag wins over the general one; what another kind still points at stays with it."""
    world = era.world
    people(world, 3)
    era.mark(1)
    era.at(200, "--retention", "30d", "--retention-feedback", "0", "--retention-conversion", "400d")
    era.settle(["server_event", "ad_feedback"])
    before = world.counts()
    assert all(before[t] == 3 for t in ("feedback", "impression", "conversion", "click"))
    is_verified(world.data)
    era.at(1000, "--retention-click", "1d", "--retention-conversion", "30d")
    era.settle(["conversion", "click"])
    assert world.counts()["feedback"] == world.counts()["impression"] == 3
    is_verified(world.data)


@pytest.mark.parametrize("line", ["retention_click = soon", "retention_feedback = 3651d",
                                  "retention_impression = 30", "retention_vote = 30d"])
def test_an_age_that_is_none_is_one_sentence(scratch, line):
    (scratch / "adtally.conf").write_text(line + "\n")
    done = program.run("serve", "--data", scratch)
    said = done.stderr.decode().strip()
    assert done.returncode == 2 and "\n" not in said and "adtally.conf:1" in said
    assert line.split()[0] in said


def test_a_lifetime_that_grows_brings_nothing_back(era):
    world = era.world
    somebody, _ = people(world, 2)
    era.mark(1)
    era.at(400, "--retention", "30d")
    era.settle(["click", "impression"])
    era.at(400, "--click-ttl", "3000d", "--impression-ttl", "3000d")
    for person in somebody:
        assert world.convert(person.click_id, idem="new").status == 404
        assert send_feedback(world, feedback(person.ad["bidId"])).status == 404
    is_verified(world.data)


def test_nothing_is_removed_that_is_still_needed(era):
    """The shortest retention there is: what conversions, feedback and votes still need stays."""
    world = era.world
    somebody, _ = people(world, 3)
    shown = show(world)
    era.mark(1)
    era.at(6, "--retention", "1s")
    time.sleep(1)
    before = world.counts()
    for person in somebody:
        person.is_remembered()
    era.at(29, "--retention", "1s")
    time.sleep(1)
    assert send_feedback(world, feedback(shown["bidId"])).status == 204
    era.at(89, "--retention", "1s")
    time.sleep(1)
    for person in somebody:
        is_duplicate(person.convert(), of=person.receipt)
        is_recorded(world.convert(person.click_id, idem="the-last-moment"))
    is_verified(world.data)
    assert removed(world.data)["click"] == removed(world.data)["conversion"] == 0
    assert removed(world.data)["server_event"] == before["server_event"]


def test_a_click_outlives_its_conversions(era):
    world = era.world
    somebody, _ = people(world, 3)
    era.at(80)
    for person in somebody:
        is_recorded(world.convert(person.click_id, idem="late"))
    era.mark(81)
    for day in (100, 120, 160, 175):
        era.at(day, "--retention", "1s")
        time.sleep(0.5)
        is_verified(world.data)  # which looks for every conversion's click
    assert world.rows("SELECT count(*) n FROM conversion")[0]["n"] == 0 or \
        world.rows("SELECT count(*) n FROM click")[0]["n"] > 0


def events_left(world):
    return world.rows("SELECT count(*) n FROM server_event")[0]["n"]


def kill_while_removing(era, left):
    """How many events are there afterwards, of those that were."""
    era.launch(400, "--retention", "30d")
    until = time.monotonic() + REMOVES_S
    while events_left(era.world) == left and time.monotonic() < until:
        pass
    time.sleep(random.uniform(0, 0.01))
    era.world.server.kill()
    is_verified(era.world.data)
    return events_left(era.world)


def test_a_kill_in_the_middle_removes_nothing_twice_and_loses_nothing(era):
    world = era.world
    click_id = world.click()
    requests = [world.post_bytes(COLLECT, event(event_id=str(n))) for n in range(OLD_EVENTS)]
    assert all(a.status == 204 for a in world.pipelines(requests))
    is_recorded(world.convert(click_id, idem="one"))
    era.mark(1)
    world.server.stop()
    left, kills = OLD_EVENTS, 0
    while left and kills < KILLS:
        left = kill_while_removing(era, left)
        kills += 0 < left < OLD_EVENTS
    era.launch(400, "--retention", "30d")
    era.settle(["server_event"])
    is_verified(world.data)
    assert kills, "no kill fell between the first row and the last"
    assert removed(world.data)["server_event"] == OLD_EVENTS


def test_verify_notices_rows_that_are_gone_without_being_removed(era):
    people(era.world, 1)
    era.world.server.stop()
    with sqlite3.connect(era.world.data / "adtally.db") as db:
        db.execute("DELETE FROM server_event")
    assert program.run("verify", "--data", era.world.data).returncode == 1


def test_a_poll_goes_on_counting_and_a_bid_votes_once(era):
    world = era.world
    poll_id = new_poll(world)
    ads = [world.mint(poll_id=poll_id) for _ in range(3)]
    for ad in ads[:2]:
        assert vote(world, ad).status == 200
    era.mark(1)
    era.at(6, "--retention", "1s")
    assert vote(world, ads[2], "1").status == 200
    assert vote(world, ads[0]).status == 409
    assert tally(results(world, ads[0])) == {"0": 2, "1": 1, "2": 0}
