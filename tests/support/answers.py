"""What a good answer of each endpoint that records says, as (status, receipt): the status is `ok`
and `duplicate` where the route tells them apart, else `ok again`; the receipt is whatever id it
gives out, or None."""

from urllib.parse import parse_qsl, urlsplit

from support.publisher import is_gif, is_given, is_rated
from support.world import is_collected


def converted(answer):
    assert answer.status == 200, answer
    return answer.json["status"], answer.receipt


def collected(answer):
    return "ok again", is_collected(answer)


def clicked(answer):
    assert answer.status == 302, answer
    query = dict(parse_qsl(urlsplit(answer.header("location")).query))
    return "ok", query["thrad_click_id"]


def viewed(answer):
    is_gif(answer)
    return "ok again", None


def given(answer):
    is_given(answer)
    return "ok again", None


def rated(answer):
    return "ok again", is_rated(answer)


def voted(answer):
    assert answer.status in (200, 409), answer
    return "ok" if answer.status == 200 else "duplicate", None
