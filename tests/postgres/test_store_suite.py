"""The suites of the embedded store once more, over PostgreSQL: what store.h promises is the same.

Each case makes a database of its own.
"""

import os
import pathlib
import re
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("ADTALLY_BUILD", "build"))
SUITES = ("store", "store_feed", "store_flags", "store_model", "store_publisher", "store_report")
CASES_MIN = {"store": 18, "store_feed": 6, "store_flags": 7, "store_model": 1,
             "store_publisher": 16, "store_report": 5}


@pytest.mark.parametrize("name", SUITES)
def test_suite(name, database):
    """A suite that skipped more than it should would pass for nothing: cases are counted."""
    environment = os.environ | {"ADTALLY_TEST_POSTGRES": database, "CMOCKA_MESSAGE_OUTPUT": "TAP"}
    run = subprocess.run([BUILD / "tests" / "unit" / f"{name}_test"], env=environment,
                         capture_output=True, text=True, check=False, timeout=900)
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(re.findall(r"^ok ", run.stdout, re.MULTILINE)) >= CASES_MIN[name], run.stdout
