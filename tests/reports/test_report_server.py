"""Reports beside a running server: a fixture with numbers worked out by hand, over HTTP as well."""

import csv
import io
import json
import sqlite3
import time

import pytest

from support import admin, store
from support import server as program
from support.publisher import (feedback, is_rated, ping_target, publisher_key, rate, rating,
                               send_feedback, vote)
from support.world import World, table

WORTH = 16384  # events before a server begins to keep sums (src/admin/reporter.c)


class Scene:
    """Two campaigns of one publisher, and what people did with their ads.

    north: 4 impressions, 2 clicks, cpm 2.50 EUR; one conversion of 10.10 EUR, one of 0.2 USD
    south: 2 impressions, 3 clicks, cpc 0.333333333 USD; no conversion
    """

    def __init__(self):
        self.world = World(admin.LISTEN)
        self.port = admin.port_of(self.world.server)
        self.key = program.key_create(self.world.data, "admin", "people")
        self.poll = self.put_poll()
        self.north = self.ads(4, campaign_id="north", price="2.50", currency="EUR", pricing="cpm",
                              poll_id=self.poll)
        self.south = self.ads(2, campaign_id="south", price="0.333333333", currency="USD",
                              pricing="cpc", poll_id=self.poll)
        for ad in (*self.north, *self.south):
            for _ in range(2):  # the second view of a bid is none
                self.world.get(ping_target(ad))
        self.clicks()
        self.feedback()
        self.votes()

    def put_poll(self):
        poll = {"sponsored_poll_id": 7, "question": "Where to?",
                "options": [{"id": "n", "text": "North"}, {"id": "s", "text": "South"}]}
        program.cli("poll", "put", "-", "--data", self.world.data, stdin=json.dumps(poll).encode())
        return 7

    def ads(self, count, **facts):
        return self.world.mint_many([self.world.ad(**facts) for _ in range(count)])

    def clicks(self):
        made = [self.world.follow(ad["url"]) for ad in (*self.north[:2], *self.south, self.south[0])]
        click = made[0].header("location").split("thrad_click_id=")[1].split("&")[0]
        for _ in range(2):  # a retry counts nothing
            self.world.convert(click, idem="a", conversion_value=10.10, currency="EUR")
            self.world.convert(click, idem="b", conversion_value=0.2, currency="USD")

    def feedback(self):
        send_feedback(self.world, feedback(self.north[0]["bidId"], "positive"))
        send_feedback(self.world, feedback(self.south[0]["bidId"], "negative", feedback_text="=no"))
        key = publisher_key(self.world.data)
        is_rated(rate(self.world, rating(self.north[1], sessionId="s", sentiment="thumbs_down",
                                         reasons=["dull", "loud"]), key))
        is_rated(rate(self.world, rating(self.north[1], sessionId="s", sentiment="thumbs_up",
                                         reasons=["funny"], comment="after all"), key))

    def votes(self):
        for ad, option in ((self.north[0], "n"), (self.north[1], "n"), (self.south[0], "s")):
            vote(self.world, ad, option)

    def get(self, path, key=None):
        return admin.ask(self.port, "GET", path, key=key or self.key)

    def report(self, *args):
        out = program.cli("report", *args, "--json", "--data", self.world.data)
        return json.loads(out, parse_float=str)["rows"]


@pytest.fixture(scope="module")
def scene():
    made = Scene()
    yield made
    made.world.close()


def values(rows):
    return [list(row.values()) for row in rows]


BY_HAND = {
    "traffic": ("traffic", ["--by", "campaign"], [
        ["north", 4, 2, "0.500000", 2, "1.000000", 2, 0, "1.000000"],
        ["south", 2, 3, "1.500000", 0, "0.000000", 0, 1, "0.000000"]]),
    "all together": ("traffic", [], [[6, 5, "0.833333", 2, "0.400000", 2, 1, "0.666667"]]),
    # 4 x 2.50 / 1000; 3 x 0.333333333; the conversion in USD is of an ad in EUR
    "money": ("money", [], [
        ["EUR", 4, 2, 2, "0.01", "10.10", "2.500000", "0.005000", "0.005000", "1010.000000"],
        ["USD", 2, 3, 0, "0.999999999", "0.20", "500.000000", "0.333333", None, "0.200000"]]),
    "reasons": ("reasons", [], [["funny", 1]]),
    "polls": ("polls", [], [[7, "Where to?", "n", "North", 2, "0.666667"],
                            [7, "Where to?", "s", "South", 1, "0.333333"]]),
    "polls of a campaign": ("polls", ["--by", "campaign", "--campaign", "south"], [
        ["south", 7, "Where to?", "s", "South", 1, "1.000000"]]),
}


@table("kind, flags, rows", BY_HAND)
def test_numbers_worked_out_by_hand(scene, kind, flags, rows):
    assert values(scene.report(kind, *flags)) == rows


@pytest.mark.parametrize("flags, count", [((), 1), (admin.LISTEN, 2)], ids=["alone", "asked"])
def test_who_counts_and_who_is_asked_go_last(flags, count):
    """The sandbox lets them: who counts for reports, and the admin listener."""
    world = World(flags)
    try:
        assert world.get("/health").status == 200
        assert world.server.threads_that_go_last(count) == count
    finally:
        world.close()


def test_comments_are_the_latest_first(scene):
    rows = scene.report("comments")
    if store.IS_POSTGRES:  # by their sequences, which lanes take from leases of their own
        rows.sort(key=lambda r: r["time"], reverse=True)
    assert [(r["campaign"], r["sentiment"], r["comment"]) for r in rows] == [
        ("north", "positive", "after all"), ("south", "negative", "=no")]


