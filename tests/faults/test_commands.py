"""The N-th I/O operation or allocation of the server fails while it runs an administration command.

A command that ends with 0 has done what it says, at once; one that ends with 1 says why in one
sentence and has done nothing, unless the server ended or its answer was lost: then it stands or
not, and the same command again tells. A revoked key never works, whatever failed."""

import errno
import json
import re
import time
import uuid

import pytest
from injection import (FILE_KINDS, FOR_EVER, INTERRUPTIONS, MEMORY_KINDS, MORE_FILE_KINDS,
                       SYNC_KINDS, Kind, points)
from stage import BACK_S, Count, Stage
from support import server as program, tokens, torture
from support.publisher import (is_gif, is_not_found, ping_target, poll_of, put_poll, results, tally,
                               token_of, vote)
from support.world import COLLECT, event, is_duplicate, is_recorded, unique

SENTENCE = re.compile(r"adtally: [^\n]+[^.\n]\n")
TOKEN_KEYS_KEPT = 20
SEED = torture.seed("commands")
POINTS_MAX = torture.size(3, 10**6)  # of each kind of fault for each command
SOCKET_KINDS = [
    Kind("EINTR of a socket", errno.EINTR, "accept poll recv send", times=(1, INTERRUPTIONS)),
    Kind("short of a socket", 0, "recv send", times=(1, FOR_EVER)),
    Kind("ECONNRESET of a socket", errno.ECONNRESET, "recv send", times=(1,)),
    Kind("EMFILE of a socket", errno.EMFILE, "accept", times=(1,)),
]


class Command:
    """One command. A subject is what it is about; `retry_fails_when_done`: there is no twice;
    `in_steps`: a failure comes after a part of it, or after all."""

    retry_fails_when_done = in_steps = False

    def __init__(self, stage):
        self.stage, self.world = stage, stage.world

    def run(self, subject):
        arguments = [*self.arguments(subject), "--data", self.world.data]
        return program.run(*arguments, stdin=self.stdin(subject))

    def stdin(self, _subject):
        return b""

    def new(self):
        return unique("label")

    def arguments(self, subject):
        raise NotImplementedError

    def stands(self, _subject):
        """What the files say; None for a command that changes nothing."""
        return None

    def check_done(self, subject, out):
        """What the server does, just after the command was done."""

    def check_undone(self, subject):
        """What it does after a refusal."""


class KeyCreate(Command):
    def arguments(self, subject):
        return ["key", "create", "--class", "partner", "--partner-id", "p", "--label", subject]

    def stands(self, subject):
        return bool(self.stage.value("SELECT count(*) FROM api_key WHERE label = ?", subject))

    def check_done(self, subject, out):
        """A key that could not be loaded yet is, as soon as the cause is gone."""
        self.stage.next_batch()
        end = time.monotonic() + BACK_S
        while (answer := self.world.post(COLLECT, event(), out.strip())).status != 204:
            assert time.monotonic() < end, f"a key that was made does not work: {answer!r}"
            time.sleep(0.02)


class KeyRevoke(Command):
    def new(self):
        label = unique("label")
        secret = program.partner_key(self.world.data, "p", label)
        return label, secret, self.stage.value("SELECT id FROM api_key WHERE label = ?", label)

    def arguments(self, subject):
        return ["key", "revoke", subject[2]]

    def stands(self, subject):
        return self.stage.value("SELECT revoked_at_ms FROM api_key WHERE id = ?",
                                subject[2]) is not None

    def check_done(self, subject, out):
        assert self.world.post(COLLECT, event(), subject[1]).status == 401, "a revoked key works"

    def check_undone(self, subject):
        assert self.world.post(COLLECT, event(), subject[1]).status == 204


class KeyList(Command):
    def arguments(self, subject):
        return ["key", "list", "--json"]

    def check_done(self, subject, out):
        assert "main" in [key["label"] for key in json.loads(out)]


