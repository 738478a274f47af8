"""The parts of the benchmark: what is measured on what, and what the figures are held against."""

import dataclasses
import json
import shutil
import signal
import statistics
import subprocess

from measure import measure, medians, rounds
from peers.lua_redis import LuaRedis
from peers.plain import Floor, Nginx
from peers.postgres import PgBench
from peers.team import FastApi, Fastify, install_fastify
from servers import Adtally
from table import scale
from workloads import WORKLOADS, DataSet

CONNECTIONS = 256  # of whatever is not said to be of another number
TAKEN_TWICE = 2  # what is for one use: by its own workload, and by the mix
RESTARTS = 3
PROBE_WRITES = 1000
LOOPS_KEYS = 100_000

CONVERSION_CPU_MAX, OTHER_CPU_MAX, RATE_MIN = 1.8, 1.5, 0.5  # of nginx's
FASTAPI_CPU_MAX, FASTIFY_CPU_MAX, REDIS_CPU_MAX, REDIS_RATE_MIN = 1 / 40, 1 / 20, 1 / 4, 3
MANY_KEYS_CPU_MAX, KEY_BYTES_MAX, MEMORY_KEYS_MIN = 1.3, 24, 1_000_000
LATENCY_MAX, TAIL_P99_MS_MAX, TAIL_P999_MS_MAX = 1.5, 10, 50
LOOPS_MIN = 1.6
DISK_FACTOR, DISK_MORE = 1.2, 200
RESTART_SECONDS_MAX, RESTART_FEW, RESTART_MANY_SECONDS_MAX = 2, 12_000_000, 8


class Bench:
    """What the parts share: the options, the systems that run, and the data sets."""

    def __init__(self, root, data, options, table, stack):
        self.programs, self.binary = root / "build" / "bench", root / "build" / "adtally"
        self.data, self.options, self.table, self.stack = data, options, table, stack
        self.sets = {}
        self.nginx_runs = None

    def start(self, server):
        """Started, and stopped when all is over."""
        self.stack.callback(server.stop)
        server.start()
        return server

    def nginx(self):
        self.nginx_runs = self.nginx_runs or self.start(Nginx(self.data / "nginx"))
        return self.nginx_runs

    def data_set(self, keys):
        """Filled once; its adtally runs. The first one can do every workload."""
        if keys not in self.sets:
            ads = self.options.ads if not self.sets else 0
            adtally = Adtally(self.binary, self.data / f"keys-{keys}")
            data = DataSet(adtally, self.programs, keys, ads, TAKEN_TWICE * self.options.rounds)
            data.fill()
            self.start(adtally)
            if ads:
                data.mint()
            self.sets[keys] = data
        return self.sets[keys]

    def first(self):
        return self.data_set(self.options.keys[0])

    def run(self, servers, workload, data, connections=CONNECTIONS):
        """Rounds of one workload, and their rows of the table."""
        results = rounds(self.programs, servers, data, WORKLOADS[workload], connections,
                         self.options.seconds, self.options.rounds)
        self.table.rows(workload, data.keys, connections, results)
        return results

    def once(self, server, workload, data, connections=CONNECTIONS, seconds=None, rate=0):
        return measure(self.programs, server, data, WORKLOADS[workload], connections,
                       seconds or self.options.seconds, rate)


# -- the table ---------------------------------------------------------------------------------


def peers(bench, data):
    """Those that were asked for and can run here."""
    names, folder = bench.options.peers, bench.data
    found = []
    if "floor" in names:
        found.append(Floor(bench.programs / "floor"))
    if "redis" in names:
        found.append(LuaRedis(folder / "redis", data))
    if "pgbench" in names:
        found.append(PgBench(folder / "pgbench", data.keys))
    if "fastify" in names and install_fastify():
        found.append(Fastify(folder / "fastify", data))
    if "fastapi" in names:
        found += [FastApi(folder / f"fastapi-{statements}", data, statements)
                  for statements in ("one", "two")]
    return found


def tables(bench):
    bench.table.head()
    data = bench.first()
    conversions(bench, data)
    for workload in ("duplicate", "collect", "feedback", "vote", "impression", "click", "mix"):
        results = bench.run([bench.nginx(), data.adtally], workload, data)
        if workload in ("duplicate", "impression", "click"):
            cpu_target(bench, workload, results, OTHER_CPU_MAX)
    for keys in bench.options.keys:
        memory_target(bench, bench.data_set(keys))
    many_keys(bench)


def conversions(bench, data):
    systems = [bench.nginx(), data.adtally]
    for connections in bench.options.connections:
        if connections != CONNECTIONS:
            bench.run(systems, "conversion", data, connections)
    others = [bench.start(peer) for peer in peers(bench, data)]
    for system in [*systems, *others]:
        bench.once(system, "conversion", data, seconds=1)  # warm
    results = bench.run([*systems, *others], "conversion", data)
    for other in others:
        other.stop()
    conversion_targets(bench, results)


