"""The admin listener: where it is, and requests with a key or a cookie."""

import json
import re
import time

from support import server as program
from support.http import Conn, build
from support.world import World

LISTEN = ("--admin-listen", "127.0.0.1:0")


def port_of(server):
    """What the ready line says of a server that was started with LISTEN."""
    return int(re.search(r", admin http://127\.0\.0\.1:(\d+)$", server.ready_line.strip())[1])


def request(port, method, path, *headers, body=b"", key=None):
    """A request as bytes; `key` as a Bearer token."""
    fields = [("Host", f"127.0.0.1:{port}"), *headers]
    if key:
        fields.append(("Authorization", f"Bearer {key}"))
    if body:
        fields.append(("Content-Length", str(len(body))))
    return build(method, path, fields, body)


def ask(port, method, path, *headers, body=b"", key=None):
    """One request on a connection of its own."""
    with Conn(port) as conn:
        conn.send(request(port, method, path, *headers, body=body, key=key))
        return conn.read(method)


def sign_in(port, key):
    """The cookie as a browser sends it back."""
    answer = ask(port, "POST", "/session", ("Content-Type", "application/json"),
                 body=json.dumps({"key": key}).encode())
    assert answer.status == 204, answer
    return ("Cookie", answer.header("set-cookie").split(";")[0])


class Listener:
    """A server with an admin listener, and a key for it."""

    def __init__(self):
        self.world = World(LISTEN)
        self.port = port_of(self.world.server)
        self.key = program.key_create(self.world.data, "admin", "operator")

    def ask(self, method, path, *headers, **options):
        return ask(self.port, method, path, *headers, **options)

    def judge(self, *request, **options):
        """The same once the allowance of failures, which all tests share, is there again."""
        while (answer := self.ask(*request, **options)).status == 429:
            time.sleep(0.25)
        return answer
