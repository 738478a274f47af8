import shutil

import pytest

from support import server as program
from support.world import World


@pytest.fixture(scope="session", autouse=True)
def there_is_a_program():
    program.require()


@pytest.fixture
def world():
    """A server of the test's own: what these commands do is done to all of its data."""
    made = World()
    yield made
    made.close()


@pytest.fixture
def scratch():
    """An empty directory for files and for data directories that are made of them."""
    path = program.temp_dir()
    yield path
    shutil.rmtree(path, ignore_errors=True)