class TokenKeys(Command):
    """Of the commands that replace secrets.json: the file and the server agree."""

    def file_kids(self):
        text = (self.world.data / "secrets.json").read_text(encoding="ascii")
        return [key["kid"] for key in json.loads(text)["token_keys"]]

    def server_kids(self):
        return [key["kid"] for key in
                program.cli_json("token-key", "list", "--json", "--data", self.world.data)]

    def check_undone(self, subject):
        assert self.server_kids() == self.file_kids(), "the server and its file disagree"


class TokenKeyRotate(TokenKeys):
    def new(self):
        """The kids that were there before, of which there is room for one more."""
        kids = self.file_kids()
        while len(kids) > TOKEN_KEYS_KEPT:
            program.cli("token-key", "retire", kids.pop(0), "--data", self.world.data)
        return kids

    def arguments(self, subject):
        return ["token-key", "rotate"]

    def stands(self, subject):
        return len(self.file_kids()) > len(subject)

    def check_done(self, subject, out):
        kid = out.split()[0]
        assert self.server_kids() == self.file_kids() and self.file_kids()[-1] == kid
        ad = self.world.mint()
        assert tokens.footer_of(token_of(ad["view_url"]))["kid"] == kid
        is_gif(self.world.get(ping_target(ad)))


class TokenKeyRetire(TokenKeys):
    retry_fails_when_done = True

    def new(self):
        ad, kid = self.world.mint(), self.file_kids()[-1]
        program.cli("token-key", "rotate", "--data", self.world.data)
        return kid, ad

    def arguments(self, subject):
        return ["token-key", "retire", subject[0]]

    def stands(self, subject):
        return subject[0] not in self.file_kids()

    def check_done(self, subject, out):
        is_not_found(self.world.get(ping_target(subject[1])))
        assert self.server_kids() == self.file_kids()

    def check_undone(self, subject):
        super().check_undone(subject)
        is_gif(self.world.get(ping_target(subject[1])))


class TokenKeyList(TokenKeys):
    def arguments(self, subject):
        return ["token-key", "list", "--json"]

    def check_done(self, subject, out):
        assert [key["kid"] for key in json.loads(out)] == self.file_kids()


class PollPut(Command):
    def new(self):
        return poll_of()

    def arguments(self, subject):
        return ["poll", "put", "-"]

    def stdin(self, subject):
        return json.dumps(subject).encode()

    def stands(self, subject):
        return bool(self.stage.value("SELECT count(*) FROM poll WHERE poll_id = ?",
                                     subject["sponsored_poll_id"]))

    def check_done(self, subject, out):
        """A poll that could not be loaded yet is, as soon as the cause is gone."""
        self.stage.next_batch()
        end = time.monotonic() + BACK_S
        ad = {"ads": [self.world.ad(poll_id=subject["sponsored_poll_id"])]}
        while (answer := self.world.post("/v1/mint", ad, self.world.adserver)).status != 200:
            assert time.monotonic() < end, f"a poll that was put is unknown: {answer!r}"
            time.sleep(0.02)
        tally(vote(self.world, answer.json["ads"][0]))


class PollUpdate(Command):
    """Other texts for a poll that has a vote."""

    def new(self):
        poll = poll_of()
        put_poll(self.world, poll)
        ad = self.world.mint(poll_id=poll["sponsored_poll_id"])
        tally(vote(self.world, ad))
        return {**poll, "question": "Other?"}, ad

    def arguments(self, subject):
        return ["poll", "put", "-"]

    def stdin(self, subject):
        return json.dumps(subject[0]).encode()

    def stands(self, subject):
        return self.stage.value("SELECT question FROM poll WHERE poll_id = ?",
                                subject[0]["sponsored_poll_id"]) == "Other?"

    def check_question(self, subject, question):
        """What the loops go by, and the votes."""
        self.stage.next_batch()
        assert tally(results(self.world, subject[1])) == {"0": 1, "1": 0, "2": 0}
        polls = program.cli_json("poll", "list", "--data", self.world.data)
        assert [p["question"] for p in polls if p["sponsored_poll_id"]
                == subject[0]["sponsored_poll_id"]] == [question]

    def check_done(self, subject, out):
        self.check_question(subject, "Other?")

    def check_undone(self, subject):
        self.check_question(subject, "What is it for?")


