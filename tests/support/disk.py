"""A small file system that can be filled, and a server on it."""

import os
import shutil
import subprocess
import time

import pytest

from support import server as program


def small(size="8m"):
    """Mounts one of this size and yields its path; a fixture yields from it."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a tmpfs")
    path = program.temp_dir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", path],
                      capture_output=True).returncode != 0:
        path.rmdir()
        pytest.skip("cannot mount a tmpfs here")
    yield path
    subprocess.run(["umount", "-l", path], check=True)
    shutil.rmtree(path, ignore_errors=True)


def fill(disk):
    """Takes all of the room that is left."""
    with open(disk / "ballast", "ab", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass


def wait_for(world, status, within_s=10):
    end = time.monotonic() + within_s
    while (answer := world.server.health()) is None or answer.status != status:
        assert time.monotonic() < end, f"/health is not {status} in time: {answer!r}"
        time.sleep(0.05)
    return answer
