"""A server with keys, and the few steps every test is made of: mint, click, convert, count."""

import concurrent.futures
import contextlib
import itertools
import json
import os
import re
import shutil
import threading
from urllib.parse import parse_qsl, urlsplit

import pytest

from support import server as program
from support import store
from support.http import Conn, build

V1, API = "/v1/api/conversion", "/api/conversion"
COLLECT, COLLECT_ALIAS = "/v1/api/collect", "/api/collect"
MINT, REDIRECT, TRACK = "/v1/mint", "/api/v1/tracking/redirect", "/track/click"
LANDING = "https://shop.example/landing"
CANARY = "cAnArY7391"
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
RECEIPT = re.compile(r"[0-9a-f]{16}")
TYPES = {"missing", "json_invalid", "string_type", "int_type", "number_type", "object_type",
         "array_type", "string_too_long", "string_too_short", "literal_error",
         "datetime_invalid", "currency_invalid", "value_error"}
TABLES = ("click", "conversion", "server_event", "impression", "feedback", "ad_feedback", "vote")
ABSENT = object()

_numbers = itertools.count(1)
_run = os.urandom(4).hex()


def unique(prefix="id"):
    """A string that no other call has returned."""
    return f"{prefix}-{_run}-{next(_numbers)}"


def table(names, rows):
    """One test per row; the row's key is the sentence that the test holds."""
    params = [pytest.param(*(v if isinstance(v, tuple) else (v,)), id=k) for k, v in rows.items()]
    return pytest.mark.parametrize(names, params)


def conversion(click_id, **fields):
    """A conversion body; a field that is ABSENT is left out, None is sent as null."""
    body = {"click_id": click_id, "conversion_time": "2026-02-19T18:00:00Z",
            "conversion_value": 49.99, "currency": "USD", **fields}
    return {k: v for k, v in body.items() if v is not ABSENT}


def event(**fields):
    body = {"event_name": "page_view", **fields}
    return {k: v for k, v in body.items() if v is not ABSENT}


