"""`adtally copy`, either way, and what has to hold of what it made."""

import json
import pathlib
import subprocess
import sys

from support import server as program
from support.publisher import rate

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path += [str(TESTS / "data"), str(TESTS / "sinks")]

from base import collect_many, wait_for  # noqa: E402, F401
from events import Person, is_verified, lines_of, people, results, serve  # noqa: E402, F401


def copy(source, target, expect=0):
    done = program.run("copy", "--from", source, "--to", target, timeout_s=120)
    assert done.returncode == expect, done.stderr
    assert expect == 0 or len(done.stderr.splitlines()) == 1
    return (done.stdout if expect == 0 else done.stderr).decode()


def exported(data, *options):
    return lines_of(program.cli("export", "--format", "ndjson", *options, "--data", data))


def is_the_same(world, url):
    assert exported(world.data, "--store", url) == exported(world.data)


def fill(world):
    """Everything a data directory has: rotated keys, a revoked one, two ratings of one bid."""
    persons, poll_id = people(world, 3)
    persons[0].rating["comment"] = "another"
    assert rate(world, persons[0].rating).status == 200
    program.cli("token-key", "rotate", "--data", world.data)
    persons += people(world, 2)[0]
    order = world.click()
    assert world.convert(order, idem="first", order_id="o-1").status == 200
    program.cli("key", "create", "--class", "partner", "--partner-id", "gone", "--label", "l",
                "--data", world.data)
    return persons, poll_id


def cli_lines(command, data, *options):
    return json.loads(program.cli(command, "list", "--json", "--data", data, *options))


def begin(source, target):
    return subprocess.Popen([program.BINARY, "copy", "--from", source, "--to", target],
                            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
