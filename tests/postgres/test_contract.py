"""The contract's and the crash suite over a database instead of a data file: the same tests, run with
ADTALLY_TEST_STORE=postgres (tests/support/store.py). Here are those that record something, most of them with
`./dev torture postgres --long`."""

import os
import pathlib
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
SHORT = ["contract/test_nodes.py", "crash/test_race.py"]
LONG = ["contract/test_conversion.py", "contract/test_conversion_dedup.py",
        "contract/test_collect.py", "contract/test_clicks.py", "contract/test_impressions.py",
        "contract/test_feedback.py", "contract/test_ad_feedback.py", "contract/test_polls.py",
        "contract/test_poll_results.py", "crash/test_kill9.py", "crash/test_restart_publisher.py",
        "reports/test_report_server.py"]
SUITES = SHORT + (LONG if os.environ.get("ADTALLY_LONG") else [])


@pytest.mark.parametrize("suite", SUITES)
def test_the_suite_holds_over_a_database(suite):
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "--tb=short", TESTS / suite],
                          env={**os.environ, "ADTALLY_TEST_STORE": "postgres"},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout, "every test was skipped"
