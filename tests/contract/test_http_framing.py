"""Contract section 2: RFC 9112, strict. What must be refused with 400 and close, and what works;
every sample as one segment and byte by byte."""

import pytest

from support.http import chunked
from support.world import (API, COLLECT, V1, conversion, dump, event, is_collected, is_recorded,
                           is_refused, table)

GOOD = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
MODES = ["at once", "byte by byte"]


def send(conn, data, mode):
    conn.send(data) if mode == "at once" else conn.send_bytewise(data)


def post_head(*lines):
    """The head of a POST of a collect, with a key, and these lines as they are."""
    start = b"POST /v1/api/collect HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    return start + b"Authorization: Bearer KEY\r\n" + b"".join(lines) + b"\r\n"


BODY = b'{"event_name":"smuggled"}'
CL = b"Content-Length: %d\r\n" % len(BODY)
TE = b"Transfer-Encoding: chunked\r\n"
CHUNKS = chunked(BODY)


def get(*lines, start=b"GET /health HTTP/1.1\r\n", host=b"Host: a\r\n"):
    return start + host + b"".join(lines) + b"\r\n"


FRAMING = {
    "Content-Length with Transfer-Encoding": post_head(CL, TE) + CHUNKS,
    "Transfer-Encoding with Content-Length": post_head(TE, CL) + CHUNKS,
    "Content-Length 0 with Transfer-Encoding": post_head(b"Content-Length: 0\r\n", TE) + CHUNKS,
    "Content-Length twice": post_head(CL, CL) + BODY,
    "Content-Length twice, different": post_head(CL, b"Content-Length: 0\r\n") + BODY,
    "Content-Length twice in one line": post_head(b"Content-Length: 25, 25\r\n") + BODY,
    "Content-Length with a plus": post_head(b"Content-Length: +25\r\n") + BODY,
    "Content-Length with a minus": post_head(b"Content-Length: -1\r\n") + BODY,
    "Content-Length in hexadecimal": post_head(b"Content-Length: 0x19\r\n") + BODY,
    "Content-Length with a fraction": post_head(b"Content-Length: 25.0\r\n") + BODY,
    "Content-Length with an exponent": post_head(b"Content-Length: 2e1\r\n") + BODY,
    "Content-Length with a letter": post_head(b"Content-Length: 25a\r\n") + BODY,
    "Content-Length with a space inside": post_head(b"Content-Length: 2 5\r\n") + BODY,
    "Content-Length empty": post_head(b"Content-Length: \r\n") + BODY,
    "Content-Length past 64 bits": post_head(b"Content-Length: 18446744073709551641\r\n") + BODY,
    "Transfer-Encoding twice": post_head(TE, TE) + CHUNKS,
    "Transfer-Encoding chunked, chunked": post_head(b"Transfer-Encoding: chunked, chunked\r\n"),
    "Transfer-Encoding chunked, identity": post_head(b"Transfer-Encoding: chunked, identity\r\n"),
    "Transfer-Encoding that only looks like chunked":
        post_head(b"Transfer-Encoding: xchunked\r\n") + CHUNKS,
    "Transfer-Encoding with a control character":
        post_head(b"Transfer-Encoding: \x0bchunked\r\n") + CHUNKS,
    "obs-fold by a space": get(b"X-A: b\r\n c\r\n"),
    "obs-fold by a tab": get(b"X-A: b\r\n\tc\r\n"),
    "obs-fold of Transfer-Encoding": post_head(b"Transfer-Encoding:\r\n chunked\r\n") + CHUNKS,
    "white space before the first header": get(start=b"GET /health HTTP/1.1\r\n X-A: b\r\n"),
    "a bare CR in a value": get(b"X-A: b\rc\r\n"),
    "a bare CR that hides a header": get(b"X-A: b\rTransfer-Encoding: chunked\r\n"),
    "a bare CR as line end": get(b"X-A: b\r", b"X-B: c\r\n"),
    "a bare LF as line end": get(b"X-A: b\n", b"X-B: c\r\n"),
    "a bare LF behind the request line": get(start=b"GET /health HTTP/1.1\n"),
    "a bare LF at the end of the head": b"GET /health HTTP/1.1\r\nHost: a\r\n\n",
    "bare LF throughout": b"GET /health HTTP/1.1\nHost: a\n\n",
    "a space before a colon": get(b"X-A : b\r\n"),
    "a tab before a colon": get(b"X-A\t: b\r\n"),
    "a space before the colon of Content-Length": post_head(b"Content-Length : 25\r\n") + BODY,
    "a space before the colon of Transfer-Encoding":
        post_head(b"Transfer-Encoding : chunked\r\n") + CHUNKS,
    "a space in a header name": get(b"X A: b\r\n"),
    "a header without colon": get(b"X-A\r\n"),
    "a header without name": get(b": b\r\n"),
    "a control character in a header name": get(b"X\x01A: b\r\n"),
    "a NUL in a header value": get(b"X-A: b\x00c\r\n"),
    "a byte over 127 in a header name": get(b"X\xc3\xa9: b\r\n"),
    "no Host": get(host=b""),
    "Host twice": get(b"Host: a\r\n"),
    "Host twice, different": get(b"Host: b\r\n"),
    "no version": b"GET /health\r\nHost: a\r\n\r\n",
    "no target": b"GET HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space inside the target": get(start=b"GET /hea lth HTTP/1.1\r\n"),
    "a NUL in the target": get(start=b"GET /health\x00 HTTP/1.1\r\n"),
    "a target that is no path": get(start=b"GET health HTTP/1.1\r\n"),
    "another protocol": get(start=b"GET /health FTP/1.1\r\n"),
    "a protocol in lower case": get(start=b"GET /health http/1.1\r\n"),
    "a version cut short": get(start=b"GET /health HTTP/1\r\n"),
    "a version too long": get(start=b"GET /health HTTP/1.10\r\n"),
    "a method that is no token": get(start=b"G@T /health HTTP/1.1\r\n"),
    "TLS on the plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n" * 4,
}

