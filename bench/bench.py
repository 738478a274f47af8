"""Side by side on this machine: nginx `return 204`, and durable, deduplicated conversions.

./dev bench [--quick]. A benchmark, not a test: it prints one table, targets beside figures, and exits
0 whatever the figures are; 1 when a run was no valid measurement (refusals, or rows that do not add
up). How to read it: bench/README.md.
"""

import argparse
import json
import math
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time

from servers import Adtally, Nginx, path_of

ROOT = pathlib.Path(__file__).resolve().parents[1]
BINARY = ROOT / "build" / "adtally"
PROBE = ROOT / "build" / "bench" / "fsync_probe"
DATA = ROOT / "build" / "bench-data"
INDEX_BENCH = ROOT / "build" / "bench" / "index_bench"
SCRIPT = ROOT / "bench" / "conversions.lua"
REQUESTS_SCRIPT = ROOT / "bench" / "requests.lua"

CONNECTIONS = 256
WRK_THREADS = 2
WARM_UP_SECONDS = 2
SETTLE_SECONDS = 0.5
PROBE_WRITES = 1000
RESTARTS = 3

CPU_RATIO_MAX = 3.0
RATE_RATIO_MIN = 0.35
P50_RATIO_MAX = 3.0
PUBLISHER_CPU_RATIO_MAX = 2.5
LOOKUP_RATIO_MAX = 1.5
BID_BYTES_MAX = 40
RESTART_SECONDS_MAX = 1.0


class Load:
    """wrk with the conversions of one adtally; the same requests go to either server."""

    def __init__(self, adtally, clicks_count):
        partner = adtally.create_key("--class", "partner", "--partner-id", "bench")
        adserver = adtally.create_key("--class", "adserver")
        adtally.start()
        ads = adtally.mint(adserver, clicks_count)
        clicks = adtally.click([path_of(ad["url"]) for ad in ads])
        self.clicks_file = adtally.data.with_suffix(".clicks")
        self.clicks_file.write_text("".join(f"{click}\n" for click in clicks))
        self.partner = partner
        self.runs_count = 0

    def run(self, server, seconds, connections=CONNECTIONS):
        self.runs_count += 1
        return run_wrk(server, seconds, connections, SCRIPT, "/v1/api/conversion",
                       f"run{self.runs_count:04}", self.clicks_file, self.partner)


def run_wrk(server, seconds, connections, script, path, *arguments):
    """One run of wrk with one of the scripts here, and the server's CPU time for it."""
    cpu_before = server.cpu_seconds()
    run = subprocess.run(
        ["wrk", f"-t{min(WRK_THREADS, connections)}", f"-c{connections}", f"-d{seconds}s",
         "-s", script, f"http://127.0.0.1:{server.port}{path}", "--", *map(str, arguments)],
        stdout=subprocess.PIPE, text=True, check=True)
    cpu_us = (server.cpu_seconds() - cpu_before) * 1e6
    line = next(line for line in run.stdout.splitlines() if line.startswith("RESULT "))
    result = json.loads(line.removeprefix("RESULT "))
    result["rate"] = result["requests"] / (result["duration_us"] / 1e6)
    result["cpu_us"] = cpu_us / max(1, result["requests"])
    return result


def median(results, field):
    return statistics.median(result[field] for result in results)


def total(results, *fields):
    return sum(result[field] for result in results for field in fields)


class Table:
    def __init__(self):
        self.is_valid = True

    def head(self, *columns):
        print()
        self.row(*columns)
        print("-" * 92)

    def row(self, name, left="", right="", ratio="", target=""):
        print(f"{name:<38} {left:>15} {right:>15} {ratio:>7}   {target}")

    def compare(self, name, left, right, unit, target, ok):
        ratio = right / left if left else math.inf
        verdict = "met" if ok(ratio) else "MISSED"
        self.row(name, unit(left), unit(right), f"{ratio:.2f}", f"{target}: {verdict}")

    def must(self, name, left, right, target, is_ok):
        self.is_valid &= is_ok
        self.row(name, left, right, "", target if is_ok else f"{target}: INVALID RUN")


def whole(value):
    return f"{value:,.0f}"


def tenths(value):
    return f"{value:,.1f}"


def measure_rate(table, options):
    nginx, adtally = Nginx(DATA / "nginx"), Adtally(BINARY, DATA / "rate")
    try:
        load = Load(adtally, options.clicks)
        nginx.start()
        warm_up = load.run(adtally, WARM_UP_SECONDS)
        load.run(nginx, WARM_UP_SECONDS)
        rounds = [(load.run(nginx, options.seconds), load.run(adtally, options.seconds))
                  for _ in range(options.rounds)]
        time.sleep(SETTLE_SECONDS)
        rows = adtally.count("conversion")
    finally:
        nginx.stop()
        adtally.stop()
    left, right = zip(*rounds)
    print_rate(table, left, right)
    print_rows(table, rows, [warm_up, *right])


