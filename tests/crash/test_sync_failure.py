"""A disk that refuses to make data durable: nothing is acknowledged, and the process ends.

strace makes the system calls fail from outside, so the program under test is the real one."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from support import server as program
from support.http import Closed
from support.world import V1, World, conversion, is_duplicate, is_recorded, unique

pytestmark = [pytest.mark.data_file, pytest.mark.skipif(
    shutil.which("strace") is None or "tsan" in program.BINARY or "asan" in program.BINARY,
    reason="needs strace and a program that is not traced otherwise")]

ATTACH_S = 10


def is_traced(status):
    return "TracerPid:\t0\n" not in status.read_text(encoding="ascii")


def fail_syncs(pid):
    """From here on every fsync and fdatasync of the process fails with EIO."""
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=fsync,fdatasync",
         "-e", "inject=fsync,fdatasync:error=EIO", "-p", str(pid)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    end = time.monotonic() + ATTACH_S
    while time.monotonic() < end:
        if all(is_traced(task / "status") for task in pathlib.Path(f"/proc/{pid}/task").iterdir()):
            return tracer
        if tracer.poll() is not None:
            pytest.skip("this machine does not let strace attach: "
                        + tracer.stderr.read().decode(errors="replace"))
        time.sleep(0.02)
    raise AssertionError("strace did not attach")


def test_a_failed_sync_acknowledges_nothing_and_ends_the_process():
    world = World()
    click, key = world.click(), unique("key")
    before = unique("key")
    is_recorded(world.convert(click, idem=before))
    tracer = fail_syncs(world.server.proc.pid)
    with pytest.raises((Closed, OSError)):
        world.post(V1, conversion(click), headers=[("Idempotency-Key", key)])
    assert world.server.wait() == 1
    assert b"sync_failed" in world.server.stderr.encode()
    tracer.send_signal(signal.SIGKILL)
    tracer.wait()

    world.server.start()
    is_duplicate(world.convert(click, idem=before))
    answer = world.convert(click, idem=key)  # it may stand or not, and the retry tells
    assert answer.status == 200
    is_duplicate(world.convert(click, idem=key))
    rows = world.rows("SELECT count(*) n FROM conversion WHERE idempotency_key = ?", key)
    assert rows == [{"n": 1}]
    world.close()