CHUNK_FRAMING = {
    "a chunk size that is no number": b"xyz\r\n" + BODY + b"\r\n0\r\n\r\n",
    "an empty chunk size": b"\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk size with 0x": b"0x19\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk size with a minus": b"-19\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk size with a plus": b"+19\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk size behind a space": b" 19\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk size that overflows": b"ffffffffffffffffff19\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a bare LF behind the chunk size": b"19\n" + BODY + b"\r\n0\r\n\r\n",
    "a bare CR behind the chunk size": b"19\r" + BODY + b"\r\n0\r\n\r\n",
    "a bare LF inside a chunk extension": b"19;a\nb\r\n" + BODY + b"\r\n0\r\n\r\n",
    "no CRLF behind the chunk": b"19\r\n" + BODY + b"0\r\n\r\n",
    "a bare LF behind the chunk": b"19\r\n" + BODY + b"\n0\r\n\r\n",
    "a chunk longer than its size": b"18\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a trailer with obs-fold": b"19\r\n" + BODY + b"\r\n0\r\nX-A: b\r\n c\r\n\r\n",
    "a trailer with a space before its colon": b"19\r\n" + BODY + b"\r\n0\r\nX-A : b\r\n\r\n",
    "a trailer that ends in a bare LF": b"19\r\n" + BODY + b"\r\n0\r\nX-A: b\n\r\n",
}


def is_400_and_close(conn):
    answer = conn.read()
    assert (answer.status, answer.body) == (400, b""), answer
    assert answer.header("content-type") is None and answer.receipt is None, answer
    assert conn.closes()


@table("data", {**FRAMING, **{k: post_head(TE) + v for k, v in CHUNK_FRAMING.items()}})
@pytest.mark.parametrize("mode", MODES)
def test_bad_framing_is_400_and_close(world, data, mode):
    """What follows on the connection is never taken for a request."""
    with world.records(), world.connect() as conn:
        send(conn, data.replace(b"KEY", world.partner.encode()) + GOOD, mode)
        is_400_and_close(conn)


