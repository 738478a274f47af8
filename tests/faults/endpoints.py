"""Every request that a client can send, as a subject that can be sent again: what is an
acknowledgement, what is a refusal in its dialect, and which rows stand for it."""

from urllib.parse import parse_qsl, urlsplit

from support.publisher import (FEEDBACK, PINGS, SECONDS, ballots, feedback, is_detail, is_gif,
                               is_given, is_not_rated, is_poll_error, is_rated, new_poll, ping_url,
                               publisher_key, rate_bytes, rating, show, tally, token_of,
                               vote_bytes)
from support.world import (ABSENT, API, COLLECT, COLLECT_ALIAS, LANDING, MINT, V1, conversion,
                           event, is_collected, is_refused, unique)

BATCH = 200


class Endpoint:
    """One route. A subject is whatever a retry needs to say the same again."""

    name = table = where = ""
    refusal = 503

    def __init__(self, world):
        self.world, self.ready = world, []

    def new(self):
        """A subject that was never sent; made while nothing fails, many at a time."""
        if not self.ready:
            self.ready = self.make(BATCH)
        return self.ready.pop()

    def make(self, count):
        raise NotImplementedError

    def request(self, subject):
        """The bytes to send."""
        raise NotImplementedError

    def key(self, subject):
        """The value of the column `where` in the rows that stand for it."""
        return subject

    def is_acknowledged(self, answer):
        return answer.status in (200, 204)

    def check_acknowledged(self, answer):
        """Looks like an acknowledgement to the last byte; what a retry must be told again."""
        raise NotImplementedError

    def check_refused(self, answer):
        raise NotImplementedError

    def check_retry(self, answer, stood, told):
        """The answer of a retry, to something that stood (or not) and was told `told` (or None)."""
        again = self.check_acknowledged(answer)
        assert told is None or again == told, (told, again)

    def rows_after(self, _stood):
        """How many rows stand after the retry."""
        return 1


def is_retriable(answer):
    assert SECONDS.fullmatch(answer.header("retry-after") or ""), answer


class Conversion(Endpoint):
    name, table, where, path = "conversion (002)", "conversion", "idempotency_key", V1

    def make(self, count):
        click = self.world.click()
        return [(click, unique("key")) for _ in range(count)]

    def key(self, subject):
        return subject[1]

    def request(self, subject):
        click, key = subject
        return self.world.post_bytes(self.path, conversion(click, order_id=key),
                                     headers=[("Idempotency-Key", key)])

    def check_acknowledged(self, answer):
        assert answer.status == 200 and answer.json["status"] in ("ok", "duplicate"), answer
        return answer.receipt

    def check_refused(self, answer):
        is_refused(answer, 503)
        is_retriable(answer)

    def check_retry(self, answer, stood, told):
        super().check_retry(answer, stood, told)
        assert answer.json["status"] == ("duplicate" if stood else "ok"), answer


class ConversionApi(Conversion):
    name, path = "conversion (004)", API


class Collect(Endpoint):
    name, table, where, path = "collect", "server_event", "event_id", COLLECT

    def make(self, count):
        return [unique("event") for _ in range(count)]

    def request(self, subject):
        return self.world.post_bytes(self.path, event(event_id=subject))

    def check_acknowledged(self, answer):
        return is_collected(answer)

    def check_refused(self, answer):
        is_refused(answer, 503)
        is_retriable(answer)


class CollectAlias(Collect):
    name, path = "collect alias", COLLECT_ALIAS


class OfAd(Endpoint):
    """A subject is an ad, its bid the key."""

    where = "bid_id"

    def make(self, count):
        return self.world.mint_many([self.world.ad()] * count)

    def key(self, subject):
        return subject["bidId"]


class Click(OfAd):
    """Who clicks arrives: refused means the landing page without a click id."""

    name, table, url = "click", "click", "url"

    def request(self, subject):
        return self.world.get_bytes(self.world.target(subject[self.url]))

    def is_acknowledged(self, answer):
        assert answer.status == 302, answer
        return answer.header("location") != LANDING

    def check_acknowledged(self, answer):
        query = dict(parse_qsl(urlsplit(answer.header("location")).query))
        assert query["thrad_click_id"] and query["thrad_sig"], answer
        return query["thrad_click_id"]

    def check_refused(self, answer):
        assert (answer.status, answer.header("location")) == (302, LANDING), answer

    def check_retry(self, answer, stood, told):
        """Each GET is a click of its own."""
        assert self.is_acknowledged(answer) and self.check_acknowledged(answer) != told

    def rows_after(self, stood):
        return stood + 1


