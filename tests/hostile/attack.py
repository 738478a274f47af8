"""The attacker, a process of its own: attack.py KIND PORT, and its options as a line of JSON
on standard input.

It says "ready" when the attack is in place, goes on until its standard input ends, and then says
what it saw, as JSON. It runs beside the client whose service is measured, so it shares no
interpreter with it."""

import base64
import collections
import errno
import itertools
import json
import random
import re
import resource
import select
import socket
import struct
import sys
import time

SOURCES = 60  # addresses of 127.0.0.0/8 to come from: one has ports for 28,000 connections
STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ")
RETRY = re.compile(rb"\r\nRetry-After: [1-9][0-9]*\r\n")
GONE = (BrokenPipeError, ConnectionResetError, ConnectionRefusedError, ConnectionAbortedError)


class Counts:
    """What the attack saw."""

    def __init__(self):
        self.statuses = collections.Counter()
        self.opened = self.closed = self.refusals_with_retry = self.sent = 0
        self.lives_s = []  # of connections that the server ended, from the first byte on

    def result(self):
        lives = sorted(self.lives_s) or [0]
        return {"statuses": self.statuses, "opened": self.opened, "closed": self.closed,
                "refusals_with_retry": self.refusals_with_retry, "sent": self.sent,
                "life_min_s": lives[0], "life_max_s": lives[-1], "lives": len(self.lives_s)}


class Peer:
    """One non-blocking connection of the attacker."""

    _numbers = itertools.count()

    def __init__(self, port, counts, reads):
        self.counts, self.rest, self.start, self.out = counts, b"", time.monotonic(), b""
        self.sock = socket.socket()
        self.sock.setblocking(False)
        if not reads:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.bind((f"127.0.0.{2 + next(self._numbers) % SOURCES}", 0))
        code = self.sock.connect_ex(("127.0.0.1", port))
        assert code in (0, errno.EINPROGRESS), errno.errorcode[code]
        counts.opened += 1

    def send(self, data):
        """As much of it as the socket takes; how much that was, -1 when the peer is gone."""
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            return 0
        except GONE:
            return -1
        self.counts.sent += sent
        return sent

    def push(self, make):
        """Sends what is left, then what make() gives, until the socket takes no more."""
        while True:
            self.out = self.out or make()
            sent = self.send(self.out)
            if sent < len(self.out):
                self.out = self.out[max(sent, 0):]
                return sent >= 0
            self.out = b""

    def read(self):
        """Counts the answers that came; False when the connection is over."""
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return True
        except GONE:
            return False
        self.count(data)
        return bool(data)

    def count(self, data):
        data = self.rest + data
        cut = data.rfind(b"\r\n\r\n") + 1
        heads, self.rest = data[:cut + 3 if cut else 0], data[cut + 3 if cut else 0:]
        self.counts.statuses.update(s.decode() for s in STATUS.findall(heads))
        self.counts.refusals_with_retry += len(RETRY.findall(heads))

    def end(self, reset=False):
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Crowd:
    """Connections in one epoll set. A kind of attack says what each does when it may write, and
    every `every_s`; one that the server ended is opened anew."""

    every_s = 0.5
    reads = True

    def __init__(self, port, count=1, **options):
        self.port, self.count, self.options = port, count, options
        self.counts, self.peers, self.said = Counts(), {}, 0
        self.epoll = select.epoll()
        self.stdin = sys.stdin.fileno()
        self.epoll.register(self.stdin, select.EPOLLIN | select.EPOLLHUP)

    # -- what kinds decide ------------------------------------------------------------------

    def on_open(self, peer):
        """The connection stands."""

    def on_tick(self):
        """Every `every_s`."""

    def on_writable(self, peer):
        """The socket takes bytes again."""

    def in_place(self):
        return len(self.peers) >= self.count

    def progress(self):
        """For Attack.closed."""
        if self.counts.closed != self.said:
            self.said = self.counts.closed
            print(f"closed {self.said}", flush=True)

    # -- the loop ---------------------------------------------------------------------------

    def open(self):
        peer = Peer(self.port, self.counts, self.reads)
        self.peers[peer.sock.fileno()] = peer
        peer.is_open = False
        events = select.EPOLLOUT | select.EPOLLET | select.EPOLLRDHUP
        self.epoll.register(peer.sock, events | (select.EPOLLIN if self.reads else 0))
        return peer

    def drop(self, peer, reset=False):
        del self.peers[peer.sock.fileno()]
        self.epoll.unregister(peer.sock)
        peer.end(reset)

    def ended(self, peer):
        """By the server."""
        self.counts.closed += 1
        self.counts.lives_s.append(time.monotonic() - peer.start)
        self.drop(peer)

    def fill(self):
        for _ in range(min(500, self.count - len(self.peers))):
            self.open()

    def read_all(self, peer):
        while peer.read():
            try:
                peer.sock.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                return True
            except GONE:
                return False
        return False

    def on_event(self, peer, events):
        if events & select.EPOLLOUT and not peer.is_open and not events & select.EPOLLERR:
            peer.is_open = True
            self.on_open(peer)
        elif events & select.EPOLLOUT:
            self.on_writable(peer)
        over = events & (select.EPOLLERR | select.EPOLLHUP)
        if self.reads and events & (select.EPOLLIN | select.EPOLLRDHUP):
            over = not self.read_all(peer)
        if over and peer.sock.fileno() in self.peers:
            self.ended(peer)

    def turn(self, wait_s):
        for fd, events in self.epoll.poll(wait_s):
            if fd == self.stdin:
                return False
            if fd in self.peers:
                self.on_event(self.peers[fd], events)
        return True

    def run(self):
        is_ready, next_tick = False, time.monotonic()
        while True:
            self.fill()
            if not is_ready and self.in_place():
                is_ready = True
                print("ready", flush=True)
            if not self.turn(min(0.02, self.every_s)):
                return self.counts.result()
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + self.every_s
                self.on_tick()
                self.progress()


