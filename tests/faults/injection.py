"""Makes the N-th I/O operation or allocation of a running program fail: the other side of faults.c.

A program started with `Faults.environment` shares a small file with the test. Arming is writing
into it, so nothing else about the process changes: no tracer, no signal, no pause."""

import ctypes
import errno
import mmap
import os
import pathlib
import random
import struct
import tempfile

import pytest

BUILD = os.environ.get("ADTALLY_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build")
LIBRARY = pathlib.Path(BUILD) / "tests" / "faults" / "libfaults.so"
FOR_EVER = 2**62
LAYOUT = struct.Struct("=QqqiiqqiIQ")  # struct control of faults.c


def require():
    if not LIBRARY.exists():
        pytest.skip("needs the release build's library of faults")


def operations():
    """name -> bit, from the library itself."""
    text = (ctypes.c_char * 4096).in_dll(ctypes.CDLL(str(LIBRARY)), "fault_operations").value
    return {name: 1 << at for at, name in enumerate(text.decode().split())}


class Kind:
    """A way to fail, and the operations that can fail so."""

    def __init__(self, name, error, names, times=(1, FOR_EVER), torn=False):
        self.name, self.error, self.names = name, error, names.split()
        self.times, self.torn = times, torn


TRANSFERS = "read pread write pwrite"
WRITES = "write pwrite"
CHANGES = f"{WRITES} ftruncate rename unlink mkdir"
SYNCS = "fsync fdatasync"
# Interrupted for ever would be a process that never does anything: a few times in a row is enough.
INTERRUPTIONS = 3

FILE_KINDS = [
    Kind("EIO", errno.EIO, f"open {TRANSFERS} ftruncate rename unlink map_file"),
    Kind("ENOSPC", errno.ENOSPC, f"open {CHANGES}"),
    Kind("short", 0, TRANSFERS),
    Kind("EINTR", errno.EINTR, f"open {TRANSFERS}", times=(1, INTERRUPTIONS)),
]
MORE_FILE_KINDS = [
    Kind("torn EIO", errno.EIO, WRITES, torn=True),
    Kind("EDQUOT", errno.EDQUOT, f"open {CHANGES}"),
    Kind("EMFILE", errno.EMFILE, "open"),
    Kind("EACCES", errno.EACCES, "open unlink rename"),
]
SYNC_KINDS = [Kind("EIO of a sync", errno.EIO, SYNCS, times=(1,))]
MEMORY_KINDS = [
    Kind("ENOMEM", errno.ENOMEM, "malloc calloc realloc posix_memalign map thread"),
]
# A socket that says "would block", or gives less than there is, makes an edge when there is more:
# the kernel never does so for nothing, so neither is injected into recv.
SOCKET_KINDS = [
    Kind("EINTR", errno.EINTR, "accept epoll_wait recv send sendmsg", times=(1, INTERRUPTIONS)),
    Kind("short", 0, "send sendmsg", times=(1, INTERRUPTIONS)),
    Kind("ECONNRESET", errno.ECONNRESET, "recv send sendmsg", times=(1,)),
    Kind("EMFILE", errno.EMFILE, "accept", times=(1, INTERRUPTIONS)),
    Kind("ENOBUFS", errno.ENOBUFS, "accept", times=(1,)),
    Kind("ECONNABORTED", errno.ECONNABORTED, "accept", times=(1,)),
    Kind("ENOSPC of epoll", errno.ENOSPC, "watch", times=(1,)),
]
DESCRIPTOR_KINDS = [
    Kind("EMFILE", errno.EMFILE, "open socket eventfd epoll_create"),
    Kind("ENOMEM of epoll", errno.ENOMEM, "watch epoll_create"),
]


def points(count, kind, most, seed):
    """(number, times) of `count` operations that fail in `kind`: all, or `most` of them, spread
    evenly from a place that the seed chooses."""
    every = [(number, times) for number in range(1, count + 1) for times in kind.times]
    if len(every) <= most:
        return every
    step = len(every) / most
    begin = random.Random(f"{seed} {kind.name}").random() * step
    return [every[int(begin + at * step)] for at in range(most)]


class Faults:
    """The switch of one program, and what it did."""

    def __init__(self):
        require()
        self.file = tempfile.NamedTemporaryFile(prefix="adtally-faults-")
        self.file.write(b"\0" * LAYOUT.size)
        self.file.flush()
        self.memory = mmap.mmap(self.file.fileno(), LAYOUT.size)
        self.bits = operations()
        self.names = list(self.bits)

    @property
    def environment(self):
        return {"LD_PRELOAD": str(LIBRARY), "ADTALLY_FAULTS": self.file.name}

    def mask(self, names):
        return sum(self.bits[name] for name in names)

    def arm(self, kind, first, times=1, percent=100, seed=0):
        """The operation number `first` from now fails, and `times` of them in all; of these only
        so many percent, chosen by the seed. A `first` of 0 only counts."""
        self.disarm()
        LAYOUT.pack_into(self.memory, 0, 0, first, times, kind.error, kind.torn, 0, 0, 0,
                         percent, seed)
        struct.pack_into("=Q", self.memory, 0, self.mask(kind.names))  # last: now it counts

    def disarm(self):
        struct.pack_into("=Q", self.memory, 0, 0)

    def _field(self, number):
        return LAYOUT.unpack_from(self.memory)[number]

    @property
    def seen(self):
        return self._field(5)

    @property
    def failed(self):
        return self._field(6)

    @property
    def last(self):
        """The name of the operation that failed last."""
        return self.names[self._field(7)]
