"""The closing line counts what failed, what crashed, and what left nothing behind."""

import json
import pathlib
import subprocess

TALLY = pathlib.Path(__file__).resolve().parents[2] / "tools" / "tally.py"
PASSED, FAILED, SKIPPED = "", "<failure/>", "<skipped/>"


def write_runner(folder, name, status, cases=None, programs=None):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.status").write_text(f"{status}\n")
    if cases is not None:
        rows = "".join(f'<testcase classname="adtally.{program}" name="{number}">{inside}</testcase>'
                       for number, (program, inside) in enumerate(cases))
        (folder / f"{name}.xml").write_text(f"<testsuites><testsuite>{rows}</testsuite></testsuites>")
    if programs is not None:
        rows = [{"name": name, "result": result, "returncode": code, "stdout": "", "stderr": ""}
                for name, result, code in programs]
        (folder / f"{name}.json").write_text("".join(json.dumps(row) + "\n" for row in rows))


def tally(*folders):
    run = subprocess.run(["/usr/bin/python3", TALLY, *folders], capture_output=True, text=True,
                         check=False)
    return run.returncode, run.stdout.splitlines()[-1]


def test_adds_up_runners_and_builds(tmp_path):
    one, two = tmp_path / "build/results", tmp_path / "build-asan/results"
    write_runner(one, "unit", 0, [("base", PASSED), ("base", PASSED)], [("base", "OK", 0)])
    write_runner(one, "pytest", 0, [("x", PASSED), ("x", SKIPPED)])
    write_runner(two, "unit", 0, [("base", PASSED)], [("base", "OK", 0)])
    assert tally(one, two) == (0, "4 passed, 0 failed, 1 skipped")


def test_a_failed_case_is_counted_once(tmp_path):
    write_runner(tmp_path, "unit", 1, [("base", PASSED), ("base", FAILED)], [("base", "ERROR", 1)])
    assert tally(tmp_path) == (1, "1 passed, 1 failed")


def test_a_program_that_crashed_after_its_last_passed_case(tmp_path):
    write_runner(tmp_path, "unit", 1, [("base", PASSED)], [("base", "ERROR", -11)])
    assert tally(tmp_path) == (1, "1 passed, 1 failed")


def test_a_program_that_failed_and_then_crashed(tmp_path):
    write_runner(tmp_path, "unit", 1, [("base", FAILED)], [("base", "ERROR", -6)])
    assert tally(tmp_path) == (1, "0 passed, 2 failed")


def test_a_runner_without_results(tmp_path):
    write_runner(tmp_path, "pytest", 137)
    assert tally(tmp_path) == (1, "0 passed, 1 failed")


def test_a_runner_that_ran_nothing(tmp_path):
    write_runner(tmp_path, "pytest", 0, [])
    assert tally(tmp_path) == (1, "0 passed, 1 failed")


def test_a_runner_that_failed_with_nothing_but_passed_cases(tmp_path):
    write_runner(tmp_path, "pytest", 2, [("x", PASSED)])
    assert tally(tmp_path) == (1, "1 passed, 1 failed")


def test_nothing_ran(tmp_path):
    assert tally(tmp_path) == (1, "0 passed, 1 failed")


def test_a_report_of_a_sanitizer_is_a_failure(tmp_path):
    write_runner(tmp_path, "pytest", 0, [("x", PASSED)])
    (tmp_path / "sanitizer.123").write_text("WARNING: ThreadSanitizer: data race\n")
    assert tally(tmp_path) == (1, "1 passed, 1 failed")
