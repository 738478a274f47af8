"""Values that a client may send and a database may not take: both engines give the same answers and keep
the same texts, and none of them is ever a 5xx."""

import contextlib
import random
import time as now

import pytest

from outage import over
from support import publisher, store
from support import server as program
from support.publisher import (feedback, is_gif, ping_target, poll_of, publisher_key, rate_bytes,
                               rating, send_feedback, show)
from support.world import ABSENT, API, COLLECT, V1, World, conversion, dump, event, table

ENGINES = ("sqlite", "postgres")
ID, NAME, URL = 256, 128, 8192
_rng = random.Random(4711)


def noise(size, alphabet="0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/"):
    """A text that no index entry gets smaller."""
    return "".join(_rng.choice(alphabet) for _ in range(size))


def wide(size):
    """The same in characters of four bytes."""
    return "".join(chr(_rng.randrange(0x10000, 0x10FFFF)) for _ in range(size // 4))


@contextlib.contextmanager
def asked(engine, cluster):
    """Rows, and commands, are of this engine."""
    if engine == "postgres":
        with over(cluster):
            yield
        return
    before, store.IS_POSTGRES = store.IS_POSTGRES, False
    try:
        yield
    finally:
        store.IS_POSTGRES = before


class Both:
    """A server over each engine, to which the same is sent."""

    def __init__(self, cluster):
        self.cluster, self.worlds = cluster, {}
        for engine in ENGINES:
            with asked(engine, cluster):
                self.worlds[engine] = World()
                publisher_key(self.worlds[engine].data)

    def each(self, work):
        """What `work` of each world gives, which has to be the same."""
        found = []
        for engine in ENGINES:
            with asked(engine, self.cluster):
                found.append(work(self.worlds[engine]))
        assert found[0] == found[1], found
        return found[0]

    def close(self):
        for engine in ENGINES:
            with asked(engine, self.cluster):
                self.worlds[engine].close()


@pytest.fixture(scope="module")
def both(cluster):
    made = Both(cluster)
    yield made
    made.close()


TEXTS = {
    "U+0000 escaped": b'"a\\u0000b"',
    "U+0000 escaped in the upper half": b'"\\ud800\\u0000"',
    "U+0000 as a byte": b'"a\0b"',
    "a high surrogate alone": b'"\\ud800"',
    "a low surrogate alone": b'"\\udfff x"',
    "a byte that is not UTF-8": b'"a\xffb"',
    "an overlong slash": b'"\xc0\xaf"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "past U+10FFFF": b'"\xf4\x90\x80\x80"',
    "the last character": b'"\xf4\x8f\xbf\xbf"',
    "noncharacters": b'"\xef\xbf\xbe\xef\xbf\xbf"',
    "U+0001 escaped": b'"\\u0001\\u001f\\u007f"',
    "a byte order mark": b'"\xef\xbb\xbfx"',
    "NULL, as arrays write it": b'"NULL"',
    "a quoted NULL": b'"\\"NULL\\""',
    "an array": b'"{a,NULL,\\"b\\"}"',
    "quotes and backslashes": b'"\\"\\\\\\"\\\\"',
    "a bytea": b'"\\\\x00ff"',
    "a placeholder": b'"$1 ? %s :x"',
    "the end of a statement": b"\"'; DROP TABLE click; --\"",
    "white space around": b'" \\t a \\n "',
    "right to left": "\"\u202eabc\u0627\"".encode(),
}


def said(answer):
    """What is to be the same; receipts are of each server."""
    assert answer.status < 500, answer
    return answer.status, answer.body, answer.header("retry-after")


def kept(world, name, *columns):
    """The last row, as far as it is no engine's."""
    row = world.last(name)
    return [row[column] for column in columns]


@table("text", TEXTS)
def test_a_text_in_every_place_of_an_event(both, text):
    """Alone and among others: what is refused of it refuses no other."""
    body = (b'{"event_name":%b,"tag_id":%b,"event_id":%b,"page_url":%b,"session_id":%b,'
            b'"consent":{"a":%b},"params":{"b":%b},"c":%b}' % ((text,) * 8))

    def send(world):
        before = world.counts()["server_event"]
        good = [world.post_bytes(COLLECT, event()) for _ in range(3)]
        answers = world.pipeline([good[0], world.post_bytes(COLLECT, body), good[1],
                                  world.post_bytes(COLLECT, body), good[2]])
        assert [answers[i].status for i in (0, 2, 4)] == [204] * 3
        assert (answers[1].receipt, answers[1].status) == (answers[3].receipt, answers[3].status)
        count = world.counts()["server_event"] - before
        assert count == 3 + (answers[1].status == 204)
        rows = world.rows("SELECT event_name, tag_id, event_id, page_url, session_id, consent, params "
                          "FROM server_event WHERE event_id IS NOT NULL")
        return said(answers[1]), sorted(map(repr, rows))

    both.each(send)


@table("text", TEXTS)
def test_a_text_in_every_place_of_a_conversion(both, text):
    def send(world):
        body = dump(conversion(world.click(bid_id="b"), tag_id="t"))[:-1] + (
            b',"event_type":%b,"order_id":%b,"event_id":%b,"page_url":%b,"session_id":%b,"x":%b}'
            % ((text,) * 6))
        first, again = (world.post(V1, body) for _ in range(2))
        assert first.receipt == again.receipt
        rows = world.rows("SELECT event_type, order_id, event_id, page_url, session_id, params "
                          "FROM conversion")
        return said(first), said(again), sorted(map(repr, rows))

    both.each(send)


@table("text", TEXTS)
def test_a_text_in_every_place_of_an_ad(both, text):
    """Minted, shown, clicked, rated, and given feedback on."""
    def send(world):
        ad = (b'{"ads":[{"publisher_id":"pub-1","landing_url":"https://shop.example/",'
              b'"bid_id":%b,"user_id":%b,"session_id":%b,"campaign_id":%b,"placement":%b}]}'
              % ((text,) * 5))
        minted = world.post("/v1/mint", ad, world.adserver)
        if minted.status != 200:
            return said(minted)
        ad = minted.json["ads"][0]
        is_gif(world.get(ping_target(ad)))
        click = world.follow(ad["url"])
        told = b'{"bid_id":%b,"feedback_type":"positive","feedback_text":%b}' % (text, text)
        rated = (dump(rating(ad, sessionId=ABSENT))[:-1] +
                 b',"sessionId":%b,"comment":%b,"reasons":[%b],"device":{"a":%b}}' % ((text,) * 4))
        answers = [said(send_feedback(world, told))]
        for _ in range(2):
            answer = world.send(rate_bytes(world, rated))
            assert answer.status == 200, answer
        return (click.status, answers,
                kept(world, "impression", "bid_id", "user_id", "campaign_id", "placement"),
                kept(world, "click", "bid_id", "user_id", "campaign_id", "placement"),
                kept(world, "feedback", "bid_id", "feedback_text"),
                kept(world, "ad_feedback", "sent_session_id", "comment", "reasons", "device"),
                world.counts())

    both.each(send)


@table("text", TEXTS)
def test_a_text_in_every_place_of_a_poll(both, text):
    number = poll_of()["sponsored_poll_id"]
    poll = (b'{"sponsored_poll_id":%d,"question":%b,"options":[{"id":%b,"text":%b},'
            b'{"id":"other","text":"b"}]}' % (number, text, text, text))

    def send(world):
        done = program.run("poll", "put", "-", "--data", world.data, stdin=poll)
        if done.returncode:
            return done.returncode
        ad = world.mint(poll_id=number)
        answer = world.post(world.target(ad["vote_url"]), b'{"option_id":%b}' % text, ABSENT)
        return said(answer), kept(world, "vote", "option_id")

    both.each(send)


HEADERS = {
    "a user agent that is not UTF-8": ("User-Agent", "a\xffb"),
    "a referrer that is not UTF-8": ("Referer", "http://h\xff.example/\xfe"),
    "a referrer without a host": ("Referer", "http:///"),
    "an origin that is not UTF-8": ("Origin", "https://\xc0\xaf"),
    "an origin of the longest name": ("Origin", "https://" + ".".join(["a" * 63] * 3 + ["b" * 61])),
    "an address that is none": ("X-Forwarded-For", "\xff, 1.2.3.4"),
    "a key of every visible character": ("Idempotency-Key", "".join(map(chr, range(0x23, 0x7F)))),
    "the longest key": ("Idempotency-Key", noise(255)),
    "a key that is not ASCII": ("Idempotency-Key", "a\xff"),
}


@table("header", {name: (row,) for name, row in HEADERS.items()})
def test_a_header(both, header):
    def send(world):
        ad = world.mint(bid_id=ABSENT)
        shown = world.get(ping_target(ad), [header])
        clicked = world.follow(ad["url"], [header])
        told = world.post(COLLECT, event(), headers=[header])
        body = conversion(world.click(), tag_id="t")
        bought = [world.post(API, body, headers=[header]) for _ in range(2)]
        assert bought[0].receipt == bought[1].receipt or "Key" not in header[0]
        return (shown.status, clicked.status, said(told), said(bought[0]),
                kept(world, "impression", "user_agent"), kept(world, "click", "user_agent"),
                kept(world, "server_event", "tag_id"),
                kept(world, "conversion", "idempotency_key"))

    both.each(send)


NUMBERS = ["0", "-0", "1e3", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
           "99999999999", "100000000000", "-99999999999", "1e400", "1e-400", "999999999999999",
           "999999999999999.999999999", "-999999999999999.9999999999", "1000000000000000",
           "0." + "0" * 23 + "1", "0." + "0" * 24 + "1", "1" * 41, "1E+14", "NaN", "Infinity"]


@table("number", {text: text.encode() for text in NUMBERS})
def test_a_number(both, number):
    def send(world):
        collected = world.post(COLLECT, b'{"event_name":"n","timestamp":%b}' % number)
        viewed = world.post(COLLECT, b'{"event_name":"n","view_time_ms":%b}' % number)
        body = dump(conversion(world.click(), conversion_value=ABSENT))[:-1]
        bought = world.post(V1, body + b',"conversion_value":%b}' % number)
        polled = program.run("poll", "put", "-", "--data", world.data, stdin=(
            b'{"sponsored_poll_id":%b,"question":"q","options":[{"id":"a","text":"a"},'
            b'{"id":"b","text":"b"}]}' % number))
        rows = world.rows("SELECT conversion_value, value_units, value_nanos FROM conversion "
                          "WHERE conversion_value <> '49.99'")
        times = world.rows('SELECT "timestamp", view_time_ms FROM server_event WHERE '
                           '"timestamp" < 1000000000 OR "timestamp" > 90000000000 '
                           'OR view_time_ms IS NOT NULL')
        times = [(t["view_time_ms"] is None and t["timestamp"], t["view_time_ms"]) for t in times]
        return (said(collected), said(viewed), said(bought), polled.returncode,
                sorted(map(repr, rows)), sorted(map(repr, times)))

    both.each(send)


TIMES = ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999999-23:59",
         "2016-12-31T23:59:60Z", "9999-12-31T23:59:60Z", "1582-10-10T00:00:00", "2024-02-29 12:00",
         "2023-02-29T12:00Z", "10000-01-01T00:00:00Z", "-0001-01-01T00:00:00Z", "infinity", "now"]


@table("time", {text: text for text in TIMES})
def test_a_time(both, time):
    def send(world):
        answer = world.convert(world.click(), conversion_time=time)
        return said(answer), sorted(map(repr, world.rows(
            "SELECT conversion_time, conversion_time_ms FROM conversion")))

    both.each(send)


@table("make", {"of one byte each": noise, "of four bytes each": wide})
def test_the_longest_of_everything_fits_its_index_and_counts_once(both, make):
    """An entry of an index of PostgreSQL's has some 2,700 bytes, and these do not get smaller."""
    text = {name: make(ID) for name in ("bid", "tag", "event", "order", "session", "click", "any")}
    kind, key, url = make(NAME), noise(255), "https://h.example/" + noise(URL - 18)

    def send(world):
        partner = program.partner_key(world.data, noise_of(ID), "longest")
        ad = show(world, bid_id=text["bid"], user_id=text["any"], session_id=text["session"])
        world.follow(ad["url"])
        click = dict(part.split("=", 1) for part in
                     world.follow(ad["url"]).header("location").split("?")[1].split("&"))
        answers = []
        for _ in range(2):
            fields = dict(event_type=kind, order_id=text["order"], event_id=text["event"],
                          page_url=url)
            answers += [
                world.post(COLLECT, event(event_name=kind, tag_id=text["tag"], bid_id=text["bid"],
                                          event_id=text["event"], page_url=url), partner),
                world.convert(click["thrad_click_id"], idem=key, key=partner, **fields),
                world.convert(text["click"], idem=key, key=partner, **fields),
                send_feedback(world, feedback(text["bid"], feedback_text=make(1000))),
                world.send(rate_bytes(world, rating(ad, sessionId=text["session"])))]
        assert [a.status for a in answers] == 2 * [204, 200, 404, 204, 200], answers
        assert [a.receipt for a in answers[:2]] == [a.receipt for a in answers[5:7]]
        return world.counts()

    noise_of = {ID: noise(ID)}.get
    both.each(send)


def test_one_byte_more_is_refused(both):
    def send(world):
        long = noise(ID + 1, "x")
        return [said(world.post(COLLECT, event(event_id=long))),
                said(world.post(COLLECT, event(tag_id=long))),
                said(world.convert(long)), said(world.convert("c", order_id=long)),
                said(world.convert("c", idem=long[1:]))]

    assert {status for status, _, _ in both.each(send)} <= {400, 422}


@table("depth", {str(depth): depth for depth in (31, 32, 33, 1000)})
def test_an_object_in_an_object(both, depth):
    def send(world):
        deep = b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)
        collected = world.post(COLLECT, b'{"event_name":"n","params":%b}' % deep)
        rated = dump(rating(show(world)))[:-1] + b',"device":%b}' % deep
        return said(collected), world.send(rate_bytes(world, rated)).status

    both.each(send)


