import pytest

from base import Sinks, needs_program
from support.receiver import Receiver
from support.world import World


@pytest.fixture(scope="session", autouse=True)
def there_is_a_program():
    needs_program()


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()


@pytest.fixture
def sinks(world):
    """adtally-sinks for the world's data; written and started by the test."""
    made = Sinks(world.data)
    yield made
    made.close()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()
