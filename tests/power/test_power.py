"""Power cuts: the store on a simulated disk that loses, reorders and tears what was not synced.

The program build/tests/power/power does the work; what it weakens on purpose must be noticed."""

import os
import pathlib
import subprocess

import pytest

from support import torture

BUILD = pathlib.Path(os.environ.get("ADTALLY_BUILD", "build"))
SANITIZED = "asan" in BUILD.name or "tsan" in BUILD.name
SECONDS_MAX = 3600


def first_seed(default):
    """The number of a seed: --seed may be any text."""
    text = torture.seed(str(default))
    return int(text) if text.isdecimal() else int.from_bytes(text.encode()[:6], "big")


def run(*arguments):
    return subprocess.run([BUILD / "tests/power/power", *map(str, arguments)], text=True,
                          capture_output=True, timeout=SECONDS_MAX, check=False)


def summary(done):
    """The counts of the program's last line."""
    line = done.stdout.splitlines()[-1]
    assert line.startswith("power: "), done.stdout + done.stderr
    return {name: int(value) for name, value in (pair.split("=") for pair in line.split()[1:])}


def test_nothing_acknowledged_is_lost_when_the_power_goes():
    seeds, seed = torture.size(40 if SANITIZED else 200, 10000), first_seed(1)
    done = run("--seeds", seeds, "--seed", seed)
    assert done.returncode == 0, f"./dev torture power --seed {seed}\n{done.stdout}{done.stderr}"
    counts = summary(done)
    torture.say(f"{done.stdout.splitlines()[-1]} (seed {seed})")
    assert counts["seeds"] == seeds
    assert counts["cuts"] > seeds and counts["starts_cut"] > seeds / 4, "too few cuts to mean much"
    assert counts["unsynced_lost"] > seeds and counts["torn"] > seeds, "nothing was there to lose"
    assert counts["acknowledged"] > 100 * seeds
    assert counts["removed"] > 2 * seeds, "retention had hardly anything to take"
    assert counts["lost"] == counts["doubled"] == counts["phantom"] == counts["other"] == 0


@pytest.mark.parametrize("weakness", ["normal", "early", "names", "start", "retain", "erase"])
def test_a_weakened_store_is_caught(weakness):
    """synchronous=NORMAL, answers before the COMMIT, directories that are not synced, a start that
    does not sync what a killed process left in the page cache, a retention that takes a row too
    many, and an erasure that erases nobody."""
    done = run("--seeds", 50, "--weaken", weakness)
    assert done.returncode == 0, f"nobody noticed:\n{done.stdout}{done.stderr}"
    counts = summary(done)
    assert counts["failed_seeds"] == 1, done.stdout
    assert counts["lost"] > 0 or "cannot open" in done.stdout, done.stdout
    torture.say(f"power: --weaken {weakness} is caught by seed {counts['seeds']} of 50")


def test_a_seed_repeats():
    assert run("--seeds", 3, "--seed", 7).stdout == run("--seeds", 3, "--seed", 7).stdout
