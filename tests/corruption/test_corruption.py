"""Any byte of the data directory damaged: `verify` finds it or nothing has changed, and the server
refuses or answers right. tests/corruption/flip.c does the work, two processes at a time."""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import zlib

import pytest

from support import torture

BUILD = pathlib.Path(os.environ.get("ADTALLY_BUILD", "build"))
PROGRAM = BUILD / "tests" / "corruption" / "flip"
SEED = torture.seed("corruption")
PROCESSES = 2
SANITIZED = BUILD.name.endswith(("asan", "tsan"))

# mode: (stride, bits) in ./dev test and with --long
FLIPS = {
    "db": (torture.size(150, 1), torture.size(1, 2)),
    "db-scanned": (torture.size(300, 1), 1),
    "wal": (torture.size(2500, 1), 1),
    "secrets": (1, torture.size(1, 8)),
}
LOGS = {f"index-{name}": (torture.size(500, 1), 1)
        for name in ("clicks", "bids", "events", "votes")}


def run(scratch, mode, stride, bits, part, parts):
    """One process; its exit status, what it counted, and what it said."""
    place = pathlib.Path(scratch) / f"{mode}-{part}"
    place.mkdir()
    command = [PROGRAM, place, mode, zlib.crc32(SEED.encode()), stride, bits, part, parts]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=7200, check=False)
    assert done.returncode in (0, 1), f"{done.returncode}: {done.stdout}{done.stderr}"
    counts = {name: int(count) for name, count
              in re.findall(r"(\w+) (\d+)", done.stdout.splitlines()[-1])}
    return done.returncode, counts, done.stdout


def run_all(scratch, mode, stride, bits, one_of=1):
    """Both processes; `one_of`: only that part of the work is done."""
    parts = PROCESSES * one_of
    with concurrent.futures.ThreadPoolExecutor(PROCESSES) as pool:
        runs = list(pool.map(lambda part: run(scratch, mode, stride, bits, part, parts),
                             range(PROCESSES)))
    counts = {name: sum(run[1][name] for run in runs) for name in runs[0][1]}
    said = "".join(run[2] for run in runs)
    return sum(run[0] for run in runs), counts, said


def report(mode, counts):
    torture.say(f"corruption {mode}: {counts['flips']} damaged files, {counts['found']} found by "
                f"verify, {counts['unchanged']} without effect, {counts['refused']} refused at "
                f"start, {counts['served']} served, {counts['misses']} missed (seed {SEED})")


def repeat(mode):
    return f"repeat with: ./dev torture corruption --seed {SEED} -k {mode}"


@pytest.mark.parametrize("mode", FLIPS)
def test_a_flipped_bit_is_found_or_has_no_effect(scratch, mode):
    stride, bits = FLIPS[mode]
    failed, counts, said = run_all(scratch, mode, stride, bits, one_of=8 if SANITIZED else 1)
    report(mode, counts)
    assert not failed and counts["misses"] == 0, f"{said}\n{repeat(mode)}"
    assert counts["found"] > 0 and counts["flips"] >= counts["found"] + counts["unchanged"]


@pytest.mark.parametrize("mode", LOGS)
def test_a_flipped_bit_in_a_log_of_the_indexes_has_no_effect(scratch, mode):
    stride, bits = LOGS[mode]
    failed, counts, said = run_all(scratch, mode, stride, bits, one_of=8 if SANITIZED else 1)
    report(mode, counts)
    assert not failed and counts["misses"] == 0, f"{said}\n{repeat(mode)}"
    assert counts["flips"] == counts["served"] == counts["unchanged"] > 0, said


@pytest.mark.parametrize("mode", ["db-sectors", "wal-sectors"])
def test_a_sector_that_is_wiped_or_noise_is_found_or_has_no_effect(scratch, mode):
    one_of = (16 if SANITIZED else 6) if mode == "db-sectors" else 24
    failed, counts, said = run_all(scratch, mode, 1, 1, one_of=torture.size(one_of, 1))
    report(mode, counts)
    assert not failed and counts["misses"] == 0, f"{said}\n{repeat(mode)}"


def test_a_torn_write_is_no_damage(scratch):
    """What a power cut does to a transaction that nobody was answered: not there, and no alarm."""
    failed, counts, said = run(scratch, "torn", torture.size(60, 3000), 1, 0, 1)[:3]
    report("torn", counts)
    assert not failed and counts["misses"] == counts["found"] == counts["refused"] == 0, said


def test_what_cannot_be_told_is_reported_as_missed(scratch):
    """The judges can fail: rows changed with their checksum pass the program, and not them."""
    failed, _, said = run(scratch, "forged", 1, 1, 0, 1)
    assert failed and "verify found nothing and rows differ" in said, said
    assert "the server answers" in said, said