class Idle(Crowd):
    """Connections that do nothing, or nothing after one request."""

    def __init__(self, *args, request="", **options):
        super().__init__(*args, **options)
        self.request = base64.b64decode(request)
        self.answered = 0

    def on_open(self, peer):
        self.answered += not self.request
        if self.request:
            peer.send(self.request)

    def in_place(self):
        answered = sum(self.counts.statuses.values()) if self.request else self.answered
        return answered >= self.count


class Dribble(Crowd):
    """Requests that begin with a head and go on with a byte of their tail now and then; `shapes`
    are pairs of those, which the connections take by turns."""

    every_s = 0.1

    def __init__(self, *args, shapes=(), **options):
        super().__init__(*args, **options)
        self.shapes = itertools.cycle([[base64.b64decode(part) for part in s] for s in shapes])

    def on_open(self, peer):
        peer.start, peer.at = time.monotonic(), 0
        head, peer.tail = next(self.shapes)
        peer.send(head)

    def on_tick(self):
        for peer in list(self.peers.values()):
            if peer.is_open:
                peer.send(peer.tail[peer.at % len(peer.tail):][:1])
                peer.at += 1


class Flood(Crowd):
    """The same requests again and again, as fast as the sockets take them; with `reads` false the
    answers stay unread. A run of "#" in a request becomes a number that no other has, and
    "@@@@:@@@@" two groups of an address that no other has."""

    def __init__(self, *args, request="", depth=1, reads=True, **options):
        super().__init__(*args, **options)
        self.request, self.depth, self.reads = base64.b64decode(request), depth, reads
        self.mark = max(re.findall(rb"#+", self.request), default=b"", key=len)
        self.numbers = itertools.count()
        self.whole = self.request * depth

    def make(self):
        if not self.mark:
            return self.whole
        return b"".join(self.numbered(next(self.numbers)) for _ in range(self.depth))

    def numbered(self, number):
        data = self.request.replace(self.mark, b"%0*d" % (len(self.mark), number))
        return data.replace(b"@@@@:@@@@", b"%04d:%04d" % divmod(number % 10 ** 8, 10 ** 4))

    def on_open(self, peer):
        self.on_writable(peer)

    def on_writable(self, peer):
        peer.push(self.make)


class Loop(Flood):
    """Closed loops: each connection sends its next request when the last one is answered, or with
    `pause_s` at the tick after that."""

    def __init__(self, *args, pause_s=0, **options):
        super().__init__(*args, **options)
        self.pause_s, self.answered = pause_s, []
        self.every_s = pause_s or self.every_s

    def on_writable(self, peer):
        """on_open sends the first, answers the rest."""

    def on_open(self, peer):
        peer.send(self.make())

    def on_event(self, peer, events):
        before = sum(self.counts.statuses.values())
        super().on_event(peer, events)
        if sum(self.counts.statuses.values()) > before:
            self.answered.append(peer)
        if not self.pause_s:
            self.on_tick()

    def on_tick(self):
        for peer in self.answered:
            if peer.sock.fileno() >= 0:
                peer.send(self.make())
        self.answered = []


class Churn(Crowd):
    """Connections that come, perhaps send something, and go: by FIN or by RST."""

    def __init__(self, *args, request="", reset=False, **options):
        super().__init__(*args, **options)
        self.request, self.reset = base64.b64decode(request), reset

    def on_open(self, peer):
        if self.request:
            peer.send(self.request)
        self.drop(peer, self.reset)


class Garbage(Crowd):
    """Random bytes, or one of `samples` as it is or with a few bytes changed, until the server has
    enough of it."""

    def __init__(self, *args, seed="", samples=(), **options):
        super().__init__(*args, **options)
        self.random = random.Random(seed)
        self.samples = [base64.b64decode(s) for s in samples]

    def make(self):
        rng = self.random
        if not self.samples or rng.random() < 0.3:
            return rng.randbytes(rng.randrange(1, 4000))
        data = bytearray(rng.choice(self.samples))
        for _ in range(rng.randrange(0, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(data[:rng.randrange(1, len(data) + 1)] if rng.random() < 0.3 else data)

    def on_open(self, peer):
        peer.send(self.make())
        try:
            peer.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # gone already


class Spin(Crowd):
    """No attack: it keeps a core as busy as an attacker would."""

    def in_place(self):
        return True

    def fill(self):
        pass

    def turn(self, wait_s):
        return super().turn(0)


KINDS = {kind.__name__.lower(): kind for kind in (Idle, Dribble, Flood, Loop, Churn, Garbage, Spin)}


def main(kind, port):
    options = json.loads(sys.stdin.readline())
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(json.dumps(KINDS[kind](int(port), **options).run()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
