"""What all suites share: tests/support is on the path, and worlds by their options."""

import contextlib
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support.world import World  # noqa: E402  (the path comes first)


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
