"""Several servers over one database: what one is told, the others know within a second.

Run with ADTALLY_TEST_STORE=postgres."""

import contextlib
import json
import time

import pytest

from support import server as program
from support import store
from support.world import CANARY, COLLECT, World, event, together, unique

pytestmark = pytest.mark.skipif(not store.IS_POSTGRES, reason="one server has a data file alone")

DELAY_S = 1.0
SLACK_S = 4.0  # of a machine that is busy with other tests
RATE = 10


class Node(World):
    """Another server over the world's database, with a data directory of its own."""

    def __init__(self, first, *flags):
        data = program.temp_dir()
        store.share(data, first.data)
        super().__init__(flags, data=data)


@contextlib.contextmanager
def nodes(count, *flags):
    with contextlib.ExitStack() as stack:
        made = [World(flags)]
        stack.callback(made[0].close)
        for _ in range(count - 1):
            made.append(Node(made[0], *flags))
            stack.callback(made[-1].close)
        yield made


@pytest.fixture(scope="module")
def pair():
    with nodes(2) as made:
        yield made


def within(seconds, is_so):
    """Whether it becomes true; how long it took."""
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        if is_so():
            return True
        time.sleep(0.02)
    return False


def status(node, key):
    return node.post(COLLECT, event(event_id=unique("e")), key).status


def test_a_key_of_one_server_opens_the_other(pair):
    key = program.partner_key(pair[0].data, "acme", unique("k"))
    assert status(pair[0], key) == 204
    assert within(DELAY_S + SLACK_S, lambda: status(pair[1], key) == 204)


def test_a_key_that_was_revoked_elsewhere_opens_nothing(pair):
    label = unique("k")
    key = program.partner_key(pair[0].data, "acme", label)
    assert within(DELAY_S + SLACK_S, lambda: status(pair[1], key) == 204)
    program.cli("key", "revoke", program.key_id(pair[0].data, label), "--data", pair[0].data)
    assert status(pair[0], key) == 401
    assert within(DELAY_S + SLACK_S, lambda: status(pair[1], key) == 401)


def test_a_token_of_one_server_is_read_by_the_other(pair):
    program.cli("token-key", "rotate", "--data", pair[0].data)
    time.sleep(DELAY_S)
    url = pair[0].mint()["url"]
    assert within(SLACK_S, lambda: pair[1].follow(url).status == 302)


def test_a_poll_of_one_server_is_minted_by_the_other(pair):
    number = time.time_ns() % 10**9
    poll = {"sponsored_poll_id": number, "question": "?",
            "options": [{"id": "0", "text": "a"}, {"id": "1", "text": "b"}]}
    program.cli("poll", "put", "-", "--data", pair[0].data, stdin=json.dumps(poll).encode())
    listed = lambda: number in [p["sponsored_poll_id"] for p in  # noqa: E731
                                program.cli_json("poll", "list", "--json", "--data", pair[1].data)]
    assert within(DELAY_S + SLACK_S, listed)


def test_copies_sent_to_both_count_once(pair):
    key = program.partner_key(pair[0].data, "acme", unique("k"))
    assert within(DELAY_S + SLACK_S, lambda: status(pair[1], key) == 204)
    ids = [unique("same") for _ in range(40)]
    with pair[0].records(server_event=len(ids)):
        answers = together(8, lambda n: [
            pair[n % 2].post(COLLECT, event(tag_id="t", event_id=i), key) for i in ids])
    for answers_of_id in zip(*answers):
        assert {a.status for a in answers_of_id} == {204}
        assert len({a.receipt for a in answers_of_id}) == 1


def test_contradictions_are_seen(pair):
    """What the crash suite asks a database after a kill finds each kind of damage."""
    data = pair[0].data
    pair[0].convert(pair[0].click(bid_id=unique("bid")), idem=unique("k"))
    assert status(pair[0], pair[0].partner) == 204
    assert store.contradictions(data) == {}
    for damage in ("UPDATE server_event SET seq = (SELECT min(seq) FROM click)",
                   "DELETE FROM click", "DELETE FROM conversion", "DELETE FROM server_event",
                   "INSERT INTO vote_count VALUES (1, '0', 0, 3)"):
        with store.undone(data, damage):
            assert store.contradictions(data), damage
    assert store.contradictions(data) == {}


