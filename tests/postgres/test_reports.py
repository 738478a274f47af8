"""Reports over a database: the numbers of a data directory, for whatever is asked."""

import json
import os
import pathlib
import shutil
import sys
import threading
import time

import pytest

from support import admin, store
from support import server as program
from support.publisher import new_poll, ping_target, publisher_key, rate, rating
from support.world import World, table, unique

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path += [str(TESTS / "reports"), str(TESTS / "data")]

import recount  # noqa: E402
from events import people  # noqa: E402
from filled import HOSTILE, IDS, Filled, at, random_events  # noqa: E402
from outage import over  # noqa: E402

BERLIN = "Europe/Berlin"
BEGIN, END = at("2026-10-24T12:00+00:00"), at("2026-10-26T12:00+00:00")
NO_UTF8 = os.fsdecode(b"\xff")
KINDS = ("traffic", "money", "reasons", "polls", "comments")


class Both:
    """Random events in a data directory, and the same in a database that it was copied to."""

    def __init__(self, cluster):
        self.filled = random_events(Filled(), 600, BEGIN, END, seed=16).pad()
        random_events(self.filled, 600, BEGIN, END, seed=17)
        self.url, self.data = cluster.url(cluster.new_database()), program.temp_dir()
        program.cli("copy", "--from", self.filled.data, "--to", self.url)

    def reports(self, *asked):
        """What each of them says."""
        ours = program.cli("report", *asked, "--json", "--data", self.data, "--store", self.url)
        return ours, self.filled.report(*asked, "--json")

    def are_the_same(self, *asked):
        ours, filled = self.reports(*asked)
        assert ours == filled
        return json.loads(ours)["rows"]

    def close(self):
        self.filled.close()
        shutil.rmtree(self.data)


@pytest.fixture(scope="module")
def both(cluster):
    made = Both(cluster)
    yield made
    made.close()


def bys():
    """Each dimension, alone and with others, with and without a period."""
    found = [by for by in recount.combinations() if len(by) <= 2]
    return [found[i] for i in range(0, len(found), 3)] + [tuple(IDS) + ("hour",)]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
@pytest.mark.parametrize("by", [",".join(by) for by in bys()])
def test_every_kind_by_everything(both, by, zone):
    for kind in KINDS[:-1]:
        assert both.are_the_same(kind, *(["--by", by] if by else []), "--tz", zone)


@table("filters", {
    "one campaign": {"campaign": ["cam-1"]},
    "a campaign of two publishers": {"campaign": ["cam-1"], "publisher": ["pub-1", "pub-2"]},
    "no campaign": {"campaign": [""]},
    "all five": {n: [f"{n[:3]}-1"] for n in IDS},
    "one that is not there": {"campaign": ["nobody"]},
    "hostile names": {"campaign": HOSTILE},
    "what no database can hold": {"campaign": ["cam-1", NO_UTF8]},
    "nothing but that": {"campaign": [NO_UTF8]},
})
@pytest.mark.parametrize("kind", KINDS)
def test_filters(both, kind, filters):
    both.are_the_same(kind, *[f"--{name}={v}" for name, values in filters.items() for v in values])


@table("flags", {
    "from a time": ["--from", "2026-10-25T00:15:00Z"],
    "a day of Berlin": ["--from", "2026-10-25", "--to", "2026-10-25", "--tz", BERLIN],
    "nothing": ["--from", "2027-01-01"],
    "without flagged traffic": ["--exclude-flagged"],
    "some of that": ["--exclude-flagged", "--to", "2026-10-25", "--publisher", "pub-1"],
})
def test_ranges_and_flags(both, flags):
    for kind in KINDS:
        both.are_the_same(kind, *flags)


@pytest.mark.parametrize("limit", [1, 3, 300])
def test_the_latest_comments_are_found_page_by_page(both, limit):
    rows = both.are_the_same("comments", "--limit", str(limit))
    assert len(rows) == min(limit, len(recount.comments(recount.chosen(both.filled.events))))


def test_the_oracle_misses_an_event(both, cluster):
    """A row that the database has not, and one that it has twice as dear."""
    name = both.url.rsplit("/", 1)[1]
    last = "(SELECT max(seq) FROM click WHERE pricing = 'cpc' AND currency IS NOT NULL)"
    before, _ = both.reports("money")
    for harm in (f"DELETE FROM click WHERE seq = {last}",
                 f"UPDATE click SET price = '123456' WHERE seq = {last}"):
        cluster.sql(f"CREATE TABLE kept AS SELECT * FROM click WHERE seq = {last}", name)
        cluster.sql(harm, name)
        with pytest.raises(AssertionError):
            both.are_the_same("money")
        cluster.sql("DELETE FROM click WHERE seq IN (SELECT seq FROM kept);"
                    " INSERT INTO click SELECT * FROM kept; DROP TABLE kept", name)
    assert both.reports("money")[0] == before


