"""A wall clock that a test sets, by libfaketime; the monotonic clock stays the real one."""

import glob
import tempfile

LIBRARIES = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")

# libfaketime reads its file again and again, which the sandbox forbids.
UNCONFINED = ["--sandbox", "off"]


class Clock:
    """The wall clock of a server; its monotonic clock stays the real one."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile("w", prefix="adtally-clock-")
        self.set(0)

    @property
    def environment(self):
        return {"LD_PRELOAD": LIBRARIES[0], "FAKETIME_TIMESTAMP_FILE": self.file.name,
                "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}

    def set(self, ahead_s):
        self.file.seek(0)
        self.file.write(f"{ahead_s:+d}\n")
        self.file.truncate()
        self.file.flush()
