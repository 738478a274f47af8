"""A database whose disk is full: 503 with Retry-After, nothing half recorded, and service again
when there is room."""

import contextlib
import shutil
import time

import pytest

from outage import Traffic, over, patient_stage
from support import postgres
from support.disk import fill, small

REFUSED = 20


@pytest.fixture(scope="module")
def room():
    """Where the database is: a small file system."""
    yield from small("160m")


@pytest.fixture(scope="module")
def small_cluster(room):
    class Small(postgres.Cluster):
        """Its data, WAL included, is on the small file system."""

        def __init__(self):
            super().__init__({"max_wal_size": "32MB", "min_wal_size": "32MB"})
            self.data = room / "data"
            if self.user:
                shutil.chown(room, self.user.pw_uid, self.user.pw_gid)

    with Small().running() as running, over(running):
        yield running


def test_a_full_disk_refuses_and_nothing_is_half_there(small_cluster, room, tmp_path):
    with patient_stage(tmp_path) as stage:
        with Traffic(stage, 1) as traffic:
            traffic.wait_for_answers(200)
            end = time.monotonic() + 20
            refused = stage.refused
            while stage.refused < refused + REFUSED:
                fill(room)
                assert time.monotonic() < end, "the disk is full and nothing is refused"
                time.sleep(0.02)
            (room / "ballast").unlink()
            if not is_running(small_cluster):
                small_cluster.start()
            traffic.wait_for_answers(200)
        stage.settle()
        stage.judge()
        stage.votes_agree()


def is_running(cluster):
    """Without room for its WAL PostgreSQL ends."""
    with contextlib.suppress(OSError):
        return postgres.is_alive(cluster.postmaster())
    return False
