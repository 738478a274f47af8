"""Every single I/O call of the store failing in turn, and every single allocation.

The program build/tests/power/faults does the work: EIO, ENOSPC, short writes and EINTR, once and
for ever, in a batch with an op of each kind, one that removes, changes and imports rows, a
checkpoint, a probe, a close, a start and a creation."""

import os
import pathlib
import subprocess

import pytest

from support import torture

BUILD = pathlib.Path(os.environ.get("ADTALLY_BUILD", "build"))
SANITIZED = "asan" in BUILD.name or "tsan" in BUILD.name
SECONDS_MAX = 3600
SCENES = ("batch", "old rows", "checkpoint", "probe", "close", "start", "creation")
WAYS = [f"{fault} {times}" for fault in ("EIO", "ENOSPC", "short", "EINTR", "memory")
        for times in ("once", "for ever")]


def run(*arguments):
    return subprocess.run([BUILD / "tests/power/faults", *map(str, arguments)], text=True,
                          capture_output=True, timeout=SECONDS_MAX, check=False)


def counts_of(done):
    """{"batch EIO once": 35, ...} and the closing line."""
    *lines, last = done.stdout.splitlines()
    return {name: int(n) for name, n in (line.rsplit(": ", 1) for line in lines)}, last


@pytest.mark.skipif(SANITIZED, reason="too slow there: a part is below")
def test_every_io_call_and_allocation_may_fail():
    stride = torture.size(100, 1)
    done = run("--stride", stride)
    assert done.returncode == 0, done.stdout + done.stderr
    counts, last = counts_of(done)
    torture.say(f"{last} (every I/O call; of a start's allocations every {stride}th)")
    for scene in SCENES:
        missing = [way for way in WAYS if counts[f"{scene} {way}"] == 0]
        assert not missing, f"nothing failed in {scene}: {missing}"
    assert "removed=0 " not in last, "retention had nothing to take"
    assert counts["batch EIO once"] > 20 and counts["batch memory once"] > 20


@pytest.mark.skipif(not SANITIZED, reason="the whole is above")
@pytest.mark.parametrize("choice", [("batch",), ("checkpoint",), ("start", "--fault", "memory"),
                                    ("creation", "--fault", "memory")], ids=" ".join)
def test_what_is_done_about_it_touches_no_foreign_memory(choice):
    done = run("--stride", 800, "--only", *choice)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(SANITIZED, reason="too slow there")
def test_a_commit_that_fails_when_it_is_durable_does_not_come_back_unseen():
    """SQLite needs another piece of the WAL's index, fails, and the connection is opened anew."""
    done = run("--only", "connection", "--fault", "EIO")
    assert done.returncode == 0, done.stdout + done.stderr
    counts, last = counts_of(done)
    torture.say(f"{last} (a COMMIT that is durable and fails)")
    assert counts["connection EIO once"] > 40, "the index did not grow"


def test_answers_before_the_commit_are_caught():
    done = run("--only", "batch", "--weaken", "early")
    assert done.returncode == 0, f"nobody noticed:\n{done.stdout}{done.stderr}"
    assert done.stdout.endswith("failed=1\n"), done.stdout
