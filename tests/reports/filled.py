"""A data directory with rows of any time and kind, written as the server would write them, and the
same events as plain objects for the recount."""

import dataclasses
import datetime
import random
import sqlite3

from support import server as program
from support.checksum import checksum

UTC = datetime.timezone.utc
EVENTS = ("click", "conversion", "server_event", "impression", "feedback", "ad_feedback", "vote")
IDS = ("advertiser", "publisher", "campaign", "product", "placement")
KEEPS = 65537  # two steps and one more: that one a report counts without keeping it (report_run.c)


def at(text):
    """Unix milliseconds of an ISO time with its offset."""
    return round(datetime.datetime.fromisoformat(text).timestamp() * 1000)


@dataclasses.dataclass
class Event:
    kind: str
    at_ms: int
    ad: dict  # of the ad itself, or of the click or impression that it belongs to
    label: str = ""  # sentiment, "poll option"
    value: str = ""
    currency: str = ""
    reasons: tuple = ()
    comment: str | None = None
    flags: int = 0  # of the impression or click, or of the one that it belongs to
    session: str = ""
    seq: int = 0


def facts(ad):
    """The columns of an ad's facts; what the ad does not say is NULL."""
    known = {("placement" if n == "placement" else f"{n}_id"): ad.get(n) for n in IDS}
    return {"bid_id": ad["bid"], "price": ad.get("price"), "currency": ad.get("currency"),
            "pricing": ad.get("pricing"), **known}


class Filled:
    def __init__(self):
        self.data = program.temp_dir()
        program.key_create(self.data, "adserver", "ads")
        self.db = sqlite3.connect(self.data / "adtally.db", isolation_level=None)
        for table in ("click", "impression"):  # which a store without flags does not have
            if not any(r[1] == "flags" for r in self.db.execute(f"PRAGMA table_info({table})")):
                self.db.execute(f"ALTER TABLE {table} ADD flags INTEGER")
        self.events, self.polls = [], {}
        self.last_seq = 0
        self.columns = {t: [(r[1], r[3]) for r in self.db.execute(f"PRAGMA table_info({t})")]
                        for t in (*EVENTS, "poll", "poll_option")}

    def close(self):
        self.db.close()

    def put(self, table, **given):
        """A row; what is NOT NULL and was not said is empty, or 0."""
        numbers = {"flags", "seq", "recorded_at_ms", "expires_at_ms", "conversion_time_ms", "timestamp",
                   "updated_at_ms", "impression_seq", "click_seq"}
        row = {n: given.get(n, (0 if n in numbers else "") if needed else None)
               for n, needed in self.columns[table] if n != "checksum"}
        row["checksum"] = checksum(table, list(row.values()))
        marks = ",".join("?" * len(row))
        self.db.execute(f"INSERT INTO {table} ({','.join(row)}) VALUES ({marks})",
                        list(row.values()))

    def record(self, event, **columns):
        """Appends an event to its table and to what the oracle counts."""
        self.last_seq += 1
        event.seq = self.last_seq
        self.put(event.kind, seq=event.seq, recorded_at_ms=event.at_ms, **columns)
        self.events.append(event)
        return event

    def impression(self, at_ms, ad, flags=0):
        return self.record(Event("impression", at_ms, ad, flags=flags), **facts(ad), flags=flags)

    def click(self, at_ms, ad, flags=0):
        return self.record(Event("click", at_ms, ad, flags=flags), **facts(ad), flags=flags,
                           click_id=f"c-{self.last_seq}")

    def convert(self, at_ms, click, value, currency):
        units, _, nanos = value.partition(".")
        sign = -1 if value.startswith("-") else 1
        return self.record(Event("conversion", at_ms, click.ad, value=value, currency=currency,
                                 flags=click.flags),
                           click_seq=click.seq, click_id=f"c-{click.seq - 1}", currency=currency,
                           conversion_value=value, value_units=int(units),
                           value_nanos=sign * int(nanos.ljust(9, "0") or 0))

    def feedback(self, at_ms, impression, label, comment=None):
        return self.record(Event("feedback", at_ms, impression.ad, label, comment=comment,
                                 flags=impression.flags),
                           impression_seq=impression.seq, bid_id=impression.ad["bid"],
                           feedback_type=label, feedback_text=comment)

    def rate(self, at_ms, ad, session, label, reasons=(), comment=None, **columns):
        texts = "[" + ",".join(f'"{r}"' for r in reasons) + "]" if reasons else None
        event = Event("ad_feedback", at_ms, ad, label, reasons=tuple(reasons), comment=comment,
                      session=session)
        return self.record(event, **facts(ad), sent_session_id=session, sentiment=label,
                           reasons=texts, comment=comment, **columns)

    def vote(self, at_ms, ad, poll, option):
        return self.record(Event("vote", at_ms, ad, f"{poll} {option}"), **facts(ad),
                           poll_id=poll, option_id=option)

    def server_event(self, at_ms):
        return self.record(Event("server_event", at_ms, {}), params="{}")

    def poll(self, poll, question, options):
        self.polls[poll] = (question, options)
        self.put("poll", poll_id=poll, question=question)
        for position, (option, text) in enumerate(options):
            self.put("poll_option", poll_id=poll, position=position, option_id=option, text=text)

    def settle(self):
        """Says in `total` what was recorded, as each batch does."""
        count = lambda t: self.db.execute(f"SELECT count(*) FROM {t}").fetchone()[0]  # noqa: E731
        values = [1, self.last_seq, *map(count, (*EVENTS, "poll", "poll_option", "api_key"))]
        marks = ",".join("?" * (len(values) + 1))
        self.db.execute(f"INSERT OR REPLACE INTO total VALUES ({marks})",
                        [*values, checksum("total", values)])
        return self

    def add_uncounted(self, count):
        """So many sequences without an event that a report counts: a row at their end alone."""
        self.last_seq += count - 1
        self.server_event(0)
        return self.settle()

    def kept(self, table):
        """A table of reports.db."""
        db = sqlite3.connect(self.data / "reports.db")
        rows = db.execute(f"SELECT * FROM {table}").fetchall()
        db.close()
        return rows

    def pad(self):
        """So many events that the next report keeps the sums of all before them."""
        self.add_uncounted(KEEPS)
        self.report()
        assert self.kept("agg_state")[0][1] >= self.last_seq - KEEPS
        return self

    def report(self, *args, expect=0):
        return program.cli("report", *args, "--data", self.data, expect=expect)