class PollWithdraw(PollUpdate):
    def arguments(self, subject):
        return ["poll", "withdraw", subject[0]["sponsored_poll_id"]]

    def stdin(self, subject):
        return b""

    def stands(self, subject):
        return self.stage.value("SELECT withdrawn_at_ms FROM poll WHERE poll_id = ?",
                                subject[0]["sponsored_poll_id"]) is not None

    def check_done(self, subject, out):
        assert results(self.world, subject[1]).status == 401


class PollList(Command):
    def arguments(self, subject):
        return ["poll", "list"]

    def check_done(self, subject, out):
        assert isinstance(json.loads(out), list)


class MintCommand(Command):
    def arguments(self, subject):
        return ["mint"]

    def stdin(self, subject):
        return json.dumps({"ads": [self.world.ad()]}).encode()

    def check_done(self, subject, out):
        assert len(json.loads(out)["ads"]) == 1


class Reload(Command):
    """The new options hold, or the old ones; never a part of them."""

    def new(self):
        url = f"https://{unique('host')}.example"
        text = f"public_url = {url}\nrate_limit = 90000\nclient_rate_limit = 90000\n"
        (self.world.data / "adtally.conf").write_text(text)
        return url

    def arguments(self, subject):
        return ["reload"]

    def check_done(self, subject, out):
        assert self.world.mint()["url"].startswith(f"{subject}/")


class Erase(Command):
    """Row by row: what was cut off is finished by the next time. Nothing that counts changes."""

    in_steps = True

    def new(self):
        user = unique("user")
        is_gif(self.world.get(ping_target(self.world.mint(user_id=user))))
        click_id = self.world.click(user_id=user)
        receipt = is_recorded(self.world.convert(click_id, idem=user))
        return user, click_id, receipt

    def arguments(self, subject):
        return ["erase", "--user-id", subject[0]]

    def stands(self, subject):
        return not self.stage.value("SELECT (SELECT count(*) FROM click WHERE user_id = ?1) +"
                                    " (SELECT count(*) FROM impression WHERE user_id = ?1)",
                                    subject[0])

    def check_done(self, subject, out):
        self.stage.next_batch()
        assert self.stands(subject), "done, and the person is still there"
        self.check_undone(subject)

    def check_undone(self, subject):
        is_duplicate(self.world.convert(subject[1], idem=subject[0]), of=subject[2])


class Import(Command):
    """Row by row, too; a row that stands is not imported twice."""

    in_steps = True

    def new(self):
        click_id, name, now_ms = str(uuid.uuid4()), unique("import"), int(time.time() * 1000)
        rows = [{"table": "click", "click_id": click_id, "recorded_at_ms": now_ms - 1000,
                 "expires_at_ms": now_ms + 10**9, "bid_id": name, "publisher_id": "pub-1"},
                {"table": "conversion", "click_id": click_id, "partner_id": "p", "event_id": name,
                 "recorded_at_ms": now_ms - 500, "conversion_time": "2026-02-19T18:00:00Z",
                 "conversion_value": 49.99, "currency": "USD"}]
        path = self.world.data / f"{name}.ndjson"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path, click_id

    def arguments(self, subject):
        return ["import", subject[0]]

    def rows(self, subject):
        return [self.stage.value(f"SELECT count(*) FROM {table} WHERE click_id = ?", subject[1])
                for table in ("click", "conversion")]

    def stands(self, subject):
        return self.rows(subject) == [1, 1]

    def check_done(self, subject, out):
        self.stage.next_batch()
        assert self.rows(subject) == [1, 1]

    def check_undone(self, subject):
        assert self.rows(subject) in ([0, 0], [1, 0]), "a conversion without its click, or twice"


