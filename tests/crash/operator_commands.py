"""Operators' commands beside the load: keys made and revoked, polls put, changed and withdrawn. A
command that a kill cut off may have been done or not; one that ended with 0 stands."""

import itertools
import json
import threading
import time

from support import server as program
from support.http import build, exchange
from support.world import COLLECT, unique

ABSENT, LIVE, REVOKED = "absent", "live", "revoked"
FIRST_POLL = 10**6  # those of the load are below
PAUSE_S = 0.01
KEYS_TRIED = 3


def poll_of(number, question):
    """Texts follow from the question: a poll that is half one put and half another shows."""
    return {"sponsored_poll_id": number, "question": question,
            "options": [{"id": str(i), "text": f"{question} {i}"}
                        for i in range(2 + len(question) % 3)]}


class Book:
    """What may be true of each subject: one state, or two while an answer is missing."""

    def __init__(self):
        self.may_be, self.secrets, self.ids, self.done = {}, {}, {}, 0

    def change(self, subject, state, *command, stdin=b""):
        """Runs a command that brings the subject into this state; its output when it ended well."""
        self.may_be[subject] = self.may_be.get(subject, {ABSENT}) | {state}
        ended = program.run(*command, stdin=stdin)
        assert ended.returncode in (0, 1), ended
        if ended.returncode != 0:
            return None
        self.may_be[subject] = {state}
        self.done += 1
        return ended.stdout

    def judge(self, actual):
        """Every subject is in a state that it may be in; it is settled from here on."""
        phantom = set(actual) - set(self.may_be)
        assert not phantom, f"nobody made {phantom}"
        for subject, states in self.may_be.items():
            found = actual.get(subject, ABSENT)
            assert found in states, f"{subject} is {found}, not one of {states}"
            self.may_be[subject] = {found}

    def in_state(self, wanted):
        return [s for s, states in self.may_be.items() if states == {wanted}]


class Commands:
    """Gives commands, one after the other, while it is entered."""

    def __init__(self, world, rng):
        self.world, self.rng = world, rng
        self.keys, self.polls = Book(), Book()
        self.poll_ids = itertools.count(FIRST_POLL)
        self.stop = threading.Event()
        self.errors, self.thread = [], None

    def __enter__(self):
        self.stop.clear()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        assert not self.errors, self.errors[0]

    def run(self):
        try:
            while not self.stop.is_set():
                self.rng.choice([self.create, self.revoke, self.put, self.change, self.withdraw])()
                time.sleep(PAUSE_S)
        except AssertionError as error:
            self.errors.append(error)

    @property
    def done(self):
        return self.keys.done + self.polls.done

    # -- commands -------------------------------------------------------------------------------

    def create(self):
        label = unique("crash")
        out = self.keys.change(label, LIVE, "key", "create", "--class", "partner", "--partner-id",
                               "p", "--label", label, "--json", "--data", self.world.data)
        if out is not None:
            made = json.loads(out)
            self.keys.ids[label], self.keys.secrets[label] = made["id"], made["secret"]

    def revoke(self):
        """The latest key whose id is known."""
        labels = [label for label in self.keys.in_state(LIVE) if label in self.keys.ids]
        if labels:
            self.keys.change(labels[-1], REVOKED, "key", "revoke", self.keys.ids[labels[-1]],
                             "--data", self.world.data)

    def put(self, number=None):
        number, question = number or next(self.poll_ids), unique("q")
        self.polls.change(number, (LIVE, question), "poll", "put", "-", "--data", self.world.data,
                          stdin=json.dumps(poll_of(number, question)).encode())

    def change(self):
        if self.polls.may_be:
            self.put(self.rng.choice(list(self.polls.may_be)))

    def withdraw(self):
        settled = [(n, state) for n, states in self.polls.may_be.items() if len(states) == 1
                   for state in states if state != ABSENT]
        if settled:
            number, (_, question) = self.rng.choice(settled)
            self.polls.change(number, (REVOKED, question), "poll", "withdraw", number,
                              "--data", self.world.data)

    # -- what must hold -------------------------------------------------------------------------

    def judge(self):
        self.judge_keys()
        self.judge_polls()

    def judge_keys(self):
        listed = program.cli_json("key", "list", "--json", "--data", self.world.data)
        ours = [k for k in listed if k["label"].startswith("crash-")]
        assert len({k["label"] for k in ours}) == len(ours), "a key stands twice"
        self.keys.judge({k["label"]: REVOKED if "revoked_at" in k else LIVE for k in ours})
        for state, status in ((LIVE, 400), (REVOKED, 401)):
            for label in self.keys.in_state(state)[-KEYS_TRIED:]:
                self.key_answers(label, status)

    def key_answers(self, label, status):
        """A live key is let in, to be told that the body lacks a name; a revoked one is not."""
        if label in self.keys.secrets:
            heads = [("Host", self.world.host), ("Content-Type", "application/json"),
                     ("Content-Length", "2"),
                     ("Authorization", f"Bearer {self.keys.secrets[label]}")]
            answer = exchange(self.world.port, build("POST", COLLECT, heads, b"{}"))
            assert answer.status == status, (label, answer)

    def judge_polls(self):
        listed = program.cli_json("poll", "list", "--data", self.world.data)
        actual = {}
        for poll in listed:
            if poll["sponsored_poll_id"] >= FIRST_POLL:
                withdrawn = poll.pop("withdrawn_at", None)
                assert poll == poll_of(poll["sponsored_poll_id"], poll["question"]), "half a poll"
                actual[poll["sponsored_poll_id"]] = (REVOKED if withdrawn else LIVE,
                                                     poll["question"])
        self.polls.judge(actual)
