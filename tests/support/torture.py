"""Sizes, seeds and reports of the torture suites: ./dev torture SUITE [--long] [--seed S]."""

import contextlib
import os


def seed(default):
    """What repeats a run: any text, from --seed."""
    return os.environ.get("ADTALLY_SEED") or default


def size(short, long):
    """How much of it: `short` in ./dev test, `long` with --long."""
    return long if os.environ.get("ADTALLY_LONG") else short


def say(text):
    """A line of the report that ./dev torture and ./dev test print: what was done, and its seed."""
    print(text)
    if path := os.environ.get("ADTALLY_REPORT"):
        with open(path, "a", encoding="utf-8") as report:
            report.write(text + "\n")


@contextlib.contextmanager
def repeatable(suite, seed):
    """A failure in here says how to have it again."""
    try:
        yield
    except BaseException:
        say(f"{suite}: FAILED; repeat it with ./dev torture {suite} --seed {seed}")
        raise
