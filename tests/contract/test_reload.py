"""docs/configuration.md: SIGHUP and `adtally reload` change what can change, and drop nothing."""

import json
import shutil
import signal
import time

import pytest

from support import server as program
from support.held import Load
from support.http import Conn
from support.world import (COLLECT, V1, World, conversion, dump, event, is_collected, is_refused,
                           table, unique)


class Configured:
    """A world with a configuration file in a directory of its own, outside of the data's."""

    def __init__(self, text="", *flags):
        self.dir = program.temp_dir()
        self.file = self.dir / "adtally.conf"
        self.write(text)
        self.world = World(["--config", self.file, "--threads", "2", *flags])

    def write(self, text):
        """As an editor does: a new file in the place of the old one."""
        fresh = self.dir / "adtally.conf.new"
        fresh.write_text(text)
        fresh.rename(self.file)

    def reload(self, text=None, expect=0):
        if text is not None:
            self.write(text)
        done = program.run("reload", "--data", self.world.data)
        assert done.returncode == expect, done
        return (done.stdout + done.stderr).decode()

    def events(self, name):
        lines = [json.loads(line) for line in self.world.server.stderr.splitlines()]
        return [line for line in lines if line["event"] == name]

    def close(self):
        self.world.close()
        shutil.rmtree(self.dir, ignore_errors=True)


@pytest.fixture
def configured():
    made = Configured("rate_limit = 0\n")
    yield made
    made.close()


def statuses(world, count=8):
    return [world.post(COLLECT, event()).status for _ in range(count)]


def test_a_rate_limit_comes_and_goes(configured):
    world = configured.world
    assert set(statuses(world)) == {204}
    assert configured.reload("rate_limit = 2\n") == "changed rate_limit\n"
    assert 429 in statuses(world)
    assert configured.reload("rate_limit = 100000\n") == "changed rate_limit\n"
    time.sleep(1.1)
    assert set(statuses(world)) == {204}
    configured.reload("rate_limit = 2\n")
    assert 429 in statuses(world)
    configured.reload("")
    assert set(statuses(world)) == {204}


def test_the_clients_rate_limit_too(configured):
    world = configured.world
    target = world.get_bytes(world.target(world.mint()["view_url"]))
    assert {world.send(target).status for _ in range(8)} == {200}
    configured.reload("client_rate_limit = 2\n")
    assert 429 in {world.send(target).status for _ in range(8)}


def test_urls_begin_as_the_new_file_says(configured):
    world = configured.world
    configured.reload("public_url = https://ads.example/\n")
    assert world.mint()["url"].startswith("https://ads.example/api")
    request = dump({"ads": [world.ad()]})
    minted = json.loads(program.cli("mint", "-", "--data", world.data, stdin=request))
    assert minted["ads"][0]["url"].startswith("https://ads.example/api")
    for number in range(20):
        configured.reload(f"public_url = https://ads-{number}.example\n")
        assert world.mint()["url"].startswith(f"https://ads-{number}.example/api")


def test_a_proxy_is_trusted_from_the_reload_on(configured):
    world, forwarded = configured.world, [("X-Forwarded-For", "198.51.100.7")]
    configured.reload("client_address = full\n")
    world.follow(world.mint()["url"], forwarded)
    assert world.last("click")["client_address"] == "127.0.0.1"
    assert configured.reload("client_address = full\ntrusted_proxies = 127.0.0.1\n") == \
        "changed trusted_proxies\n"
    world.follow(world.mint()["url"], forwarded)
    assert world.last("click")["client_address"] == "198.51.100.7"


def test_a_timeout_holds_for_what_begins_later(configured):
    world = configured.world
    configured.reload("head_timeout = 200ms\n")
    with Conn(world.port) as conn:
        conn.send(b"GET /health HTTP/1.1\r\n")
        assert conn.read().status == 408


def test_the_limit_of_bodies(configured):
    world = configured.world
    body = event(event_id=unique("e"), note="x" * 2000)
    is_collected(world.post(COLLECT, body))
    configured.reload("body_limit = 1KiB\n")
    is_refused(world.post(COLLECT, body), 413)


def test_the_log_of_failures_can_be_switched(configured):
    world = configured.world
    configured.reload("log_failures = off\n")
    world.get("/nowhere")
    configured.reload("log_failures = on\n")
    world.get("/nowhere")
    assert len(configured.events("request_failed")) == 1


def test_sighup_does_the_same(configured):
    configured.write("rate_limit = 2\n")
    configured.world.server.signal(signal.SIGHUP)
    wait_for_events(configured, "reloaded", 1)
    assert [line["option"] for line in configured.events("option_changed")] == ["rate_limit"]
    assert 429 in statuses(configured.world)


def wait_for_events(configured, name, count):
    end = time.monotonic() + 10
    while len(configured.events(name)) < count:
        assert time.monotonic() < end, configured.world.server.stderr
        time.sleep(0.02)