def dump(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def together(count, work):
    """work(0), work(1), ... in threads that start at one moment; their results, or an error."""
    gate = threading.Barrier(count)

    def run(number):
        gate.wait()
        return work(number)

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return [f.result() for f in [pool.submit(run, n) for n in range(count)]]


def merged(defaults, headers):
    """The defaults, each replaced by the headers of its name; a value of None removes it."""
    names = {n.lower() for n, _ in headers}
    kept = [(n, v) for n, v in defaults if n.lower() not in names]
    return kept + [(n, v) for n, v in headers if v is not None]


class World:
    """A running server, its partner and ad-server keys, and one kept-open connection."""

    def __init__(self, flags=(), data=None, environment=None, make_server=program.Server):
        self.data = data or program.temp_dir()
        self.server = make_server(self.data, flags, environment=environment).start()
        self.partner = program.partner_key(self.data)
        self.adserver = program.key_create(self.data, "adserver", "ads")
        self.conns = threading.local()

    @property
    def port(self):
        return self.server.port

    @property
    def host(self):
        return self.server.host

    def connect(self):
        return Conn(self.port)

    # -- requests ---------------------------------------------------------------------------

    def post_bytes(self, path, body, key=None, headers=()):
        """A POST of JSON as bytes, with the partner's key unless told; key=ABSENT sends none."""
        body = dump(body)
        key = self.partner if key is None else key
        heads = [("Host", self.host), ("Content-Type", "application/json"),
                 ("Content-Length", str(len(body)))]
        if key is not ABSENT:
            heads.append(("Authorization", f"Bearer {key}"))
        return build("POST", path, merged(heads, list(headers)), body)

    def get_bytes(self, target, headers=(), method="GET"):
        return build(method, target, merged([("Host", self.host)], list(headers)))

    def send(self, data, method="GET"):
        """One exchange on this thread's kept-open connection, opened anew when it was closed."""
        conn = getattr(self.conns, "conn", None)
        if conn is None or conn.port != self.port or conn.readable(0):
            if conn is not None:
                conn.close()
            conn = Conn(self.port)
        self.conns.conn = None
        try:
            conn.send(data)
            response = conn.read(method)
        except BaseException:
            conn.close()
            raise
        if (response.header("connection") or "").lower() == "close":
            conn.close()
        else:
            self.conns.conn = conn
        return response

    def post(self, path, body, key=None, headers=()):
        return self.send(self.post_bytes(path, body, key, headers))

    def get(self, target, headers=()):
        return self.send(self.get_bytes(target, headers))

    def pipeline(self, requests, window=40):
        """POST or GET requests, many at a time on one connection; their answers in order."""
        answers = []
        with self.connect() as conn:
            for i in range(0, len(requests), window):
                part = requests[i : i + window]
                conn.send(b"".join(part))
                answers += [conn.read() for _ in part]
        return answers

    def pipelines(self, requests, lanes=16):
        """The same on many connections, of which each waits for one commit at a time. The answers
        are those of the first lane, of the second, and so on."""
        lanes = min(lanes, len(requests))
        parts = together(lanes, lambda lane: self.pipeline(requests[lane::lanes])) if lanes else []
        return [answer for part in parts for answer in part]

    # -- the way of an ad -------------------------------------------------------------------

    def ad(self, **fields):
        ad = {"publisher_id": "pub-1", "landing_url": LANDING, **fields}
        return {k: v for k, v in ad.items() if v is not ABSENT}

    def mint_many(self, ads, headers=()):
        answer = self.post(MINT, {"ads": ads}, self.adserver, headers)
        assert answer.status == 200, answer
        return answer.json["ads"]

    def mint(self, **fields):
        return self.mint_many([self.ad(**fields)])[0]

    def target(self, url):
        """The request target of a minted URL."""
        parts = urlsplit(url)
        return parts.path + "?" + parts.query

    def follow(self, url, headers=()):
        return self.get(self.target(url), headers)

    def click(self, **fields):
        """Mints and follows; the click id that a landing page would have captured."""
        answer = self.follow(self.mint(**fields)["url"])
        assert answer.status == 302, answer
        return dict(parse_qsl(urlsplit(answer.header("location")).query))["thrad_click_id"]

    def convert(self, click_id, path=V1, idem=None, key=None, **fields):
        headers = [] if idem is None else [("Idempotency-Key", idem)]
        return self.post(path, conversion(click_id, **fields), key, headers)

    # -- the database -----------------------------------------------------------------------

    def rows(self, sql, *args):
        return program.query(self.data, sql, *args)

    def counts(self):
        return {t: self.rows(f"SELECT count(*) n FROM {t}")[0]["n"] for t in TABLES}

    def last(self, name):
        return self.rows(f"SELECT * FROM {name} ORDER BY {store.latest_first()} LIMIT 1")[0]

    @contextlib.contextmanager
    def records(self, **grown):
        """The block must add just these rows, e.g. records(conversion=1), and no others."""
        before = self.counts()
        yield
        want = {t: n + grown.get(t, 0) for t, n in before.items()}
        assert self.counts() == want

    def close(self):
        """Ends the server, which must go in good order, and removes its data in any case."""
        try:
            self.server.stop()
        finally:
            self.server.kill()
            shutil.rmtree(self.data, ignore_errors=True)
            store.forget(self.data)


# -- what an answer must look like ----------------------------------------------------------


def is_recorded(answer):
    """A conversion that counted: exact body, a receipt, which is returned."""
    assert (answer.status, answer.body) == (200, b'{"status":"ok"}'), answer
    assert RECEIPT.fullmatch(answer.receipt or ""), answer
    return answer.receipt


def is_duplicate(answer, of=None):
    assert (answer.status, answer.body) == (200, b'{"status":"duplicate"}'), answer
    assert RECEIPT.fullmatch(answer.receipt or ""), answer
    assert of is None or answer.receipt == of, f"receipt {answer.receipt} is not {of}"
    return answer.receipt


def is_collected(answer):
    assert (answer.status, answer.body) == (204, b""), answer
    assert RECEIPT.fullmatch(answer.receipt or ""), answer
    return answer.receipt


def is_refused(answer, status, text=None):
    """A refusal with `{"detail":"text"}`, exact when the text is given, echoing no canary."""
    assert answer.status == status, answer
    if text is None:
        assert set(answer.json) == {"detail"} and answer.json["detail"], answer
    else:
        assert answer.body == b'{"detail":"%s"}' % text.encode(), answer
    is_discreet(answer)


def is_discreet(answer):
    """Nothing that the client sent comes back, no receipt and no CORS header."""
    assert CANARY.encode() not in answer.raw, f"an echo: {answer!r}"
    assert answer.receipt is None, answer
    assert not [n for n, _ in answer.headers if n.lower().startswith("access-control-")], answer


def lists_problems(answer, problems):
    """{"detail":[...]} with just these (type, loc) in this order; type None is any."""
    assert set(answer.json) == {"detail"}, answer
    found = answer.json["detail"]
    assert isinstance(found, list) and found, answer
    for item in found:
        assert set(item) == {"type", "loc", "msg"}, item
        assert item["type"] in TYPES and isinstance(item["msg"], str) and item["msg"], item
    assert [tuple(i["loc"]) for i in found] == [tuple(loc) for _, loc in problems], answer
    for item, (kind, _) in zip(found, problems):
        assert kind is None or item["type"] in kind.split("|"), answer


def is_invalid(answer, status, *problems):
    """A validation error that lists just these (type, loc) in this order; type None is any."""
    assert answer.status == status, answer
    is_discreet(answer)
    lists_problems(answer, problems)


def is_json_invalid(answer, status):
    """Malformed JSON: one problem, in the body as a whole."""
    assert answer.status == status, answer
    is_discreet(answer)
    found = answer.json["detail"]
    assert len(found) == 1 and set(found[0]) == {"type", "loc", "msg"}, answer
    assert found[0]["type"] == "json_invalid" and found[0]["loc"][0] == "body", answer
