"""verify beside a server that writes: what it reads halfway written is no damage."""

import threading

from support import server as program
from support import torture
from support.world import COLLECT, World, event, unique

VERIFIES = torture.size(15, 300)


def write_until(world, done):
    while not done.is_set():
        requests = [world.post_bytes(COLLECT, event(event_id=unique())) for _ in range(40)]
        assert all(answer.status == 204 for answer in world.pipeline(requests))


def test_verify_finds_nothing_beside_a_server_under_load():
    world = World()
    done = threading.Event()
    writers = [threading.Thread(target=write_until, args=(world, done)) for _ in range(3)]
    try:
        for writer in writers:
            writer.start()
        for _ in range(VERIFIES):
            program.cli("verify", "--data", world.data)
    finally:
        done.set()
        for writer in writers:
            writer.join()
        world.close()
    torture.say(f"corruption live: {VERIFIES} times verify beside a server under load, no finding")
