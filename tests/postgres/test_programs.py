"""The programs of this folder, each over a real PostgreSQL: what they print are their cases."""

import os
import pathlib
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("ADTALLY_BUILD", "build"))
PROGRAMS = ("apply", "config", "core", "lanes", "race", "retain")


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name, database):
    environment = os.environ | {"ADTALLY_TEST_POSTGRES": database, "CMOCKA_MESSAGE_OUTPUT": "TAP"}
    run = subprocess.run([BUILD / "tests" / "postgres" / f"pg_{name}_test"], env=environment,
                         capture_output=True, text=True, check=False, timeout=240)
    assert run.returncode == 0, run.stdout + run.stderr
