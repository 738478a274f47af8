"""What the usual reports cost, how the sums that they are made of come to be, and what the writer
feels of it."""

import http.client
import os
import subprocess
import threading
import time

from servers import Adtally, free_port
from table import scale
from workloads import DAY_MS, DataSet

DAYS, CLICKS_IN_TEN = 30, 2  # as fill.c records them
ZONES = ("UTC", "Asia/Kolkata")
FILTER = "campaign=campaign-7"
USUAL = {"all": "", "campaign": "by=campaign", "publisher": "by=publisher", "product": "by=product",
         "placement": "by=placement", "advertiser": "by=advertiser", "day": "by=day",
         "hour": "by=hour", "campaign, day": "by=campaign,day",
         "campaign, publisher": "by=campaign,publisher", "one campaign, by day": f"by=day&{FILTER}",
         "one campaign, by publisher": f"by=publisher&{FILTER}"}
SECONDS_MAX, EVENT_US_MAX, P99_MS_MAX = 1, 10, 10
RATE, CONNECTIONS = 2000, 64  # of the writer, beside reports


class Reported(Adtally):
    """With an admin listener."""

    def __init__(self, binary, data):
        self.admin_port = free_port()
        super().__init__(binary, data, "--admin-listen", f"127.0.0.1:{self.admin_port}")
        self.admin_key = None

    def ask(self, query, kind="traffic"):
        """The answer's body; anything but a report ends the run."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=300)
        connection.request("GET", f"/v1/reports/{kind}?{query}",
                           headers={"Authorization": f"Bearer {self.admin_key}"})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"bench: GET reports?{query}: {answer.status} {body[:200]}")
        return body


class Traffic(DataSet):
    """Events over 30 days up to now, and clicks among them that conversions can be sent for."""

    def __init__(self, adtally, programs, events):
        super().__init__(adtally, programs, events * CLICKS_IN_TEN // 10)
        self.events = events
        self.epoch_ms = int(time.time() * 1000) - DAYS * DAY_MS

    def fill(self):
        self.folder.mkdir(parents=True)
        self.partner_key = self.adtally.create_key("--class", "partner", "--partner-id", "bench")
        self.adtally.admin_key = self.adtally.create_key("--class", "admin")
        subprocess.run(list(map(str, (self.programs / "fill", self.adtally.data, self.epoch_ms,
                                      self.events, DAYS))), stdout=subprocess.DEVNULL, check=True)
        self.write_templates()


def flags_of(query):
    return [f"--{part}" for part in query.split("&") if part]


def run_cold(adtally, query):
    """Wall and CPU seconds of a process of its own."""
    begin = time.monotonic()
    process = subprocess.Popen([adtally.binary, "report", *flags_of(query), "--json", "--data",
                                adtally.data], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"bench: adtally report {query} failed")
    return time.monotonic() - begin, used.ru_utime + used.ru_stime


def run_asked(adtally, query):
    """The same of GET /v1/reports: the server's CPU, in hundredths of a second."""
    before, begin = adtally.usage().cpu_seconds, time.monotonic()
    adtally.ask(query)
    return time.monotonic() - begin, adtally.usage().cpu_seconds - before


def quickest(run, adtally, query, rounds):
    return min(run(adtally, query) for _ in range(rounds))


def zoned(query, zone):
    return "&".join(part for part in (query, f"tz={zone}") if part)


def print_reports(bench, adtally, events):
    """The quickest of a few rounds: what else runs makes a report slower, never quicker."""
    print(f"\n| report over {scale(events)} events | zone | process s | CPU s | HTTP s | CPU s |\n"
          "| --- | --- | --: | --: | --: | --: |")
    worst = 0
    for name, query in USUAL.items():
        for zone in ZONES:
            cold, asked = (quickest(run, adtally, zoned(query, zone), bench.options.rounds)
                           for run in (run_cold, run_asked))
            worst = max(worst, cold[0], asked[0])
            print(f"| {name} | {zone} | {cold[0]:.2f} | {cold[1]:.2f} | {asked[0]:.2f} "
                  f"| {asked[1]:.2f} |", flush=True)
    bench.table.target(f"reports over {scale(events)} events: the slowest", worst, SECONDS_MAX,
                       " s")


class Asker:
    """Somebody who asks for one report after the other."""

    def __init__(self, adtally):
        self.adtally, self.count, self.is_done = adtally, 0, False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.is_done:
            self.adtally.ask("by=campaign,day&tz=Asia/Kolkata")
            self.count += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_done = True
        self.thread.join()


def write_beside(bench, data, name):
    result = bench.once(data.adtally, "conversion", data, CONNECTIONS, bench.options.tail_seconds,
                        RATE)
    print(f"{RATE:,} conversions/s, {name}: p50 {result['p50_us'] / 1e3:.2f}, p99 "
          f"{result['p99_us'] / 1e3:.2f}, p99.9 {result['p999_us'] / 1e3:.2f} ms", flush=True)
    return result


def part(bench):
    events = bench.options.report_events
    adtally = Reported(bench.binary, bench.data / "reports")
    data = Traffic(adtally, bench.programs, events)
    data.fill()
    wall, cpu = run_cold(adtally, "by=day")
    size = (adtally.data / "reports.db").stat().st_size
    print(f"\nsums of {scale(events)} events: {wall:.1f} s, CPU {cpu * 1e6 / events:.1f} us and "
          f"{size / events:.0f} bytes an event")
    bench.table.target("sums: CPU an event", cpu * 1e6 / events, EVENT_US_MAX, " us")
    bench.start(adtally)
    print_reports(bench, adtally, events)
    write_beside(bench, data, "no reports")
    with Asker(adtally) as asker:
        beside = write_beside(bench, data, "reports all the time")
    if not asker.count:
        raise SystemExit("bench: no report was made beside the writer")
    print(f"{asker.count} reports meanwhile")
    bench.table.target("the writer's p99 beside reports", beside["p99_us"] / 1e3, P99_MS_MAX,
                       " ms")
    adtally.stop()