def test_a_body_that_is_as_large_as_it_may_be(both):
    """Many of them in one batch: what is sent to a database has a size, too."""
    def send(world):
        body = b'{"event_name":"n","event_id":"%d","params":{"a":"%b"}}'
        room = 64 * 1024 - len(body)
        bodies = [world.post_bytes(COLLECT, body % (i, b"\\u0001" * (room // 6 - 2)))
                  for i in range(40)]
        with world.records(server_event=40):
            return [answer.status for answer in world.pipeline(bodies)]

    assert set(both.each(send)) == {204}


IMPORTED = ["-9223372036854775808", "-62135596800000", "-1", "0", "1", "1795240800000",
            "253402300799999", "9223372036854775807", "9223372036854775808", "1e12", "1.5"]


@table("time", {text: text for text in IMPORTED})
def test_a_time_of_an_import(both, tmp_path, time):
    """Beside a running server, and into a row that has a place whatever its time."""
    def send(world):
        name = f"i{IMPORTED.index(time)}"
        click = f"00000000-0000-4000-8000-{IMPORTED.index(time):012}"
        lines = ('{"table":"impression","bid_id":"%s","publisher_id":"p","recorded_at_ms":%s}\n'
                 '{"table":"click","click_id":"%s","bid_id":"%s","publisher_id":"p",'
                 '"recorded_at_ms":%s,"expires_at_ms":%d}\n'
                 '{"table":"conversion","click_id":"%s","partner_id":"p","event_id":"e",'
                 '"conversion_time":"2026-01-01T00:00:00Z","conversion_value":1,"currency":"EUR",'
                 '"recorded_at_ms":%s}\n' % (name, time, click, name, time,
                                            (now.time() + 3600) * 1000, click, time))
        before, file = world.counts(), tmp_path / "lines"
        file.write_text(lines)
        done = program.run("import", file, "--data", world.data)
        return done.returncode, done.stdout, {t: n - before[t] for t, n in world.counts().items()}

    status, _, grown = both.each(send)
    assert (status == 0) == (time.isdigit() and 0 < int(time) < 1 << 62), (status, grown)
    assert grown["conversion"] == (status == 0)


FORGED = {"U+0000": ("a\0b", 404), "a surrogate alone": ("\ud800", 404), "NULL": ("NULL", 200),
          "the longest": (noise(ID), 200), "too long": (noise(ID + 1), 404), "a number": (7, 404)}


@table("text, status", FORGED)
def test_a_token_that_any_library_made(both, text, status):
    def send(world):
        token = publisher.forged(world, purpose="view", bid=text, pub=text)
        seen = said(world.get(publisher.ping_url("view", token)))
        return seen, send_feedback(world, feedback(text)).status, world.counts()

    assert both.each(send)[0][0] == status


def test_a_difference_between_the_engines_is_seen(both):
    with pytest.raises(AssertionError):
        both.each(lambda world: world.data)
