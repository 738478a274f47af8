"""What all suites share: tests/support is on the path, and worlds by their options."""

import contextlib
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import store  # noqa: E402  (the path comes first)
from support.world import World  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "data_file: is about the files of a store of SQLite's")


def pytest_collection_modifyitems(items):
    """What is about the data file has nothing to look at where events are in a database."""
    for item in items:
        if store.IS_POSTGRES and item.get_closest_marker("data_file"):
            item.add_marker(pytest.mark.skip(reason="about SQLite's files"))


@pytest.fixture(scope="session")
def make_world():
    """make_world("--click-ttl", "2s"): a server per set of options for the whole run."""
    made = {}

    def make(*flags):
        if flags not in made:
            made[flags] = World(flags)
        return made[flags]

    yield make
    with contextlib.ExitStack() as stack:
        for world in made.values():
            stack.callback(world.close)