COMMANDS = [KeyCreate, KeyRevoke, KeyList, TokenKeyRotate, TokenKeyRetire, TokenKeyList, PollPut,
            PollUpdate, PollWithdraw, PollList, MintCommand, Reload, Erase, Import]


def one_fault(stage, command, kind, number, times, may_be_lost):
    """One point."""
    subject = command.new()
    stage.faults.arm(kind, number, times)
    run = command.run(subject)
    stage.faults.disarm()
    if not stage.faults.failed:
        assert run.returncode == 0, run
        command.check_done(subject, run.stdout.decode())
        return
    stage.count.faults += 1
    ended = run.returncode != 0 and stage.revive()
    judge(command, subject, run, ended or may_be_lost or command.in_steps)


def judge(command, subject, run, is_open):
    """`is_open`: a failure says nothing of whether it was done."""
    stood = command.stands(subject)
    if run.returncode == 0:
        assert stood is not False, f"done, and nothing stands: {run}"
        command.check_done(subject, run.stdout.decode())
        return
    said = run.stderr.decode()
    assert run.returncode == 1 and SENTENCE.match(said), run
    assert command.in_steps or SENTENCE.fullmatch(said), run
    if not is_open:
        assert not stood, f"refused, and it stands: {run}"
    if not stood:
        command.check_undone(subject)
    again = command.run(subject)
    if stood and command.retry_fails_when_done:
        assert again.returncode == 1, again
    else:
        assert again.returncode == 0 and command.stands(subject) is not False, again
        command.check_done(subject, again.stdout.decode())


@pytest.fixture
def stage():
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture(scope="module", autouse=True)
def report(violations):
    count = Count()
    yield count
    torture.say(f"faults of commands: {len(COMMANDS)} commands, {count.faults} faults, "
                f"{count.restarts} restarts; violations {violations()} (--seed {SEED})")


KINDS = [*MEMORY_KINDS, *FILE_KINDS, *torture.size([], MORE_FILE_KINDS), *SYNC_KINDS, *SOCKET_KINDS]


@pytest.mark.parametrize("make", COMMANDS, ids=lambda make: make.__name__)
def test_one_command(stage, report, make):
    command = make(stage)
    for kind in KINDS:
        every_fault(stage, command, kind)
    stage.serves_again()
    assert stage.descriptors() <= stage.descriptors_max, "descriptors leak"
    report.add(stage.count)


def operations(stage, command, kind):
    """How many there are without a fault. What was made before adds to them, so no end is waited
    for."""
    subject = command.new()
    stage.faults.arm(kind, 0)
    run = command.run(subject)
    stage.faults.disarm()
    command.check_done(subject, run.stdout.decode())
    return stage.faults.seen


def every_fault(stage, command, kind):
    count = operations(stage, command, kind)
    for number, times in points(count, kind, POINTS_MAX, f"{SEED} {type(command).__name__}"):
        try:
            one_fault(stage, command, kind, number, times, kind in SOCKET_KINDS)
        except AssertionError as error:
            raise AssertionError(
                f"{type(command).__name__}: {kind.name} x {times} at operation {number} "
                f"({stage.faults.last}), --seed {SEED}: {error}\n"
                f"{stage.world.server.stderr[-2000:]}") from error


class EraseNobody(Erase):
    def arguments(self, subject):
        return ["erase", "--user-id", "nobody"]


def test_an_erasure_that_leaves_the_person_is_noticed(stage):
    command = EraseNobody(stage)
    subject = command.new()
    with pytest.raises(AssertionError, match="nothing stands"):
        judge(command, subject, command.run(subject), False)
