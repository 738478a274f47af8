"""Contract section 5: both layers of dedup, on both paths, in all combinations."""

import collections
import itertools
import random

import pytest

from support import server as program
from support.world import (API, CANARY, V1, conversion, is_duplicate, is_recorded, is_refused,
                           table, together, unique)

PATHS = (V1, API)
Try = collections.namedtuple("Try", "path idem event_id order_id")


class Model:
    """What the contract says, for one scope (partner, click, event_type)."""

    def __init__(self):
        self.by_key, self.by_order = {}, collections.defaultdict(set)

    def duplicate_of(self, attempt):
        """The receipts one of which the answer must carry; empty when the event is new."""
        key = attempt.idem or attempt.event_id
        if key in self.by_key:
            return {self.by_key[key]}
        if attempt.order_id and (attempt.path == V1 or not attempt.idem):
            return self.by_order.get(attempt.order_id, set())
        return set()

    def record(self, attempt, receipt):
        key = attempt.idem or attempt.event_id
        if key:
            self.by_key[key] = receipt
        if attempt.order_id:
            self.by_order[attempt.order_id].add(receipt)

    def check(self, attempt, answer):
        expected = self.duplicate_of(attempt)
        if not expected:
            self.record(attempt, is_recorded(answer))
        else:
            assert is_duplicate(answer) in expected


def bytes_of(world, attempt, click, event_type):
    fields = {n: getattr(attempt, n) for n in ("event_id", "order_id") if getattr(attempt, n)}
    headers = [("Idempotency-Key", attempt.idem)] if attempt.idem else []
    body = conversion(click, event_type=event_type, **fields)
    return world.post_bytes(attempt.path, body, headers=headers)


# header, event_id, order_id; orders take the same texts as keys, which must not matter
FIRST = list(itertools.product([None, "a"], [None, "a", "b"], [None, "a"]))
SECOND = list(itertools.product([None, "a", "b"], [None, "a", "b"], [None, "a", "b"]))


@pytest.mark.parametrize("first_path", PATHS)
@pytest.mark.parametrize("second_path", PATHS)
def test_every_pair_of_header_event_id_and_order_id(world, first_path, second_path):
    """324 pairs, each in a scope of its own (an event_type)."""
    click, prefix, wrong = world.click(), unique("pair"), []
    pairs = [(Try(first_path, *a), Try(second_path, *b)) for a in FIRST for b in SECOND]
    kinds = [f"{prefix}-{i}" for i in range(len(pairs))]
    firsts = world.pipeline([bytes_of(world, p[0], click, k) for p, k in zip(pairs, kinds)])
    seconds = world.pipeline([bytes_of(world, p[1], click, k) for p, k in zip(pairs, kinds)])
    for pair, one, two in zip(pairs, firsts, seconds):
        model = Model()
        try:
            model.check(pair[0], one)
            model.check(pair[1], two)
        except AssertionError as error:
            wrong.append(f"{pair}: {error}")
    assert not wrong, f"{len(wrong)} of {len(pairs)} pairs:\n" + "\n".join(wrong[:20])


@pytest.mark.parametrize("seed", range(4))
def test_long_random_histories_follow_the_model(world, seed):
    """Few keys, many requests: every answer and receipt is what the model says."""
    rng = random.Random(seed)
    attempts = [Try(rng.choice(PATHS), *(rng.choice([None, None, *s]) for s in
                                         ("abcdef", "abcdefgh", "abcdefgh"))) for _ in range(150)]
    model, click, kind = Model(), world.click(), unique("history")
    answers = world.pipeline([bytes_of(world, a, click, kind) for a in attempts])
    for i, (attempt, answer) in enumerate(zip(attempts, answers)):
        try:
            model.check(attempt, answer)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, step {i}, {attempt}: {error}") from None


# -- the same in words ----------------------------------------------------------------------


@pytest.mark.parametrize("first", PATHS)
@pytest.mark.parametrize("second", PATHS)
def test_a_retry_with_the_same_header_is_a_duplicate_and_writes_nothing(world, first, second):
    click, idem = world.click(), unique("k")
    with world.records(conversion=1):
        receipt = is_recorded(world.convert(click, first, idem))
        is_duplicate(world.convert(click, second, idem), receipt)
        is_duplicate(world.convert(click, first, idem, conversion_value=1, currency="EUR",
                                   conversion_time="2020-01-01T00:00:00Z"), receipt)


@pytest.mark.parametrize("path", PATHS)
def test_header_and_event_id_are_one_namespace(world, path):
    click, key = world.click(), unique("k")
    receipt = is_recorded(world.convert(click, path, key))
    is_duplicate(world.convert(click, path, event_id=key), receipt)
    click = world.click()
    receipt = is_recorded(world.convert(click, path, event_id=key))
    is_duplicate(world.convert(click, path, key), receipt)


