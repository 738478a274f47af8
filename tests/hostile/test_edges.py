"""Every limit of a request, one short of it, at it and one past it: the contract's numbers to the
byte, and the same on a server that was given others."""

import pytest

from support.http import build, chunked
from support.publisher import AD_FEEDBACK, FEEDBACK, VOTE
from support.world import API, COLLECT, COLLECT_ALIAS, MINT, V1, dump, event, is_collected

KIB = 1024
NEAR = [-1, 0, 1]


def answer_to(world, data):
    """The answer, and whether the connection is closed after it."""
    with world.connect() as conn:
        conn.send(data)
        answer = conn.read()
        if answer.status in (200, 204):
            conn.send(world.get_bytes("/health"))
            assert conn.read().status == 200
        else:
            assert conn.closes(3)
        return answer


def holds(world, data, near, refusal, good=200):
    answer = answer_to(world, data)
    assert answer.status == (refusal if near > 0 else good), answer
    if near > 0 and refusal != 413:
        assert answer.body == b"", answer


# -- the head -------------------------------------------------------------------------------


def head_of(size):
    """A GET whose head is so many bytes, the blank line included."""
    bare = build("GET", "/health", [("Host", "a"), ("X", "")])
    return build("GET", "/health", [("Host", "a"), ("X", "v" * (size - len(bare)))])


@pytest.mark.parametrize("near", NEAR)
def test_the_size_of_a_head(world, near):
    data = head_of(16 * KIB + near)
    assert len(data) == 16 * KIB + near
    holds(world, data, near, 431)


@pytest.mark.parametrize("near", NEAR)
def test_the_size_of_a_head_behind_another_request(world, near):
    """A limit counts from where its request begins."""
    with world.connect() as conn:
        conn.send(world.get_bytes("/health") * 3 + head_of(16 * KIB + near))
        assert [conn.read().status for _ in range(4)] == [200] * 3 + [431 if near > 0 else 200]


@pytest.mark.parametrize("near", NEAR)
def test_the_size_of_a_target(world, near):
    target = "/health?".ljust(8 * KIB + near, "x")
    holds(world, build("GET", target, [("Host", "a")]), near, 414)


@pytest.mark.parametrize("near", NEAR)
def test_the_size_of_an_absolute_target(world, near):
    target = "http://a/health?".ljust(8 * KIB + near, "x")
    holds(world, build("GET", target, [("Host", "a")]), near, 414)


@pytest.mark.parametrize("near", NEAR)
@pytest.mark.parametrize("value", ["", "v"])
def test_the_number_of_headers(world, near, value):
    headers = [("Host", "a")] + [(f"X-{i}", value) for i in range(63 + near)]
    holds(world, build("GET", "/health", headers), near, 431)


# -- the body -------------------------------------------------------------------------------


def padded(body, size):
    return body + b" " * (size - len(body))


def to_mint(world, size):
    return padded(dump({"ads": [world.ad()]}), size)


@pytest.mark.parametrize("near", NEAR)
@pytest.mark.parametrize("path", [COLLECT, COLLECT_ALIAS, V1, API, FEEDBACK, AD_FEEDBACK, VOTE])
def test_the_size_of_a_body(world, path, near):
    """On every route that takes one: what is too much by a byte is 413, before anything that the
    body says; what is not is judged by what it says."""
    data = world.post_bytes(path, padded(b"{", 64 * KIB + near))
    with world.records(), world.connect() as conn:
        conn.send(data)
        status = conn.read().status
    if path == AD_FEEDBACK:  # its key is looked at first, and this is none
        assert status == 401
    else:
        assert (status == 413) == (near > 0) and 400 <= status < 500


@pytest.mark.parametrize("near", NEAR)
def test_the_size_of_a_mint(world, near):
    data = world.post_bytes(MINT, to_mint(world, 1024 * KIB + near), world.adserver)
    holds(world, data, near, 413)


@pytest.mark.parametrize("near", NEAR)
def test_a_mint_without_a_key_is_as_small_as_others(world, near):
    """Only who has a key gets at the large buffers."""
    with world.connect() as conn:
        conn.send(world.post_bytes(MINT, to_mint(world, 64 * KIB + near), "nobody"))
        assert conn.read().status == 401
        assert conn.closes(0.3) == (near > 0)


def chunked_head(world, path, key=None):
    return world.post_bytes(path, b"", key, [("Content-Length", None),
                                             ("Transfer-Encoding", "chunked")])


