"""A server whose listening socket somebody else holds, as systemd's socket units do: it outlives
the process, and who connects between two processes waits."""

import json
import socket
import threading

from support import server as program
from support.http import Closed, Conn
from support.world import V1, World, conversion, unique

# The shell becomes the server, so its own id is the one that LISTEN_PID has to name.
HAND_OVER = 'eval "exec 3<&$0 $0<&-"; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'


class HeldServer(program.Server):
    """Everything of a server but its socket, which is this object's for all of its processes."""

    def __init__(self, data, flags=(), port=None, environment=None):
        super().__init__(data, flags, port, environment)
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", self.port))
        self.socket.listen(4096)

    def command(self):
        """What it would listen on by itself is taken: it must not even try."""
        return ["bash", "-c", HAND_OVER, str(self.socket.fileno()), *super().command()]

    def launch(self):
        self.launch_with(pass_fds=[self.socket.fileno()])

    def close(self):
        self.kill()
        self.socket.close()


class Load:
    """Clients that send conversions without a pause, on kept-open connections and on new ones, and
    count what went wrong. A connection that was told to close is opened anew, and nothing else is
    tried twice."""

    def __init__(self, world, clients=4):
        self.world, self.click = world, world.click()
        self.stop = threading.Event()
        self.acked, self.failed, self.longest_s = [], [], 0.0
        self.threads = [threading.Thread(target=self.run, args=(number % 2 == 0,))
                        for number in range(clients)]

    def __enter__(self):
        [thread.start() for thread in self.threads]
        return self

    def __exit__(self, *_):
        self.stop.set()
        [thread.join() for thread in self.threads]

    def run(self, keeps_open):
        conn = None
        while not self.stop.is_set():
            try:
                conn = conn or Conn(self.world.port, timeout_s=60)
                conn = self.send_one(conn, keeps_open)
            except (OSError, Closed, AssertionError) as error:
                self.failed.append(repr(error))
                conn = None
                self.stop.wait(0.05)
        if conn:
            conn.close()

    def send_one(self, conn, keeps_open):
        key = unique("load")
        conn.send(self.world.post_bytes(V1, conversion(self.click, event_id=key)))
        answer = conn.read()
        if answer.status == 200 and json.loads(answer.body)["status"] == "ok":
            self.acked.append(key)
        else:
            self.failed.append(repr(answer))
        if keeps_open and (answer.header("connection") or "").lower() != "close":
            return conn
        conn.close()
        return None

    def stored(self):
        return {row["event_id"] for row in self.world.rows("SELECT event_id FROM conversion")}


def held_world(flags=()):
    return World(flags, make_server=HeldServer)
