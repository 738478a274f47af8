"""Tokens from the outside: every single-bit change, every other spelling, retired keys. Each is
refused with the status of its page, and nothing is recorded."""

import time
from urllib.parse import quote_from_bytes

import pytest

from support import paseto, tokens
from support import server as program
from support.publisher import (RESULTS, VOTE, is_gif, is_not_found, is_not_rated, is_poll_error,
                               is_rated, new_poll, ping_url, rate, rate_bytes, rating, tally,
                               token_of)
from support.world import ABSENT, REDIRECT, World, is_refused, table


def unrated(answer):
    is_not_rated(answer, 422, "invalid_imp_url")


def untold(answer):
    is_poll_error(answer, 401, "invalid_token")


def not_clicked(answer):
    is_refused(answer, 404, "Not Found")


def clicked(answer):
    assert answer.status == 302, answer


def in_query(path):
    return lambda world, token: world.get_bytes(f"{path}{token}")


def in_imp_url(world, token):
    return rate_bytes(world, rating({"impUrl": f"https://a.example/?p={token}"}))


def voting(world, token):
    return world.post_bytes(f"{VOTE}?token={token}", {"option_id": "0"}, ABSENT)


# where a token is used: URL of the ad, request with a token (percent-encoded where it must be),
# what a bad one is answered, what the good one is answered
USES = {
    "view": ("view_url", in_query(ping_url("view", "")), is_not_found, is_gif),
    "ack": ("impUrl", in_query(ping_url("ack", "")), is_not_found, is_gif),
    "track/imp": ("impUrl", in_query(ping_url("track", "")), is_not_found, is_gif),
    "redirect": ("url", in_query(f"{REDIRECT}?token="), not_clicked, clicked),
    "ad-feedback": ("impUrl", in_imp_url, unrated, is_rated),
    "vote": ("vote_url", voting, untold, tally),
    "results": ("results_url", in_query(f"{RESULTS}?token="), untold, tally),
}
every_use = pytest.mark.parametrize("use", USES)


@pytest.fixture(scope="module")
def poll(shared_world):
    return new_poll(shared_world)


@pytest.fixture
def fresh(world, use, request):
    """Makes tokens that are good for this use, each of a bid of its own."""
    polls = {"poll_id": request.getfixturevalue("poll")} if use in ("vote", "results") else {}
    return lambda: token_of(world.mint(**polls)[USES[use][0]])


@pytest.fixture
def good(fresh):
    return fresh()


def all_refused(world, use, bad):
    """Every one of the spellings gets the refusal of the page, and none is recorded."""
    _, request, is_bad, _ = USES[use]
    requests = [request(world, text) for text in bad]
    with world.records():
        answers = world.pipelines(requests)
    assert len(answers) == len(requests)
    for answer in answers:
        is_bad(answer)


def is_still_good(world, use, token):
    USES[use][3](world.send(USES[use][1](world, token)))


# -- every bit ------------------------------------------------------------------------------


def flips(data):
    for at in range(len(data)):
        for bit in range(8):
            yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


@every_use
def test_every_single_bit_change_of_the_text_is_refused(world, use, good):
    """The token as it stands in the URL, all of its characters, any byte percent-encoded."""
    bad = [quote_from_bytes(text, safe="") for text in flips(good.encode())]
    assert len(bad) == 8 * len(good) > 1500
    all_refused(world, use, bad)
    is_still_good(world, use, good)


@every_use
def test_every_single_bit_change_of_what_it_encodes_is_refused(world, use, good):
    """Nonce, ciphertext, MAC and footer, spelled in proper base64url."""
    *head, body, footer = good.split(".")
    bad = [".".join([*head, paseto.b64(data), footer]) for data in flips(paseto.unb64(body))]
    bad += [".".join([*head, body, paseto.b64(data)]) for data in flips(paseto.unb64(footer))]
    assert len(set(bad)) == len(bad) > 1000
    all_refused(world, use, bad)
    is_still_good(world, use, good)


# -- other spellings ------------------------------------------------------------------------