HOSTILE = ["O'Brien; DROP TABLE agg;--", 'say "hi", twice', "=1+1", "line\nfeed", "100%_", "ünï",
           "\x1b[31mred", "?1"]


def random_ad(rng, number):
    name = lambda what, count: rng.choice([f"{what}-{i}" for i in range(count)] + [None])  # noqa: E731
    ad = {"bid": f"b-{number}", "publisher": rng.choice(["pub-1", "pub-2", HOSTILE[0]]),
          "campaign": rng.choice(["cam-1", "cam-2", *HOSTILE, None]), "product": name("prd", 2),
          "placement": name("plc", 2), "advertiser": name("adv", 2)}
    if rng.random() < 0.8:
        ad["currency"] = rng.choice(["USD", "EUR", "JPY"])
        ad["pricing"] = rng.choice(["cpm", "cpc", None])
        ad["price"] = rng.choice(["1.25", "0.000000001", "7", "999999999999999.999999999", "0.1"])
    return ad


def random_events(filled, count, begin, end, seed):
    """`count` events of all kinds between two times, of everything before them."""
    rng = random.Random(seed)
    if not filled.polls:
        filled.poll(1, "Which?", [("a", "A"), ("b", "B b")])
        filled.poll(2, "Who?", [("a", "A"), ("x", "X")])
    seen = {kind: [e for e in filled.events if e.kind == kind] for kind in EVENTS}
    for _ in range(count):
        when = rng.randrange(begin, end)
        kind = rng.choice(["impression"] * 6 + ["click"] * 4 + list(EVENTS))
        ad = random_ad(rng, filled.last_seq)
        if kind == "conversion" and seen["click"]:
            value = rng.choice(["10", "0.1", "-3.5", "0.000000001", "999999999999999.999999999"])
            filled.convert(when, rng.choice(seen["click"]), value, rng.choice(["USD", "EUR"]))
        elif kind == "feedback" and seen["impression"]:
            impression = seen["impression"].pop(rng.randrange(len(seen["impression"])))
            filled.feedback(when, impression, rng.choice(["positive", "negative"]),
                            rng.choice([None, "nice", "=cmd()"]))
        elif kind == "ad_feedback":
            if seen["impression"] and rng.random() < 0.7:
                ad = rng.choice(seen["impression"][:5]).ad  # the same ones again: minds change
            filled.rate(when, ad, rng.choice(["s-1", "s-2"]),
                        rng.choice(["thumbs_up", "thumbs_down"]),
                        rng.sample(["dull", "loud", "odd"], rng.randrange(3)),
                        rng.choice([None, "hm"]))
        elif kind == "vote":
            filled.vote(when, ad, *rng.choice([(1, "a"), (1, "b"), (2, "a")]))
        elif kind == "server_event":
            filled.server_event(when)
        else:
            add = filled.click if kind == "click" else filled.impression
            seen[add.__name__].append(add(when, ad, rng.choice([0, 0, 1, 6])))
    return filled.settle()
