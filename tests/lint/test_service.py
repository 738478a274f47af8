"""etc/adtally.service: what systemd says of it, and whether the program can live with it."""

import json
import os
import pathlib
import re
import resource
import shutil
import subprocess

import pytest

from support import server as program
from support.http import build, exchange

UNIT = program.REPO / "etc" / "adtally.service"
SINKS = program.REPO / "etc" / "adtally-sinks.service"
EXPOSURE_MAX = 1.5
NOBODY = 65534

pytestmark = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", "--no-pager", *map(str, arguments)],
                          capture_output=True, text=True, check=False)


def exposure(path):
    text = analyze("security", "--offline=true", path).stdout
    return float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", text)[1])


def settings():
    lines = [line for line in UNIT.read_text().splitlines() if re.match(r"\w+=", line)]
    return [tuple(line.split("=", 1)) for line in lines]


@pytest.mark.parametrize("unit", [UNIT, SINKS], ids=lambda path: path.name)
def test_the_exposure_is_low(unit):
    assert exposure(unit) <= EXPOSURE_MAX


def test_a_bare_unit_is_told_apart(tmp_path):
    bare = tmp_path / "adtally.service"
    bare.write_text("[Service]\nExecStart=/bin/true\n")
    assert exposure(bare) > EXPOSURE_MAX


@pytest.mark.parametrize("unit", [UNIT, SINKS], ids=lambda path: path.name)
def test_systemd_understands_every_line(unit):
    """The program and its manual page need not be installed where the tests run."""
    found = analyze("verify", unit).stderr.splitlines()
    assert not [line for line in found if unit.name in line
                and "is not executable" not in line and "'man adtally" not in line]


def test_a_wrong_line_is_told(tmp_path):
    wrong = tmp_path / UNIT.name
    wrong.write_text(UNIT.read_text().replace("PrivateTmp=yes", "PrivateTmp=perhaps"))
    assert "Failed to parse boolean value" in analyze("verify", wrong).stderr


def test_what_ends_on_purpose_is_started_again():
    """A failed sync ends the process with 1; wrong options end it with 2, for good."""
    unit = dict(settings())
    assert unit["Restart"] == "on-failure" and unit["RestartPreventExitStatus"] == "2"
    assert unit["StartLimitIntervalSec"] == "0"


def members(name, sets):
    """The system calls of a filter set, those of the sets in it included."""
    found = set()
    for entry in sets[name]:
        found |= members(entry, sets) if entry.startswith("@") else {entry}
    return found


def allowed_calls():
    """The unit's SystemCallFilter lines as systemd adds them up."""
    sets, name = {}, None
    for line in analyze("syscall-filter").stdout.splitlines():
        if re.match(r"@[\w-]+$", line):
            name = line
            sets[name] = []
        elif name and re.match(r"    [@\w-]+$", line):
            sets[name].append(line.strip())
    allowed = set()
    for value in [v for n, v in settings() if n == "SystemCallFilter"]:
        names = value.lstrip("~").split()
        calls = {c for n in names for c in (members(n, sets) if n.startswith("@") else {n})}
        allowed = allowed - calls if value.startswith("~") else allowed | calls
    return allowed


def lower_limit(kind, value):
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def limits_of_the_unit():
    unit = dict(settings())
    megabytes = int(re.fullmatch(r"(\d+)M", unit["LimitMEMLOCK"])[1])
    lower_limit(resource.RLIMIT_NOFILE, int(unit["LimitNOFILE"]))
    lower_limit(resource.RLIMIT_MEMLOCK, megabytes << 20)


@pytest.fixture
def state():
    path = program.temp_dir()
    os.chown(path, NOBODY, NOBODY)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become nobody")
@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_a_whole_life_as_nobody_makes_no_call_that_the_unit_forbids(state):
    """Without any capability and with the unit's limits, from the first call to the last."""
    trace = pathlib.Path(state) / "trace"
    server = program.Server(state / "data")
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
               "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs",
               "strace", "-f", "-qq", "-o", trace, program.BINARY, "serve", "--listen",
               server.host, "--data", server.data]
    server.proc = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=server.stderr_file, preexec_fn=limits_of_the_unit)
    server.await_ready()
    assert server.health().status == 200
    program.cli("key", "create", "--class", "partner", "--partner-id", "p", "--label", "l",
                "--data", server.data)
    assert json.loads(exchange(server.port, build("GET", "/nowhere", [("Host", "x")])).body)
    pid = int((server.data / "lock").read_text())
    os.kill(pid, 15)
    assert server.wait() == 0, server.stderr
    calls = set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.M)) - {"execve"}
    assert calls and calls <= allowed_calls(), calls - allowed_calls()