def cpu_target(bench, workload, results, limit):
    ratio = results["adtally"]["cpu_us"] / results[Nginx.name]["cpu_us"]
    bench.table.target(f"{workload}: CPU, of nginx's", ratio, limit)


def conversion_targets(bench, results):
    table, ours = bench.table, results["adtally"]
    cpu_target(bench, "conversion", results, CONVERSION_CPU_MAX)
    table.target("conversion: requests/s, of nginx's", ours["rate"] / results[Nginx.name]["rate"],
                 RATE_MIN, at_least=True)
    for name, limit in (("FastAPI + asyncpg, two st.", FASTAPI_CPU_MAX),
                        (Fastify.name, FASTIFY_CPU_MAX), (LuaRedis.name, REDIS_CPU_MAX)):
        if name in results:
            table.target(f"conversion: CPU, of {name}'s", ours["cpu_us"] / results[name]["cpu_us"],
                         limit)
    if LuaRedis.name in results:
        table.target(f"conversion: requests/s, of {LuaRedis.name}'s",
                     ours["rate"] / results[LuaRedis.name]["rate"], REDIS_RATE_MIN, at_least=True)


def many_keys(bench):
    """The same conversions among more existing ones."""
    base = None
    for keys in bench.options.keys if len(bench.options.keys) > 1 else ():
        data = bench.data_set(keys)
        ours = bench.run([bench.nginx(), data.adtally], "conversion", data)["adtally"]
        bench.run([bench.nginx(), data.adtally], "duplicate", data)
        if base:
            bench.table.target(f"conversion at {scale(keys)}: CPU, of that at {scale(base[0])}",
                               ours["cpu_us"] / base[1]["cpu_us"], MANY_KEYS_CPU_MAX)
        base = base or (keys, ours)


def memory_target(bench, data):
    """All of a fresh server's memory over what it remembers of the data set: click ids, two keys of
    each conversion, and bids."""
    data.adtally.stop()
    data.adtally.start()
    remembered = 3 * data.keys + data.impressions
    if data.keys < MEMORY_KEYS_MIN:
        return  # the program itself would be most of it
    bench.table.target(f"memory a key, {scale(data.keys)} clicks and conversions",
                       data.adtally.usage().pss_bytes / remembered, KEY_BYTES_MAX, " B")


# -- the other parts ---------------------------------------------------------------------------


def probe_fsync(bench):
    """p50 in us of the cheaper of append and overwrite, each 4 KiB and an fdatasync."""
    run = subprocess.run([bench.programs / "fsync_probe", bench.data / "probe", str(PROBE_WRITES)],
                         stdout=subprocess.PIPE, text=True, check=True)
    return min(float(line.split()[1]) for line in run.stdout.splitlines())


def latency(bench):
    data, options = bench.first(), bench.options
    pairs = [(probe_fsync(bench), bench.once(data.adtally, "conversion", data, 1)["p50_us"])
             for _ in range(options.rounds)]
    fdatasync, p50 = (statistics.median(values) for values in zip(*pairs))
    print(f"\none connection: p50 {p50:.0f} us, fdatasync {fdatasync:.0f} us")
    bench.table.target("one connection: p50, of fdatasync's", p50 / fdatasync, LATENCY_MAX)
    tails(bench, data)


def tails(bench, data):
    """Open loop at half of what it can do: long enough for checkpoints."""
    peak = medians([bench.once(data.adtally, "conversion", data)
                    for _ in range(bench.options.rounds)])["rate"]
    seconds = bench.options.tail_seconds
    tail = bench.once(data.adtally, "conversion", data, seconds=seconds, rate=peak / 2)
    print(f"half the peak: {tail['rate']:,.0f}/s for {seconds} s: p50 {tail['p50_us'] / 1e3:.2f}, "
          f"p99 {tail['p99_us'] / 1e3:.2f}, p99.9 {tail['p999_us'] / 1e3:.2f}, "
          f"max {tail['max_us'] / 1e3:.1f} ms")
    bench.table.target("half the peak: p99", tail["p99_us"] / 1e3, TAIL_P99_MS_MAX, " ms")
    bench.table.target("half the peak: p99.9", tail["p999_us"] / 1e3, TAIL_P999_MS_MAX, " ms")


def loops(bench):
    """Two threads for connections against one, and what a model of more cores needs to know."""
    one, two = (split_of_all(bench, threads) for threads in (1, 2))
    for workload, split in one.items():
        if workload in two:
            bench.table.target(f"{workload}: two loops, of one's requests/s",
                               two[workload].capacity() / split.capacity(), LOOPS_MIN,
                               at_least=True)
    busy, alone = one["conversion"], one["alone"]
    model = {"loop_us": busy.loops_us, "op_us": busy.rest_us,
             "batch_us": max(0, alone.rest_us - busy.rest_us), "sync_us": probe_fsync(bench)}
    print("model: bench/scaling.py "
          + " ".join(f"--{name.replace('_', '-')} {value:.1f}" for name, value in model.items()))


