"""tally.py RESULTS...: adds up the results of test runners and prints the closing line.

A results directory (made by suite.sh) holds for each runner RUNNER.status, its exit status, and
RUNNER.xml, its results as JUnit; for Meson also RUNNER.json, a line per program, since a program that
crashed may leave only passed cases behind; and sanitizer.PID, a report of a sanitizer each.
"""

import json
import pathlib
import sys
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field

SHOWN_MAX = 6000  # characters of a report or of a program's output


@dataclass
class Tally:
    passed: int = 0
    skipped: int = 0
    failures: list = field(default_factory=list)

    def add(self, other):
        self.passed += other.passed
        self.skipped += other.skipped
        self.failures += other.failures


def case_name(case):
    return "::".join(filter(None, (case.get("classname"), case.get("name"))))


def read_junit(path):
    tally = Tally()
    for case in xml.parse(path).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            tally.failures.append(case_name(case))
        elif case.find("skipped") is not None:
            tally.skipped += 1
        else:
            tally.passed += 1
    return tally


def read_programs(path, failed_cases):
    """The test programs of Meson that ended badly with no failed case to show for it, or before
    their last case. Meson shows no diagnostics of TAP programs, so the lines are shown here."""
    failures = []
    for line in filter(str.strip, path.read_text().splitlines()):
        program = json.loads(line)
        if program["result"] in ("OK", "SKIP", "EXPECTEDFAIL"):
            continue
        show(program.get("stdout", "") + program.get("stderr", ""))
        class_end = "." + program["name"].split(" / ")[-1]
        has_failed_case = any(case.split("::")[0].endswith(class_end) for case in failed_cases)
        if not has_failed_case or program["returncode"] < 0:
            failures.append(f"{program['name']} ended with status {program['returncode']}")
    return failures


def show(text):
    print("\n".join(line for line in text.splitlines() if not line.startswith("ok "))[-SHOWN_MAX:])


def read_runner(status_file):
    """A runner that says it failed has at least one failure, however little it left behind."""
    results, runner = status_file.with_suffix(".xml"), status_file.stem
    status = status_file.read_text().strip()
    try:
        tally = read_junit(results)
    except (OSError, xml.ParseError):
        return Tally(failures=[f"{runner} left no results (exit status {status})"])
    programs = status_file.with_suffix(".json")
    if programs.exists():
        tally.failures += read_programs(programs, tally.failures)
    if status != "0" and not tally.failures:
        tally.failures.append(f"{runner} ended with exit status {status}")
    if tally.passed + tally.skipped + len(tally.failures) == 0:
        tally.failures.append(f"{runner} ran no test")
    return tally


def read_results(directory):
    tally = Tally()
    for status_file in sorted(directory.glob("*.status")):
        tally.add(read_runner(status_file))
    for report in sorted(directory.glob("sanitizer.*")):
        tally.failures.append(f"{report.name}: see {report}")
        print(report.read_text(errors="replace")[:SHOWN_MAX])
    if not any(directory.glob("*.status")):
        tally.failures.append("nothing ran")
    tally.failures = [f"{directory.parent.name}: {failure}" for failure in tally.failures]
    return tally


def main(arguments):
    tally = Tally()
    for argument in arguments:
        tally.add(read_results(pathlib.Path(argument)))
    for failure in tally.failures:
        print(f"failed: {failure}")
    skipped = f", {tally.skipped} skipped" if tally.skipped else ""
    print(f"{tally.passed} passed, {len(tally.failures)} failed{skipped}")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
