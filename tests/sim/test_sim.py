"""Whole lives of the server from a seed, in one thread: the real store, ledger and api under a
simulated clock, disk and clients, against a small model of the contract (tests/sim/sim.c)."""

import os
import pathlib
import re
import subprocess
import zlib

import pytest

from support import torture

REPO = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = REPO / os.environ.get("ADTALLY_BUILD", "build") / "tests" / "sim" / "sim"
SEEDS_SHORT, SEEDS_LONG = 400, 100_000
SEEDS_TO_NOTICE = 1000
NUMBER = re.compile(r"(\w+)=(\d+)\b")

WRONG_MODELS = ("click-ttl", "impression-ttl", "collect-window", "minute", "per-minute", "per-bid",
                "key-expiry", "token-expiry", "token-margin", "tenants", "advertisers",
                "event-types", "revocations", "order", "votes", "rates", "retention", "erasure",
                "imports", "import-end")


def start(*args):
    """Starts the program; many run at once."""
    return subprocess.Popen([str(PROGRAM), *map(str, args)], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def run(*args):
    """Its exit status and what it printed."""
    process = start(*args)
    text, _ = process.communicate()
    return process.returncode, text.strip()


def first_seed():
    """--seed is any text; one of digits is the seed itself, as a failure prints it."""
    text = torture.seed("1")
    return int(text) if text.isdigit() else zlib.crc32(text.encode())


def figures(text):
    """`name=number` of a summary, those of several added up."""
    sums = {}
    for name, number in NUMBER.findall(text):
        sums[name] = sums.get(name, 0) + int(number)
    return sums


def test_no_seed_finds_a_difference_from_the_model():
    """Two at once, since each is one thread. The seeds have to reach what they are for."""
    seeds = torture.size(SEEDS_SHORT, SEEDS_LONG)
    half, first = seeds // 2, first_seed()
    halves = [start("--seeds", half, "--seed", first + i * half) for i in range(2)]
    texts = [process.communicate()[0].strip() for process in halves]
    for text in texts:
        torture.say(text)
    assert [process.returncode for process in halves] == [0, 0], "\n".join(texts)
    done = figures("\n".join(texts))
    for what in ("answers_2xx", "answers_3xx", "answers_4xx", "answers_5xx", "events", "expiries",
                 "power_cuts", "kills", "stops", "failed_calls", "full_disks", "failed_batches",
                 "of_those_stood", "or_not", "removed", "erased", "imported"):
        assert done[what] >= seeds // 20, f"{what}: {done}"
    assert done["lost"] == done["doubled"] == done["phantom"] == 0


def test_a_seed_repeats_to_the_letter():
    """And another seed is another run."""
    first = first_seed()
    traces = [run("--seeds", 5, "--seed", first, "--trace") for _ in range(2)]
    assert traces[0] == traces[1] and traces[0][0] == 0
    other = run("--seeds", 5, "--seed", first + 5)[1]
    hashes = [re.search(r"hash=(\w+)", text)[1] for text in (traces[0][1], other)]
    assert hashes[0] != hashes[1]


@pytest.mark.parametrize("name", WRONG_MODELS)
def test_a_model_that_is_wrong_by_a_little_is_found_out(name):
    """So the simulation does reach the edge that the rule is about: a millisecond past an expiry,
    one past a cap, a key of another tenant. Its failure names the seed that repeats it."""
    status, text = run("--seeds", SEEDS_TO_NOTICE, "--wrong-model", name)
    assert status == 1, text
    seed = re.search(r"seed (\d+) failed: (.+)", text)
    again = run("--seed", seed[1], "--wrong-model", name)
    assert again[0] == 1 and seed[2] in again[1]
    assert run("--seed", seed[1])[0] == 0


@pytest.mark.parametrize("part", ["sync", "clock", "random"])
def test_a_machine_that_lies_is_found_out(part):
    """A disk whose syncs do nothing, a clock a millisecond ahead, a generator that repeats."""
    status, text = run("--seeds", SEEDS_TO_NOTICE, "--broken", part)
    assert status == 1, text
    if part == "sync":
        assert re.search(r"lost=[1-9]|does not start|was lost", text), text


@pytest.mark.parametrize("args", [["--seeds"], ["--wrong-model", "none"], ["--colour"]])
def test_a_usage_that_is_wrong_is_2(args):
    status, text = run(*args)
    assert status == 2 and text.startswith("usage:")
