"""Tokens of paseto-ts are read by us, and ours by paseto-ts, for every purpose.

ADTALLY_BUILD names the build directory (default: build). `npm ci` in this folder installs
paseto-ts; without it these tests are skipped, and fail where CI=true.
"""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / os.environ.get("ADTALLY_BUILD", "build")

KEY = "k4.local.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8"
OTHER_KEY = "k4.local.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo4"
KID = "k1"

COMMON = {
    "bid": "0199f0a2-7c1e-7000-8000-000000000001",
    "pub": "publisher",
    "cam": "campaign \"quoted\" \\ / \n",
    "prd": "product",
    "crt": "creative",
    "adv": "Bücher & Söhne",
    "usr": "\U0001f600",
    "ses": "session",
    "plc": "inline",
}
PRICE = {"prc": "0.015", "cur": "EUR", "mod": "cpm"}
EXP = {"exp": "2099-12-31T23:59:59.250Z"}
CLAIMS = {
    "view": {**COMMON, **PRICE, **EXP},
    "ack": {**COMMON, **PRICE, **EXP},
    "click": {**COMMON, **PRICE, "url": "https://shop.example/p?a=b&c=%20#d", **EXP},
    "vote": {**COMMON, "pol": 9007199254740991, **EXP},
    "results": {**COMMON, "pol": 0, **EXP},
}
PURPOSES = list(CLAIMS)
OTHER_PURPOSES = [(a, b) for a in PURPOSES for b in PURPOSES if a != b]


class Side:
    """One of the two programs; None stands for a refusal."""

    def __init__(self, *command):
        self.command = command

    def run(self, *operands):
        result = subprocess.run(
            [*self.command, *operands], capture_output=True, text=True, encoding="utf-8", timeout=60
        )
        assert result.returncode in (0, 1), result.stderr
        if result.returncode == 1:
            assert result.stderr.startswith("refused"), result.stderr
            return None
        return result.stdout.strip()

    def mint(self, purpose, claims, key=KEY):
        return self.run("mint", key, KID, purpose, json.dumps(claims))

    def read(self, purpose, token, key=KEY):
        answer = self.run("read", key, purpose, token)
        return json.loads(answer) if answer is not None else None


@pytest.fixture(scope="session")
def ours():
    tool = BUILD / "tests" / "unit" / "token_tool"
    assert tool.exists(), f"{tool} is not built: run ninja, or set ADTALLY_BUILD"
    return Side(str(tool))


@pytest.fixture(scope="session")
def theirs():
    node = shutil.which("node")
    if node and (HERE / "node_modules" / "paseto-ts").is_dir():
        return Side(node, str(HERE / "paseto.mjs"))
    reason = "paseto-ts is not installed: run `npm ci --prefix tests/interop` (Node.js is needed)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_they_read_ours(ours, theirs, purpose):
    answer = theirs.read(purpose, ours.mint(purpose, CLAIMS[purpose]))
    assert answer == {"footer": {"kid": KID}, "payload": CLAIMS[purpose]}


@pytest.mark.parametrize("purpose", PURPOSES)
def test_we_read_theirs(ours, theirs, purpose):
    answer = ours.read(purpose, theirs.mint(purpose, CLAIMS[purpose]))
    assert answer["footer"] == {"kid": KID}
    # paseto-ts adds the time of minting, which we do not know and so ignore.
    assert answer["payload"].pop("iat")
    assert answer["payload"] == CLAIMS[purpose]
    assert answer["claims"] == CLAIMS[purpose]


@pytest.mark.parametrize("minted,read", OTHER_PURPOSES)
def test_a_token_is_for_one_purpose(ours, theirs, minted, read):
    # All claims at once, so that only the assertion can tell the purposes apart.
    claims = {**CLAIMS["click"], **CLAIMS["vote"]}
    assert ours.read(read, theirs.mint(minted, claims)) is None


def test_they_refuse_another_purpose_of_ours(ours, theirs):
    assert theirs.read("click", ours.mint("view", CLAIMS["view"])) is None


def test_another_key_is_refused(ours, theirs):
    assert ours.read("view", theirs.mint("view", CLAIMS["view"]), OTHER_KEY) is None
    assert theirs.read("view", ours.mint("view", CLAIMS["view"]), OTHER_KEY) is None


def test_their_token_has_one_spelling(ours, theirs):
    token = theirs.mint("view", CLAIMS["view"])
    assert ours.read("view", token)
    for other in (token + "=", token + ".", token + "A", token[:-1], token.upper(), " " + token):
        assert ours.read("view", other) is None


def test_claims_that_are_wrong_are_refused_though_authentic(ours, theirs):
    for change in ({"pub": None}, {"pub": 7}, {"bid": ""}, {"cam": "x" * 257}, {"cur": "XXZ"}):
        token = theirs.mint("view", {**CLAIMS["view"], **change})
        assert ours.read("view", token) is None, change