@table("line, option", {
    "threads, which a flag said": ("threads = 5", None),
    "the address, which a flag said": ("listen = 127.0.0.1:1", None),
    "how long a click lives": ("click_ttl = 5d", "click_ttl"),
    "connections": ("max_connections = 500", "max_connections"),
    "the sandbox": ("sandbox = off", "sandbox"),
    "the queue": ("queue_limit = 17", "queue_limit"),
    "heads": ("head_limit = 20KiB", "head_limit"),
})
def test_what_needs_a_restart_is_said_once_each(configured, line, option):
    """A flag wins over the file: nothing differs then."""
    said = configured.reload(f"{line}\nrate_limit = 9\n")
    lines = [f"restart to change {option}"] if option else []
    assert said.splitlines() == ["changed rate_limit", *lines]
    assert [found["option"] for found in configured.events("option_waits")] == \
        ([option] if option else [])
    assert configured.reload().splitlines() == (lines or ["nothing has changed"])


@table("text, said", {
    "an unknown option": ("rate_limit = 2\nclik_ttl = 1d\n", ':2: unknown option "clik_ttl"'),
    "a wrong value": ("rate_limit = many\n", ":1: rate_limit takes a number of 0 to 100000"),
    "no line of ours": ("rate_limit\n", ":1: a line is `name = value`"),
    "a relation that does not hold": ("target_limit = 64KiB\n", "target_limit is larger"),
})
def test_a_bad_file_changes_nothing_and_says_so(configured, text, said):
    configured.reload("rate_limit = 2\n")
    answer = configured.reload(text, expect=1)
    assert said in answer and "nothing has changed" in answer
    problem = configured.events("reload_failed")[0]
    assert said in problem["problem"] and problem["level"] == "error"
    assert 429 in statuses(configured.world)
    assert configured.reload("rate_limit = 2\n") == "nothing has changed\n"


def test_a_file_that_is_gone_changes_nothing(configured):
    configured.file.unlink()
    assert "cannot open the configuration file" in configured.reload(expect=1)
    assert set(statuses(configured.world)) == {204}


def test_the_file_of_the_data_directory_is_read_too():
    world = World()
    (world.data / "adtally.conf").write_text("rate_limit = 2\n")
    assert program.cli("reload", "--data", world.data) == "changed rate_limit\n"
    assert 429 in statuses(world)
    world.close()


ROBOT = "Mozilla/5.0 (compatible; TestRobot/1.0)"


def flags(world, agent="a person's browser", address="198.51.100.7"):
    """Of a view."""
    world.follow(world.mint()["view_url"], [("User-Agent", agent), ("X-Forwarded-For", address)])
    return world.last("impression")["flags"]


@pytest.fixture
def with_lists():
    """A server with a list of robots and one of data centres, both still without a line."""
    made = Configured()
    made.world.close()
    made.bots, made.networks = made.dir / "bots.txt", made.dir / "networks.txt"
    for path in (made.bots, made.networks):
        path.write_text("")
    made.text = (f"bot_patterns = {made.bots}\ndatacenter_ranges = {made.networks}\n"
                 "trusted_proxies = 127.0.0.1\n")
    made.write(made.text)
    made.world = World(["--config", made.file, "--threads", "2"])
    yield made
    made.close()


def test_the_lists_of_robots_and_data_centres_are_read_again(with_lists):
    world = with_lists.world
    assert (flags(world, ROBOT), flags(world)) == (0, 0)
    with_lists.bots.write_text("testrobot\n")
    assert with_lists.reload() == "changed bot_patterns\n"
    assert (flags(world, ROBOT), flags(world)) == (1, 0)
    with_lists.networks.write_text("198.51.100.0/24\n")
    with_lists.bots.write_text("")
    assert with_lists.reload() == "changed bot_patterns\nchanged datacenter_ranges\n"
    assert (flags(world, ROBOT), flags(world, address="203.0.113.1")) == (2, 0)
    assert with_lists.reload() == "nothing has changed\n"


def test_a_list_can_be_another_file_or_none(with_lists):
    (with_lists.dir / "other.txt").write_text("testrobot\n")
    text = with_lists.text.replace("bots.txt", "other.txt")
    assert with_lists.reload(text) == "changed bot_patterns\n"
    assert flags(with_lists.world, ROBOT) == 1
    assert with_lists.reload("trusted_proxies = 127.0.0.1\n") == \
        "changed bot_patterns\nchanged datacenter_ranges\n"
    assert flags(with_lists.world, "Googlebot/2.1") == 1, "the list that is built in"