class TrackClick(Click):
    name, url = "track click", "clickUrl"


class Ping(OfAd):
    route, table = "view", "impression"

    def __init__(self, world):
        super().__init__(world)
        self.name = f"{self.route} ping"

    def request(self, subject):
        return self.world.get_bytes(
            ping_url(self.route, token_of(subject[PINGS[self.route][0]])))

    def check_acknowledged(self, answer):
        is_gif(answer)

    def check_refused(self, answer):
        is_detail(answer, 503)
        is_retriable(answer)


class AckPing(Ping):
    route = "ack"


class TrackPing(Ping):
    route = "track"


class Feedback(OfAd):
    name, table = "feedback", "feedback"

    def make(self, count):
        return [show(self.world) for _ in range(count // 4)]

    def request(self, subject):
        return self.world.post_bytes(FEEDBACK, feedback(subject["bidId"]), ABSENT)

    def check_acknowledged(self, answer):
        is_given(answer)

    def check_refused(self, answer):
        is_detail(answer, 500)
        is_retriable(answer)


class AdFeedback(OfAd):
    name, table = "ad-feedback", "ad_feedback"

    def make(self, count):
        publisher_key(self.world.data)
        return [{"bidId": ad["bidId"], "body": rating(ad)} for ad in super().make(count)]

    def request(self, subject):
        return rate_bytes(self.world, subject["body"])

    def check_acknowledged(self, answer):
        return is_rated(answer)

    def check_refused(self, answer):
        is_not_rated(answer, 503, "unavailable")
        is_retriable(answer)


class Vote(OfAd):
    name, table = "vote", "vote"

    def __init__(self, world):
        super().__init__(world)
        self.poll = new_poll(world)

    def make(self, count):
        return ballots(self.world, self.poll, count)

    def request(self, subject):
        return vote_bytes(self.world, subject)

    def check_acknowledged(self, answer):
        assert tally(answer)["0"] > 0, answer

    def check_refused(self, answer):
        is_poll_error(answer, 500, "server_error")
        is_retriable(answer)

    def check_retry(self, answer, stood, told):
        if stood:
            is_poll_error(answer, 409, "duplicate_vote")
        else:
            self.check_acknowledged(answer)


class Results(Vote):
    """Reads: refused or true, and nothing stands for it."""

    name, table = "results", ""

    def request(self, subject):
        return self.world.get_bytes(self.world.target(subject["results_url"]))

    def check_acknowledged(self, answer):
        assert sum(tally(answer).values()) == 0, answer

    def check_retry(self, answer, stood, told):
        self.check_acknowledged(answer)


class Mint(Endpoint):
    name = "mint"

    def make(self, count):
        return [unique("bid") for _ in range(count)]

    def request(self, subject):
        return self.world.post_bytes(MINT, {"ads": [self.world.ad(bid_id=subject)]},
                                     self.world.adserver)

    def check_acknowledged(self, answer):
        assert answer.status == 200 and len(answer.json["ads"]) == 1, answer

    def check_refused(self, answer):
        raise AssertionError(f"minting needs no store: {answer!r}")


class Health(Endpoint):
    """Says what the store can do: also while it cannot."""

    name = "health"

    def make(self, count):
        return [None] * count

    def request(self, subject):
        return self.world.get_bytes("/health")

    def check_acknowledged(self, answer):
        assert answer.body == b'{"status":"ok","ready":true}', answer

    def check_refused(self, answer):
        assert (answer.status, answer.body) == (503, b'{"status":"degraded","ready":false}')


ENDPOINTS = [Conversion, ConversionApi, Collect, CollectAlias, Click, TrackClick, Ping, AckPing,
             TrackPing, Feedback, AdFeedback, Vote, Results, Mint, Health]
