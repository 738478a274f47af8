import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "crash"))  # load and oracle

from support import postgres  # noqa: E402


@pytest.fixture(scope="session")
def cluster():
    with postgres.Cluster().running() as running:
        yield running


@pytest.fixture
def database(cluster):
    return cluster.url(cluster.new_database())
