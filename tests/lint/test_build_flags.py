"""The program that is built carries the compiler's and linker's protections; readelf tells."""

import json
import os
import pathlib
import platform
import re
import subprocess

import pytest

from support import server as program

# flags that leave nothing to see in the file; clang 14 has no zeroing
COMPILED_WITH = ("-fstack-protector-strong", "-fstack-clash-protection", "-D_FORTIFY_SOURCE=3")
FORTIFIED = "#include <string.h>\nint main(int c, char **v) { char b[9]; strcpy(b, v[c - 1]); " \
            "return b[c]; }\n"
WEAK = ("-no-pie", "-fno-pie", "-fno-stack-protector", "-U_FORTIFY_SOURCE", "-fcf-protection=none",
        "-Wl,-z,norelro", "-Wl,-z,lazy", "-Wl,-z,execstack")


def readelf(path, *options):
    return subprocess.run(["readelf", "-W", *options, path], capture_output=True, text=True,
                          check=True).stdout


def is_pie(path):
    return re.search(r"Type: +DYN", readelf(path, "-h")) and "PIE" in readelf(path, "-d")


def has_relro(path):
    return "GNU_RELRO" in readelf(path, "-l")


def binds_now(path):
    return "BIND_NOW" in readelf(path, "-d")


def stack_is_data(path):
    return re.search(r"GNU_STACK.* RW ", readelf(path, "-l"))


def has_canaries(path):
    return "__stack_chk_fail" in readelf(path, "--dyn-syms")


def is_fortified(path):
    return re.search(r"__\w+_chk@", readelf(path, "--dyn-syms"))


def has_cet(path):
    return re.search(r"x86 feature: IBT, SHSTK", readelf(path, "-n"))


CHECKS = [is_pie, has_relro, binds_now, stack_is_data, has_canaries, is_fortified]
if platform.machine() == "x86_64":
    CHECKS.append(has_cet)


@pytest.mark.parametrize("name", ["adtally", "adtally-sinks"])
@pytest.mark.parametrize("check", CHECKS)
def test_the_program_has_it(check, name):
    assert check(pathlib.Path(program.BINARY).with_name(name))


@pytest.fixture(scope="module")
def weak_program(tmp_path_factory):
    path = tmp_path_factory.mktemp("weak") / "weak"
    subprocess.run(["cc", "-O2", *WEAK, "-x", "c", "-", "-o", path], input=FORTIFIED, text=True,
                   check=True, stderr=subprocess.DEVNULL)
    return path


@pytest.mark.parametrize("check", CHECKS)
def test_a_program_without_it_is_told_apart(check, weak_program):
    assert not check(weak_program)


def test_every_object_is_compiled_with_the_flags():
    build = pathlib.Path(os.environ.get("ADTALLY_BUILD", program.REPO / "build"))
    commands = json.loads((build / "compile_commands.json").read_text())
    assert commands
    for entry in commands:
        missing = [flag for flag in COMPILED_WITH if flag not in entry["command"].split()]
        assert not missing, (entry["file"], missing)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="IBT and shadow stacks are of x86")
def test_every_object_marks_its_branch_targets():
    """The linker is told to mark the program; so each object has to bear the mark by itself."""
    build = pathlib.Path(os.environ.get("ADTALLY_BUILD", program.REPO / "build"))
    for entry in json.loads((build / "compile_commands.json").read_text()):
        assert "-fcf-protection=full" in entry["command"].split(), entry["file"]