def print_rate(table, left, right):
    table.head(f"{CONNECTIONS} connections", "nginx", "adtally", "ratio", "target")
    table.compare("requests/s", median(left, "rate"), median(right, "rate"), whole,
                  f">= {RATE_RATIO_MIN}", lambda ratio: ratio >= RATE_RATIO_MIN)
    table.compare("server CPU, us per request", median(left, "cpu_us"), median(right, "cpu_us"),
                  tenths, f"<= {CPU_RATIO_MAX}", lambda ratio: ratio <= CPU_RATIO_MAX)
    for name in ("p50", "p99"):
        table.row(f"{name}, ms", tenths(median(left, f"{name}_us") / 1e3),
                  tenths(median(right, f"{name}_us") / 1e3))
    failures = [total(results, "not_2xx", "broken", "timeouts") for results in (left, right)]
    table.must("not 2xx, broken, timed out", *map(whole, failures), "0", sum(failures) == 0)


def print_rows(table, rows, results):
    """wrk leaves with up to one request a connection under way: recorded, but not seen by wrk."""
    acknowledged = total(results, "requests") - total(results, "not_2xx")
    under_way_max = CONNECTIONS * len(results)
    table.row("conversions acknowledged", "", whole(acknowledged))
    table.must("rows in the database", "", whole(rows), f"0 .. {under_way_max} more",
               0 <= rows - acknowledged <= under_way_max)


# The publisher's side: what a request of each kind is, from an ad that no other request names.
PUBLISHER = {
    "impression": lambda ad: path_of(ad["view_url"]),
    "feedback": lambda ad: FEEDBACK_LINE % ad["bidId"],
    "vote": lambda ad: path_of(ad["vote_url"]) + '\t{"option_id":"0"}',
}
FEEDBACK_LINE = '/api/v1/tracking/feedback\t{"bid_id":"%s","feedback_type":"positive"}'


def write_requests(adtally, ads_count):
    """A file of requests for each kind; their paths."""
    adtally.put_poll()
    key = adtally.create_key("--class", "adserver")
    adtally.start()
    files = {kind: adtally.data.with_suffix(f".{kind}") for kind in PUBLISHER}
    outs = {kind: open(path, "w", encoding="ascii") for kind, path in files.items()}
    for ad in adtally.mint(key, ads_count, poll_id=1):
        for kind, line_of in PUBLISHER.items():
            outs[kind].write(line_of(ad) + "\n")
    for out in outs.values():
        out.close()
    return files


def measure_publisher(table, options):
    """Impressions first, and for longer: feedback needs one of its own."""
    nginx, adtally = Nginx(DATA / "nginx-publisher"), Adtally(BINARY, DATA / "publisher")
    seconds = {"impression": 2, "feedback": 1, "vote": 1}
    try:
        files = write_requests(adtally, options.ads)
        nginx.start()
        table.head(f"{CONNECTIONS} connections, CPU us per request", "nginx", "adtally", "ratio",
                   "target")
        for kind, path in files.items():
            left, right = (run_wrk(server, seconds[kind], CONNECTIONS, REQUESTS_SCRIPT, "/", path,
                                   WRK_THREADS) for server in (nginx, adtally))
            table.compare(kind, left["cpu_us"], right["cpu_us"], tenths,
                          f"<= {PUBLISHER_CPU_RATIO_MAX}",
                          lambda ratio: ratio <= PUBLISHER_CPU_RATIO_MAX)
            failures = total([right], "not_2xx", "broken", "timeouts", "repeated")
            table.must(f"{kind}: not 2xx, broken, repeated", "", whole(failures), "0",
                       failures == 0)
            rows, requests = adtally.count(kind), right["requests"]
            table.must(f"{kind}: rows in the database", "", whole(rows),
                       f"{requests} .. {CONNECTIONS} more", 0 <= rows - requests <= CONNECTIONS)
    finally:
        nginx.stop()
        adtally.stop()


