"""A raw HTTP/1.1 client: it sends the bytes it is given and reads answers strictly."""

import json
import re
import select
import socket
import time

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ([\t\x20-\x7e]*)")
HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\t]*?)[ \t]*")
TIMEOUT_S = 15.0


class Closed(Exception):
    """The peer closed the connection before the first byte of an answer."""


class Response:
    """One answer. `raw` holds all of its bytes, head and body, as they came."""

    def __init__(self, status, headers, body, raw):
        self.status = status
        self.headers = headers
        self.body = body
        self.raw = raw

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def header(self, name):
        """The value of a header that must not be repeated; None when it is absent."""
        found = self.all(name)
        assert len(found) <= 1, f"{name} is repeated: {self.raw!r}"
        return found[0] if found else None

    @property
    def json(self):
        kind = (self.header("content-type") or "").lower()
        assert kind.split(";")[0].strip() == "application/json", f"content-type {kind!r}"
        return json.loads(self.body.decode("utf-8"))

    @property
    def receipt(self):
        return self.header("adtally-receipt")

    def __repr__(self):
        return f"<Response {self.raw!r}>"


class Conn:
    """One connection. Answers are read one after the other, so pipelining is sends then reads."""

    def __init__(self, port, timeout_s=TIMEOUT_S):
        self.port = port
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""
        self.eof = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        """Sends all of it; a peer that has closed already is found out by the next read."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def send_bytewise(self, data):
        """One byte per segment; stops as soon as the server answers or closes."""
        for i in range(len(data)):
            self.send(data[i : i + 1])
            if self.readable(0.0002):
                return

    def readable(self, wait_s):
        return bool(self.buf) or bool(select.select([self.sock], [], [], wait_s)[0])

    def _fill(self):
        if self.eof:
            return False
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.eof = True
        self.buf += data
        return bool(data)

    def _line(self):
        while b"\r\n" not in self.buf:
            assert b"\n" not in self.buf, f"bare LF: {self.buf!r}"
            if not self._fill():
                assert not self.buf, f"the answer is cut: {self.buf!r}"
                raise Closed()
        line, _, self.buf = self.buf.partition(b"\r\n")
        return line

    def _exactly(self, count):
        while len(self.buf) < count:
            assert self._fill(), f"the body is cut after {len(self.buf)} of {count} bytes"
        data, self.buf = self.buf[:count], self.buf[count:]
        return data

    def _chunked(self):
        body = b""
        while True:
            line = self._line()
            assert re.fullmatch(rb"[0-9A-Fa-f]+", line), f"chunk size {line!r}"
            data = self._exactly(int(line, 16))
            assert self._exactly(2) == b"\r\n"
            body += data
            if not data:
                return body

    def read(self, method="GET"):
        """The next answer, 1xx included; `method` is that of its request (HEAD has no body)."""
        line = self._line()
        head = line + b"\r\n"
        match = STATUS_LINE.fullmatch(line)
        assert match, f"status line {line!r}"
        status, headers = int(match[1]), []
        while True:
            line = self._line()
            head += line + b"\r\n"
            if not line:
                break
            match = HEADER_LINE.fullmatch(line)
            assert match, f"header line {line!r}"
            headers.append((match[1].decode(), match[2].decode()))
        response = Response(status, headers, b"", head)
        response.body = self._body(response, method)
        response.raw = head + response.body
        return response

    def _body(self, response, method):
        length, coding = response.header("content-length"), response.header("transfer-encoding")
        assert length is None or coding is None, f"both framings: {response.raw!r}"
        if response.status < 200 or response.status == 204:
            assert length is None and coding is None, f"a body is announced: {response.raw!r}"
            return b""
        if method == "HEAD" or response.status == 304:
            return b""
        if coding is not None:
            assert coding.lower() == "chunked"
            return self._chunked()
        assert length is not None, f"an answer without framing: {response.raw!r}"
        assert re.fullmatch("[0-9]+", length), f"content-length {length!r}"
        return self._exactly(int(length))

    def closes(self, within_s=5.0):
        """True when the peer closes within the time and sends nothing more."""
        end = time.monotonic() + within_s
        while not self.buf and not self.eof:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                return False
            self._fill()
        assert not self.buf, f"bytes after the last answer: {self.buf!r}"
        return True


def build(method, target, headers=(), body=b"", version="HTTP/1.1"):
    """A request as bytes. Header values may be bytes; nothing is added or checked."""
    out = f"{method} {target} {version}\r\n".encode()
    for name, value in headers:
        value = value if isinstance(value, bytes) else value.encode()
        out += name.encode() + b": " + value + b"\r\n"
    return out + b"\r\n" + body


def chunked(*parts):
    """The parts as a chunked body, last chunk included."""
    out = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts if p)
    return out + b"0\r\n\r\n"


def exchange(port, data, method="GET"):
    """Sends bytes on a connection of their own and reads one answer."""
    with Conn(port) as conn:
        conn.send(data)
        return conn.read(method)