@table("data", {
    "Transfer-Encoding gzip, chunked": post_head(b"Transfer-Encoding: gzip, chunked\r\n") + CHUNKS,
    "Transfer-Encoding identity": post_head(b"Transfer-Encoding: identity\r\n") + BODY,
    "HTTP/2.0": get(start=b"GET /health HTTP/2.0\r\n"),
    "HTTP/0.9 with a version": get(start=b"GET /health HTTP/0.9\r\n"),
    "HTTP/1.0 with Transfer-Encoding":
        post_head(TE).replace(b"HTTP/1.1", b"HTTP/1.0") + CHUNKS,
})
@pytest.mark.parametrize("mode", MODES)
def test_what_is_not_spoken_here_is_an_error_and_close(world, data, mode):
    """RFC 9112 has codes of its own for some of these, so 501 and 505 will do as well."""
    with world.records(), world.connect() as conn:
        send(conn, data.replace(b"KEY", world.partner.encode()) + GOOD, mode)
        answer = conn.read()
        assert answer.status in (400, 501, 505) and answer.body == b"", answer
        assert conn.closes()


@pytest.mark.parametrize("mode", MODES)
def test_what_came_before_the_bad_request_is_answered_first(world, mode):
    with world.connect() as conn:
        conn.send(GOOD)
        assert conn.read().status == 200
        send(conn, get(b"X-A : b\r\n") + GOOD, mode)
        is_400_and_close(conn)


def test_a_good_request_pipelined_before_a_bad_one_is_answered(world):
    with world.connect() as conn, world.records(server_event=1):
        conn.send(world.post_bytes(COLLECT, event()) + get(host=b"") + GOOD)
        is_collected(conn.read())
        is_400_and_close(conn)


# -- what works -----------------------------------------------------------------------------

CHUNKED = {
    "one chunk": lambda b: chunked(b),
    "a chunk per byte": lambda b: chunked(*(b[i : i + 1] for i in range(len(b)))),
    "sizes in upper case": lambda b: b"%X\r\n%s\r\n0\r\n\r\n" % (len(b), b),
    "sizes with leading zeros": lambda b: b"0000%x\r\n%s\r\n000\r\n\r\n" % (len(b), b),
    "a chunk extension": lambda b: b"%x;name=value\r\n%s\r\n0;last\r\n\r\n" % (len(b), b),
    "trailers": lambda b: b"%x\r\n%s\r\n0\r\nX-Sum: 1\r\nX-B: 2\r\n\r\n" % (len(b), b),
}


@table("encode", CHUNKED)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("path", [COLLECT, V1, API])
def test_chunked_bodies_work(world, path, encode, mode):
    body = dump(event() if path == COLLECT else conversion(world.click()))
    head = world.post_bytes(path, b"", headers=[("Content-Length", None),
                                                ("Transfer-Encoding", "chunked")])
    with world.connect() as conn:
        send(conn, head + encode(body), mode)
        (is_collected if path == COLLECT else is_recorded)(conn.read())
        conn.send(GOOD)
        assert conn.read().status == 200


def test_chunked_is_read_in_any_case(world):
    head = world.post_bytes(COLLECT, b"", headers=[("Content-Length", None),
                                                   ("Transfer-Encoding", "Chunked")])
    is_collected(world.send(head + chunked(dump(event()))))


def test_a_key_in_a_trailer_is_no_key(world):
    head = world.post_bytes(COLLECT, b"", headers=[
        ("Content-Length", None), ("Transfer-Encoding", "chunked"), ("Authorization", None)])
    trailer = b"Authorization: Bearer " + world.partner.encode() + b"\r\n"
    body = chunked(dump(event()))[:-2] + trailer + b"\r\n"
    with world.records():
        is_refused(world.send(head + body), 401, "Missing bearer token")


