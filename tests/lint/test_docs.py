"""What is said twice is said alike: packages, and the verbs of ./dev in the README."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def listed_packages():
    lines = (ROOT / "tools" / "packages.txt").read_text().splitlines()
    rows = [line.split(None, 3) for line in lines if line and not line.startswith("#")]
    assert all(len(row) == 4 for row in rows), "set, package, command, why"
    return {name for row in rows for name in row[1].split("|")}


def documented_packages():
    text = (ROOT / "docs" / "dependencies.md").read_text()
    debian = text.split("## Packages of Debian", 1)[1].split("\n## ", 1)[0]
    cells = [line.split("|")[1] for line in debian.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_package_is_documented_and_no_other():
    assert documented_packages() == listed_packages()


def test_the_readme_names_verbs_that_exist():
    text = subprocess.run([ROOT / "dev", "help"], capture_output=True, text=True, check=True).stdout
    verbs = set(re.findall(r"^  (\w+)", text, re.M))
    for document in ("README.md", "CONTRIBUTING.md", "bench/README.md", "docs/dependencies.md"):
        named = set(re.findall(r"\./dev (\w+)", (ROOT / document).read_text()))
        assert named <= verbs, document


def test_an_unknown_verb_is_refused_with_the_help():
    run = subprocess.run([ROOT / "dev", "no-such-verb"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "usage: ./dev VERB" in run.stderr
