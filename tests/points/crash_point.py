"""A program that dies at its N-th call that changes a file or answers somebody: killer.c seen from
outside. Nothing of the program is changed or rebuilt for it."""

import mmap
import os
import pathlib
import signal
import struct
import subprocess
import tempfile

from support import server as program

KILLER = pathlib.Path(program.BINARY).parent / "tests" / "points" / "killer"
KILLED = 137
COUNTERS = struct.Struct("QQ")
TEXTS = struct.Struct("32s128s")


class CrashPoint:
    """Counts the calls of one process, and says before which one it has to die."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix="adtally-point-")
        self.file.truncate(mmap.PAGESIZE)
        self.memory = mmap.mmap(self.file.fileno(), mmap.PAGESIZE)

    def arm(self, number):
        """The calls count from here on; 0 only counts them."""
        self.memory[8:16] = bytes(8)
        self.memory[0:8] = struct.pack("Q", number)

    @property
    def count(self):
        return COUNTERS.unpack_from(self.memory)[1]

    @property
    def reached(self):
        number, count = COUNTERS.unpack_from(self.memory)
        return 0 < number <= count

    @property
    def call(self):
        """The call that never happened, and the file it was about."""
        call, path = (text.partition(b"\0")[0].decode()
                      for text in TEXTS.unpack_from(self.memory, COUNTERS.size))
        return call, os.path.basename(path)

    def command(self, command):
        return [str(KILLER), self.file.name, *command]

    def run(self, *args, stdin=b""):
        """A command of the program, to its end or its death."""
        return subprocess.run(self.command([program.BINARY, *map(str, args)]), input=stdin,
                              capture_output=True, timeout=30)

    def close(self):
        self.memory.close()
        self.file.close()


class DoomedServer(program.Server):
    """`adtally serve` under a crash point. SIGTERM is passed on to it."""

    def __init__(self, data, port=None):
        super().__init__(data, port=port)
        self.point = CrashPoint()

    def close(self):
        self.kill()
        self.point.close()

    def command(self):
        return self.point.command(super().command())

    def kill(self):
        """Of the program; the killer ends when it is gone."""
        if self.proc is not None and self.proc.returncode is None:
            self.signal(signal.SIGUSR1)
            self.wait()
