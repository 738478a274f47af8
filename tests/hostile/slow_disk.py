"""A server whose syncs take as long as a test says, by slow_sync.c."""

import os
import pathlib
import tempfile
from unittest import mock

from siege import BUILD
from support.world import World

MODULE = BUILD / "tests" / "hostile" / "slow_sync.so"


class SlowDisk:
    """`world` is its server; sync_takes(seconds) holds from the next sync on."""

    def __init__(self, *flags):
        assert MODULE.exists(), f"{MODULE} is missing: meson configure -Dtests=true, then ninja"
        self.file = tempfile.NamedTemporaryFile("w", prefix="adtally-delay-")
        self.sync_takes(0)
        environment = {"LD_PRELOAD": str(MODULE), "ADTALLY_SYNC_DELAY": self.file.name}
        sanitizers = os.environ.get("ASAN_OPTIONS", "")
        environment["ASAN_OPTIONS"] = sanitizers + ":verify_asan_link_order=0"
        with mock.patch.dict(os.environ, environment):
            self.world = World(flags)

    def sync_takes(self, seconds):
        pathlib.Path(self.file.name).write_text(str(int(seconds * 1e6)), encoding="ascii")

    def close(self):
        self.sync_takes(0)
        self.file.close()
        self.world.close()