@dataclasses.dataclass
class Split:
    """A request's CPU, in the threads that serve connections and in the rest."""

    loops: int
    loops_us: float
    rest_us: float

    def capacity(self, cores=2):
        """Requests/s of what would run out first, were the load generator on another machine: the
        loops, the ledger's thread, or the cores."""
        return 1e6 / max(self.loops_us / self.loops, self.rest_us,
                         (self.loops_us + self.rest_us) / cores)


def split_of_all(bench, threads):
    adtally = Adtally(bench.binary, bench.data / f"loops-{threads}", "--threads", str(threads),
                      "--log-failures", "off")
    data = DataSet(adtally, bench.programs, LOOPS_KEYS)
    data.fill()
    adtally.start()
    try:
        # What is refused stays in the loops: it tells which threads they are.
        spent, _ = threads_spent(bench, adtally, data, "refused", CONNECTIONS)
        busy = sorted(spent, key=spent.get)[-threads:]
        runs = [("refused", "refused", CONNECTIONS), ("duplicate", "duplicate", CONNECTIONS),
                ("conversion", "conversion", CONNECTIONS)]
        runs += [("alone", "conversion", 1)] if threads == 1 else []
        return {name: split_of(*threads_spent(bench, adtally, data, workload, connections), busy)
                for name, workload, connections in runs}
    finally:
        adtally.stop()
        shutil.rmtree(adtally.data)
        shutil.rmtree(data.folder)


def threads_spent(bench, adtally, data, workload, connections):
    """Seconds by thread, and requests."""
    before = adtally.threads_cpu_seconds()
    requests = bench.once(adtally, workload, data, connections)["requests"]
    after = adtally.threads_cpu_seconds()
    return {thread: after[thread] - before[thread] for thread in before}, requests


def split_of(spent, requests, busy):
    loops_us = sum(spent[thread] for thread in busy) * 1e6 / requests
    return Split(len(busy), loops_us, sum(spent.values()) * 1e6 / requests - loops_us)


# Integers as 8 bytes, whatever SQLite makes of them.
OWN_BYTES = ("CASE typeof({0}) WHEN 'null' THEN 0 WHEN 'integer' THEN 8"
             " ELSE length(CAST({0} AS BLOB)) END")


def own_bytes(adtally, sequence):
    """Of a conversion: its columns' values' lengths, on average over those since `sequence`."""
    names = [row[1] for row in adtally.query("PRAGMA table_info(conversion)")]
    each = " + ".join(OWN_BYTES.format(f'"{name}"') for name in names)
    return adtally.query(f"SELECT avg({each}) FROM conversion WHERE seq > {sequence}")[0][0]


def disk(bench):
    """On a directory of its own, so that the file's growth is that of the events."""
    adtally = Adtally(bench.binary, bench.data / "disk")
    data = DataSet(adtally, bench.programs, LOOPS_KEYS)
    data.fill()
    adtally.start()
    try:
        sequence, first = adtally.rows("last_seq"), adtally.rows()
        kept, written = adtally.disk_bytes(), adtally.usage().write_bytes
        while (events := adtally.rows() - first) < bench.options.disk_events:
            bench.once(adtally, "conversion", data)
        written = (adtally.usage().write_bytes - written) / events
        own = own_bytes(adtally, sequence)
    finally:
        adtally.stop()
    kept = (adtally.disk_bytes() - kept) / events
    print(f"\n{events:,} conversions of {own:.0f} bytes: {kept:.0f} bytes each kept, "
          f"{written:.0f} written")
    limit = DISK_FACTOR * own + DISK_MORE
    bench.table.target("disk: bytes kept an event", kept, limit, " B")
    bench.table.target("disk: bytes written an event, WAL included", written, limit, " B")


def restart(bench):
    """Files in the page cache, as after a deploy or a crash of the process."""
    for keys in bench.options.keys:
        data = bench.data_set(keys)
        for by in (signal.SIGTERM, signal.SIGKILL):
            seconds = statistics.median(ready_again(data.adtally, by) for _ in range(RESTARTS))
            rows = data.adtally.rows("last_seq")
            limit = RESTART_SECONDS_MAX if rows < RESTART_FEW else RESTART_MANY_SECONDS_MAX
            bench.table.target(f"ready after {by.name}, {rows / 1e6:.1f} M events", seconds, limit,
                               " s")


def ready_again(adtally, by):
    adtally.stop(by)
    return adtally.start()


def index(bench):
    """An index entry: what it costs in memory, and a lookup with 1 M and 10 M there."""
    run = subprocess.run([bench.programs / "index_bench"], stdout=subprocess.PIPE, text=True,
                         check=True)
    figures = json.loads(run.stdout)
    print(f"\nindex: {figures['bytes_each']} bytes a bid; a lookup {figures['ns_1m']} ns at 1 M, "
          f"{figures['ns_10m']} ns at 10 M")
