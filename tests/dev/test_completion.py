"""Completion: what the program says to complete, and each shell that asks it."""

import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from support import server as program
from support.world import table

SCRIPTS = program.REPO / "etc" / "completion"


def complete(*words, binary=program.BINARY):
    """The candidates alone."""
    done = subprocess.run([binary, "complete", *words], capture_output=True, text=True, check=True)
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


@table("words, found", {
    "a command": (("ser",), ["serve"]),
    "a verb": (("key", ""), ["create", "list", "revoke", "--data", "--config", "--store"]),
    "part of a verb": (("token-key", "re"), ["retire"]),
    "one of several values": (("key", "create", "--class", "p"), ["partner", "publisher"]),
    "a flag of a verb": (("key", "create", "--i"), ["--import"]),
    "a flag of every verb": (("key", "create", "--j"), ["--json"]),
    "no flag of another verb": (("key", "revoke", "--la"), []),
    "a switch": (("serve", "--log-failures", ""), ["on", "off"]),
    "an option of serve": (("serve", "--click"), ["--click-ttl"]),
    "a directory": (("serve", "--data", ""), [":dirs"]),
    "a file": (("verify", "--config", ""), [":files"]),
    "a file as an operand": (("poll", "put", "a"), [":files"]),
    "a free text": (("key", "create", "--label", ""), []),
    "a kid, or the other thing": (("token-key", "export", "c"), ["click-signing"]),
    "an unknown command": (("nothing", ""), []),
    "help of a command": (("help", "ver"), ["verify"]),
})
def test_candidates(words, found):
    assert sorted(complete(*words)) == sorted(found)


def test_every_command_and_every_option_is_a_candidate():
    commands = re.findall(r"^  ([a-z-]+) ", program.cli("help"), re.M)
    assert set(complete("")) == set(complete()) == set(commands)
    flags = re.findall(r"^  (--[a-z-]+) ", program.cli("help", "serve"), re.M)
    assert set(complete("serve", "")) == set(flags)
    for command in set(commands) - {"serve", "help"}:
        usage = program.cli("help", command)
        offered = set(complete(command, ""))
        for verb in set(re.findall(rf"^  adtally {command} ([a-z][a-z-]+)", usage, re.M)):
            offered |= set(complete(command, verb, ""))
        assert set(re.findall(r"--[a-z][a-z-]+", usage)) <= offered, command


@table("words, found", {
    "a command": (("re",), ["replay"]),
    "a flag": (("status", "--j"), ["--json"]),
    "no flag of another command": (("run", "--j"), []),
    "a file": (("run", "--config", ""), [":files"]),
    "a directory": (("check", "--data", ""), [":dirs"]),
    "the name of a sink": (("replay", "x"), []),
    "all commands": (("",), ["run", "check", "status", "replay", "enable", "help"]),
})
def test_candidates_of_the_sinks(words, found):
    assert sorted(complete(*words, binary=program.SINKS)) == sorted(found)


def environment():
    """`adtally` and `adtally-sinks` are the programs under test."""
    folder = program.temp_dir()
    for path in (program.BINARY, program.SINKS):
        (folder / os.path.basename(path)).symlink_to(os.path.abspath(path))
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "TERM": "dumb"}


def test_bash_asks():
    script = f"""source {SCRIPTS}/adtally.bash
        COMP_WORDS=(adtally key cr) COMP_CWORD=2
        _adtally adtally cr key; echo "${{COMPREPLY[@]}}"
        COMP_WORDS=(adtally-sinks en) COMP_CWORD=1
        _adtally adtally-sinks en; echo "${{COMPREPLY[@]}}"
        complete -p adtally adtally-sinks"""
    done = subprocess.run(["bash", "-c", script], env=environment(), capture_output=True, text=True,
                          check=True)
    assert done.stdout.splitlines() == ["create", "enable", "complete -F _adtally adtally",
                                        "complete -F _adtally adtally-sinks"]


@pytest.mark.skipif(not shutil.which("fish"), reason="needs fish")
def test_fish_asks(tmp_path):
    script = f"source {SCRIPTS}/adtally.fish; complete -C 'adtally key cr'; " \
             "complete -C 'adtally serve --log-failures o'; complete -C 'adtally ser'; " \
             "complete -C 'adtally-sinks en'"
    done = subprocess.run(["fish", "-N", "-c", script], capture_output=True, text=True, check=True,
                          env={**environment(), "HOME": str(tmp_path)})
    lines = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert sorted(lines) == ["create", "enable", "off", "on", "serve"]


def read_until(fd, wanted, within_s=20):
    text, end = b"", time.monotonic() + within_s
    while wanted not in text and time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            text += os.read(fd, 4096)
    return text


@pytest.mark.skipif(not shutil.which("zsh"), reason="needs zsh")
def test_zsh_asks():
    """An interactive shell, since that is the only one that completes."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe("zsh", ["zsh", "-f", "-i"], environment())
    try:
        setup = f"fpath=({SCRIPTS} $fpath); autoload -U compinit; compinit -u -D; echo rea''dy\n"
        os.write(fd, setup.encode())
        assert b"ready" in read_until(fd, b"ready")
        os.write(fd, b"adtally key cr\t")
        assert b"create" in read_until(fd, b"create")
        os.write(fd, b"\x15adtally-sinks en\t")
        assert b"enable" in read_until(fd, b"enable")
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(fd)
