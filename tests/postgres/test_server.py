"""A server over PostgreSQL: what it says when it cannot start, and a database that goes and comes."""

import json
import subprocess
import threading
import time

import pytest

from support import postgres, store
from support import server as program
from support.http import Conn
from support.world import LANDING, V1, World, conversion, table, together

BACK_S = 10
PROMPT_S = 2.5  # an answer while it is away takes some 0.8 s at most, and this machine may be busy
LOCKED_S = 20


@pytest.fixture(scope="module")
def own_cluster():
    """Not the other tests': it is stopped."""
    with postgres.Cluster().running() as running:
        yield running


@pytest.fixture
def world(own_cluster, monkeypatch):
    monkeypatch.setattr(store, "IS_POSTGRES", True)
    monkeypatch.setattr(store, "cluster", lambda: own_cluster)
    world = World()
    yield world
    world.close()


def serve(url, tmp_path):
    return program.run("serve", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", "--store",
                       url)


def problem(url, tmp_path):
    done = serve(url, tmp_path)
    assert done.returncode not in (0, None) and not done.stdout
    return done.stderr.decode()


def test_a_database_that_is_not_there_is_told_in_a_sentence(tmp_path):
    text = problem("postgresql://u:geheim@127.0.0.1:1/db", tmp_path)
    assert "cannot reach the database" in text and "see whether the database" in text
    assert "geheim" not in text and len(text.splitlines()) == 1


def test_a_url_that_cannot_be_read_is_not_repeated(tmp_path):
    text = problem("postgresql://u:geheim@[127.0.0.1:1/db", tmp_path)
    assert "cannot be read" in text and "geheim" not in text


def test_a_newer_schema_is_told_in_a_sentence(own_cluster, tmp_path):
    name = own_cluster.new_database()
    own_cluster.sql("CREATE TABLE adtally_schema (version bigint PRIMARY KEY, applied_at_ms bigint);"
                    "INSERT INTO adtally_schema VALUES (7, 0)", name)
    text = problem(own_cluster.url(name), tmp_path)
    assert "newer adtally" in text and len(text.splitlines()) == 1


def role_with(cluster, name, *rights):
    """A user of this database who may just do this."""
    role = "r" + name
    cluster.sql(f"CREATE ROLE {role} LOGIN; " + "; ".join(f"GRANT {r} TO {role}" for r in rights),
                name)
    return cluster.url(name, user=role)


def made_by_another(cluster, tmp_path):
    """A database in which a server of its owner has been."""
    name = cluster.new_database()
    key = program.run("key", "create", "--class", "adserver", "--label", "l", "--data",
                      tmp_path / "owner", "--store", cluster.url(name))
    assert key.returncode == 0, key.stderr
    return name


def nothing_there(cluster):
    return cluster.url("nowhere")


def unknown_user(cluster):
    return cluster.url(cluster.new_database(), user="nobody_here")


def may_not_create(cluster):
    return role_with(cluster, cluster.new_database())


def read_only_for_all(cluster):
    name = cluster.new_database()
    cluster.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    return cluster.url(name)


def not_utf8(cluster):
    name = cluster.new_database()
    cluster.sql(f"DROP DATABASE {name}; CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0")
    return cluster.url(name)


@table("make, says", {
    "a database that does not exist": (nothing_there, "create the database that --store names"),
    "a user that does not exist": (unknown_user, "user and the password"),
    "a user who may not make tables": (may_not_create, "grant its user the rights"),
    "a database that takes no writes": (read_only_for_all, "name the primary in --store"),
    "a database in another encoding": (not_utf8, "UTF8"),
})
def test_what_keeps_a_server_from_starting_is_told_in_a_sentence(own_cluster, tmp_path, make, says):
    text = problem(make(own_cluster), tmp_path)
    assert says in text and len(text.splitlines()) == 1, text


@table("rights", {
    "nothing": ["USAGE ON SCHEMA public"],
    "reading alone": ["USAGE ON SCHEMA public", "SELECT ON ALL TABLES IN SCHEMA public"],
})
def test_a_user_who_may_not_write_is_told_what_to_grant(own_cluster, tmp_path, rights):
    name = made_by_another(own_cluster, tmp_path)
    text = problem(role_with(own_cluster, name, *rights), tmp_path)
    assert "grant its user the rights" in text and len(text.splitlines()) == 1, text


