"""The examples of the publisher's pages (seeds 000, 001 and 003) as they stand there, run with
curl; host, key and token are replaced. Their JavaScript runs in tests/browser."""

import json
import shutil

import pytest

from support.curl import sh
from support.publisher import (AD_FEEDBACK, FEEDBACK, UUID, VOTE, ballots, new_poll, publisher_key,
                               show, token_of, vote_bytes)
from support.world import unique

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

FEEDBACK_000 = """\
{
  "bid_id": "bid_abc123",
  "feedback_type": "positive"
}"""

AD_FEEDBACK_001 = """\
curl -X POST https://platform.trygravity.ai/ad-feedback \\
  -H "X-API-Key: <your_publisher_api_key>" \\
  -H "Content-Type: application/json" \\
  -d '{
    "sessionId": "sess_abc123",
    "impUrl": "https://api.trygravity.ai/ack?p=<encrypted_token_from_ad_response>",
    "sentiment": "thumbs_down",
    "reasons": ["not_interested", "repetitive"]
  }'"""

REASONS_001 = ["not_interested", "irrelevant", "offensive", "repetitive", "misleading", "helpful"]

VOTE_003 = """\
{
  "token": "signed-token",
  "option_id": "0"
}"""

RESULTS_003 = """\
{
  "sponsored_poll_id": 123,
  "total_votes": 42,
  "options": [
    { "id": "0", "text": "Wedding", "votes": 21, "percentage": 50 },
    { "id": "1", "text": "Study", "votes": 14, "percentage": 33.3 },
    { "id": "2", "text": "Workout", "votes": 7, "percentage": 16.7 }
  ]
}"""

VOTED_003 = RESULTS_003.replace('123,\n', '123,\n  "selected_option_id": "0",\n')

SWIFT_000 = {"Content-Type": "application/json", "Accept": "*/*", "Accept-Language": "en-US,en",
             "User-Agent": "Reader/1 CFNetwork/1410.0.3 Darwin/22.6.0"}


JSON = {"Content-Type": "application/json"}


def curl(url, data=None, headers=None):
    """POSTs the data with these headers (its type alone, unless told); a GET without data."""
    command = f"curl '{url}'"
    if data is not None:
        headers = "".join(f" -H '{name}: {value}'" for name, value in (headers or JSON).items())
        command += f"{headers} -d '{data}'"
    return sh(command)


# -- seed 000 -------------------------------------------------------------------------------


def test_the_request_of_seed_000(world):
    url = f"http://{world.host}{FEEDBACK}"
    with world.records():
        assert curl(url, FEEDBACK_000) == (404, '{"detail":"Impression not found"}')
    show(world, bid_id="bid_abc123")
    with world.records(feedback=1):
        assert curl(url, FEEDBACK_000) == (204, "")
        assert curl(url, FEEDBACK_000) == (204, ""), "no error, no overwrite"
    row = world.last("feedback")
    assert (row["bid_id"], row["feedback_type"]) == ("bid_abc123", "positive")


def test_the_request_of_the_swift_sample(world):
    """What URLSession sends for it: the members in another order, without white space."""
    bid = show(world, bid_id=unique("bid"))["bidId"]
    body = json.dumps({"feedback_type": "negative", "bid_id": bid}, separators=(",", ":"))
    with world.records(feedback=1):
        assert curl(f"http://{world.host}{FEEDBACK}", body, SWIFT_000) == (204, "")


# -- seed 001 -------------------------------------------------------------------------------


def ad_feedback_001(world, key=None, token=None):
    command = AD_FEEDBACK_001.replace("https://platform.trygravity.ai", f"http://{world.host}")
    command = command.replace("<your_publisher_api_key>", key or publisher_key(world.data))
    return command.replace("<encrypted_token_from_ad_response>",
                           token or token_of(world.mint()["impUrl"]))


def test_the_request_of_seed_001(world):
    """Its impUrl names the vendor's host: only `p` is read."""
    command = ad_feedback_001(world)
    with world.records(ad_feedback=1):
        status, body = sh(command)
        assert (status, list(json.loads(body))) == (200, ["status", "feedbackId"])
        assert json.loads(body)["status"] == "ok" and UUID.fullmatch(json.loads(body)["feedbackId"])
        assert sh(command) == (200, body), "safe to retry"
    row = world.last("ad_feedback")
    assert (row["sent_session_id"], row["sentiment"]) == ("sess_abc123", "thumbs_down")
    assert json.loads(row["reasons"]) == ["not_interested", "repetitive"]


def test_the_request_of_seed_001_with_its_placeholders_left_in(world):
    with world.records():
        status, body = sh(ad_feedback_001(world, "<your_publisher_api_key>"))
        assert (status, json.loads(body)["error"]) == (401, "unauthorized")
        status, body = sh(ad_feedback_001(world, None, "<encrypted_token_from_ad_response>"))
        assert (status, json.loads(body)["error"]) == (422, "invalid_imp_url")


@pytest.mark.parametrize("reason", REASONS_001)
def test_a_suggested_reason_of_seed_001(world, reason):
    body = json.dumps({"sessionId": unique("sess"), "impUrl": world.mint()["impUrl"],
                       "sentiment": "thumbs_down", "reasons": [reason]})
    headers = {"X-API-Key": publisher_key(world.data), "Content-Type": "application/json"}
    with world.records(ad_feedback=1):
        assert curl(f"http://{world.host}{AD_FEEDBACK}", body, headers)[0] == 200
    assert json.loads(world.last("ad_feedback")["reasons"]) == [reason]


# -- seed 003 -------------------------------------------------------------------------------


def of_seed_003(body):
    """An answer with its numbers as they are written, in the order of the members."""
    return json.loads(body, parse_int=str, parse_float=str, object_pairs_hook=list)


def test_the_poll_of_seed_003_from_its_41st_vote_on(world):
    """Poll 123 of the page: its vote request, both of its responses, and a duplicate."""
    new_poll(world, sponsored_poll_id=123)
    choices = ["0"] * 20 + ["1"] * 14 + ["2"] * 7
    ads = ballots(world, 123, 42)
    for answer in world.pipeline([vote_bytes(world, ad, o) for ad, o in zip(ads, choices)]):
        assert answer.status == 200, answer
    body = VOTE_003.replace("signed-token", token_of(ads[41]["vote_url"]))
    with world.records(vote=1):
        status, answer = curl(f"http://{world.host}{VOTE}", body)
        assert (status, of_seed_003(answer)) == (200, of_seed_003(VOTED_003))
        status, answer = curl(f"http://{world.host}{VOTE}", body)
        assert (status, json.loads(answer)["error"]["code"]) == (409, "duplicate_vote")
        status, answer = curl(ads[41]["results_url"])
        assert (status, of_seed_003(answer)) == (200, of_seed_003(RESULTS_003))


def test_the_error_of_seed_003(world):
    """The body of the page, its message included."""
    ad = world.mint(poll_id=new_poll(world))
    status, answer = curl(ad["vote_url"], json.dumps({"option_id": "9"}))
    assert (status, json.loads(answer)) == (400, {"error": {
        "code": "invalid_option", "message": "Option id is not valid for this poll."}})