def test_sums_that_a_directory_kept_go_on_over_its_copy(both):
    """The first half is in them, with what sessions thought: the rest is counted onto them."""
    both.filled.report()
    kept = both.data / "reports.db"
    shutil.copy(both.filled.data / "reports.db", kept)
    begun = kept.read_bytes()
    for kind in KINDS:
        assert both.are_the_same(kind)
    assert kept.read_bytes() == begun
    assert b"reports.db" not in verify(both.data, both.url).stdout


def test_sums_outlive_the_rows_that_retention_drops(both, cluster):
    name, data = unique("r").replace("-", "_"), program.temp_dir()
    cluster.sql(f"CREATE DATABASE {name} TEMPLATE {both.url.rsplit('/', 1)[1]}")
    shutil.copy(both.filled.data / "reports.db", data)
    asked = ["report", "--by", "campaign", "--data", data, "--store", cluster.url(name)]
    before, end = program.cli(*asked), both.filled.kept("agg_state")[0][1]
    for table_name in ("conversion", "feedback", "server_event"):
        cluster.sql(f"DELETE FROM {table_name} WHERE seq <= {end}; INSERT INTO removed"
                    f" VALUES ('{table_name}', {end + 1})", name)
    assert program.cli(*asked) == before
    assert b"reports.db" not in verify(data, cluster.url(name)).stdout
    (data / "reports.db").unlink()
    assert program.cli(*asked) != before  # a new one has what the rows have
    shutil.rmtree(data)


def test_it_needs_no_room_for_sums(both):
    kept = both.data / "reports.db"
    kept.unlink(missing_ok=True)
    kept.mkdir()  # what no database can be
    assert both.are_the_same("traffic", "--by", "campaign")
    kept.rmdir()


# -- a server over it --------------------------------------------------------------------------


@pytest.fixture
def world(cluster):
    with over(cluster):
        made = World(admin.LISTEN)
        yield made
        made.close()


def report(world, *asked):
    return json.loads(program.cli("report", *asked, "--json", "--data", world.data))["rows"]


def asked_over_http(world, key, path):
    answer = admin.ask(admin.port_of(world.server), "GET", f"/v1/reports/{path}", key=key)
    assert answer.status == 200, answer
    return json.loads(answer.body)["rows"]


def see(world, **facts):
    """An impression."""
    assert world.get(ping_target(world.mint(**facts))).status == 200


def verify(data, url=None):
    return program.run("verify", "--data", data, *(["--store", url] if url else []))


def is_verified(world):
    done = verify(world.data)
    assert done.returncode == 0, done.stdout + done.stderr


def test_sums_are_kept_by_servers_that_people_ask(world, other):
    """Each that keeps them reads every event once more."""
    assert world.server.threads_that_go_last(2) == 2  # the admin listener's, and who counts
    assert other.get("/health").status == 200 and other.server.threads_that_go_last() == 0


def test_what_was_acknowledged_is_in_the_next_report(world, other):
    """By whichever server, at once: no lease and no watermark is waited for."""
    key = program.key_create(world.data, "admin", "people")
    for count in range(1, 6):
        see(world, campaign_id="one")
        see(other, campaign_id="two")
        for rows in (report(world, "--by", "campaign"), report(other, "--by", "campaign"),
                     asked_over_http(world, key, "traffic?by=campaign")):
            assert [(r["campaign"], r["impressions"]) for r in rows] == [("one", count),
                                                                          ("two", count)]


