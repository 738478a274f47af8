"""A million events: sums are made once, and reports from them answer at once."""

import json
import time

from filled import Filled, at
from support import server as program

COUNT, CAMPAIGNS, DAYS = 1_000_000, 20, 30
SECONDS_MAX = 1.0  # of ten million; a tenth of it is asked here, with room for a busy machine


def fill(filled):
    """Rows in one statement, without checksums: reports do not look at them."""
    begin = at("2026-10-01T00:00+00:00")
    columns = [name for name, _ in filled.columns["impression"]]
    given = {"seq": "n", "recorded_at_ms": f"{begin} + n * {DAYS * 86400000 // COUNT}",
             "bid_id": "'b' || n", "publisher_id": "'p' || (n % 3)", "price": "'1.25'",
             "campaign_id": f"'c' || (n % {CAMPAIGNS})", "currency": "'EUR'", "pricing": "'cpm'",
             "route": "'view'", "flags": "0", "checksum": "n"}
    values = ", ".join(given.get(name, "NULL") for name in columns)
    filled.db.execute(f"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n <"
                      f" {COUNT}) INSERT INTO impression SELECT {values} FROM r")
    filled.last_seq = COUNT
    filled.settle()


def timed(filled, *args):
    begin = time.monotonic()
    done = program.run("report", *args, "--json", "--data", filled.data, timeout_s=300)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - begin, json.loads(done.stdout)["rows"]


def test_a_report_of_a_million_events_is_quick():
    filled = Filled()
    fill(filled)
    took = {"sums": timed(filled)[0]}
    for by in ("campaign", "campaign,day", "publisher,hour"):
        took[by], rows = timed(filled, "--by", by, "--tz", "Europe/Berlin")
        assert sum(row["impressions"] for row in rows) == COUNT
        assert took[by] < SECONDS_MAX, took
    took["money"], ((row),) = timed(filled, "money")
    assert row["spend"] == "1250.00" and took["money"] < SECONDS_MAX, took
    print(took)
    filled.close()
