"""A database of the first schema, with events in it, is brought forward by whoever starts first, also when
two start at one moment; nothing in it counts again."""

import contextlib
import pathlib
import re
import shutil
import subprocess
import time

import pytest

from outage import over
from support import postgres, store
from support import server as program
from support.publisher import feedback, new_poll, ping_target, send_feedback, show, vote
from support.world import COLLECT, World, event, is_duplicate, is_recorded, together

SQL = pathlib.Path(__file__).resolve().parents[2] / "sql"
VERSIONS = len(list(SQL.glob("[0-9]*.sql")))
COMMENTS, MADE = re.compile(r"--.*"), re.compile(r"\s*CREATE TABLE (\w+) \(")
COLUMNS = ("SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
           "WHERE table_schema = 'public' AND table_name !~ '_(past|[0-9]{8})$' "
           "AND table_name NOT IN ('adtally_schema', 'adtally_lock') ORDER BY 1, 2")


@pytest.fixture(scope="module")
def own_cluster():
    with postgres.Cluster().running() as running, over(running):
        yield running


def undone(version):
    """The statements that take a version back. One that did more than make tables needs its own."""
    (script,) = SQL.glob(f"{version:04}-*.sql")
    statements = COMMENTS.sub("", script.read_text()).split(";\n")
    tables = [MADE.match(text) for text in statements if text.strip()]
    assert all(tables), f"say how {script.name} is taken back"
    return "".join(f"DROP TABLE {table[1]};" for table in tables)


def take_back(cluster, name):
    """The database as the first version made it."""
    for version in range(VERSIONS, 1, -1):
        cluster.sql(f"{undone(version)} DELETE FROM adtally_schema WHERE version = {version}", name)
    first = cluster.new_database()
    cluster.sql((SQL / "0001-first.sql").read_text(), first)
    assert cluster.sql(COLUMNS, name) == cluster.sql(COLUMNS, first)
    assert cluster.sql("SELECT version FROM adtally_schema", name) == [["1"]]


class Life:
    """What a client did before, and does again."""

    def __init__(self, world):
        self.click = world.click(bid_id="bid")
        self.ad = show(world, bid_id="bid", poll_id=new_poll(world))
        self.receipt = is_recorded(world.convert(self.click, idem="key"))
        assert world.post(COLLECT, event(event_id="e", tag_id="t")).status == 204
        assert vote(world, self.ad, "1").status == 200
        assert send_feedback(world, feedback("bid")).status == 204

    def again(self, world):
        is_duplicate(world.convert(self.click, idem="key"), of=self.receipt)
        assert world.post(COLLECT, event(event_id="e", tag_id="t")).status == 204
        assert vote(world, self.ad, "0").status == 409
        assert send_feedback(world, feedback("bid")).status == 204
        assert world.get(ping_target(self.ad)).status == 200


@contextlib.contextmanager
def first_schema(cluster):
    """A stopped server's world over such a database, with a life in it."""
    world = World()
    try:
        life = Life(world)
        world.server.stop()
        take_back(cluster, store.database_of(world.data))
        yield world, life
    finally:
        world.server.kill()
        shutil.rmtree(world.data, ignore_errors=True)


def check_forward(cluster, world, life, counts):
    name = store.database_of(world.data)
    versions = cluster.sql("SELECT version FROM adtally_schema ORDER BY version", name)
    assert versions == [[str(n + 1)] for n in range(VERSIONS)]
    assert cluster.sql("SELECT count(*) FROM copying", name) == [["0"]]
    life.again(world)
    assert world.counts() == counts
    assert store.contradictions(world.data) == {}


def test_two_servers_bring_it_forward_at_one_moment(own_cluster):
    with first_schema(own_cluster) as (world, life):
        counts = world.counts()
        others = [program.Server(program.temp_dir()) for _ in range(2)]
        for other in others:
            store.share(other.data, world.data)
        servers = [world.server, *others]
        try:
            for server in servers:
                server.launch()
            together(len(servers), lambda n: servers[n].await_ready())
            check_forward(own_cluster, world, life, counts)
        finally:
            for other in others:
                other.kill()
                shutil.rmtree(other.data, ignore_errors=True)


@contextlib.contextmanager
def lock_held(cluster, name):
    """As by somebody who is bringing it forward."""
    holder = subprocess.Popen(
        ["psql", "-X", "-q", cluster.url(name)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True)
    holder.stdin.write("BEGIN; SELECT id FROM adtally_lock FOR UPDATE;\n")
    holder.stdin.flush()
    while "1 row" not in holder.stdout.readline():
        pass
    try:
        yield
    finally:
        holder.communicate("ROLLBACK;\n")


WAITS_S = 20
WAITS = ("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
         "AND query LIKE '%adtally_lock%FOR UPDATE'")


def test_who_comes_second_waits_for_the_lock(own_cluster):
    with first_schema(own_cluster) as (world, life):
        name, counts = store.database_of(world.data), world.counts()
        with lock_held(own_cluster, name):
            world.server.launch()
            end = time.monotonic() + WAITS_S
            while own_cluster.sql(WAITS, name) != [["1"]]:
                assert time.monotonic() < end, "it does not wait for the lock"
            assert own_cluster.sql("SELECT version FROM adtally_schema", name) == [["1"]]
        world.server.await_ready()
        check_forward(own_cluster, world, life, counts)