def test_reports_while_events_come_count_each_once(world, other):
    is_over, seen = False, [0, 0]

    def run(number):
        while not is_over:
            see((world, other)[number], campaign_id="c")
            seen[number] += 1

    threads = [threading.Thread(target=run, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    end, last = time.monotonic() + 3, 0
    while time.monotonic() < end:
        before = sum(seen)
        now = report(world)[0]["impressions"]
        assert before <= now <= sum(seen) + 2 and now >= last, (before, now, last)
        last = now
    is_over = True
    for thread in threads:
        thread.join()
    assert report(world)[0]["impressions"] == report(other)[0]["impressions"] == sum(seen)
    is_verified(world)


def test_minds_that_change_count_once_and_outlive_an_erasure(world):
    (person, stays), _ = people(world, 2)
    key = publisher_key(world.data)
    ratings = [rating(p.ad, sessionId=p.session, sentiment="thumbs_down", reasons=["dull"],
                      comment="changed") for p in (person, stays)]
    for body in ratings:
        assert rate(world, body, key).status == 200
    (row,) = report(world)
    assert (row["impressions"], row["clicks"], row["conversions"]) == (2, 2, 2)
    assert (row["positive"], row["negative"]) == (2, 2)  # feedback of the bid, and the rating
    assert {c["comment"] for c in report(world, "comments")} >= {"changed"}
    told = program.cli("erase", "--user-id", person.user, "--session-id", person.session, "--data",
                       world.data)
    assert "erased from 8 rows" in told
    assert report(world) == [row] and report(world, "reasons") == [{"reason": "dull", "count": 2}]
    comments = [c["comment"] for c in report(world, "comments")]
    assert sorted(comments) == sorted([f"{stays.name}-text", "changed"])
    is_verified(world)


def test_polls_and_votes_of_both_servers(world, other):
    (_, poll), (_, other_poll) = people(world, 2), people(other, 1)
    rows = [r for r in report(world, "polls") if r["votes"]]
    assert [(r["poll"], r["votes"]) for r in rows] == sorted([(poll, 2), (other_poll, 1)])
    assert new_poll(world) in {r["poll"] for r in report(world, "polls")}


# -- verify --------------------------------------------------------------------------------------


HARMS = {
    "a row differs from its checksum": ("UPDATE click SET route = 'x'",
                                        "row of click {seq} differs from its checksum"),
    "a click is lost": ("DELETE FROM click",
                        "1 keys of clicks without their click"),
    "a conversion is lost": ("DELETE FROM conversion",
                             "keys of conversions without their conversion"),
    "a conversion's key is lost": ("DELETE FROM conversion_key", "1 conversions without their key"),
    "a click's key is lost": ("DELETE FROM click_key",
                              "1 clicks that can be converted, without their key"),
    "a server event is lost": ("DELETE FROM server_event",
                               "1 keys of server events without their event"),
    "a vote is lost": ("DELETE FROM vote", "1 votes counted otherwise than they are recorded"),
    "votes are counted twice": ("UPDATE vote_count SET votes = votes + 1",
                                "1 votes counted otherwise than they are recorded"),
    "an impression is lost": ("DELETE FROM impression", "1 feedback without its impression"),
    "a key of a bid is lost": ("DELETE FROM bid_key WHERE kind = 3",
                               "1 events of bids without the bid's key"),
    "an event twice": ("INSERT INTO conversion SELECT * FROM conversion",
                       "1 sequences used by more than one event"),
    "a sequence of nobody": ("UPDATE counter SET next_seq = 1",
                             "events with a sequence that no server was given"),
    "an option is lost": ("DELETE FROM poll_option", "polls without one to 20 options"),
    "a secret is lost": ("DELETE FROM secret WHERE name = 'receipt'", "1 secrets that are missing"),
    "an amount is another": ("UPDATE conversion SET value_units = 7",
                             "1 conversions whose amount differs from its text"),
}


@pytest.fixture(scope="module")
def scene(cluster):
    """One person's events, in a database that each test gets a copy of."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "IS_POSTGRES", True)
        patch.setattr(store, "cluster", lambda: cluster)
        made = World()
        people(made, 1)
        made.server.stop()
        yield store.database_of(made.data)
        made.close()


@table("harm, finding", HARMS)
def test_verify_finds(cluster, scene, harm, finding):
    name, data = unique("v").replace("-", "_"), program.temp_dir()
    cluster.sql(f"CREATE DATABASE {name} TEMPLATE {scene}")
    assert verify(data, cluster.url(name)).stdout.startswith(b"verify: ok")
    (seq,) = cluster.sql("SELECT max(seq) FROM click", name)[0]
    cluster.sql(harm, name)
    done = verify(data, cluster.url(name))
    assert done.returncode == 1 and finding.format(seq=seq) in done.stdout.decode(), done
    shutil.rmtree(data)


@table("command", {"backup": ["backup", "file"], "restore": ["restore", "file"]})
def test_files_are_for_the_databases_own_tools(command):
    done = program.run(*command, "--data", program.temp_dir(), "--store", "postgresql://u@h/d")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done
    assert b"pg_dump" in done.stderr or b"pg_restore" in done.stderr
