"""Contract section 5: unlisted fields of a conversion, sanitized, never refused."""

import json

import pytest

from support.world import API, V1, conversion, dump, is_recorded, table

PATHS = (V1, API)


def params_of(world, path, **fields):
    is_recorded(world.post(path, conversion(world.click(), **fields)))
    return json.loads(world.last("conversion")["params"])


def nesting(value):
    if isinstance(value, (dict, list)):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(map(nesting, inner), default=0)
    return 0


@table("sent, stored", {
    "a string": ("gold", "gold"),
    "a number": (12.5, 12.5),
    "true": (True, True),
    "an array": ([1, "two", False], [1, "two", False]),
    "an object": ({"a": {"b": 1}}, {"a": {"b": 1}}),
    "text beyond ASCII": ("Zürich \U0001f600", "Zürich \U0001f600"),
    "quotes and backslashes": ('"\\', '"\\'),
    "markup, which is text": ("<script>", "<script>"),
    "control characters are removed": ("a\u0001b\u001fc\td\r\ne", "abcde"),
    "DEL is removed": ("a\u007fb", "ab"),
    "control characters deep inside are removed": ({"a": ["x\u0007y"]}, {"a": ["xy"]}),
    "1,024 characters stay": ("x" * 1024, "x" * 1024),
    "a string is cut at 1,024 characters": ("x" * 1025, "x" * 1024),
    "a string is cut at characters, not bytes": ("é" * 1100, "é" * 1024),
    "a string is cut between characters of four bytes": ("\U0001f600" * 1100,
                                                         "\U0001f600" * 1024),
})
@pytest.mark.parametrize("path", PATHS)
def test_an_unlisted_field_is_kept(world, path, sent, stored):
    assert params_of(world, path, customer_tier=sent)["extra"] == {"customer_tier": stored}


@pytest.mark.parametrize("path", PATHS)
def test_64_fields_are_kept_and_nothing_is_dropped(world, path):
    fields = {f"f{i}": i for i in range(64)}
    params = params_of(world, path, **fields)
    assert params["extra"] == fields
    assert params.get("extra_dropped", 0) == 0


@pytest.mark.parametrize("path", PATHS)
def test_past_64_fields_the_rest_is_counted(world, path):
    fields = {f"f{i}": i for i in range(70)}
    params = params_of(world, path, **fields)
    assert len(params["extra"]) == 64 and params["extra"].items() <= fields.items()
    assert params["extra_dropped"] == 6


@pytest.mark.parametrize("path", PATHS)
def test_depth_is_bounded_and_what_is_left_out_is_counted(world, path):
    deep = "bottom"
    for level in reversed(range(12)):
        deep = {f"l{level}": deep}
    params = params_of(world, path, deep=deep, flat="kept", shallow={"a": {"b": "kept"}})
    assert params["extra"]["flat"] == "kept" and params["extra"]["shallow"] == {"a": {"b": "kept"}}
    assert "bottom" not in json.dumps(params)
    assert nesting(params["extra"]) <= 5
    assert params["extra_dropped"] >= 1


@pytest.mark.parametrize("path", PATHS)
def test_all_together_keep_to_8_kib(world, path):
    fields = {f"f{i}": "x" * 1000 for i in range(30)}
    params = params_of(world, path, **fields, small=1)
    text = json.dumps(params["extra"], separators=(",", ":"), ensure_ascii=False)
    assert 4096 < len(text.encode()) <= 8192
    assert params["extra_dropped"] >= 30 - 8
    assert params["extra"].items() <= {**fields, "small": 1}.items()


@table("fields", {
    "1,000 fields": {f"f{i}": i for i in range(1000)},
    "a string of 60,000 characters": {"x": "y" * 60000},
    "a name of 5,000 characters": {"n" * 5000: 1},
    "an array of 5,000 numbers": {"x": [1] * 5000},
    "control characters alone": {"x": "\u0001\u0002"},
    "a name that is a control character": {"\u0001": 1},
    "an empty name": {"": 1},
    "null": {"x": None},
    "a field called extra": {"extra": {"a": 1}},
    "a field called extra_dropped": {"extra_dropped": 99},
    "a field called params": {"params": {"a": 1}},
    "names that mean something to JavaScript": {"__proto__": {"a": 1}, "constructor": 1},
})
@pytest.mark.parametrize("path", PATHS)
def test_sanitizing_never_refuses(world, path, fields):
    click = world.click()
    with world.records(conversion=1):
        is_recorded(world.post(path, conversion(click, **fields)))
    stored = world.last("conversion")["params"]
    assert stored is None or isinstance(json.loads(stored), dict)


def test_depth_32_is_still_no_refusal(world):
    body = dump(conversion(world.click(), x="@")).replace(b'"@"', b"[" * 31 + b"]" * 31)
    is_recorded(world.post(V1, body))


@pytest.mark.parametrize("path", PATHS)
def test_a_listed_field_is_not_extra(world, path):
    params = params_of(world, path, order_id="o", session_id="s", tier="gold")
    assert params["extra"] == {"tier": "gold"} and "order_id" not in params
