"""A server whose syncs take as long as a test says, by slow_sync.c."""

import os
import struct
import tempfile
from unittest import mock

from siege import BUILD
from support.world import World

MODULE = BUILD / "tests" / "hostile" / "slow_sync.so"


class SlowDisk:
    """`world` is its server; sync_takes(seconds) holds from the next sync on."""

    def __init__(self, *flags):
        assert MODULE.exists(), f"{MODULE} is missing: meson configure -Dtests=true, then ninja"
        self.file = tempfile.NamedTemporaryFile(prefix="adtally-delay-", buffering=0)
        self.sync_takes(0)
        environment = {"LD_PRELOAD": str(MODULE), "ADTALLY_SYNC_DELAY": self.file.name}
        sanitizers = os.environ.get("ASAN_OPTIONS", "")
        environment["ASAN_OPTIONS"] = sanitizers + ":verify_asan_link_order=0"
        with mock.patch.dict(os.environ, environment):
            self.world = World(flags)

    def sync_takes(self, seconds):
        os.pwrite(self.file.fileno(), struct.pack("=q", int(seconds * 1e6)), 0)

    def close(self):
        self.sync_takes(0)
        self.file.close()
        self.world.close()
