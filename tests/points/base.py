"""The directories that the runs begin with, made once, and the items that fit them."""

import collections
import json
import shutil
import time
import uuid

import rows
from items import Command, CreateKey, Request, RevokeKey
from support import aged, server as program
from support.clock import LIBRARIES
from support.answers import clicked, collected, converted, given, rated, viewed, voted
from support.publisher import (FEEDBACK, ballots, feedback, new_poll, ping_target, poll_of,
                               rate_bytes, rating, tally, vote_bytes)
from support.world import ABSENT, API, COLLECT, COLLECT_ALIAS, V1, World, conversion, event, unique

# What a run is a copy of, and the rows in it.
Source = collections.namedtuple("Source", "path state")


def copy(source):
    """A socket that a kill left is not copied; a start makes its own."""
    path = program.temp_dir()
    shutil.copytree(source, path, dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("admin.sock"))
    return path


def source_of(path):
    """The rows are read from a copy: reading a WAL leaves traces beside it."""
    beside = copy(path)
    state = rows.read(beside)
    shutil.rmtree(beside)
    return Source(path, state)


class Base:
    def __init__(self):
        self.world = World()
        self.poll, self.doomed_poll = new_poll(self.world), new_poll(self.world)
        program.cli("token-key", "rotate", "--data", self.world.data)
        self.old_kid = program.cli_json("token-key", "list", "--json", "--data",
                                        self.world.data)[0]["kid"]
        self.make_key_to_revoke()
        self.make_person()
        self.import_file = self.make_import()
        self.click_id = self.world.click()
        self.ads = iter(ballots(self.world, self.poll, 20))
        self.requests = self.make_requests()
        self.commands = self.make_commands()
        self.world.server.stop()
        self.clean = source_of(copy(self.world.data))
        self.with_wal = self.make_wal()
        self.empty = Source(program.temp_dir(), collections.Counter())
        self.aged = source_of(aged.make()) if LIBRARIES else None

    def close(self):
        self.world.close()
        self.import_file.unlink()
        for source in filter(None, (self.clean, self.empty, self.aged)):
            shutil.rmtree(source.path)

    def make_key_to_revoke(self):
        label = unique("spare")
        self.secret = program.partner_key(self.world.data, "p", label)
        self.key_id = program.key_id(self.world.data, label)

    def make_person(self):
        """One row of theirs, so that an erasure is done or not."""
        self.person = unique("person")
        self.world.get(ping_target(self.world.mint(user_id=self.person)))

    def make_import(self):
        """One row, too, beside the directories that the runs copy."""
        now_ms = int(time.time() * 1000)
        row = {"table": "click", "click_id": str(uuid.uuid4()), "recorded_at_ms": now_ms,
               "expires_at_ms": now_ms + 10**9, "bid_id": unique("bid"), "publisher_id": "pub-1"}
        path = self.world.data.with_suffix(".ndjson")
        path.write_text(json.dumps(row) + "\n")
        return path

    def make_wal(self):
        """What a kill leaves: the WAL holds everything since the start."""
        self.world.server.start()
        for request in self.requests:
            request.ask(self.world)
        for command in self.commands[:3]:
            assert command.take(command.give(self.world)), command.name
        self.world.server.kill()
        return source_of(self.world.data)

    # -- items ----------------------------------------------------------------------------------

    def convert(self, path, *layers):
        name = unique("conversion")
        heads = [("Idempotency-Key", name)] if "header" in layers else []
        fields = {layer: name for layer in layers if layer != "header"}
        data = self.world.post_bytes(path, conversion(self.click_id, **fields), headers=heads)
        return Request(f"{path} by {'+'.join(layers)}", name, data, converted)

    def collect(self, path, padding=0):
        name = unique("event")
        body = event(event_id=name, tag_id="t", timestamp=1770000000, page_url="u" * padding,
                     referrer="r" * padding, custom="c" * min(padding, 1000))
        return Request(path, name, self.world.post_bytes(path, body), collected)

    def click(self, url):
        ad = next(self.ads)
        return Request(f"click of {url}", ad["bidId"],
                       self.world.get_bytes(self.world.target(ad[url])), clicked, once=True)

    def view(self, route):
        ad = next(self.ads)
        return Request(f"impression by {route}", f"{route} {ad['bidId']}",
                       self.world.get_bytes(ping_target(ad, route)), viewed)

    def feedback(self):
        ad = next(self.ads)
        self.world.get(ping_target(ad))
        body = feedback(ad["bidId"], feedback_text="good")
        return Request("feedback", f"feedback {ad['bidId']}",
                       self.world.post_bytes(FEEDBACK, body, ABSENT), given)

    def rate(self):
        ad = next(self.ads)
        body = rating(ad, reasons=["a", "b"], comment="c", device={"os": "x"})
        return Request("ad-feedback", ad["bidId"], rate_bytes(self.world, body), rated)

    def vote(self):
        ad = next(self.ads)
        return Request("vote", f"vote {ad['bidId']}", vote_bytes(self.world, ad, "1"), voted)

    def results(self):
        """Records nothing, and is answered when the ledger has done all that came before."""
        target = self.world.target(next(self.ads)["results_url"])
        return Request("results", "results", self.world.get_bytes(target),
                       lambda answer: ("ok again", sum(tally(answer).values())))

    def make_requests(self):
        return [self.convert(V1, "header", "order_id"), self.convert(API, "event_id"),
                self.convert(API, "order_id"), self.collect(COLLECT),
                self.collect(COLLECT_ALIAS, 8000), self.click("url"), self.click("clickUrl"),
                self.view("view"), self.view("ack"), self.view("track"), self.feedback(),
                self.rate(), self.vote()]

    def make_commands(self):
        changed = {**poll_of([("3", "New"), ("1", "Changed"), ("0", "Wedding")]),
                   "sponsored_poll_id": self.poll}
        put = ("poll", "put", "-")
        return [CreateKey("key create", "key", "create", "--class", "partner", "--partner-id", "p",
                          "--label", unique("label"), once=True),
                RevokeKey("key revoke", "key", "revoke", self.key_id, secret=self.secret),
                Command("poll put", *put, stdin=json.dumps(poll_of()).encode()),
                Command("poll put again", *put, stdin=json.dumps(changed).encode()),
                Command("poll withdraw", "poll", "withdraw", self.doomed_poll),
                Command("token-key rotate", "token-key", "rotate", once=True),
                Command("token-key retire", "token-key", "retire", self.old_kid, refused=True),
                Command("erase", "erase", "--user-id", self.person),
                Command("import", "import", self.import_file)]
