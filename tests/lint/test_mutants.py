"""A fault that no longer fits the code would never be put into it."""

import pathlib
import tomllib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAULTS = tomllib.loads((ROOT / "tests" / "mutants" / "mutants.toml").read_text())["fault"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault["name"])
def test_its_line_stands_once(fault):
    assert (ROOT / fault["file"]).read_text().count(fault["from"]) == 1
