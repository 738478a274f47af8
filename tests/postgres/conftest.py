import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "crash"))  # load and oracle

from outage import over  # noqa: E402
from support import postgres, store  # noqa: E402
from support import server as program  # noqa: E402
from support.world import World  # noqa: E402


@pytest.fixture(scope="session")
def cluster():
    """For tests that leave it running: nothing is asked of its disk, and databases by the hundred
    are made in it."""
    with postgres.Cluster(postgres.SHORT_LIVED, postgres.memory()).running() as running:
        yield running


@pytest.fixture(scope="module")
def own_cluster():
    """One that suites which stop or kill it have for themselves, as what they run over."""
    with postgres.Cluster().running() as running, over(running):
        yield running


@pytest.fixture
def database(cluster):
    return cluster.url(cluster.new_database())


@pytest.fixture
def world(cluster):
    with over(cluster):
        made = World()
        yield made
        made.close()


@pytest.fixture
def other(world):
    """Another server over the same database."""
    data = program.temp_dir()
    store.share(data, world.data)
    made = World(data=data)
    yield made
    made.close()
