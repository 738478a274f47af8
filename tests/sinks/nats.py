"""A NATS server with JetStream, and a client of its plain protocol: no library of ours reads what
ours wrote."""

import contextlib
import json
import shutil
import socket
import subprocess
import time

from base import wait_for
from support import server as program
from support.world import unique


class Nats:
    """nats-server on a port of its own; it may be killed and started again on the same data."""

    def __init__(self, flags=()):
        self.data, self.port = program.temp_dir(), program.free_port()
        self.flags, self.proc = list(flags), None

    @property
    def url(self):
        return f"nats://127.0.0.1:{self.port}"

    def start(self):
        self.proc = subprocess.Popen(
            ["nats-server", "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", self.data,
             *self.flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.answers)
        return self

    def answers(self):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def close(self):
        self.kill()
        shutil.rmtree(self.data, ignore_errors=True)

    def client(self):
        return Client(self.port)

    def make_stream(self, name="ADS", subjects=("adtally.>",), **config):
        with self.client() as client:
            answer = client.ask(f"$JS.API.STREAM.CREATE.{name}", {
                "name": name, "subjects": list(subjects), "storage": "file", "retention": "limits",
                "num_replicas": 1, "duplicate_window": 120 * 10**9, **config})
            assert "error" not in answer, answer

    def messages(self, name="ADS"):
        """(subject, headers, row) of everything in the stream, in its order."""
        with self.client() as client:
            info = client.ask(f"$JS.API.STREAM.INFO.{name}", {})
            count = info["state"]["messages"]
            subject = unique("deliver")  # an older consumer still has its own
            client.subscribe(subject)
            if count:
                client.ask(f"$JS.API.CONSUMER.CREATE.{name}", {"stream_name": name, "config": {
                    "deliver_subject": subject, "ack_policy": "none",
                    "deliver_policy": "all", "replay_policy": "instant"}})
            return [(subject, headers, json.loads(body))
                    for subject, headers, body in client.take(count)]


class Client:
    """Connects, subscribes, asks. HMSG and MSG as the protocol's page describes them."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.file, self.kept = self.sock.makefile("rb"), []
        self.line()
        self.send(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n')
        self.subscribe("answers")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def subscribe(self, subject):
        self.send(f"SUB {subject} {subject}\r\n".encode())

    def line(self):
        line = self.file.readline()
        assert line, "closed"
        return line.decode().strip()

    def receive(self):
        """(subscription, subject, headers, body) of the next message."""
        while True:
            words = self.line().split()
            if words[0] == "PING":
                self.send(b"PONG\r\n")
            if words[0] in ("MSG", "HMSG"):
                break
        size = int(words[-1])
        data = self.file.read(size + 2)[:size]
        head = int(words[-2]) if words[0] == "HMSG" else 0
        lines = [x.split(": ", 1) for x in data[:head].decode().split("\r\n") if ": " in x]
        return words[2], words[1], dict(lines), data[head:]

    def ask(self, subject, body):
        data = json.dumps(body).encode()
        self.send(f"PUB {subject} answers {len(data)}\r\n".encode() + data + b"\r\n")
        end = time.monotonic() + 10
        while time.monotonic() < end:
            message = self.receive()
            if message[0] == "answers":
                return json.loads(message[3])
            self.kept.append(message)
        raise AssertionError("no answer")

    def take(self, count):
        while len(self.kept) < count:
            message = self.receive()
            if message[0] != "answers":
                self.kept.append(message)
        return [message[1:] for message in self.kept[:count]]
