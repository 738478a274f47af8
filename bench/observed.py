"""What being watched costs: the same server with nobody looking, and with Prometheus and a dashboard,
by turns in one run."""

import contextlib
import datetime
import http.client
import statistics
import threading

from measure import measure
from servers import Adtally, free_port
from workloads import WORKLOADS, DataSet

CONNECTIONS = 256
LOSS_MAX = 1.01
SCRAPE_SECONDS, LOOK_SECONDS = 5, 5  # a dashboard asks again at most so often
KEYS = 200_000
ROUNDS_MIN = 7  # what is looked for is as small as the noise of one run


class Watcher:
    """Does what a Prometheus with a short interval and an open dashboard do, until it is left."""

    def __init__(self, port, key):
        self.port, self.key = port, key
        self.done = threading.Event()
        self.asked = self.refused = 0

    def ask(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.key}"})
            answer = connection.getresponse()
            answer.read()
        self.asked += 1
        self.refused += answer.status != 200

    def paths(self):
        """Of the dashboard's first sight: a day, by hours."""
        now = datetime.datetime.now(datetime.timezone.utc)
        hour = now.replace(minute=0, second=0, microsecond=0)
        begin, end = hour - datetime.timedelta(hours=23), hour + datetime.timedelta(hours=1)
        span = f"from={begin:%Y-%m-%dT%H:%M:%SZ}&to={end:%Y-%m-%dT%H:%M:%SZ}"
        return [f"/v1/reports/traffic?{span}&by=campaign",
                f"/v1/reports/traffic?{span}&by=campaign,hour",
                f"/v1/reports/money?{span}&by=campaign", f"/v1/reports/money?{span}",
                "/v1/reports/polls", f"/v1/reports/traffic?{span}", f"/v1/reports/reasons?{span}",
                f"/v1/reports/comments?{span}&limit=20", "/v1/keys"]

    def look(self):
        while not self.done.wait(LOOK_SECONDS):
            for path in self.paths():
                self.ask(path)

    def scrape(self):
        while not self.done.wait(SCRAPE_SECONDS):
            self.ask("/metrics")

    def follow(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", "/v1/live",
                               headers={"Authorization": f"Bearer {self.key}"})
            answer = connection.getresponse()
            while not self.done.is_set() and answer.fp.readline():
                pass

    @contextlib.contextmanager
    def watching(self):
        self.done.clear()
        threads = [threading.Thread(target=what)
                   for what in (self.look, self.scrape, self.follow)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.done.set()
            for thread in threads:
                thread.join()


def run_pairs(bench, adtally, data, watcher):
    """Rates and CPU of a request, alone and watched, one behind the other, in turned order."""
    found = {"alone": [], "watched": []}
    for number in range(max(ROUNDS_MIN, bench.options.rounds)):
        for name in sorted(found, reverse=number % 2):
            with watcher.watching() if name == "watched" else contextlib.nullcontext():
                found[name].append(measure(
                    bench.programs, adtally, data, WORKLOADS["conversion"], CONNECTIONS,
                    max(2 * LOOK_SECONDS, bench.options.seconds)))
    return found


def part(bench):
    admin_port = free_port()
    adtally = Adtally(bench.binary, bench.data / "observed", "--admin-listen",
                      f"127.0.0.1:{admin_port}")
    data = DataSet(adtally, bench.programs, KEYS)
    data.fill()
    watcher = Watcher(admin_port, adtally.create_key("--class", "admin"))
    bench.start(adtally)
    bench.once(adtally, "conversion", data, seconds=1)  # warm
    found = run_pairs(bench, adtally, data, watcher)
    adtally.stop()
    middle = {name: {field: statistics.median(run[field] for run in runs)
                     for field in ("rate", "cpu_us")} for name, runs in found.items()}
    print(f"\nwatched by /metrics every {SCRAPE_SECONDS} s and a dashboard: "
          f"{watcher.asked} answers, {watcher.refused} refused")
    for name, figures in middle.items():
        print(f"{name:>8}: {figures['rate']:,.0f} conversions/s, CPU {figures['cpu_us']:.2f} us")
    each = [alone["rate"] / watched["rate"]
            for alone, watched in zip(found["alone"], found["watched"])]
    print("pairs, rate alone over watched: " + " ".join(f"{ratio:.3f}" for ratio in each))
    bench.table.target("watched: rate alone, of that when watched",
                       middle["alone"]["rate"] / middle["watched"]["rate"], LOSS_MAX)
