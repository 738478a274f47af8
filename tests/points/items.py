"""What an operation is made of: one request or one command, how it is given, what counts as its
acknowledgement, and what it must answer when it is given again after a crash.

An item keeps nothing of a run: the runs share it, and go side by side."""

import contextlib
import subprocess

from support import aged, server as program
from support.http import Closed, Conn, build
from support.world import COLLECT

TELLS_APART = {"ok", "duplicate"}


@contextlib.contextmanager
def cut_off():
    """What a server that dies does to its clients."""
    try:
        yield
    except (OSError, Closed):
        pass
    except AssertionError as error:
        if "cut" not in str(error):
            raise


class Request:
    """An HTTP request. Its name is the identity that its row has. `once`: each is a new event."""

    def __init__(self, kind, name, data, read, once=False):
        self.kind, self.name, self.data, self.read, self.once = kind, name, data, read, once

    def give(self, run):
        with cut_off():
            conn = Conn(run.port)
            conn.send(self.data)
            return conn
        return None

    def take(self, conn):
        """The acknowledgement, (status, receipt), or None when none came."""
        if conn is not None:
            with conn, cut_off():
                return self.read(conn.read())
        return None

    def ask(self, run):
        ack = self.take(self.give(run))
        assert ack, f"{self.name}: no answer"
        return ack

    def again(self, run, done, ack):
        """A retry tells what stands; after it, the item stands."""
        if self.once:
            return ack if done else self.ask(run)
        first, second = self.ask(run), self.ask(run)
        if first[0] in TELLS_APART:
            assert (first[0], second[0]) == ("duplicate" if done else "ok", "duplicate"), self.name
        assert first[1] == second[1] and ack in (None, (ack and ack[0], first[1])), self.name
        return first


class Command:
    """A command of the operator's. `once`: given again it is another one; `refused`: it is
    refused then; else it does nothing more."""

    def __init__(self, name, *args, stdin=b"", once=False, refused=False):
        self.kind = self.name = name
        self.args, self.stdin = args, stdin
        self.once, self.refused = once, refused

    def line(self, data):
        return [program.BINARY, *map(str, self.args), "--data", str(data)]

    def give(self, run):
        """Begins to run; the file of its input cannot fill up as a pipe could."""
        process = subprocess.Popen(self.line(run.data), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(self.stdin)
            process.stdin.close()
        process.stdin = None
        return process

    def take(self, process):
        out, err = process.communicate(timeout=30)
        assert process.returncode in (0, 1, 137), err
        return ("done", out.decode().strip()) if process.returncode == 0 else None

    def again(self, run, done, ack):
        if done and self.once:
            return ack
        found = self.take(self.give(run))
        assert (found is None) == (done and self.refused), f"{self.name}: {found}"
        return found


def is_let_in(run, secret):
    """A live key is let in, to be told that the body lacks a name; another is 401."""
    heads = [("Host", "points"), ("Content-Type", "application/json"), ("Content-Length", "2"),
             ("Authorization", f"Bearer {secret}")]
    with Conn(run.port) as conn:
        conn.send(build("POST", COLLECT, heads, b"{}"))
        answer = conn.read()
    assert answer.status in (400, 401), answer
    return answer.status == 400


class CreateKey(Command):
    """The secret that was printed is good."""

    def again(self, run, done, ack):
        found = super().again(run, done, ack)
        assert found is None or is_let_in(run, found[1]), self.name
        return found


class RevokeKey(Command):
    """The secret is good until it is revoked."""

    def __init__(self, name, *args, secret):
        super().__init__(name, *args)
        self.secret = secret

    def again(self, run, done, ack):
        assert is_let_in(run, self.secret) != done, self.name
        found = super().again(run, done, ack)
        assert not is_let_in(run, self.secret), self.name
        return found


class Retention:
    """What is old goes by itself, all of it in one step."""

    name = "retention"

    def again(self, run, done, ack):
        aged.await_removal(run.data)


class Start:
    """The first start in a directory: any start makes up for it."""

    name = "start"

    def again(self, run, done, ack):
        assert done, "a server is ready, and its directory is not whole"
