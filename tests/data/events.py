"""One of everything that a person leaves, and what has to hold of it afterwards."""

import json

from support import server as program
from support.publisher import (is_gif, new_poll, ping_target, rate, rating,
                               send_feedback, feedback, vote)
from support.world import COLLECT, event, is_collected, is_duplicate, is_recorded, unique


class Person:
    """Somebody with an impression, a click, a conversion, an event, feedback of both kinds and a
    vote; every text that names them is `name` and something."""

    def __init__(self, world, poll_id, name):
        self.world, self.name = world, name
        self.user, self.session = f"{name}-user", f"{name}-session"
        self.ad = world.mint(user_id=self.user, session_id=self.session, poll_id=poll_id,
                             campaign_id="cam-1", advertiser_id="adv-1")
        self.agent = [("User-Agent", f"{name}-agent")]
        is_gif(world.get(ping_target(self.ad), self.agent))
        answer = world.get(world.target(self.ad["url"]), self.agent)
        self.click_id = answer.header("location").split("thrad_click_id=")[1].split("&")[0]
        self.receipt = is_recorded(self.convert())
        self.event_id = unique("event")
        self.event_receipt = is_collected(self.collect())
        body = feedback(self.ad["bidId"], feedback_text=f"{name}-text")
        assert send_feedback(world, body).status == 204
        self.rating = rating(self.ad, sessionId=self.session, userId=self.user,
                             comment=f"{name}-comment", device={"name": f"{name}-device"})
        assert rate(world, self.rating).status == 200
        assert vote(world, self.ad).status == 200

    def convert(self, world=None):
        return (world or self.world).convert(
            self.click_id, idem=f"key-of-{self.click_id}", session_id=self.session,
            user_agent=f"{self.name}-agent", page_url=f"https://shop.example/{self.name}",
            note=f"{self.name}-extra")

    def collect(self, world=None):
        body = event(event_id=self.event_id, tag_id="tag", click_id=self.click_id,
                     session_id=self.session, user_agent=f"{self.name}-agent")
        return (world or self.world).post(COLLECT, body)

    def is_remembered(self, world=None):
        """What was sent before is a duplicate of what stands, receipts included."""
        is_duplicate(self.convert(world), of=self.receipt)
        assert is_collected(self.collect(world)) == self.event_receipt
        assert vote(world or self.world, self.ad).status == 409


def people(world, count, prefix="person"):
    poll_id = new_poll(world)
    return [Person(world, poll_id, unique(prefix)) for _ in range(count)], poll_id


def is_verified(data):
    program.cli("verify", "--data", data)


def results(world, ad):
    answer = world.get(world.target(ad["results_url"]))
    assert answer.status == 200, answer
    return answer.json


def serve(world, data, *flags, environment=None):
    """A server on other data that knows the world's partner key, as a world to send to."""
    server = program.Server(data, flags, environment=environment).start()
    return Elsewhere(world, server)


class Elsewhere:
    """The world's requests, sent to another server: keys and tokens came along."""

    def __init__(self, world, server):
        self.world, self.server, self.data = world, server, server.data

    def __enter__(self):
        self.saved = self.world.server
        self.world.server = self.server
        return self.world

    def __exit__(self, *_):
        self.world.server = self.saved
        try:
            self.server.stop()
        finally:
            self.server.kill()


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]
