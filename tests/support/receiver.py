"""A receiver of webhooks and batches: answers as the test tells it to, and checks the signature by
the book (Standard Webhooks), with nothing of ours."""

import base64
import hashlib
import hmac
import http.server
import json
import socket
import struct
import threading
import time

SECRET = b"0123456789abcdef0123456789abcdef"  # of webhooks


def is_signed(headers, body, secret=SECRET, now=None):
    """One of the signatures is right, and the timestamp is of now."""
    stamp = headers["webhook-timestamp"]
    if abs(int(stamp) - (now or time.time())) > 300:
        return False
    signed = f"{headers['webhook-id']}.{stamp}.".encode() + body
    want = "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(want, given) for given in headers["webhook-signature"].split())


class Receiver:
    """`answer(request)` gives a status, a (status, headers), or a word: "reset", "silence",
    "endless". What got a 2xx is in `taken`, in the order of the answers."""

    def __init__(self):
        self.lock, self.requests, self.taken = threading.Lock(), [], []
        self.answer = lambda request: 204
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                receiver.on_post(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/in"

    def on_post(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        request = {"headers": dict(handler.headers.items()), "body": body, "at": time.monotonic(),
                   "rows": [json.loads(line) for line in body.splitlines()]}
        with self.lock:
            self.requests.append(request)
        answer = self.answer(request)
        if answer == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                          struct.pack("ii", 1, 0))
            handler.connection.close()
            handler.close_connection = True
            return
        if answer == "silence":
            time.sleep(3)
            handler.close_connection = True
            return
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        if answer == "endless":
            status = 200
        if 200 <= status < 300:
            with self.lock:
                self.taken.append(request)
        self.respond(handler, status, headers, answer == "endless")

    @staticmethod
    def respond(handler, status, headers, is_endless):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(10**9 if is_endless else 0))
        handler.end_headers()
        for _ in range(10_000 if is_endless else 0):
            handler.wfile.write(b"x" * 10_000)

    @property
    def rows(self):
        with self.lock:
            return [row for request in self.taken for row in request["rows"]]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