@pytest.mark.parametrize("near", NEAR)
@pytest.mark.parametrize("chunk", [1, 4095, 65536])
def test_the_size_of_a_chunked_body(world, near, chunk):
    body = padded(dump(event()), 64 * KIB + near)
    data = chunked_head(world, COLLECT) + chunked(
        *(body[i : i + chunk] for i in range(0, len(body), chunk)))
    holds(world, data, near, 413, 204)


@pytest.mark.parametrize("near", NEAR)
def test_the_size_of_a_chunked_mint(world, near):
    body = to_mint(world, 1024 * KIB + near)
    data = chunked_head(world, MINT, world.adserver) + chunked(
        *(body[i : i + 60000] for i in range(0, len(body), 60000)))
    holds(world, data, near, 413)


@pytest.mark.parametrize("near", NEAR)
@pytest.mark.parametrize("chunks", [1, 20])
def test_the_size_of_chunk_extensions(world, near, chunks):
    """They and the trailers have what the head left of its 16 KiB, over all chunks together."""
    head, body = chunked_head(world, COLLECT), padded(dump(event()), 1000)
    room = 16 * KIB - len(head) + near
    parts = [body[i * 1000 // chunks : (i + 1) * 1000 // chunks] for i in range(chunks)]
    sizes = [room * (i + 1) // chunks - room * i // chunks for i in range(chunks)]
    data = b"".join(b"%x;%s\r\n%s\r\n" % (len(p), b"x" * n, p) for p, n in zip(parts, sizes))
    holds(world, head + data + b"0\r\n\r\n", near, 400, 204)


@pytest.mark.parametrize("near", NEAR)
def test_the_size_of_trailers(world, near):
    head, body = chunked_head(world, COLLECT), dump(event())
    room = 16 * KIB - len(head) + near
    trailer = b"X:".ljust(room - 1, b"v") + b"\r\n"  # all of it but the CR counts
    data = head + chunked(body)[:-2] + trailer + b"\r\n"
    holds(world, data, near, 431, 204)


# -- JSON -----------------------------------------------------------------------------------


@pytest.mark.parametrize("near", NEAR)
@pytest.mark.parametrize("path", [COLLECT, V1, API, FEEDBACK, VOTE, MINT])
def test_the_depth_of_a_body(world, path, near):
    deep = b'{"deep":' + b"[" * (31 + near) + b"]" * (31 + near) + b"}"
    answer = world.post(path, deep, world.adserver if path == MINT else None)
    assert answer.status in (400, 401, 422), answer
    if path != VOTE:  # its page has one code for all that is wrong with a body
        assert (b"json_invalid" in answer.body) == (near > 0), answer


@pytest.mark.parametrize("near", NEAR)
def test_the_number_of_ads_of_a_mint(world, near):
    answer = world.post(MINT, {"ads": [world.ad()] * (500 + near)}, world.adserver)
    assert answer.status == (422 if near > 0 else 200)
    assert near > 0 or len(answer.json["ads"]) == 500 + near


# -- a server with other limits -------------------------------------------------------------

OTHERS = ("--head-limit", "1KiB", "--target-limit", "512B", "--headers-limit", "8", "--body-limit",
          "1KiB", "--mint-body-limit", "65KiB")


@pytest.mark.parametrize("near", NEAR)
@pytest.mark.parametrize("limit", ["head", "target", "headers", "body", "mint"])
def test_limits_that_were_configured(world_with, limit, near):
    world = world_with(*OTHERS)
    target = "/health?".ljust(512 + near, "x")
    headers = [("Host", "a")] + [(f"X-{i}", "v") for i in range(7 + near)]
    mint = world.post_bytes(MINT, to_mint(world, 65 * KIB + near), world.adserver)
    data, refusal, good = {
        "head": (head_of(KIB + near), 431, 200),
        "target": (build("GET", target, [("Host", "a")]), 414, 200),
        "headers": (build("GET", "/health", headers), 431, 200),
        "body": (world.post_bytes(COLLECT, padded(dump(event()), KIB + near)), 413, 204),
        "mint": (mint, 413, 200)}[limit]
    holds(world, data, near, refusal, good)


def test_a_limit_holds_however_the_bytes_are_cut(world):
    """The last byte of a full head and of a full body alone in a segment."""
    body = padded(dump(event()), 64 * KIB)
    for data, status in ((head_of(16 * KIB), 200), (world.post_bytes(COLLECT, body), 204)):
        with world.connect() as conn:
            conn.send(data[:-1])
            assert not conn.readable(0.02)
            conn.send(data[-1:])
            answer = conn.read()
            assert answer.status == status
            if status == 204:
                is_collected(answer)