@pytest.mark.parametrize("mode", MODES)
def test_pipelined_requests_are_answered_in_order(world, mode):
    click = world.click()
    with world.connect() as conn, world.records(conversion=2, server_event=1):
        send_all = [
            (world.get_bytes("/health"), "GET", 200),
            (world.post_bytes(V1, conversion(click)), "POST", 200),
            (world.get_bytes("/health", method="HEAD"), "HEAD", 200),
            (world.get_bytes("/nowhere"), "GET", 404),
            (world.post_bytes(COLLECT, event()), "POST", 204),
            (world.post_bytes(V1, b"{"), "POST", 400),
            (world.post_bytes(V1, conversion("no-such-click")), "POST", 404),
            (world.get_bytes(V1), "GET", 405),
            (world.post_bytes(V1, conversion(click), "nobody"), "POST", 401),
            (world.post_bytes(API, conversion(click)), "POST", 200),
        ]
        data = b"".join(d for d, _, _ in send_all)
        for i in range(0, len(data), 1 if mode != "at once" else len(data)):
            conn.send(data if mode == "at once" else data[i : i + 1])
        assert [conn.read(m).status for _, m, _ in send_all] == [s for _, _, s in send_all]


def test_five_hundred_pipelined_conversions_are_five_hundred_rows(world):
    click = world.click()
    with world.records(conversion=500):
        requests = [world.post_bytes(V1, conversion(click)) for _ in range(500)]
        answers = world.pipeline(requests, window=100)
        assert len({is_recorded(a) for a in answers}) == 500


@pytest.mark.parametrize("path", [COLLECT, V1, API])
def test_expect_100_continue_is_answered_before_the_body(world, path):
    body = dump(event() if path == COLLECT else conversion(world.click()))
    data = world.post_bytes(path, body, headers=[("Expect", "100-continue")])
    with world.connect() as conn:
        conn.send(data[: -len(body)])
        assert conn.read().status == 100
        conn.send(body)
        (is_collected if path == COLLECT else is_recorded)(conn.read())


def test_expect_with_the_body_at_once_still_gets_its_answer(world):
    data = world.post_bytes(COLLECT, event(), headers=[("Expect", "100-Continue")])
    with world.connect() as conn:
        conn.send(data)
        answer = conn.read()
        is_collected(conn.read() if answer.status == 100 else answer)


@table("headers", {
    "without Host": [("Host", None)],
    "with Host": [],
    "with Connection: close": [("Connection", "close")],
})
def test_http_1_0_works_and_closes(world, headers):
    data = world.post_bytes(COLLECT, event(), headers=headers)
    with world.connect() as conn:
        conn.send(data.replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        is_collected(conn.read())
        assert conn.closes()


def test_connection_close_is_obeyed(world):
    with world.connect() as conn:
        conn.send(world.get_bytes("/health", [("Connection", "close")]) + GOOD)
        assert conn.read().status == 200
        assert conn.closes()


def test_http_1_1_keeps_the_connection(world):
    with world.connect() as conn:
        for _ in range(20):
            conn.send(GOOD)
            assert conn.read().status == 200


@table("origin", {
    "of this server": "http://127.0.0.1",
    "of the production host": "http://events.thrad.ai",
    "in upper case": "HTTP://EVENTS.THRAD.AI",
})
def test_absolute_form_targets_work(world, origin):
    assert world.get(origin + "/health").body == b'{"status":"ok","ready":true}'
    is_collected(world.post(origin + COLLECT, event()))
    is_refused(world.get(origin + "/nowhere"), 404, "Not Found")


def test_header_names_are_read_in_any_case(world):
    data = world.post_bytes(COLLECT, event())
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    for change in (bytes.lower, bytes.upper):
        names = [change(n) + b":" + v for n, v in (x.split(b":", 1) for x in lines[1:])]
        is_collected(world.send(b"\r\n".join([lines[0], *names]) + b"\r\n\r\n" + body))


def test_white_space_round_a_header_value_is_no_part_of_it(world):
    headers = [("Authorization", f" \t Bearer {world.partner} \t ")]
    is_collected(world.post(COLLECT, event(), headers=headers))


def test_a_request_cut_by_its_client_records_nothing(world):
    data = world.post_bytes(COLLECT, event())
    with world.records():
        for cut in (1, 40, len(data) - 1):
            with world.connect() as conn:
                conn.send(data[:cut])
        assert world.get("/health").status == 200