def other_tails(part):
    """The same bytes, spelled with other unused bits in the last character; none when the part
    has no unused bits."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    unused = {2: 4, 3: 2}.get(len(part) % 4, 0)
    last = alphabet.index(part[-1])
    return [part[:-1] + alphabet[last | spare] for spare in range(1, 1 << unused)]


def spellings(token):
    head, body, footer = token[:9], *token.split(".")[2:]
    whole = [token + tail for tail in ("=", "==", "%3D", "%20", "+", "%00", "%0A", ".", "..", ".AA",
                                       f".{footer}", "%2E", "A", "-")]
    whole += ["%20" + token, "%00" + token, "." + token, "%22" + token + "%22", token * 2]
    parts = [f"{head}{body}={'.' + footer}", f"{head}{body}.{footer}=", f"{head}{body}==.{footer}",
             f"{head}{body}", f"{head}{body}.", f"{head}.{footer}", f"{head}{footer}.{body}",
             f"{head}{body}..{footer}", f"{head}{body}%0A.{footer}", f"{head}{body}%20.{footer}",
             f"{head}{body[:-4]}.{footer}", f"{head}{body}AAAA.{footer}",
             f"{head}{body}.{footer}AAAA", head, head[:-1], "."]
    heads = [f"{h}{body}.{footer}" for h in ("V4.LOCAL.", "v4.Local.", "v3.local.", "v2.local.",
                                             "v4.public.", "v4.local", "v4..", "local.", "")]
    tails = [f"{head}{t}.{footer}" for t in other_tails(body)]
    tails += [f"{head}{body}.{t}" for t in other_tails(footer)]
    return whole + parts + heads + tails


@every_use
def test_no_other_spelling_of_a_token_is_good(world, use, good):
    all_refused(world, use, spellings(good))
    is_still_good(world, use, good)


@every_use
def test_the_other_base64_alphabet_is_refused(world, use, fresh):
    token = next(t for t in iter(fresh, None) if "-" in t and "_" in t)
    spelled = token.replace("-", "%2B").replace("_", "%2F")
    all_refused(world, use, [spelled, spelled.replace("%2B", "+").replace("%2F", "/")])


def test_the_spellings_with_other_unused_bits_exist():
    """A test that cannot fail is a defect: some part of some token has unused bits."""
    for part, count in (("QQ", 15), ("QUI", 3), ("QUJD", 0)):
        assert len(other_tails(part)) == count
        for text in other_tails(part):
            with pytest.raises(ValueError):
                paseto.unb64(text)


@every_use
def test_a_percent_encoded_token_is_the_same_token(world, use, good):
    """%2E for a point and %34 for a 4 are what a URL may do to any character."""
    is_still_good(world, use, good.replace("v4.", "v%34%2E", 1))


# -- tokens of other purposes ---------------------------------------------------------------


@every_use
def test_the_other_tokens_of_the_same_ad_are_refused(world, use, poll):
    ad = world.mint(poll_id=poll)
    names = {"view_url", "impUrl", "url", "vote_url", "results_url"} - {USES[use][0]}
    all_refused(world, use, [token_of(ad[name]) for name in sorted(names)])


@every_use
def test_claims_without_their_purpose_are_refused(world, use, good):
    """The same claims and key, sealed for no purpose, for its bare name, and for another server."""
    kid = tokens.footer_of(good)["kid"]
    purpose = {"view_url": "view", "impUrl": "ack", "url": "click", "vote_url": "vote",
               "results_url": "results"}[USES[use][0]]
    key, footer = tokens.key_of(world.data, kid), paseto.footer_of(good)
    claims = tokens.read(world.data, good, purpose)
    implicit = [b"", purpose.encode(), b"adtally/", b"adtally/" + purpose.upper().encode(),
                b"other/" + purpose.encode(), b"adtally/" + purpose.encode() + b"\0"]
    all_refused(world, use, [paseto.seal(key, claims, footer, text) for text in implicit])
    is_still_good(world, use, paseto.seal(key, claims, footer, b"adtally/" + purpose.encode()))


# -- expiry ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def expired(shared_world, poll):
    ad = shared_world.mint(ttl=1, poll_id=poll)
    time.sleep(1.05)
    return ad


@every_use
def test_an_expired_token_is_refused_and_001_does_not_look(world, use, expired):
    token = token_of(expired[USES[use][0]])
    if use == "ad-feedback":
        is_still_good(world, use, token)
    elif use == "redirect":
        with world.records():
            answer = world.send(USES[use][1](world, token))
        assert answer.status == 302 and "thrad" not in answer.header("location"), answer
    else:
        all_refused(world, use, [token])


# -- keys -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rotated():
    """A server whose first token key was rotated; its ads of before and after."""
    world = World()
    poll = new_poll(world)
    (old_kid,) = tokens.kids(world.data)
    before = [world.mint(poll_id=poll) for _ in range(2)]
    program.cli("token-key", "rotate", "--data", world.data)
    yield world, old_kid, before, world.mint(poll_id=poll)
    world.close()


def test_minting_uses_the_newest_key_and_the_older_is_still_accepted(rotated):
    world, old_kid, before, after = rotated
    for use, (name, *_) in USES.items():
        assert tokens.footer_of(token_of(before[0][name]))["kid"] == old_kid
        assert tokens.footer_of(token_of(after[name]))["kid"] != old_kid
        is_still_good(world, use, token_of(before[0][name]))


def test_tokens_of_a_retired_key_are_refused(rotated):
    world, old_kid, before, after = rotated
    program.cli("token-key", "retire", old_kid, "--data", world.data)
    for use, (name, *_) in USES.items():
        all_refused(world, use, [token_of(before[1][name]), token_of(before[0][name])])
        is_still_good(world, use, token_of(after[name]))
    world.server.stop()
    world.server.start()
    for use, (name, *_) in USES.items():
        all_refused(world, use, [token_of(before[1][name])])


@table("route, name", {"view": ("view", "view_url"), "ack": ("ack", "impUrl")})
def test_a_token_of_another_server_is_refused(world, rotated, route, name):
    """Its key id is unknown here, and with the key id of here its key is another."""
    stranger = token_of(rotated[3][name])
    own_footer = token_of(world.mint()[name]).split(".")[3]
    with world.records():
        for token in (stranger, ".".join([*stranger.split(".")[:3], own_footer])):
            is_not_found(world.get(ping_url(route, token)))
            unrated(rate(world, rating({"impUrl": f"https://a.example/?p={token}"})))
