"""One server is shared by all tests that need no options of their own; each test makes its own
clicks and keys, so that tests do not see each other."""

import shutil

import pytest

from support import server as program
from support.disk import small
from support.world import World


@pytest.fixture(scope="session", autouse=True)
def there_is_a_program():
    program.require()


@pytest.fixture(scope="session")
def shared_world():
    world = World()
    yield world
    world.close()


@pytest.fixture
def world(shared_world):
    """The shared server, which every test must leave alive."""
    yield shared_world
    assert shared_world.server.alive(), f"the server died: {shared_world.server.stderr}"


@pytest.fixture
def world_with(make_world):
    """world_with("--click-ttl", "2s"): a server with these options, shared by who asks the same."""
    used = []

    def get(*flags):
        used.append(make_world(*flags))
        return used[-1]

    yield get
    for world in used:
        assert world.server.alive(), f"the server died: {world.server.stderr}"


@pytest.fixture
def data_dir():
    """An empty directory for a server of the test's own."""
    path = program.temp_dir()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def own_server(data_dir):
    """Makes servers on the test's own directory; what still runs at the end is killed."""
    made = []

    def start(*flags, data=data_dir):
        made.append(program.Server(data, flags))
        return made[-1].start()

    yield start
    for server in made:
        server.kill()


@pytest.fixture(scope="module")
def disk():
    """A file system of 8 MiB, empty."""
    yield from small()


@pytest.fixture(scope="session", autouse=True)
def minute_beside(request):
    """The minute of test_window.py begins with the first test and ends beside the last."""
    if not any("minute" in getattr(item, "fixturenames", ()) for item in request.session.items):
        yield None
        return
    from test_window import Minute

    minute = Minute()
    yield minute
    minute.close()


@pytest.fixture
def minute(minute_beside):
    return minute_beside
