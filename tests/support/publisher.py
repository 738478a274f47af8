"""The publisher's side: its routes and keys, the steps its tests are made of, and what its answers
must look like. Every answer of these routes carries the CORS origin header and echoes nothing."""

import functools
import itertools
import json
import re
from urllib.parse import parse_qsl, urlsplit

from support import server as program
from support import tokens
from support.world import ABSENT, CANARY, lists_problems, unique

VIEW, ACK, TRACK_IMP = "/api/v1/tracking/view", "/ack", "/track/imp"
FEEDBACK, AD_FEEDBACK = "/api/v1/tracking/feedback", "/ad-feedback"
VOTE, RESULTS = "/api/v1/tracking/sponsored-polls/vote", "/api/v1/tracking/sponsored-polls/results"
# route: the mint answer's URL, the path, the parameter, the token's purpose
PINGS = {"view": ("view_url", VIEW, "token", "view"), "ack": ("impUrl", ACK, "p", "ack"),
         "track": ("impUrl", TRACK_IMP, "p", "ack")}
POLL_URLS = {"vote": ("vote_url", VOTE, "token", "vote"),
             "results": ("results_url", RESULTS, "token", "results")}
FACTS = {"publisher_id": "pub-9", "campaign_id": "cam-1", "product_id": "prd-1",
         "creative_id": "crt-1", "advertiser_id": "adv-1", "user_id": "usr-é",
         "session_id": "ses-1", "placement": "below", "price": "1.25", "currency": "EUR",
         "pricing": "cpc"}
FACTS_OF_VOTE = [name for name in FACTS if name not in ("price", "currency", "pricing")]
OPTIONS = [("0", "Wedding"), ("1", "Study"), ("2", "Workout")]
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SECONDS = re.compile("[1-9][0-9]*")

_poll_ids = itertools.count(1001)


# -- steps ----------------------------------------------------------------------------------


def token_of(url):
    """The token in a minted URL, which has no other parameter."""
    ((_, token),) = parse_qsl(urlsplit(url).query, strict_parsing=True)
    return token


def ping_url(route, token):
    return f"{PINGS[route][1]}?{PINGS[route][2]}={token}"


def ping_target(ad, route="view"):
    return ping_url(route, token_of(ad[PINGS[route][0]]))


def show(world, route="view", **fields):
    """Mints an ad and records its impression."""
    ad = world.mint(**fields)
    is_gif(world.get(ping_target(ad, route)))
    return ad


def feedback(bid_id, feedback_type="positive", **fields):
    """A body of seed 000; a field that is ABSENT is left out, None is sent as null."""
    body = {"bid_id": bid_id, "feedback_type": feedback_type, **fields}
    return {k: v for k, v in body.items() if v is not ABSENT}


def send_feedback(world, body, headers=()):
    return world.post(FEEDBACK, body, ABSENT, headers)


@functools.cache
def publisher_key(data, publisher_id="pub-1"):
    return program.key_create(data, "publisher", unique("label"), "--publisher-id", publisher_id)


def rating(ad, **fields):
    """A body of seed 001, of a session of its own unless told."""
    body = {"sessionId": unique("sess"), "impUrl": ad["impUrl"], "sentiment": "thumbs_up", **fields}
    return {k: v for k, v in body.items() if v is not ABSENT}


def rate_bytes(world, body, key=None, headers=()):
    """An ad-feedback as bytes, with the key of pub-1 unless told; key=ABSENT sends none."""
    key = publisher_key(world.data) if key is None else key
    keys = [] if key is ABSENT else [("X-API-Key", key)]
    return world.post_bytes(AD_FEEDBACK, body, ABSENT, [*keys, *headers])


def rate(world, body, key=None, headers=()):
    return world.send(rate_bytes(world, body, key, headers))


def forged(world, **claims):
    """A token as any library would make it, without landing URL and of a bid of its own."""
    return tokens.forge(world.data, **{"url": None, "bid": unique("bid"), **claims})


def poll_of(options=OPTIONS, **fields):
    poll = {"sponsored_poll_id": next(_poll_ids), "question": "What is it for?",
            "options": [{"id": i, "text": t} for i, t in options], **fields}
    return {k: v for k, v in poll.items() if v is not ABSENT}


def put_poll(world, poll, expect=0):
    """`adtally poll put` from standard input, beside the running server."""
    return program.cli("poll", "put", "-", "--data", world.data, stdin=json.dumps(poll).encode(),
                       expect=expect)


def new_poll(world, options=OPTIONS, **fields):
    poll = poll_of(options, **fields)
    put_poll(world, poll)
    return poll["sponsored_poll_id"]


