"""What must hold after a crash point: the recovery is killed too, then the program recovers, and
what was acknowledged stands, each item is there wholly or not at all, and a retry tells which."""

import random

import rows
from crash_point import CrashPoint, DoomedServer
from support import receipts, server as program

COMMANDS_PER_START = 0.3

# The id that each event's row gives out, by the name of its item.
IDS = """SELECT coalesce(idempotency_key, event_id, order_id) name, seq, NULL id FROM conversion
         UNION ALL SELECT event_id, seq, NULL FROM server_event
         UNION ALL SELECT bid_id, NULL, click_id FROM click
         UNION ALL SELECT bid_id, NULL, feedback_id FROM ad_feedback"""


def kill_start(run, number):
    """A start that dies in its recovery, before the call of that number, or at its end. True when
    it was the call."""
    server = DoomedServer(run.data)
    try:
        server.point.arm(number)
        server.launch()
        try:
            server.await_ready()
        except AssertionError:
            assert server.point.reached, server.stderr
        return server.point.reached
    finally:
        server.close()


def kill_command(run, number):
    """The same of a command, which opens the directory itself."""
    point = CrashPoint()
    point.arm(number)
    ended = point.run("key", "list", "--data", run.data)
    reached = point.reached
    assert reached or ended.returncode in (0, 1), ended
    point.close()
    return reached


def kill_recovery(run, rng, number_max):
    kill = kill_command if rng.random() < COMMANDS_PER_START else kill_start
    return kill(run, rng.randint(1, number_max))


class Judge:
    """differences: item name -> what it does to the rows when nobody kills it."""

    def __init__(self, differences):
        self.differences = differences

    def judge(self, run, items):
        """The program recovers in here; an AssertionError says what is wrong."""
        secrets = self.secrets(run)
        server = program.Server(run.data, port=run.port).start()
        try:
            assert secrets in (None, self.secrets(run)), "the secrets were made anew"
            done = self.done(run, items)
            assert set(run.acks) <= done, f"acknowledged and lost: {set(run.acks) - done}"
            found = {i.name: i.again(run, i.name in done, run.acks.get(i.name)) for i in items}
            server.stop()
        finally:
            server.kill()
        self.judge_after(run, items, found)

    def secrets(self, run):
        path = run.data / "secrets.json"
        return path.read_bytes() if path.exists() else None

    def done(self, run, items):
        found = rows.difference(run.before, rows.read(run.data))
        return rows.find_done({i.name: self.differences[i.name] for i in items}, found)

    def judge_after(self, run, items, found):
        """All items stand now, once, and their receipts are those of their rows."""
        missing = {i.name for i in items} - self.done(run, items)
        assert not missing, f"not there after the retry: {missing}"
        ids = self.ids(run)
        for name, ack in [*run.acks.items(), *found.items()]:
            assert ack is None or name not in ids or ack[1] == ids[name], (name, ack, ids[name])
        program.cli("verify", "--data", run.data)

    def ids(self, run):
        secret = receipts.key_of(run.data)
        return {r["name"]: receipts.write(secret, r["seq"]) if r["seq"] else r["id"]
                for r in program.query(run.data, IDS)}


def judge_point(judge, operation, number, seed, recovery_calls):
    """One crash point from its beginning: the call that it was reached before, or None, and
    whether the recovery's was reached."""
    rng = random.Random(f"{seed} {operation.name} {number}")
    run = operation.go(number)
    try:
        call, path = run.point.call
        reached_again = kill_recovery(run, rng, recovery_calls)
        try:
            judge.judge(run, operation.items)
        except Exception as error:
            raise AssertionError(f"{operation.name}, killed before call {number} ({call} {path}): "
                                 f"{error!r}") from error
        return call or None, reached_again
    finally:
        run.close()