def let_through(made, key, seconds):
    """As many as both servers let through of one key, asked as fast as they answer."""
    end = time.monotonic() + seconds

    def ask(number):
        passed = 0
        while time.monotonic() < end:
            passed += status(made[number % len(made)], key) == 204
        return passed

    return sum(together(len(made), ask))


def test_a_rate_holds_over_both():
    """In the long run, with a burst from each before they know of each other."""
    seconds = 12
    with nodes(2, "--rate-limit", RATE) as made:
        key = program.partner_key(made[0].data, "acme", unique("k"))
        assert within(DELAY_S + SLACK_S, lambda: status(made[1], key) == 204)
        passed = let_through(made, key, seconds)
    late = 2 * len(made) * RATE  # the burst, and what passes until the next exchange
    assert passed <= RATE * seconds + late, passed
    assert passed >= RATE * seconds / 2, passed
    assert RATE * seconds + late < 2 * RATE * seconds, "two separate rates would pass"


def test_a_password_is_never_shown(pair):
    """The database of these tests asks for none, so any may stand in the URL."""
    url = store.url_of(pair[0].data).replace("tester@", f"tester:{CANARY}@")
    data = program.temp_dir()
    server = program.Server(data, ["--store", url]).start()
    try:
        (data / "adtally.conf").write_text(f"store = {url}\n")
        said = program.run("reload", "--data", data)
        server.stop()
        shown = server.ready_line + server.stderr + said.stdout.decode() + said.stderr.decode()
        assert CANARY not in shown, shown
    finally:
        server.kill()
    for wrong in (url + "?no_such_option=1", url.replace(CANARY, CANARY + "%zz"),
                  url.replace("127.0.0.1", "host.invalid"), "x" + url, url + " x"):
        done = program.run("serve", "--data", data, "--listen", "127.0.0.1:0", "--store", wrong)
        assert done.returncode in (1, 2), done
        assert CANARY.encode() not in done.stdout + done.stderr, done
        assert done.stderr.count(b"\n") == 1, done


def test_what_copies_the_file_says_what_to_do_instead(pair):
    data = pair[0].data
    for command, tool in (("backup", b"pg_dump"), ("restore", b"pg_restore")):
        done = program.run(command, "/nowhere", "--data", data, "--store", store.url_of(data))
        assert done.returncode == 1 and tool in done.stderr, done


def guarded(data, password):
    """A user of the database who has to say a password; the URL without it."""
    cluster, database = store.cluster(), store.database_of(data)
    rules = cluster.data / "pg_hba.conf"
    rules.write_text(f"host {database} guarded 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
    cluster.sql(f"CREATE ROLE guarded LOGIN SUPERUSER PASSWORD '{password}'")
    cluster.sql("SELECT pg_reload_conf()")
    return cluster.url(database, user="guarded").replace("127.0.0.1", "localhost")


def test_connections_are_made_again_inside_the_sandbox():
    """With a host's name to look up and a file with a password to read, long after the start."""
    data, folder = program.temp_dir(), program.temp_dir()
    url = guarded(data, "secret")
    passfile = folder / "pgpass"
    passfile.write_text("*:*:*:*:secret\n")
    passfile.chmod(0o600)
    refused = program.run("serve", "--data", data, "--listen", "127.0.0.1:0", "--store", url)
    assert refused.returncode == 1 and b"password" in refused.stderr, refused
    world = World(["--store", f"{url}?passfile={passfile}"], data=data)
    try:
        assert "sandbox_incomplete" not in world.server.stderr
        assert status(world, world.partner) == 204
        for _ in range(3):
            store.cluster().sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                f"WHERE datname = '{store.database_of(data)}'")
            assert within(10, lambda: status(world, world.partner) == 204), world.server.stderr
    finally:
        world.close()
