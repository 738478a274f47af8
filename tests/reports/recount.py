"""The reports once more, from the events themselves: Fractions, zoneinfo and dicts, no SQL."""

import collections
import datetime
import itertools
import zoneinfo
from fractions import Fraction

from filled import IDS

UTC = datetime.timezone.utc
PERIODS = ("day", "hour")


def combinations():
    """Every --by there is, each set of columns in one order."""
    for count in range(len(IDS) + 1):
        for ids in itertools.combinations(IDS, count):
            yield from (ids, (*ids, "day"), ("hour", *ids))


def period(at_ms, zone, unit):
    instant = datetime.datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(zone)
    if unit == "day":
        return f"{instant:%Y-%m-%d}"
    return instant.replace(minute=0, second=0).isoformat(timespec="minutes")


def latest_alone(events):
    """Of a session's feedback on one bid the last row."""
    last = {}
    for event in events:
        if event.kind == "ad_feedback":
            last[event.ad.get("publisher"), event.session, event.ad["bid"]] = event.seq
    kept = set(last.values())
    return [e for e in events if e.kind != "ad_feedback" or e.seq in kept]


def key_of(event, by, zone):
    return tuple(period(event.at_ms, zone, name) if name in PERIODS else event.ad.get(name) or ""
                 for name in by)


def chosen(events, filters=None, begin=None, end=None, flagged=True):
    def fits(event):
        return all((event.ad.get(n) or "") in values for n, values in (filters or {}).items())

    return [e for e in latest_alone(events) if fits(e) and (begin is None or e.at_ms >= begin)
            and (end is None or e.at_ms < end) and (flagged or not e.flags)]


def ratio(dividend, divisor):
    """Six decimals, half to even; None without a divisor."""
    if not divisor:
        return None
    millionths = round(Fraction(dividend) / Fraction(divisor) * 10**6)
    sign, millionths = "-" if millionths < 0 else "", abs(millionths)
    return f"{sign}{millionths // 10**6}.{millionths % 10**6:06d}"


def exact(amount):
    """All decimals that there are, two at least."""
    picos = Fraction(amount) * 10**12
    assert picos.denominator == 1
    sign, picos = "-" if picos < 0 else "", abs(picos.numerator)
    decimals = f"{picos % 10**12:012d}"
    return f"{sign}{picos // 10**12}.{decimals[:2]}{decimals[2:].rstrip('0')}"


def in_order(part, name):
    """Names by their bytes, hours by when they began."""
    return datetime.datetime.fromisoformat(part).timestamp() if name == "hour" else part.encode()


def groups(events, by, zone):
    found = collections.defaultdict(list)
    for event in events:
        found[key_of(event, by, zone)].append(event)
    return sorted(found.items(), key=lambda item: [in_order(*p) for p in zip(item[0], by)])


def traffic(events, by=(), zone=zoneinfo.ZoneInfo("UTC")):
    counted = [e for e in events if e.kind not in ("server_event", "vote")]
    rows = []
    for key, members in groups(counted, by, zone) or ([((), [])] if not by else []):
        n = collections.Counter(e.kind for e in members)
        labels = collections.Counter(e.label for e in members)
        positive = labels["positive"] + labels["thumbs_up"]
        negative = labels["negative"] + labels["thumbs_down"]
        rows.append([*key, n["impression"], n["click"], ratio(n["click"], n["impression"]),
                     n["conversion"], ratio(n["conversion"], n["click"]), positive, negative,
                     ratio(positive, positive + negative)])
    return rows


class Money:
    def __init__(self):
        self.impressions = self.clicks = self.conversions = 0
        self.spend = self.value = Fraction(0)


def add_money(money, event):
    currency = event.ad.get("currency")
    price = Fraction(event.ad.get("price") or 0)
    if event.kind == "conversion":
        money[event.currency].value += Fraction(event.value)
        if currency:
            money[currency].conversions += 1
    elif currency and event.kind == "impression":
        money[currency].impressions += 1
        money[currency].spend += price / 1000 if event.ad.get("pricing") == "cpm" else 0
    elif currency and event.kind == "click":
        money[currency].clicks += 1
        money[currency].spend += price if event.ad.get("pricing") == "cpc" else 0


def money(events, by=(), zone=zoneinfo.ZoneInfo("UTC")):
    rows = []
    for key, members in groups(events, by, zone):
        found = collections.defaultdict(Money)
        for event in members:
            add_money(found, event)
        for currency, m in sorted(found.items()):
            rows.append([*key, currency, m.impressions, m.clicks, m.conversions, exact(m.spend),
                         exact(m.value), ratio(m.spend * 1000, m.impressions),
                         ratio(m.spend, m.clicks), ratio(m.spend, m.conversions),
                         ratio(m.value, m.spend)])
    return rows


def reasons(events, by=(), zone=zoneinfo.ZoneInfo("UTC")):
    rows = []
    for key, members in groups([e for e in events if e.kind == "ad_feedback"], by, zone):
        counts = collections.Counter(r for e in members for r in set(e.reasons))
        rows += [[*key, r, n] for r, n in sorted(counts.items(), key=lambda i: (-i[1], i[0]))]
    return rows


def polls(events, texts, by=(), zone=zoneinfo.ZoneInfo("UTC")):
    votes = [e for e in events if e.kind == "vote"]
    rows = []
    for key, members in groups(votes, by, zone) or ([((), [])] if not by else []):
        counts = collections.Counter(e.label for e in members)
        for poll, (question, options) in sorted(texts.items()):
            total = sum(counts[f"{poll} {option}"] for option, _ in options)
            for option, text in options:
                n = counts[f"{poll} {option}"]
                if n or not by:
                    rows.append([*key, poll, question, option, text, n, ratio(n, total)])
    return rows


def comments(events, limit=100):
    words = {"thumbs_up": "positive", "thumbs_down": "negative"}
    found = [e for e in events if e.comment is not None]
    rows = []
    for e in sorted(found, key=lambda e: -e.seq)[:limit]:
        when = datetime.datetime.fromtimestamp(e.at_ms / 1000, UTC)
        rows.append([when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{e.at_ms % 1000:03d}Z",
                     *(e.ad.get(n) for n in IDS), words.get(e.label, e.label), e.comment])
    return rows
