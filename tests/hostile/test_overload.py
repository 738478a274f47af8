"""Ten times more than there is room or allowance for: told so at once, with a time to come again;
others are served as before, and when it ends everything is as before within seconds."""

import time

from siege import MIB, SANITIZED, TIMES, attack, memory, within
from support import server as program
from support.torture import say, size
from support.world import COLLECT, event, unique

MARK = "#" * 12  # becomes a number that no other request has
SYNC_S = 0.03
RECOVERY_S = 5
OVERLOAD = 10


def flood_of(world, key):
    return world.post_bytes(COLLECT, event(tag_id="flood", event_id=MARK), key)


def is_told(seen, *refusals):
    """Answered, or refused with a Retry-After; no connection is cut."""
    statuses = seen["statuses"]
    assert set(statuses) == {"204", *refusals}, seen
    refused = sum(statuses[r] for r in refusals)
    assert seen["refusals_with_retry"] == refused and seen["closed"] == 0, seen
    return statuses["204"], refused


def test_a_key_far_over_its_rate(world_with, calm_of):
    """It is 429 with Retry-After, and another key does not notice."""
    rate = 1000  # the healthy client's own has room in it
    world = world_with("--rate-limit", rate)
    key = program.partner_key(world.data, "greedy", unique("greedy"))
    calm = calm_of(world, pace_s=0.002)
    start = time.monotonic()
    with memory(world, 8 * MIB), attack(world, "flood", count=16, depth=50,
                                        request=flood_of(world, key)) as flood:
        p99 = calm.holds()
        calm.client.window(size(1.0, 20.0))
    took = time.monotonic() - start
    passed, refused = is_told(flood.seen, "429")
    assert passed <= rate * (took + 1) + 1, f"{passed} in {took:.1f} s"
    calm.holds()
    say(f"hostile: a key at {(passed + refused) / (rate * took):.0f} times its rate: {refused} "
        f"times 429, p99 of another {p99 * 1000:.1f} ms beside {calm.p99 * 1000:.1f} ms")


def is_as_before(calm):
    """For a window: no 503, and nothing takes longer."""
    refused = calm.client.refused
    return (calm.client.window() <= max(TIMES * calm.p99, 2 * SYNC_S)
            and calm.client.refused == refused)


def test_ten_times_what_the_disk_can_take(slow_disk, calm_of):
    """A slow disk, a short queue, and a crowd that wants more: what there is no room for is 503 at
    once, with Retry-After; what is taken is answered as fast as ever, and stands."""
    disk = slow_disk("--queue-limit", "8")
    world, key = disk.world, program.partner_key(disk.world.data, "greedy", "greedy")
    disk.sync_takes(SYNC_S)
    calm = calm_of(world, may_be_refused=True)
    client = calm.client
    with memory(world, 16 * MIB), attack(world, "loop", count=100, pause_s=0.01,
                                         request=flood_of(world, key)) as flood:
        p99 = calm.holds()
        client.window(size(1.0, 20.0))
    ended, refused_beside = time.monotonic(), client.refused
    recorded, refused = is_told(flood.seen, "503")
    assert SANITIZED or recorded + refused > OVERLOAD * recorded, flood.seen
    stands = world.rows("SELECT count(*) n FROM server_event WHERE tag_id = 'flood'")[0]["n"]
    assert recorded <= stands <= recorded + 100, "answered, or on their way when it ended"
    within(RECOVERY_S, lambda: is_as_before(calm), "no recovery in time")
    say(f"hostile: {(recorded + refused) / recorded:.0f} times what the disk takes: {recorded} "
        f"recorded, {refused} times 503; beside it {refused_beside} times 503, p99 "
        f"{p99 * 1000:.0f} ms beside {calm.p99 * 1000:.0f} ms; as before "
        f"{time.monotonic() - ended:.1f} s after the end")
