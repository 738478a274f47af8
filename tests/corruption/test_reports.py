"""Any byte of reports.db damaged: it is a cache, so a report says what it said, or that it cannot."""

import pathlib
import random
import sqlite3
import struct
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reports"))

from filled import Filled, at, random_events  # noqa: E402  (the path comes first)
from support import server as program  # noqa: E402
from support import torture  # noqa: E402
from support.checksum import MASK, checksum, murmur64a  # noqa: E402

SEED = torture.seed("corruption-reports")
FILES, PAGE_EVERY = torture.size((40, 2), (6000, 1))
SECTOR = 512
BEGIN, END = at("2026-11-01T00:00+00:00"), at("2026-11-03T00:00+00:00")
REPORTS = (("traffic", "--by", "campaign,day"), ("money", "--by", "publisher,hour"),
           ("reasons",), ("comments",))


@pytest.fixture(scope="module")
def filled():
    """Sums of some hundred events, and feedback since that changes minds of before."""
    made = random_events(Filled(), 300, BEGIN, END, seed=1).pad()
    random_events(made, 100, BEGIN, END, seed=2)
    yield made
    made.close()


def ask(filled, *args):
    return program.run("report", *args, "--json", "--data", filled.data)


def sum_up(kept, page):
    """What src/store/sqlite/page_sums.c writes at the end of a page, once more."""
    blob, integer = 3, 1
    offset = murmur64a(struct.pack("<q", page + 1), integer)
    total = murmur64a(bytes(kept[page:page + 4088]), (offset + blob) & MASK)
    kept[page + 4088:page + 4096] = struct.pack("<Q", total)


def more_than(sums):
    """The first sum of a row counts one more (src/store/sqlite/report_sums.c): of its numbers, which
    end with a byte below 128, the third is twice the count."""
    count = [at for at, byte in enumerate(sums) if byte < 128][1] + 1
    assert sums[count] < 126
    return sums[:count] + bytes([sums[count] + 2]) + sums[count + 1:]


def flip(rng, kept):
    """One bit; headers of pages more often than their share."""
    at_byte = rng.randrange(len(kept))
    if rng.random() < 0.3:
        at_byte = at_byte // 4096 * 4096 + rng.randrange(150)
    kept[at_byte] ^= 1 << rng.randrange(8)
    return f"bit of byte {at_byte}"


def wipe(rng, kept):
    """A sector of zeros, of noise, or of another place of the file."""
    begin = rng.randrange(len(kept) // SECTOR) * SECTOR
    other = rng.randrange(len(kept) // SECTOR) * SECTOR
    kept[begin:begin + SECTOR] = rng.choice(
        [bytes(SECTOR), rng.randbytes(SECTOR), kept[other:other + SECTOR]])
    return f"sector at {begin}"


def test_a_damaged_file_gives_no_wrong_report(filled):
    rng = random.Random(SEED)
    right = {args: ask(filled, *args).stdout for args in REPORTS}
    path = filled.data / "reports.db"
    whole, counts = path.read_bytes(), {"right": 0, "refused": 0}
    for _ in range(FILES):
        kept = bytearray(whole)
        where = rng.choice([flip, flip, flip, wipe])(rng, kept)
        args = rng.choice(REPORTS)
        path.write_bytes(kept)
        done = ask(filled, *args)
        assert done.returncode in (0, 1), (where, args, done)
        if done.returncode == 0:
            assert done.stdout == right[args], f"{where}: {args} (seed {SEED})"
        else:
            assert done.stderr, where
        counts["right" if done.returncode == 0 else "refused"] += 1
    path.write_bytes(whole)
    torture.say(f"corruption reports: {counts['right']} damaged files, each report is right;"
                f" {counts['refused']} refused (seed {SEED})")
    assert counts["right"] > 20 and counts["refused"] <= counts["right"]


def test_verify_tells_of_a_damaged_page(filled):
    """Or nothing that is read is on it, and the report is right without making the file anew."""
    path, told = filled.data / "reports.db", 0
    right = ask(filled, *REPORTS[0]).stdout
    whole = path.read_bytes()
    assert b"reports.db" not in program.run("verify", "--data", filled.data).stdout
    pages = range(0, len(whole), 4096 * PAGE_EVERY)
    for page in pages:
        damaged = bytearray(whole)
        damaged[page + 200] ^= 1
        path.write_bytes(damaged)
        is_told = b"reports.db: 1 damage" in program.run("verify", "--data", filled.data).stdout
        told += is_told
        assert ask(filled, *REPORTS[0]).stdout == right
        assert is_told or path.read_bytes() == damaged, page
    assert told >= len(pages) / 2
    path.write_bytes(whole)


@pytest.mark.parametrize("with_checksum, told", [
    (False, b"differ from their checksum"), (True, b"sums differ from a recount")])
def test_what_the_pages_allow_for_is_believed(filled, with_checksum, told):
    """The judge can fail: sums that are wrong on pages that are right are told by verify alone."""
    right = ask(filled, *REPORTS[0]).stdout
    path = filled.data / "reports.db"
    whole = path.read_bytes()
    with sqlite3.connect(path) as db:
        for *key, sums, was in db.execute("SELECT * FROM agg WHERE unit = 96").fetchall():
            sums = more_than(sums)
            row = checksum("agg", [*key, sums]) if with_checksum else was
            db.execute("INSERT OR REPLACE INTO agg VALUES (?, ?, ?, ?, ?, ?)", (*key, sums, row))
    forged = bytearray(path.read_bytes())
    for page in range(0, len(forged), 4096):
        sum_up(forged, page)
    path.write_bytes(forged)
    assert ask(filled, *REPORTS[0]).stdout != right
    found = program.run("verify", "--data", filled.data).stdout
    assert told in found and (b"differ from their checksum" in found) != with_checksum, found
    path.write_bytes(whole)
