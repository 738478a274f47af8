"""What is sent: the data set with its names, and a workload's requests for one run."""

import dataclasses
import subprocess
import time

from servers import path_of

DAY_MS = 24 * 60 * 60 * 1000
POOL_KINDS = ("impression", "vote", "click")

CONVERSION = ('{"click_id":"{click}","conversion_time":"2026-02-19T18:00:00Z",'
              '"conversion_value":49.99,"currency":"USD","order_id":"ORDER",'
              '"event_type":"purchase_completed","customer_tier":"gold"}')
COLLECT = ('{"tag_id":"adv_001","event_name":"page_view","event_id":"pv-{n}",'
           '"timestamp":1771879200,"page_url":"https://shop.example.com/checkout",'
           '"params":{"step":"shipping"}}')
FEEDBACK = '{"bid_id":"{bid}","feedback_type":"positive"}'
WIDTHS = {"{click}": 36, "{bid}": 36, "{k}": 12, "{n}": 12}


def width(text):
    """Of a template's text, once its marks are filled in."""
    return len(text) + sum((size - len(mark)) * text.count(mark) for mark, size in WIDTHS.items())


def post(path, body, *headers):
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json",
             f"Content-Length: {width(body)}", *headers]
    return "\r\n".join(lines) + "\r\n\r\n" + body


@dataclasses.dataclass
class Source:
    """A part of a workload. `each`: its requests are for one use, so a run gets a share of them."""

    weight: int
    name: str
    draw: str = "random"

    def is_used_up(self):
        return self.draw != "random"


@dataclasses.dataclass
class Workload:
    """`table`: where each answer leaves a row, if in one at all. `statuses`: what is an answer."""

    name: str
    sources: list
    table: str | None
    statuses: tuple = ("200",)
    rows_each: int = 1


WORKLOADS = {workload.name: workload for workload in (
    Workload("conversion", [Source(1, "conversion")], "conversion"),
    Workload("duplicate", [Source(1, "duplicate")], "conversion", rows_each=0),
    Workload("refused", [Source(1, "refused")], "conversion", ("422",), rows_each=0),
    Workload("collect", [Source(1, "collect")], "server_event", ("204",)),
    Workload("feedback", [Source(1, "feedback", "each")], "feedback", ("204",)),
    Workload("vote", [Source(1, "vote", "lines")], "vote"),
    Workload("impression", [Source(1, "impression", "lines")], "impression"),
    Workload("click", [Source(1, "click", "lines")], "click", ("302",)),
    Workload("mix", [Source(30, "impression", "lines"), Source(15, "click", "lines"),
                     Source(25, "collect"), Source(20, "conversion"), Source(5, "duplicate"),
                     Source(3, "feedback", "each"), Source(2, "vote", "lines")],
             None, ("200", "204", "302")),
)}


class DataSet:
    """An adtally with so many clicks, conversions and impressions, and what it takes to name them.

    `shares`: into how many parts what is for one use gets divided, one for each run that needs
    some; every system gets the same ones.
    """

    def __init__(self, adtally, programs, keys, ads=0, shares=1):
        self.adtally, self.programs, self.keys = adtally, programs, keys
        self.ads, self.shares = ads, shares
        self.impressions = min(keys, 1_000_000) if ads else 0
        self.epoch_ms = int(time.time() * 1000) - DAY_MS
        self.folder = adtally.data.with_suffix(".requests")
        self.taken, self.runs = {}, 0
        self.partner_key = None

    def fill(self):
        """Seconds that it took."""
        started = time.monotonic()
        self.folder.mkdir(parents=True)
        self.partner_key = self.adtally.create_key("--class", "partner", "--partner-id", "bench")
        self.adtally.put_poll()
        subprocess.run(list(map(str, (
            self.programs / "fill", self.adtally.data, self.epoch_ms, self.keys, self.keys,
            self.impressions))), stdout=subprocess.DEVNULL, check=True)
        self.write_templates()
        return time.monotonic() - started

    def write_templates(self):
        bearer = f"Authorization: Bearer {self.partner_key}"
        path = "/v1/api/conversion"
        templates = {
            "conversion": post(path, CONVERSION.replace("ORDER", "order-run-{n}"), bearer,
                               "Idempotency-Key: run-{n}"),
            "duplicate": post(path, CONVERSION.replace("ORDER", "order-{k}"), bearer,
                              "Idempotency-Key: fill-{k}"),
            "refused": post(path, CONVERSION.replace("USD", "XXQ"), bearer,
                            "Idempotency-Key: run-{n}"),
            "collect": post("/v1/api/collect", COLLECT, bearer),
            "feedback": post("/api/v1/tracking/feedback", FEEDBACK),
        }
        for name, text in templates.items():
            (self.folder / name).write_bytes(text.encode("ascii"))

    def mint(self):
        """The requests that need a token, each for one use: the server has to run."""
        key = self.adtally.create_key("--class", "adserver")
        outs = {kind: open(self.folder / kind, "w", encoding="ascii") for kind in POOL_KINDS}
        for ad in self.adtally.mint(key, self.ads, poll_id=1):
            outs["impression"].write(path_of(ad["view_url"]) + "\n")
            outs["click"].write(path_of(ad["url"]) + "\n")
            outs["vote"].write(path_of(ad["vote_url"]) + '\t{"option_id":"0"}\n')
        for out in outs.values():
            out.close()

    def clicks_file(self):
        """The ids of its clicks, a line each, for the stores of others."""
        path = self.folder / "clicks"
        if not path.exists():
            with open(path, "wb") as out:
                subprocess.run([self.programs / "fill", str(self.epoch_ms), str(self.keys)],
                               stdout=out, check=True)
        return path

    def take(self, source, taker):
        """The next share of what is for one use: its first number, and the first too far."""
        if not source.is_used_up():
            return 0, 0
        size = (self.impressions if source.draw == "each" else self.ads) // self.shares
        taken = self.taken.get((taker, source.name), 0)
        if taken == self.shares:
            raise SystemExit(f"bench: no requests are left of {source.name}")
        self.taken[taker, source.name] = taken + 1
        return taken * size, (taken + 1) * size

    def requests(self, workload, taker):
        """The load generator's arguments for one run of a workload on a system."""
        self.runs += 1
        arguments = ["--keys", self.keys, "--epoch-ms", self.epoch_ms,
                     "--first", self.runs * 1_000_000_000]
        for source in workload.sources:
            first, end = self.take(source, taker)
            arguments += ["--request", f"{source.weight}:{source.draw}:{first}:{end}:"
                                       f"{self.folder / source.name}"]
        return list(map(str, arguments))
