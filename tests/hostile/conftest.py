"""One server is attacked by most tests, one after the other; each must leave it alive, with its
connections closed, and a client beside the attack served."""

import contextlib

import pytest

from siege import Calm, Healthy, descriptors, none_left_open
from slow_disk import SlowDisk
from support import server as program


@pytest.fixture(scope="session", autouse=True)
def there_is_a_program():
    program.require()


@pytest.fixture
def world_with(make_world):
    """world_with("--head-timeout", "1s"): a server with these options, shared by who asks the
    same. The connections that a test made are gone when it ends, without a restart."""
    used = []

    def get(*flags):
        used.append(make_world(*flags))
        if not hasattr(used[-1], "descriptors_at_rest"):
            used[-1].descriptors_at_rest = descriptors(used[-1])
        return used[-1]

    yield get
    for world in used:
        assert world.server.alive(), f"the server died: {world.server.stderr}"
        none_left_open(world)


@pytest.fixture
def world(world_with):
    return world_with()


@pytest.fixture
def slow_disk():
    """slow_disk("--queue-limit", "4"): a server of the test's own on a SlowDisk."""
    with contextlib.ExitStack() as stack:
        def make(*flags):
            disk = SlowDisk(*flags)
            stack.callback(disk.close)
            return disk

        yield make


@pytest.fixture
def calm_of(slow_disk):
    """calm_of(world): the client beside the attack, measured before it."""
    clients = []

    def measure(world, **options):
        clients.append(Healthy(world, **options))
        return Calm(clients[-1])

    yield measure
    for client in clients:
        client.close()
        count = client.world.rows("SELECT count(DISTINCT event_id) n FROM server_event "
                                  "WHERE tag_id = 'healthy'")[0]["n"]
        assert count >= len(client.ids), "an event of the healthy client is lost"


@pytest.fixture
def calm(world, calm_of):
    return calm_of(world)