def measure_index(table):
    """What a bid costs in memory, and a lookup of one: a batch at a time, as the store does."""
    run = subprocess.run([INDEX_BENCH], stdout=subprocess.PIPE, text=True, check=True)
    figures = json.loads(run.stdout)
    table.head("bids in memory", "1 M", "10 M", "ratio", "target")
    table.compare("lookup, ns", figures["ns_1m"], figures["ns_10m"], whole,
                  f"<= {LOOKUP_RATIO_MAX}", lambda ratio: ratio <= LOOKUP_RATIO_MAX)
    verdict = "met" if figures["bytes_each"] <= BID_BYTES_MAX else "MISSED"
    table.row("bytes each", "", tenths(figures["bytes_each"]), "", f"<= {BID_BYTES_MAX}: {verdict}")


def probe_fsync():
    """p50 and p99 in us of the cheaper of append and overwrite, each 4 KiB and an fdatasync."""
    run = subprocess.run([PROBE, DATA / "probe", str(PROBE_WRITES)], stdout=subprocess.PIPE,
                         text=True, check=True)
    ways = [tuple(map(float, line.split()[1:])) for line in run.stdout.splitlines()]
    p50, p99 = min(ways)
    return {"p50_us": p50, "p99_us": p99}


def measure_latency(table, options):
    adtally = Adtally(BINARY, DATA / "latency")
    try:
        load = Load(adtally, min(options.clicks, 1000))
        load.run(adtally, WARM_UP_SECONDS, 1)
        rounds = [(probe_fsync(), load.run(adtally, max(1, options.seconds // 3), 1))
                  for _ in range(options.rounds)]
    finally:
        adtally.stop()
    left, right = zip(*rounds)
    table.head("one connection, one at a time", "fdatasync", "adtally", "ratio", "target")
    table.compare("p50, us", median(left, "p50_us"), median(right, "p50_us"), whole,
                  f"<= {P50_RATIO_MAX}", lambda ratio: ratio <= P50_RATIO_MAX)
    table.row("p99, us", whole(median(left, "p99_us")), whole(median(right, "p99_us")))
    failures = total(right, "not_2xx", "broken", "timeouts")
    table.must("not 2xx, broken, timed out", "", whole(failures), "0", failures == 0)


def fill(adtally, load, events_min):
    """Real conversions until the database has so many events; how many it has then."""
    rate = 10_000
    while (rows := adtally.count("conversion")) < events_min:
        seconds = min(10, max(1, math.ceil((events_min - rows) / rate)))
        rate = max(1, load.run(adtally, seconds)["rate"])
    return rows


def measure_restart(table, options):
    adtally = Adtally(BINARY, DATA / "restart")
    try:
        load = Load(adtally, options.clicks)
        rows = fill(adtally, load, options.events)
        table.head(f"restart, {rows + options.clicks:,} events", "", "adtally", "", "target")
        for by in (signal.SIGTERM, signal.SIGKILL):
            seconds = statistics.median(restart(adtally, by) for _ in range(RESTARTS))
            verdict = "met" if seconds < RESTART_SECONDS_MAX else "MISSED"
            table.row(f"ready after {by.name}, s", "", f"{seconds:.2f}", "",
                      f"< {RESTART_SECONDS_MAX}: {verdict}")
    finally:
        adtally.stop()


def restart(adtally, by):
    adtally.stop(by)
    return adtally.start()


def print_machine():
    version = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=False)
    stat = subprocess.run(["stat", "-f", "-c", "%T", DATA], capture_output=True, text=True,
                          check=True)
    print(f"{version.stdout.strip() or 'adtally'}; {os.cpu_count()} cores, "
          f"Linux {platform.release()}, {stat.stdout.strip()}; medians")


def parse():
    options = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n\n")[0])
    options.add_argument("--seconds", type=int, default=10, help="a run (10)")
    options.add_argument("--rounds", type=int, default=3, help="of each server, in turn (3)")
    options.add_argument("--clicks", type=int, default=10_000, help="to convert (10000)")
    options.add_argument("--events", type=int, default=1_000_000, help="at restart (1000000)")
    options.add_argument("--ads", type=int, default=250_000,
                         help="to view, rate and vote on (250000)")
    options.add_argument("--quick", action="store_true", help="a look: 2 s, 1 round, 100000 events")
    given = options.parse_args()
    if given.quick:
        given.seconds, given.rounds, given.clicks, given.events = 2, 1, 1000, 100_000
    return given


def main():
    options, table = parse(), Table()
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True)
    try:
        print_machine()
        measure_rate(table, options)
        measure_publisher(table, options)
        measure_index(table)
        measure_latency(table, options)
        measure_restart(table, options)
    finally:
        shutil.rmtree(DATA, ignore_errors=True)
    return 0 if table.is_valid else 1


if __name__ == "__main__":
    sys.exit(main())
