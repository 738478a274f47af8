"""Clients that take their time: over a head, a body, an answer. A deadline is of the whole request,
not of a read, so a byte now and then does not move it."""

from siege import KIB, MIB, attack, descriptors_for, memory, within
from support.torture import say, size
from support.world import COLLECT, MINT, event

DEADLINE_S, LATE_S = 1.0, 2.0
LARGE_FLOOR_S = 0.08  # some mints and what each turn of a loop takes
SHORT = ("--head-timeout", "1s", "--body-timeout", "1s", "--idle-timeout", "1s",
         "--write-timeout", "1s")


def slow_requests(world):
    """What they begin with, and the bytes that then come one by one."""
    post = world.post_bytes(COLLECT, event(tag_id="slow", session_id="s" * 200))
    mint = world.post_bytes(MINT, {"ads": [world.ad()]}, world.adserver)
    chunks = world.post_bytes(COLLECT, b"", headers=[("Content-Length", None),
                                                     ("Transfer-Encoding", "chunked")])
    cut, mint_cut = post.index(b"\r\n\r\n") + 4, mint.index(b"\r\n\r\n") + 4
    large = world.post_bytes(COLLECT, b"", headers=[("Content-Length", "65536")])
    return {"a head": (b"", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 500),
            "a head, by its end": (world.get_bytes("/health")[:-2] + b"X: ", b"x"),
            "a body": (post[:cut], post[cut:]),
            "a large body, by its end": (large + b" " * 65000, b" "),
            "a body of chunks": (chunks, b"1\r\n \r\n"),
            "a chunk extension": (chunks + b"5;", b"x"),
            "trailers": (chunks + b"0\r\nX: ", b"x"),
            "a mint": (mint[:mint_cut], mint[mint_cut:])}


def test_a_byte_at_a_time(world_with, calm_of):
    """Every connection has its 408 in time, and those beside it their answers."""
    world = world_with(*SHORT)
    shapes = slow_requests(world)
    mint, count = shapes.pop("a mint"), descriptors_for(size(350, 2000))
    calm = calm_of(world)
    with memory(world, count * 32 * KIB + MIB) as grown:
        with attack(world, "dribble", count=count, shapes=list(shapes.values())) as crowd, \
                attack(world, "dribble", count=20, shapes=[mint]) as mints:
            p99 = calm.holds()
            calm.client.window(2 * DEADLINE_S)
    for seen in (crowd.seen, mints.seen):
        assert set(seen["statuses"]) == {"408"} and seen["lives"] > 0, seen
        assert seen["life_min_s"] > DEADLINE_S - 0.2, seen
        assert seen["life_max_s"] < DEADLINE_S + LATE_S, seen
    assert crowd.seen["lives"] >= count, crowd.seen
    assert world.rows("SELECT 1 FROM server_event WHERE tag_id = 'slow'") == []
    say(f"hostile: {count + 20} connections, a byte each 0.1 s of a head, body, chunk, trailer: "
        f"{crowd.seen['lives'] + mints.seen['lives']} times 408, after "
        f"{crowd.seen['life_min_s']:.2f} to {crowd.seen['life_max_s']:.2f} s, "
        f"{grown.bytes // count // KIB} KiB each, p99 {p99 * 1000:.1f} ms beside "
        f"{calm.p99 * 1000:.1f} ms")


def test_small_answers_that_nobody_reads(world_with, calm_of):
    """The server stops reading from who does not read, and ends it by a deadline."""
    world = world_with(*SHORT)
    calm = calm_of(world)
    with memory(world, 16 * MIB) as grown:
        with attack(world, "flood", count=30, request=world.get_bytes("/health"), depth=1000,
                    reads=False) as flood:
            calm.holds()
            within(20, lambda: calm.client.window() and flood.closed() >= 30, "not all are cut")
    say(f"hostile: 30 connections that pipeline and read no answer: cut off, "
        f"{grown.bytes // KIB} KiB at the peak")


def test_large_answers_that_nobody_reads(world_with, calm_of):
    """With an ad server's key: mints whose answers are ten times as long as they are. Others are
    told to come again, and the room comes back."""
    world = world_with(*SHORT)
    ads = [world.ad(session_id="s" * 250)] * 100
    mint = world.post_bytes(MINT, {"ads": ads}, world.adserver)
    calm = calm_of(world)
    with memory(world, 64 * MIB) as grown:
        with attack(world, "flood", count=100, request=mint, reads=False) as flood:
            calm.holds(LARGE_FLOOR_S)
            within(20, lambda: calm.client.window() and flood.closed() >= 100, "not all are cut")
    within(5, lambda: world.post(MINT, {"ads": ads}, world.adserver).status == 200,
           "no room to mint after the attack")
    say(f"hostile: 100 connections that mint 100 ads each and read no answer: cut off, "
        f"{grown.bytes // MIB} MiB at the peak")


def test_mints_let_others_between_them(world, calm):
    """A mint keeps a loop busy for as long as hundreds of events: one of them a turn."""
    mint = world.post_bytes(MINT, {"ads": [world.ad()] * 200}, world.adserver)
    with attack(world, "loop", count=40, request=mint) as mints:
        p99 = calm.holds(LARGE_FLOOR_S)
    assert set(mints.seen["statuses"]) <= {"200", "503"}, mints.seen
    say(f"hostile: {mints.seen['statuses']['200']} mints of 200 ads from 40 connections: "
        f"p99 {p99 * 1000:.1f} ms beside {calm.p99 * 1000:.1f} ms")