@pytest.mark.parametrize("path", PATHS)
def test_an_event_id_beside_a_header_is_only_stored(world, path):
    click, event_id = world.click(), unique("e")
    with world.records(conversion=3):
        is_recorded(world.convert(click, path, unique("k"), event_id=event_id))
        assert world.last("conversion")["event_id"] == event_id
        is_recorded(world.convert(click, path, unique("k"), event_id=event_id))
        is_recorded(world.convert(click, path, event_id=event_id))


def test_on_v1_the_order_id_is_checked_beside_another_key(world):
    click, order = world.click(), unique("o")
    receipt = is_recorded(world.convert(click, V1, unique("k"), order_id=order))
    is_duplicate(world.convert(click, V1, unique("k"), order_id=order), receipt)
    is_duplicate(world.convert(click, V1, event_id=unique("e"), order_id=order), receipt)
    is_duplicate(world.convert(click, V1, order_id=order), receipt)


def test_on_api_the_order_id_is_checked_only_without_header(world):
    click, order = world.click(), unique("o")
    is_recorded(world.convert(click, API, order_id=order))
    is_recorded(world.convert(click, API, unique("k"), order_id=order))
    click = world.click()
    receipt = is_recorded(world.convert(click, API, order_id=order))
    is_duplicate(world.convert(click, API, order_id=order), receipt)
    is_duplicate(world.convert(click, API, event_id=unique("e"), order_id=order), receipt)


def test_on_api_a_blank_header_is_no_header(world):
    click, order = world.click(), unique("o")
    receipt = is_recorded(world.convert(click, API, order_id=order))
    is_duplicate(world.convert(click, API, "  ", order_id=order), receipt)


@pytest.mark.parametrize("first", PATHS)
def test_order_and_key_are_remembered_whichever_path_they_came_by(world, first):
    click, order, idem = world.click(), unique("o"), unique("k")
    second = API if first == V1 else V1
    receipt = is_recorded(world.convert(click, first, idem, order_id=order))
    is_duplicate(world.convert(click, second, order_id=order), receipt)
    is_duplicate(world.convert(click, second, idem), receipt)


@pytest.mark.parametrize("field", ["header", "event_id"])
@pytest.mark.parametrize("recorded_by", PATHS)
def test_when_key_and_order_point_at_different_events_the_key_wins(world, recorded_by, field):
    click, orders, keys = world.click(), (unique("o"), unique("o")), (unique("k"), unique("k"))

    def send(path, key, order):
        if field == "header":
            return world.convert(click, path, key, order_id=order)
        return world.convert(click, path, event_id=key, order_id=order)

    receipts = [is_recorded(send(recorded_by, k, o)) for k, o in zip(keys, orders)]
    is_duplicate(send(V1, keys[0], orders[1]), receipts[0])
    is_duplicate(send(V1, keys[1], orders[0]), receipts[1])


def test_a_duplicates_own_key_is_not_remembered(world):
    """Only what a recorded conversion brought is: the new key of a duplicate stays free."""
    click, order, late = world.click(), unique("o"), unique("k")
    receipt = is_recorded(world.convert(click, V1, unique("k"), order_id=order))
    is_duplicate(world.convert(click, V1, late, order_id=order), receipt)
    assert is_recorded(world.convert(click, V1, late)) != receipt


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("first, second", [("event_id", "order_id"), ("order_id", "event_id")])
def test_a_key_and_an_order_of_the_same_text_are_different_things(world, path, first, second):
    click, text = world.click(), unique("t")
    with world.records(conversion=2):
        is_recorded(world.convert(click, path, **{first: text}))
        is_recorded(world.convert(click, path, **{second: text}))


@pytest.mark.parametrize("field", ["event_id", "order_id"])
@pytest.mark.parametrize("path", PATHS)
def test_the_parts_of_a_scope_do_not_run_into_each_other(world, path, field):
    click, text = world.click(), unique("t")
    with world.records(conversion=2):
        is_recorded(world.convert(click, path, event_type="a", **{field: "b" + text}))
        is_recorded(world.convert(click, path, event_type="ab", **{field: text}))


@pytest.mark.parametrize("path", PATHS)
def test_without_key_event_id_and_order_each_request_is_a_conversion(world, path):
    click = world.click()
    with world.records(conversion=3):
        assert len({is_recorded(world.convert(click, path)) for _ in range(3)}) == 3


@pytest.mark.parametrize("path", PATHS)
def test_a_refund_needs_an_event_type_of_its_own(world, path):
    click, order = world.click(), unique("o")
    receipt = is_recorded(world.convert(click, path, order_id=order))
    is_duplicate(world.convert(click, path, order_id=order, conversion_value=-49.99), receipt)
    is_recorded(world.convert(click, path, order_id=order, conversion_value=-49.99,
                              event_type="refund"))


