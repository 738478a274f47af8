"""The crash tests use the helpers of the contract tests."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "contract"))
