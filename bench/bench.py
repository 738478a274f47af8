"""adtally beside the servers that one would use instead, on this machine, in one run.

./dev bench [--quick]. A benchmark, not a test: a missed target is printed and is no error. The exit
status is 1 only when a run was no valid measurement. How to read it: bench/README.md.
"""

import argparse
import contextlib
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys

import observed
import parts
import postgres
import reports
import rows
from measure import Invalid
from table import Table, count_of

ROOT = pathlib.Path(__file__).resolve().parents[1]
DATA = ROOT / "build" / "bench-data"

def part_of_postgres(bench):
    return rows.grow(bench) if bench.options.rows else postgres.part(bench)


PARTS = {
    "table": (parts.tables, "every system and workload"),
    "latency": (parts.latency, "one connection beside fdatasync; tails at half the peak rate"),
    "loops": (parts.loops, "one thread for connections against two"),
    "disk": (parts.disk, "bytes per event, written and kept"),
    "restart": (parts.restart, "ready after SIGTERM and SIGKILL"),
    "index": (parts.index, "an index entry: bytes and nanoseconds"),
    "observed": (observed.part, "what /metrics and an open dashboard cost; not part of a run"),
    "postgres": (part_of_postgres, "two servers over one PostgreSQL, beside the store alone"),
    "reports": (reports.part, "the usual reports, and the writer beside them; not part of a run"),
}
ALONE = {"reports", "observed"}  # what runs when it is asked for
# quick, default
SIZES = {"seconds": (1, 3), "rounds": (1, 3), "tail_seconds": (5, 20),
         "disk_events": (200_000, 1_000_000), "ads": (60_000, 300_000),
         "report_events": (1_000_000, 10_000_000)}


def print_machine():
    version = subprocess.run([ROOT / "build" / "adtally", "--version"], capture_output=True,
                             text=True, check=False).stdout.strip()
    stat = subprocess.run(["stat", "-f", "-c", "%T", DATA], capture_output=True, text=True,
                          check=True).stdout.strip()
    model = next((line.split(":", 1)[1].strip()
                  for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    print(f"{version or 'adtally'}; {os.cpu_count()} cores ({model}), {memory:.0f} GB, "
          f"Linux {platform.release()}, {stat}; load before {os.getloadavg()[0]:.1f}\n")


def parse():
    options = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n\n", 1)[0])
    for name, (_, text) in PARTS.items():
        options.add_argument(f"--{name}", action="store_true", help=text)
    options.add_argument("--keys", default=None, metavar="N,...",
                         help="existing clicks and conversions: 1M,10M,50M (1M; --quick: 100k)")
    options.add_argument("--connections", default=None, metavar="N,...",
                         help="of the conversions (1,16,64,256,1024; --quick: 1,256)")
    options.add_argument("--peers", default="floor,fastapi,fastify,redis,pgbench",
                         metavar="NAME,...", help="beside nginx; none for none (all)")
    for name, (_, value) in SIZES.items():
        options.add_argument(f"--{name.replace('_', '-')}", type=int, help=f"({value})")
    options.add_argument("--clients", type=int, default=512, metavar="N",
                         help="of all servers over PostgreSQL together (512)")
    options.add_argument("--rows", type=count_of, default=None, metavar="N",
                         help="of --postgres instead: what a conversion costs it at 1M events and "
                              "at N")
    options.add_argument("--lanes", type=int, default=1, metavar="N",
                         help="connections of each of them to it: together as many as there are "
                              "processors for it (1)")
    options.add_argument("--quick", action="store_true", help="a look, in two minutes")
    given = options.parse_args()
    for name, (quick, value) in SIZES.items():
        if getattr(given, name) is None:
            setattr(given, name, quick if given.quick else value)
    keys = given.keys or ("100k" if given.quick else "1M")
    given.keys = [count_of(text) for text in keys.split(",")]
    connections = given.connections or ("1,256" if given.quick else "1,16,64,256,1024")
    given.connections = [int(text) for text in connections.split(",")]
    given.peers = [] if given.peers == "none" else given.peers.split(",")
    given.parts = [name for name in PARTS if getattr(given, name)] or [
        name for name in PARTS if name not in ALONE]
    return given


def main():
    options, table = parse(), Table()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the systems are stopped on the way out
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True)
    try:
        print_machine()
        with contextlib.ExitStack() as stack:
            bench = parts.Bench(ROOT, DATA, options, table, stack)
            for name in options.parts:
                PARTS[name][0](bench)
    except Invalid as reason:
        print(f"\nINVALID RUN: {reason}")
        return 1
    finally:
        shutil.rmtree(DATA, ignore_errors=True)
        table.print_targets()
    return 0


if __name__ == "__main__":
    sys.exit(main())
