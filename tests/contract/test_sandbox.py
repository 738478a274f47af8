"""The sandbox of a running server, as the kernel shows it; tests/unit/sandbox_test.c tries it out."""

import pathlib
import re

import pytest

from support import server as program
from support import store
from support.world import World, unique

pytestmark = pytest.mark.skipif("asan" in program.BINARY or "tsan" in program.BINARY,
                                reason="a sanitizer's build has none")


def of_threads(server, name):
    tasks = pathlib.Path(f"/proc/{server.proc.pid}/task")
    return [re.search(rf"^{name}:\t(\d+)$", (task / "status").read_text(), re.M)[1]
            for task in tasks.iterdir()]


def test_every_thread_is_filtered(own_server):
    server = own_server("--threads", "3")
    filters = of_threads(server, "Seccomp")
    assert len(filters) >= 6 and set(filters) == {"2"}
    assert set(of_threads(server, "NoNewPrivs")) == {"1"}
    assert "sandbox_incomplete" not in server.stderr


def test_it_can_be_switched_off(own_server):
    server = own_server("--sandbox", "off")
    assert set(of_threads(server, "Seccomp")) == {"0"}
    assert set(of_threads(server, "NoNewPrivs")) == {"0"}
    assert server.health().status == 200


def test_what_writes_files_later_still_can():
    """Keys are made, rotated and revoked, polls put, and the server ends in good order."""
    world = World()
    program.partner_key(world.data, "other", "other")
    program.cli("token-key", "rotate", "--data", world.data)
    poll = b'{"sponsored_poll_id":7,"question":"?","options":[{"id":"0","text":"a"},' \
           b'{"id":"1","text":"b"}]}'
    program.cli("poll", "put", "-", "--data", world.data, stdin=poll)
    program.cli("key", "revoke", program.key_id(world.data, "other"), "--data", world.data)
    assert world.convert(world.click(), idem=unique("key")).status == 200
    world.server.stop()
    assert not (world.data / "admin.sock").exists()
    assert store.IS_POSTGRES or (world.data / "adtally.db-wal").stat().st_size == 0
    world.close()