@pytest.mark.parametrize("layer", ["header", "event_id", "order_id"])
@pytest.mark.parametrize("path", PATHS)
def test_the_scope_is_partner_click_and_event_type(world, path, layer):
    text, clicks = unique("same"), (world.click(), world.click())
    rival = program.partner_key(world.data, unique("rival"), unique("main"))
    second = program.partner_key(world.data, "acme", unique("second"))

    def send(click, key=None, **fields):
        if layer == "header":
            return world.convert(click, path, text, key, **fields)
        return world.convert(click, path, None, key, **{layer: text}, **fields)

    with world.records(conversion=4):
        first = is_recorded(send(clicks[0]))
        is_recorded(send(clicks[1]))
        is_recorded(send(clicks[0], event_type="lead_created"))
        is_recorded(send(clicks[0], key=rival))
        is_duplicate(send(clicks[0]), first)
        is_duplicate(send(clicks[0], event_type="purchase_completed"), first)
        is_duplicate(send(clicks[0], key=second), first)


# -- the header's syntax --------------------------------------------------------------------


def with_idem(world, path, click, *values):
    return world.post(path, conversion(click), headers=[("Idempotency-Key", v) for v in values])


@table("value, same_as", {
    "one character": ("k", None),
    "every kind of visible character": ("!#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~", None),
    "255 characters": ("k" * 255, None),
    "a quoted string means its content": ('"order-123"', "order-123"),
    "white space round it is no part of it": (" \torder-9 \t", "order-9"),
})
@pytest.mark.parametrize("path", PATHS)
def test_an_idempotency_key_may_be(world, path, value, same_as):
    click = world.click()
    receipt = is_recorded(with_idem(world, path, click, value))
    is_duplicate(with_idem(world, path, click, same_as or value), receipt)
    is_duplicate(world.convert(click, path, event_id=same_as or value), receipt)
    assert world.last("conversion")["idempotency_key"] == (same_as or value)


@pytest.mark.parametrize("path", PATHS)
def test_the_escapes_of_a_quoted_key_are_undone(world, path):
    click = world.click()
    receipt = is_recorded(with_idem(world, path, click, r'"a\"b\\c"'))
    is_duplicate(world.convert(click, path, event_id='a"b\\c'), receipt)


@pytest.mark.parametrize("path", PATHS)
def test_keys_are_compared_with_their_case(world, path):
    click = world.click()
    with world.records(conversion=2):
        is_recorded(with_idem(world, path, click, "Key"))
        is_recorded(with_idem(world, path, click, "key"))


@table("values", {
    "256 characters": ["k" * 256],
    "far too long": [CANARY * 300],
    "repeated": ["k1", "k2"],
    "repeated, the same": ["k", "k"],
    "a space inside": [f"{CANARY} {CANARY}"],
    "letters beyond ASCII": [CANARY + "é"],
})
@pytest.mark.parametrize("path", PATHS)
def test_an_idempotency_key_must_not_be(world, path, values):
    click = world.click()
    with world.records():
        is_refused(with_idem(world, path, click, *values), 400)
    is_recorded(with_idem(world, path, click, "good"))


@pytest.mark.parametrize("blank", ["", " ", " \t "], ids=repr)
@pytest.mark.parametrize("path", PATHS)
def test_a_blank_key_is_absent(world, path, blank):
    click = world.click()
    with world.records(conversion=2):
        is_recorded(with_idem(world, path, click, blank))
        is_recorded(with_idem(world, path, click, blank))
    assert world.last("conversion")["idempotency_key"] is None
    event_id = unique("e")
    receipt = is_recorded(world.convert(click, path, blank, event_id=event_id))
    is_duplicate(world.convert(click, path, event_id=event_id), receipt)


# -- at the same time -----------------------------------------------------------------------


@table("fields", {
    "by header": lambda text: {"idem": text},
    "by event_id": lambda text: {"event_id": text},
    "by order_id": lambda text: {"order_id": text},
})
@pytest.mark.parametrize("paths", [(V1,), (API,), PATHS], ids=["v1", "api", "both paths"])
def test_concurrent_copies_give_one_event(world, paths, fields):
    """Eight connections send the same keys in the same order: one ok each, equal receipts."""
    click, keys = world.click(), [fields(unique("race")) for _ in range(25)]

    def make(path, idem=None, **body):
        headers = [("Idempotency-Key", idem)] if idem else []
        return world.post_bytes(path, conversion(click, **body), headers=headers)

    def work(number):
        path = paths[number % len(paths)]
        return world.pipeline([make(path, **k) for k in keys], window=5)

    with world.records(conversion=len(keys)):
        results = together(8, work)
    receipts = set()
    for answers in zip(*results):
        assert sorted(a.json["status"] for a in answers) == ["duplicate"] * 7 + ["ok"]
        assert len({a.receipt for a in answers}) == 1
        receipts.add(answers[0].receipt)
    assert len(receipts) == len(keys)