@table("kind, flags, rows", BY_HAND)
def test_http_says_the_same(scene, kind, flags, rows):
    query = "&".join(f"{n[2:]}={v}" for n, v in zip(flags[::2], flags[1::2]))
    answer = scene.get(f"/v1/reports/{kind}?{query}")
    assert answer.status == 200 and answer.header("content-type") == "application/json"
    assert values(json.loads(answer.body, parse_float=str)["rows"]) == rows


def test_http_speaks_csv_and_text(scene):
    answer = scene.get("/v1/reports/traffic?by=campaign&format=csv&tz=Europe%2FBerlin")
    assert answer.header("content-type").startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
    assert [r["impressions"] for r in rows] == ["4", "2"]
    assert scene.get("/v1/reports/traffic?format=text").body.startswith(b"impressions")


def test_http_filters_can_be_repeated(scene):
    answer = scene.get("/v1/reports/traffic?campaign=north&campaign=south")
    assert answer.json["rows"][0]["impressions"] == 6


def test_http_knows_the_time_zones_inside_its_sandbox(scene):
    (row,) = scene.get("/v1/reports/traffic?by=hour&tz=Asia/Kathmandu").json["rows"][:1]
    assert row["hour"].endswith("+05:45")


@table("path, about", {
    "an unknown report": ("/v1/reports/sales", "traffic, money"),
    "no report": ("/v1/reports/", "traffic, money"),
    "an unknown parameter": ("/v1/reports/traffic?group=day", "by, from"),
    "an unknown column": ("/v1/reports/traffic?by=week", "by takes"),
    "a bad escape": ("/v1/reports/traffic?by=%zz", "decoded"),
    "a zone out of its directory": ("/v1/reports/traffic?tz=../../../etc/passwd", "tz is a name"),
})
def test_http_refuses_with_one_sentence(scene, path, about):
    answer = scene.get(path)
    assert answer.status == 422 and about in answer.json["detail"], answer


def test_http_wants_an_admin_key(scene):
    assert scene.get("/v1/reports/traffic", key=scene.world.partner).status == 401
    assert admin.ask(scene.port, "GET", "/v1/reports/traffic").status == 401


@table("args, about", {
    "an unknown report": (["sales"], "traffic, money"),
    "two reports": (["traffic", "money"], "one report"),
    "an unknown column": (["--by", "week"], "by takes"),
    "no column": (["--by", ""], "by takes"),
    "a column twice": (["--by", "day,day"], "once"),
    "day and hour": (["--by", "day,hour"], "not both"),
    "comments by campaign": (["comments", "--by", "campaign"], "leave out"),
    "a from that is no time": (["--from", "yesterday"], "from is a day"),
    "a from between quarters": (["--from", "2026-11-21T06:10:00Z"], "quarter"),
    "a from without offset": (["--from", "2026-11-21T06:15:00"], "from is a day"),
    "a day that is none": (["--to", "2026-02-30"], "to is a day"),
    "to before from": (["--from", "2026-11-21", "--to", "2026-11-20"], "before"),
    "an unknown zone": (["--tz", "Europe/Atlantis"], "Atlantis"),
    "a path as zone": (["--tz", "/etc/passwd"], "tz is a name"),
    "a directory as zone": (["--tz", "Europe"], "Europe"),
    "a file that is no zone": (["--tz", "leapseconds"], "leapseconds"),
    "limit 0": (["comments", "--limit", "0"], "limit"),
    "too high a limit": (["comments", "--limit", "10001"], "limit"),
    "an unknown format": (["--format", "xml"], "format"),
    "an unknown option": (["--week", "1"], "by, from"),
    "a short option": (["-b", "day"], "unknown option"),
    "65 filters": (["--campaign=x"] * 65, "64"),
    "an option without value": (["--by"], "needs a value"),
})
def test_a_bad_command_line_is_told_in_one_sentence(scene, args, about):
    done = program.run("report", "--data", scene.world.data, *args)
    lines = done.stderr.decode().strip().splitlines()
    assert done.returncode == 2 and done.stdout == b"" and len(lines) == 1
    assert about in lines[0], lines


@pytest.mark.data_file
@table("data, about", {
    "no such directory": ("/nonexistent/adtally", "no adtally data directory"),
    "a directory of others": ("/etc", "no adtally data directory"),
})
def test_a_directory_that_is_none_of_ours_is_left_alone(data, about):
    done = program.run("report", "--data", data)
    assert done.returncode == 1 and about in done.stderr.decode(), done.stderr


def test_a_server_keeps_the_sums_by_itself(scene):
    """With more events than a report should count by itself; and the reports stay the same."""
    world = World()
    count = WORTH + 1000
    for first in range(0, count, 500):
        ads = world.mint_many([world.ad(campaign_id=f"c{n % 7}") for n in range(500)])
        world.pipelines([world.get_bytes(ping_target(ad)) for ad in ads])
    deadline = time.monotonic() + 60
    while kept(world) < count - WORTH and time.monotonic() < deadline:
        time.sleep(0.2)
    assert kept(world) >= count - WORTH
    out = program.cli("report", "--json", "--data", world.data)
    assert json.loads(out)["rows"][0]["impressions"] >= count
    assert program.run("verify", "--data", world.data).returncode == 0
    world.close()


def kept(world):
    """How far the sums reach; 0 before there are any."""
    if not (world.data / "reports.db").exists():
        return 0
    with sqlite3.connect(f"file:{world.data}/reports.db?mode=ro", uri=True) as db:
        try:
            return db.execute("SELECT seq FROM agg_state").fetchone()[0]
        except sqlite3.OperationalError:
            return 0
