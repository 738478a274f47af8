import pytest

from support import postgres


@pytest.fixture(scope="session")
def cluster():
    with postgres.Cluster().running() as running:
        yield running


@pytest.fixture
def database(cluster):
    return cluster.url(cluster.new_database())