class Clients:
    """Conversions one after the other, each with a key of its own, until stopped."""

    def __init__(self, world, count=4):
        self.world, self.acked, self.statuses, self.is_over = world, {}, [], False
        self.slowest_s = 0
        self.click = world.click(landing_url=LANDING)
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        for turn in range(1 << 30):
            if self.is_over:
                return
            key, asked = f"c{number}-{turn}", time.monotonic()
            answer = self.world.convert(self.click, idem=key)
            self.statuses.append((time.monotonic(), answer.status))
            self.slowest_s = max(self.slowest_s, time.monotonic() - asked)
            if answer.status == 200:
                self.acked[key] = answer.receipt
            else:
                time.sleep(0.02)

    def stop(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()

    def count_since(self, since, status):
        return sum(at >= since and seen == status for at, seen in self.statuses)


def await_answers(clients, since, status):
    end = time.monotonic() + BACK_S
    while not clients.count_since(since, status):
        assert time.monotonic() < end, f"no {status} after {BACK_S} s"
        time.sleep(0.05)


def check_once(world, acked):
    rows = [r["idempotency_key"] for r in world.rows("SELECT idempotency_key FROM conversion")]
    assert len(rows) == len(set(rows)), "doubled"
    assert set(acked) <= set(rows), "lost"


def events(world):
    return [json.loads(line)["event"] for line in world.server.stderr.splitlines()
            if line.startswith("{")]


def test_the_oracle_notices_what_is_lost_and_what_is_doubled(world):
    click = world.click(landing_url=LANDING)
    assert world.convert(click, idem="one").status == 200
    check_once(world, {"one": ""})
    with pytest.raises(AssertionError, match="lost"):
        check_once(world, {"two": ""})
    name = store.database_of(world.data)
    store.cluster().sql("INSERT INTO conversion SELECT * FROM conversion", name)
    with pytest.raises(AssertionError, match="doubled"):
        check_once(world, {"one": ""})


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_database_may_go_and_come_back(world, own_cluster, mode):
    clients = Clients(world)
    await_answers(clients, 0, 200)
    own_cluster.stop(mode)
    await_answers(clients, time.monotonic(), 503)
    time.sleep(2)  # it stays away: whoever waits longer between two attempts is found out
    own_cluster.start()
    started = time.monotonic()
    await_answers(clients, started, 200)
    assert time.monotonic() - started < PROMPT_S, "no service although the database is back"
    clients.stop()
    assert clients.slowest_s < PROMPT_S, "refused late"
    assert {status for _, status in clients.statuses} == {200, 503}
    check_once(world, clients.acked)
    seen = events(world)
    assert "database_unreachable" in seen and "database_back" in seen


def test_backends_may_be_terminated(world, own_cluster):
    clients = Clients(world)
    await_answers(clients, 0, 200)
    for _ in range(40):
        own_cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE application_name = 'adtally' ORDER BY random() LIMIT 2")
        time.sleep(0.05)
    await_answers(clients, time.monotonic(), 200)
    clients.stop()
    check_once(world, clients.acked)
    assert len(clients.acked) > 100


def test_a_database_may_become_read_only_for_a_while(world, own_cluster):
    """As a primary that is demoted; what is refused is not counted."""
    clients = Clients(world)
    await_answers(clients, 0, 200)
    own_cluster.sql("ALTER SYSTEM SET default_transaction_read_only = on")
    own_cluster.sql("SELECT pg_reload_conf()")
    try:
        await_answers(clients, time.monotonic(), 503)
        assert world.server.health().status == 503
    finally:
        own_cluster.sql("SET default_transaction_read_only = off;"
                        "ALTER SYSTEM RESET default_transaction_read_only")
        own_cluster.sql("SELECT pg_reload_conf()")
    await_answers(clients, time.monotonic(), 200)
    clients.stop()
    check_once(world, clients.acked)


def test_rights_may_be_taken_for_a_while(world, own_cluster):
    """What is refused for that is not counted, and the log says what to grant."""
    name = store.database_of(world.data)
    own_cluster.sql("CREATE ROLE writer LOGIN", name)
    own_cluster.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO writer", name)
    url = own_cluster.url(name, user="writer")
    data = program.temp_dir()
    server = program.Server(data, ["--store", url])
    store.share(data, world.data)
    server.start()
    world.server, first = server, world.server
    try:
        clients = Clients(world)
        await_answers(clients, 0, 200)
        own_cluster.sql("REVOKE INSERT ON conversion FROM writer", name)
        await_answers(clients, time.monotonic(), 503)
        own_cluster.sql("GRANT INSERT ON conversion TO writer", name)
        await_answers(clients, time.monotonic(), 200)
        clients.stop()
        check_once(world, clients.acked)
        assert "grant its user the rights" in server.stderr
    finally:
        server.kill()
        world.server = first


def send_alone(world, click, key):
    """So that requests of several threads come in one batch."""
    with Conn(world.port, timeout_s=LOCKED_S) as conn:
        conn.send(world.post_bytes(V1, conversion(click), headers=[("Idempotency-Key", key)]))
        return conn.read().status


def await_lock(cluster, name):
    end = time.monotonic() + BACK_S
    while not cluster.sql("SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted"
                          " AND relation = 'conversion'::regclass", name):
        assert time.monotonic() < end, "nobody holds the table"
        time.sleep(0.02)


def test_a_lock_that_somebody_holds_refuses_in_time(world, own_cluster):
    """A batch is not tried again and again, by halves neither, while its clients wait."""
    click = world.click(landing_url=LANDING)
    holder = subprocess.Popen(["psql", "-X", "-q", own_cluster.url(store.database_of(world.data)),
                               "-c", "BEGIN; LOCK TABLE conversion; SELECT pg_sleep(100)"])
    try:
        await_lock(own_cluster, store.database_of(world.data))
        assert set(together(8, lambda n: send_alone(world, click, f"l{n}"))) == {503}
    finally:
        own_cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE query LIKE '%pg_sleep(100)' AND pid <> pg_backend_pid()")
        holder.wait()
    end = time.monotonic() + BACK_S
    while world.convert(click, idem="l0").status != 200:
        assert time.monotonic() < end, "no service although the lock is gone"
        time.sleep(0.05)
    assert world.counts()["conversion"] == 1
