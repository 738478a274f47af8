"""A proxy between adtally and PostgreSQL that reads the protocol's messages and cuts the connection
after the N-th one of a direction, or inside of it."""

import contextlib
import socket
import struct
import threading

TO_DATABASE, TO_CLIENT = "to the database", "to the client"


class Cut(Exception):
    pass


class Wire:
    """Counts from arm() on; at most one cut for each."""

    def __init__(self, port):
        self.database_port = port
        self.lock = threading.Lock()
        self.left, self.direction, self.is_torn, self.was_cut = None, None, False, False
        self.is_closed, self.sockets, self.dropped = False, set(), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def arm(self, direction, count, is_torn=False):
        """Cuts when `count` messages have passed; torn: and half of the next one."""
        with self.lock:
            self.direction, self.left = direction, count
            self.is_torn, self.was_cut = is_torn, False

    def disarm(self):
        """Whether it did cut."""
        with self.lock:
            self.left = None
            return self.was_cut

    def close(self):
        self.is_closed = True
        self.listener.close()
        with self.lock:
            sockets = list(self.sockets)
        for sock in sockets:
            shut(sock)

    # -- connections ----------------------------------------------------------------------------

    def accept(self):
        with contextlib.suppress(OSError):
            while not self.is_closed:
                client = self.listener.accept()[0]
                with contextlib.suppress(OSError):
                    self.join(client)

    def join(self, client):
        try:
            database = socket.create_connection(("127.0.0.1", self.database_port))
        except OSError:
            client.close()
            raise
        for sock in (client, database):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.sockets.add(sock)
        for source, sink, direction in ((client, database, TO_DATABASE),
                                        (database, client, TO_CLIENT)):
            threading.Thread(target=self.pump, args=(source, sink, direction),
                             daemon=True).start()

    def pump(self, source, sink, direction):
        """Message after message: the first of a client has no type."""
        has_type = direction == TO_CLIENT
        with contextlib.suppress(OSError, Cut):
            while True:
                message = read_message(source, has_type)
                has_type = True
                self.pass_on(sink, message, direction)
        shut(source), shut(sink)

    def pass_on(self, sink, message, direction):
        with self.lock:
            is_last = self.left == 0 and direction == self.direction
            if self.left and direction == self.direction:
                self.left -= 1
            if is_last:
                self.left, self.was_cut = None, True
                self.dropped.append(message)
        if not is_last:
            sink.sendall(message)
            return
        if self.is_torn:
            sink.sendall(message[: len(message) // 2])
        raise Cut


def shut(sock):
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise Cut
        data += part
    return data


def read_message(sock, has_type):
    kind = read_exactly(sock, 1) if has_type else b""
    length = read_exactly(sock, 4)
    return kind + length + read_exactly(sock, struct.unpack(">I", length)[0] - 4)
