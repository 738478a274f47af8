"""A scratch directory in memory where there is one: a run writes hundreds of thousands of files."""

import os
import shutil
import tempfile

import pytest


@pytest.fixture
def scratch():
    memory = "/dev/shm"
    path = tempfile.mkdtemp(prefix="adtally-flip-", dir=memory if os.path.isdir(memory) else None)
    yield path
    shutil.rmtree(path, ignore_errors=True)