@table("spoil,said", {
    "a bad pattern": (lambda made: made.bots.write_text("testrobot\nx\n"),
                      "bots.txt:2: a line is a pattern of 2 to 128 characters"),
    "a bad network": (lambda made: made.networks.write_text("10.0.0.0/33\n"),
                      "networks.txt:1: a line is an address or a network"),
    "a file that is gone": (lambda made: made.bots.unlink(), "cannot read"),
    "one that is too large": (lambda made: made.bots.write_text("#" * 70000), "is larger than"),
})
def test_a_bad_list_leaves_every_list_and_option_as_it_was(with_lists, spoil, said):
    world = with_lists.world
    with_lists.bots.write_text("testrobot\n")
    with_lists.reload()
    spoil(with_lists)
    answer = with_lists.reload(with_lists.text + "rate_limit = 2\n", expect=1)
    assert said in answer and "nothing has changed" in answer
    assert said in with_lists.events("reload_failed")[0]["problem"]
    assert flags(world, ROBOT) == 1 and set(statuses(world)) == {204}


def test_a_list_in_another_directory_waits_for_a_restart_and_says_so(with_lists):
    """Out of the sandbox's reach, where there is one."""
    elsewhere = program.temp_dir()
    (elsewhere / "bots.txt").write_text("testrobot\n")
    text = with_lists.text.replace(str(with_lists.bots), str(elsewhere / "bots.txt"))
    if "asan" not in program.BINARY and "tsan" not in program.BINARY:
        assert "needs a restart" in with_lists.reload(text, expect=1)
    with_lists.write("sandbox = off\n" + with_lists.text)
    with_lists.world.server.stop()
    with_lists.world.server.start()
    assert with_lists.reload("sandbox = off\n" + text) == "changed bot_patterns\n"
    shutil.rmtree(elsewhere)


def test_lists_that_change_under_load_drop_nothing(with_lists):
    with Load(with_lists.world) as load:
        for number in range(10):
            with_lists.bots.write_text(f"robot-{number}\n" * 100)
            with_lists.networks.write_text(f"10.{number}.0.0/16\n" * 1000)
            with_lists.reload()
            assert flags(with_lists.world, f"robot-{number}/1.0") == 1
    assert load.failed == [] and load.stored() == set(load.acked)
    assert len(load.acked) > 20


def test_nothing_else_can_be_read_by_then(configured):
    """The directory of the file is all that the sandbox opened for it."""
    linked = program.temp_dir() / "linked"
    linked.write_text("this is no configuration\n")
    configured.file.unlink()
    configured.file.symlink_to(linked)
    said = configured.reload(expect=1)
    assert "asan" in program.BINARY or "tsan" in program.BINARY or "Permission denied" in said


def test_without_a_server_there_is_nothing_to_reload(data_dir):
    program.partner_key(data_dir)
    done = program.run("reload", "--data", data_dir)
    assert done.returncode == 1 and b"no server runs" in done.stderr


def test_reloads_and_keys_under_load_drop_nothing(configured):
    """Every option that is live, changed back and forth; keys made and revoked meanwhile."""
    world = configured.world
    texts = ["rate_limit = 100000\nclient_rate_limit = 100000\n",
             "public_url = https://ads.example\nidle_timeout = 20s\nbody_limit = 32KiB\n"
             "trusted_proxies = 10.0.0.0/8\nlog_failures = off\nmint_body_limit = 100KiB\n"]
    with Load(world) as load:
        for number in range(10):
            configured.write(texts[number % 2])
            world.server.signal(signal.SIGHUP)
            configured.reload()
            program.partner_key(world.data, "acme", f"k{number}")
            program.cli("key", "revoke", program.key_id(world.data, f"k{number}"),
                        "--data", world.data)
    assert load.failed == [] and load.stored() == set(load.acked)
    assert len(load.acked) > 20


def test_the_load_sees_a_reload_that_refuses(configured):
    """A limit that the load is past: the oracle of the test above can fail."""
    with Load(configured.world) as load:
        time.sleep(0.2)
        configured.reload("rate_limit = 1\n")
        time.sleep(0.5)
    assert any("429" in failure for failure in load.failed)


def test_a_reload_while_it_stops_is_refused_or_done(configured):
    """A connection in the middle of its request holds the drain up."""
    world = configured.world
    data = world.post_bytes(V1, conversion(world.click()), headers=[("Expect", "100-continue")])
    cut = data.index(b"\r\n\r\n") + 4
    with world.connect() as conn:
        conn.send(data[:cut])
        assert conn.read().status == 100
        world.server.signal(signal.SIGTERM)
        time.sleep(0.2)
        world.server.signal(signal.SIGHUP)
        done = program.run("reload", "--data", world.data)
        assert done.returncode == 1 and b"stopping" in done.stderr
        conn.send(data[cut:])
        assert conn.read().status == 200
    assert world.server.wait() == 0


def test_a_hangup_before_it_serves_ends_nothing(data_dir):
    server = program.Server(data_dir)
    server.launch()
    end = time.monotonic() + 5
    while server.alive() and time.monotonic() < end and not server.health():
        time.sleep(0.01)
    server.signal(signal.SIGHUP)
    server.await_ready()
    assert server.health().status == 200
    server.stop()