def ballots(world, poll_id, count):
    """Ads with this poll, each of a bid of its own."""
    ads = [world.ad(poll_id=poll_id)] * count
    return [ad for i in range(0, count, 500) for ad in world.mint_many(ads[i : i + 500])]


def vote_bytes(world, ad, option_id="0"):
    return world.post_bytes(world.target(ad["vote_url"]), {"option_id": option_id}, ABSENT)


def vote(world, ad, option_id="0"):
    return world.send(vote_bytes(world, ad, option_id))


def results(world, ad):
    return world.follow(ad["results_url"])


# -- what an answer must look like ----------------------------------------------------------


def is_open(answer):
    """A browser of any origin may read it, and nothing that the client sent comes back."""
    assert answer.header("access-control-allow-origin") == "*", answer
    assert CANARY.encode() not in answer.raw, f"an echo: {answer!r}"
    assert answer.receipt is None, answer


def is_gif(answer):
    """The impression's answer, byte for byte where a client could notice."""
    assert answer.status == 200, answer
    assert answer.header("content-type") == "image/gif", answer
    assert answer.header("cache-control") == "no-store", answer
    assert len(answer.body) == 43 and answer.body[:6] in (b"GIF89a", b"GIF87a"), answer
    assert answer.body[6:10] == b"\1\0\1\0" and answer.body.endswith(b";"), "not 1x1"
    is_open(answer)


def is_detail(answer, status, text=None):
    """A refusal of the 000 dialect (view and ack speak it too), exact when the text is given."""
    assert answer.status == status, answer
    assert list(answer.json) == ["detail"] and isinstance(answer.json["detail"], str), answer
    assert answer.json["detail"] and text in (None, answer.json["detail"]), answer
    assert text is None or answer.body == b'{"detail":"%s"}' % text.encode(), answer
    is_open(answer)


def is_not_found(answer):
    is_detail(answer, 404, "Not Found")


def is_given(answer):
    """The 204 of seed 000."""
    assert (answer.status, answer.body) == (204, b""), answer
    is_open(answer)


def is_unprocessable(answer, *problems):
    """422 of seed 000 with just these (type, loc) in this order; type None is any."""
    assert answer.status == 422, answer
    is_open(answer)
    lists_problems(answer, problems)


def is_rated(answer):
    """The 200 of seed 001; the feedback's id is returned."""
    assert answer.status == 200, answer
    match = re.fullmatch(r'\{"status":"ok","feedbackId":"([^"]*)"\}', answer.body.decode())
    assert match and UUID.fullmatch(match[1]) and answer.json, answer
    is_open(answer)
    return match[1]


def is_not_rated(answer, status, error, fields=None):
    """A refusal of seed 001; `fields` are the names of a validation error, in their order."""
    assert answer.status == status and answer.json["error"] == error, answer
    assert isinstance(answer.json["message"], str) and answer.json["message"], answer
    assert set(answer.json) - {"fields"} == {"error", "message"}, answer
    found = answer.json.get("fields")
    assert found is None or error == "validation_error", answer
    if fields is not None:
        assert [f["field"] for f in found] == list(fields), answer
    for item in found or []:
        assert set(item) == {"field", "message"}, answer
        assert isinstance(item["message"], str) and item["message"], answer
    is_open(answer)


def is_invalid_rating(answer, *fields):
    is_not_rated(answer, 422, "validation_error", fields)


def is_limited(answer, longest_s=60):
    """429 of seed 001; the seconds it asks to wait."""
    is_not_rated(answer, 429, "rate_limited")
    wait = answer.header("retry-after") or ""
    assert SECONDS.fullmatch(wait) and int(wait) <= longest_s, answer
    return int(wait)


def is_poll_error(answer, status, code):
    """A refusal of seed 003."""
    assert answer.status == status and list(answer.json) == ["error"], answer
    assert set(answer.json["error"]) == {"code", "message"}, answer
    assert answer.json["error"]["code"] == code, answer
    message = answer.json["error"]["message"]
    assert isinstance(message, str) and message, answer
    is_open(answer)


def digits(answer):
    """The 200 of seed 003 with its numbers as they are written and its members in their order."""
    assert answer.status == 200, answer
    is_open(answer)
    return json.loads(answer.json and answer.body, parse_int=str, parse_float=str,
                      object_pairs_hook=list)


def tally(answer):
    """option id -> votes of a 200 of seed 003; the total must be their sum."""
    assert answer.status == 200, answer
    is_open(answer)
    votes = {o["id"]: o["votes"] for o in answer.json["options"]}
    assert answer.json["total_votes"] == sum(votes.values()), answer
    return votes
